//! Requests with damage: whatever is sent, the answer is the wire's own, and it is not a server's failure.

use super::{AT_ONCE, KEY, USER, basic, code_of, sign};
use crate::house::{CODE, House, SIGNATURE, ut_id};
use axum::body::Body;
use http::{Request, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

const REQUESTS: usize = 10_000;

/// Changes, drops, doubles or inserts a few octets; sometimes cuts.
fn damage(random: &mut StdRng, octets: &[u8]) -> Vec<u8> {
    const FAVOURITES: &[u8] = b"{}[]\":,.&=%+0\\u\x00\xff\n'eE-";
    let mut octets = octets.to_vec();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=octets.len());
        let favourite = FAVOURITES[random.random_range(0..FAVOURITES.len())];
        match random.random_range(0..5) {
            0 if at < octets.len() => octets[at] = favourite,
            1 if at < octets.len() => drop(octets.remove(at)),
            2 => octets.insert(at, favourite),
            3 => {
                let piece = octets[at..octets.len().min(at + 20)].to_vec();
                octets.splice(at..at, piece);
            }
            4 if random.random_bool(0.1) => octets.truncate(at),
            _ => octets.insert(at, random.random()),
        }
    }
    octets
}

#[tokio::test]
async fn ten_thousand_damaged_requests_are_answered_in_the_wires_words() {
    let house = House::start().await;
    let mut random = StdRng::seed_from_u64(20_261_122);
    let batch = json!({"Action": "SendBatchUSMSMessage", "AccountId": 1, "TaskContent": [
        {"TemplateId": ut_id(CODE), "SenderId": "uSpeedo", "Target": [
            {"Phone": AT_ONCE, "TemplateParams": ["1", 2, null], "UserId": "u", "ExtendCode": "1"}]}]});
    let form = format!(
        "Action=SendUSMSMessage&ProjectId=org&PhoneNumbers.0=13812345678&PhoneNumbers.1=x&TemplateParams.0=1\
         &TemplateId={}&SigContent={}&PublicKey={USER}&Signature={}",
        ut_id(CODE),
        SIGNATURE.1,
        "0".repeat(40)
    );
    let receipts = json!({"Action": "GetUSMSSendReceipt", "SessionNoSet": ["a", "b"]}).to_string();
    let bodies = [batch.to_string(), form, receipts];
    for n in 0..REQUESTS {
        let path = ["/api/v1/usms/SendBatchUSMSMessage", "/api", "/"][random.random_range(0..3)];
        let body = bodies[random.random_range(0..bodies.len())].as_bytes();
        let body = damage(&mut random, body);
        let mut request = Request::post(path).header("Authorization", basic(USER, KEY));
        if path == "/api" && random.random_bool(0.3) {
            // A signature that fits what the damage left readable.
            let signature =
                serde_json::from_slice(&body).map_or_else(|_| String::new(), |body| sign(&body, KEY));
            request = request
                .header("X-Access-Key-Id", USER)
                .header("X-Signature", signature);
            request = request.header("X-Timestamp", (house.engine.now() / 1000).to_string());
        }
        let answer = house.ask(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{n}: {}",
            String::from_utf8_lossy(&body)
        );
        let code = code_of(&answer);
        assert!(
            ![215_400, 150, 18_007].contains(&code),
            "{n}: {} {}",
            String::from_utf8_lossy(&body),
            answer.body
        );
        assert!(!answer.body.contains(KEY));
    }
}
