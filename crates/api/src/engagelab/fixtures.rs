//! Events as the engine hands them to a format, for the tests of both.

use engine::catalog::{EndpointEntry, Position, Review, Template};
use engine::public_id::PublicIds;
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Msisdn;
use engine::sms::state::MessageState;
use engine::webhooks::{EventPayload, Stamp, Subject};
use engine::{
    AccountId, BatchView, CarrierNo, Dialect, Endpoint, EndpointId, Event, EventKinds, EventOffset,
    EventWhat, Inbound, InboundId, MessageId, MessageView, UnixMs,
};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;
use store::DimensionsNo;

pub(super) const SECRET: &str = "demo_app_secret";
pub(super) const ACCOUNT: AccountId = AccountId(15);
pub(super) const TEMPLATE: i64 = 881_599;
pub(super) const TO: &str = "+12673800456";
pub(super) const CUSTOM: &str = r#"{"k": "小", "n": 1.50}"#;
/// 2026-11-22 00:30:00.123 in China.
pub(super) const ACCEPTED: UnixMs = 1_795_278_600_123;
/// Nineteen seconds later.
pub(super) const HAPPENED: UnixMs = ACCEPTED + 19_000;

pub(super) fn ids() -> PublicIds {
    PublicIds::new(&[7; 32])
}

/// What an answer's id begins with.
pub(super) fn prefix() -> String {
    ids().message_prefix(ACCOUNT, MessageId::first_at(ACCEPTED), TEMPLATE)
}

pub(super) fn stamp() -> Stamp {
    Stamp {
        now: HAPPENED + 1,
        random: [9; 32],
        public_ids: Arc::new(ids()),
    }
}

pub(super) fn endpoint(format: &str, settings: Value, secret: &str) -> EndpointEntry {
    EndpointEntry {
        endpoint: Endpoint {
            id: EndpointId(1),
            account: ACCOUNT,
            name: "hook".into(),
            format: format.into(),
            url: "https://hook.example/sms".into(),
            kinds: EventKinds::ALL,
            settings,
            sealed_secret: Vec::new(),
            enabled: true,
        },
        secret: SecretString::from(secret),
    }
}

pub(super) fn batch(dialect: Dialect) -> Arc<BatchView> {
    let first = MessageId::first_at(ACCEPTED);
    Arc::new(BatchView {
        accepted_at: ACCEPTED,
        id: first,
        session: first,
        count: 1,
        account: ACCOUNT,
        dialect,
        user: "demo".into(),
        dimensions: DimensionsNo(1),
        class: Class::Otp,
        kind: Kind::Text,
        message_type: None,
        template: TEMPLATE,
        text: "Your code is 8341".into(),
        sender: Some("Acme".into()),
        label: 231,
        custom: Some(CUSTOM.into()),
        due: None,
        expires_at: None,
    })
}

/// A message of a batch. `attempts` 0 is one that never left.
pub(super) fn message(
    batch: &Arc<BatchView>,
    no: i64,
    state: MessageState,
    error: &str,
    attempts: u8,
) -> MessageView {
    MessageView {
        id: batch.session.plus(no),
        batch: Arc::clone(batch),
        msisdn: Msisdn::from_digits("12673800456").unwrap(),
        written: TO.into(),
        params: None,
        extra: None,
        segments: 2,
        state,
        carrier: CarrierNo(1),
        attempts,
        submitted_at: None,
        changed_at: HAPPENED,
        status: 0,
        error: error.into(),
        cause: None,
        by_receipt: false,
    }
}

pub(super) fn payload(what: EventWhat, subject: Subject) -> EventPayload {
    EventPayload {
        event: Event {
            offset: EventOffset { row: 1, index: 0 },
            at: HAPPENED,
            what,
        },
        subject,
    }
}

/// A message that came to the state it is in.
pub(super) fn came(message: MessageView) -> EventPayload {
    let what = EventWhat::Message {
        id: message.id,
        state: message.state,
        error: message.error.clone(),
    };
    payload(what, Subject::Message(Box::new(message)))
}

/// A request to so many numbers was accepted.
pub(super) fn accepted(dialect: Dialect, count: i64) -> EventPayload {
    let batch = batch(dialect);
    let messages = (0..count).map(|no| message(&batch, no, MessageState::Queued, "", 0));
    let what = EventWhat::Accepted {
        first: batch.session,
        count: u32::try_from(count).unwrap(),
    };
    payload(what, Subject::Batch(messages.collect()))
}

pub(super) fn inbound(from: &str, account: Option<AccountId>) -> EventPayload {
    let inbound = Inbound {
        id: InboundId(77),
        account,
        carrier: CarrierNo(1),
        from: from.into(),
        to: "10690".into(),
        text: "STOP".into(),
        binary: None,
        answers: None,
        received_at: HAPPENED,
    };
    payload(
        EventWhat::Inbound { id: inbound.id },
        Subject::Inbound(Box::new(inbound)),
    )
}

pub(super) fn reviewed(review: Review) -> EventPayload {
    let template = Template {
        account: ACCOUNT,
        number: TEMPLATE,
        ut_id: "UTA1".into(),
        name: "Welcome".into(),
        class: Class::Marketing,
        text: "Hello".into(),
        review,
        reason: "no signature".into(),
        signature: None,
        position: Position::Front,
        version: 1,
        ttl_s: None,
        remark: Box::default(),
        details: Value::Null,
        created_at: 0,
        updated_at: 0,
    };
    let what = EventWhat::TemplateReviewed {
        number: TEMPLATE,
        review,
    };
    payload(what, Subject::Template(Box::new(template)))
}

/// Any event about any message.
pub(super) fn any_payload(dialect: Dialect) -> impl Strategy<Value = EventPayload> {
    let message = (
        prop::sample::select(&MessageState::ALL[..]),
        "[0-9]{0,4}|.{0,12}",
        0_u8..3,
        prop_oneof![Just(0_u32), Just(0x0B), any::<u32>()],
        prop::option::of(0_i64..HAPPENED),
        ".{0,20}",
        prop::option::of("\\{\"k\": ?[0-9]{1,5}\\}|.{0,9}"),
    );
    message.prop_map(
        move |(state, error, attempts, status, submitted_at, written, custom)| {
            let mut batch = (*batch(dialect)).clone();
            batch.custom = custom.map(Box::from);
            came(MessageView {
                status,
                submitted_at,
                written: written.into(),
                ..self::message(&Arc::new(batch), 0, state, &error, attempts)
            })
        },
    )
}
