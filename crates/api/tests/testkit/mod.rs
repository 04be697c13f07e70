//! All dialects on a real engine over a real store in a temporary folder, with the sandbox as carrier.
//!
//! Every family of credentials knows the same users (see [`USER`] and its neighbours) under the same secret, [`KEY`].
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod fake_endpoint;
pub(crate) mod listening;
pub(crate) mod signing;
pub(crate) mod tampered;

use api::{Api, Limits, router};
use axum::Router;
use axum::body::Body;
use engine::account_limits::AccountLimits;
use engine::catalog::{Review, SecretSealer, credential_secret_name};
use engine::clock::{Clock, SystemClock};
use engine::sandbox::{Entry, EntryFilter, EntryState};
use engine::sms::class::Class;
use engine::sms::phone::Msisdn;
use engine::{AccountId, CarrierNo, Engine, Settings};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::Duration;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    Account, Caps, Carrier, CatalogChange, Credential, Position, Route, Signature, Store, Suppression,
    SuppressionKind, Template,
};
use tempfile::TempDir;
use tower::ServiceExt;

/// The key that secrets are sealed with.
const MASTER_KEY: [u8; 32] = [3; 32];
/// How long a test waits for what must come.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The families of credentials.
pub(crate) const FAMILIES: [&str; 5] = ["uspeedo", "ucloud", "sendcloud", "engagelab", "engagelab_dev"];

/// The account of most tests.
pub(crate) const ACCOUNT: AccountId = AccountId(1);
/// Its user in every family.
pub(crate) const USER: &str = "demo_user";
/// The secret of every user.
pub(crate) const KEY: &str = "demo_key_0123456789";
/// A user of the same account that is switched off.
pub(crate) const USER_OFF: &str = "off_user";
/// The user of account 2, whose one template is [`FOREIGN`].
pub(crate) const USER_OTHER: &str = "other_user";
/// The user of account 3, which has a balance of two segments and the template [`BROKE_PLAIN`].
pub(crate) const USER_BROKE: &str = "broke_user";
/// The user of account 4, which may not send.
pub(crate) const USER_MUTE: &str = "mute_user";
/// The user of account 5: one message a minute and number, template [`CAPPED_PLAIN`].
pub(crate) const USER_CAPPED: &str = "capped_user";
/// The user of account 6: one message a day and number, template [`DAILY_PLAIN`].
pub(crate) const USER_DAILY: &str = "daily_user";

/// Another user of account 1, with every octet of Base64 that means something in a URL.
pub(crate) const USER_BASE64: &str = "demo+user/2=";

/// A user whose account is gone.
pub(crate) const USER_GONE: &str = "gone_user";

/// `Your code is %code%`, class otp.
pub(crate) const CODE: i64 = 1001;
/// `Hello %name%, welcome to %place%`, class notice.
pub(crate) const NOTICE: i64 = 1002;
/// `Hello`, class notice.
pub(crate) const PLAIN: i64 = 1003;
/// `Your code is %code%` with the signature [`SIGNATURE`] in front, class otp.
pub(crate) const SIGNED: i64 = 1004;
/// Waits for review.
pub(crate) const PENDING: i64 = 1005;
/// 490 characters and `%tail%`.
pub(crate) const LONG: i64 = 1006;
/// Bound to a signature that is not approved.
pub(crate) const BADLY_SIGNED: i64 = 1007;
/// 39 000 characters: more than 255 segments hold.
pub(crate) const ENDLESS: i64 = 1008;
/// Another account's.
pub(crate) const FOREIGN: i64 = 2001;
/// Of the account without balance.
pub(crate) const BROKE_PLAIN: i64 = 3003;
/// Of the account with a cap a minute.
pub(crate) const CAPPED_PLAIN: i64 = 5003;
/// Of the account with a cap a day.
pub(crate) const DAILY_PLAIN: i64 = 6003;

/// An approved signature of the account, by id and text.
pub(crate) const SIGNATURE: (i64, &str) = (7, "Example");
/// One that waits for review.
pub(crate) const SIGNATURE_PENDING: (i64, &str) = (8, "Waiting");

