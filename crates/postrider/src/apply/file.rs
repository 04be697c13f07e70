//! The catalog file: the catalog as declarative TOML.
//!
//! Every key is optional here: an entry changes only the keys that it names, and the plan checks what a new one needs.
//! Entries keep the positions of their keys for error messages with line numbers. Entries with secrets are not `Debug`,
//! so that no secret is printed by accident.

use super::entry::{Entry, RawEntry, Reader};
use crate::config::{Mistakes, unknown_key};
use engine::catalog::{Position, Review, SuppressionKind, TlvMap};
use serde::{Deserialize, Serialize};
use sms::class::{Class, Kind};
use std::path::PathBuf;
use store::{EventKinds, OtherContent};
use toml::de::DeTable;

/// A catalog file.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) account: Vec<AccountEntry>,
    pub(crate) carrier: Vec<RawEntry>,
    pub(crate) route: Vec<Entry<RouteKeys>>,
    pub(crate) suppression: Vec<Entry<SuppressionKeys>>,
    pub(crate) blocked_words: Vec<Entry<BlockedWordsKeys>>,
    /// What is invalid in the file.
    pub(crate) mistakes: Mistakes,
}

/// An account with all entries nested in it.
pub(crate) struct AccountEntry {
    pub(crate) own: Entry<AccountKeys>,
    pub(crate) credential: Vec<Entry<CredentialKeys>>,
    pub(crate) signature: Vec<Entry<SignatureKeys>>,
    pub(crate) template: Vec<Entry<TemplateKeys>>,
    pub(crate) webhook: Vec<Entry<WebhookKeys>>,
}

/// The keys of an account.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccountKeys {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<u32>,
    pub(crate) weight: Option<u16>,
    /// Initial balance in segments; without it a new account is not counted.
    pub(crate) balance: Option<i64>,
    pub(crate) per_minute_max: Option<u32>,
    pub(crate) per_day_max: Option<u32>,
    pub(crate) may_send: Option<bool>,
    pub(crate) senders: Option<Vec<String>>,
    /// Words that no text of this account may have, in addition to those for all accounts.
    pub(crate) blocked_words: Option<Vec<String>>,
    pub(crate) project_ids: Option<Vec<String>>,
    pub(crate) auto_approve: Option<bool>,
    pub(crate) repeats_with_other_content: Option<OtherContent>,
    pub(crate) inbound_to: Option<Vec<String>>,
    pub(crate) opt_out_words: Option<Vec<String>>,
    /// Without it, the default words apply to an account that has `opt_out_words`.
    pub(crate) opt_in_words: Option<Vec<String>>,
}

impl AccountKeys {
    /// Keys that `reset` takes.
    const RESETS: &'static [&'static str] = &[
        "weight",
        "balance",
        "per_minute_max",
        "per_day_max",
        "may_send",
        "senders",
        "blocked_words",
        "project_ids",
        "auto_approve",
        "repeats_with_other_content",
        "inbound_to",
        "opt_out_words",
        "opt_in_words",
    ];
}

/// The keys of a credential.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CredentialKeys {
    pub(crate) family: Option<Family>,
    pub(crate) key: Option<String>,
    /// Optional when the store has one already.
    pub(crate) secret: Option<String>,
    pub(crate) secret_env: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) enabled: Option<bool>,
    /// 0: no limit.
    pub(crate) requests_per_s_max: Option<u32>,
}

/// The APIs that accept a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
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
    /// The name in the store.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uspeedo => "uspeedo",
            Self::Ucloud => "ucloud",
            Self::Sendcloud => "sendcloud",
            Self::Engagelab => "engagelab",
            Self::EngagelabDev => "engagelab_dev",
        }
    }

    /// Parses the name in the store.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Uspeedo,
            Self::Ucloud,
            Self::Sendcloud,
            Self::Engagelab,
            Self::EngagelabDev,
        ];
        all.into_iter().find(|family| family.name() == name)
    }

    /// Whether the pair is sent as `key:secret`, so that the key must not contain a colon (RFC 7617 section 2).
    pub(crate) const fn is_basic(self) -> bool {
        matches!(self, Self::Uspeedo | Self::Engagelab | Self::EngagelabDev)
    }
}

/// The keys of a signature.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignatureKeys {
    pub(crate) text: Option<String>,
    pub(crate) review: Option<Review>,
    pub(crate) tlvs: Option<TlvMap>,
}

impl SignatureKeys {
    /// Keys that `reset` takes.
    const RESETS: &'static [&'static str] = &["review", "tlvs"];
}

