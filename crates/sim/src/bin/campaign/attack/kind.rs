//! The kinds of hostile clients there are.

use std::sync::Arc;

use clap::ValueEnum;

use super::payload::{Payloads, WIRES};
use super::step::{Script, Step};

/// What an unauthenticated client does to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Bodies of 4 MiB that lack their last octet, to every wire
    Bodies,
    /// Heads that announce a body, and no body
    Heads,
    /// Heads that come an octet a second
    SlowHeads,
    /// Connections on which nothing is sent
    Silent,
    /// JSON of 4 MB that is costly to read: many numbers, deep, many keys, long numbers
    Json,
    /// Forms of 4 MB with many fields
    Forms,
    /// Secrets guessed on every wire, for a key that exists
    Guesses,
    /// Bodies that are announced as longer than any may be
    Lengths,
    /// Clients that send requests and do not read the answers
    Deaf,
    /// Connections that are reset as soon as they are there
    Churn,
    /// Connections that are kept after one request
    Hoard,
    /// What is no HTTP, CONNECT, and requests with two lengths
    Garbage,
    /// The listener of metrics, filled in all of these ways
    Metrics,
    /// TLS greetings, whole, in part, and garbled
    Tls,
    /// Bodies in chunks of one octet, with long extensions and trailers
    Chunks,
    /// Heads with many headers or of 64 KiB
    Headers,
    /// Good requests of a customer with a key, damaged
    Mutated,
}

impl Kind {
    /// What the table calls it.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it goes to the listener of metrics.
    pub(super) const fn is_at_metrics(self) -> bool {
        matches!(self, Self::Metrics)
    }

    /// Whether each connection is held and idle, so that its memory can be measured.
    pub(super) const fn is_idle(self) -> bool {
        matches!(self, Self::Heads | Self::SlowHeads | Self::Silent | Self::Hoard)
    }

    /// What the connection in this place does, the `round`th time that it is made.
    pub(super) fn script(self, payloads: &Arc<Payloads>, place: usize, round: u64) -> Script {
        // Every connection comes by every form of its kind.
        let turn = place + usize::try_from(round).unwrap_or(0);
        let wire = WIRES.get(turn % WIRES.len()).unwrap_or(&WIRES[0]);
        match self {
            Self::Bodies => Script::once([
                Step::Send(payloads.head(wire, 4 << 20)),
                Step::Send(payloads.body(wire)),
                Step::Hold,
            ]),
            Self::Heads => Script::once([Step::Send(payloads.head(wire, 100)), Step::Hold]),
            Self::SlowHeads => Script::once([Step::Trickle(payloads.head(wire, 100)), Step::Hold]),
            Self::Silent => Script::once([Step::Hold]),
            Self::Json => Script::forever([Step::Send(payloads.json(turn)), Step::Read]),
            Self::Forms => Script::forever([Step::Send(payloads.form(turn)), Step::Read]),
            Self::Guesses => Script::forever([Step::Send(payloads.guess(wire)), Step::Read]),
            Self::Lengths => Script::once([Step::Send(payloads.long(wire, turn)), Step::Read, Step::Hold]),
            Self::Deaf => Script::forever([Step::Send(payloads.pipelined(wire))]).deaf(),
            Self::Mutated => Script::forever([Step::SendMutated, Step::Read]),
            Self::Churn => Script::once([Step::Send(payloads.start(turn)), Step::Reset]),
            Self::Hoard => Script::once([Step::Send(payloads.guess(wire)), Step::Read, Step::Hold]),
            Self::Garbage => Script::once([Step::Send(payloads.garbage(turn)), Step::Read]),
            Self::Metrics => metrics(payloads, turn),
            Self::Tls => match turn % 3 {
                0 => Script::once([Step::Send(payloads.hello(usize::MAX)), Step::Hold]),
                1 => Script::once([Step::Send(payloads.hello(turn % 200)), Step::Hold]),
                _ => Script::once([Step::Send(payloads.garbled_hello(turn)), Step::Read]),
            },
            Self::Chunks => Script::once([Step::Send(payloads.chunks(wire, turn)), Step::Read, Step::Hold]),
            Self::Headers => Script::once([Step::Send(payloads.headers(wire, turn)), Step::Read, Step::Hold]),
        }
    }
}

fn metrics(payloads: &Arc<Payloads>, turn: usize) -> Script {
    match turn % 6 {
        0 => Script::once([Step::Hold]),
        1 => Script::once([Step::Trickle(payloads.get("/metrics")), Step::Hold]),
        2 => Script::once([Step::Send(payloads.head(&WIRES[0], 4 << 20)), Step::Hold]),
        3 => Script::forever([Step::Send(payloads.get("/livez"))]).deaf(),
        4 => Script::once([Step::Send(payloads.get("/metrics")), Step::Read, Step::Hold]),
        _ => Script::once([Step::Send(payloads.garbage(turn)), Step::Read]),
    }
}
