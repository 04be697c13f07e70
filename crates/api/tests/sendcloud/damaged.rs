//! Requests with something wrong in them.

use super::contacts::{save_list, save_member};
use super::*;

/// Interfaces, and the parameters that make a good request of each.
struct Family {
    paths: &'static [&'static str],
    good: Fields<'static>,
    /// Requests under way at once.
    at_once: usize,
}

/// Goal: no request, however damaged, gets a server error, an answer outside the envelope, or ends the process.
async fn survive(node: TestNode, family: Family, seed: u64) {
    const REQUESTS: usize = 10_000;
    let node = Arc::new(node);
    let mut random = StdRng::seed_from_u64(seed);
    let mut done = 0;
    let mut good = 0;
    while done < REQUESTS {
        let mut requested = tokio::task::JoinSet::new();
        for _ in 0..family.at_once {
            let path = family.paths[random.random_range(0..family.paths.len())];
            let request = damaged(&mut random, path, &family.good);
            let node = Arc::clone(&node);
            requested.spawn(async move { (path, node.ask(request).await) });
        }
        for (path, answer) in requested.join_all().await {
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.body);
            let code = code_of(&answer);
            assert_ne!(code, 501, "{path}: {}", answer.body);
            done += 1;
            good += usize::from(code == 200);
        }
    }
    // Were every request refused for the same reason, nothing would have been tried.
    assert!(good > REQUESTS / 100, "only {good} were good");
}

fn damaged(random: &mut StdRng, path: &str, good: &Fields<'static>) -> Request<Body> {
    let mut good = good.clone();
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

fn good(pairs: &[(&'static str, &str)]) -> Fields<'static> {
    replaced(&fields(pairs), "smsUser", USER)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_are_answered_in_the_envelope() {
    let mut fields = send_fields();
    fields.extend(fields_of_a_code());
    fields.insert(
        "tos",
        r#"[{"phone":"13800138000","vars":{"%n%":"1"}},{"phone":"13900139000","vars":{}}]"#.to_owned(),
    );
    fields.insert("tag", r#"{"k":"v"}"#.to_owned());
    fields.insert("days", "1".to_owned());
    fields.insert("templateName", "code".to_owned());
    let family = Family {
        paths: &[
            "/smsapi/send",
            "/smsapi/sendx",
            "/smsapi/sendCode",
            "/smsapi/sendVoice",
            "/smsapi/status/query",
        ],
        good: fields,
        at_once: 64,
    };
    survive(TestNode::start().await, family, 0x5eed_0002).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_templates_are_answered_in_the_envelope() {
    let family = Family {
        paths: &[
            "/smsapi/get",
            "/smsapi/list",
            "/smsapi/addsms",
            "/smsapi/submitsms",
            "/smsapi/updatesms",
            "/smsapi/deletesms",
        ],
        good: good(&[
            ("templateIdStr", "1003"),
            ("templateName", "plain"),
            ("templateText", "Hello %name%"),
            ("signId", "7"),
            ("signName", "Example"),
            ("signPositionStr", "0"),
            ("smsTypeStr", "1"),
            ("msgType", "0"),
            ("isVerifyStr", "1"),
            ("start", "0"),
            ("limit", "10"),
        ]),
        // Each change of the catalog is made from a look at it: more of them would only look again.
        at_once: 8,
    };
    survive(TestNode::start().await, family, 0x5eed_0003).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_signatures_are_answered_in_the_envelope() {
    let family = Family {
        paths: &[
            "/smsapi/sign/get",
            "/smsapi/sign/list",
            "/smsapi/sign/save",
            "/smsapi/sign/updatesms",
            "/smsapi/sign/update",
        ],
        good: good(&[("id", "7"), ("signType", "0"), ("signName", "Example")]),
        at_once: 8,
    };
    survive(TestNode::start().await, family, 0x5eed_0004).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_labels_are_answered_in_the_envelope() {
    let node = TestNode::start().await;
    ask(&node, "/smsapi/label/save", &[("labelName", "one")]).await;
    let family = Family {
        paths: &[
            "/smsapi/label/get",
            "/smsapi/label/list",
            "/smsapi/label/save",
            "/smsapi/label/update",
            "/smsapi/label/delete",
        ],
        good: good(&[
            ("labelId", "1"),
            ("labelName", "one"),
            ("start", "0"),
            ("limit", "10"),
        ]),
        at_once: 64,
    };
    survive(node, family, 0x5eed_0005).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_contacts_are_answered_in_the_envelope() {
    let node = TestNode::start().await;
    save_list(&node, "one").await;
    let family = Family {
        paths: &[
            "/smsapi/smsContactList/list",
            "/smsapi/smsContactList/save",
            "/smsapi/smsContactList/update",
            "/smsapi/smsContactList/delete",
            "/smsapi/smsContactListMember/list",
            "/smsapi/smsContactListMember/saveOrUpdate",
            "/smsapi/smsContactListMember/batchSaveOrUpdate",
            "/smsapi/smsContactListMember/delete",
        ],
        good: good(&[
            ("contactListName", "one"),
            ("newContactListName", "one"),
            ("description", "first"),
            ("phone", "13800138000"),
            ("phones", "13800138000;13900139000"),
            ("userName", "Lucy"),
            ("vars", r#"{"%name%":"小明"}"#),
            ("start", "0"),
            ("limit", "10"),
        ]),
        at_once: 64,
    };
    survive(node, family, 0x5eed_0006).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_tasks_are_answered_in_the_envelope() {
    let node = TestNode::start().await;
    save_list(&node, "one").await;
    save_list(&node, "two").await;
    save_member(&node, "one", "13800138000", "{}").await;
    let family = Family {
        paths: &["/smsapi/sendContactListTask", "/smsapi/queryContactListTask"],
        good: good(&[
            ("contactListName", "one;two"),
            ("taskName", "spring"),
            ("senderName", "sendcloud"),
            ("templateId", "1003"),
            ("labelId", "9"),
            ("executeTime", "2199-01-01 00:00:00"),
            ("taskId", "1"),
        ]),
        at_once: 64,
    };
    survive(node, family, 0x5eed_0007).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_requests_about_statistics_are_answered_in_the_envelope() {
    let node = TestNode::start().await;
    let sent = node.ask(signed("/smsapi/send", &send_fields())).await;
    assert_eq!(code_of(&sent), 200);
    let family = Family {
        paths: &[
            "/smsapi/data/sendDay",
            "/smsapi/data/processFailed",
            "/smsapi/data/sendFailed",
        ],
        good: good(&[
            ("days", "1"),
            ("startDate", "2026-11-01"),
            ("endDate", "2026-11-22"),
            ("msgTypeStr", "0"),
            ("templateIdsStr", "1001;1002"),
            ("labelIdsStr", "0;9"),
            ("aggregate", "0"),
        ]),
        at_once: 64,
    };
    survive(node, family, 0x5eed_0008).await;
}
