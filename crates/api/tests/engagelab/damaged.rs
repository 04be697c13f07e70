//! Requests with something wrong in them.

use super::*;

/// Goal: no request, however damaged, gets a server error, an answer that is no JSON, or ends the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_are_answered_in_json() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 64;
    let limits = Limits {
        engagelab_status_per_minute_max: 0,
        ..crate::testkit::limits()
    };
    let node = Arc::new(TestNode::with(limits, Arc::new(SystemClock)).await);
    let mut random = StdRng::seed_from_u64(0x5eed_0003);
    for _ in 0..REQUESTS / AT_ONCE + 1 {
        let mut requested = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let request = damaged(&mut random);
            let node = Arc::clone(&node);
            requested.spawn(async move { node.ask(request).await });
        }
        for answer in requested.join_all().await {
            let (status, code) = reported(&answer);
            assert!(status < 500, "{}", answer.body);
            assert!(status == 200 || code != 0, "{}", answer.body);
        }
    }
}

fn damaged(random: &mut StdRng) -> Request<Body> {
    let full = with(
        &with(&code(), "/request_id", json!("123")),
        "/custom_args",
        json!({ "k": "v" }),
    );
    let full = with(&with(&full, "/from", json!("Acme")), "/body/label_id", json!(231));
    let planned = with(
        &with(&plan(), "/plan_name", json!("-")),
        "/custom_args",
        json!({ "k": "v" }),
    );
    match random.random_range(0..5) {
        0 | 1 => post("/v1/send", USER, damage(random, full.to_string().as_bytes())),
        2 | 3 => post(
            "/v1/messages",
            USER,
            damage(random, planned.to_string().as_bytes()),
        ),
        _ => {
            let query =
                b"send_date=2026-11-22&time_zone=8&phone=%2B12673800456&status=2&sms_ids=a_1$x;b&limit=5";
            let query = damage(random, query);
            let query: String = query
                .iter()
                .map(|octet| match octet {
                    b'!'..=b'~' if *octet != b'#' => char::from(*octet).to_string(),
                    octet => format!("%{octet:02X}"),
                })
                .collect();
            match format!("/v1/status?{query}").parse::<http::Uri>() {
                Ok(uri) => get(&uri.to_string(), USER),
                // What the HTTP layer itself does not take.
                Err(_) => get("/v1/status", USER),
            }
        }
    }
}

/// An interface, and a good request to it.
struct Good {
    method: &'static str,
    uri: &'static str,
    body: Value,
}

fn good(method: &'static str, uri: &'static str, body: Value) -> Good {
    Good { method, uri, body }
}

/// Goal: no request, however damaged, gets a server error, an answer that is no JSON, or ends the process.
async fn survive(node: TestNode, requests: Vec<Good>, at_once: usize, seed: u64) {
    const REQUESTS: usize = 10_000;
    let node = Arc::new(node);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut done, mut went_well) = (0, 0);
    while done < REQUESTS {
        let mut requested = tokio::task::JoinSet::new();
        for _ in 0..at_once {
            let good = &requests[random.random_range(0..requests.len())];
            let request = damaged_managing(&mut random, good);
            let (node, method, uri) = (Arc::clone(&node), good.method, good.uri);
            requested.spawn(async move { (method, uri, node.ask(request).await) });
        }
        for (method, uri, answer) in requested.join_all().await {
            let (status, code) = reported(&answer);
            assert!(status < 500, "{method} {uri}: {}", answer.body);
            assert!(status == 200 || code != 0, "{method} {uri}: {}", answer.body);
            done += 1;
            went_well += usize::from(status == 200);
        }
    }
    // Were every request refused for the same reason, nothing would have been tried.
    assert!(went_well > REQUESTS / 100, "only {went_well} were good");
}

