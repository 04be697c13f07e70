//! Every JSON example of a call to a webhook, held against what the program posts: the same members of the same types.

use super::page;
use crate::receiver::Receiver;
use crate::testkit::{Dev, Running, WAIT_MAX, curl, folder, json, said, sim};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The page with the examples of a format, and the member that distinguishes its calls.
struct Owner {
    format: &'static str,
    page: &'static str,
    settings: &'static str,
    kind: fn(&Value) -> String,
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map_or_else(String::new, |found| {
        found.as_str().map_or_else(|| found.to_string(), str::to_owned)
    })
}

const OWNERS: [Owner; 6] = [
    Owner {
        format: "standard",
        page: "docs/webhooks.md",
        settings: "",
        kind: |call| text(call, "/type"),
    },
    Owner {
        format: "uspeedo",
        page: "docs/dialects/uspeedo.md",
        settings: "",
        kind: |call| text(call, "/MsgType"),
    },
    Owner {
        format: "ucloud",
        page: "docs/dialects/ucloud.md",
        settings: "",
        kind: |call| text(call, "/MsgType"),
    },
    Owner {
        format: "sendcloud",
        page: "docs/dialects/sendcloud.md",
        settings: "settings = { body = \"json\" }",
        kind: |call| text(call, "/event"),
    },
    Owner {
        format: "engagelab",
        page: "docs/dialects/engagelab.md",
        settings: "",
        kind: |call| text(call, "/status/message_status"),
    },
    Owner {
        format: "engagelab_callback",
        page: "docs/dialects/engagelab.md",
        settings: "",
        kind: |call| {
            format!(
                "{}{}{}",
                text(call, "/rows/0/status/message_status"),
                text(call, "/rows/0/response/event"),
                text(call, "/rows/0/notification/event")
            )
        },
    },
];

/// What a call says, one thing at a time: rows are calls of their own.
fn pieces(call: &Value) -> Vec<Value> {
    match call["rows"].as_array() {
        Some(rows) => rows
            .iter()
            .map(|row| serde_json::json!({ "total": 1, "rows": [row] }))
            .collect(),
        None => vec![call.clone()],
    }
}

/// The members of a call with the types of their values: `data.error is null`.
fn members(place: &str, value: &Value, found: &mut BTreeSet<String>) {
    let is = |kind: &str| format!("{place} is {kind}");
    let kind = match value {
        Value::Null => is("null"),
        Value::Bool(_) => is("boolean"),
        Value::Number(_) => is("a number"),
        Value::String(_) => is("a text"),
        Value::Array(items) => {
            for item in items {
                members(&format!("{place}[]"), item, found);
            }
            is("a list")
        }
        Value::Object(inner) => {
            for (name, value) in inner {
                members(&format!("{place}.{name}"), value, found);
            }
            is("an object")
        }
    };
    found.insert(kind);
}

fn shape(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    members("", value, &mut found);
    found
}

