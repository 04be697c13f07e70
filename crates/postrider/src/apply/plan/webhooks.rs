//! Webhooks: the URL and format by which an account receives its events.

use super::super::diff::{Fields, list};
use super::super::entry::Entry;
use super::super::file::{EventName, WebhookKeys};
use super::super::secret::{GivenSecret, SecretSource};
use super::{Planner, name_complaint, secret_field};
use crate::config::invalid_value;
use crate::webhook_formats::shown;
use engine::catalog::{CatalogChange, SECRET_OCTETS_ADVISED, endpoint_secret_name};
use serde_json::{Map, Value};
use std::collections::HashSet;
use store::{AccountId, Endpoint, EndpointId, EventKinds};

impl Planner<'_> {
    pub(super) fn webhooks(&mut self, entries: &[Entry<WebhookKeys>], id: AccountId, account: &str) {
        let mut named = HashSet::new();
        for entry in entries {
            let Some(name) = entry.keys.name.as_deref() else {
                self.need(&entry.raw, "name", &format!("a webhook of account {account:?}"));
                continue;
            };
            let what = format!("webhook {account}/{name}");
            if named.insert(name) {
                self.webhook(entry, name, id, what);
            } else {
                self.complain_of(
                    &entry.raw,
                    "name",
                    format!("{what} is defined twice in this file"),
                );
            }
        }
        let catalog = self.catalog();
        for old in catalog.endpoints.iter().filter(|old| old.account == id) {
            if !named.contains(&*old.name) {
                let what = format!("webhook {account}/{}", old.name);
                self.leave_or_remove(what, || CatalogChange::RemoveEndpoint(old.id));
            }
        }
    }

    fn webhook(&mut self, entry: &Entry<WebhookKeys>, name: &str, account: AccountId, what: String) {
        let given = &entry.keys;
        let endpoints = &self.catalog().endpoints;
        let old = endpoints
            .iter()
            .find(|old| old.account == account && *old.name == *name);
        // All mistakes are reported; `put` then has no effect, for nothing of the file is applied.
        if old.is_none()
            && let Some(why) = name_complaint(name, false)
        {
            self.complain_of(&entry.raw, "name", format!("{what}: {why}"));
        }
        let kinds = given.events.as_ref().map(|events| {
            let kinds = events.iter().map(|event| event.kind());
            kinds.fold(EventKinds::NONE, |all, kind| all | kind)
        });
        if kinds == Some(EventKinds::NONE) {
            let why = format!("{what}: `events` is empty; remove the webhook, or set `enabled = false`");
            self.complain_of(&entry.raw, "events", why);
        }
        let format = given.format.as_deref().or(old.map(|old| &*old.format));
        let kinds = kinds.or(old.map(|old| old.kinds));
        for (key, there) in [("format", format.is_some()), ("events", kinds.is_some())] {
            if !there {
                let own = endpoints.iter().filter(|old| old.account == account);
                self.need_new(&entry.raw, key, &what, name, own.map(|old| &*old.name));
            }
        }
        let url = entry.value("url", given.url.as_deref(), old.map(|old| &*old.url), "");
        let settings = format.map(|format| webhook_settings(entry, format, old));
        let as_stored = old.is_some_and(|old| {
            (Some(&*old.format), &*old.url, Some(&old.settings)) == (format, url, settings.as_ref())
        });
        if let (false, Some(format), Some(settings)) = (as_stored, format, &settings) {
            self.check_format(entry, &what, (format, url), settings);
        }
        self.check_way(entry, &what, url, old);
        let id = old.map_or_else(|| self.next_endpoint(), |old| old.id);
        let ((before, after), sealed_secret) = match self.webhook_secret(entry, &what, id, (format, old)) {
            Ok(sealed) => sealed,
            Err(why) => return self.complain_of_secret(&entry.raw, "secret", format!("{what}: {why}")),
        };
        let (Some(format), Some(kinds), Some(settings)) = (format, kinds, settings) else {
            return;
        };
        let endpoint = Endpoint {
            id,
            account,
            name: name.into(),
            format: format.into(),
            url: url.into(),
            kinds,
            settings,
            sealed_secret,
            enabled: entry.value("enabled", given.enabled, old.map(|old| old.enabled), true),
        };
        let was = old.map(|old| &old.settings);
        let old_fields = old.map(|old| fields(old, was, before));
        let new_fields = fields(&endpoint, was, after);
        self.put(what, old_fields.as_ref(), &new_fields, || {
            CatalogChange::PutEndpoint(endpoint)
        });
    }

    /// Complains about a URL that the node would not call, as far as that is known without a name lookup. For a stored one
    /// it is a note: what the node allows may have changed since.
    fn check_way(&mut self, entry: &Entry<WebhookKeys>, what: &str, url: &str, old: Option<&Endpoint>) {
        let Some(allow) = self.inputs.allow else { return };
        let is_stored = old.is_some_and(|old| &*old.url == url);
        // `check_format` reports what cannot be parsed.
        if url.is_empty() || crate::webhook_formats::check_url(url).is_err() && !is_stored {
            return;
        }
        match engine::webhooks::check_url(url, allow) {
            Ok(()) => {}
            Err(why) if is_stored => self.plan.notes.push(format!("{what}: {why}")),
            Err(why) => self.complain_of(&entry.raw, "url", format!("{what}: {why}")),
        }
    }

    /// Complains about all mistakes in format, URL and settings that are known without a call.
    fn check_format(
        &mut self,
        entry: &Entry<WebhookKeys>,
        what: &str,
        (format, url): (&str, &str),
        settings: &Value,
    ) {
        for (key, why) in self.inputs.webhook_formats.mistakes(format, url, settings) {
            if entry.raw.is_excused(key) {
                continue;
            }
            match why.strip_prefix("settings: ").filter(|said| is_of_parser(said)) {
                Some(said) => {
                    self.wrong
                        .push(invalid_value(&entry.at("settings"), what, "settings", None, said))
                }
                None => self.complain_of(&entry.raw, key, format!("{what}: {why}")),
            }
        }
    }

    /// An id that no endpoint has, including those planned so far.
    fn next_endpoint(&self) -> EndpointId {
        let planned = self.plan.changes.iter().filter_map(|change| match change {
            CatalogChange::PutEndpoint(endpoint) => Some(endpoint.id.0),
            _ => None,
        });
        let known = self.catalog().endpoints.iter().map(|endpoint| endpoint.id.0);
        EndpointId(1 + known.chain(planned).max().unwrap_or(0))
    }

    /// The sealed secret, and its text for the diff. An endpoint may have none.
    fn webhook_secret(
        &mut self,
        entry: &Entry<WebhookKeys>,
        what: &str,
        id: EndpointId,
        (format, old): (Option<&str>, Option<&Endpoint>),
    ) -> Result<((String, String), Vec<u8>), String> {
        let source = SecretSource {
            field: "secret",
            inline: entry.keys.secret.as_deref(),
            variable: entry.keys.secret_env.as_deref(),
            file: entry.keys.secret_file.as_deref(),
        };
        let stored = old
            .map(|old| &*old.sealed_secret)
            .filter(|sealed| !sealed.is_empty());
        let given = source.resolve(&self.inputs.environment)?;
        if let (GivenSecret::Text(secret), Some(format)) = (&given, format) {
            let webhook_formats = self.inputs.webhook_formats;
            if let Some(why) = webhook_formats.secret_complaint(format, secret) {
                return Err(format!("the secret {why}"));
            }
            if webhook_formats.key_octets(format, secret) < SECRET_OCTETS_ADVISED {
                self.short_secrets.push(what.to_owned());
            }
        }
        if given == GivenSecret::Empty || entry.raw.resets("secret") {
            let (before, _) = secret_field(stored.is_some(), false);
            return Ok(((before, String::new()), Vec::new()));
        }
        let sealed = self.seal(what, &endpoint_secret_name(id), &source, stored)?;
        let changed = sealed.as_ref().is_some_and(|(_, changed)| *changed);
        let sealed = sealed.map(|(sealed, _)| sealed).unwrap_or_default();
        Ok((secret_field(stored.is_some(), changed), sealed))
    }
}

/// The settings after the file is applied: the stored ones with the members of the file. Settings of another format
/// are dropped.
fn webhook_settings(entry: &Entry<WebhookKeys>, format: &str, old: Option<&Endpoint>) -> Value {
    let stored = old.filter(|old| *old.format == *format && !entry.raw.resets("settings"));
    let mut settings: Map<String, Value> = stored
        .and_then(|old| old.settings.as_object().cloned())
        .unwrap_or_default();
    for (name, value) in entry.keys.settings.iter().flatten() {
        settings.insert(name.clone(), value.clone());
    }
    Value::Object(settings)
}

/// Whether a complaint is a parser's, whose words are not an operator's.
fn is_of_parser(said: &str) -> bool {
    ["unknown ", "invalid ", "missing "]
        .iter()
        .any(|word| said.starts_with(word))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
