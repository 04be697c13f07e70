//! The catalog: what operators set up. Small enough to be held in memory whole, except suppressions.

use super::{AccountId, Caps, CarrierNo, Endpoint, EndpointId, UnixMs};
use serde::{Deserialize, Serialize};
use sms::class::Class;
use sms::opt_out::Words;
use sms::phone::Msisdn;

/// One vendor's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// uSpeedo REST v1.
    UspeedoRest,
    /// uSpeedo Action.
    UspeedoAction,
    /// UCloud Action.
    Ucloud,
    /// SendCloud.
    Sendcloud,
    /// EngageLab generation A (`/v1/send`).
    EngagelabA,
    /// EngageLab generation C (`/v1/messages`).
    EngagelabC,
}

impl Dialect {
    /// All of them, in the order of their stored numbers.
    pub const ALL: [Self; 6] = [
        Self::UspeedoRest,
        Self::UspeedoAction,
        Self::Ucloud,
        Self::Sendcloud,
        Self::EngagelabA,
        Self::EngagelabC,
    ];

    /// The stored number.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// From the stored number.
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }
}

/// Everything but suppressions, as one consistent whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// Grows with every change.
    pub version: u64,
    /// Tenants.
    pub accounts: Vec<Account>,
    /// Keys of all dialects.
    pub credentials: Vec<Credential>,
    /// Signatures of all accounts.
    pub signatures: Vec<Signature>,
    /// Templates of all accounts.
    pub templates: Vec<Template>,
    /// Carriers.
    pub carriers: Vec<Carrier>,
    /// Routes, by position.
    pub routes: Vec<Route>,
    /// Where the events of accounts are sent.
    pub endpoints: Vec<Endpoint>,
    /// Words that no text may have, for all accounts, by the names of their lists.
    pub blocked_words: Vec<WordList>,
}

/// A list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordList {
    /// Its unique name.
    pub name: Box<str>,
    /// The words, as written.
    pub words: Vec<Box<str>>,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its unique name in configuration files.
    pub name: Box<str>,
    /// Segments left; `None`: not counted. Read-only here: changed by [`CatalogChange::SetBalance`] and by sending.
    pub balance: Option<i64>,
    /// Its share of a carrier against other accounts, 1..=1000.
    pub weight: u16,
    /// Caps on what one number gets.
    pub caps: Caps,
    /// False for accounts that may not send (SendCloud 473, UCloud 173).
    pub may_send: bool,
    /// Senders it may use; empty: any.
    pub senders: Vec<Box<str>>,
    /// Words that no text of it may have, beside those of all accounts ([`Catalog::blocked_words`]).
    #[serde(default)]
    pub blocked_words: Vec<Box<str>>,
    /// Project ids (UCloud) it answers for; empty: any.
    pub project_ids: Vec<Box<str>>,
    /// True: templates and signatures are approved as soon as they are submitted.
    #[serde(default)]
    pub auto_approve: bool,
    /// Numbers and short codes whose inbound messages are its own; others go to who wrote last to that person.
    #[serde(default)]
    pub inbound_to: Vec<Box<str>>,
    /// Words that, sent alone, unsubscribe who sends them; compared as `sms::opt_out` says.
    #[serde(default)]
    pub opt_out_words: Vec<Box<str>>,
    /// How a request is answered whose id was used before with other content.
    #[serde(default, skip_serializing_if = "OtherContent::is_answer")]
    pub repeats_with_other_content: OtherContent,
    /// Words that, sent alone, take that back. `None`: [`OPT_IN_WORDS`], for accounts with words that unsubscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_in_words: Option<Vec<Box<str>>>,
}

/// How a request is answered whose request id was used before with other content. Nothing is sent either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherContent {
    /// As the first request was, as the vendors document it.
    #[default]
    Answer,
    /// That the id was used before, in the wire's words.
    Refuse,
}

impl OtherContent {
    /// Whether it is the default.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        *self == Self::Answer
    }
}

/// Words that subscribe again where an account names none of its own.
pub const OPT_IN_WORDS: [&str; 2] = ["START", "UNSTOP"];

impl Account {
    /// The keywords by which people opt out of the account's messages, or in again.
    #[must_use]
    pub fn words(&self) -> Words {
        let out = || self.opt_out_words.iter().map(|word| &**word);
        match &self.opt_in_words {
            Some(back) => Words::new(out(), back.iter().map(|word| &**word)),
            None if self.opt_out_words.is_empty() => Words::default(),
            None => Words::new(out(), OPT_IN_WORDS),
        }
    }
}

