//! Protects the inbox against requests that pages of other sites let a browser send.
//!
//! The inbox needs no credentials, because it is on the tester's own machine. But any page in the tester's browser can let it
//! send requests there. Two things identify such a page: the `Origin` that browsers add to requests that change
//! something, and, when the name of the page was made to resolve to this machine (DNS rebinding), that name in `Host`.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

const OTHER_SITE: &str = "the sandbox rejects requests of pages of other sites";

/// Suffixes of names that exist within a network only (RFC 6761, RFC 6762, RFC 8375, and the one that ICANN reserves).
const LOCAL: [&str; 6] = [".localhost", ".local", ".internal", ".test", ".home.arpa", ".lan"];

/// Accepts requests of the tester's own programs and of the inbox's own page.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => super::inbox::refuse(StatusCode::FORBIDDEN, why).into_response(),
    }
}

/// Why a request with these headers comes from a page of another site.
pub(super) fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    let host = headers
        .get(header::HOST)
        .map(|host| host.to_str().unwrap_or_default());
    // A browser always sends the host.
    let Some(host) = host else { return Ok(()) };
    if !host.parse::<Authority>().is_ok_and(|host| is_local(host.host())) {
        return Err("the sandbox accepts an IP address or a local name as host, not a public name");
    }
    // Browsers add no `Origin` to requests that only read, such as an image or a link; newer ones add `sec-fetch-site`. `none`
    // is a request of the user. A page of another port or scheme of the same host counts as another site.
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(OTHER_SITE);
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let origin_host = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    match origin_host {
        Some(origin_host) if origin_host.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(OTHER_SITE),
    }
}

/// Whether a name is local: an address, a name of one label, or one with a local suffix.
fn is_local(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    !host.is_empty()
        && (address.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || LOCAL.iter().any(|ending| host.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check(&headers).is_ok()
    }

    #[test]
    fn only_names_that_nobody_outside_can_have_are_answered() {
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost:8080",
            "LOCALHOST",
            "postrider:8080",
            "sms.localhost",
            "postrider.default.svc.cluster.local:8080",
            "host.docker.internal",
            "192.168.1.7",
        ] {
            assert!(checked(host, None), "{host}");
        }
        for host in [
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "evil.example.",
            "127.0.0.1@evil.example",
            "local.evil",
            ".",
            "",
        ] {
            assert!(!checked(host, None), "{host}");
        }
        assert!(check(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn what_only_reads_is_not_for_pages_of_other_sites_either() {
        for (site, is_answered) in [
            ("same-origin", true),
            ("none", true),
            ("cross-site", false),
            ("same-site", false),
            ("", false),
            ("Cross-Site", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
            headers.insert("sec-fetch-site", site.parse().unwrap());
            assert_eq!(check(&headers).is_ok(), is_answered, "{site}");
        }
    }

    #[test]
    fn only_the_inboxs_own_page_may_ask() {
        let host = "127.0.0.1:8080";
        for origin in [
            None,
            Some("http://127.0.0.1:8080"),
            Some("https://127.0.0.1:8080"),
        ] {
            assert!(checked(host, origin), "{origin:?}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "http://localhost:8080",
            "http://127.0.0.1:8080.evil.example",
            "file://127.0.0.1:8080",
        ] {
            assert!(!checked(host, Some(origin)), "{origin}");
        }
    }
}
