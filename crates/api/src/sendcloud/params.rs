//! The parameters of a request: those of the query string and those of the form, as one list by name.

use super::codes::{ApiError, NOT_A_FORM, PARAMETERS};
use super::multipart;
use crate::peek;
use bytes::Bytes;
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
    pub fn read(query: Option<&'a str>, form: &'a [u8]) -> Result<Self, ApiError> {
        Self::of(query, form_urlencoded::parse(form))
    }

    /// The same for a body in any of the forms.
    ///
    /// # Errors
    /// As [`read`](Self::read), and for parts that are malformed, end early, or hold a file.
    pub fn read_form(query: Option<&'a str>, form: &'a Form) -> Result<Self, ApiError> {
        match form {
            Form::Urlencoded(body) => Self::read(query, body),
            Form::Multipart {
                boundary,
                bytes_max,
                body,
            } => {
                let fields = multipart::fields(boundary, body, *bytes_max)?.into_iter();
                Self::of(
                    query,
                    fields.map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))),
                )
            }
        }
    }

    fn of(
        query: Option<&'a str>,
        form: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self, ApiError> {
        let query = query.unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).chain(form);
        let mut by_name: Vec<_> = pairs.take(PARAMS_MAX + 1).collect();
        if by_name.len() > PARAMS_MAX {
            return Err(ApiError::from(&PARAMETERS));
        }
        by_name.sort();
        by_name.dedup();
        if by_name
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one.0 == other.0))
        {
            return Err(ApiError::from(&PARAMETERS));
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

/// A request's body.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// As it came.
    Urlencoded(Bytes),
    /// Parts with a line between them, as they came.
    Multipart {
        /// The line.
        boundary: String,
        /// How long the body may be, in octets: the text for a body that ends early names it.
        bytes_max: usize,
        /// The parts.
        body: Bytes,
    },
}

impl Form {
    fn body(&self) -> &Bytes {
        match self {
            Self::Urlencoded(body) | Self::Multipart { body, .. } => body,
        }
    }

    /// Its octets.
    pub(super) fn bytes(&self) -> usize {
        self.body().len()
    }

    /// Whether an `smsUser` that is found in it, else in the query, passes. It is not decoded for that: what is found may
    /// stand in another value.
    pub(super) fn any_sms_user(&self, query: Option<&str>, mut passes: impl FnMut(&str) -> bool) -> bool {
        const NAME: &str = "smsUser";
        let query = query.unwrap_or_default().as_bytes();
        match self {
            Self::Urlencoded(body) => peek::any(body, query, NAME, passes),
            Self::Multipart { body, .. } => {
                multipart::values_of(body, NAME).any(&mut passes) || peek::any(b"", query, NAME, passes)
            }
        }
    }
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// `multipart/form-data`.
    Multipart,
}

/// How a body of this `Content-Type` is to be read. Clients that name none send forms.
///
/// # Errors
/// For JSON and everything else that is no form.
pub fn encoding(content_type: Option<&str>) -> Result<Encoding, ApiError> {
    let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    match essence {
        None | Some("") => Ok(Encoding::Urlencoded),
        Some(form) if form.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            Ok(Encoding::Urlencoded)
        }
        Some(form) if form.eq_ignore_ascii_case("multipart/form-data") => Ok(Encoding::Multipart),
        Some(_) => Err(ApiError::from(&NOT_A_FORM)),
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
        for (taken, expected) in [
            (None, Encoding::Urlencoded),
            (Some(""), Encoding::Urlencoded),
            (Some("application/x-www-form-urlencoded"), Encoding::Urlencoded),
            (
                Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"),
                Encoding::Urlencoded,
            ),
            (Some("multipart/form-data; boundary=x"), Encoding::Multipart),
            (Some("Multipart/Form-Data;boundary=\"x y\""), Encoding::Multipart),
        ] {
            assert_eq!(encoding(taken), Ok(expected), "{taken:?}");
        }
        for refused in ["application/json", "multipart/mixed; boundary=x", "text/plain"] {
            assert_eq!(encoding(Some(refused)).unwrap_err().code.code, 472, "{refused}");
        }
    }

    #[test]
    fn fields_in_parts_are_parameters_like_any() {
        let part = |name: &str, value: &str| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let parts = [part("smsUser", "u+%20"), part("b", "小"), part("a", "")].concat();
        let form = Form::Multipart {
            boundary: "x".to_owned(),
            bytes_max: 1000,
            body: format!("{parts}--x--\r\n").into(),
        };
        let params = Params::read_form(Some("b=%E5%B0%8F&c=1"), &form).unwrap();
        let all: Vec<_> = params.iter().collect();
        assert_eq!(all, [("a", ""), ("b", "小"), ("c", "1"), ("smsUser", "u+%20")]);
        assert_eq!(Params::read_form(Some("b=2"), &form).unwrap_err().code.code, 421);
    }
}