/// One key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Which family of wires takes it: `uspeedo`, `ucloud`, `sendcloud`, `engagelab`, `engagelab_dev`.
    pub family: Box<str>,
    /// The public part (key id, user).
    pub key: Box<str>,
    /// The secret part, sealed by the caller with the master key.
    pub sealed_secret: Vec<u8>,
    /// Whose.
    pub account: AccountId,
    /// False when switched off.
    pub enabled: bool,
    /// Requests a second that may be made with it; 0: no limit.
    pub requests_per_s_max: u32,
}

/// The state of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Not submitted yet.
    Draft,
    /// Waiting for, or in, review.
    Submitted,
    /// May be used.
    Approved,
    /// Refused, with a reason.
    Rejected,
    /// Switched off.
    Disabled,
}

/// A text signature, shown as `【text】` or `[text]` around the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose.
    pub account: AccountId,
    /// Its number, unique in the store.
    pub id: i64,
    /// Without brackets.
    pub text: Box<str>,
    /// Its review.
    pub review: Review,
    /// Why it was rejected.
    #[serde(default)]
    pub reason: Box<str>,
    /// What only its dialect knows of it (type, purpose, documents): a JSON object, or null.
    #[serde(default)]
    pub details: serde_json::Value,
    /// When it was made; 0 when nobody knows.
    #[serde(default)]
    pub created_at: UnixMs,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: UnixMs,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Before the content.
    Front,
    /// After the content.
    End,
}

/// A template in its newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Whose.
    pub account: AccountId,
    /// Its number, unique in the store (SendCloud, EngageLab).
    pub number: i64,
    /// Its `UT…` id, unique in the store (uSpeedo, UCloud).
    pub ut_id: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Traffic class of what is sent with it.
    pub class: Class,
    /// Content without signature.
    pub text: Box<str>,
    /// Its review.
    pub review: Review,
    /// Why it was rejected.
    pub reason: Box<str>,
    /// The signature bound to it.
    pub signature: Option<i64>,
    /// Where that signature stands.
    pub position: Position,
    /// Grows with every change of its text, signature or position. Earlier versions are kept: see
    /// [`TemplateVersion`].
    #[serde(default)]
    pub version: u32,
    /// How long a message with it may wait before it is sent, in seconds from when it is due; 0 for no end, `None` for
    /// what holds for its class.
    #[serde(default)]
    pub ttl_s: Option<u32>,
    /// What the account noted about it.
    #[serde(default)]
    pub remark: Box<str>,
    /// What only its dialect knows of it (tags, countries, attributes of variables): a JSON object, or null.
    #[serde(default)]
    pub details: serde_json::Value,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it last changed.
    pub updated_at: UnixMs,
}

/// What a template once was. Written when a [`CatalogChange::PutTemplate`] brings another version, never
/// changed, and removed with the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVersion {
    /// Which template.
    pub number: i64,
    /// Which version.
    pub version: u32,
    /// As it was last, with the review it had.
    pub template: Template,
}

/// An upstream carrier; its settings are the engine's, kept here as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// Its number.
    pub no: CarrierNo,
    /// Its unique name in configuration files.
    pub name: Box<str>,
    /// The engine's settings for it.
    pub settings: serde_json::Value,
}

/// A route; its rule is the engine's, kept here as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Routes are tried in this order.
    pub position: u32,
    /// The engine's rule.
    pub rule: serde_json::Value,
}

/// Why a number gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionKind {
    /// Blocked for everybody (SendCloud 410).
    Global,
    /// Blocked for one account (SendCloud 420).
    Blocked,
    /// The person opted out (SendCloud 430).
    Unsubscribed,
}

impl SuppressionKind {
    /// The code of a failure in processing (the SendCloud document, SMSHook error codes).
    pub const fn code(self) -> u16 {
        match self {
            Self::Global => 410,
            Self::Blocked => 420,
            Self::Unsubscribed => 430,
        }
    }
}

/// A number that gets nothing, from one account or from all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppression {
    /// `None`: from all accounts.
    pub account: Option<AccountId>,
    /// The number.
    pub msisdn: Msisdn,
    /// Why.
    pub kind: SuppressionKind,
}

