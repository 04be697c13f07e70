//! Creates a store: a node gets requests over its APIs, talks to carriers and webhook receivers, and is killed during a task.

mod messages;
mod recorded;
mod records;

use super::archive::{copied, restrict};
use super::instance::{Instance, Node, Peers};
use super::known::{Exchange, InterruptedTask, Request, SentMessage};
use super::requests::{Templates, sendcloud};
use super::{read, text_at};
use crate::smsc::{Part, Reaction, Receipt, Submit};
use crate::testkit::{eventually, folder, time_left};
use serde_json::{Value, json};
use smpp::CommandStatus;
use std::collections::BTreeMap;
use std::time::Instant;
use store::Contacts;
use tempfile::TempDir;

const MASTER_KEY: &str = "8d1f2b3c4a5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8";
/// Receipts without a response come under this message id plus the number of the part.
const UNMATCHED_ID: u64 = 777_000_110;
/// An inbound message in two parts; the second one is sent to the next node.
const INBOUND: [&str; 2] = ["The first half of an inbound message, ", "and its second half."];
/// Members of the interrupted task. Each contact list of a task is a commit of its own.
const MEMBERS: usize = 48;
const MEMBERS_OF_A_LIST: usize = 4;
/// The node is killed when the task has accepted so many members.
const ACCEPTED_MIN: u64 = 12;
/// Delay of each sync while the task runs: time enough to see it unfinished.
const SYNC_DELAY_MS: u64 = 500;

/// How the carriers react.
fn script(carrier: &str, submit: &Submit) -> Reaction {
    let receipt = |stat, err| Reaction::Accept(Some(Receipt { stat, err }));
    let part = submit.part.map_or(1, |part| part.number);
    match (carrier, &*submit.to) {
        ("south", _) => Reaction::NoResponse(None),
        ("east", "8613800138001") | ("north", "447700900110") => Reaction::Accept(None),
        ("north", "447700900102") => receipt("UNDELIV", "033"),
        ("north", "447700900103") => receipt("EXPIRED", "001"),
        ("north", "447700900105") => receipt("UNKNOWN", "000"),
        ("north", "447700900106") => Reaction::Reject(CommandStatus::RINVDSTADR),
        ("north", "447700900111") => {
            Reaction::NoResponse(Some((UNMATCHED_ID + u64::from(part), Receipt::DELIVERED)))
        }
        ("north", "447700900112") => Reaction::NoResponse(None),
        ("north", "447700900113") if part == 2 => Reaction::Reject(CommandStatus::RSYSERR),
        // Members of the task: the next node gets their receipts.
        ("north", to) if to.starts_with("4477009002") => Reaction::Accept(None),
        _ => Reaction::Accept(Some(Receipt::DELIVERED)),
    }
}

/// Creates the files of an archive in a directory, as the kill left them.
pub(super) fn make() -> TempDir {
    let mut maker = Maker::start();
    maker.create_records();
    maker.send_to_final_states();
    maker.send_inbound();
    let tasks = maker.run_tasks();
    maker.send_without_outcome();
    let references = references(&maker.peers);
    let submits_of_east = maker.stop_carrier("east");
    let due_s = maker.send_delayed();
    let (lists, members) = maker.create_lists();
    maker.wait_for_dead_letter();
    let opted_out = maker.record_responses(&tasks);
    let task = maker.kill_during_task(&lists, members);
    // Before anything else opens the store.
    let made = copied(maker.instance.folder.path());
    let known = maker.known(tasks, &submits_of_east, references, due_s, opted_out, task);
    let known = serde_json::to_string_pretty(&known).unwrap();
    std::fs::write(made.path().join("known.json"), known).unwrap();
    restrict(made.path());
    made
}

/// Concatenation references of what the carriers received, by number.
fn references(peers: &Peers) -> Vec<(String, u16)> {
    let submits = peers.submits().into_iter();
    let mut references: Vec<(String, u16)> = submits
        .filter_map(|submit| Some((submit.to, submit.part?.reference)))
        .collect();
    references.sort_unstable();
    references.dedup();
    references
}

