//! What an operator writes: the catalog as a declarative TOML file.
//!
//! Every entry keeps its place in the file, so that a complaint can name the line. Entries with secrets are not
//! `Debug`: nothing here can print one by accident.

use crate::config::At;
use engine::catalog::{Position, Review, RouteRule, SuppressionKind};
use serde::Deserialize;
use sms::class::Class;
use std::path::PathBuf;
use store::EventKinds;
use toml::Spanned;

/// A catalog file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) account: Vec<Spanned<AccountEntry>>,
    pub(crate) carrier: Vec<Spanned<toml::Table>>,
    pub(crate) route: Vec<Spanned<RouteRule>>,
    pub(crate) suppression: Vec<Spanned<SuppressionEntry>>,
}

/// One tenant with all that is its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountEntry {
    pub(crate) name: String,
    pub(crate) id: Option<u32>,
    #[serde(default = "one")]
    pub(crate) weight: u16,
    /// Segments to begin with; absent: not counted.
    pub(crate) balance: Option<i64>,
    #[serde(default)]
    pub(crate) per_minute_max: u32,
    #[serde(default)]
    pub(crate) per_day_max: u32,
    #[serde(default = "yes")]
    pub(crate) may_send: bool,
    #[serde(default)]
    pub(crate) senders: Vec<String>,
    #[serde(default)]
    pub(crate) project_ids: Vec<String>,
    #[serde(default)]
    pub(crate) auto_approve: bool,
    #[serde(default)]
    pub(crate) inbound_to: Vec<String>,
    #[serde(default)]
    pub(crate) opt_out_words: Vec<String>,
    #[serde(default)]
    pub(crate) credential: Vec<Spanned<CredentialEntry>>,
    #[serde(default)]
    pub(crate) signature: Vec<Spanned<SignatureEntry>>,
    #[serde(default)]
    pub(crate) template: Vec<Spanned<TemplateEntry>>,
    #[serde(default)]
    pub(crate) webhook: Vec<Spanned<WebhookEntry>>,
}

/// One key pair of an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialEntry {
    pub(crate) family: Family,
    pub(crate) key: String,
    /// May be left out when the store has one already.
    pub(crate) secret: Option<String>,
    pub(crate) secret_env: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
}

/// Which wires take a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Family {
    /// uSpeedo REST v1 and Action.
    Uspeedo,
    /// UCloud Action.
    Ucloud,
    /// SendCloud.
    Sendcloud,
    /// EngageLab generation A: `sms_user:sms_key`.
    Engagelab,
    /// EngageLab generation C: `dev_key:dev_secret`.
    EngagelabDev,
}

impl Family {
    /// Its name in the store.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uspeedo => "uspeedo",
            Self::Ucloud => "ucloud",
            Self::Sendcloud => "sendcloud",
            Self::Engagelab => "engagelab",
            Self::EngagelabDev => "engagelab_dev",
        }
    }

    /// Whether the pair travels as `key:secret`, so that the key may not contain a colon (RFC 7617 section 2).
    pub(crate) const fn is_basic(self) -> bool {
        matches!(self, Self::Uspeedo | Self::Engagelab | Self::EngagelabDev)
    }
}

/// One text signature of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignatureEntry {
    pub(crate) text: String,
    #[serde(default = "approved")]
    pub(crate) review: Review,
}

/// One template of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateEntry {
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) text: String,
    /// The text of one of the account's signatures.
    pub(crate) signature: Option<String>,
    #[serde(default = "front")]
    pub(crate) position: Position,
    #[serde(default = "approved")]
    pub(crate) review: Review,
    #[serde(default)]
    pub(crate) reason: String,
    pub(crate) number: Option<i64>,
    pub(crate) ut_id: Option<String>,
}

/// One endpoint at which an account is told its events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookEntry {
    pub(crate) name: String,
    /// The form of its calls.
    pub(crate) format: String,
    /// Empty for a form that is asked instead of calling.
    #[serde(default)]
    pub(crate) url: String,
    pub(crate) events: Vec<EventName>,
    /// May be left out when the store has one already; empty takes that one away.
    pub(crate) secret: Option<String>,
    pub(crate) secret_env: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
    /// The form's own settings.
    #[serde(default)]
    pub(crate) settings: toml::Table,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
}

