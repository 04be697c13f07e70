//! A page with the inbox, for a browser that opens the address of `postrider dev`.
//!
//! `/` belongs to UCloud's API. Only a GET without a query that prefers HTML gets the page.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const PAGE: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/inbox.js");
const STYLE: &str = include_str!("page/inbox.css");

/// Nothing but the page's own files may be loaded or called.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/sandbox", get(async || page()))
        .route(
            "/sandbox/inbox.js",
            get(async || file("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route(
            "/sandbox/inbox.css",
            get(async || file("text/css; charset=utf-8", STYLE)),
        )
}

/// Serves the page to browsers at `/`, and passes other requests to the API.
pub(super) async fn for_browsers(request: Request, next: Next) -> Response {
    let is_page_request =
        request.uri().path() == "/" && request.uri().query().is_none() && request.method() == Method::GET;
    if is_page_request && prefers_html(request.headers()) {
        return page();
    }
    next.run(request).await
}

/// Whether `Accept` prefers HTML to JSON and everything else. `*/*` alone, as programs send it, does not.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let (mut html, mut other) = (0.0_f32, 0.0_f32);
    for range in accepted.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|parameter| parameter.strip_prefix("q="))
            .map_or(Some(1.0), |weight| weight.parse().ok())
            .unwrap_or(0.0);
        match kind {
            "text/html" | "application/xhtml+xml" => html = html.max(weight),
            "application/json" => other = other.max(weight),
            _ => {}
        }
    }
    html > 0.0 && html >= other
}

fn page() -> Response {
    file("text/html; charset=utf-8", PAGE)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_prefers_html_gets_the_page() {
        let prefers = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            prefers_html(&headers)
        };
        assert!(prefers(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(prefers("application/json;q=0.5, text/html"));
        for other in [
            "*/*",
            "application/json",
            "application/json, text/html;q=0.9",
            "text/html;q=0",
            "",
        ] {
            assert!(!prefers(other), "{other}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
