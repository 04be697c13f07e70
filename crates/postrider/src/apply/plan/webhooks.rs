//! Webhooks: where an account is told its events, and in what form.

use super::super::diff::{Fields, list};
use super::super::file::{AccountEntry, EventName, WebhookEntry};
use super::super::secret::SecretSource;
use super::{Planner, secret_field};
use crate::forms::shown;
use engine::catalog::{CatalogChange, endpoint_secret_name};
use serde_json::Value;
use std::collections::HashSet;
use std::ops::Range;
use store::{AccountId, Endpoint, EndpointId, EventKinds};

/// Longest name in characters.
const NAME_CHARS_MAX: usize = 64;

impl Planner<'_> {
    pub(super) fn webhooks(&mut self, account: &AccountEntry, id: AccountId) {
        let mut named = HashSet::new();
        for entry in &account.webhook {
            let given = entry.get_ref();
            let what = format!("webhook {}/{}", account.name, given.name);
            if named.insert(given.name.as_str()) {
                self.webhook(&entry.span(), given, id, what);
            } else {
                self.complain(&entry.span(), format!("{what} stands twice"));
            }
        }
        let catalog = self.catalog();
        for old in catalog.endpoints.iter().filter(|old| old.account == id) {
            if !named.contains(&*old.name) {
                let what = format!("webhook {}/{}", account.name, old.name);
                self.leave_or_remove(what, || CatalogChange::RemoveEndpoint(old.id));
            }
        }
    }

    fn webhook(&mut self, span: &Range<usize>, given: &WebhookEntry, account: AccountId, what: String) {
        let chars = given.name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&chars) || given.name.chars().any(char::is_control) {
            let complaint = format!("{what}: a name has 1 to {NAME_CHARS_MAX} printable characters");
            return self.complain(span, complaint);
        }
        if given.events.is_empty() {
            return self.complain(span, format!("{what}: `events` names nothing to tell"));
        }
        let settings = match json_table(&given.settings) {
            Ok(settings) => settings,
            Err(why) => return self.complain(span, format!("{what}: settings: {why}")),
        };
        if let Err(why) = self.inputs.forms.check(&given.format, &given.url, &settings) {
            return self.complain(span, format!("{what}: {why}"));
        }
        let endpoints = &self.catalog().endpoints;
        let old = endpoints
            .iter()
            .find(|old| old.account == account && *old.name == *given.name);
        let id = old.map_or_else(|| self.next_endpoint(), |old| old.id);
        let ((before, after), sealed_secret) = match self.webhook_secret(given, id, old) {
            Ok(sealed) => sealed,
            Err(why) => return self.complain(span, format!("{what}: {why}")),
        };
        let kinds = given.events.iter().map(|event| event.kind());
        let endpoint = Endpoint {
            id,
            account,
            name: given.name.as_str().into(),
            format: given.format.as_str().into(),
            url: given.url.as_str().into(),
            kinds: kinds.fold(EventKinds::NONE, |all, kind| all | kind),
            settings,
            sealed_secret,
            enabled: given.enabled,
        };
        let was = old.map(|old| &old.settings);
        let old_fields = old.map(|old| fields(old, was, before));
        let new_fields = fields(&endpoint, was, after);
        self.put(what, old_fields.as_ref(), &new_fields, || {
            CatalogChange::PutEndpoint(endpoint)
        });
    }

    /// An id that no endpoint has, those planned so far included.
    fn next_endpoint(&self) -> EndpointId {
        let planned = self.plan.changes.iter().filter_map(|change| match change {
            CatalogChange::PutEndpoint(endpoint) => Some(endpoint.id.0),
            _ => None,
        });
        let known = self.catalog().endpoints.iter().map(|endpoint| endpoint.id.0);
        EndpointId(1 + known.chain(planned).max().unwrap_or(0))
    }

    /// The sealed secret, and how it shows in the diff. An endpoint may have none.
    fn webhook_secret(
        &self,
        given: &WebhookEntry,
        id: EndpointId,
        old: Option<&Endpoint>,
    ) -> Result<((String, String), Vec<u8>), String> {
        let source = SecretSource {
            field: "secret",
            inline: given.secret.as_deref(),
            variable: given.secret_env.as_deref(),
            file: given.secret_file.as_deref(),
        };
        let stored = old
            .map(|old| &*old.sealed_secret)
            .filter(|sealed| !sealed.is_empty());
        if source.resolve(&self.inputs.surroundings)?.as_deref() == Some("") {
            let (before, _) = secret_field(stored.is_some(), false);
            return Ok(((before, String::new()), Vec::new()));
        }
        let sealed = self.seal(&endpoint_secret_name(id), &source, stored)?;
        let changed = sealed.as_ref().is_some_and(|(_, changed)| *changed);
        let sealed = sealed.map(|(sealed, _)| sealed).unwrap_or_default();
        Ok((secret_field(stored.is_some(), changed), sealed))
    }
}