const fn inbound_part(number: u8) -> Part {
    Part {
        reference: 4711,
        total: 2,
        number,
    }
}

/// A running node and what was sent to it.
struct Maker {
    instance: Instance,
    node: Node,
    peers: Peers,
    templates: Templates,
    /// By a name within this file.
    sent: BTreeMap<&'static str, SentMessage>,
    responses: Vec<Exchange>,
    repeats: Vec<Exchange>,
}

impl Maker {
    fn start() -> Self {
        let folder = folder();
        std::fs::write(folder.path().join("master.key"), MASTER_KEY).unwrap();
        std::fs::write(folder.path().join("catalog.toml"), include_str!("catalog.toml")).unwrap();
        restrict(folder.path());
        let instance = Instance::new(folder);
        instance.run(&["migrate"]);
        instance.run(&["apply", instance.path("catalog.toml").to_str().unwrap()]);
        let peers = Peers::start(&instance.catalog, 1_000, script);
        instance.apply_addresses(&peers);
        peers.receiver("crm").fail_calls_with("447700900122");
        peers.receiver("legacy").fail_calls_with("order 2");
        let node = instance.serve(&peers);
        instance.run(&["webhook", "pause", "acme/audit", "--reason", "audit"]);
        Self {
            templates: Templates::of(&instance, "acme"),
            instance,
            node,
            peers,
            sent: BTreeMap::new(),
            responses: Vec::new(),
            repeats: Vec::new(),
        }
    }

    fn request(&self, request: &Request) -> Value {
        self.instance.send(&self.node, "acme", None, request)
    }

    /// Sends a message and keeps the id at this place of the response.
    fn send(&mut self, name: &'static str, to: &str, request: &Request, id: &str) {
        let response = self.request(request);
        self.keep_id(name, to, &response, id);
    }

    /// The same, repeated with the same idempotency key or request id.
    fn send_twice(
        &mut self,
        name: &'static str,
        to: &str,
        idempotency_key: Option<&str>,
        request: Request,
        id: &str,
    ) {
        let response = self.request_twice(idempotency_key, request);
        self.keep_id(name, to, &response, id);
    }

    /// Returns the first response and keeps the second one.
    fn request_twice(&mut self, idempotency_key: Option<&str>, request: Request) -> Value {
        let send = || self.instance.send(&self.node, "acme", idempotency_key, &request);
        let (first, response) = (send(), send());
        self.repeats.push(Exchange {
            account: "acme".to_owned(),
            idempotency_key: idempotency_key.map(str::to_owned),
            request,
            response,
        });
        first
    }

    fn keep_id(&mut self, name: &'static str, to: &str, response: &Value, id: &str) {
        let (to, id) = (to.to_owned(), text_at(response, id));
        self.sent.insert(name, SentMessage { to, id });
    }

    fn id(&self, name: &str) -> &str {
        &self.sent[name].id
    }

    fn exchange(&self, account: &str, request: Request) -> Exchange {
        let mut response = self.instance.send(&self.node, account, None, &request);
        if let Some(members) = response.as_object_mut() {
            // Differs in each response.
            members.remove("ReqUuid");
        }
        Exchange {
            account: account.to_owned(),
            idempotency_key: None,
            request,
            response,
        }
    }

    fn record(&mut self, account: &str, request: Request) {
        let exchange = self.exchange(account, request);
        self.responses.push(exchange);
    }

    /// Waits for a webhook call with one of these types about each number.
    fn wait_for_events(&self, types: &[&str], numbers: &[&str]) {
        for number in numbers {
            let what = format!("{types:?} of {number}");
            let number = format!("+{number}");
            self.peers.receiver("crm").wait_for(&what, 1, |call| {
                types.contains(&&*call.kind()) && call.to() == number
            });
        }
    }

