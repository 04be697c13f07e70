//! Requests with damage: whatever is sent, the answer is the wire's own, and it is not a server's failure.

use super::{AT_ONCE, KEY, USER, Wire, basic, code_of, flatten, sign, ucloud};
use crate::testkit::{Answer, CODE, PLAIN, SIGNATURE, TestNode, ut_id};
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

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
    let node = TestNode::start().await;
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
            request = request.header("X-Timestamp", (node.engine.now() / 1000).to_string());
        }
        let answer = node.ask(request.body(Body::from(body.clone())).unwrap()).await;
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

/// Requests that manage and report, as they should be.
fn managing() -> Vec<(&'static str, Value)> {
    let signature = json!({"ProjectId": "org", "SigContent": "Acme", "SigType": 0, "SigPurpose": 1, "CertificateType": 0,
        "Description": "d", "File": "aGVsbG8=", "ProxyFile": "image/png;base64,aGVsbG8=", "International": false});
    let documents =
        json!({"Name": "n", "Attr": 0, "Status": 1, "HandlerPhone": "13800138000", "CompanyName": "c"});
    let page =
        json!({"Page": 0, "NumPerPage": 10, "OrderBy": "CreateTime", "OrderType": "desc", "Status": 1});
    let days = json!({"Page": 0, "NumPerPage": 10, "OrderBy": "SendDate", "OrderType": "asc", "StartDate": "2026-11-01",
        "EndDate": "2026-11-30", "Domestic": 0, "BrevityCode": "GB-FR", "Purpose": 1});
    vec![
        (
            "CreateUSMSTemplate",
            json!({"AccountId": 1, "Purpose": 3, "TemplateName": "n", "Template": "t {1}", "Remark": "r",
            "Tags": [1, 2], "International": true, "VariableAttr": "[]"}),
        ),
        (
            "QueryUSMSTemplate",
            json!({"TemplateId": [ut_id(CODE), ut_id(PLAIN)]}),
        ),
        (
            "UpdateUSMSTemplate",
            json!({"TemplateId": ut_id(CODE), "TemplateName": "n", "Template": "t {1}"}),
        ),
        (
            "DeleteUSMSTemplate",
            json!({"TemplateIds": [ut_id(PLAIN), "UTA0"]}),
        ),
        ("CreateUSMSSignature", signature.clone()),
        (
            "QueryUSMSSignature",
            json!({"SigId": "SIG19700101000007", "SigContent": SIGNATURE.1}),
        ),
        (
            "UpdateUSMSSignature",
            super::with(&signature, "SigId", json!("SIG19700101000007")),
        ),
        (
            "DeleteUSMSSignature",
            json!({"SigIds": ["SIG19700101000007", "SIG19700101000008"]}),
        ),
        ("AddUSMSSignatureQualification", documents.clone()),
        (
            "UpdateUSMSSignatureQualification",
            super::with(&documents, "QualificationId", json!("QUAL00000001")),
        ),
        (
            "QueryUSMSSignatureQualification",
            json!({"QualificationId": "QUAL00000001"}),
        ),
        ("GetUSMSSignatureQualification", page),
        (
            "DeleteUSMSSignatureQualification",
            json!({"QualificationIds": ["QUAL00000001"]}),
        ),
        (
            "UploadUSMSFile",
            json!({"FileName": "a", "FileContent": "aGVsbG8=", "Source": 0}),
        ),
        ("GetUSMSSendStatistics", days.clone()),
        (
            "GetUSMSTemplateSendStatistics",
            super::with(&days, "TemplateId", json!(ut_id(CODE))),
        ),
        (
            "BatchCreateUSMSBlacklistPhone",
            json!({"IsGlobal": true, "BlackList": r#"[{"Phone":"447700900001","Purpose":0}]"#}),
        ),
        (
            "AddBackfill",
            json!({"SendNo": "n", "Target": "(44)7700900123", "SendTime": 1}),
        ),
        (
            "upUSMSCustomerStatus",
            json!({"SessionNoSet": ["x"], "PhoneNumbers": ["13800138000"], "CustomerStatus": "0"}),
        ),
        ("PullUSMSReport", json!({"Limit": 100})),
    ]
}

/// Puts something else in the place of a value, under another name, or beside it.
fn disturb(random: &mut StdRng, params: &mut Value) {
    let names: Vec<String> = params.as_object().unwrap().keys().cloned().collect();
    for _ in 0..random.random_range(1..3) {
        let name = &names[random.random_range(0..names.len())];
        let odd = match random.random_range(0..14) {
            0 => Value::Null,
            1 => json!(""),
            2 => json!([]),
            3 => json!({}),
            4 => json!(true),
            5 => json!(-1),
            6 => json!(i64::MAX),
            7 => json!(1.5),
            8 => json!("x".repeat(5000)),
            9 => json!("\u{0}\u{ffff}字"),
            10 => json!([[["x"]], {"a": [null]}]),
            11 => json!(vec![json!("UTA0"); 150]),
            12 => json!(format!("{}", random.random::<i64>())),
            _ => json!({"a": {"b": "c"}, "0": 1}),
        };
        match random.random_range(0..4) {
            0 => drop(params.as_object_mut().unwrap().remove(name)),
            1 => params[format!("{name}.0")] = odd,
            _ => params[name] = odd,
        }
    }
}

/// A disturbed and perhaps damaged request over a wire that has the action. Signatures fit what was disturbed, so that
/// it is read; damage is done to octets, of which one in three still is.
fn disturbed(
    random: &mut StdRng,
    node: &TestNode,
    wire: Wire,
    action: &str,
    mut params: Value,
) -> Request<Body> {
    disturb(random, &mut params);
    let hurt = random.random_bool(0.3);
    let mut request = match wire {
        Wire::Ucloud if random.random_bool(0.5) => {
            let nested = ucloud::signed_by(USER, KEY, &super::with(&params, "Action", json!(action)));
            Request::post("/").body(Body::from(nested.to_string())).unwrap()
        }
        wire => wire.request(node, USER, action, &params),
    };
    if hurt {
        let mut flat = serde_json::Map::new();
        flatten("", &super::with(&params, "Action", json!(action)), &mut flat);
        let text = match wire {
            Wire::Ucloud => form_urlencoded::Serializer::new(String::new())
                .extend_pairs(
                    flat.iter()
                        .map(|(name, value)| (name, value.as_str().unwrap_or_default())),
                )
                .finish(),
            _ => params.to_string(),
        };
        *request.body_mut() = Body::from(damage(random, text.as_bytes()));
    }
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_disturbed_requests_to_manage_are_answered_in_the_wires_words() {
    const AT_A_TIME: usize = 8;
    let node = TestNode::start().await;
    let mut random = StdRng::seed_from_u64(20_261_124);
    let managing = managing();
    let mut codes = std::collections::BTreeMap::<u64, usize>::new();
    for _ in 0..REQUESTS / AT_A_TIME {
        let mut asking = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (action, params) = &managing[random.random_range(0..managing.len())];
            let wire = match action.ends_with("USMSTemplate") {
                true => Wire::ALL[random.random_range(0..3)],
                false => Wire::Ucloud,
            };
            let request = disturbed(&mut random, &node, wire, action, params.clone());
            let router = node.router.clone();
            let reported = format!("{action} {wire:?}");
            asking.spawn(async move {
                let response = router.oneshot(request).await.unwrap();
                let (parts, body) = response.into_parts();
                let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
                let answer = Answer {
                    status: parts.status,
                    headers: parts.headers,
                    body,
                };
                (reported, answer)
            });
        }
        for (reported, answer) in asking.join_all().await {
            let code = code_of(&answer);
            assert!(
                code != 18_007 && !answer.body.contains("Server error"),
                "{reported} {}",
                answer.body
            );
            assert!(!answer.body.contains(KEY));
            *codes.entry(code).or_default() += 1;
        }
    }
    // The damaged requests get beyond authentication.
    for code in [0, 170, 18_001, 18_002, 18_003, 215_392, 215_396, 215_397] {
        assert!(
            codes.get(&code).is_some_and(|&count| count > 10),
            "{code}: {codes:?}"
        );
    }
}