/// A number blocked for all accounts, in E.164 digits.
pub(crate) const BLOCKED_GLOBALLY: &str = "8613800000410";
/// A number blocked for the account.
pub(crate) const BLOCKED: &str = "8613800000420";
/// A number that opted out.
pub(crate) const UNSUBSCRIBED: &str = "8613800000430";
/// Numbers that begin like this have no route (a code of no country). Voice has one to +86 only.
pub(crate) const UNROUTED_PREFIX: &str = "991";

/// The `UT…` id of a template.
pub(crate) fn ut_id(number: i64) -> String {
    format!("UTA26112200{number}")
}

/// Everything at work.
pub(crate) struct TestNode {
    pub engine: Arc<Engine>,
    pub router: Router,
    folder: TempDir,
}

/// An HTTP answer, read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// The default limits without those on wrong credentials, of which tests send thousands.
pub(crate) fn limits() -> Limits {
    Limits {
        failed_credentials_per_minute_max: 0,
        failed_credentials_per_key_per_minute_max: 0,
        ..Limits::default()
    }
}

impl TestNode {
    /// With [`limits`] and the machine's clock.
    pub(crate) async fn start() -> Self {
        Self::with(limits(), Arc::new(SystemClock)).await
    }

    /// With other limits, on another clock.
    pub(crate) async fn with(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::with_settings(limits, clock, Settings::default()).await
    }

    /// Where an account may keep only so much.
    #[allow(dead_code, reason = "not every wire's tests need it")]
    pub(crate) async fn with_room_for(account_limits: AccountLimits) -> Self {
        let settings = Settings {
            account_limits,
            ..Settings::default()
        };
        Self::with_settings(limits(), Arc::new(SystemClock), settings).await
    }

    async fn with_settings(limits: Limits, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let store = Arc::new(SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap());
        let sealer = SecretSealer::new(&MASTER_KEY);
        store.change_catalog(catalog(&sealer)).await.unwrap();
        let settings = Settings {
            catalog_poll: Duration::from_millis(50),
            ..settings
        };
        let engine = Engine::start(store, sealer, clock, settings).await.unwrap();
        let router = router(Arc::new(Api::new(Arc::clone(&engine), limits)));
        Self {
            engine,
            router,
            folder,
        }
    }