/// The keys of a template.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TemplateKeys {
    pub(crate) name: Option<String>,
    pub(crate) number: Option<i64>,
    pub(crate) ut_id: Option<String>,
    pub(crate) class: Option<Class>,
    pub(crate) text: Option<String>,
    /// The text of one of the account's signatures.
    pub(crate) signature: Option<String>,
    pub(crate) position: Option<Position>,
    pub(crate) review: Option<Review>,
    pub(crate) reason: Option<String>,
    /// Time to live in seconds; 0 for none.
    pub(crate) ttl_s: Option<u32>,
    pub(crate) tlvs: Option<TlvMap>,
}

impl TemplateKeys {
    /// Keys that `reset` takes.
    const RESETS: &'static [&'static str] = &["signature", "position", "review", "reason", "ttl_s", "tlvs"];
}

/// The keys of a webhook.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebhookKeys {
    pub(crate) name: Option<String>,
    /// The webhook format.
    pub(crate) format: Option<String>,
    /// Empty for a format that is polled.
    pub(crate) url: Option<String>,
    pub(crate) events: Option<Vec<EventName>>,
    /// Optional when the store has one already; an empty one deletes it.
    pub(crate) secret: Option<String>,
    pub(crate) secret_env: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
    /// Settings of the format, changed member by member.
    pub(crate) settings: Option<serde_json::Map<String, serde_json::Value>>,
    pub(crate) enabled: Option<bool>,
}

impl WebhookKeys {
    /// Keys that `reset` takes.
    const RESETS: &'static [&'static str] = &["url", "secret", "settings", "enabled"];
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventName {
    /// A batch was accepted.
    Accepted,
    /// A carrier accepted a message.
    Submitted,
    /// A message reached a final state.
    Ended,
    /// An inbound message arrived.
    Inbound,
    /// A template or signature was reviewed.
    Reviewed,
}

impl EventName {
    /// All of them, in the order in which a message has them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Submitted,
        Self::Ended,
        Self::Inbound,
        Self::Reviewed,
    ];

    /// The name in files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Submitted => "submitted",
            Self::Ended => "ended",
            Self::Inbound => "inbound",
            Self::Reviewed => "reviewed",
        }
    }

    /// The bit in the store.
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

/// The keys of a route.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteKeys {
    pub(crate) name: Option<String>,
    pub(crate) prefixes: Option<Vec<String>>,
    pub(crate) accounts: Option<Vec<String>>,
    pub(crate) classes: Option<Vec<Class>>,
    pub(crate) kinds: Option<Vec<Kind>>,
    pub(crate) senders: Option<Vec<String>>,
    pub(crate) carriers: Option<Vec<String>>,
    pub(crate) enabled: Option<bool>,
}

impl RouteKeys {
    /// Keys that `reset` takes.
    const RESETS: &'static [&'static str] =
        &["prefixes", "accounts", "classes", "kinds", "senders", "enabled"];
}

/// A suppressed number.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SuppressionKeys {
    pub(crate) number: Option<String>,
    pub(crate) kind: Option<SuppressionKind>,
    /// The account it applies to; absent: all.
    pub(crate) account: Option<String>,
}

/// A list of words that no text may have, for all accounts.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BlockedWordsKeys {
    pub(crate) name: Option<String>,
    pub(crate) words: Option<Vec<String>>,
}

/// The lists of a file.
const LISTS: [&str; 5] = ["account", "carrier", "route", "suppression", "blocked_words"];
/// The lists of an account.
const OWNED: [&str; 4] = ["credential", "signature", "template", "webhook"];

impl File {
    /// Parses a file: all valid entries, and the mistakes in [`File::mistakes`].
    pub(crate) fn parse(text: &str) -> Self {
        let (mut reader, document) = Reader::parse(text);
        let root = document.get_ref();
        for key in root.keys().filter(|key| !LISTS.contains(&key.get_ref().as_ref())) {
            // Keys after a header with a syntax error belong to that header.
            if reader.is_stray(key.span().start) {
                continue;
            }
            let mistake = unknown_key(&key.span(), "", key.get_ref(), LISTS.into_iter());
            reader.mistakes.push(mistake);
        }
        let mut file = Self::default();
        for (span, table) in reader.entries(root, "account", "account") {
            let name = member(table, "name");
            let subject = format!("account {name:?}");
            let raw = reader.raw(span, table, &OWNED, &subject);
            file.account.push(AccountEntry {
                own: reader.read(raw, &subject, AccountKeys::RESETS),
                credential: owned(&mut reader, table, "credential", &["enabled"], &|entry| {
                    format!("{name}/{}/{}", member(entry, "family"), member(entry, "key"))
                }),
                signature: owned(&mut reader, table, "signature", SignatureKeys::RESETS, &|entry| {
                    format!("{name}/{}", member(entry, "text"))
                }),
                template: owned(&mut reader, table, "template", TemplateKeys::RESETS, &|entry| {
                    format!("{name}/{}", member(entry, "name"))
                }),
                webhook: owned(&mut reader, table, "webhook", WebhookKeys::RESETS, &|entry| {
                    format!("{name}/{}", member(entry, "name"))
                }),
            });
        }
        for (span, table) in reader.entries(root, "carrier", "carrier") {
            let subject = format!("carrier {:?}", member(table, "name"));
            file.carrier.push(reader.raw(span, table, &[], &subject));
        }
        for (at, (span, table)) in reader.entries(root, "route", "route").into_iter().enumerate() {
            let subject = route_subject(at, member(table, "name"));
            let raw = reader.raw(span, table, &[], &subject);
            file.route.push(reader.read(raw, &subject, RouteKeys::RESETS));
        }
        for (span, table) in reader.entries(root, "suppression", "suppression") {
            let raw = reader.raw(span, table, &[], "suppression");
            file.suppression.push(reader.read(raw, "suppression", &[]));
        }
        for (span, table) in reader.entries(root, "blocked_words", "blocked_words") {
            let subject = format!("blocked words {:?}", member(table, "name"));
            let raw = reader.raw(span, table, &[], &subject);
            file.blocked_words.push(reader.read(raw, &subject, &[]));
        }
        file.mistakes = reader.mistakes;
        file
    }
}

