//! The simulator against a real client, over real connections: one test for each thing it can do to a gateway.

mod answers;
mod binds;
mod connections;
mod control;
mod esme;
mod receipts;
