//! An engine on a real store that delivers events to real servers on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod hook;

pub(crate) use hook::{Hook, Reply, Seen};

use engine::accept::{
    Duplicates, Forbidden, Item, Missing, Overlong, Recipient, Rules, SignatureRef, Submission, TemplateRef,
    Values,
};
use engine::catalog::{
    CarrierSettings, EndpointEntry, Review, SandboxSettings, SecretSealer, Template, endpoint_secret_name,
};
use engine::clock::{Clock, PausedClock};
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Grammar;
use engine::webhooks::{
    Call, EndpointLabel, EventPayload, Format, Limits, OperateError, Schedule, Stamp, Standard,
};
use engine::{
    AccountId, CarrierNo, Dialect, Endpoint, EndpointId, EndpointState, Engine, EventKinds, Settings,
    SuppressedPolicy,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{Account, Caps, Carrier, CatalogChange, Position, Route, Store, StoreError, UnixMs};
use tempfile::TempDir;

pub(crate) const ACCOUNT: AccountId = AccountId(1);
pub(crate) const TEMPLATE: i64 = 1;
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// How long a test waits for what must come.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// `standard` with a schedule a test can wait for, and several events in one call when the endpoint says so.
#[derive(Debug, Clone)]
pub(crate) struct Quick {
    pub waits_ms: Vec<u64>,
    pub time_max_ms: u64,
}

impl Default for Quick {
    fn default() -> Self {
        Self {
            waits_ms: vec![20; 200],
            time_max_ms: 500,
        }
    }
}

impl Format for Quick {
    fn name(&self) -> &'static str {
        "quick"
    }

    fn check(&self, _: &Value) -> Result<(), String> {
        Ok(())
    }

    fn events_max(&self, settings: &Value) -> usize {
        settings["events"].as_u64().map_or(1, |events| events as usize)
    }

    fn calls(&self, endpoint: &EndpointEntry, payloads: &[EventPayload], stamp: &Stamp) -> Vec<Call> {
        let mut calls = Standard.calls(endpoint, payloads, stamp);
        if self.events_max(&endpoint.endpoint.settings) == 1 || calls.is_empty() {
            return calls;
        }
        let bodies: Vec<Value> = calls
            .iter()
            .map(|call| serde_json::from_slice(&call.body).unwrap())
            .collect();
        calls.truncate(1);
        calls[0].body = serde_json::to_vec(&bodies).unwrap();
        calls
    }

    fn is_taken(&self, status: u16, body: &[u8]) -> bool {
        Standard.is_taken(status, body)
    }

    fn is_gone(&self, status: u16, body: &[u8]) -> bool {
        Standard.is_gone(status, body)
    }

    fn time_max(&self) -> Duration {
        Duration::from_millis(self.time_max_ms)
    }

    fn schedule(&self, _: &Value) -> Schedule {
        Schedule {
            waits: self.waits_ms.iter().copied().map(Duration::from_millis).collect(),
            jitter_percent: 50,
        }
    }

    fn probes(&self, endpoint: &EndpointEntry, stamp: &Stamp) -> Vec<Call> {
        [Standard.probes(endpoint, stamp), Standard.probes(endpoint, stamp)].concat()
    }
}

/// Limits for a test: everything on loopback is meant, and nothing takes long.
pub(crate) fn limits() -> Limits {
    Limits {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        poll: Duration::from_millis(20),
        record_every: Duration::from_millis(10),
        ..Limits::default()
    }
}

/// An endpoint of the account.
pub(crate) fn endpoint(id: u32, url: &str, settings: Value) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        account: ACCOUNT,
        name: format!("endpoint-{id}").into(),
        format: "quick".into(),
        url: url.into(),
        kinds: EventKinds::ALL,
        settings,
        sealed_secret: sealer()
            .seal(&endpoint_secret_name(EndpointId(id)), SECRET)
            .unwrap(),
        enabled: true,
    }
}

fn sealer() -> SecretSealer {
    SecretSealer::new(&[3; 32])
}

/// A clock that moves only by calls, and counts the reads of the webhook thread: by that a test knows that the thread has
/// seen the new time.
#[derive(Debug)]
pub(crate) struct SeenClock {
    paused: PausedClock,
    clock_reads: AtomicU64,
}

/// More clock reads than a worker with at most one call makes in a round: before it reads, before each call and after
/// the last, to show how it stands, to know how long to sleep; and what was left of the round before.
const CLOCK_READS_A_ROUND: u64 = 8;

impl SeenClock {
    pub(crate) fn at(now: UnixMs) -> Self {
        Self {
            paused: PausedClock::at(now),
            clock_reads: AtomicU64::new(0),
        }
    }
}

