//! A whole engine on a real store in a temporary folder, and a scripted SMSC on a real socket ([`smsc`]).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod lines;
mod smsc;

pub(crate) use lines::Lines;
pub(crate) use smsc::{Act, End, Smsc};

use engine::accept::{
    AcceptResponse, Duplicates, Forbidden, Idempotency, Item, Missing, Outcome, Overlong, Recipient, Rules,
    SignatureRef, Submission, TemplateRef, Values,
};
use engine::catalog::{CarrierSettings, Review, SandboxSettings, SecretSealer, SmppSettings, Template};
use engine::clock::{Clock, PausedClock, SystemClock};
use engine::sms::class::{Class, Kind};
use engine::sms::phone::Grammar;
use engine::{AccountId, CarrierNo, Dialect, Engine, MessageId, MessageView, Settings, SuppressedPolicy};
use std::sync::Arc;
use std::time::Duration;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{Account, Caps, Carrier, CatalogChange, Position, Route, Store};
use tempfile::TempDir;

pub(crate) const ACCOUNT: AccountId = AccountId(1);
pub(crate) const PLAIN: i64 = 1;
pub(crate) const CODE: i64 = 2;
pub(crate) const CAMPAIGN: i64 = 3;
/// A text of twenty segments.
pub(crate) const LONG_CAMPAIGN: i64 = 4;

/// How long anything may take on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An engine at work.
pub(crate) struct TestEngine {
    pub engine: Arc<Engine>,
    pub store: Arc<SqliteStore>,
    folder: TempDir,
}

impl TestEngine {
    /// With carriers 1, 2, … over SMPP, in the order of one catch-all route.
    pub(crate) async fn start(carriers: Vec<SmppSettings>) -> Self {
        Self::waiting(carriers, Duration::from_secs(3600)).await
    }

    /// One that waits only so long for receipts.
    pub(crate) async fn waiting(carriers: Vec<SmppSettings>, receipt_wait: Duration) -> Self {
        Self::with(
            carriers,
            Settings {
                receipt_wait,
                ..Settings::default()
            },
        )
        .await
    }

    /// One whose ready queues have other bounds.
    pub(crate) async fn with_queue(carriers: Vec<SmppSettings>, queue: engine::queue::QueueLimits) -> Self {
        Self::with(
            carriers,
            Settings {
                queue,
                ..Settings::default()
            },
        )
        .await
    }

    /// One with settings of its own, but for how often it looks for what is due.
    pub(crate) async fn with(carriers: Vec<SmppSettings>, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        store.change_catalog(catalog(carriers)).await.unwrap();
        let engine = run(&store, settings).await;
        Self {
            engine,
            store,
            folder,
        }
    }

    /// With the sandbox alone, by a clock of its own; on a store that is there, if `folder` is given.
    pub(crate) async fn by(clock: Arc<PausedClock>, settings: Settings, folder: Option<TempDir>) -> Self {
        let folder = folder.unwrap_or_else(|| TempDir::new().unwrap());
        let store = open(&folder);
        if store.newest_at() == 0 {
            let mut changes = catalog(Vec::new());
            changes.push(CatalogChange::PutCarrier(Carrier {
                no: CarrierNo(1),
                name: "sandbox".into(),
                settings: serde_json::to_value(CarrierSettings::Sandbox(SandboxSettings::default())).unwrap(),
            }));
            changes.push(CatalogChange::ReplaceRoutes(vec![Route {
                position: 0,
                rule: serde_json::json!({ "carriers": ["sandbox"] }),
            }]));
            store.change_catalog(changes).await.unwrap();
        }
        let engine = run_by(&store, settings, clock).await;
        Self {
            engine,
            store,
            folder,
        }
    }

    /// With these carriers, by a clock of its own.
    #[allow(dead_code, reason = "for the tests of clocks")]
    pub(crate) async fn with_by(
        clock: Arc<PausedClock>,
        carriers: Vec<SmppSettings>,
        settings: Settings,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        store.change_catalog(catalog(carriers)).await.unwrap();
        let engine = run_by(&store, settings, clock).await;
        Self {
            engine,
            store,
            folder,
        }
    }

    /// Stops in order; what it ran on.
    pub(crate) async fn stop(self) -> TempDir {
        self.engine.stop(Duration::from_secs(10)).await.unwrap();
        self.folder
    }

