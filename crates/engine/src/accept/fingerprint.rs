//! The fingerprint by which requests with the same id are compared: of their meaning, not of their octets.

use super::{Item, SignatureRef, Submission, TemplateRef, Values};
use sha2::{Digest, Sha256};

/// A 64-bit hash of the content of a submission: equal for two requests that only differ in how they are written (the order
/// of members, blanks, escapes, a form or JSON). The account, the credential and the wire are no part of it.
///
/// The same on every machine and in every version, since it is stored and compared later: the first eight octets of a
/// SHA-256 over the parts, each text behind its length.
pub(crate) fn of(submission: &Submission) -> u64 {
    let mut parts = Parts(Sha256::new());
    parts.submission(submission);
    parts.finish()
}

/// The fingerprint of a task: its content, its name and its lists.
pub(crate) fn of_task(submission: &Submission, name: &str, lists: &[i64]) -> u64 {
    let mut parts = Parts(Sha256::new());
    parts.submission(submission);
    parts.text(name);
    parts.number(lists.len() as i64);
    lists.iter().for_each(|list| parts.number(*list));
    parts.finish()
}

struct Parts(Sha256);

impl Parts {
    fn submission(&mut self, submission: &Submission) {
        self.number(i64::from(submission.kind == sms::class::Kind::Voice));
        self.number(submission.message_type.map_or(-1, i64::from));
        self.number(submission.label);
        self.optional(submission.custom.as_deref());
        self.number(submission.due.unwrap_or(-1));
        self.number(submission.ends_at.unwrap_or(-1));
        self.number(submission.items.len() as i64);
        for item in &submission.items {
            self.item(item);
        }
    }

    fn finish(self) -> u64 {
        let digest = self.0.finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |hash, octet| hash << 8 | u64::from(*octet))
    }

    fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as i64);
        self.0.update(text);
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.number(-1),
        }
    }

    fn item(&mut self, item: &Item) {
        match &item.template {
            TemplateRef::Number(number) => self.tagged_number(0, *number),
            TemplateRef::UtId(id) => self.tagged_text(1, id),
            TemplateRef::Any(id) => self.tagged_text(2, id),
            TemplateRef::Pinned(text) => self.tagged_number(3, text.number),
            TemplateRef::BuiltIn(text) => self.tagged_number(4, text.number()),
        }
        self.text(item.sender.as_deref().unwrap_or_default());
        match &item.signature {
            SignatureRef::OfTemplate => self.number(0),
            SignatureRef::Text(text) => self.tagged_text(1, text),
            SignatureRef::Id(id) => self.tagged_number(2, *id),
        }
        self.values(&item.values);
        self.number(item.recipients.len() as i64);
        for recipient in &item.recipients {
            self.text(&recipient.phone);
            self.values(&recipient.values);
            self.optional(recipient.extra.as_deref());
        }
    }

    fn tagged_number(&mut self, tag: i64, number: i64) {
        self.number(tag);
        self.number(number);
    }

    fn tagged_text(&mut self, tag: i64, text: &str) {
        self.number(tag);
        self.text(text);
    }

    fn values(&mut self, values: &Values) {
        match values {
            Values::None => self.number(0),
            Values::Positional(values) => {
                self.tagged_number(1, values.len() as i64);
                values.iter().for_each(|value| self.text(value));
            }
            Values::Named(values) => {
                self.tagged_number(2, values.len() as i64);
                // Values are matched by name, so their order has no meaning.
                let mut sorted: Vec<_> = values.iter().collect();
                sorted.sort();
                for (name, value) in sorted {
                    self.text(name);
                    self.text(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::{item, recipient, submission};
    use std::collections::HashSet;

    const UK: &str = "447700900123";

    fn named(pairs: &[(&str, &str)]) -> Values {
        let boxed = |(name, value): &(&str, &str)| (Box::from(*name), Box::from(*value));
        Values::Named(pairs.iter().map(boxed).collect())
    }

    fn plain() -> Submission {
        submission(vec![item(1, &["a"], vec![recipient(UK, &["b", "c"])])])
    }

    fn with(change: impl FnOnce(&mut Submission)) -> u64 {
        let mut changed = plain();
        change(&mut changed);
        of(&changed)
    }

    #[test]
    fn it_stays_the_same_over_versions_and_whatever_is_no_part_of_the_content() {
        let kept = of(&plain());
        assert_eq!(kept, 13_437_392_604_167_247_705);
        assert_eq!(with(|all| all.user = "another key".into()), kept);
        assert_eq!(with(|all| all.one_session = false), kept);
        assert_eq!(
            with(|all| all.items[0].sender = Some("".into())),
            kept,
            "no sender"
        );
        let [one, other] = [[("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")]]
            .map(|pairs| with(|all| all.items[0].values = named(&pairs)));
        assert_eq!(one, other, "the order of names");
    }

    #[test]
    fn a_task_is_distinguished_by_what_it_sends_its_name_and_its_lists() {
        let other = submission(vec![item(2, &["a"], Vec::new())]);
        let all = [
            of(&plain()),
            of_task(&plain(), "a", &[1]),
            of_task(&other, "a", &[1]),
            of_task(&plain(), "b", &[1]),
            of_task(&plain(), "a", &[2]),
            of_task(&plain(), "a", &[1, 2]),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert_eq!(of_task(&plain(), "a", &[1]), all[1]);
    }

    #[test]
    fn each_part_of_the_content_changes_the_fingerprint() {
        let changed = [
            with(|_| {}),
            with(|all| all.kind = sms::class::Kind::Voice),
            with(|all| all.message_type = Some(0)),
            with(|all| all.label = 7),
            with(|all| all.custom = Some("{}".into())),
            with(|all| all.custom = Some("".into())),
            with(|all| all.due = Some(7)),
            with(|all| all.ends_at = Some(7)),
            with(|all| all.items.push(item(1, &["a"], Vec::new()))),
            with(|all| all.items[0].template = TemplateRef::Number(2)),
            with(|all| all.items[0].template = TemplateRef::Any("1".into())),
            with(|all| all.items[0].template = TemplateRef::UtId("1".into())),
            with(|all| all.items[0].sender = Some("Sender".into())),
            with(|all| all.items[0].signature = SignatureRef::Id(1)),
            with(|all| all.items[0].signature = SignatureRef::Text("1".into())),
            with(|all| all.items[0].values = Values::None),
            with(|all| all.items[0].values = named(&[("a", "")])),
            with(|all| all.items[0].recipients[0].phone = "447700900124".into()),
            with(|all| all.items[0].recipients[0] = recipient(UK, &["c", "b"])),
            with(|all| all.items[0].recipients[0] = recipient(UK, &["bc"])),
            with(|all| all.items[0].recipients[0] = recipient(UK, &["bc", ""])),
            with(|all| all.items[0].recipients[0].extra = Some("{}".into())),
            with(|all| all.items[0].recipients.push(recipient(UK, &[]))),
        ];
        let apart: HashSet<u64> = changed.into_iter().collect();
        assert_eq!(apart.len(), changed.len());
    }
}
