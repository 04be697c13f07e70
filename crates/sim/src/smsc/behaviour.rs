//! How the simulator behaves: everything that can be changed while it runs.
//!
//! The default is a carrier without faults that answers at once and reports delivery 100 ms later.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use smpp::CommandStatus;
use sms::state::ReceiptState;

use super::spelling::{Status, Word};

/// A span of whole numbers: `50`, or `[20, 200]` for anything between, drawn for each case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.min == self.max {
            self.min.serialize(serializer)
        } else {
            [self.min, self.max].serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let span = match value.as_array().map(Vec::as_slice) {
            None => value.as_u64().map(Self::fixed),
            Some([min, max]) => min.as_u64().zip(max.as_u64()).map(|(min, max)| Self { min, max }),
            Some(_) => None,
        };
        span.ok_or_else(|| D::Error::custom("a span is a number, or two: [least, most]"))
    }
}

impl Span {
    /// Always the same.
    #[must_use]
    pub const fn fixed(value: u64) -> Self {
        Self {
            min: value,
            max: value,
        }
    }

    /// Whether it can be nothing but zero: the fault it stands for is off.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.max == 0
    }
}

/// Everything that can be changed while the simulator runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How binds are answered.
    pub binds: Binds,
    /// How messages are answered.
    pub answers: Answers,
    /// How much is taken before senders are throttled.
    pub limits: Limits,
    /// What is reported about messages, and when.
    pub receipts: Receipts,
    /// What goes wrong with connections.
    pub faults: Faults,
    /// Inbound messages (MO) that the simulator generates.
    #[serde(rename = "mo", alias = "people")]
    pub mo_generator: MoGenerator,
    /// What happens to numbers that begin with a prefix. The first rule that applies decides.
    pub rules: Vec<Rule>,
}

/// How binds are answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Binds {
    /// Milliseconds until a bind is answered.
    pub delay_ms: Span,
    /// Share of binds that is refused, 0 to 1.
    pub refused_share: f64,
    /// So many binds are refused first, counted from when this was set.
    pub refused_first: u64,
    /// The status that refused binds are answered with.
    pub refused_with: Status,
}

impl Default for Binds {
    fn default() -> Self {
        Self {
            delay_ms: Span::default(),
            refused_share: 0.0,
            refused_first: 0,
            refused_with: Status(CommandStatus::RBINDFAIL),
        }
    }
}

/// How messages are answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Milliseconds from a `submit_sm` to its answer. Answers overtake each other when this is a span.
    pub delay_ms: Span,
    /// Share of messages that is taken but never answered, 0 to 1.
    pub silent_share: f64,
}

/// How much is taken before senders are throttled. Zero means: no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages a second and bind; more are answered `ESME_RTHROTTLED`.
    pub rate_per_s_max: u32,
    /// Messages of one bind that wait for their answer; more are answered `ESME_RTHROTTLED`.
    pub window_max: u32,
    /// Messages of one system id whose receipt has not left; more are answered `ESME_RMSGQFUL`.
    pub queue_max: usize,
}

/// How the receipt says what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As text (SMPP 3.4 Appendix B) and in optional parameters.
    #[default]
    Both,
    /// As text only, like SMPP 3.3.
    Text,
    /// In optional parameters only, with an empty text.
    Tlvs,
}

