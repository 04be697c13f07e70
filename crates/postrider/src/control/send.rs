//! A message that an operator sends by hand, as a submission of its account.

use super::{Answer, RefusedBy, SendCommand, Sent};
use crate::config::hint;
use engine::Engine;
use engine::accept::{
    AcceptResponse, Duplicates, Forbidden, Item, Missing, Overlong, Recipient, RecipientOutcome, Rules,
    SignatureRef, Submission, TemplateRef, TemplateSnapshot, Values,
};
use engine::catalog::{Account, Snapshot, TemplateEntry};
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Grammar;
use engine::sms::reason::Reason;
use engine::{Dialect, SuppressedPolicy};
use std::collections::HashSet;
use std::sync::Arc;

/// Recipients of one command.
const TO_MAX: usize = 100;
/// Characters of a sender in any alphabet.
const SENDER_CHARS_MAX: usize = 20;

/// Sends it; `free_text` allows texts without a template.
pub(super) async fn send(engine: &Engine, command: &SendCommand, free_text: bool) -> Answer {
    let (submission, missing) = match submission(engine, command, free_text) {
        Ok(submission) => submission,
        Err(why) => return Answer::Failed(why),
    };
    let accepted = engine.accept(submission, None).await;
    let outcome = match accepted {
        Ok((_, AcceptResponse::New(outcome))) => outcome,
        Ok((_, AcceptResponse::Replayed { .. })) => return Answer::Failed("it was already sent".to_owned()),
        Err(error) => return Answer::Failed(error.to_string()),
    };
    let outcomes = outcome.items.iter().flat_map(|item| &item.outcomes);
    let sent = command.to.iter().zip(outcomes).map(|(to, result)| match result {
        RecipientOutcome::Accepted(id) => Sent {
            to: to.clone(),
            id: Some(*id),
            refused: None,
        },
        RecipientOutcome::Refused(refusal) => {
            let reason = refusal.reason();
            let mut message = reason.sentence().to_owned();
            if reason == Reason::ValueMissing && !missing.is_empty() {
                message = format!("{message} Give {missing}.");
            }
            Sent {
                to: to.clone(),
                id: None,
                refused: Some(RefusedBy {
                    code: reason.code(),
                    name: reason.name().into(),
                    message: message.into(),
                }),
            }
        }
    });
    Answer::Sent(sent.collect())
}

/// The submission, and the values that its template lacks.
fn submission(
    engine: &Engine,
    command: &SendCommand,
    free_text: bool,
) -> Result<(Submission, String), String> {
    if command.to.is_empty() || command.to.len() > TO_MAX {
        return Err(format!("give 1 to {TO_MAX} recipients"));
    }
    let catalog = engine.catalog();
    let account = account(&catalog, command.account.as_deref())?;
    let template = match (&command.template, &command.text) {
        (Some(name), None) => template(&catalog, account, name)?,
        (None, Some(text)) if free_text => TemplateRef::Pinned(Arc::new(free(text))),
        (None, Some(_)) => {
            return Err("free text is for `postrider dev` only; name a template with --template".to_owned());
        }
        _ => return Err("give either a template or a text".to_owned()),
    };
    let entry = entry_of(&catalog, account, &template);
    if let Some(why) = entry.and_then(|entry| vars_complaint(entry, command)) {
        return Err(why);
    }
    let missing = entry
        .map(|entry| missing_vars(entry, command))
        .unwrap_or_default();
    let values = if command.vars.is_empty() {
        Values::None
    } else {
        Values::Named(command.vars.clone())
    };
    let recipient = |to: &str| Recipient {
        phone: to.into(),
        ..Recipient::default()
    };
    let submission = Submission {
        account: account.id,
        // Operators have no API of their own: events of the message are those of uSpeedo's REST.
        dialect: Dialect::UspeedoRest,
        user: "".into(),
        items: vec![Item {
            template,
            sender: command.sender.clone(),
            signature: SignatureRef::OfTemplate,
            values,
            recipients: command.to.iter().map(|to| recipient(to)).collect(),
        }],
        one_session: true,
        kind: Kind::Text,
        message_type: None,
        label: 0,
        custom: None,
        due: None,
        ends_at: None,
        rules: rules(),
    };
    Ok((submission, missing))
}

