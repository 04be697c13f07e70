//! Webhooks: delivers the events of accounts to their endpoints.
//!
//! ```text
//! outbox ──► worker (one an endpoint) ──► format ──► egress ──► endpoint
//!    ▲         plan, circuit breaker                               │
//!    └────────── acked offset · retries · pause ◄──────────────────┘
//! ```
//!
//! - **Delivery is at least once.** The acked offset of an endpoint is a position in the outbox. It moves only in the
//!   transaction that stores the retries (`plan`). A kill repeats at most the events of the window.
//! - **Endpoints are independent.** Each has its own worker, connections and concurrency; its events wait in the
//!   outbox, of which memory holds a window.
//! - **Events of one message are delivered in order**, those of different messages concurrently.
//! - **A failed call is retried on the schedule of its format; a failing endpoint trips its circuit breaker** (`breaker`).
//! - **No call goes to a private address** (`egress`).
//! - **Sending has priority over webhook delivery**: all workers share one thread of the lowest priority (`low_priority`).

mod breaker;
mod delivery;
mod egress;
mod format;
mod limits;
mod low_priority;
mod metrics;
mod operate;
mod plan;
mod skew;
mod standard;
mod supervisor;
mod worker;

pub use egress::{Allow, CallError, check_url};
pub use format::{Call, EventPayload, Format, Method, Schedule, Stamp, Subject};
pub use limits::Limits;
pub use low_priority::least_priority;
pub use metrics::{CallLabel, EndpointLabel, FormatLabel, WebhookMetrics};
pub use operate::{OperateError, ProbeError, WebhookError};
pub use standard::Standard;
pub(crate) use supervisor::Webhooks;