/// What is reported about messages, and when. The shares add up to 1 at most; what they leave is reported normally.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receipts {
    /// Off: nothing is reported, whatever `registered_delivery` requests.
    pub enabled: bool,
    /// Milliseconds from the message to its receipt.
    pub delay_ms: Span,
    /// Share of receipts that leave before the `submit_sm_resp`, 0 to 1.
    pub early_share: f64,
    /// Milliseconds by which an early receipt goes ahead when it must go over another bind.
    pub early_lead_ms: u64,
    /// Share of receipts that come late, 0 to 1.
    pub late_share: f64,
    /// Milliseconds until a late receipt leaves.
    pub late_delay_ms: Span,
    /// Share of receipts that come twice, 0 to 1.
    pub twice_share: f64,
    /// Share of receipts that never come, 0 to 1.
    pub never_share: f64,
    /// One receipt for a whole long message, for the part that made it whole; needs `count_by =
    /// "destination_and_part"`. Off: one for each part.
    pub for_whole: bool,
    /// Receipts that are due together leave in another order.
    pub shuffled: bool,
    /// What receipts say, one receipt for each; the last should be final. A rule can say otherwise.
    pub states: Vec<Word>,
    /// Milliseconds between the receipts of one message, when `states` has several.
    pub step_ms: u64,
    /// `err` of receipts that report a failure, three characters.
    pub error: String,
    /// Where the receipt says what it says.
    pub form: Form,
    /// Dates in the text have seconds.
    pub seconds: bool,
    /// The first 20 characters of an ASCII text follow `text:`.
    pub excerpt: bool,
    /// Receipts of one bind that wait for their answer, 1 or more.
    pub window_max: usize,
    /// Milliseconds until a receipt that was answered with an error is sent again.
    pub retry_ms: u64,
    /// Milliseconds until a receipt that was not answered is sent again.
    pub timeout_ms: u64,
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            enabled: true,
            delay_ms: Span::fixed(100),
            early_share: 0.0,
            early_lead_ms: 20,
            late_share: 0.0,
            late_delay_ms: Span::fixed(5_000),
            twice_share: 0.0,
            never_share: 0.0,
            for_whole: false,
            shuffled: false,
            states: vec![Word(ReceiptState::Delivered)],
            step_ms: 100,
            error: "001".to_owned(),
            form: Form::Both,
            seconds: false,
            excerpt: false,
            window_max: 1_000,
            retry_ms: 1_000,
            timeout_ms: 30_000,
        }
    }
}

/// What a peer may be sent that it cannot understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garbage {
    /// A command id that SMPP does not define.
    UnknownCommand,
    /// A `deliver_sm` whose `sm_length` leads out of its body.
    BrokenBody,
    /// A `deliver_sm` whose last optional parameter leads out of its body.
    BrokenTlv,
    /// A `submit_sm_resp` without a request.
    UnknownResponse,
    /// A `deliver_sm` with a sender of octets that are not ASCII.
    NotAscii,
    /// A `command_length` of 4 GiB: the end of the session.
    BrokenLength,
}

impl Garbage {
    /// What leaves the session whole.
    pub const HARMLESS: [Self; 5] = [
        Self::UnknownCommand,
        Self::BrokenBody,
        Self::BrokenTlv,
        Self::UnknownResponse,
        Self::NotAscii,
    ];
}

/// What goes wrong with connections. Zero means: never.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The connection is cut after so many messages of a bind, in the middle of its window: answers that have not left
    /// are lost.
    pub disconnect_after: Span,
    /// The connection is cut so many milliseconds after the bind, in the same way.
    pub disconnect_after_ms: Span,
    /// Share of the messages after the cut that are taken all the same, 0 to 1. The client cannot know of these.
    pub cut_taken_share: f64,
    /// Garbage is sent after so many messages, and again after as many.
    pub garbage_after: Span,
    /// Which garbage; empty: any that leaves the session whole.
    pub garbage: Vec<Garbage>,
    /// Milliseconds to wait after every read: a slow peer.
    pub read_pause_ms: u64,
    /// Octets written at once, with a pause of a millisecond between; 0: all.
    pub write_octets_max: usize,
    /// Nothing is read any more, and nothing answered; the connection stays.
    pub reading_paused: bool,
    /// Everything is read and nothing answered, `enquire_link` included; the connection stays.
    pub hanging: bool,
    /// Milliseconds between the simulator's own `enquire_link`s.
    pub enquire_link_ms: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            disconnect_after: Span::default(),
            disconnect_after_ms: Span::default(),
            cut_taken_share: 0.5,
            garbage_after: Span::default(),
            garbage: Vec::new(),
            read_pause_ms: 0,
            write_octets_max: 0,
            reading_paused: false,
            hanging: false,
            enquire_link_ms: 0,
        }
    }
}

