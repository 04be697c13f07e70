//! The forms of calls by which accounts are told their events, for the commands that set endpoints up.

use crate::config::nearest;
use engine::notify::Format;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Settings whose values open something: they are never shown.
const HIDDEN: [&str; 4] = ["authorization", "password", "secret", "token"];
/// Calls under way to one endpoint that can be asked for, with every form: the engine's own setting.
const CONCURRENCY: (&str, std::ops::RangeInclusive<u64>) = ("concurrency", 1..=256);
/// The form that is asked (`PullUSMSReport`) instead of calling.
const PULLED: &str = api::uspeedo::push::PULL;

/// All forms that this program has.
pub(crate) struct Forms(Vec<Arc<dyn Format>>);

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|form| form.name()))
            .finish()
    }
}

impl Forms {
    /// All there are.
    pub(crate) fn all() -> Self {
        Self(api::formats())
    }

    /// The form of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<dyn Format>> {
        self.0.iter().find(|form| form.name() == name)
    }

    /// All that can be known to be wrong with an endpoint without calling it, in words, with the key it is about.
    pub(crate) fn mistakes(&self, name: &str, url: &str, settings: &Value) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let form = self.named(name);
        if form.is_none() {
            wrong.push(("format", self.unknown(name)));
        }
        match (name == PULLED, url.is_empty()) {
            (true, false) => {
                wrong.push((
                    "url",
                    format!("`url`: {PULLED} is asked and never calls: leave it out"),
                ));
            }
            (false, true) => {
                wrong.push((
                    "url",
                    "`url` is needed: without it nothing can be called".to_owned(),
                ));
            }
            (true, true) => {}
            (false, false) => wrong.extend(check_url(url).err().map(|why| ("url", why))),
        }
        let (name, bounds) = CONCURRENCY;
        if let Some(asked) = settings.get(name)
            && !asked.as_u64().is_some_and(|asked| bounds.contains(&asked))
        {
            let (min, max) = (bounds.start(), bounds.end());
            wrong.push((
                "settings",
                format!("settings: `{name}` is {min} to {max}, not {asked}"),
            ));
        }
        if let Some(Err(why)) = form.map(|form| form.check(settings)) {
            wrong.push(("settings", format!("settings: {why}")));
        }
        wrong
    }

    /// What is wrong with a secret for a form, in words.
    pub(crate) fn secret_complaint(&self, name: &str, secret: &str) -> Option<String> {
        self.named(name)?.check_secret(secret).err()
    }

    /// Octets of the key that a secret holds.
    pub(crate) fn key_octets(&self, name: &str, secret: &str) -> usize {
        self.named(name)
            .map_or(secret.len(), |form| form.key_octets(secret))
    }

    /// Checks what can be known of an endpoint without calling it.
    ///
    /// # Errors
    /// What is wrong first, in words.
    pub(crate) fn check(&self, name: &str, url: &str, settings: &Value) -> Result<(), String> {
        self.mistakes(name, url, settings)
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, why)| Err(why))
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<String> = self.0.iter().map(|form| form.name().to_owned()).collect();
        let meant =
            nearest(name, names.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        format!(
            "unknown format {name:?}{}; there are {}",
            meant.unwrap_or_default(),
            names.join(", ")
        )
    }
}

/// Settings as they may be shown: what opens something is a word for how it compares to what it was, if that is given.
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

/// Settings without those whose values open something.
pub(crate) fn without_secrets(settings: &Value) -> serde_json::Map<String, Value> {
    let members = settings.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !HIDDEN.iter().any(|hidden| name.contains(hidden)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What the engine would not call, whatever the name in it leads to.
pub(crate) fn check_url(written: &str) -> Result<(), String> {
    let url = Url::parse(written).map_err(|error| format!("`url` {written:?}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("`url` begins with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("`url` has a user or password in it; give a `secret` instead".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_called_is_told_in_words() {
        let forms = Forms::all();
        let cases = [
            ("sendclod", "https://example.com/", "did you mean `sendcloud`?"),
            ("carrier-pigeon", "https://example.com/", "there are "),
            ("sendcloud", "", "`url` is needed"),
            (PULLED, "https://example.com/", "leave it out"),
            ("sendcloud", "example.com/hook", "relative URL without a base"),
            ("sendcloud", "ftp://example.com/", "begins with http://"),
            ("sendcloud", "https://me:secret@example.com/", "user or password"),
        ];
        for (name, url, expected) in cases {
            let told = forms.check(name, url, &json!({})).unwrap_err();
            assert!(told.contains(expected), "{name} {url} gave: {told}");
        }
        assert_eq!(
            forms.check("sendcloud", "https://example.com/hook?a=b", &json!({})),
            Ok(())
        );
        assert_eq!(forms.check(PULLED, "", &json!({})), Ok(()));
        let told = forms.check("sendcloud", "https://example.com/", &json!({"retyr": "long"}));
        assert!(told.unwrap_err().starts_with("settings: unknown field `retyr`"));
        for (concurrency, fits) in [
            (json!(1), true),
            (json!(256), true),
            (json!(0), false),
            (json!("8"), false),
        ] {
            for name in ["standard", "sendcloud", "engagelab"] {
                let settings = json!({ "concurrency": concurrency });
                let told = forms.check(name, "https://example.com/", &settings);
                assert_eq!(told.is_ok(), fits, "{name} {concurrency}: {told:?}");
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
            let _ = Forms::all().check("sendcloud", &url, &Value::Null);
        }
    }
}
