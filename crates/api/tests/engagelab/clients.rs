//! The requests of known callers (contract/engagelab.md section 8).

use super::*;

/// The callers of generation A that contract/engagelab.md section 8 tells of; none is a packaged SDK.
#[tokio::test]
async fn the_requests_of_known_callers_are_taken_octet_for_octet() {
    let house = House::start().await;
    // A PHP content manager: json_encode escapes slashes and writes numbers from forms as texts. It takes every
    // answer with a `code` for a failure.
    let php = r#"{"to":["+12673800401"],"body":{"template_id":"1001","vars":{"code":"123456"}}}"#;
    // A Python service: requests' `json=`, blanks after separators, a short uuid as the id. It looks at the HTTP status.
    let flask = r#"{"from": "Acme", "to": ["+12673800402"], "request_id": "9f1c2d3e", "body": {"template_id": 1001, "vars": {"code": "654321"}}}"#;
    // A PHP array without entries is `[]`.
    let php_without = r#"{"to":["+12673800403"],"custom_args":[],"body":{"template_id":1003,"vars":[]}}"#;
    // The page's first tip: an array of values for each recipient.
    let arrays = r#"{"to":["+12673800404"],"body":{"template_id":1001,"vars":{"code":["1111","2222"]}}}"#;
    for (caller, body, number, text) in [
        ("PHP", php, "+12673800401", "Your code is 123456"),
        ("Flask", flask, "+12673800402", "Your code is 654321"),
        ("PHP without variables", php_without, "+12673800403", "Hello"),
        ("arrays", arrays, "+12673800404", "Your code is 1111"),
    ] {
        let answer = house.ask(post("/v1/send", USER, body)).await;
        assert_eq!(told(&answer), (200, 0), "{caller}: {}", answer.body);
        assert_eq!(house.received(number).await.text, text, "{caller}");
    }
    // A Laravel service, commented out there: `to` a text, `vars` a sentence. And the fall-back of one of the
    // Flask helpers: a text without a template. Neither can be sent; both are told why.
    let laravel =
        r#"{"from":"Acme","to":"+12673800405","body":{"template_id":1001,"vars":"Your code is 1"}}"#;
    assert_eq!(
        told(&house.ask(post("/v1/send", USER, laravel)).await),
        (400, 33004)
    );
    let text = r#"{"to": ["+12673800406"], "text": "hi", "body": {"content": "hi"}}"#;
    assert_eq!(told(&house.ask(post("/v1/send", USER, text)).await), (400, 33003));

    // Generation C: the vendor's Python client sends this and raises on a non-zero `code`; a Go service wants `code`
    // absent and `accepted_count` over 0 or a `plan_id`.
    let python = r#"{"to": ["923700056581"], "template": {"id": "1001", "params": {"code": "123456"}}, "plan_name": "-", "custom_args": {"order_id": "1"}}"#;
    let go = r#"{"to":["+8618701235678"],"template":{"id":"1001","params":{"code":"1234"}}}"#;
    for body in [python, go] {
        let answer = house.ask(post("/v1/messages", USER, body)).await;
        assert_eq!(
            (told(&answer), &answer.json()["accepted_count"]),
            ((200, 0), &json!(1))
        );
    }
}
