//! Golden stores: what releases left when they were killed in the middle of their work, each with a file `known.json` that has the
//! responses of that release. Every later program has to open them, finish the work, and respond as before.
//!
//! `scripts/golden-store NAME` creates the store of the present program, to be committed with the release. Members of [`Known`]
//! and of what it contains keep their names and meanings: the files of earlier releases have them. New ones need a default.

mod make;
mod open;
mod requests;

use crate::api;
use crate::clock::MovedClock;
use crate::house::{Running, curl, eventually, folder, json, said, time_left};
use crate::receiver::{Call, Receiver};
use crate::serve::addr_after;
use crate::smsc::{Part, Reaction, Receipt, Smsc, SmscConfig, Submit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{AccountId, MessageFilter, MessageSpan, MessageView, Store};
use tempfile::TempDir;

/// The stores of earlier releases.
const ARCHIVES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
/// Environment variable: the archive to write.
const ARCHIVE: &str = "GOLDEN_STORE";

/// The content of an archive. Lock files, the socket and the shared memory of a killed node are of no use elsewhere.
const FILES: [&str; 6] = [
    "postrider.db",
    "postrider.db-wal",
    "postrider.db.durable",
    "master.key",
    "catalog.toml",
    "known.json",
];

/// What the program that created the store knew of it.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// When the node was killed, in Unix seconds.
    killed_at_s: i64,
    /// Queries, and sends that suppressions, blocked words and frequency caps reject.
    responses: Vec<Exchange>,
    /// Accepted requests with an idempotency record, and the response to a repeat.
    repeats: Vec<Exchange>,
    /// Session numbers, message ids and plan ids, each with the number of its first message.
    ids: Vec<(String, String)>,
    /// Messages in a final state.
    messages: Vec<StoredMessage>,
    /// From, to and text.
    inbound: Vec<[String; 3]>,
    /// Number, account and kind.
    suppressions: Vec<[String; 3]>,
    /// Tasks that are done or scheduled.
    tasks: Vec<StoredTask>,
    /// Messages to be sent at once.
    queued: Vec<QueuedMessage>,
    /// A message to be sent at this time, in Unix seconds.
    scheduled: (QueuedMessage, i64),
    /// A message whose parts got no response and are sent again. The store has a receipt for each part under this message id
    /// plus the number of the part.
    unmatched_receipts: (SentMessage, u64),
    /// A message that is held in doubt.
    held: SentMessage,
    /// Messages that await a receipt: carrier, message, the carrier's message id.
    without_receipt: Vec<(String, SentMessage, u64)>,
    /// A task that was interrupted.
    task: InterruptedTask,
    /// A number that opted out with a keyword, and a send that is rejected for that reason.
    opted_out: (String, Exchange),
    /// An inbound message of which the store has the first part.
    partial_inbound: PartialInbound,
    webhooks: Webhooks,
    /// Reports that were not pulled: session number and formatted phone number.
    reports: Vec<(String, String)>,
    /// Concatenation references in use, by number.
    references: Vec<(String, u16)>,
    /// Number of messages of the first account.
    message_count: u64,
    /// The day before and the day after, as `2026-11-30`.
    days: (String, String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SentMessage {
    /// Digits with country code.
    to: String,
    /// The session number, message id or plan id of the response.
    id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct QueuedMessage {
    carrier: String,
    message: SentMessage,
    text: String,
    /// Numbers of the parts that the carrier accepted.
    accepted_parts: Vec<u8>,
    /// The concatenation reference of these parts.
    reference: Option<u16>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredMessage {
    /// As in the response.
    id: String,
    to: String,
    account: String,
    carrier: String,
    state: String,
    error: String,
    segments: u64,
    attempts: u64,
    text: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredTask {
    no: i64,
    state: String,
    accepted: u64,
    refused: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct InterruptedTask {
    no: i64,
    carrier: String,
    template: i64,
    /// Numbers.
    members: Vec<String>,
    /// Messages that the carrier received: number and message id.
    submitted: Vec<(String, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartialInbound {
    from: String,
    to: String,
    second: String,
    part: Part,
    whole: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Webhooks {
    /// `webhook-id` and body of a delivered call.
    delivered: (String, String),
    /// The number of a message whose call failed and is to be retried.
    failed: String,
    /// Session numbers in dead letters.
    dead: Vec<String>,
    /// The message id in a call that a pause holds back.
    paused: String,
}

/// A request to one of the APIs.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Request {
    /// Path, and the query of a GET or the body of a POST.
    UspeedoRest(String, Vec<(String, String)>, Option<Value>),
    /// Body.
    UspeedoAction(Value),
    /// Action and parameters.
    Ucloud(String, Vec<(String, String)>),
    /// Path and fields.
    Sendcloud(String, Vec<(String, String)>),
    /// Path, and the query of a GET or the body of a POST. Credentials of the family `engagelab`.
    Engagelab(String, Vec<(String, String)>, Option<Value>),
    /// The same with credentials of the family `engagelab_dev`.
    EngagelabDev(String, Vec<(String, String)>, Option<Value>),
}

/// A request and its response.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Exchange {
    account: String,
    idempotency_key: Option<String>,
    request: Request,
    response: Value,
}

/// The part of a catalog file that the test reads.
#[derive(Debug, Deserialize)]
struct CatalogFile {
    account: Vec<AccountEntry>,
    carrier: Vec<CarrierEntry>,
}

#[derive(Debug, Deserialize)]
struct AccountEntry {
    name: String,
    credential: Vec<CredentialEntry>,
    #[serde(default)]
    webhook: Vec<WebhookEntry>,
}

#[derive(Debug, Deserialize)]
struct CredentialEntry {
    family: String,
    key: String,
    secret: String,
}

#[derive(Debug, Deserialize)]
struct WebhookEntry {
    name: String,
    url: Option<String>,
    secret: Option<String>,
}

#[derive(Debug, Deserialize)]
struct CarrierEntry {
    name: String,
    system_id: String,
    password: String,
    id_notation: Option<String>,
}

impl CatalogFile {
    fn webhooks(&self) -> impl Iterator<Item = &WebhookEntry> {
        self.account.iter().flat_map(|account| &account.webhook)
    }
}

/// The peers of a node: an SMSC for each carrier and a receiver for each webhook with a URL, by name.
struct Peers {
    carriers: BTreeMap<String, Smsc>,
    receivers: BTreeMap<String, Receiver>,
}

impl Peers {
    /// Starts all of them. `script` gets the name of the carrier and the submit.
    fn start(
        catalog: &CatalogFile,
        ids_after: u64,
        script: impl Fn(&str, &Submit) -> Reaction + Clone + Send + Sync + 'static,
    ) -> Self {
        let smsc = |entry: &CarrierEntry| {
            let config = SmscConfig {
                system_id: &entry.system_id,
                password: &entry.password,
                ids_after,
                hex_in_responses: entry.id_notation.as_deref() == Some("hex_submit_decimal_receipt"),
            };
            let (name, script) = (entry.name.clone(), script.clone());
            let smsc = Smsc::start(&config, move |submit| script(&name, submit));
            (entry.name.clone(), smsc)
        };
        let with_url = catalog.webhooks().filter(|webhook| webhook.url.is_some());
        Self {
            carriers: catalog.carrier.iter().map(smsc).collect(),
            receivers: with_url
                .map(|webhook| (webhook.name.clone(), Receiver::start()))
                .collect(),
        }
    }

    fn carrier(&self, name: &str) -> &Smsc {
        &self.carriers[name]
    }

    fn receiver(&self, name: &str) -> &Receiver {
        &self.receivers[name]
    }

    /// What all carriers received.
    fn submits(&self) -> Vec<Submit> {
        let carriers = self.carriers.values();
        carriers.flat_map(|carrier| carrier.submits()).collect()
    }
}

/// A store in a directory of its own, and a clock for the programs that use it.
struct Instance {
    folder: TempDir,
    clock: MovedClock,
    /// How far the clock is ahead.
    offset_s: i64,
    config: PathBuf,
    catalog: CatalogFile,
}

/// A running node.
struct Node {
    process: Running,
    api: String,
    metrics: String,
}

impl Instance {
    /// In a directory with a master key, a catalog file and possibly a store.
    fn new(folder: TempDir) -> Self {
        let path = folder.path();
        let text = format!(
            "[secrets]\nmaster_key_file = {:?}\n[store]\npath = {:?}\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
             [api]\nlisten = \"127.0.0.1:0\"\n[notify]\nallow = [\"127.0.0.0/8\"]\n",
            path.join("master.key"),
            path.join("postrider.db")
        );
        let config = path.join("postrider.toml");
        std::fs::write(&config, text).unwrap();
        let catalog = std::fs::read_to_string(path.join("catalog.toml")).unwrap();
        Self {
            clock: MovedClock::build(path),
            offset_s: 0,
            config,
            catalog: toml::from_str(&catalog).unwrap(),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets the clock, in Unix seconds; it goes on from there.
    fn set_clock(&mut self, now_s: i64) {
        self.offset_s = now_s - real_now_s();
        self.clock.set(self.offset_s);
    }

    /// The time of the clock, in Unix seconds.
    fn now_s(&self) -> i64 {
        real_now_s() + self.offset_s
    }

    /// Runs a command that must succeed; returns its output.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.run_any(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn run_any(&self, arguments: &[&str]) -> Output {
        let config = ["--config", self.config.to_str().unwrap()];
        let arguments = [arguments, &config].concat();
        let mut command = self.clock.command(self.folder.path(), &arguments);
        command.output().unwrap()
    }

    /// Runs a command with `--json`.
    fn run_json(&self, arguments: &[&str]) -> Value {
        json(&self.run(&[arguments, &["--json"]].concat()))
    }

    /// The list under this name in the output of a command.
    fn run_list(&self, arguments: &[&str], name: &str) -> Vec<Value> {
        let output = self.run_json(arguments);
        let list = output[name].as_array();
        list.unwrap_or_else(|| panic!("no {name} in {output}")).clone()
    }

    /// The only message of a session, message or plan id, as `postrider status` shows it.
    fn status(&self, id: &str) -> Value {
        let mut messages = self.run_list(&["status", id, "--text"], "messages");
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.remove(0)
    }

    fn state(&self, id: &str) -> String {
        text_at(&self.status(id), "/state")
    }

    fn stored_message(&self, id: &str) -> StoredMessage {
        let status = self.status(id);
        let text = |name: &str| text_at(&status, &format!("/{name}"));
        StoredMessage {
            id: id.to_owned(),
            to: text("to"),
            account: text("account"),
            carrier: text("carrier"),
            state: text("state"),
            error: text("error"),
            segments: status["segments"].as_u64().unwrap(),
            attempts: status["attempts"].as_u64().unwrap(),
            text: text("text"),
        }
    }

    fn stored_task(&self, no: i64) -> StoredTask {
        let task = self.run_json(&["task", "show", &no.to_string()]);
        StoredTask {
            no,
            state: text_at(&task, "/state"),
            accepted: task["accepted"].as_u64().unwrap(),
            refused: task["refused"].as_u64().unwrap(),
        }
    }

    fn stored_inbound(&self) -> Vec<[String; 3]> {
        let inbound = self.run_list(&["inbound", "list"], "inbound");
        let fields = |one: &Value| ["/from", "/to", "/text"].map(|pointer| text_at(one, pointer));
        inbound.iter().map(fields).collect()
    }

    fn stored_suppressions(&self) -> Vec<[String; 3]> {
        let suppressions = self.run_list(&["suppression", "list"], "suppressions");
        let fields = |one: &Value| {
            let account = one["account"].as_str().unwrap_or_default().to_owned();
            [text_at(one, "/number"), account, text_at(one, "/kind")]
        };
        suppressions.iter().map(fields).collect()
    }

    /// The state of a webhook of the first account, as `postrider webhook list` shows it.
    fn webhook(&self, name: &str) -> Value {
        let mut webhooks = self.run_list(&["webhook", "list"], "webhooks").into_iter();
        webhooks.find(|webhook| webhook["name"] == *name).unwrap()
    }

    /// Applies a catalog file that names nothing but the ports and URLs of the peers: all else stays as stored.
    fn apply_addresses(&self, peers: &Peers) {
        let mut file = String::new();
        for (name, carrier) in &peers.carriers {
            file += &format!("[[carrier]]\nname = {name:?}\nport = {}\n", carrier.port);
        }
        for account in &self.catalog.account {
            file += &format!("[[account]]\nname = {:?}\n", account.name);
            for webhook in account.webhook.iter().filter(|webhook| webhook.url.is_some()) {
                let (name, url) = (&webhook.name, &peers.receiver(&webhook.name).url);
                file += &format!("[[account.webhook]]\nname = {name:?}\nurl = {url:?}\n");
            }
        }
        let path = self.path("addresses.toml");
        std::fs::write(&path, file).unwrap();
        self.run(&["apply", path.to_str().unwrap()]);
    }

    /// Starts a node and waits until all carriers are bound.
    fn serve(&self, peers: &Peers) -> Node {
        let process = self.clock.serve(&self.config, &[]);
        let node = Node {
            api: format!("http://{}", addr_after(&process, "APIs listening")),
            metrics: format!(
                "http://{}/metrics",
                addr_after(&process, "health and metrics listening")
            ),
            process,
        };
        eventually("the binds", || {
            let metrics = curl(&[&node.metrics]);
            let bound = metrics
                .lines()
                .filter(|line| line.starts_with("postrider_binds{") && line.ends_with(" 1"));
            (bound.count() == peers.carriers.len()).then_some(())
        });
        for (name, carrier) in &peers.carriers {
            assert_eq!(carrier.rejected_binds(), 0, "{name} got another password");
        }
        node
    }

    /// Sends a request with the credentials of an account; returns the response.
    fn send(&self, node: &Node, account: &str, idempotency_key: Option<&str>, request: &Request) -> Value {
        let account = self.catalog.account.iter().find(|entry| entry.name == account);
        let credentials = |family: &str| {
            let mut credentials = account.unwrap().credential.iter();
            let credential = credentials.find(|entry| entry.family == family).unwrap();
            (&*credential.key, &*credential.secret)
        };
        let header = idempotency_key.map(|key| format!("Idempotency-Key: {key}"));
        let headers: Vec<&str> = header.as_deref().into_iter().collect();
        let url = |path: &str| format!("{}{path}", node.api);
        let basic = |family: &str, path: &str, query: &[(String, String)], body: &Option<Value>| {
            let (key, secret) = credentials(family);
            let pair = format!("{key}:{secret}");
            match body {
                Some(body) => api::post(&url(path), &pair, &headers, &body.to_string()),
                None => api::get(&url(path), &pair, &borrowed(query)),
            }
        };
        match request {
            Request::UspeedoRest(path, query, body) => basic("uspeedo", path, query, body),
            Request::Engagelab(path, query, body) => basic("engagelab", path, query, body),
            Request::EngagelabDev(path, query, body) => basic("engagelab_dev", path, query, body),
            Request::UspeedoAction(body) => {
                let keys = credentials("uspeedo");
                api::uspeedo_action(&url("/api"), keys, self.now_s(), &headers, body)
            }
            Request::Ucloud(action, params) => {
                let keys = credentials("ucloud");
                api::ucloud(&url("/"), keys, &headers, action, &borrowed(params))
            }
            Request::Sendcloud(path, fields) => {
                let keys = credentials("sendcloud");
                api::sendcloud(&url(path), keys, &headers, &borrowed(fields))
            }
        }
    }
}

fn borrowed(fields: &[(String, String)]) -> Vec<api::Field<'_>> {
    fields.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// The text at a place of a JSON document.
fn text_at(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {value}"))
        .to_owned()
}

fn real_now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// Reads a store as a command does.
fn read<T>(folder: &Path, read: impl AsyncFnOnce(&SqliteStore) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = folder.join("postrider.db");
        let store = SqliteStore::open(&path, Mode::Tool, SqliteConfig::default()).unwrap();
        let value = read(&store).await;
        store.close().await.unwrap();
        value
    })
}

async fn account_id(store: &SqliteStore, name: &str) -> AccountId {
    let accounts = store.load_catalog().await.unwrap().accounts;
    let account = accounts.iter().find(|account| &*account.name == name);
    account.unwrap().id
}

/// All messages of an account, or those with one of its templates.
async fn messages_of(store: &SqliteStore, account: &str, template: Option<i64>) -> Vec<MessageView> {
    let filter = MessageFilter {
        numbers: Vec::new(),
        states: Vec::new(),
        dialects: Vec::new(),
        template,
        labels: Vec::new(),
        kind: None,
        offset: 0,
        limit: 10_000,
        count_max: 0,
    };
    let account = account_id(store, account).await;
    store.find(account, MessageSpan::ALL, filter).await.unwrap().0
}

/// Compares a response with an earlier one. It may have additional members.
fn assert_same(what: &str, before: &Value, now: &Value) {
    fn difference(path: &str, before: &Value, now: &Value) -> Option<String> {
        match (before, now) {
            (Value::Object(before), Value::Object(now)) => before.iter().find_map(|(name, before)| {
                let now = now.get(name).unwrap_or(&Value::Null);
                difference(&format!("{path}/{name}"), before, now)
            }),
            (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
                let mut pairs = before.iter().zip(now).enumerate();
                pairs.find_map(|(n, (before, now))| difference(&format!("{path}/{n}"), before, now))
            }
            _ if before == now => None,
            _ => Some(format!("{path:?} was {before} and is {now}")),
        }
    }
    if let Some(difference) = difference("", before, now) {
        panic!("{what}: {difference}; the whole: {now}");
    }
}

/// Writes an archive.
fn pack(folder: &Path, archive: &Path) {
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let output = Command::new("tar")
        .args(["--owner=0", "--group=0", "--sort=name", "-I", "gzip -9n", "-C"])
        .arg(folder)
        .arg("-cf")
        .arg(archive)
        .args(FILES)
        .output()
        .unwrap();
    assert!(output.status.success(), "tar: {}", said(&output));
}

/// Extracts an archive.
fn unpacked(archive: &Path) -> TempDir {
    let folder = folder();
    let output = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "tar: {}", said(&output));
    restrict(folder.path());
    folder
}

/// A copy of the files of an archive that exist in a directory.
fn copied(from: &Path) -> TempDir {
    let folder = folder();
    for name in FILES.iter().filter(|name| from.join(name).exists()) {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    restrict(folder.path());
    folder
}

/// Makes a directory and its files accessible to their owner only: the program warns of others.
fn restrict(folder: &Path) {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
}

/// With the environment variable `GOLDEN_STORE` it also writes the store to the archive of that name.
#[test]
fn a_store_of_this_program_is_made_and_opened() {
    let made = make::make();
    if let Ok(archive) = std::env::var(ARCHIVE) {
        pack(made.path(), Path::new(&archive));
    }
    open::open(copied(made.path()));
}

#[test]
fn stores_of_earlier_programs_are_opened() {
    let entries = std::fs::read_dir(ARCHIVES).into_iter().flatten();
    let mut archives: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    archives.retain(|path| path.to_string_lossy().ends_with(".tar.gz"));
    assert!(
        !archives.is_empty(),
        "{ARCHIVES} has no store of an earlier release: create one with `scripts/golden-store NAME` and commit it"
    );
    archives.sort_unstable();
    std::thread::scope(|scope| {
        let open = |archive: &PathBuf| {
            let archive = archive.clone();
            scope.spawn(move || {
                // Names the archive if the rest of the thread panics.
                println!("{}", archive.display());
                open::open(unpacked(&archive));
            })
        };
        archives.iter().map(open).for_each(drop);
    });
}
