//! What a request's head must be before any handler sees it (RFC 9112 section 3).

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};

/// The status and the text for a request that no handler gets; its connection ends with that.
pub(super) type Refusal = (StatusCode, &'static str);

/// Whether a request is one for handlers; `is_clear` when it is known where its body ends.
///
/// # Errors
/// What it is answered otherwise.
pub(super) fn check<B>(request: &Request<B>, is_clear: bool) -> Result<(), Refusal> {
    if !is_clear {
        const UNCLEAR: &str = "the request says a length and chunks, or a length that is none\n";
        return Err((StatusCode::BAD_REQUEST, UNCLEAR));
    }
    if request.method() == Method::CONNECT {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "this is no proxy\n"));
    }
    let uri = request.uri();
    let is_served = match uri.scheme_str() {
        Some(scheme) => scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"),
        // `example.com:80` is a target of CONNECT alone, `*` one of OPTIONS.
        None => uri.authority().is_none() && (uri.path() != "*" || request.method() == Method::OPTIONS),
    };
    if !is_served {
        return Err((StatusCode::BAD_REQUEST, "the request's target is of no use\n"));
    }
    if let Some(what) = host(request.headers(), request.version()) {
        return Err((StatusCode::BAD_REQUEST, what));
    }
    codings(request.headers())
}

/// Bodies are read as they are or in chunks (RFC 9112 section 6.1), and their length is said once.
fn codings(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(first) = lines.next() else {
        return Ok(());
    };
    if lines.next().is_none() && first.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &&[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let all: Vec<_> = lines
        .flat_map(|line| line.as_bytes().split(|octet| *octet == b','))
        .collect();
    if all.iter().filter(|coding| is_chunked(coding)).count() > 1 {
        return Err((StatusCode::BAD_REQUEST, "the body is in chunks twice\n"));
    }
    Err((
        StatusCode::NOT_IMPLEMENTED,
        "of transfer codings only chunked is known\n",
    ))
}

/// What is wrong with the `Host` of a request: there is one, once, and it is a host (RFC 9112 section 3.2).
fn host(headers: &HeaderMap, version: Version) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => Some("the header Host is missing\n"),
        (None, _) => None,
        (Some(_), Some(_)) => Some("there are two headers Host\n"),
        (Some(host), None) => {
            (!host.as_bytes().iter().all(is_of_host)).then_some("the header Host is no host\n")
        }
    }
}

/// Whether an octet may stand in `uri-host [":" port]` (RFC 3986 section 3.2.2).
const fn is_of_host(octet: &u8) -> bool {
    matches!(
        octet,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']' | b'%'
            | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
    )
}

/// The listener's own answer.
pub(super) fn answer((status, text): Refusal) -> Response {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_once_and_is_one() {
        let of = |version, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, host.parse().unwrap());
            }
            host(&headers, version).is_none()
        };
        assert!(of(Version::HTTP_10, &[]) && !of(Version::HTTP_11, &[]));
        for good in [
            "",
            "a.example",
            "a.example:8080",
            "[2001:db8::1]:80",
            "192.0.2.1",
            "a_b",
        ] {
            assert!(
                of(Version::HTTP_11, &[good]) && of(Version::HTTP_10, &[good]),
                "{good}"
            );
        }
        for wrong in ["a b", "a,b", "a/b", "u@a", "a?", "a#b", "\"a\""] {
            assert!(
                !of(Version::HTTP_11, &[wrong]) && !of(Version::HTTP_10, &[wrong]),
                "{wrong}"
            );
        }
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(!of(version, &["a", "a"]) && !of(version, &["a", ""]));
        }
    }
}
