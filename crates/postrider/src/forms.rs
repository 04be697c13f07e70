//! The forms of calls by which accounts are told their events, for the commands that set endpoints up.

use crate::config::nearest;
use engine::notify::Format;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use url::Url;

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

    /// Checks what can be known of an endpoint without calling it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn check(&self, name: &str, url: &str, settings: &Value) -> Result<(), String> {
        let form = self.named(name).ok_or_else(|| self.unknown(name))?;
        match (name == PULLED, url.is_empty()) {
            (true, false) => return Err(format!("`url`: {PULLED} is asked and never calls: leave it out")),
            (false, true) => return Err("`url` is needed: nobody could be called".to_owned()),
            (true, true) => {}
            (false, false) => check_url(url)?,
        }
        form.check(settings).map_err(|why| format!("settings: {why}"))
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<String> = self.0.iter().map(|form| form.name().to_owned()).collect();
        let meant = nearest(name, names.iter()).map(|near| format!("; did you mean `{near}`?"));
        format!(
            "nobody knows the format {name:?}{}; there are {}",
            meant.unwrap_or_default(),
            names.join(", ")
        )
    }
}

/// What the engine would not call, whatever the name in it leads to.
fn check_url(written: &str) -> Result<(), String> {
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
    }

    proptest! {
        #[test]
        fn no_url_makes_it_panic(url in ".{0,60}") {
            let _ = Forms::all().check("sendcloud", &url, &Value::Null);
        }
    }
}
