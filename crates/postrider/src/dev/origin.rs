//! What web pages of other sites may make a browser ask of the inbox: nothing.
//!
//! The inbox wants no credentials, because it is on the tester's own machine. So is his browser, and any page he opens can
//! let it send requests there. Two things give such a page away: the `Origin` that browsers put on what changes
//! anything, and, when the page's own name was made to lead here (DNS rebinding), that name in `Host`.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

const OTHER_SITE: &str = "the sandbox answers no pages of other sites";

/// Endings of names that are given within a network only (RFC 6761, RFC 6762, RFC 8375, and the one that ICANN reserves).
const LOCAL: [&str; 6] = [".localhost", ".local", ".internal", ".test", ".home.arpa", ".lan"];

/// Lets through what the tester's own programs and the inbox's own page ask.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => super::inbox::refuse(StatusCode::FORBIDDEN, why).into_response(),
    }
}

/// Why these headers come from a page of another site.
pub(super) fn check(headers: &HeaderMap) -> Result<(), &'static str> {
    let host = headers
        .get(header::HOST)
        .map(|host| host.to_str().unwrap_or_default());
    // A browser always names the host.
    let Some(host) = host else { return Ok(()) };
    if !host.parse::<Authority>().is_ok_and(|host| is_local(host.host())) {
        return Err(
            "the sandbox is asked for by an IP address or a name of this network, not by one that the internet may know",
        );
    }
    // Browsers put no `Origin` on what only reads, such as an image or a link; newer ones say there whose page asks. `none`
    // is the tester's own hand. A page of another port or scheme of the same host is another site's here.
    let asker = headers.get("sec-fetch-site");
    if asker.is_some_and(|asker| asker != "same-origin" && asker != "none") {
        return Err(OTHER_SITE);
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let asker = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    match asker {
        Some(asker) if asker.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(OTHER_SITE),
    }
}

/// Whether nobody outside can have this name: an address, a name of one word, or one that ends as local names do.
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
