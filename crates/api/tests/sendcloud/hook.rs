//! SMSHook over what a real engine has stored: the ids are those of the answers.

use super::*;
use api::sendcloud::hook::SmsHook;
use engine::catalog::EndpointEntry;
use engine::notify::{Call, Format, Stamp, Subject, Telling};
use engine::sms::state::MessageState;
use engine::{Endpoint, EndpointId, Event, EventKinds, EventPlace, EventWhat, MessageId, MessageView};
use house::ACCOUNT;
use std::time::Duration;

fn endpoint() -> EndpointEntry {
    EndpointEntry {
        endpoint: Endpoint {
            id: EndpointId(1),
            account: ACCOUNT,
            name: "hook".into(),
            format: "sendcloud".into(),
            url: "https://hook.example/sms".into(),
            kinds: EventKinds::ALL,
            settings: Value::Null,
            sealed_secret: Vec::new(),
            enabled: true,
        },
        secret: "demo_app_key".into(),
    }
}

fn call(house: &House, what: EventWhat, subject: Subject) -> BTreeMap<String, String> {
    let telling = Telling {
        event: Event {
            place: EventPlace { row: 1, index: 0 },
            at: house.engine.now(),
            what,
        },
        subject,
    };
    let stamp = Stamp {
        now: house.engine.now(),
        random: [1; 32],
        public_ids: Arc::new(house.engine.public_ids().clone()),
    };
    let calls: Vec<Call> = SmsHook.calls(&endpoint(), &[telling], &stamp);
    let [call] = &*calls else { panic!("{calls:?}") };
    form_urlencoded::parse(&call.body).into_owned().collect()
}

async fn ended(house: &House, first: MessageId) -> Vec<MessageView> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let messages = house.engine.session(ACCOUNT, first, 10).await.unwrap();
        if messages.iter().all(|message| message.state.is_final()) {
            return messages;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not in time: {messages:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_hook_names_messages_as_the_answer_did() {
    let house = House::start().await;
    let request = replaced(
        &replaced(&send_fields(), "phone", "13800138000,008613800000420"),
        "tag",
        r#"{"order": 17}"#,
    );
    let answer = house.ask(signed("/smsapi/send", &request)).await;
    assert_eq!(code_of(&answer), 200);
    let sms_ids = answer.json()["info"]["smsIds"].clone();
    let (first, _) = house
        .engine
        .public_ids()
        .read_message(ACCOUNT, sms_ids[0].as_str().unwrap())
        .unwrap();
    let messages = ended(&house, first).await;

    let accepted = EventWhat::Accepted { first, count: 2 };
    let told = call(&house, accepted, Subject::Batch(messages.clone()));
    assert_eq!(serde_json::from_str::<Value>(&told["smsIds"]).unwrap(), sms_ids);
    for (name, expected) in [
        ("event", "request"),
        ("phones", r#"["13800138000","008613800000420"]"#),
        ("smsUser", USER),
        ("userId", "1"),
        ("templateId", "1001"),
        ("customArgs", r#"{"order": 17}"#),
        ("msgCount", "2"),
    ] {
        assert_eq!(told[name], expected, "{name}");
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
        let told = call(&house, what, Subject::Message(Box::new(message.clone())));
        assert_eq!((&*told["event"], &json!(told["smsId"])), (event, sms_id));
        let status = status_until(
            &house,
            sms_id.as_str().unwrap(),
            told.get("statusCode").map_or(200, |code| code.parse().unwrap()),
        )
        .await;
        assert_eq!(status["total"], "1", "the status query knows the hook's id");
    }
}
