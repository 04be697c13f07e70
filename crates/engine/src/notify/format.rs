//! What a dialect must know to tell events in its own words.
//!
//! The engine knows when and to whom something is told, that it is not lost and not told out of order; a [`Format`]
//! knows how a call looks, what answer it expects, and when it is tried again. Formats do no I/O and read no clock.

use crate::catalog::EndpointEntry;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{Event, Inbound, MessageView, Signature, Template, UnixMs};

/// One form of calls. The name is what [`store::Endpoint::format`] holds.
pub trait Format: Send + Sync + 'static {
    /// Its name in configuration files, such as `sendcloud`.
    fn name(&self) -> &'static str;

    /// Checks an endpoint's settings when it is set up; what is wrong, in words for people.
    ///
    /// # Errors
    /// The complaint.
    fn check(&self, settings: &Value) -> Result<(), String>;

    /// Checks the secret of an endpoint when it is set up; what is wrong, in words for people, without the secret. It is
    /// neither blank nor has it control characters.
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

    /// Events that one call may tell; 1 when every event is a call of its own.
    fn events_max(&self, settings: &Value) -> usize;

    /// The calls that tell these events, in order. An event that this form has no words for is in none of them: it is
    /// told by being passed over. `tellings` has at most [`Format::events_max`] entries for one call; an event may
    /// also need several calls (an accepted batch of many numbers), which are then made in order. When one of them
    /// fails, all of them are made again later. A batch of more than a thousand messages comes in pieces of a
    /// thousand: events with the same place, each with the range it is about.
    fn calls(&self, endpoint: &EndpointEntry, tellings: &[Telling], stamp: &Stamp) -> Vec<Call>;

    /// Whether an answer says that the call was taken. `body` is cut at 64 KiB.
    fn is_taken(&self, status: u16, body: &[u8]) -> bool;

    /// Whether an answer says that the endpoint wants no more calls at all: it is paused until somebody resumes it.
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

    /// Whether an answer to one of [`Self::probes`] is the right one: as for any other call, unless the vendor asks for
    /// another.
    fn is_probe_taken(&self, status: u16, body: &[u8]) -> bool {
        self.is_taken(status, body)
    }
}

/// An event with what there is to say about it, read when it is told.
#[derive(Debug, Clone)]
pub struct Telling {
    /// The event.
    pub event: Event,
    /// What it is about; [`Subject::Gone`] when that was removed meanwhile.
    pub subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The messages of an accepted batch, in order; all of one batch.
    Batch(Vec<MessageView>),
    /// A message. Its state may be further on than the event's, which is what is told.
    Message(Box<MessageView>),
    /// What a person wrote.
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
    /// The wait before each further try. After the last one a call is given up (and can be resent by hand).
    pub waits: Vec<Duration>,
    /// How much each wait is spread, in percent of it, up and down: 0 where the vendor documents the times.
    pub jitter_percent: u8,
}
