//! What an account may keep, in EngageLab's codes.

use super::*;
use engine::account_limits::AccountLimits;

#[tokio::test]
async fn templates_and_signatures_are_bounded_in_both_generations() {
    let node = TestNode::with_room_for(AccountLimits {
        templates_max: 1,
        signatures_max: 1,
        ..AccountLimits::default()
    })
    .await;
    let template_a = json!({ "template_name": "welcome", "template_type": 1, "template_content": "Hello %name%",
        "country_codes": "CN", "add_signature": false });
    let template_c = json!({ "template_name": "Order Notification", "template_type": "utility",
        "country_codes": "CN,US", "template_content": "Your order {order_no} has been shipped" });
    let sign = json!({ "sign_name": "Another" });
    for (path, body, expected) in [
        ("/v1/templates", &template_a, 33_016),
        ("/v1/template-configs", &template_c, 400),
        ("/v1/signs", &sign, 34_013),
        ("/v1/sign-configs", &sign, 400),
    ] {
        let (_, code, message) = refused(&node, "POST", path, body.clone()).await;
        assert_eq!(code, expected, "{path}: {message}");
    }
    let text = node.metrics();
    assert!(text.contains("limit=\"templates_max\"") && text.contains("limit=\"signatures_max\""));
}