    fn wait_for_final_states(&self, numbers: &[&str]) {
        let types = ["message.delivered", "message.failed", "message.unknown"];
        self.wait_for_events(&types, numbers);
    }

    fn create_list(&self, name: &str, members: &[String], vars: &Value) {
        let name = ("contactListName", name);
        let response = self.request(&sendcloud("smsContactList/save", &[name]));
        assert_eq!(response["statusCode"], 200, "{response}");
        let phones: Vec<String> = members.iter().map(|member| format!("00{member}")).collect();
        let (phones, vars) = (phones.join(","), vars.to_string());
        let fields = [name, ("phones", &*phones), ("vars", &*vars)];
        let response = self.request(&sendcloud("smsContactListMember/batchSaveOrUpdate", &fields));
        assert_eq!(response["statusCode"], 200, "{response}");
    }

    /// A task that is done, and a scheduled one; returns their numbers.
    fn run_tasks(&mut self) -> [i64; 2] {
        let members = ["447700900120", "447700900121"];
        let vars = json!({ "name": "Bea", "place": "York" });
        self.create_list("vip", &members.map(str::to_owned), &vars);
        let request = self.templates.task("notice", "vip", "greeting", &[]);
        let done = self.request_twice(Some("task-1"), request);
        let due = [("executeTime", "2099-01-01 08:00:00")];
        let scheduled = self.request(&self.templates.task("sale", "vip", "later", &due));
        let numbers = [done, scheduled].map(|made| made["info"]["smsTask"]["taskId"].as_i64().unwrap());
        self.wait_for_final_states(&members);
        eventually("the end of the task", || {
            (self.instance.stored_task(numbers[0]).state == "done").then_some(())
        });
        numbers
    }

    /// Returns what the carrier received.
    fn stop_carrier(&mut self, name: &str) -> Vec<Submit> {
        self.peers.carriers.remove(name).unwrap().submits()
    }

    /// The contact lists of the task to be interrupted; returns their names and all members.
    fn create_lists(&self) -> (String, Vec<String>) {
        let members: Vec<String> = (200..200 + MEMBERS).map(|n| format!("447700900{n}")).collect();
        let mut names = Vec::new();
        for members in members.chunks(MEMBERS_OF_A_LIST) {
            let name = format!("from {}", members[0]);
            self.create_list(&name, members, &json!({}));
            names.push(name);
        }
        (names.join(";"), members)
    }

    fn wait_for_dead_letter(&self) {
        eventually("the dead letter", || {
            (self.instance.webhook("legacy")["dead"] == 1).then_some(())
        });
    }

    /// Starts a task and kills the node when some members are accepted and some are not.
    fn kill_during_task(&mut self, lists: &str, members: Vec<String>) -> InterruptedTask {
        self.instance.clock.delay_syncs(SYNC_DELAY_MS);
        let response = self.request(&self.templates.task("sale", lists, "sale", &[]));
        let no = response["info"]["smsTask"]["taskId"].as_i64().unwrap();
        read(self.instance.folder.path(), async |store| {
            let since = Instant::now();
            loop {
                let tasks = store.open_tasks(10).await.unwrap();
                let task = tasks.iter().find(|task| task.id == no);
                if task.is_some_and(|task| task.progress.accepted >= ACCEPTED_MIN) {
                    return;
                }
                assert!(time_left(since).is_some(), "the task has stopped: {task:?}");
            }
        });
        self.node.process.signal("KILL");
        self.node.process.ended();
        self.instance.clock.set(0);
        let submits = self.peers.carrier("north").submits().into_iter();
        InterruptedTask {
            no,
            carrier: "north".to_owned(),
            template: self.templates.number("sale"),
            submitted: submits
                .filter(|submit| members.contains(&submit.to))
                .map(|submit| (submit.to, submit.id.unwrap()))
                .collect(),
            members,
        }
    }
}