/// Damages the body, a value in it, or the path and query.
fn damaged_managing(random: &mut StdRng, good: &Good) -> Request<Body> {
    let mut body = good.body.clone();
    let octets = match body.as_object_mut() {
        Some(fields) if !fields.is_empty() && random.random_bool(0.5) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = &names[random.random_range(0..names.len())];
            let value = match fields[name].as_str() {
                Some(text) => json!(String::from_utf8_lossy(&damage(random, text.as_bytes()))),
                None => [json!(null), json!(-1), json!([]), json!({ "a": 1 }), json!("x")]
                    [random.random_range(0..5)]
                .clone(),
            };
            fields.insert(name.clone(), value);
            body.to_string().into_bytes()
        }
        Some(_) => damage(random, body.to_string().as_bytes()),
        None => Vec::new(),
    };
    // What comes behind the path, where the HTTP layer takes it.
    let (path, query) = good.uri.split_once('?').unwrap_or((good.uri, ""));
    let (path, query) = match random.random_range(0..3) {
        0 => (path.to_owned(), encoded(&damage(random, query.as_bytes()))),
        1 => (encoded(&damage(random, path.as_bytes())), query.to_owned()),
        _ => (path.to_owned(), query.to_owned()),
    };
    let same_interface = path.starts_with("/v1/") && !path.contains("//");
    let path = if same_interface {
        path
    } else {
        good.uri.split('?').next().unwrap_or_default().to_owned()
    };
    let uri = format!("{path}?{query}").parse::<http::Uri>();
    let uri = uri.map_or_else(|_| good.uri.to_owned(), |uri| uri.to_string());
    let mut request = managing(good.method, &uri, USER, &Value::Null);
    *request.body_mut() = Body::from(octets);
    request
}

/// Octets as they may stand in a URI.
fn encoded(octets: &[u8]) -> String {
    let written = octets.iter().map(|octet| match octet {
        b'!'..=b'~' if !b"#?".contains(octet) => char::from(*octet).to_string(),
        octet => format!("%{octet:02X}"),
    });
    written.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_templates_and_signs_are_answered_in_json() {
    let template = json!({ "template_name": "plain", "template_type": 1, "msg_type": 2, "sign_id": 7,
        "template_content": "Hello %name%, see https://x.example now" });
    let requests = vec![
        good(
            "GET",
            "/v1/templates?offset=1&limit=5&template_name=a&template_type=1&approval_status=1",
            json!(null),
        ),
        good("GET", "/v1/templates/1001", json!(null)),
        good("POST", "/v1/templates", template.clone()),
        good("PUT", "/v1/templates/1003", template),
        good("POST", "/v1/templates/1003/submit", json!({})),
        good("DELETE", "/v1/templates/1009", json!(null)),
        good("GET", "/v1/signs?sign_name=a&offset=0&limit=5", json!(null)),
        good("GET", "/v1/signs/7", json!(null)),
        good("POST", "/v1/signs", json!({ "sign_name": "Acme" })),
        good("PUT", "/v1/signs/7", json!({ "sign_name": "Example" })),
    ];
    // Each change of the catalog is made from a look at it: more of them at once would only look again.
    survive(TestNode::start().await, requests, 8, 0x5eed_0009).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_labels_and_statistics_are_answered_in_json() {
    let node = TestNode::start().await;
    done(&node, "POST", "/v1/labels", json!({ "label_name": "one" })).await;
    assert_eq!(reported(&node.ask(send(&code())).await), (200, 0));
    let days = "/v1/stats_day?start_date=2026-11-01&end_date=2026-11-22&time_zone=8&template_ids=1;2&sms_users=a&\
        label_ids=1;2&msg_type=2&aggregate_by=0";
    let requests = vec![
        good("GET", "/v1/labels?label_name=o&offset=0&limit=5", json!(null)),
        good("GET", "/v1/labels/1", json!(null)),
        good("POST", "/v1/labels", json!({ "label_name": "one" })),
        good("PUT", "/v1/labels/1", json!({ "label_name": "one" })),
        good("DELETE", "/v1/labels/2", json!(null)),
        good("GET", days, json!(null)),
    ];
    survive(node, requests, 64, 0x5eed_000a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_configs_are_answered_in_json() {
    let template = json!({ "template_name": "Order", "template_type": "utility", "country_codes": "CN,US",
        "template_content": "Your order {order_no}", "add_signature": true, "sign_id": "7", "sign_position": 2 });
    let requests = vec![
        good("GET", "/v1/template-configs", json!(null)),
        good("GET", "/v1/template-configs/1001", json!(null)),
        good("POST", "/v1/template-configs", template.clone()),
        good("PUT", "/v1/template-configs/1003", template),
        good("DELETE", "/v1/template-configs/1002", json!(null)),
        good("GET", "/v1/sign-configs", json!(null)),
        good("GET", "/v1/sign-configs/7", json!(null)),
        good("POST", "/v1/sign-configs", json!({ "sign_name": "Acme" })),
        good("PUT", "/v1/sign-configs/7", json!({ "sign_name": "Example" })),
        good("DELETE", "/v1/sign-configs/8", json!(null)),
    ];
    survive(TestNode::start().await, requests, 8, 0x5eed_000b).await;
}
