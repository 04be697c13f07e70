//! Requests with something wrong in them.

use super::*;

/// Goal: no request, however damaged, gets a server error, an answer outside the envelope, or ends the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_are_answered_in_the_envelope() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 64;
    let house = Arc::new(House::start().await);
    let mut random = StdRng::seed_from_u64(0x5eed_0002);
    let paths = [
        "/smsapi/send",
        "/smsapi/sendx",
        "/smsapi/sendCode",
        "/smsapi/sendVoice",
        "/smsapi/status/query",
    ];
    for _ in 0..REQUESTS / AT_ONCE + 1 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let path = paths[random.random_range(0..paths.len())];
            let request = damaged(&mut random, path);
            let house = Arc::clone(&house);
            asked.spawn(async move { (path, house.ask(request).await) });
        }
        for (path, answer) in asked.join_all().await {
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.body);
            assert_ne!(code_of(&answer), 501, "{path}: {}", answer.body);
        }
    }
}

fn damaged(random: &mut StdRng, path: &str) -> Request<Body> {
    let mut good = send_fields();
    good.extend(fields_of_a_code());
    good.insert(
        "tos",
        r#"[{"phone":"13800138000","vars":{"%n%":"1"}},{"phone":"13900139000","vars":{}}]"#.to_owned(),
    );
    good.insert("tag", r#"{"k":"v"}"#.to_owned());
    good.insert("days", "1".to_owned());
    if random.random_bool(0.5) {
        // Damage a value and sign it: what is behind the signature.
        let names: Vec<_> = good.keys().copied().collect();
        let name = names[random.random_range(0..names.len())];
        let value = damage(random, good[name].as_bytes());
        good.insert(name, String::from_utf8_lossy(&value).into_owned());
        signed(path, &good)
    } else {
        // Damage the octets of a signed request.
        good.insert("signature", md5(&good));
        let body = damage(random, encode(&good).as_bytes());
        post(path, body)
    }
}