fn account<'c>(catalog: &'c Snapshot, name: Option<&str>) -> Result<&'c Arc<Account>, String> {
    let Some(name) = name else {
        let mut accounts = catalog.accounts();
        return match (accounts.next(), accounts.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err("there is no account".to_owned()),
            _ => Err("there are several accounts: name one with --account".to_owned()),
        };
    };
    let found = catalog.accounts().find(|account| &*account.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = catalog.accounts().map(|account| &*account.name).collect();
        format!("there is no account {name:?}{}", hint(name, names.into_iter()).1)
    })
}

/// The template of the command.
fn entry_of<'c>(
    catalog: &'c Snapshot,
    account: &Account,
    template: &TemplateRef,
) -> Option<&'c TemplateEntry> {
    match template {
        TemplateRef::Number(number) => catalog.template_by_number(account.id, *number),
        TemplateRef::UtId(ut_id) => catalog.template_by_ut_id(account.id, ut_id),
        _ => None,
    }
    .map(|entry| &**entry)
}

/// A complaint about a value that no variable of the template takes.
fn vars_complaint(entry: &TemplateEntry, command: &SendCommand) -> Option<String> {
    let (given, _) = command
        .vars
        .iter()
        .find(|(given, _)| entry.pattern.variable_named(given).is_none())?;
    let known = entry.pattern.variables().iter().map(|name| &**name);
    let name = &entry.template.name;
    Some(if known.len() == 0 {
        format!("template {name:?} has no variables: remove --var")
    } else {
        let (_, hint) = hint(given, known);
        format!("template {name:?} has no variable {given:?}{hint}")
    })
}

/// The missing values, as options.
fn missing_vars(entry: &TemplateEntry, command: &SendCommand) -> String {
    let given = command.vars.iter();
    let given: HashSet<usize> = given
        .filter_map(|(given, _)| entry.pattern.variable_named(given))
        .collect();
    let variables = entry.pattern.variables().iter().enumerate();
    let missing: Vec<String> = variables
        .filter(|(at, _)| !given.contains(at))
        .map(|(_, name)| format!("--var {name}=VALUE"))
        .collect();
    missing.join(" ")
}

/// By number, by UT id, or by a name that is unique in the account.
fn template(catalog: &Snapshot, account: &Account, name: &str) -> Result<TemplateRef, String> {
    if let Ok(number) = name.parse()
        && catalog.template_by_number(account.id, number).is_some()
    {
        return Ok(TemplateRef::Number(number));
    }
    if catalog.template_by_ut_id(account.id, name).is_some() {
        return Ok(TemplateRef::UtId(name.into()));
    }
    let mut named = catalog
        .templates_of(account.id)
        .filter(|entry| &*entry.template.name == name);
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(TemplateRef::Number(only.template.number)),
        (Some(_), Some(_)) => Err(format!(
            "several templates are named {name:?}: give the number of one"
        )),
        (None, _) => {
            let names: Vec<&str> = catalog
                .templates_of(account.id)
                .map(|entry| &*entry.template.name)
                .collect();
            let (_, hint) = hint(name, names.into_iter());
            Err(format!(
                "account {:?} has no template {name:?}{hint}; `postrider template list` lists them",
                account.name
            ))
        }
    }
}

fn free(text: &str) -> TemplateSnapshot {
    TemplateSnapshot {
        number: 0,
        class: Class::Notice,
        ttl_s: None,
        content: "".into(),
        domestic: text.into(),
        international: text.into(),
    }
}

/// The most permissive rules.
fn rules() -> Rules {
    Rules {
        grammar: Grammar::Uspeedo,
        duplicates: Duplicates::Allow,
        value_chars_max: None,
        links_in_values: true,
        missing: Missing::Refuse,
        refuse_surplus: true,
        text_chars_max: None,
        overlong: Overlong::Refuse,
        forbidden: Forbidden::Refuse,
        sender_chars_max: SENDER_CHARS_MAX,
        sender_chars_min: 1,
        sender_alphanumeric: false,
        suppressed: SuppressedPolicy::Refuse,
    }
}
