//! A webhook endpoint on the loopback, and a node that sends to it.

use super::{ACCOUNT, MASTER_KEY, TestNode, WAIT_MAX};
use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use engine::catalog::{CatalogChange, SecretSealer, endpoint_secret_name};
use engine::webhooks::Limits;
use engine::{Endpoint, EndpointId, EventKinds};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The secret of its endpoint.
pub(crate) const SECRET: &str = "demo_app_secret";

/// A status and a body.
pub(crate) type Reply = (u16, &'static str);
/// What to answer a call, after those before it.
type Script = Box<dyn Fn(&[ReceivedCall], &ReceivedCall) -> Reply + Send + Sync>;

/// A call that the endpoint received.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedCall {
    pub method: Method,
    pub headers: HeaderMap,
    pub octets: Bytes,
    /// The same read as JSON; null when it is none.
    pub body: Value,
    /// What it was answered.
    pub reply: Reply,
}

impl ReceivedCall {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name}: {:?}", self.headers))
            .to_str()
            .unwrap()
    }

    /// The body read as a form.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(&self.octets).into_owned().collect()
    }
}

struct Shared {
    came: watch::Sender<Vec<ReceivedCall>>,
    script: Script,
}

/// An HTTP server on the loopback that records calls and answers by a script.
pub(crate) struct FakeEndpoint {
    shared: Arc<Shared>,
    port: u16,
}

impl FakeEndpoint {
    /// Takes everything.
    pub(crate) async fn start() -> Self {
        Self::playing(|_, _| (200, "")).await
    }

    /// Plays a script.
    pub(crate) async fn playing(
        script: impl Fn(&[ReceivedCall], &ReceivedCall) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            came: watch::Sender::default(),
            script: Box::new(script),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// All calls so far, once they pass.
    pub(crate) async fn until(&self, pass: impl Fn(&[ReceivedCall]) -> bool) -> Vec<ReceivedCall> {
        let mut came = self.shared.came.subscribe();
        let passed = came.wait_for(|came| pass(came));
        match tokio::time::timeout(WAIT_MAX, passed).await {
            Ok(passed) => passed.unwrap().clone(),
            Err(_) => panic!("not in time: {:?}", *self.shared.came.borrow()),
        }
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    headers: HeaderMap,
    octets: Bytes,
) -> (StatusCode, &'static str) {
    let mut call = ReceivedCall {
        method,
        headers,
        body: serde_json::from_slice(&octets).unwrap_or_default(),
        octets,
        reply: (200, ""),
    };
    let mut reply = call.reply;
    shared.came.send_modify(|came| {
        reply = (shared.script)(came, &call);
        call.reply = reply;
        came.push(call);
    });
    (StatusCode::from_u16(reply.0).unwrap(), reply.1)
}

/// An endpoint of the account of the node, with the secret sealed.
pub(crate) fn endpoint(format: &str, url: &str, settings: Value) -> Endpoint {
    let id = EndpointId(1);
    let sealed = SecretSealer::new(&MASTER_KEY).seal(&endpoint_secret_name(id), SECRET);
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

impl TestNode {
    /// Starts webhooks to an endpoint on the loopback.
    pub(crate) async fn start_webhooks(&self, endpoint: Endpoint) {
        let limits = Limits {
            allow: vec!["127.0.0.1/32".parse().unwrap()],
            ..Limits::default()
        };
        self.engine.start_webhooks(api::formats(), limits).unwrap();
        self.engine.check_endpoint(&endpoint).unwrap();
        self.put(endpoint).await;
    }

    /// Keeps an endpoint that is not called.
    pub(crate) async fn put(&self, endpoint: Endpoint) {
        let change = CatalogChange::PutEndpoint(endpoint);
        self.change(vec![change]).await;
    }
}