/// Generates inbound messages (MO) at a rate, in one part or several. Each text begins with `message` and its number,
/// from 1 in eight digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoGenerator {
    /// Messages a second; 0: none.
    pub per_s: f64,
    /// Messages in all, counted from the start of the simulator; 0: without end.
    pub messages_max: u64,
    /// The `system_id` that receives them; empty: of all that have ever bound the first by name.
    pub system_id: String,
    /// Destination numbers or codes, in turns.
    pub to: Vec<String>,
    /// The first sender, digits with country code.
    pub from_first: u64,
    /// Number of senders, in turns; their numbers are consecutive.
    pub senders: u64,
    /// Parts of a message, 1 to [`super::InboundCounts::PARTS_MAX`].
    pub parts: Span,
    /// Share of messages that need UCS-2, 0 to 1.
    pub unicode_share: f64,
    /// Share of parts that are delivered again although they were acknowledged, 0 to 1.
    pub repeat_share: f64,
    /// Milliseconds until they are.
    pub repeat_after_ms: Span,
}

impl Default for MoGenerator {
    fn default() -> Self {
        Self {
            per_s: 0.0,
            messages_max: 0,
            system_id: String::new(),
            to: vec!["12345".to_owned()],
            // A thousand numbers that the regulator reserves for drama: no subscriber has them.
            from_first: 447_700_900_000,
            senders: 1_000,
            parts: Span::fixed(1),
            unicode_share: 0.0,
            repeat_share: 0.0,
            repeat_after_ms: Span::fixed(500),
        }
    }
}

/// When the receipt of a rule's messages comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// After `delay_ms`.
    Normal,
    /// Before the answer to the message.
    Early,
    /// After `late_delay_ms`.
    Late,
    /// After `delay_ms`, and again.
    Twice,
    /// Not at all.
    Never,
}

/// Another way to answer a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instead {
    /// The message is taken and not answered.
    Silence,
    /// The message is taken and the connection cut.
    Disconnect,
    /// The connection is cut and the message not taken.
    DisconnectUntaken,
}

/// What happens to numbers that begin with a prefix. What is not said is as for all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Beginning of the number, digits as they come in `destination_addr`. Empty: every number.
    pub prefix: String,
    /// In which share of the cases the rule applies, 0 to 1; not said: always.
    pub share: Option<f64>,
    /// How often the rule applies, counted from when it was set; not said: without end.
    pub times_max: Option<u64>,
    /// How often the rule applies to one message (see [`super::CountBy`]); not said: without end.
    pub times_per_message_max: Option<u16>,
    /// What the message is answered with; not said: `ESME_ROK`.
    pub status: Option<Status>,
    /// How the message is answered, if not with an answer.
    pub instead: Option<Instead>,
    /// Milliseconds until the answer.
    pub answer_delay_ms: Option<Span>,
    /// What the receipts say.
    pub states: Option<Vec<Word>>,
    /// `err` of the receipts.
    pub error: Option<String>,
    /// When the receipts come.
    pub receipt: Option<Timing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_as_it_is_written() {
        let behaviour: Behaviour = toml::from_str(
            r#"
            answers.delay_ms = [10, 90]
            receipts = { late_share = 0.25, form = "tlvs", states = ["ACCEPTD", "DELIVRD"] }
            faults = { disconnect_after = 500, garbage = ["broken_length"] }
            [[rules]]
            prefix = "4477009001"
            status = "RTHROTTLED"
            times_per_message_max = 2
            [[rules]]
            prefix = "4477009001"
            states = ["UNDELIV"]
            receipt = "twice"
            [[rules]]
            status = 0x400
            "#,
        )
        .unwrap();
        behaviour.check().unwrap();
        assert_eq!(behaviour.answers.delay_ms, Span { min: 10, max: 90 });
        assert_eq!(behaviour.faults.disconnect_after, Span::fixed(500));
        assert_eq!(behaviour.rules[0].status, Some(Status(CommandStatus::RTHROTTLED)));
        assert_eq!(
            behaviour.rules[1].states,
            Some(vec![Word(ReceiptState::Undeliverable)])
        );
        assert_eq!(behaviour.rules[2].status, Some(Status(CommandStatus(0x400))));
    }

    #[test]
    fn what_is_written_out_reads_the_same() {
        let behaviour = Behaviour {
            rules: vec![Rule::default()],
            ..Behaviour::default()
        };
        let text = serde_json::to_string(&behaviour).unwrap();
        assert_eq!(serde_json::from_str::<Behaviour>(&text).unwrap(), behaviour);
    }
}
