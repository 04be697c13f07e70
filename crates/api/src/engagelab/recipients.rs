//! The list `to` of both generations.
//!
//! A number that stands in it twice, in whatever spellings, gets one message, and every place of the list
//! is answered with that message: the documents are silent, a second copy is never wanted, and an error
//! would make clients send the rest again.

use crate::json::RawJson;
use engine::accept::{Recipient, RecipientOutcome};
use engine::sms::phone::{self, Grammar, Msisdn};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Why a list cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToError {
    /// Missing, `null` or without entries.
    Empty,
    /// No list of texts.
    Format,
    /// More entries than allowed.
    TooMany,
}

/// The entries of `to`, and which recipient each of them is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    /// `None` while entry `n` is recipient `n`, as nearly always.
    repeated: Option<Vec<(Box<str>, usize)>>,
}

/// Reads `to`: an array of texts. A lone text, as one client sends it, is a list of one; numbers count as written.
pub(super) fn read(
    to: Option<&RawValue>,
    grammar: Grammar,
    entries_max: usize,
) -> Result<(Vec<Recipient>, Entries), ToError> {
    let to = to.ok_or(ToError::Empty)?;
    let recipients = match RawJson::read(to).ok_or(ToError::Format)? {
        RawJson::Null => return Err(ToError::Empty),
        RawJson::Array(array) => {
            let entries: Vec<&RawValue> = serde_json::from_str(array).map_err(|_| ToError::Format)?;
            if entries.len() > entries_max {
                return Err(ToError::TooMany);
            }
            entries
                .into_iter()
                .map(recipient)
                .collect::<Option<Vec<_>>>()
                .ok_or(ToError::Format)?
        }
        RawJson::Text(phone) if phone.trim().is_empty() => return Err(ToError::Empty),
        RawJson::Text(_) | RawJson::Number(_) => vec![recipient(to).ok_or(ToError::Format)?],
        RawJson::Boolean(_) | RawJson::Object(_) => return Err(ToError::Format),
    };
    if recipients.is_empty() {
        return Err(ToError::Empty);
    }
    Ok(once_each(recipients, grammar))
}

fn recipient(entry: &RawValue) -> Option<Recipient> {
    let phone = match RawJson::read(entry)? {
        RawJson::Boolean(_) => return None,
        phone => phone.into_text()?,
    };
    Some(Recipient {
        phone: Box::from(phone),
        ..Recipient::default()
    })
}

/// Leaves one recipient for each number. What is no number is left alone: it is refused later, each in its place.
fn once_each(recipients: Vec<Recipient>, grammar: Grammar) -> (Vec<Recipient>, Entries) {
    let number = |recipient: &Recipient| phone::parse(&recipient.phone, grammar).ok();
    if recipients.len() < 2 {
        return (recipients, Entries::default());
    }
    let mut numbers: Vec<Msisdn> = recipients.iter().filter_map(number).collect();
    numbers.sort_unstable();
    if !numbers
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other))
    {
        return (recipients, Entries::default());
    }
    let mut places: HashMap<Msisdn, usize> = HashMap::with_capacity(numbers.len());
    let mut kept = Vec::with_capacity(recipients.len());
    let mut entries = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let next = kept.len();
        let place = number(&recipient).map_or(next, |number| *places.entry(number).or_insert(next));
        entries.push((recipient.phone.clone(), place));
        if place == next {
            kept.push(recipient);
        }
    }
    (
        kept,
        Entries {
            repeated: Some(entries),
        },
    )
}

/// What became of each entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered<'a> {
    entries: &'a Entries,
    recipients: &'a [Recipient],
    outcomes: &'a [RecipientOutcome],
}

impl Entries {
    /// With what became of each recipient.
    pub(super) fn answered<'a>(
        &'a self,
        recipients: &'a [Recipient],
        outcomes: &'a [RecipientOutcome],
    ) -> Answered<'a> {
        Answered {
            entries: self,
            recipients,
            outcomes,
        }
    }
}

impl<'a> Answered<'a> {
    /// In the order of the request: the number as sent, and its outcome.
    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, RecipientOutcome)> {
        let count = self
            .entries
            .repeated
            .as_ref()
            .map_or(self.recipients.len(), Vec::len);
        (0..count).filter_map(move |entry| match &self.entries.repeated {
            None => Some((&*self.recipients.get(entry)?.phone, *self.outcomes.get(entry)?)),
            Some(repeated) => {
                let (phone, place) = repeated.get(entry)?;
                Some((&**phone, *self.outcomes.get(*place)?))
            }
        })
    }

    /// How many entries were accepted, and how many were not.
    pub(super) fn count(self) -> (usize, usize) {
        self.iter()
            .fold((0, 0), |(accepted, failed), (_, outcome)| match outcome {
                RecipientOutcome::Accepted(_) => (accepted + 1, failed),
                RecipientOutcome::Refused(_) => (accepted, failed + 1),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::MessageId;
    use engine::accept::Refusal;

    fn read_json(json: &str) -> Result<(Vec<Recipient>, Entries), ToError> {
        read(Some(serde_json::from_str(json).unwrap()), Grammar::EngageLabA, 3)
    }

    fn phones(json: &str) -> Result<Vec<String>, ToError> {
        read_json(json).map(|(kept, _)| kept.iter().map(|recipient| recipient.phone.to_string()).collect())
    }

    #[test]
    fn to_is_a_list_of_texts_or_what_clients_make_of_it() {
        assert_eq!(
            phones(r#"["+12673800456", "+12673800455"]"#).unwrap(),
            ["+12673800456", "+12673800455"]
        );
        assert_eq!(phones(r#""+12673800456""#).unwrap(), ["+12673800456"]);
        assert_eq!(phones("[12673800456]").unwrap(), ["12673800456"]);
        assert_eq!(phones("12673800456").unwrap(), ["12673800456"]);
        for (json, error) in [
            ("[]", ToError::Empty),
            ("\"\"", ToError::Empty),
            ("null", ToError::Empty),
            ("{}", ToError::Format),
            ("[null]", ToError::Format),
            ("[true]", ToError::Format),
            ("[[\"1\"]]", ToError::Format),
            ("[\"\\ud800\"]", ToError::Format),
            (r#"["1","2","3","4"]"#, ToError::TooMany),
        ] {
            assert_eq!(phones(json).unwrap_err(), error, "{json}");
        }
        assert_eq!(read(None, Grammar::EngageLabA, 3).unwrap_err(), ToError::Empty);
    }

    #[test]
    fn a_repeated_number_is_one_recipient_and_answered_in_every_place() {
        let (kept, entries) = read_json(r#"["+12673800456","1233","0012673800456"]"#).unwrap();
        assert_eq!(kept.len(), 2);
        let done = [
            RecipientOutcome::Accepted(MessageId(7)),
            RecipientOutcome::Refused(Refusal::PhoneFormat),
        ];
        let answered = entries.answered(&kept, &done);
        assert_eq!(answered.count(), (2, 1));
        assert_eq!(
            answered.iter().collect::<Vec<_>>(),
            [
                ("+12673800456", done[0]),
                ("1233", done[1]),
                ("0012673800456", done[0])
            ]
        );
        let (kept, entries) = read_json(r#"["1233","1233"]"#).unwrap();
        assert_eq!(
            (kept.len(), entries),
            (2, Entries::default()),
            "what is no number is not the same number"
        );
    }
}
