//! Proxies in front of the listener, and what they say of their clients.
//!
//! Only proxies that the settings name are believed, and each only in the way that they say: by PROXY protocol for a whole
//! connection ([`read_preamble`]), or for each request in a header ([`client_of`]). The preamble says who is at the other end
//! of the connection; headers are looked at only if a proxy that names clients in headers is there.

mod forwarded;
mod preamble;
mod trusted;

pub use forwarded::{Disagree, client_of};
pub(super) use preamble::OCTETS_MAX;
pub use preamble::{Preamble, read as read_preamble};
pub use trusted::TrustedProxies;
