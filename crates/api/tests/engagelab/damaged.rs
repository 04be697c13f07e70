//! Requests with something wrong in them.

use super::*;

/// Goal: no request, however damaged, gets a server error, an answer that is no JSON, or ends the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_are_answered_in_json() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 64;
    let limits = Limits {
        engagelab_status_per_minute_max: 0,
        ..Limits::default()
    };
    let house = Arc::new(House::with(limits, Arc::new(SystemClock)).await);
    let mut random = StdRng::seed_from_u64(0x5eed_0003);
    for _ in 0..REQUESTS / AT_ONCE + 1 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let request = damaged(&mut random);
            let house = Arc::clone(&house);
            asked.spawn(async move { house.ask(request).await });
        }
        for answer in asked.join_all().await {
            let (status, code) = told(&answer);
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
