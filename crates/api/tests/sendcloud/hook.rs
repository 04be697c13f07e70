//! SMSHook over what a real engine has stored: the ids are those of the answers.

use super::*;
use api::sendcloud::hook::SmsHook;
use engine::catalog::EndpointEntry;
use engine::sms::state::MessageState;
use engine::webhooks::{Call, EventPayload, Format, Stamp, Subject};
use engine::{Event, EventOffset, EventWhat, MessageId, MessageView};
use hmac::{Hmac, Mac};
use testkit::fake_endpoint::{FakeEndpoint, ReceivedCall, SECRET, endpoint};
use testkit::{ACCOUNT, until};

fn call(node: &TestNode, what: EventWhat, subject: Subject) -> BTreeMap<String, String> {
    let payload = EventPayload {
        event: Event {
            offset: EventOffset { row: 1, index: 0 },
            at: node.engine.now(),
            what,
        },
        subject,
    };
    let stamp = Stamp {
        now: node.engine.now(),
        random: [1; 32],
        public_ids: Arc::new(node.engine.public_ids().clone()),
    };
    let entry = EndpointEntry {
        endpoint: endpoint("sendcloud", "https://hook.example/sms", Value::Null),
        secret: SECRET.into(),
    };
    let calls: Vec<Call> = SmsHook.calls(&entry, &[payload], &stamp);
    let [call] = &*calls else { panic!("{calls:?}") };
    form_urlencoded::parse(&call.body).into_owned().collect()
}

async fn ended(node: &TestNode, first: MessageId) -> Vec<MessageView> {
    until(async || {
        let messages = node.engine.session(ACCOUNT, first, 10).await.unwrap();
        if messages.iter().all(|message| message.state.is_final()) {
            Ok(messages)
        } else {
            Err(messages)
        }
    })
    .await
}

#[tokio::test]
async fn the_hook_names_messages_as_the_answer_did() {
    let node = TestNode::start().await;
    let request = replaced(
        &replaced(&send_fields(), "phone", "13800138000,008613800000420"),
        "tag",
        r#"{"order": 17}"#,
    );
    let answer = node.ask(signed("/smsapi/send", &request)).await;
    assert_eq!(code_of(&answer), 200);
    let sms_ids = answer.json()["info"]["smsIds"].clone();
    let (first, _) = node
        .engine
        .public_ids()
        .read_message(ACCOUNT, sms_ids[0].as_str().unwrap())
        .unwrap();
    let messages = ended(&node, first).await;

    let accepted = EventWhat::Accepted { first, count: 2 };
    let reported = call(&node, accepted, Subject::Batch(messages.clone()));
    assert_eq!(
        serde_json::from_str::<Value>(&reported["smsIds"]).unwrap(),
        sms_ids
    );
    for (name, expected) in [
        ("event", "request"),
        ("phones", r#"["13800138000","008613800000420"]"#),
        ("smsUser", USER),
        ("userId", "1"),
        ("templateId", "1001"),
        ("customArgs", r#"{"order": 17}"#),
        ("msgCount", "2"),
    ] {
        assert_eq!(reported[name], expected, "{name}");
    }
    for (message, sms_id, event, state) in [
        (&messages[0], &sms_ids[0], "deliver", MessageState::Delivered),
        (&messages[1], &sms_ids[1], "workererror", MessageState::Rejected),
    ] {
        assert_eq!(message.state, state);
        let what = EventWhat::Message {
            id: message.id,
            state: message.state,
            error: message.error.clone(),
        };
        let reported = call(&node, what, Subject::Message(Box::new(message.clone())));
        assert_eq!((&*reported["event"], &json!(reported["smsId"])), (event, sms_id));
        let status = status_until(
            &node,
            sms_id.as_str().unwrap(),
            reported
                .get("statusCode")
                .map_or(200, |code| code.parse().unwrap()),
        )
        .await;
        assert_eq!(status["total"], "1", "the status query knows the hook's id");
    }
}

/// Waits for an event; its fields.
async fn received_events(receiver: &FakeEndpoint, event: &str) -> BTreeMap<String, String> {
    let reported = |came: &ReceivedCall| came.form().get("event").is_some_and(|name| name == event);
    let came = receiver.until(|came| came.iter().any(reported)).await;
    let came = came.iter().find(|came| reported(came)).unwrap();
    assert_eq!(came.method, Method::POST);
    assert_eq!(came.header("content-type"), FORM);
    let fields = came.form();
    let signed = format!("{}{}", fields["timestamp"], fields["token"]);
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    assert_eq!(fields["signature"], hex(&mac.finalize().into_bytes()), "{event}");
    fields
}

/// Goal: an account's endpoint receives every event of its messages, under the ids of the response to the send.
#[tokio::test]
async fn an_endpoint_receives_every_event() {
    let node = TestNode::start().await;
    let receiver = FakeEndpoint::start().await;
    let hook = endpoint("sendcloud", &receiver.url(), json!({ "sms_user": USER }));
    node.start_webhooks(hook.clone()).await;
    let entry = Arc::clone(node.engine.catalog().endpoint(hook.id).unwrap());
    node.engine.probe_endpoint(&entry).await.unwrap();
    let came = receiver.until(|came| came.len() >= 2).await;
    let methods: Vec<_> = came.iter().map(|came| came.method.clone()).collect();
    assert_eq!(methods, [Method::GET, Method::POST], "the probe");

    let request = replaced(&send_fields(), "phone", "13800138000,13800000430,0010000000018");
    let answer = node.ask(signed("/smsapi/send", &request)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    let sms_ids = answer.json()["info"]["smsIds"].clone();
    let reported = received_events(&receiver, "request").await;
    let reported_ids: Vec<Value> = serde_json::from_str::<Value>(&reported["smsIds"])
        .unwrap()
        .as_array()
        .unwrap()
        .clone();
    assert!(
        reported_ids
            .iter()
            .all(|id| sms_ids.as_array().unwrap().contains(id)),
        "{reported:?}"
    );
    for (event, sms_id, name, value) in [
        ("deliver", &sms_ids[0], "message", "Successfully delivered"),
        ("workererror", &sms_ids[1], "statusCode", "430"),
        ("delivererror", &sms_ids[2], "statusCode", "580"),
    ] {
        let reported = received_events(&receiver, event).await;
        assert_eq!(
            (&json!(reported["smsId"]), &*reported[name]),
            (sms_id, value),
            "{event}"
        );
        assert_eq!(reported["smsUser"], USER);
    }

    node.engine
        .review_template(ACCOUNT, PENDING, engine::catalog::Review::Rejected, "too short")
        .await
        .unwrap();
    let reported = received_events(&receiver, "templateVerify").await;
    for (name, expected) in [
        ("templateId", PENDING.to_string().as_str()),
        ("name", "pending"),
        ("verfiyResult", "-1"),
        ("verfiyComment", "too short"),
        ("smsUser", USER),
    ] {
        assert_eq!(reported[name], expected, "{name}");
    }
}