const CATALOG: &str = "
[[account]]
name = \"demo\"
[[account.template]]
name = \"rejected\"
class = \"notice\"
text = \"Hello\"
review = \"submitted\"
[[account.signature]]
text = \"Refused\"
review = \"submitted\"
[[carrier]]
name = \"vague\"
type = \"smpp\"
system_id = \"demo\"
[[route]]
prefixes = [\"447700900555\"]
carriers = [\"vague\"]
[[suppression]]
number = \"10000000077\"
kind = \"unsubscribed\"
account = \"demo\"
";

/// A node that posts everything of the demo account in every format, each to a receiver of its own.
struct Scenario {
    dev: Dev,
    receivers: Vec<Receiver>,
    _sim: Running,
}

impl Scenario {
    fn start(data: &std::path::Path) -> Self {
        let config = data.join("sim.toml");
        std::fs::write(&config, "[behaviour.receipts]\nstates = [\"UNKNOWN\"]\n").unwrap();
        let (sim, port) = sim(&["--config", config.to_str().unwrap()]);
        let dev = Dev::start(&data.join("data"));
        let receivers: Vec<Receiver> = OWNERS.iter().map(|_| Receiver::start()).collect();
        let mut catalog = CATALOG.replace(
            "type = \"smpp\"\n",
            &format!("type = \"smpp\"\nhost = \"127.0.0.1\"\nport = {port}\n"),
        );
        for (owner, receiver) in OWNERS.iter().zip(&receivers) {
            catalog.push_str(&format!(
                "[[account]]\nname = \"demo\"\n[[account.webhook]]\nname = \"{0}\"\nformat = \"{0}\"\nurl = \"{1}\"\n\
                 events = [\"accepted\", \"submitted\", \"ended\", \"inbound\", \"reviewed\"]\nsecret = \"whsec_c2VjcmV0\"\n{2}\n",
                owner.format, receiver.url, owner.settings
            ));
        }
        // One account may be named once.
        let catalog = merged(&catalog);
        let file = data.join("catalog.toml");
        std::fs::write(&file, catalog).unwrap();
        let applied = dev.tool(&["apply", file.to_str().unwrap()]);
        assert!(applied.status.success(), "{}", said(&applied));
        crate::testkit::eventually("the node to take the webhooks over", || {
            let metrics = curl(&[&format!("{}/metrics", dev.metrics())]);
            OWNERS
                .iter()
                .all(|owner| metrics.contains(&format!("name=\"{}\"", owner.format)))
                .then_some(())
        });
        // Setting an endpoint up calls nothing.
        assert!(receivers.iter().all(|receiver| receiver.calls().is_empty()));
        Self {
            dev,
            receivers,
            _sim: sim,
        }
    }

    /// Sends to a number over every wire.
    fn send(&self, number: &str) {
        let dev = &self.dev;
        // One of them with data of the caller's own.
        let own = if number == "+10000000010" {
            r#","UserId":"order 1""#
        } else {
            ""
        };
        let body = format!(
            r#"{{"TaskContent":[{{"TemplateId":"{}","SenderId":"Postrider","Target":[{{"Phone":"{number}","TemplateParams":["1234"]{own}}}]}}]}}"#,
            dev.text("/templates/code/ut_id")
        );
        let pair = format!(
            "{}:{}",
            dev.text("/uspeedo/access_key_id"),
            dev.text("/uspeedo/access_key_secret")
        );
        json(&curl(&[
            "-u",
            &pair,
            "-d",
            &body,
            &format!("{}/api/v1/usms/SendBatchUSMSMessage", dev.base()),
        ]));
        let code = dev.text("/templates/code/number");
        let digits = number.trim_start_matches('+');
        let (user, key) = (dev.text("/sendcloud/sms_user"), dev.text("/sendcloud/sms_key"));
        dev.sendcloud(
            &user,
            &key,
            "/smsapi/send",
            &[
                ("templateId", &code),
                ("phone", &format!("00{digits}")),
                ("msgType", "2"),
                ("vars", "{\"code\":\"1234\"}"),
            ],
        );
        let ucloud = (dev.text("/ucloud/public_key"), dev.text("/ucloud/private_key"));
        dev.ucloud(
            &ucloud.0,
            &ucloud.1,
            "SendUSMSMessage",
            &[
                ("ProjectId", &dev.text("/ucloud/project_id")),
                ("PhoneNumbers.0", number),
                ("SigContent", &dev.text("/ucloud/sig_content")),
                ("TemplateId", &dev.text("/templates/code/ut_id")),
                ("TemplateParams.0", "1234"),
            ],
        );
        for (user, secret, path, body) in [
            (
                "/engagelab/sms_user",
                "/engagelab/sms_key",
                "/v1/send",
                format!(r#"{{"to":["{number}"],"body":{{"template_id":{code},"vars":{{"code":"1234"}}}}}}"#),
            ),
            (
                "/engagelab/dev_key",
                "/engagelab/dev_secret",
                "/v1/messages",
                format!(r#"{{"to":["{number}"],"template":{{"id":"{code}","params":{{"code":"1234"}}}}}}"#),
            ),
        ] {
            let pair = format!("{}:{}", dev.text(user), dev.text(secret));
            json(&curl(&[
                "-u",
                &pair,
                "-d",
                &body,
                &format!("{}{path}", dev.base()),
            ]));
        }
    }

    /// Causes every kind of event.
    fn play(&self) {
        let dev = &self.dev;
        // Delivered, refused by the carrier, not delivered, suppressed, and a receipt that does not say.
        for number in [
            "+10000000010",
            "+10000000001",
            "+10000000002",
            "+10000000077",
            "+447700900555",
        ] {
            self.send(number);
        }
        let played = dev.tool(&["sandbox", "reply", "--from", "+10000000010", "Thanks"]);
        assert!(played.status.success(), "{}", said(&played));
        let templates = json(&said(&dev.tool(&[
            "template",
            "list",
            "--review",
            "submitted",
            "--json",
        ])));
        let number = text(&templates, "/templates/0/number");
        let rejected = dev.tool(&[
            "template",
            "reject",
            &number,
            "--reason",
            "says nothing of who sends it",
        ]);
        assert!(rejected.status.success(), "{}", said(&rejected));
        let signatures = json(&said(&dev.tool(&[
            "signature",
            "list",
            "--review",
            "submitted",
            "--json",
        ])));
        let signature = text(&signatures, "/signatures/0/number");
        let rejected = dev.tool(&["signature", "reject", &signature, "--reason", "not yours"]);
        assert!(rejected.status.success(), "{signatures} {}", said(&rejected));
        let tried = dev.tool(&["webhook", "test", "demo/standard"]);
        assert!(tried.status.success(), "{}", said(&tried));
    }
}

/// A catalog in which each account stands once.
fn merged(catalog: &str) -> String {
    let mut account = "[[account]]\nname = \"demo\"\n".to_owned();
    let mut rest = String::new();
    for part in catalog
        .split("[[")
        .skip(1)
        .filter(|part| !part.starts_with("account]]"))
    {
        let into = if part.starts_with("account.") {
            &mut account
        } else {
            &mut rest
        };
        into.push_str("[[");
        into.push_str(part);
    }
    account + &rest
}

/// The JSON examples of a page: all are calls of a format that the page owns.
fn examples(path: &str) -> Vec<Value> {
    let blocks = page::blocks(path);
    blocks
        .iter()
        .filter(|block| block.language == "json")
        .map(|block| json(&block.text))
        .collect()
}

/// Kind and shape of each thing that was posted so far, with the call.
fn posted(scenario: &Scenario) -> Vec<(String, BTreeSet<String>, Value)> {
    let mut posted = Vec::new();
    for (owner, receiver) in OWNERS.iter().zip(&scenario.receivers) {
        for call in receiver.calls().iter().filter(|call| !call.body.is_empty()) {
            for piece in pieces(&call.json()) {
                let kind = format!("{} {}", owner.format, (owner.kind)(&piece));
                posted.push((kind, shape(&piece), piece));
            }
        }
    }
    posted
}

#[test]
fn every_example_of_a_call_is_what_is_posted_and_every_kind_has_one() {
    let folder = folder();
    let scenario = Scenario::start(folder.path());
    scenario.play();
    let mut examples_of: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    for page in OWNERS.iter().map(|owner| owner.page).collect::<BTreeSet<_>>() {
        for example in examples(page).iter().flat_map(pieces) {
            let mut owned = OWNERS.iter().filter(|owner| owner.page == page);
            let owner = owned
                .find(|owner| !(owner.kind)(&example).is_empty())
                .unwrap_or_else(|| panic!("{page}: no format has {example}"));
            let kind = format!("{} {}", owner.format, (owner.kind)(&example));
            examples_of.entry(kind).or_default().push(shape(&example));
        }
    }
    let since = Instant::now();
    loop {
        let posted = posted(&scenario);
        let waited_for: Vec<String> = examples_of
            .iter()
            .flat_map(|(kind, shapes)| shapes.iter().map(move |shape| (kind, shape)))
            .filter(|(kind, shape)| !posted.iter().any(|(of, is, _)| of == *kind && is == *shape))
            .map(|(kind, shape)| format!("{kind}: {shape:#?}"))
            .collect();
        if waited_for.is_empty() {
            break;
        }
        if since.elapsed() > WAIT_MAX {
            let all: Vec<String> = posted
                .iter()
                .map(|(kind, _, call)| format!("{kind}: {call}"))
                .collect();
            panic!(
                "no call was as these examples:\n{}\nbut\n{}",
                waited_for.join("\n"),
                all.join("\n")
            );
        }
        std::thread::yield_now();
    }
    let all = posted(&scenario);
    let probes = all
        .iter()
        .filter(|(kind, ..)| kind == "standard endpoint.probe")
        .count();
    assert_eq!(probes, 1, "only `webhook test` makes one");
    let call = scenario.receivers[0].calls()[0].clone();
    let blocks = page::blocks(OWNERS[0].page);
    let shown = blocks.iter().find(|block| block.language == "http").unwrap();
    let (head, _) = shown.text.split_once("\n\n").unwrap();
    for line in head.lines().skip(1) {
        let (name, _) = line.split_once(": ").unwrap();
        assert!(!call.header(name).is_empty(), "a call has no header {name}");
    }
    for (kind, shape, call) in all {
        assert!(examples_of.contains_key(&kind), "{kind}: no example, but {call}");
        // A member may be of another type in another example of the format, such as null.
        let format = kind.split(' ').next().unwrap();
        let of_format = examples_of
            .iter()
            .filter(|(of, _)| of.split(' ').next() == Some(format));
        let known: BTreeSet<&String> = of_format.flat_map(|(_, shapes)| shapes).flatten().collect();
        let news: Vec<&String> = shape.iter().filter(|member| !known.contains(member)).collect();
        assert!(news.is_empty(), "{kind}: no example has {news:?} of {call}");
    }
}