/// What an endpoint can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventName {
    /// A batch was accepted.
    Accepted,
    /// A carrier took a message.
    Submitted,
    /// A message came to a final state.
    Ended,
    /// A person wrote.
    Inbound,
    /// A template or signature was reviewed.
    Reviewed,
}

impl EventName {
    /// All of them, in the order in which they are told of one message.
    pub(crate) const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Submitted,
        Self::Ended,
        Self::Inbound,
        Self::Reviewed,
    ];

    /// How it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Submitted => "submitted",
            Self::Ended => "ended",
            Self::Inbound => "inbound",
            Self::Reviewed => "reviewed",
        }
    }

    /// How the store has it.
    pub(crate) const fn kind(self) -> EventKinds {
        match self {
            Self::Accepted => EventKinds::ACCEPTED,
            Self::Submitted => EventKinds::SUBMITTED,
            Self::Ended => EventKinds::ENDED,
            Self::Inbound => EventKinds::INBOUND,
            Self::Reviewed => EventKinds::REVIEWED,
        }
    }

    /// The names of stored kinds.
    pub(crate) fn of(kinds: EventKinds) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |name| kinds.contains(name.kind()))
    }
}

/// One number that gets nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuppressionEntry {
    pub(crate) number: String,
    pub(crate) kind: SuppressionKind,
    /// The account it holds for; absent: all.
    pub(crate) account: Option<String>,
}

impl File {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first thing that does not read, with its line.
    pub(crate) fn parse(text: &str) -> Result<Self, At> {
        toml::from_str(text).map_err(|error| At::parsing(text, &error))
    }
}

const fn one() -> u16 {
    1
}

const fn yes() -> bool {
    true
}

const fn approved() -> Review {
    Review::Approved
}

const fn front() -> Position {
    Position::Front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_the_usual_value() {
        let file = File::parse(
            "[[account]]\nname = \"acme\"\n[[account.template]]\nname = \"code\"\nclass = \"otp\"\ntext = \"{code}\"\n",
        )
        .unwrap();
        let account = file.account[0].get_ref();
        assert_eq!(
            (account.weight, account.may_send, account.balance),
            (1, true, None)
        );
        let template = account.template[0].get_ref();
        assert_eq!(
            (template.review, template.position),
            (Review::Approved, Position::Front)
        );
    }

    #[test]
    fn what_does_not_read_is_named_with_its_line() {
        let cases = [
            (
                "[[account]]\nname = \"a\"\nwieght = 2",
                "line 3: unknown field `wieght`",
            ),
            ("[[account]]\nweight = 2", "line 1: missing field `name`"),
            ("[[acount]]\n", "line 1: unknown field `acount`"),
            (
                "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"usp\"",
                "line 4: unknown variant `usp`",
            ),
            ("[[route]]\ncarrier = [\"n\"]", "line 2: unknown field `carrier`"),
            (
                "[[suppression]]\nnumber = 447700900123",
                "line 2: invalid type: integer",
            ),
            (
                "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\nformat = \"standard\"\nevents = [\n  \"ended\",\n  \"delivered\",\n]",
                "line 8: unknown variant `delivered`, expected one of `accepted`, `submitted`, `ended`",
            ),
            (
                "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\nformat = \"standard\"",
                "line 3: missing field `events`",
            ),
        ];
        for (text, expected) in cases {
            let complaint = File::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(complaint.starts_with(expected), "{text:?} gave: {complaint}");
        }
    }

    #[test]
    fn each_entry_knows_its_line() {
        let text = "\n\n[[account]]\nname = \"a\"\n\n[[account]]\nname = \"b\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\n";
        let file = File::parse(text).unwrap();
        let lines: Vec<usize> = file
            .account
            .iter()
            .map(|entry| At::new(text, &entry.span(), "").line)
            .collect();
        assert_eq!(lines, [3, 6]);
        let template = &file.account[1].get_ref().template[0];
        assert_eq!(At::new(text, &template.span(), "").line, 8);
    }
}
