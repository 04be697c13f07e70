//! The only way out: HTTP calls that cannot be turned against what is inside.
//!
//! | what could be turned | why it cannot |
//! |---|---|
//! | the address | each one is checked when it is connected to (`address`), however it came about |
//! | a redirect | none is followed: a 3xx is a failed call |
//! | a proxy | none is used, whatever the environment says |
//! | the answer | its head and body are bounded, and so is the time of the whole call, however slowly it drips |
//! | the wait for one | each endpoint has its own connections and its own turn to look up names |
//!
//! This is hyper's client with a connector of our own rather than `reqwest`: there, a literal address goes past the
//! resolver that a check could be put into, so that the check would stand in two places; redirects, proxies and
//! cookies would have to be switched off; and it would bring some thirty crates that are not here yet. This way no
//! crate is new to the build (`url` comes with the store already).

mod address;
mod connect;

#[cfg(test)]
mod tests;

pub use address::Allow;

use super::{Call, Method};
use bytes::Bytes;
use connect::{Connector, Resolve, SystemResolver};
use http::header::{CONTENT_LENGTH, DATE, HOST, RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig as TlsConfig, RootCertStore};
use url::{Host, Url};

/// Octets of an answer's body that are read. More than that is not waited for.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Octets, and fields, of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEAD_FIELDS_MAX: usize = 100;
/// How long a connection waits for the next call. Below the 5 s after which common servers hang up, as a call that
/// meets a connection being closed has failed.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// A URL's length.
const URL_CHARS_MAX: usize = 2048;

/// Why a call came to no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The URL cannot be called.
    #[error("the URL {0}")]
    Url(&'static str),
    /// It leads where no call goes.
    #[error("the URL leads to {0}, where no call may go unless `[webhooks] allow` names it")]
    Forbidden(&'static str),
    /// The body is over the bound.
    #[error("the call's body of {bytes} octets is longer than the {bytes_max} that may be sent")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// A header that HTTP does not allow.
    #[error("the call's header {0} holds what HTTP does not allow")]
    Header(&'static str),
    /// The name has no address.
    #[error("the name cannot be looked up: {0}")]
    Resolve(#[source] io::Error),
    /// Nobody answers there.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// TLS could not be agreed upon.
    #[error("no TLS connection: {}", tls_reason(.0))]
    Tls(#[source] io::Error),
    /// The time was over.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("the answer broke off or is not HTTP: {0}")]
    Broken(String),
}

/// Why a certificate was not taken, and where to name one that is to be.
fn tls_reason(error: &io::Error) -> crate::tls::Reason<'_> {
    crate::tls::Reason {
        error,
        setting: "`[webhooks] ca_file`",
    }
}

/// Whether a URL may be called, without looking its name up.
///
/// # Errors
/// Why not, in words: what it leads to, and which setting allows it.
pub fn check_url(url: &str, allow: &[Allow]) -> Result<(), String> {
    Target::read(url, allow)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

impl CallError {
    /// A word for metrics.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Url(_) | Self::Forbidden(_) => "forbidden",
            Self::TooLong { .. } | Self::Header(_) => "unsendable",
            Self::Resolve(_) | Self::Connect(_) | Self::Tls(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::Broken(_) => "broken",
        }
    }

    /// Whether it is the call's own fault, so that no try will ever go better.
    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Header(_))
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Cut at 64 KiB.
    pub(super) body: Vec<u8>,
    /// The `Retry-After` of an answer: a span or a time.
    pub(super) retry_after: Option<RetryAfter>,
}

/// A `Retry-After` header (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryAfter {
    /// For so long.
    Span(Duration),
    /// Until a time.
    Until {
        /// Which, in Unix milliseconds.
        at: i64,
        /// The answer's own `Date`: the difference of the two does not depend on whose clock is right.
        date: Option<i64>,
    },
}

impl RetryAfter {
    /// Reads the header, in seconds or as a date in any of the three forms of RFC 9110 section 5.6.7.
    fn of(headers: &http::HeaderMap) -> Option<Self> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let written = text(RETRY_AFTER)?.trim();
        if !written.is_empty() && written.bytes().all(|octet| octet.is_ascii_digit()) {
            // More seconds than fit a number are as many as there are.
            let seconds = written.parse().unwrap_or(u64::MAX);
            return Some(Self::Span(Duration::from_secs(seconds)));
        }
        Some(Self::Until {
            at: unix_ms(written)?,
            date: text(DATE).and_then(unix_ms),
        })
    }

    /// How long to wait from `now` on, in Unix milliseconds; nothing for a time that is over.
    pub(super) fn wait(self, now: i64) -> Duration {
        match self {
            Self::Span(span) => span,
            Self::Until { at, date } => {
                let ms = at.saturating_sub(date.unwrap_or(now));
                Duration::from_millis(u64::try_from(ms).unwrap_or(0))
            }
        }
    }
}

fn unix_ms(written: &str) -> Option<i64> {
    let at = httpdate::parse_http_date(written.trim()).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// A URL that may be called, before its name is looked up.
#[derive(Debug, Clone)]
pub(super) struct Target(Uri);

impl Target {
    /// Reads a URL: `http` or `https`, without user and password, and, when its host is an address in whatever
    /// spelling, one that may be called.
    pub(super) fn read(written: &str, allow: &[Allow]) -> Result<Self, CallError> {
        if written.len() > URL_CHARS_MAX {
            return Err(CallError::Url("is longer than 2048 characters"));
        }
        let mut url = Url::parse(written).map_err(|_| CallError::Url("cannot be read"))?;
        let Some(port) = url
            .port_or_known_default()
            .filter(|_| matches!(url.scheme(), "http" | "https"))
        else {
            return Err(CallError::Url("is neither http nor https"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CallError::Url("has a user or password in it"));
        }
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) => None,
            None => return Err(CallError::Url("has no host")),
        };
        let host = url.host_str().unwrap_or_default();
        let seen = match address {
            Some(address) => address::check(host, SocketAddr::new(address, port), allow),
            None => address::check_name(host, port, allow),
        };
        seen.map_err(CallError::Forbidden)?;
        url.set_fragment(None);
        let uri = url
            .as_str()
            .parse()
            .map_err(|_| CallError::Url("cannot be read"))?;
        Ok(Self(uri))
    }
}

