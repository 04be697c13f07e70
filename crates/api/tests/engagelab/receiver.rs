//! A receiver of events on the loopback, and an engine that tells it.

use super::*;
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use bytes::Bytes;
use engine::catalog::{CatalogChange, Vault, endpoint_secret_name};
use engine::notify;
use engine::{Endpoint, EndpointId, EventKinds};
use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tokio::net::TcpListener;

/// The secret of its endpoint.
pub(super) const SECRET: &str = "demo_app_secret";
/// The house's master key.
const MASTER_KEY: [u8; 32] = [3; 32];

/// One call as it came.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) octets: Bytes,
}

impl Came {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name}: {:?}", self.headers))
            .to_str()
            .unwrap()
    }
}

#[derive(Default)]
struct Desk {
    came: Mutex<Vec<Came>>,
    /// Statuses to answer with, before it answers 200.
    answers: Mutex<VecDeque<u16>>,
}

/// What listens.
pub(super) struct Receiver {
    desk: Arc<Desk>,
    pub(super) port: u16,
}

impl Receiver {
    /// Answers so, then 200.
    pub(super) async fn start(answers: &[u16]) -> Self {
        let desk = Arc::new(Desk {
            answers: Mutex::new(answers.iter().copied().collect()),
            ..Desk::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(any(take)).with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { desk, port }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// All calls so far, once they pass.
    pub(super) async fn until(&self, pass: impl Fn(&[Came]) -> bool) -> Vec<Came> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let came = self.desk.came.lock().unwrap().clone();
            if pass(&came) {
                return came;
            }
            assert!(tokio::time::Instant::now() < deadline, "not in time: {came:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, octets: Bytes) -> StatusCode {
    let body = serde_json::from_slice(&octets).unwrap();
    desk.came.lock().unwrap().push(Came {
        headers,
        body,
        octets,
    });
    let answer = desk.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap()
}

/// An endpoint of the house's account, with the secret sealed.
pub(super) fn endpoint(format: &str, url: &str, settings: Value) -> Endpoint {
    let id = EndpointId(1);
    let sealed = Vault::new(&MASTER_KEY).seal(&endpoint_secret_name(id), SECRET);
    Endpoint {
        id,
        account: ACCOUNT,
        name: "hook".into(),
        format: format.into(),
        url: url.into(),
        kinds: EventKinds::ALL,
        settings,
        sealed_secret: sealed.unwrap(),
        enabled: true,
    }
}

/// A house that tells an endpoint on the loopback what happens from now on.
pub(super) async fn house_that_tells(endpoint: Endpoint) -> House {
    let house = House::start().await;
    let limits = notify::Limits {
        allow: vec!["127.0.0.1/32".parse().unwrap()],
        poll: Duration::from_millis(20),
        ..notify::Limits::default()
    };
    house.engine.start_notify(api::formats(), limits).unwrap();
    house.engine.check_endpoint(&endpoint).unwrap();
    let change = CatalogChange::PutEndpoint(endpoint);
    house.engine.store().change_catalog(vec![change]).await.unwrap();
    house.engine.reload_catalog().await.unwrap();
    house
}
