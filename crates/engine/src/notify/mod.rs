//! Telling accounts their events: who is told, when, in what order, and what happens when nobody answers.
//!
//! ```text
//! store's log ──► worker (one an endpoint) ──► format ──► egress ──► endpoint
//!      ▲            plan, health                                        │
//!      └──────────── told so far · put aside · paused ◄─────────────────┘
//! ```
//!
//! - **Nothing is lost, and something may come twice.** How far an endpoint is told is a place in the store's log, and
//!   moves only together with what was put aside (`plan`). A kill costs repeats of at most the window.
//! - **Nobody waits for another.** Each endpoint has its own worker, connections and turns; its events wait in the
//!   store, of which memory holds a window.
//! - **A message's events come in order**, those of different messages side by side.
//! - **A call that fails is tried by its format's schedule; an endpoint that fails is left alone** (`health`).
//! - **No call goes inside** (`egress`).
//! - **Sending does not wait for telling**: all of it is on one thread that gives way to every other (`give_way`).

mod egress;
mod flight;
mod format;
mod give_way;
mod health;
mod limits;
mod metrics;
mod office;
mod operate;
mod plan;
mod skew;
mod standard;
mod worker;

pub use egress::{Allow, CallError, check_url};
pub use format::{Call, Format, Method, Schedule, Stamp, Subject, Telling};
pub use give_way::least_priority;
pub use limits::Limits;
pub use metrics::{CallLabel, EndpointLabel, FormatLabel, NotifyMetrics};
pub(crate) use office::Notify;
pub use operate::{NotifyError, OperateError, ProbeError};
pub use standard::Standard;
