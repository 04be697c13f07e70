//! A message that an operator sends by hand: as a submission of its account.

use super::{Answer, RefusedBy, SendOrder, Sent};
use crate::config::hint;
use engine::Engine;
use engine::accept::{
    Duplicates, Fate, Forbidden, FrozenText, Item, Missing, Overlong, Recipient, Reply, Rules, SignatureRef,
    Submission, TemplateRef, Values,
};
use engine::catalog::{Account, Snapshot, TemplateEntry};
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Grammar;
use engine::sms::reason::Reason;
use engine::{Dialect, SuppressedPolicy};
use std::collections::HashSet;
use std::sync::Arc;

/// Recipients of one order.
const TO_MAX: usize = 100;
/// Characters of a sender, whatever alphabet.
const SENDER_CHARS_MAX: usize = 20;

/// Sends it; `free_text` says whether texts without a template may go.
pub(super) async fn send(engine: &Engine, order: &SendOrder, free_text: bool) -> Answer {
    let (submission, missing) = match submission(engine, order, free_text) {
        Ok(submission) => submission,
        Err(why) => return Answer::Failed(why),
    };
    let accepted = engine.accept(submission, None).await;
    let outcome = match accepted {
        Ok((_, Reply::New(outcome))) => outcome,
        Ok((_, Reply::Repeat { .. })) => return Answer::Failed("it was sent before".to_owned()),
        Err(error) => return Answer::Failed(error.to_string()),
    };
    let fates = outcome.items.iter().flat_map(|item| &item.fates);
    let sent = order.to.iter().zip(fates).map(|(to, fate)| match fate {
        Fate::Accepted(id) => Sent {
            to: to.clone(),
            id: Some(*id),
            refused: None,
        },
        Fate::Refused(refusal) => {
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

/// What is to be accepted, and which values its template lacks.
fn submission(engine: &Engine, order: &SendOrder, free_text: bool) -> Result<(Submission, String), String> {
    if order.to.is_empty() || order.to.len() > TO_MAX {
        return Err(format!("1 to {TO_MAX} recipients can be given"));
    }
    let catalog = engine.catalog();
    let account = account(&catalog, order.account.as_deref())?;
    let template = match (&order.template, &order.text) {
        (Some(asked), None) => template(&catalog, account, asked)?,
        (None, Some(text)) if free_text => TemplateRef::Frozen(Arc::new(free(text))),
        (None, Some(_)) => {
            return Err("free text is for `postrider dev` only; name a template with --template".to_owned());
        }
        _ => return Err("either a template or a text is sent".to_owned()),
    };
    let entry = entry_of(&catalog, account, &template);
    if let Some(why) = entry.and_then(|entry| vars_complaint(entry, order)) {
        return Err(why);
    }
    let missing = entry.map(|entry| missing_vars(entry, order)).unwrap_or_default();
    let values = if order.vars.is_empty() {
        Values::None
    } else {
        Values::Named(order.vars.clone())
    };
    let recipient = |to: &str| Recipient {
        phone: to.into(),
        ..Recipient::default()
    };
    let submission = Submission {
        account: account.id,
        // There is no wire of its own for what operators send: it is told like uSpeedo's REST.
        dialect: Dialect::UspeedoRest,
        user: "".into(),
        items: vec![Item {
            template,
            sender: order.sender.clone(),
            signature: SignatureRef::OfTemplate,
            values,
            recipients: order.to.iter().map(|to| recipient(to)).collect(),
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

/// The template that a request names.
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

/// A value that is given and that no variable of the template takes.
fn vars_complaint(entry: &TemplateEntry, order: &SendOrder) -> Option<String> {
    let (given, _) = order
        .vars
        .iter()
        .find(|(given, _)| entry.pattern.variable_named(given).is_none())?;
    let known = entry.pattern.variables().iter().map(|name| &**name);
    let asked = &entry.template.name;
    Some(if known.len() == 0 {
        format!("template {asked:?} has no variables: leave --var out")
    } else {
        let (_, hint) = hint(given, known);
        format!("template {asked:?} has no variable {given:?}{hint}")
    })
}

/// What is to be given that is not.
fn missing_vars(entry: &TemplateEntry, order: &SendOrder) -> String {
    let given = order.vars.iter();
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

/// By number, by UT id, or by a name that one template of the account has.
fn template(catalog: &Snapshot, account: &Account, asked: &str) -> Result<TemplateRef, String> {
    if let Ok(number) = asked.parse()
        && catalog.template_by_number(account.id, number).is_some()
    {
        return Ok(TemplateRef::Number(number));
    }
    if catalog.template_by_ut_id(account.id, asked).is_some() {
        return Ok(TemplateRef::UtId(asked.into()));
    }
    let mut named = catalog
        .templates_of(account.id)
        .filter(|entry| &*entry.template.name == asked);
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(TemplateRef::Number(only.template.number)),
        (Some(_), Some(_)) => Err(format!(
            "several templates are called {asked:?}: give the number of one"
        )),
        (None, _) => {
            let names: Vec<&str> = catalog
                .templates_of(account.id)
                .map(|entry| &*entry.template.name)
                .collect();
            let (_, hint) = hint(asked, names.into_iter());
            Err(format!(
                "account {:?} has no template {asked:?}{hint}; `postrider template list` shows those there are",
                account.name
            ))
        }
    }
}

fn free(text: &str) -> FrozenText {
    FrozenText {
        number: 0,
        class: Class::Notice,
        ttl_s: None,
        content: "".into(),
        domestic: text.into(),
        international: text.into(),
    }
}

/// As loose as what follows allows.
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
