//! A session over a socket, shared by the client and the server.
//!
//! One task owns the socket. Any event wakes it, and then it does all work that is possible: takes all queued commands,
//! reads all octets that have arrived, encodes into one buffer, writes that buffer with one call, and passes its events
//! to the user as one batch.

mod driver;
mod events;
mod handle;
mod link;
mod stream;

pub use events::Events;
pub use handle::{Handle, Unsent};

pub(crate) use driver::{Stop, start};
pub(crate) use link::Link;
pub(crate) use stream::Stream;

/// The bounds of what one connection holds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Requests that wait for a slot of the window at most; never less than the window.
    pub queue_max: usize,
    /// Events that the user has not taken, above which the socket is no longer read.
    pub events_max: usize,
    /// Octets of one PDU at most; a longer one ends the session.
    pub frame_bytes_max: usize,
    /// Octets waiting to be written, above which no further request is sent.
    pub write_bytes_max: usize,
}

impl Default for Buffers {
    /// 1000 requests, 4096 events, PDUs of 128 KiB, 64 KiB to be written.
    fn default() -> Self {
        Self {
            queue_max: 1000,
            events_max: 4096,
            frame_bytes_max: crate::frame::FRAME_BYTES_MAX_DEFAULT,
            write_bytes_max: 64 * 1024,
        }
    }
}