/// Makes clients.
pub(super) struct Egress {
    allow: Arc<[Allow]>,
    tls: Arc<TlsConfig>,
    resolver: Arc<dyn Resolve>,
    request_bytes_max: usize,
}

impl Egress {
    /// With the certificates that the system trusts, and those of `authorities` besides.
    pub(super) fn new(
        allow: &[Allow],
        authorities: &[CertificateDer<'static>],
        request_bytes_max: usize,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One certificate of the system that does not read is no reason to trust none of them.
            let _ = roots.add(certificate);
        }
        roots.add_parsable_certificates(authorities.iter().cloned());
        if roots.is_empty() {
            tracing::warn!("no trusted certificates");
        }
        let tls = crate::tls::client(roots, authorities.to_vec());
        Self {
            allow: allow.into(),
            tls: Arc::new(tls),
            resolver: Arc::new(SystemResolver),
            request_bytes_max,
        }
    }

    /// Where a URL leads.
    pub(super) fn target(&self, url: &str) -> Result<Target, CallError> {
        Target::read(url, &self.allow)
    }

    /// A client of its own for one endpoint, which keeps as many connections as it has calls at once.
    pub(super) fn client(&self, calls_max: usize) -> EndpointClient {
        let connector = Connector {
            allow: Arc::clone(&self.allow),
            tls: Arc::clone(&self.tls),
            resolver: Arc::clone(&self.resolver),
            turn: Arc::new(Mutex::new(())),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(calls_max)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http1_max_headers(HEAD_FIELDS_MAX)
            .build(connector);
        EndpointClient {
            client,
            request_bytes_max: self.request_bytes_max,
        }
    }
}

/// Calls one endpoint.
#[derive(Clone)]
pub(super) struct EndpointClient {
    client: Client<Connector, Full<Bytes>>,
    request_bytes_max: usize,
}

impl EndpointClient {
    /// Makes a call. `time_max` is for all of it: the name, the connection, the request and the answer.
    pub(super) async fn call(
        &self,
        target: &Target,
        call: Call,
        time_max: Duration,
    ) -> Result<Answer, CallError> {
        let request = self.request(target, call)?;
        tokio::time::timeout(time_max, self.exchange(request))
            .await
            .unwrap_or(Err(CallError::Timeout(time_max)))
    }

    fn request(&self, target: &Target, call: Call) -> Result<Request<Full<Bytes>>, CallError> {
        if call.body.len() > self.request_bytes_max {
            return Err(CallError::TooLong {
                bytes: call.body.len(),
                bytes_max: self.request_bytes_max,
            });
        }
        let method = match call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        let mut request = Request::new(Full::new(Bytes::from(call.body)));
        *request.method_mut() = method;
        *request.uri_mut() = target.0.clone();
        let headers = request.headers_mut();
        for (name, value) in call.headers {
            let wrong = |_| CallError::Header(name);
            let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| CallError::Header(name))?;
            // What frames the request is not the format's.
            if field != HOST && field != CONTENT_LENGTH && field != TRANSFER_ENCODING {
                headers.append(field, HeaderValue::from_str(&value).map_err(wrong)?);
            }
        }
        let agent = HeaderValue::from_static(concat!("postrider/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let response = self.client.request(request).await.map_err(call_error)?;
        let status = response.status().as_u16();
        let retry_after = RetryAfter::of(response.headers());
        let mut incoming = response.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| CallError::Broken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            let room = ANSWER_BYTES_MAX - body.len();
            body.extend_from_slice(data.get(..room).unwrap_or(&data));
            if body.len() == ANSWER_BYTES_MAX {
                // The rest is not read: the connection goes with it.
                break;
            }
        }
        Ok(Answer {
            status,
            body,
            retry_after,
        })
    }
}

/// What the client's error comes from: the connector's own words, or hyper's.
fn call_error(error: hyper_util::client::legacy::Error) -> CallError {
    let is_connect = error.is_connect();
    let Some(source) = error.source() else {
        return CallError::Broken(error.to_string());
    };
    if let Some(ours) = source.downcast_ref::<CallError>() {
        return ours.again();
    }
    let text = source
        .source()
        .map_or_else(|| source.to_string(), |deeper| format!("{source}: {deeper}"));
    if is_connect {
        return CallError::Connect(io::Error::other(text));
    }
    CallError::Broken(text)
}

impl CallError {
    /// The same once more: the client hands errors out by reference only.
    fn again(&self) -> Self {
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Url(what) => Self::Url(what),
            Self::Forbidden(what) => Self::Forbidden(what),
            &Self::TooLong { bytes, bytes_max } => Self::TooLong { bytes, bytes_max },
            Self::Header(name) => Self::Header(name),
            Self::Resolve(error) => Self::Resolve(copy(error)),
            Self::Connect(error) => Self::Connect(copy(error)),
            Self::Tls(error) => Self::Tls(io::Error::new(error.kind(), tls_reason(error).to_string())),
            Self::Timeout(time) => Self::Timeout(*time),
            Self::Broken(text) => Self::Broken(text.clone()),
        }
    }
}