/// How a number came to be suppressed. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionOrigin {
    /// Not known: before this was kept.
    #[default]
    Unknown,
    /// By an operator, from the command line.
    Operator,
    /// By a catalog file that was applied.
    File,
    /// By the account, over its vendor's API.
    Api,
    /// By a word that the person wrote.
    Inbound,
    /// By an operator, from a list that was imported.
    Import,
}

impl SuppressionOrigin {
    /// All of them, in the order of their stored numbers.
    pub const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Operator,
        Self::File,
        Self::Api,
        Self::Inbound,
        Self::Import,
    ];

    /// The stored number.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// From the stored number.
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Operator => "operator",
            Self::File => "file",
            Self::Api => "api",
            Self::Inbound => "inbound",
            Self::Import => "import",
        }
    }
}

/// A suppression with its proof: when, how, and by whom and why it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionEntry {
    /// What is suppressed.
    pub suppression: Suppression,
    /// When; 0 when nobody knows.
    pub created_at: UnixMs,
    /// How.
    pub origin: SuppressionOrigin,
    /// Who did it and why, in words; for a person's own word the message it was in (`inbound ID`).
    pub note: Box<str>,
}

/// One change to the catalog.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CatalogChange {
    /// Adds or replaces an account (its balance is left alone).
    PutAccount(Account),
    /// Removes an account with its credentials, signatures and templates.
    RemoveAccount(AccountId),
    /// Sets a balance.
    SetBalance(AccountId, Option<i64>),
    /// Adds or replaces a credential.
    PutCredential(Credential),
    /// Removes a credential by family and key.
    RemoveCredential(Box<str>, Box<str>),
    /// Adds or replaces a signature. One that leaves [`Review::Submitted`] appends an event.
    PutSignature(Signature),
    /// Removes a signature.
    RemoveSignature(i64),
    /// Adds or replaces an endpoint.
    PutEndpoint(Endpoint),
    /// Removes an endpoint with all that waits for it.
    RemoveEndpoint(EndpointId),
    /// Adds or replaces a template. One that leaves [`Review::Submitted`] appends an event.
    PutTemplate(Template),
    /// Removes a template by number.
    RemoveTemplate(i64),
    /// Adds or replaces a carrier.
    PutCarrier(Carrier),
    /// Removes a carrier.
    RemoveCarrier(CarrierNo),
    /// Replaces all routes.
    ReplaceRoutes(Vec<Route>),
    /// Adds or replaces a list of words that no text may have.
    PutBlockedWords(WordList),
    /// Removes such a list by its name.
    RemoveBlockedWords(Box<str>),
    /// Adds a suppression of which no proof is known. One that is there stays as it is.
    PutSuppression(Suppression),
    /// Adds a suppression with its proof. One that is there stays as it is: the first proof counts.
    Suppress(SuppressionEntry),
    /// Removes a suppression.
    RemoveSuppression(Suppression),
}

/// What a change of the catalog relies on. It is checked in the transaction that makes the change, so two changes
/// conflict only when one of them touches what the other relies on: what something is stored as is its version.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CatalogExpectation {
    /// The template is stored exactly so: nobody changed it since it was read.
    Template(Box<Template>),
    /// No template has this number, and none this `UT…` id.
    NoTemplate {
        /// The number.
        number: i64,
        /// The `UT…` id.
        ut_id: Box<str>,
    },
    /// No template of the account has the name, but for one.
    TemplateName {
        /// Whose.
        account: AccountId,
        /// The name.
        name: Box<str>,
        /// The number of the template that may have it.
        except: Option<i64>,
    },
    /// The account has fewer templates than this.
    FewerTemplates(AccountId, usize),
    /// The signature is stored exactly so: nobody changed it since it was read.
    Signature(Box<Signature>),
    /// No signature has this id.
    NoSignature(i64),
    /// No signature of the account has the text, but for one.
    SignatureText {
        /// Whose.
        account: AccountId,
        /// The text.
        text: Box<str>,
        /// The id of the signature that may have it.
        except: Option<i64>,
    },
    /// The account has the signature.
    HasSignature(AccountId, i64),
    /// No template of the account names the signature.
    UnusedSignature(AccountId, i64),
    /// The account has fewer signatures than this.
    FewerSignatures(AccountId, usize),
}
