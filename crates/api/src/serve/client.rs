//! Who a request comes from, as far as the listener knows.

use super::addresses::Standing;
use super::watch::Watch;
use engine::AccountId;
use http::Extensions;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Where a request comes from, and whether a credential was verified there. The listener puts one into the extensions of
/// every request; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    address: IpAddr,
    standing: Arc<Standing>,
    /// Of its connection, for a request that a listener has read.
    watch: Option<Arc<Watch>>,
}

impl Client {
    /// Somebody at `address` of whom nothing is known yet, and who is counted nowhere.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self::with(address, Arc::new(Standing::uncounted(false)))
    }

    pub(super) fn with(address: IpAddr, standing: Arc<Standing>) -> Self {
        Self {
            address: address.to_canonical(),
            standing,
            watch: None,
        }
    }

    /// The same, for a request of this connection.
    pub(super) fn of_connection(self, watch: &Arc<Watch>) -> Self {
        Self {
            watch: Some(Arc::clone(watch)),
            ..self
        }
    }

    /// The one in a request's extensions; without a listener (a router called by itself), somebody at the unspecified
    /// address.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions
            .get()
            .cloned()
            .unwrap_or_else(|| Self::new(Ipv4Addr::UNSPECIFIED.into()))
    }

    /// The client's address; behind trusted proxies the one they name. An IPv4 address is never written as IPv6.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// What limits by address count by: see [`network`](super::network).
    #[must_use]
    pub fn network(&self) -> IpAddr {
        super::network(self.address)
    }

    /// A credential was verified: from now on limits by address do not apply to this connection (behind a proxy that names
    /// its clients in headers, to this request). Costs one store; calling it again is fine.
    pub fn verified(&self) {
        self.standing.verify();
    }

    /// As [`Client::verified`], and by which credential: its mark, which is not 0, and whose it is, where that is known.
    pub(crate) fn verified_as(&self, mark: u64, account: Option<AccountId>) {
        self.verified();
        self.standing.set_credential(mark);
        if let (Some(watch), Some(account)) = (&self.watch, account) {
            self.standing.is_of_customer(watch.bytes_of_customer(account));
        }
    }

    /// Whether the credential that was verified here last is the one with this mark.
    pub(crate) fn is_verified_as(&self, mark: u64) -> bool {
        self.is_verified() && self.standing.credential() == mark
    }

    /// Whether a credential was verified here before, or, of a request that came by a proxy, at the client's address lately.
    pub(crate) fn is_trusted(&self) -> bool {
        self.standing.is_trusted()
    }

    /// Waits for `turn`. Meanwhile the request counts as one that may have to make room for others; `None` when it has to: then
    /// it is to be answered, and its connection ends with that.
    pub(crate) async fn hold<T>(&self, turn: impl Future<Output = T>) -> Option<T> {
        match &self.watch {
            Some(watch) => watch.hold(turn).await,
            None => Some(turn.await),
        }
    }

    /// Whether a credential was verified here before.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.standing.is_verified()
    }
}

/// The requests of a proxy that names its clients in headers.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct ClientsBehindProxy(Arc<super::addresses::Addresses>);

#[cfg(test)]
impl ClientsBehindProxy {
    /// The next request of the client at `address`.
    pub(crate) fn request(&self, address: &str) -> Client {
        let address = address.parse().unwrap();
        Client::with(address, self.0.open_request(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_one_address_however_it_is_written() {
        let mapped = Client::new("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(mapped.address(), "192.0.2.7".parse::<IpAddr>().unwrap());
        assert_eq!(mapped.network(), mapped.address());
    }

    #[test]
    fn what_was_verified_once_is_known_to_all_of_its_handles() {
        let mut extensions = Extensions::new();
        assert_eq!(
            Client::of(&extensions).address(),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        );
        extensions.insert(Client::new("192.0.2.7".parse().unwrap()));
        let one = Client::of(&extensions);
        assert!(!one.is_verified());
        one.verified();
        assert!(Client::of(&extensions).is_verified());
    }
}
