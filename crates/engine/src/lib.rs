//! The way of a message, one module a step: accept, queue, route, submit, receipt, schedule.
//!
//! ```text
//! dialect ──► accept ──► store ──► queue ──► route ──► carrier (smpp | sandbox)
//!                                                         │ submit
//!                                 store ◄── receipt ◄─────┘
//! ```
//!
//! Each step passes batches to the next. Before a client is answered, before a segment is sent and before a delivery of a
//! carrier is acknowledged, its data are on stable storage.

pub mod accept;
pub mod account_limits;
pub mod address_range;
mod carrier;
pub mod catalog;
pub mod clock;
pub mod clock_watch;
mod engine;
mod expire;
mod failures;
pub mod hex;
pub mod inbound;
mod log_limit;
pub mod manage;
pub mod metrics;
pub mod public_id;
mod pull;
pub mod queue;
pub mod reason;
mod receipt;
mod recover;
pub mod route;
pub mod sandbox;
mod schedule;
mod supervise;
pub mod task;
mod tls;
pub mod webhooks;

pub use carrier::{CarrierError, CarrierState, CarrierStatus, stopped as stopped_carrier};
pub use engine::{Engine, Settings, StartError};
pub use log_limit::LogLimit;
pub use metrics::dialect_name;
pub use pull::AnswerTracker;
pub use reason::ReasonView;
pub use tls::certificate_validity;

pub use sms;
pub use store::{
    AccountId, BatchRange, BatchView, CarrierNo, Contact, ContactList, ContactRefusal, Counts, DeliveryRetry,
    DeliveryRetryFilter, Dialect, Endpoint, EndpointId, EndpointState, Event, EventKinds, EventOffset,
    EventWhat, Inbound, InboundId, MessageFilter, MessageId, MessageSpan, MessageView, Page, PutContact,
    Record, RecordFilter, RecordKind, RecordRefusal, Statistic, StatisticsFilter, StatsDimensions,
    StoreError, SuppressedPolicy, SuppressionKind, Task, TaskProgress, TaskState, TemplateVersion, UnixMs,
};