    /// Where its store is.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// All metrics of the engine as they are scraped.
    #[allow(dead_code, reason = "not every wire's tests need it")]
    pub(crate) fn metrics(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.engine.metrics().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// How many requests on a wire were turned away because there were too many of the credential.
    pub(crate) fn over_rate(&self, dialect: &str) -> u64 {
        let name = format!("postrider_requests_over_rate_total{{dialect=\"{dialect}\"}} ");
        let metrics = self.metrics();
        let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
        count
            .unwrap_or_else(|| panic!("no {name}: {metrics}"))
            .parse()
            .unwrap()
    }

    /// Sends a request through the router.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Repeats a request until its response passes; that response.
    pub(crate) async fn ask_until(
        &self,
        request: impl Fn() -> Request<Body>,
        pass: impl Fn(&Answer) -> bool,
    ) -> Answer {
        until(async || {
            let answer = self.ask(request()).await;
            if pass(&answer) {
                Ok(answer)
            } else {
                Err(answer.body)
            }
        })
        .await
    }

    /// Waits for a number's newest message in the sandbox's inbox.
    pub(crate) async fn received(&self, to: &str) -> Entry {
        until(async || self.delivered(to).pop().ok_or(to)).await
    }

    /// Changes the catalog and reloads it.
    pub(crate) async fn change(&self, changes: Vec<CatalogChange>) {
        self.engine.store().change_catalog(changes).await.unwrap();
        self.engine.reload_catalog().await.unwrap();
    }

    /// Forbids words, to all accounts and to [`ACCOUNT`].
    pub(crate) async fn forbid(&self, to_all: &[&str], own: &[&str]) {
        let boxed = |words: &[&str]| {
            words
                .iter()
                .map(|word| Box::from(*word))
                .collect::<Vec<Box<str>>>()
        };
        let account = Account {
            blocked_words: boxed(own),
            ..(**self.engine.catalog().account(ACCOUNT).unwrap()).clone()
        };
        let list = store::WordList {
            name: "all".into(),
            words: boxed(to_all),
        };
        self.change(vec![
            CatalogChange::PutAccount(account),
            CatalogChange::PutBlockedWords(list),
        ])
        .await;
    }

    /// Bounds the requests a second of a user in every family.
    pub(crate) async fn set_rate(&self, user: &str, requests_per_s_max: u32) {
        let catalog = self.engine.store().load_catalog().await.unwrap();
        let own = catalog.credentials.into_iter().filter(|own| &*own.key == user);
        let changes = own.map(|own| {
            CatalogChange::PutCredential(Credential {
                requests_per_s_max,
                ..own
            })
        });
        self.change(changes.collect()).await;
    }

    /// Has the account refuse requests whose id was used before with other content.
    pub(crate) async fn refuse_other_content(&self) {
        let account = Account {
            repeats_with_other_content: store::OtherContent::Refuse,
            ..(**self.engine.catalog().account(ACCOUNT).unwrap()).clone()
        };
        self.change(vec![CatalogChange::PutAccount(account)]).await;
    }

    /// What is known of a number's newest message.
    pub(crate) async fn timeline_of(&self, to: &str) -> Vec<store::TimelineEntry> {
        let message = self.delivered(to).pop().unwrap().message.unwrap();
        self.engine.timeline(message).await.unwrap()
    }

    /// How many messages a number has in the inbox.
    pub(crate) fn inbox_count(&self, to: &str) -> usize {
        self.delivered(to).len()
    }

    /// What a number got, in the order in which it came.
    pub(crate) fn delivered(&self, to: &str) -> Vec<Entry> {
        let filter = EntryFilter {
            written: Some(to.to_owned()),
            ..EntryFilter::default()
        };
        let mut entries = self.engine.inbox().entries(&filter, usize::MAX);
        entries.retain(|entry| entry.state == EntryState::Delivered);
        entries.sort_by_key(|entry| entry.no);
        entries
    }
}

/// Repeats `look` until it returns `Ok`; panics with the last `Err` after [`WAIT_MAX`].
pub(crate) async fn until<T, E: std::fmt::Debug>(mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(instead) => assert!(tokio::time::Instant::now() < deadline, "not in time: {instead:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn catalog(sealer: &SecretSealer) -> Vec<CatalogChange> {
    let mut changes = Vec::new();
    changes.extend(accounts());
    changes.extend(credentials(sealer));
    changes.extend(signatures());
    changes.extend(templates());
    changes.extend(suppressions());
    changes.push(CatalogChange::PutCarrier(Carrier {
        no: CarrierNo(1),
        name: "sandbox".into(),
        settings: serde_json::json!({ "type": "sandbox", "receipt_delay_ms": 1 }),
    }));
    let rules = [
        serde_json::json!({ "prefixes": [UNROUTED_PREFIX], "carriers": [] }),
        serde_json::json!({ "prefixes": ["86"], "kinds": ["voice"], "carriers": ["sandbox"] }),
        serde_json::json!({ "kinds": ["text"], "carriers": ["sandbox"] }),
    ];
    let routes = rules
        .into_iter()
        .zip(0..)
        .map(|(rule, position)| Route { position, rule });
    changes.push(CatalogChange::ReplaceRoutes(routes.collect()));
    changes
}

fn accounts() -> impl Iterator<Item = CatalogChange> {
    let plain = |id, name: &str| Account {
        id: AccountId(id),
        name: name.into(),
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
    };
    let all = [
        plain(1, "demo"),
        plain(2, "other"),
        plain(3, "broke"),
        Account {
            may_send: false,
            ..plain(4, "mute")
        },
        Account {
            caps: Caps {
                per_minute_max: 1,
                per_day_max: 0,
            },
            ..plain(5, "capped")
        },
        Account {
            caps: Caps {
                per_minute_max: 0,
                per_day_max: 1,
            },
            ..plain(6, "daily")
        },
    ];
    let balance = CatalogChange::SetBalance(AccountId(3), Some(2));
    all.into_iter().map(CatalogChange::PutAccount).chain([balance])
}

fn credentials(sealer: &SecretSealer) -> Vec<CatalogChange> {
    let users = [
        (USER, 1, true),
        (USER_OFF, 1, false),
        (USER_BASE64, 1, true),
        (USER_OTHER, 2, true),
        (USER_BROKE, 3, true),
        (USER_MUTE, 4, true),
        (USER_CAPPED, 5, true),
        (USER_DAILY, 6, true),
        (USER_GONE, 9, true),
    ];
    let credential = |family: &str, (key, account, enabled): (&str, u32, bool)| {
        CatalogChange::PutCredential(Credential {
            family: family.into(),
            key: key.into(),
            sealed_secret: sealer.seal(&credential_secret_name(family, key), KEY).unwrap(),
            account: AccountId(account),
            enabled,
            requests_per_s_max: 0,
        })
    };
    FAMILIES
        .iter()
        .flat_map(|family| users.map(|user| credential(family, user)))
        .collect()
}

fn signatures() -> impl Iterator<Item = CatalogChange> {
    [
        (SIGNATURE, Review::Approved),
        (SIGNATURE_PENDING, Review::Submitted),
    ]
    .into_iter()
    .map(|((id, text), review)| {
        CatalogChange::PutSignature(Signature {
            account: ACCOUNT,
            id,
            text: text.into(),
            review,
            reason: Box::default(),
            details: serde_json::Value::Null,
            created_at: 0,
            updated_at: 0,
        })
    })
}

fn templates() -> impl Iterator<Item = CatalogChange> {
    let template = |account, number, name: &str, text: &str| Template {
        account: AccountId(account),
        number,
        ut_id: ut_id(number).into(),
        name: name.into(),
        class: Class::Notice,
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
    };
    let code = "Your code is %code%";
    [
        Template {
            class: Class::Otp,
            ..template(1, CODE, "code", code)
        },
        template(1, NOTICE, "notice", "Hello %name%, welcome to %place%"),
        template(1, PLAIN, "plain", "Hello"),
        Template {
            class: Class::Otp,
            signature: Some(SIGNATURE.0),
            ..template(1, SIGNED, "signed", code)
        },
        Template {
            review: Review::Submitted,
            ..template(1, PENDING, "pending", "Hello")
        },
        template(1, LONG, "long", &format!("{}%tail%", "x".repeat(490))),
        Template {
            signature: Some(SIGNATURE_PENDING.0),
            ..template(1, BADLY_SIGNED, "badly signed", "Hello")
        },
        template(1, ENDLESS, "endless", &"x".repeat(39_100)),
        template(2, FOREIGN, "foreign", "Hello"),
        template(3, BROKE_PLAIN, "plain", "Hello"),
        template(5, CAPPED_PLAIN, "plain", "Hello"),
        template(6, DAILY_PLAIN, "plain", "Hello"),
    ]
    .into_iter()
    .map(CatalogChange::PutTemplate)
}

fn suppressions() -> impl Iterator<Item = CatalogChange> {
    [
        (None, BLOCKED_GLOBALLY, SuppressionKind::Global),
        (Some(ACCOUNT), BLOCKED, SuppressionKind::Blocked),
        (Some(ACCOUNT), UNSUBSCRIBED, SuppressionKind::Unsubscribed),
    ]
    .into_iter()
    .map(|(account, digits, kind)| {
        let msisdn = Msisdn::from_digits(digits).unwrap();
        CatalogChange::PutSuppression(Suppression {
            account,
            msisdn,
            kind,
        })
    })
}

/// Octets of a good request with one to three things wrong: an octet changed, lost, put in, the end cut off or repeated.
pub(crate) fn damage(random: &mut StdRng, octets: &[u8]) -> Vec<u8> {
    let mut out = octets.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=out.len());
        match random.random_range(0..5) {
            0 if at < out.len() => out[at] = random.random(),
            1 if at < out.len() => drop(out.remove(at)),
            2 => out.insert(at, b"{}[]\"',;:%&=+\\\0\xff09"[random.random_range(0..18)]),
            3 => out.truncate(at),
            _ => out.extend_from_within(at..),
        }
    }
    out
}
