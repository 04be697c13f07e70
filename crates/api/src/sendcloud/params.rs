//! The parameters of a request: those of the query string and those of the form, as one list by name.

use super::codes::{NOT_A_FORM, PARAMETERS, Refused};
use std::borrow::Cow;

/// Most parameters of a request. The interface with the most has fewer than twenty; unknown ones are signed too.
pub const PARAMS_MAX: usize = 64;

/// Parameters by name, decoded, each name once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params<'a> {
    by_name: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Params<'a> {
    /// Reads the query string and the body of a form. Clients use one or the other, some of the service's own
    /// samples a POST with everything in the query string.
    ///
    /// Octets that are not UTF-8 are replaced, so that they cannot fit any signature made over them.
    ///
    /// # Errors
    /// When a name comes twice with different values (which of them is signed?), or there are too many.
    pub fn read(query: Option<&'a str>, form: &'a [u8]) -> Result<Self, Refused> {
        let query = query.unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
        let mut by_name: Vec<_> = pairs.take(PARAMS_MAX + 1).collect();
        if by_name.len() > PARAMS_MAX {
            return Err(Refused::from(&PARAMETERS));
        }
        by_name.sort();
        by_name.dedup();
        if by_name
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one.0 == other.0))
        {
            return Err(Refused::from(&PARAMETERS));
        }
        Ok(Self { by_name })
    }

    /// A parameter's value without spaces around it; `None` when it is missing or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self
            .by_name
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()?;
        let value = self.by_name.get(at)?.1.trim();
        (!value.is_empty()).then_some(value)
    }

    /// All of them as they came, in the order of their names' code points.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.by_name.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// Whether a body of this `Content-Type` can be read as a form. Clients that name none send forms.
///
/// # Errors
/// For JSON, multipart and everything else the SMS interfaces never take.
pub fn check_content_type(content_type: Option<&str>) -> Result<(), Refused> {
    let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    match essence {
        None | Some("") => Ok(()),
        Some(form) if form.eq_ignore_ascii_case("application/x-www-form-urlencoded") => Ok(()),
        Some(_) => Err(Refused::from(&NOT_A_FORM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_form_make_one_sorted_list() {
        let params = Params::read(
            Some("smsUser=u&empty="),
            b"vars=%7B%22a%22%3A+%221%22%7D&b=%E5%B0%8F",
        )
        .unwrap();
        let all: Vec<_> = params.iter().collect();
        assert_eq!(
            all,
            [
                ("b", "小"),
                ("empty", ""),
                ("smsUser", "u"),
                ("vars", "{\"a\": \"1\"}")
            ]
        );
        assert_eq!(params.get("smsUser"), Some("u"));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.get("absent"), None);
    }

    #[test]
    fn a_name_given_twice_must_mean_the_same() {
        assert_eq!(Params::read(Some("a=1"), b"a=1&b=2").unwrap().iter().count(), 2);
        assert_eq!(Params::read(Some("a=1"), b"a=2").unwrap_err().code.code, 421);
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        let form = |count: usize| (0..count).map(|n| format!("p{n}=1&")).collect::<String>();
        assert!(Params::read(None, form(PARAMS_MAX).as_bytes()).is_ok());
        assert_eq!(
            Params::read(None, form(PARAMS_MAX + 1).as_bytes())
                .unwrap_err()
                .code
                .code,
            421
        );
    }

    #[test]
    fn only_forms_are_read() {
        for taken in [
            None,
            Some(""),
            Some("application/x-www-form-urlencoded"),
            Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"),
        ] {
            assert_eq!(check_content_type(taken), Ok(()), "{taken:?}");
        }
        for refused in [
            "application/json",
            "multipart/form-data; boundary=x",
            "text/plain",
        ] {
            assert_eq!(
                check_content_type(Some(refused)).unwrap_err().code.code,
                472,
                "{refused}"
            );
        }
    }
}
