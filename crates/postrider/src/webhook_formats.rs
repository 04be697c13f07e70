//! The webhook formats, for commands that set up webhooks.

use crate::config::nearest;
use engine::webhooks::Format;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Settings with secret values, which are not shown.
const HIDDEN: [&str; 4] = ["authorization", "password", "secret", "token"];
/// Concurrent calls to one endpoint: a setting of the engine, for every format.
const CONCURRENCY: (&str, std::ops::RangeInclusive<u64>) = ("concurrency", 1..=256);
/// The format that is polled (`PullUSMSReport`).
const PULLED: &str = api::uspeedo::push::PULL;

/// All formats of this program.
pub(crate) struct WebhookFormats(Vec<Arc<dyn Format>>);

impl fmt::Debug for WebhookFormats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|format| format.name()))
            .finish()
    }
}

impl WebhookFormats {
    pub(crate) fn all() -> Self {
        Self(api::formats())
    }

    /// The format of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<dyn Format>> {
        self.0.iter().find(|format| format.name() == name)
    }

    /// All mistakes of an endpoint that are known without a call, with the key of each.
    pub(crate) fn mistakes(&self, name: &str, url: &str, settings: &Value) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let format = self.named(name);
        if format.is_none() {
            wrong.push(("format", self.unknown(name)));
        }
        match (name == PULLED, url.is_empty()) {
            (true, false) => {
                wrong.push((
                    "url",
                    format!("`url`: {PULLED} is polled and sends no calls: remove it"),
                ));
            }
            (false, true) => {
                wrong.push(("url", "`url` is required".to_owned()));
            }
            (true, true) => {}
            (false, false) => wrong.extend(check_url(url).err().map(|why| ("url", why))),
        }
        let (name, bounds) = CONCURRENCY;
        if let Some(value) = settings.get(name)
            && !value.as_u64().is_some_and(|value| bounds.contains(&value))
        {
            let (min, max) = (bounds.start(), bounds.end());
            wrong.push((
                "settings",
                format!("settings: `{name}` is {value}; it must be {min} to {max}"),
            ));
        }
        if let Some(Err(why)) = format.map(|format| format.check(settings)) {
            wrong.push(("settings", format!("settings: {why}")));
        }
        wrong
    }

    /// Why a secret is invalid for a format.
    pub(crate) fn secret_complaint(&self, name: &str, secret: &str) -> Option<String> {
        self.named(name)?.check_secret(secret).err()
    }

    /// Octets of the key in a secret.
    pub(crate) fn key_octets(&self, name: &str, secret: &str) -> usize {
        self.named(name)
            .map_or(secret.len(), |format| format.key_octets(secret))
    }

    /// Checks an endpoint without a call.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn check(&self, name: &str, url: &str, settings: &Value) -> Result<(), String> {
        self.mistakes(name, url, settings)
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, why)| Err(why))
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<String> = self.0.iter().map(|format| format.name().to_owned()).collect();
        let meant =
            nearest(name, names.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        format!(
            "unknown format {name:?}{}; there are {}",
            meant.unwrap_or_default(),
            names.join(", ")
        )
    }
}

/// Settings for display: a secret value is replaced by how it compares to the value before, if given.
pub(crate) fn shown(settings: &Value, before: Option<&Value>) -> Value {
    let Value::Object(members) = settings else {
        return settings.clone();
    };
    let shown = members.iter().map(|(name, value)| {
        let was = before.and_then(|before| before.get(name));
        let value = match was {
            _ if !HIDDEN.iter().any(|hidden| name.contains(hidden)) => value.clone(),
            None => "(set)".into(),
            Some(was) if was == value => "(as stored)".into(),
            Some(_) => "(another)".into(),
        };
        (name.clone(), value)
    });
    Value::Object(shown.collect())
}

/// Settings without secret values.
pub(crate) fn without_secrets(settings: &Value) -> serde_json::Map<String, Value> {
    let members = settings.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !HIDDEN.iter().any(|hidden| name.contains(hidden)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Checks a URL without a name lookup.
pub(crate) fn check_url(written: &str) -> Result<(), String> {
    let url = Url::parse(written).map_err(|error| format!("`url` {written:?}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("`url` must begin with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`url` must not contain a user or password; set `secret` instead".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn mistakes_of_an_endpoint_are_reported() {
        let webhook_formats = WebhookFormats::all();
        let cases = [
            ("sendclod", "https://example.com/", "did you mean `sendcloud`?"),
            ("carrier-pigeon", "https://example.com/", "there are "),
            ("sendcloud", "", "`url` is required"),
            (PULLED, "https://example.com/", "remove it"),
            ("sendcloud", "example.com/hook", "relative URL without a base"),
            ("sendcloud", "ftp://example.com/", "must begin with http://"),
            ("sendcloud", "https://me:secret@example.com/", "user or password"),
        ];
        for (name, url, expected) in cases {
            let error = webhook_formats.check(name, url, &json!({})).unwrap_err();
            assert!(error.contains(expected), "{name} {url} gave: {error}");
        }
        assert_eq!(
            webhook_formats.check("sendcloud", "https://example.com/hook?a=b", &json!({})),
            Ok(())
        );
        assert_eq!(webhook_formats.check(PULLED, "", &json!({})), Ok(()));
        let result = webhook_formats.check("sendcloud", "https://example.com/", &json!({"retyr": "long"}));
        assert!(result.unwrap_err().starts_with("settings: unknown field `retyr`"));
        for (concurrency, fits) in [
            (json!(1), true),
            (json!(256), true),
            (json!(0), false),
            (json!("8"), false),
        ] {
            for name in ["standard", "sendcloud", "engagelab"] {
                let settings = json!({ "concurrency": concurrency });
                let result = webhook_formats.check(name, "https://example.com/", &settings);
                assert_eq!(result.is_ok(), fits, "{name} {concurrency}: {result:?}");
            }
        }
    }

    #[test]
    fn settings_that_open_something_are_not_shown() {
        let (old, new) = (
            json!({"authorization": "Basic b2xk", "rows_max": 5}),
            json!({"authorization": "Basic bmV3", "rows_max": 5}),
        );
        assert_eq!(
            shown(&old, Some(&old)),
            json!({"authorization": "(as stored)", "rows_max": 5})
        );
        assert_eq!(
            shown(&new, Some(&old)),
            json!({"authorization": "(another)", "rows_max": 5})
        );
        assert_eq!(
            shown(&new, None),
            json!({"authorization": "(set)", "rows_max": 5})
        );
        assert_eq!(shown(&Value::Null, None), Value::Null);
    }

    proptest! {
        #[test]
        fn no_url_makes_it_panic(url in ".{0,60}") {
            let _ = WebhookFormats::all().check("sendcloud", &url, &Value::Null);
        }
    }
}
