//! Who is at the other end of a connection: a client, or a proxy that speaks for clients.

use super::Client;
use super::addresses::Standing;
use super::head::Refusal;
use super::proxy::{self, Preamble};
use super::shared::Shared;
use super::watch::Watch;
use http::{HeaderMap, StatusCode};
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The other end of a connection.
pub(super) enum Origin {
    /// One client.
    Client(Client),
    /// A proxy that may name the client of each request in its head.
    Proxy {
        address: IpAddr,
        standing: Arc<Standing>,
        /// Of the last request: the next one is mostly of the same client.
        last: Mutex<Option<Arc<Standing>>>,
    },
}

impl Origin {
    /// Finds out who has connected from `peer`. Where the settings say that a preamble comes, it is read; nowhere else, and
    /// whether there is one is never guessed: what begins like one may be a client's own words.
    ///
    /// # Errors
    /// When the preamble is not there or cannot be read, its client has too many connections, or the connection ends.
    pub(super) async fn of(
        stream: &mut TcpStream,
        peer: IpAddr,
        shared: &Shared,
        watch: &Watch,
    ) -> io::Result<Self> {
        let settings = &shared.settings;
        if !settings.is_proxy(peer) {
            return Ok(Self::Client(Client::with(peer, Arc::clone(&watch.standing()))));
        }
        let address = if settings.proxy_protocol_from.contains(peer) {
            let named = named(stream, peer, &shared.metrics.preambles_refused);
            named.await?.unwrap_or(peer)
        } else {
            peer
        };
        if settings.trusted_proxies.contains(address) {
            return Ok(Self::Proxy {
                address,
                standing: Arc::clone(&watch.standing()),
                last: Mutex::default(),
            });
        }
        let standing = shared.addresses.open(address);
        if !admit(&standing, shared) {
            return Err(io::Error::other("its client has too many open"));
        }
        watch.stands_for(Arc::clone(&standing));
        Ok(Self::Client(Client::with(address, standing)))
    }

    /// The client of a request.
    ///
    /// # Errors
    /// The answer when the request is not to be served.
    pub(super) fn client(
        &self,
        headers: &HeaderMap,
        shared: &Shared,
        watch: &Watch,
    ) -> Result<Client, Refusal> {
        let (address, last) = match self {
            Self::Client(client) => return Ok(client.clone()),
            Self::Proxy { address, last, .. } => (*address, last),
        };
        let Ok(address) = proxy::client_of(headers, address, &shared.settings.trusted_proxies) else {
            const DISAGREE: &str = "the headers Forwarded and X-Forwarded-For name different clients\n";
            return Err((StatusCode::BAD_REQUEST, DISAGREE));
        };
        let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let standing = last
            .filter(|last| last.is_at(address))
            .and_then(begun_again)
            .unwrap_or_else(|| shared.addresses.open_request(address));
        if !admit(&standing, shared) {
            const TOO_MANY: &str = "too many requests from this address at once\n";
            return Err((StatusCode::TOO_MANY_REQUESTS, TOO_MANY));
        }
        watch.stands_for(Arc::clone(&standing));
        Ok(Client::with(address, standing))
    }

    /// The client that is at the other end, when it is no proxy.
    pub(super) const fn direct(&self) -> Option<&Client> {
        match self {
            Self::Client(client) => Some(client),
            Self::Proxy { .. } => None,
        }
    }

    /// The request has been answered: whose the next one is will be seen.
    pub(super) fn answered(&self, watch: &Watch) {
        if let Self::Proxy { standing, last, .. } = self {
            let ended = watch.stands_for(Arc::clone(standing));
            // It is the proxy's own where the request was refused.
            if !Arc::ptr_eq(&ended, standing) {
                ended.end();
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
            }
        }
    }
}

/// The standing of the last request for the next one of the same address, unless something still speaks of the last.
fn begun_again(mut last: Arc<Standing>) -> Option<Arc<Standing>> {
    Arc::get_mut(&mut last)?.begin_again();
    Some(last)
}

/// Whether one more may be open at an address that a proxy has named. Beyond what the address may have its slowest make
/// room; they get a moment for it, in which it may have twice as many.
fn admit(standing: &Standing, shared: &Shared) -> bool {
    let may_have = shared.settings.limits.per_address_max.max(1);
    let has = standing.address().staying();
    if has > may_have.saturating_mul(2) {
        shared.metrics.refused.inc();
        shared.room_requests.refused.fetch_add(1, Ordering::Relaxed);
        return false;
    }
    if has > may_have {
        shared.room_requests.saturated(standing.address());
    }
    true
}

/// Pauses between looks at a preamble that is not complete. A proxy writes it at once, so this is rare.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The client that the preamble of a connection names, if it names one. Nothing behind it is read.
async fn named(stream: &mut TcpStream, proxy: IpAddr, refused: &Counter) -> io::Result<Option<IpAddr>> {
    let refuse = |problem: &'static str| {
        refused.inc();
        tracing::warn!(%proxy, problem, "proxy connection rejected");
        io::Error::other(problem)
    };
    let mut octets = vec![0; proxy::OCTETS_MAX];
    loop {
        let count = stream.peek(&mut octets).await?;
        let begun = octets.get(..count).unwrap_or_default();
        match proxy::read_preamble(begun) {
            Preamble::None => return Err(refuse("it does not begin with PROXY protocol")),
            Preamble::Malformed => return Err(refuse("its preamble of PROXY protocol cannot be read")),
            Preamble::Partial if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            // The listener ends what takes too long.
            Preamble::Partial => tokio::time::sleep(LOOK_EVERY).await,
            Preamble::Whole {
                octets: count,
                client,
            } => {
                octets.truncate(count);
                stream.read_exact(&mut octets).await?;
                return Ok(client);
            }
        }
    }
}
