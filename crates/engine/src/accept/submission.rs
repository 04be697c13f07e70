//! The submission: one request as a dialect has parsed it.

use super::Outcome;
use serde::{Deserialize, Serialize};
use sms::class::{Class, Kind};
use sms::phone::Grammar;
use std::fmt;
use std::sync::Arc;
use store::{AccountId, Dialect, SuppressedPolicy, UnixMs};

/// One request to send.
#[derive(Debug)]
pub struct Submission {
    /// Whose.
    pub account: AccountId,
    /// The wire it came on.
    pub dialect: Dialect,
    /// The public part of the credential it came with; empty when there was none.
    pub user: Arc<str>,
    /// One item a combination of template and sender; each becomes a batch. At least one.
    pub items: Vec<Item>,
    /// True: all items answer to one session number (Action dialects); false: each to its own (REST v1).
    pub one_session: bool,
    /// Text or voice.
    pub kind: Kind,
    /// The requested message type, as the dialect numbers it, for dialects that return it; else `None`.
    pub message_type: Option<u8>,
    /// Label number, 0 for none.
    pub label: i64,
    /// The caller's own data, echoed back in callbacks: a JSON text.
    pub custom: Option<Box<str>>,
    /// When to send; `None` for at once.
    pub due: Option<UnixMs>,
    /// When what still waits of it ends, whatever its time to live; `None`: the time to live alone decides.
    pub ends_at: Option<UnixMs>,
    /// How strict the wire is.
    pub rules: Rules,
}

/// One combination of template, sender and values.
#[derive(Debug)]
pub struct Item {
    /// Which text.
    pub template: TemplateRef,
    /// Requested source address; empty means none.
    pub sender: Option<Box<str>>,
    /// Which signature goes around the text.
    pub signature: SignatureRef,
    /// Values common to all recipients; a recipient's own win.
    pub values: Values,
    /// The recipients in the order of the request.
    pub recipients: Vec<Recipient>,
}

/// How a wire names a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateRef {
    /// By number (SendCloud, EngageLab).
    Number(i64),
    /// By `UT…` id (uSpeedo, UCloud).
    UtId(Box<str>),
    /// By any of the two: EngageLab C's ids are texts.
    Any(Box<str>),
    /// The text of a template as it was when it was looked up, whatever became of the template since: a task sends
    /// to all what was approved when it was made.
    #[serde(rename = "frozen")]
    Pinned(Arc<TemplateSnapshot>),
    /// A text of ours, for codes without a template of one's own (SendCloud sendCode, sendVoice).
    BuiltIn(BuiltIn),
}

/// A template's text as it was approved, signature included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSnapshot {
    /// The template's number.
    pub number: i64,
    /// Its class.
    pub class: Class,
    /// Its own time to live in seconds, if it sets one; 0 for no end.
    #[serde(default)]
    pub ttl_s: Option<u32>,
    /// Its content without signature: what placeholders and their positions are taken from.
    pub content: Box<str>,
    /// With the signature in the brackets used in mainland China.
    pub domestic: Arc<str>,
    /// With the signature as it is shown elsewhere.
    pub international: Arc<str>,
}

/// Texts of ours. Their numbers are negative, as seen in the vendor's own webhook samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuiltIn {
    /// A code by text; one variable `code`.
    Code,
    /// A code by voice; one variable `code`.
    VoiceCode,
}

impl BuiltIn {
    /// Its template number.
    pub const fn number(self) -> i64 {
        match self {
            Self::Code => -3,
            Self::VoiceCode => -4,
        }
    }

    /// Its text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Code => "Your verification code is %code%.",
            Self::VoiceCode => "Your verification code is %code%.",
        }
    }
}

/// How a wire names a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureRef {
    /// The one bound to the template, if any.
    OfTemplate,
    /// By its text; must be approved for the account (UCloud, sendCode).
    Text(Box<str>),
    /// By its id; must be approved for the account (sendCode).
    Id(i64),
}

/// Values for a template's variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Values {
    /// None given.
    #[default]
    None,
    /// By position: the first fills the first variable.
    Positional(Vec<Box<str>>),
    /// By name, with or without percent signs.
    Named(Vec<(Box<str>, Box<str>)>),
}

/// One recipient as the request has it.
#[derive(Debug, Clone, Default)]
pub struct Recipient {
    /// The number as written.
    pub phone: Box<str>,
    /// Its own values; [`Values::None`] takes the item's.
    pub values: Values,
    /// Per-recipient data to keep and echo (a JSON object), such as uSpeedo's `UserId` and `ExtendCode`.
    pub extra: Option<Box<str>>,
    /// Set when the dialect itself has found something wrong with it already.
    pub refused: Option<super::Refusal>,
}

/// How strict a wire is. Each dialect module states its own, from its contract file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How numbers are written.
    pub grammar: Grammar,
    /// The same number twice in one item.
    pub duplicates: Duplicates,
    /// Longest value in characters; `None`: no limit.
    pub value_chars_max: Option<usize>,
    /// Whether values may contain `http://` or `https://`.
    pub links_in_values: bool,
    /// A variable without a value.
    pub missing: Missing,
    /// More positional values than variables, or names the template does not have: true refuses.
    pub refuse_surplus: bool,
    /// Longest final text in characters (signature included); `None`: what 255 segments hold.
    pub text_chars_max: Option<usize>,
    /// A final text longer than that.
    pub overlong: Overlong,
    /// A final text with a word that may not be sent.
    #[serde(default)]
    pub forbidden: Forbidden,
    /// Longest sender in characters.
    pub sender_chars_max: usize,
    /// Shortest sender in characters, when one is given.
    pub sender_chars_min: usize,
    /// True: only English letters and digits in the sender.
    pub sender_alphanumeric: bool,
    /// What happens to recipients on a suppression list.
    pub suppressed: SuppressedPolicy,
}

/// The same number twice in one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Each is a message of its own.
    Allow,
    /// The first is taken, the others are refused.
    RefuseLater,
}

/// A variable without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The recipient is refused.
    Refuse,
    /// The placeholder is sent as it stands (EngageLab C).
    Literal,
    /// The recipient is accepted and fails in processing with this code (SendCloud 450).
    Fail(u16),
}

/// A text longer than the wire allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    /// The recipient is refused.
    Refuse,
    /// The recipient is accepted and fails in processing with this code (SendCloud 460).
    Fail(u16),
}

/// A text with a word that may not be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forbidden {
    /// The recipient is refused.
    #[default]
    Refuse,
    /// The recipient is accepted and fails in processing with this code (SendCloud 440).
    Fail(u16),
}

/// Makes a request idempotent.
pub struct Idempotency {
    /// Separates id spaces: the dialect's own field, or the header.
    pub scope: &'static str,
    /// The caller's request id.
    pub key: Box<str>,
    /// How long the id is remembered, in milliseconds.
    pub keep_ms: i64,
    /// Renders the answer that is recorded and returned to every repeat.
    pub reply: RecordReply,
}

/// See [`Idempotency::reply`].
pub type RecordReply = Box<dyn FnOnce(&Submission, &Outcome) -> Vec<u8> + Send>;

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