impl Clock for SeenClock {
    fn now(&self) -> UnixMs {
        // The time is read first: a counted read has seen it.
        let now = self.paused.now();
        if std::thread::current().name() == Some("webhooks") {
            self.clock_reads.fetch_add(1, Ordering::SeqCst);
        }
        now
    }
}

/// The files of one store.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Opens the store; waits for who had it before.
    pub(crate) fn open(&self) -> Arc<SqliteStore> {
        let deadline = std::time::Instant::now() + WAIT_MAX;
        loop {
            let path = self.0.path().join("postrider.db");
            match SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()) {
                Ok(store) => return Arc::new(store),
                Err(StoreError::InUse(_)) if std::time::Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// An engine at work.
pub(crate) struct TestEngine {
    pub engine: Arc<Engine>,
    pub store: Arc<SqliteStore>,
    pub folder: Folder,
}

impl TestEngine {
    /// A new one, by the machine's clock.
    pub(crate) async fn start(endpoints: Vec<Endpoint>, quick: Quick, limits: Limits) -> Self {
        Self::by_clock(Arc::new(engine::clock::SystemClock), endpoints, quick, limits).await
    }

    pub(crate) async fn by_clock(
        clock: Arc<dyn Clock>,
        endpoints: Vec<Endpoint>,
        quick: Quick,
        limits: Limits,
    ) -> Self {
        Self::on(set_up(endpoints).await, clock, quick, limits).await
    }

    /// With other formats.
    pub(crate) async fn with(
        formats: Vec<Arc<dyn Format>>,
        endpoints: Vec<Endpoint>,
        limits: Limits,
    ) -> Self {
        let clock = Arc::new(engine::clock::SystemClock);
        Self::with_formats(set_up(endpoints).await, clock, formats, limits).await
    }

    /// On what is there.
    pub(crate) async fn on(folder: Folder, clock: Arc<dyn Clock>, quick: Quick, limits: Limits) -> Self {
        Self::with_formats(folder, clock, vec![Arc::new(quick), Arc::new(Standard)], limits).await
    }

    async fn with_formats(
        folder: Folder,
        clock: Arc<dyn Clock>,
        formats: Vec<Arc<dyn Format>>,
        limits: Limits,
    ) -> Self {
        let store = folder.open();
        let settings = Settings {
            catalog_poll: Duration::from_millis(50),
            ..Settings::default()
        };
        let port: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let engine = Engine::start(port, sealer(), clock, settings).await.unwrap();
        engine.start_webhooks(formats, limits).unwrap();
        Self {
            engine,
            store,
            folder,
        }
    }

    /// Stops in order.
    pub(crate) async fn stop(self) -> Folder {
        self.engine.stop(Duration::from_secs(10)).await.unwrap();
        self.folder
    }

    /// Sends to so many numbers: one event for the batch, two for each message.
    pub(crate) async fn send(&self, count: u64) {
        self.engine.accept(submission(count), None).await.unwrap();
    }

    /// Sends so many batches of one.
    pub(crate) async fn send_singly(&self, count: u64) {
        for _ in 0..count {
            self.send(1).await;
        }
    }

    pub(crate) async fn change(&self, change: CatalogChange) {
        self.store.change_catalog(vec![change]).await.unwrap();
        self.engine.reload_catalog().await.unwrap();
    }

    /// Waits until the workers match the catalog. The supervisor compares them before each command and forwards commands in
    /// order, so that the second of two comes after the change.
    pub(crate) async fn followed(&self, endpoint: u32) {
        for _ in 0..2 {
            while let Err(OperateError::Busy | OperateError::Store(_)) =
                self.engine.resume_endpoint(EndpointId(endpoint)).await
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    pub(crate) async fn state(&self, endpoint: u32) -> EndpointState {
        let states = self.engine.endpoint_states().await.unwrap();
        states
            .into_iter()
            .find(|state| state.endpoint == EndpointId(endpoint))
            .unwrap()
    }

    /// Waits until an endpoint's state passes.
    pub(crate) async fn until(
        &self,
        endpoint: u32,
        what: &str,
        pass: impl Fn(&EndpointState) -> bool,
    ) -> EndpointState {
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        loop {
            let state = self.state(endpoint).await;
            if pass(&state) {
                return state;
            }
            assert!(tokio::time::Instant::now() < deadline, "not {what}: {state:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Moves the clock on and waits until the endpoint's worker has done all there is to do by then.
    pub(crate) async fn pass(&self, clock: &SeenClock, endpoint: u32, ms: i64) {
        clock.paused.advance(ms);
        let seen = clock.clock_reads.load(Ordering::SeqCst) + CLOCK_READS_A_ROUND;
        let under_way = &self.engine.metrics().webhooks.under_way;
        let under_way = || under_way.get_or_create(&EndpointLabel { endpoint }).get();
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        while clock.clock_reads.load(Ordering::SeqCst) < seen || under_way() > 0 {
            assert!(tokio::time::Instant::now() < deadline, "the worker stands still");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until an endpoint has acked all events, and nothing waits.
    pub(crate) async fn until_acked(&self, endpoint: u32) -> EndpointState {
        let end = self.store_end().await;
        self.until(endpoint, "acked", |state| {
            state.acked_offset >= end && state.waiting == 0
        })
        .await
    }

    /// The place of the last event there is.
    pub(crate) async fn store_end(&self) -> store::EventOffset {
        use store::Events;
        let mut offset = store::EventOffset::default();
        loop {
            let (_, next) = self
                .store
                .events(ACCOUNT, offset, EventKinds::ALL, 10_000)
                .await
                .unwrap();
            if next == offset {
                return offset;
            }
            offset = next;
        }
    }

    /// Waits until all messages have come to their end, so that no more events come.
    pub(crate) async fn until_sent(&self) {
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        loop {
            let counts = self.store.counts().await.unwrap();
            if counts.queued + counts.delayed + counts.in_flight == 0 {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{counts:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Every metric, as it is scraped.
    pub(crate) fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.engine.metrics().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

/// Waits for a condition.
pub(crate) async fn eventually(what: &str, pass: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    while !pass() {
        assert!(tokio::time::Instant::now() < deadline, "not {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn set_up(endpoints: Vec<Endpoint>) -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    let mut changes = catalog();
    changes.extend(endpoints.into_iter().map(CatalogChange::PutEndpoint));
    store.change_catalog(changes).await.unwrap();
    folder
}

fn catalog() -> Vec<CatalogChange> {
    let sandbox = SandboxSettings {
        receipt_delay_ms: 0,
        ..SandboxSettings::default()
    };
    vec![
        CatalogChange::PutAccount(Account {
            id: ACCOUNT,
            name: "demo".into(),
            balance: None,
            weight: 1,
            caps: Caps::default(),
            may_send: true,
            senders: Vec::new(),
            blocked_words: Vec::new(),
            project_ids: Vec::new(),
            auto_approve: false,
            repeats_with_other_content: Default::default(),
            inbound_to: Vec::new(),
            opt_out_words: Vec::new(),
            opt_in_words: None,
        }),
        CatalogChange::PutTemplate(template(Review::Approved)),
        CatalogChange::PutCarrier(Carrier {
            no: CarrierNo(1),
            name: "sandbox".into(),
            settings: serde_json::to_value(CarrierSettings::Sandbox(sandbox)).unwrap(),
        }),
        CatalogChange::ReplaceRoutes(vec![Route {
            position: 0,
            rule: json!({ "carriers": ["sandbox"] }),
        }]),
    ]
}

pub(crate) fn template(review: Review) -> Template {
    Template {
        account: ACCOUNT,
        number: TEMPLATE,
        ut_id: "UTA261122000001".into(),
        name: "t".into(),
        class: Class::Notice,
        text: "Hello".into(),
        review,
        reason: Box::default(),
        signature: None,
        position: Position::Front,
        version: 1,
        ttl_s: None,
        remark: Box::default(),
        details: Value::Null,
        created_at: 0,
        updated_at: 0,
    }
}

fn submission(count: u64) -> Submission {
    let recipients = (0..count).map(|n| Recipient {
        phone: format!("+44770090{n:04}").into(),
        ..Recipient::default()
    });
    Submission {
        account: ACCOUNT,
        dialect: Dialect::EngagelabA,
        user: "demo".into(),
        items: vec![Item {
            template: TemplateRef::Number(TEMPLATE),
            sender: None,
            signature: SignatureRef::OfTemplate,
            values: Values::None,
            recipients: recipients.collect(),
        }],
        one_session: true,
        kind: Kind::Text,
        message_type: None,
        label: 0,
        custom: None,
        due: None,
        ends_at: None,
        rules: Rules {
            grammar: Grammar::EngageLabA,
            duplicates: Duplicates::Allow,
            value_chars_max: None,
            links_in_values: true,
            missing: Missing::Refuse,
            refuse_surplus: true,
            text_chars_max: None,
            overlong: Overlong::Refuse,
            forbidden: Forbidden::Refuse,
            sender_chars_max: 11,
            sender_chars_min: 1,
            sender_alphanumeric: false,
            suppressed: SuppressedPolicy::Refuse,
        },
    }
}