fn fields(endpoint: &Endpoint, was: Option<&Value>, secret: String) -> Fields {
    let events: Vec<&str> = EventName::of(endpoint.kinds).map(EventName::name).collect();
    let settings = match shown(&endpoint.settings, was) {
        Value::Object(settings) if settings.is_empty() => String::new(),
        Value::Null => String::new(),
        settings => settings.to_string(),
    };
    vec![
        ("format", endpoint.format.to_string()),
        ("url", endpoint.url.to_string()),
        ("events", list(&events, "")),
        ("secret", secret),
        ("settings", settings),
        ("enabled", endpoint.enabled.to_string()),
    ]
}

/// A table of the file as the forms of calls read it.
fn json_table(table: &toml::Table) -> Result<Value, String> {
    let members = table.iter().map(|(name, value)| {
        let value = json(value).map_err(|why| format!("`{name}` {why}"))?;
        Ok((name.clone(), value))
    });
    members
        .collect::<Result<serde_json::Map<_, _>, String>>()
        .map(Value::Object)
}

fn json(value: &toml::Value) -> Result<Value, String> {
    match value {
        toml::Value::String(text) => Ok(text.as_str().into()),
        toml::Value::Integer(number) => Ok((*number).into()),
        toml::Value::Boolean(yes) => Ok((*yes).into()),
        toml::Value::Float(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => Ok(Value::Number(number)),
            None => Err("is not a finite number".to_owned()),
        },
        toml::Value::Datetime(_) => Err("is a date; write it as a text in quotes".to_owned()),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => json_table(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        let table: toml::Table =
            toml::from_str("a = \"x\"\nb = 3\nc = true\nd = [1, 2]\ne = 0.5\n[f]\ng = \"y\"").unwrap();
        let expected = serde_json::json!({
            "a": "x", "b": 3, "c": true, "d": [1, 2], "e": 0.5, "f": {"g": "y"}
        });
        assert_eq!(json_table(&table), Ok(expected));
        for (text, complaint) in [
            ("at = 2026-11-18", "`at` is a date"),
            ("f = { n = nan }", "`f` `n` is not a finite number"),
        ] {
            let told = json_table(&toml::from_str(text).unwrap()).unwrap_err();
            assert!(told.starts_with(complaint), "{text} gave: {told}");
        }
    }

    #[test]
    fn the_names_of_events_are_those_of_the_store() {
        let all = EventName::ALL.into_iter().map(EventName::kind);
        assert_eq!(
            all.fold(EventKinds::NONE, |all, kind| all | kind),
            EventKinds::ALL
        );
        for name in EventName::ALL {
            assert_eq!(EventName::of(name.kind()).collect::<Vec<_>>(), [name]);
        }
    }

    proptest! {
        #[test]
        fn no_table_makes_it_panic(text in "[a-c]{1,2} = [-0-9tTZ:.einf\"\\[\\]{} ,a=]{0,20}") {
            if let Ok(table) = toml::from_str::<toml::Table>(&text) {
                let _ = json_table(&table);
            }
        }
    }
}
