//! The way of a message, one module a step: accept, queue, route, submit, receipt, schedule.
//!
//! ```text
//! dialect ──► accept ──► store ──► queue ──► route ──► carrier (smpp | sandbox)
//!                                                         │ submit
//!                                 store ◄── receipt ◄─────┘
//! ```
//!
//! Every hand-over is a batch. What is told to a client is on stable storage first; what leaves for a
//! carrier is on stable storage first; what a carrier tells is acknowledged when it is on stable storage.

pub mod accept;
pub mod address_range;
mod carrier;
pub mod catalog;
pub mod clock;
pub mod clock_watch;
pub mod directory;
mod engine;
mod expire;
mod failures;
pub mod hex;
pub mod inbound;
mod log_limit;
pub mod manage;
pub mod metrics;
pub mod notify;
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

pub use carrier::{CarrierError, CarrierState, CarrierStatus, stopped as stopped_carrier};
pub use engine::{Engine, Settings, StartError};
pub use log_limit::LogLimit;
pub use metrics::dialect_name;
pub use pull::AnswerFate;
pub use reason::ReasonView;
pub use tls::certificate_validity;

pub use sms;
pub use store::{
    AccountId, BatchRange, BatchView, CarrierNo, Contact, ContactList, ContactRefusal, Counts, Dialect,
    Endpoint, EndpointId, EndpointState, Event, EventKinds, EventPlace, EventWhat, Inbound, InboundId,
    MessageFilter, MessageId, MessageSpan, MessageView, Page, PutContact, Record, RecordFilter, RecordKind,
    RecordRefusal, Redelivery, RedeliveryFilter, Series, Statistic, StatisticsFilter, StoreError,
    SuppressedPolicy, SuppressionKind, Task, TaskProgress, TaskState, TemplateVersion, UnixMs,
};
