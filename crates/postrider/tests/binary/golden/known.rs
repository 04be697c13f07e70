//! `known.json`: what the program that created a store knew of it. Members keep their names and meanings, since the files of earlier
//! releases have them; new ones need a default.

use crate::smsc::Part;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the program that created the store knew of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Known {
    /// When the node was killed, in Unix seconds.
    pub(super) killed_at_s: i64,
    /// Queries, and sends that suppressions, blocked words and frequency caps reject.
    pub(super) responses: Vec<Exchange>,
    /// Accepted requests with an idempotency record, and the response to a repeat.
    pub(super) repeats: Vec<Exchange>,
    /// Session numbers, message ids and plan ids, each with the number of its first message.
    pub(super) ids: Vec<(String, String)>,
    /// Messages in a final state.
    pub(super) messages: Vec<StoredMessage>,
    /// From, to and text.
    pub(super) inbound: Vec<[String; 3]>,
    /// Number, account and kind.
    pub(super) suppressions: Vec<[String; 3]>,
    /// Tasks that are done or scheduled.
    pub(super) tasks: Vec<StoredTask>,
    /// Messages to be sent at once.
    pub(super) queued: Vec<QueuedMessage>,
    /// A message to be sent at this time, in Unix seconds.
    pub(super) scheduled: (QueuedMessage, i64),
    /// A message whose parts got no response and are sent again. The store has a receipt for each part under this message id
    /// plus the number of the part.
    pub(super) unmatched_receipts: (SentMessage, u64),
    /// A message that is held in doubt.
    pub(super) held: SentMessage,
    /// Messages that await a receipt: carrier, message, the carrier's message id.
    pub(super) without_receipt: Vec<(String, SentMessage, u64)>,
    /// A task that was interrupted.
    pub(super) task: InterruptedTask,
    /// A number that opted out with a keyword, and a send that is rejected for that reason.
    pub(super) opted_out: (String, Exchange),
    /// An inbound message of which the store has the first part.
    pub(super) partial_inbound: PartialInbound,
    pub(super) webhooks: Webhooks,
    /// Reports that were not pulled: session number and formatted phone number.
    pub(super) reports: Vec<(String, String)>,
    /// Concatenation references in use, by number.
    pub(super) references: Vec<(String, u16)>,
    /// Number of messages of the first account.
    pub(super) message_count: u64,
    /// The day before and the day after, as `2026-11-30`.
    pub(super) days: (String, String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SentMessage {
    /// Digits with country code.
    pub(super) to: String,
    /// The session number, message id or plan id of the response.
    pub(super) id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct QueuedMessage {
    pub(super) carrier: String,
    pub(super) message: SentMessage,
    pub(super) text: String,
    /// Numbers of the parts that the carrier accepted.
    pub(super) accepted_parts: Vec<u8>,
    /// The concatenation reference of these parts.
    pub(super) reference: Option<u16>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredMessage {
    /// As in the response.
    pub(super) id: String,
    pub(super) to: String,
    pub(super) account: String,
    pub(super) carrier: String,
    pub(super) state: String,
    pub(super) error: String,
    pub(super) segments: u64,
    pub(super) attempts: u64,
    pub(super) text: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTask {
    pub(super) no: i64,
    pub(super) state: String,
    pub(super) accepted: u64,
    pub(super) refused: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct InterruptedTask {
    pub(super) no: i64,
    pub(super) carrier: String,
    pub(super) template: i64,
    /// Numbers.
    pub(super) members: Vec<String>,
    /// Messages that the carrier received: number and message id.
    pub(super) submitted: Vec<(String, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartialInbound {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) second: String,
    pub(super) part: Part,
    pub(super) whole: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Webhooks {
    /// `webhook-id` and body of a delivered call.
    pub(super) delivered: (String, String),
    /// The number of a message whose call failed and is to be retried.
    pub(super) failed: String,
    /// Session numbers in dead letters.
    pub(super) dead: Vec<String>,
    /// The message id in a call that a pause holds back.
    pub(super) paused: String,
}

/// A request to one of the APIs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Path, and the query of a GET or the body of a POST.
    UspeedoRest(String, Vec<(String, String)>, Option<Value>),
    /// Body.
    UspeedoAction(Value),
    /// Action and parameters.
    Ucloud(String, Vec<(String, String)>),
    /// Path and fields.
    Sendcloud(String, Vec<(String, String)>),
    /// Path, and the query of a GET or the body of a POST. Credentials of the family `engagelab`.
    Engagelab(String, Vec<(String, String)>, Option<Value>),
    /// The same with credentials of the family `engagelab_dev`.
    EngagelabDev(String, Vec<(String, String)>, Option<Value>),
}

/// A request and its response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Exchange {
    pub(super) account: String,
    pub(super) idempotency_key: Option<String>,
    pub(super) request: Request,
    pub(super) response: Value,
}