    /// On a store that is there, after a change of it.
    pub(crate) async fn of(
        folder: TempDir,
        settings: Settings,
        change: impl AsyncFnOnce(&SqliteStore),
    ) -> Self {
        let store = open(&folder);
        change(&store).await;
        let engine = run(&store, settings).await;
        Self {
            engine,
            store,
            folder,
        }
    }

    /// Has the store refuse a kind of change from now on ("INSERT ON message_status"), until what comes back is called.
    pub(crate) fn refuse(&self, change: &str) -> impl FnOnce() {
        let conn = rusqlite::Connection::open(store_in(&self.folder)).unwrap();
        conn.busy_timeout(WAIT_MAX).unwrap();
        let trigger =
            format!("CREATE TRIGGER refused BEFORE {change} BEGIN SELECT RAISE(ABORT, 'not now'); END");
        conn.execute_batch(&trigger).unwrap();
        move || conn.execute_batch("DROP TRIGGER refused").unwrap()
    }

    /// Changes the catalog, and has the engine go by it.
    pub(crate) async fn change(&self, changes: Vec<CatalogChange>) {
        self.store.change_catalog(changes).await.unwrap();
        self.engine.reload_catalog().await.unwrap();
    }

    /// Stops in order and starts again on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(Duration::from_secs(10)).await
    }

    /// Stops with this grace and starts again on the same data.
    pub(crate) async fn restart_after(self, grace: Duration) -> Self {
        self.restart_once(grace, async |_| {}).await
    }

    /// Stops in order, waits (for something on the clock that is given), and starts again on the same data.
    pub(crate) async fn restart_waiting(self, wait: impl AsyncFnOnce(&dyn Fn() -> engine::UnixMs)) -> Self {
        self.restart_once(Duration::from_secs(10), wait).await
    }

    async fn restart_once(
        self,
        grace: Duration,
        wait: impl AsyncFnOnce(&dyn Fn() -> engine::UnixMs),
    ) -> Self {
        self.engine.stop(grace).await.unwrap();
        drop((self.engine, self.store));
        wait(&|| engine::clock::Clock::now(&SystemClock)).await;
        let store = open(&self.folder);
        let engine = run(&store, Settings::default()).await;
        Self {
            engine,
            store,
            folder: self.folder,
        }
    }

    pub(crate) async fn send(&self, template: i64, numbers: &[String]) -> Outcome {
        match self
            .engine
            .accept(submission(template, numbers), None)
            .await
            .unwrap()
            .1
        {
            AcceptResponse::New(outcome) => outcome,
            AcceptResponse::Replayed { .. } => panic!("no request id was given"),
        }
    }

    /// Sends a text of `value` and a few characters before it.
    pub(crate) async fn send_long(&self, value: &str, numbers: &[String]) -> Outcome {
        let submission = long_submission(CODE, value, numbers);
        match self.engine.accept(submission, None).await.unwrap().1 {
            AcceptResponse::New(outcome) => outcome,
            AcceptResponse::Replayed { .. } => panic!("no request id was given"),
        }
    }

    pub(crate) async fn send_once(&self, numbers: &[String], key: &str) -> AcceptResponse {
        let idempotency = Idempotency {
            scope: "test",
            key: key.into(),
            keep_ms: 3_600_000,
            reply: Box::new(|_, outcome| format!("{} accepted", outcome.accepted()).into_bytes()),
        };
        self.engine
            .accept(submission(PLAIN, numbers), Some(idempotency))
            .await
            .unwrap()
            .1
    }

    pub(crate) async fn session(&self, outcome: &Outcome) -> Vec<MessageView> {
        let first = outcome.items[0].session.unwrap();
        self.engine.session(ACCOUNT, first, 100_000).await.unwrap()
    }

    /// Waits until every message of a session passes, and gives them.
    pub(crate) async fn until(
        &self,
        outcome: &Outcome,
        what: &str,
        pass: impl Fn(&MessageView) -> bool,
    ) -> Vec<MessageView> {
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        loop {
            let messages = self.session(outcome).await;
            if messages.iter().all(&pass) {
                return messages;
            }
            let stuck: Vec<_> = messages
                .iter()
                .filter(|m| !pass(m))
                .map(|m| (m.id, m.state, m.attempts))
                .take(5)
                .collect();
            assert!(
                tokio::time::Instant::now() < deadline,
                "not {what} in time: {stuck:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Looks again and again until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "no {what} in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A port on which nobody listens, for a carrier that is away, or that comes back there.
pub(crate) async fn away() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Where the store is in a folder.
pub(crate) fn store_in(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("postrider.db")
}

fn open(folder: &TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&store_in(folder), Mode::Serve, SqliteConfig::default()).unwrap())
}

async fn run(store: &Arc<SqliteStore>, settings: Settings) -> Arc<Engine> {
    run_by(store, settings, Arc::new(SystemClock)).await
}

async fn run_by(store: &Arc<SqliteStore>, settings: Settings, clock: Arc<dyn Clock>) -> Arc<Engine> {
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    let settings = Settings {
        catalog_poll: Duration::from_millis(50),
        sweep_every: Duration::from_millis(100),
        ..settings
    };
    Engine::start(store, SecretSealer::new(&[3; 32]), clock, settings)
        .await
        .unwrap()
}

pub(crate) fn smpp(smsc_port: u16) -> SmppSettings {
    SmppSettings {
        port: smsc_port,
        system_id: "postrider".to_owned(),
        password: "secret".to_owned(),
        window_max: 20,
        retry_s: 1,
        failover_after_s: 1,
        ..SmppSettings::default()
    }
}

fn catalog(carriers: Vec<SmppSettings>) -> Vec<CatalogChange> {
    let mut changes = vec![CatalogChange::PutAccount(Account {
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
    })];
    let long = "Sale! ".repeat(500);
    for (number, class, text) in [
        (LONG_CAMPAIGN, Class::Marketing, long.as_str()),
        (PLAIN, Class::Notice, "Hello"),
        (CODE, Class::Otp, "Your code is %code%"),
        (CAMPAIGN, Class::Marketing, "Sale"),
    ] {
        changes.push(CatalogChange::PutTemplate(Template {
            account: ACCOUNT,
            number,
            ut_id: format!("UTA26112200000{number}").into(),
            name: "t".into(),
            class,
            text: text.into(),
            review: Review::Approved,
            reason: Box::default(),
            signature: None,
            position: Position::Front,
            version: 1,
            ttl_s: None,
            remark: Box::default(),
            details: serde_json::Value::Null,
            created_at: 0,
            updated_at: 0,
        }));
    }
    let mut names = Vec::new();
    for (settings, no) in carriers.into_iter().zip(1..) {
        let name = format!("carrier-{no}");
        changes.push(CatalogChange::PutCarrier(Carrier {
            no: CarrierNo(no),
            name: name.as_str().into(),
            settings: serde_json::to_value(CarrierSettings::Smpp(Box::new(settings))).unwrap(),
        }));
        names.push(name);
    }
    changes.push(CatalogChange::ReplaceRoutes(vec![Route {
        position: 0,
        rule: serde_json::json!({ "carriers": names }),
    }]));
    changes
}

pub(crate) fn numbers(count: u64) -> Vec<String> {
    (0..count).map(|n| format!("+44770090{n:04}")).collect()
}

pub(crate) fn submission(template: i64, numbers: &[String]) -> Submission {
    long_submission(template, "123456", numbers)
}

/// As [`submission`], with this value for the variable of [`CODE`].
pub(crate) fn long_submission(template: i64, value: &str, numbers: &[String]) -> Submission {
    let recipients = numbers.iter().map(|number| Recipient {
        phone: number.as_str().into(),
        ..Recipient::default()
    });
    let values = if template == CODE {
        Values::Positional(vec![value.into()])
    } else {
        Values::None
    };
    Submission {
        account: ACCOUNT,
        dialect: Dialect::EngagelabA,
        user: "demo".into(),
        items: vec![Item {
            template: TemplateRef::Number(template),
            sender: None,
            signature: SignatureRef::OfTemplate,
            values,
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

/// The ids of a batch's messages.
pub(crate) fn ids(outcome: &Outcome) -> Vec<MessageId> {
    let outcomes = outcome.items.iter().flat_map(|item| &item.outcomes);
    outcomes
        .filter_map(|result| match result {
            engine::accept::RecipientOutcome::Accepted(id) => Some(*id),
            engine::accept::RecipientOutcome::Refused(_) => None,
        })
        .collect()
}
