//! Proxies in front of the listener, and what they say of their clients.
//!
//! Only trusted proxies are believed. One may name its client for a whole connection, by PROXY protocol ([`read_preamble`]), or
//! for each request, in a header ([`client_of`]). Where there are both, the preamble comes first: it says who is at the
//! other end of the connection, and only if that is a trusted proxy again are its headers looked at.

mod forwarded;
mod preamble;
mod trusted;

pub use forwarded::{Disagree, client_of};
pub(super) use preamble::OCTETS_MAX;
pub use preamble::{Preamble, read as read_preamble};
pub use trusted::{AddressRange, TrustedProxies};
