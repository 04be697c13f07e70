//! Webhook delivery over real connections and a real store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod calling;
mod failing;
mod operating;
mod testkit;

use engine::catalog::{CatalogChange, EndpointEntry, Review};
use engine::clock::{Clock, PausedClock, SystemClock};
use engine::webhooks::{Call, EventPayload, Format, Limits, OperateError, ProbeError, Schedule, Stamp};
use engine::{Endpoint, EndpointId, EventKinds};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::Store;
use testkit::{
    Folder, Hook, Quick, Reply, SECRET, Seen, SeenClock, TestEngine, endpoint, eventually, limits, template,
};

const ONE: EndpointId = EndpointId(1);

/// Waits until a hook took the events of so many messages.
async fn until_delivered(hook: &Hook, count: usize) {
    eventually("delivered", || hook.count("message.delivered") >= count).await;
}

fn standard(id: u32, url: &str) -> Endpoint {
    Endpoint {
        format: "standard".into(),
        ..endpoint(id, url, Value::Null)
    }
}

/// Every kind of failure, by chance.
fn chance(rng: &Mutex<StdRng>, percent: u32) -> Reply {
    let mut rng = rng.lock().unwrap();
    if rng.random_range(0..100) >= percent {
        return Reply::OK;
    }
    match rng.random_range(0..20) {
        0 => Reply::Hang,
        1..3 => Reply::Die,
        3..5 => Reply::Status(302, "location: http://169.254.169.254/\r\n"),
        5..7 => Reply::Late(30, 503),
        _ => Reply::FAIL,
    }
}
