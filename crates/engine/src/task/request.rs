//! What a task sends, kept with it as JSON.

use crate::accept::{
    Item, Recipient, Refusal, Rules, SignatureRef, Submission, TemplateRef, TemplateSnapshot, Values,
    fingerprint,
};
use serde::{Deserialize, Serialize};
use sms::class::Kind;
use sms::phone::Msisdn;
use std::collections::HashSet;
use std::sync::Arc;
use store::{AccountId, Contact, Dialect, Task, UnixMs};

/// What is common to all messages of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRequest {
    /// The wire it came on.
    pub dialect: Dialect,
    /// The public part of the credential it came with.
    pub user: Arc<str>,
    /// What the caller calls it.
    pub name: Box<str>,
    /// Which text; frozen when the task is made.
    pub template: TemplateRef,
    /// Requested source address.
    pub sender: Option<Box<str>>,
    /// Which signature goes around the text; the frozen text has it.
    pub signature: SignatureRef,
    /// Label number, 0 for none.
    pub label: i64,
    /// Text or voice.
    pub kind: Kind,
    /// The caller's own data.
    pub custom: Option<Box<str>>,
    /// How strict the wire is.
    pub rules: Rules,
}

impl TaskRequest {
    /// The request of a task; `None` when it does not read (made by another version of the program).
    pub fn of(task: &Task) -> Option<Self> {
        serde_json::from_str(&task.request).ok()
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Box<str>> {
        serde_json::to_string(self).map(Into::into)
    }

    /// The fingerprint by which requests with the same id are compared.
    pub(super) fn fingerprint(&self, lists: &[i64], due: Option<UnixMs>, ends_at: Option<UnixMs>) -> u64 {
        let submission = Submission {
            due,
            ..self.to(AccountId(0), Vec::new(), ends_at)
        };
        fingerprint::of_task(&submission, &self.name, lists)
    }

    /// Takes the text as it is now in place of the template's name.
    pub(super) fn pin_template(
        &mut self,
        look_up: impl FnOnce(&Submission, &Item) -> Result<TemplateSnapshot, Refusal>,
    ) -> Result<(), Refusal> {
        let submission = self.to(AccountId(0), Vec::new(), None);
        let pinned = match submission.items.first() {
            Some(item) => look_up(&submission, item)?,
            None => return Err(Refusal::TemplateUnknown),
        };
        self.template = TemplateRef::Pinned(Arc::new(pinned));
        self.signature = SignatureRef::OfTemplate;
        Ok(())
    }

    /// The submission to some members of a task. Those in `earlier` are members of an earlier list, too: one person
    /// gets one message.
    pub(super) fn submission(
        &self,
        task: &Task,
        contacts: &[Contact],
        earlier: &HashSet<Msisdn>,
    ) -> Submission {
        let recipients = contacts.iter().map(|contact| Recipient {
            refused: earlier
                .contains(&contact.msisdn)
                .then_some(Refusal::PhoneDuplicate),
            ..recipient(contact)
        });
        self.to(task.account, recipients.collect(), task.ends_at)
    }

    fn to(&self, account: AccountId, recipients: Vec<Recipient>, ends_at: Option<UnixMs>) -> Submission {
        Submission {
            account,
            dialect: self.dialect,
            user: Arc::clone(&self.user),
            items: vec![Item {
                template: self.template.clone(),
                sender: self.sender.clone(),
                signature: self.signature.clone(),
                values: Values::None,
                recipients,
            }],
            one_session: true,
            kind: self.kind,
            message_type: None,
            label: self.label,
            custom: self.custom.clone(),
            due: None,
            ends_at,
            rules: self.rules.clone(),
        }
    }
}

fn recipient(contact: &Contact) -> Recipient {
    Recipient {
        phone: contact.written.clone(),
        values: values(&contact.vars),
        ..Recipient::default()
    }
}

/// A member's values by name; what is no text is taken as it is written in JSON.
fn values(vars: &str) -> Values {
    let Ok(vars) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(vars) else {
        return Values::None;
    };
    if vars.is_empty() {
        return Values::None;
    }
    let named = vars.into_iter().map(|(name, value)| {
        let value = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        (Box::from(name), Box::from(value))
    });
    Values::Named(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_values_are_read_by_name() {
        let named = |pairs: &[(&str, &str)]| {
            Values::Named(
                pairs
                    .iter()
                    .map(|(n, v)| (Box::from(*n), Box::from(*v)))
                    .collect(),
            )
        };
        assert_eq!(
            values(r#"{"%name%":"Ann","age":7}"#),
            named(&[("%name%", "Ann"), ("age", "7")])
        );
        for none in ["", "{}", "[]", "null", "{\"a\":", "7"] {
            assert_eq!(values(none), Values::None, "{none}");
        }
    }
}
