//! A store with a clock and peers of its own, and the node that serves it.

use super::known::{Request, StoredMessage, StoredTask};
use super::text_at;
use crate::api;
use crate::clock::MovedClock;
use crate::receiver::Receiver;
use crate::serve::addr_after;
use crate::smsc::{Reaction, Smsc, SmscConfig, Submit};
use crate::testkit::{Running, curl, eventually, json, said};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The part of a catalog file that the test reads.
#[derive(Debug, Deserialize)]
pub(super) struct CatalogFile {
    pub(super) account: Vec<AccountEntry>,
    pub(super) carrier: Vec<CarrierEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AccountEntry {
    pub(super) name: String,
    pub(super) credential: Vec<CredentialEntry>,
    #[serde(default)]
    pub(super) webhook: Vec<WebhookEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CredentialEntry {
    pub(super) family: String,
    pub(super) key: String,
    pub(super) secret: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct WebhookEntry {
    pub(super) name: String,
    pub(super) url: Option<String>,
    pub(super) secret: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CarrierEntry {
    pub(super) name: String,
    pub(super) system_id: String,
    pub(super) password: String,
    pub(super) id_notation: Option<String>,
}

impl CatalogFile {
    pub(super) fn webhooks(&self) -> impl Iterator<Item = &WebhookEntry> {
        self.account.iter().flat_map(|account| &account.webhook)
    }
}

/// The peers of a node: an SMSC for each carrier and a receiver for each webhook with a URL, by name.
pub(super) struct Peers {
    pub(super) carriers: BTreeMap<String, Smsc>,
    pub(super) receivers: BTreeMap<String, Receiver>,
}

impl Peers {
    /// Starts all of them. `script` gets the name of the carrier and the submit.
    pub(super) fn start(
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

    pub(super) fn carrier(&self, name: &str) -> &Smsc {
        &self.carriers[name]
    }

    pub(super) fn receiver(&self, name: &str) -> &Receiver {
        &self.receivers[name]
    }

    /// What all carriers received.
    pub(super) fn submits(&self) -> Vec<Submit> {
        let carriers = self.carriers.values();
        carriers.flat_map(|carrier| carrier.submits()).collect()
    }
}

/// A store in a directory of its own, and a clock for the programs that use it.
pub(super) struct Instance {
    pub(super) folder: TempDir,
    pub(super) clock: MovedClock,
    /// How far the clock is ahead.
    pub(super) offset_s: i64,
    pub(super) config: PathBuf,
    pub(super) catalog: CatalogFile,
}

/// A running node.
pub(super) struct Node {
    pub(super) process: Running,
    pub(super) api: String,
    pub(super) metrics: String,
}

impl Instance {
    /// In a directory with a master key, a catalog file and possibly a store.
    pub(super) fn new(folder: TempDir) -> Self {
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

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets the clock, in Unix seconds; it goes on from there.
    pub(super) fn set_clock(&mut self, now_s: i64) {
        self.offset_s = now_s - real_now_s();
        self.clock.set(self.offset_s);
    }

    /// The time of the clock, in Unix seconds.
    pub(super) fn now_s(&self) -> i64 {
        real_now_s() + self.offset_s
    }

    /// Runs a command that must succeed; returns its output.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let output = self.run_any(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn run_any(&self, arguments: &[&str]) -> Output {
        let config = ["--config", self.config.to_str().unwrap()];
        let arguments = [arguments, &config].concat();
        let mut command = self.clock.command(self.folder.path(), &arguments);
        command.output().unwrap()
    }

    /// Runs a command with `--json`.
    pub(super) fn run_json(&self, arguments: &[&str]) -> Value {
        json(&self.run(&[arguments, &["--json"]].concat()))
    }

    /// The list under this name in the output of a command.
    pub(super) fn run_list(&self, arguments: &[&str], name: &str) -> Vec<Value> {
        let output = self.run_json(arguments);
        let list = output[name].as_array();
        list.unwrap_or_else(|| panic!("no {name} in {output}")).clone()
    }

    /// The only message of a session, message or plan id, as `postrider status` shows it.
    pub(super) fn status(&self, id: &str) -> Value {
        let mut messages = self.run_list(&["status", id, "--text"], "messages");
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.remove(0)
    }

    pub(super) fn state(&self, id: &str) -> String {
        text_at(&self.status(id), "/state")
    }

    pub(super) fn stored_message(&self, id: &str) -> StoredMessage {
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

    pub(super) fn stored_task(&self, no: i64) -> StoredTask {
        let task = self.run_json(&["task", "show", &no.to_string()]);
        StoredTask {
            no,
            state: text_at(&task, "/state"),
            accepted: task["accepted"].as_u64().unwrap(),
            refused: task["refused"].as_u64().unwrap(),
        }
    }

    pub(super) fn stored_inbound(&self) -> Vec<[String; 3]> {
        let inbound = self.run_list(&["inbound", "list"], "inbound");
        let fields = |one: &Value| ["/from", "/to", "/text"].map(|pointer| text_at(one, pointer));
        inbound.iter().map(fields).collect()
    }

    pub(super) fn stored_suppressions(&self) -> Vec<[String; 3]> {
        let suppressions = self.run_list(&["suppression", "list"], "suppressions");
        let fields = |one: &Value| {
            let account = one["account"].as_str().unwrap_or_default().to_owned();
            [text_at(one, "/number"), account, text_at(one, "/kind")]
        };
        suppressions.iter().map(fields).collect()
    }

    /// The state of a webhook of the first account, as `postrider webhook list` shows it.
    pub(super) fn webhook(&self, name: &str) -> Value {
        let mut webhooks = self.run_list(&["webhook", "list"], "webhooks").into_iter();
        webhooks.find(|webhook| webhook["name"] == *name).unwrap()
    }

    /// Applies a catalog file that names nothing but the ports and URLs of the peers: all else stays as stored.
    pub(super) fn apply_addresses(&self, peers: &Peers) {
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
    pub(super) fn serve(&self, peers: &Peers) -> Node {
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
    pub(super) fn send(
        &self,
        node: &Node,
        account: &str,
        idempotency_key: Option<&str>,
        request: &Request,
    ) -> Value {
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

fn real_now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}