/// How messages name a route: by its name, or by its number in the file. `at` counts from 0.
pub(crate) fn route_subject(at: usize, name: &str) -> String {
    if name.is_empty() {
        format!("route {}", at + 1)
    } else {
        format!("route {name:?}")
    }
}

/// The entries of one list of an account.
fn owned<'d, 't, T: Default + serde::de::DeserializeOwned>(
    reader: &mut Reader<'t>,
    account: &'d DeTable<'t>,
    list: &str,
    may_reset: &[&str],
    called: &dyn Fn(&DeTable<'t>) -> String,
) -> Vec<Entry<T>> {
    let entries = reader.entries(account, list, &format!("account.{list}"));
    let read = entries.into_iter().map(|(span, table)| {
        let subject = format!("{list} {}", called(table));
        let raw = reader.raw(span, table, &[], &subject);
        reader.read(raw, &subject, may_reset)
    });
    read.collect()
}

/// A string of a table; empty when there is none.
fn member<'d>(table: &'d DeTable<'_>, key: &str) -> &'d str {
    table
        .get(key)
        .and_then(|value| value.get_ref().as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_there() {
        let file = File::parse(
            "[[account]]\nname = \"acme\"\n[[account.template]]\nname = \"code\"\nclass = \"otp\"\ntext = \"{code}\"\n",
        );
        assert!(file.mistakes.is_empty());
        let account = &file.account[0];
        assert_eq!(
            (
                account.own.keys.weight,
                account.own.keys.may_send,
                account.own.keys.balance
            ),
            (None, None, None)
        );
        let template = &account.template[0].keys;
        assert_eq!((template.review, template.position), (None, None));
    }

    #[test]
    fn what_does_not_read_is_named_with_its_line() {
        let cases = [
            (
                "[[account]]\nname = \"a\"\nwieght = 2",
                "line 3: account \"a\": unknown key `wieght`; did you mean `weight`?",
            ),
            (
                "[[acount]]\n",
                "line 1: unknown key `acount`; did you mean `account`?",
            ),
            (
                "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"usp\"",
                "line 4: credential a/usp/: `family` is \"usp\"; it must be one of \"uspeedo\", \"ucloud\",",
            ),
            (
                "[[route]]\ncarrier = [\"n\"]",
                "line 2: route 1: unknown key `carrier`; did you mean `carriers`?",
            ),
            (
                "[[suppression]]\nnumber = 447700900123",
                "line 2: suppression: `number` must be a string in quotes, not a whole number",
            ),
            (
                "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\nformat = \"standard\"\nevents = [\n  \"ended\",\n  \"delivered\",\n]",
                "line 8: webhook a/w: `events[1]` is \"delivered\"; it must be one of \"accepted\", \"submitted\", \"ended\"",
            ),
        ];
        for (text, expected) in cases {
            let mistakes = File::parse(text).mistakes.finish(text);
            let complaint = mistakes.to_string();
            assert!(
                mistakes.list.len() == 1 && complaint.starts_with(expected),
                "{text:?} gave: {complaint}"
            );
        }
    }

    #[test]
    fn each_entry_and_key_knows_its_line() {
        let text = "\n\n[[account]]\nname = \"a\"\n\n[[account]]\nname = \"b\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\n";
        let file = File::parse(text);
        let line = |at: std::ops::Range<usize>| 1 + text[..at.start].matches('\n').count();
        let lines: Vec<usize> = file
            .account
            .iter()
            .map(|entry| line(entry.own.raw.span.clone()))
            .collect();
        assert_eq!(lines, [3, 6]);
        let template = &file.account[1].template[0];
        assert_eq!(
            (line(template.raw.span.clone()), line(template.at("class"))),
            (8, 10)
        );
    }
}
