//! The interface of webhook formats.
//!
//! The engine decides when an event is delivered and to which endpoint, and guarantees delivery and order; a [`Format`]
//! renders the calls, checks the answers and sets the retry schedule. Formats do no I/O and read no clock.

use crate::catalog::EndpointEntry;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{Event, Inbound, MessageView, Signature, Template, UnixMs};

/// A webhook format. Its name is the value of [`store::Endpoint::format`].
pub trait Format: Send + Sync + 'static {
    /// Its name in configuration files, such as `sendcloud`.
    fn name(&self) -> &'static str;

    /// Checks an endpoint's settings when it is set up.
    ///
    /// # Errors
    /// The complaint.
    fn check(&self, settings: &Value) -> Result<(), String>;

    /// Checks the secret of an endpoint when it is set up. The secret is not blank and has no control characters; the error
    /// text must not contain it.
    ///
    /// # Errors
    /// The complaint.
    fn check_secret(&self, secret: &str) -> Result<(), String> {
        let _ = secret;
        Ok(())
    }

    /// Octets of the key that a secret holds.
    fn key_octets(&self, secret: &str) -> usize {
        secret.len()
    }

    /// Events that one call may report; 1 when every event is a call of its own.
    fn events_max(&self, settings: &Value) -> usize;

    /// The calls that report these events, in order. An event that this format does not report is in none of them and
    /// counts as delivered. `payloads` has at most [`Format::events_max`] entries for one call; an event may
    /// also need several calls (an accepted batch of many numbers), which are then made in order. When one of them
    /// fails, all of them are made again later. A batch of more than a thousand messages comes in pieces of a
    /// thousand: events with the same offset, each with the range it is about.
    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call>;

    /// Whether an answer accepts the call. `body` is cut at 64 KiB.
    fn is_taken(&self, status: u16, body: &[u8]) -> bool;

    /// Whether an answer says that the endpoint wants no more calls: it is paused until an operator resumes it.
    fn is_gone(&self, status: u16, body: &[u8]) -> bool {
        let _ = (status, body);
        false
    }

    /// Longest time for a call, from connecting to the end of the answer.
    fn time_max(&self) -> Duration;

    /// When calls are tried again.
    fn schedule(&self, settings: &Value) -> Schedule;

    /// The calls of `postrider webhook test`. Setting an endpoint up calls nothing.
    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call>;

    /// Whether an answer to one of [`Self::probes`] is the right one: as for any other call, unless the vendor specifies
    /// another.
    fn is_probe_taken(&self, status: u16, body: &[u8]) -> bool {
        self.is_taken(status, body)
    }
}

/// An event with its subject, read when it is delivered.
#[derive(Debug, Clone)]
pub struct EventPayload {
    /// The event.
    pub event: Event,
    /// Its subject; [`Subject::Gone`] when that was removed meanwhile.
    pub subject: Subject,
}

/// The subject of an event.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The messages of an accepted batch, in order; all of one batch.
    Batch(Vec<MessageView>),
    /// A message. Its state may be later than the event's; the event's is reported.
    Message(Box<MessageView>),
    /// An inbound message.
    Inbound(Box<Inbound>),
    /// A template.
    Template(Box<Template>),
    /// A signature.
    Signature(Arc<Signature>),
    /// It is not there any more.
    Gone,
}

/// Time and chance for a call, made by the engine.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// When the call is made.
    pub now: UnixMs,
    /// 32 random octets.
    pub random: [u8; 32],
    /// The makers of public ids, by which answers named the messages.
    pub public_ids: Arc<crate::public_id::PublicIds>,
}

/// One HTTP call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `POST` or `GET`.
    pub method: Method,
    /// Headers, `content-type` among them. `host`, `content-length` and `user-agent` are the engine's.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
}

/// When calls are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The wait before each further try. After the last one a call is dead (and can be resent by hand).
    pub waits: Vec<Duration>,
    /// How much each wait is spread, in percent of it, up and down: 0 where the vendor documents the times.
    pub jitter_percent: u8,
}
