//! Opens a store of an earlier release: the node finishes what was interrupted, sends nothing twice, and responds as before.

use super::instance::{Instance, Node, Peers};
use super::known::{Exchange, Known, QueuedMessage, Request, SentMessage};
use super::{assert_same, messages_of, read, text_at};
use crate::receiver::Call;
use crate::smsc::{Part, Reaction, Receipt};
use crate::testkit::{eventually, json};
use engine::catalog::{SecretSealer, carrier_secret_name, credential_secret_name, endpoint_secret_name};
use engine::public_id::PublicIds;
use secrecy::ExposeSecret;
use serde_json::Value;
use sms::state::MessageState;
use std::collections::{BTreeMap, BTreeSet};
use store::{AccountId, MessageId, Store};
use tempfile::TempDir;

/// The clock at the start, in seconds after the kill: idempotency records and messages have not expired.
const RESTED_S: i64 = 60;
/// Message ids of the carriers begin after this one; those of the earlier release are lower.
const IDS_AFTER: u64 = 2_000_000_000;

/// States of the messages of a task, by number.
type States = BTreeMap<String, MessageState>;

/// How often each part of a message to a number was submitted.
type SubmitCounts = BTreeMap<(String, u8), usize>;

pub(super) fn open(folder: TempDir) {
    let known = std::fs::read_to_string(folder.path().join("known.json")).unwrap();
    let known: Known = serde_json::from_str(&known).unwrap();
    let mut instance = Instance::new(folder);
    instance.set_clock(known.killed_at_s + RESTED_S);
    instance.run(&["migrate"]);
    instance.run(&["check", "--deep"]);
    check_secrets(&instance);
    check_ids(&instance, &known);
    check_records(&instance, &known);
    let states = states_of_task(&instance, &known);

    let unmatched = known.unmatched_receipts.clone();
    let peers = Peers::start(&instance.catalog, IDS_AFTER, move |_, submit| match submit.part {
        // The store has the receipts of this message.
        Some(part) if submit.to == unmatched.0.to => Reaction::AcceptAs(unmatched.1 + u64::from(part.number)),
        _ => Reaction::Accept(Some(Receipt::DELIVERED)),
    });
    instance.apply_addresses(&peers);
    let opened = Opened::serve(&instance, &peers, &known);
    opened.check_responses();
    opened.check_late_receipts(&states);
    opened.check_partial_inbound();
    for queued in &known.queued {
        opened.check_sent(queued);
    }
    opened.check_task();
    opened.check_repeats();
    let new = [opened.check_opt_in(), opened.check_reference()];
    opened.check_dead_letters();
    opened.check_pause();
    opened.check_reports();
    assert!(opened.node.process.stop().success());

    instance.set_clock(known.scheduled.1 + 1);
    let opened = Opened::serve(&instance, &peers, &known);
    opened.check_sent(&known.scheduled.0);
    opened.check_retry_of_call();
    opened.check_replay_of_call();
    opened.check_responses();
    opened.check_statistics(&states, new.len());
    assert_eq!(
        submit_counts(&peers),
        expected_counts(&known, &states, &new, &peers)
    );
    assert!(opened.node.process.stop().success());
    instance.run(&["check", "--deep"]);
}

/// A node on the store.
struct Opened<'a> {
    instance: &'a Instance,
    node: Node,
    peers: &'a Peers,
    known: &'a Known,
}

impl<'a> Opened<'a> {
    fn serve(instance: &'a Instance, peers: &'a Peers, known: &'a Known) -> Self {
        Self {
            instance,
            node: instance.serve(peers),
            peers,
            known,
        }
    }

    fn request(&self, request: &Request) -> Value {
        self.instance.send(&self.node, "acme", None, request)
    }

    fn check_exchange(&self, exchange: &Exchange) {
        let Exchange {
            account,
            idempotency_key,
            request,
            response,
        } = exchange;
        let now = self
            .instance
            .send(&self.node, account, idempotency_key.as_deref(), request);
        assert_same(&format!("{request:?}"), response, &now);
    }

    fn check_responses(&self) {
        for exchange in &self.known.responses {
            self.check_exchange(exchange);
        }
    }

    /// [`submit_counts`] has what was sent.
    fn check_repeats(&self) {
        for exchange in &self.known.repeats {
            self.check_exchange(exchange);
        }
    }

    fn webhook_secret(&self) -> &str {
        let mut webhooks = self.instance.catalog.webhooks();
        let crm = webhooks.find(|webhook| webhook.name == "crm").unwrap();
        crm.secret.as_deref().unwrap()
    }

    /// Waits for a webhook call that is signed now with the secret of the store.
    fn wait_for_call(&self, what: &str, matches: impl Fn(&Call) -> bool) -> Call {
        let calls = self.peers.receiver("crm").wait_for(what, 1, matches);
        let now_s = u64::try_from(self.instance.now_s()).unwrap();
        calls[0].assert_signed_at(self.webhook_secret(), now_s);
        calls[0].clone()
    }

    /// Waits for the webhook call about the delivery of a message to this number.
    fn wait_for_delivery(&self, to: &str) {
        self.wait_for_call(&format!("the delivery to {to}"), |call| {
            call.kind() == "message.delivered" && call.to() == format!("+{to}")
        });
    }

    fn check_delivered(&self, message: &SentMessage) {
        self.wait_for_delivery(&message.to);
        assert_eq!(self.instance.state(&message.id), "delivered");
    }

    /// Receipts of messages that the earlier release submitted, and those that it stored before a response.
    fn check_late_receipts(&self, states: &States) {
        for (carrier, message, id) in &self.known.without_receipt {
            let carrier = self.peers.carrier(carrier);
            carrier.send_receipt(*id, &message.to, Receipt::DELIVERED);
            self.check_delivered(message);
        }
        let task = &self.known.task;
        let carrier = self.peers.carrier(&task.carrier);
        for (to, id) in &task.submitted {
            if states.get(to) == Some(&MessageState::Submitted) {
                carrier.send_receipt(*id, to, Receipt::DELIVERED);
            }
        }
        self.check_delivered(&self.known.unmatched_receipts.0);
        assert_eq!(self.instance.state(&self.known.held.id), "in_doubt");
    }

    fn check_partial_inbound(&self) {
        let inbound = &self.known.partial_inbound;
        let north = self.peers.carrier("north");
        north.send_inbound(&inbound.from, &inbound.to, &inbound.second, Some(inbound.part));
        self.wait_for_call("the inbound message", |call| {
            call.kind() == "message.received" && call.json()["data"]["text"] == *inbound.whole
        });
    }

    /// The parts that the carrier has not accepted are sent once, with the reference of the others.
    fn check_sent(&self, queued: &QueuedMessage) {
        self.check_delivered(&queued.message);
        let to = &queued.message.to;
        let carrier = self.peers.carrier(&queued.carrier);
        let submits = carrier.wait_for("the message", 1, |submit| submit.to == *to);
        let mut parts: Vec<(Part, &str)> = submits
            .iter()
            .map(|submit| (submit.part.unwrap_or(Part::SINGLE), &*submit.text))
            .collect();
        parts.sort_unstable_by_key(|(part, _)| part.number);
        let Part { reference, total, .. } = parts[0].0;
        let reference = queued.reference.unwrap_or(reference);
        let expected: Vec<Part> = (1..=total)
            .filter(|number| !queued.accepted_parts.contains(number))
            .map(|number| Part {
                reference,
                total,
                number,
            })
            .collect();
        let sent: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
        assert_eq!(sent, expected, "to {to}");
        let text: String = parts.iter().map(|(_, text)| *text).collect();
        if queued.accepted_parts.is_empty() {
            assert_eq!(text, queued.text);
        } else {
            assert!(queued.text.contains(&text), "{text:?} is no part of {queued:?}");
        }
    }

    fn check_task(&self) {
        let task = &self.known.task;
        for member in &task.members {
            self.wait_for_delivery(member);
        }
        let stored = eventually("the end of the task", || {
            let stored = self.instance.stored_task(task.no);
            (stored.state == "done").then_some(stored)
        });
        let members = u64::try_from(task.members.len()).unwrap();
        assert_eq!((stored.accepted, stored.refused), (members, 0));
    }

    /// An opted-out number is rejected until it opts in; returns the number.
    fn check_opt_in(&self) -> String {
        let (number, exchange) = &self.known.opted_out;
        self.check_exchange(exchange);
        let north = self.peers.carrier("north");
        north.send_inbound(number, "10690", "START", None);
        let response = self.request(&exchange.request);
        assert_eq!(response["RetCode"], 0, "{response}");
        self.wait_for_delivery(number);
        number.clone()
    }

    /// Another long message to a number has another concatenation reference; returns the number.
    fn check_reference(&self) -> String {
        let (to, _) = &self.known.references[0];
        let templates = super::requests::Templates::of(self.instance, "acme");
        let response = self.request(&templates.rest("letter", &format!("+{to}"), &["Zoe"]));
        assert_eq!(response["RetCode"], 0, "{response}");
        self.wait_for_delivery(to);
        for submit in self.peers.submits().iter().filter(|submit| submit.to == *to) {
            let reference = (to.clone(), submit.part.unwrap().reference);
            assert!(!self.known.references.contains(&reference), "{reference:?} again");
        }
        to.clone()
    }

    fn check_dead_letters(&self) {
        let legacy = self.peers.receiver("legacy");
        self.instance.run(&["webhook", "resend", "acme/legacy", "--all"]);
        for session in &self.known.webhooks.dead {
            legacy.wait_for("the dead letter", 1, |call| call.body.contains(session));
        }
    }

    fn check_pause(&self) {
        assert_eq!(self.instance.webhook("audit")["pause"]["reason"], "audit");
        let audit = self.peers.receiver("audit");
        assert_eq!(audit.calls().len(), 0);
        self.instance.run(&["webhook", "resume", "acme/audit"]);
        let paused = &self.known.webhooks.paused;
        audit.wait_for("the paused call", 1, |call| call.body.contains(paused));
    }

    fn check_reports(&self) {
        let request = Request::Ucloud(
            "PullUSMSReport".to_owned(),
            vec![("Limit".to_owned(), "200".to_owned())],
        );
        let mut pulled = BTreeSet::new();
        eventually("the reports", || {
            let response = self.request(&request);
            for report in response["ReportSet"].as_array().unwrap() {
                pulled.insert((text_at(report, "/SessionNo"), text_at(report, "/Phone")));
            }
            let mut reports = self.known.reports.iter();
            reports.all(|report| pulled.contains(report)).then_some(())
        });
    }

    /// Its time depends on how often the earlier release made the call: up to 5 minutes after the kill.
    fn check_retry_of_call(&self) {
        let to = format!("+{}", self.known.webhooks.failed);
        let calls = self
            .peers
            .receiver("crm")
            .wait_for("the retried call", 1, |call| {
                call.kind() == "message.delivered" && call.to() == to
            });
        let signed_at_s = calls[0].header("webhook-timestamp").parse().unwrap();
        calls[0].assert_signed_at(self.webhook_secret(), signed_at_s);
    }

    fn check_replay_of_call(&self) {
        self.instance
            .run(&["webhook", "replay", "acme/crm", "--from", "1h"]);
        let (id, body) = &self.known.webhooks.delivered;
        let call = self.wait_for_call("the replayed call", |call| call.header("webhook-id") == id);
        assert_same("the replayed call", &json(body), &call.json());
    }

    /// Statistics count the messages of the earlier release and the new ones.
    fn check_statistics(&self, states: &States, new: usize) {
        let (from, to) = &self.known.days;
        let count = |domestic: &str| {
            let params = [
                ("StartDate", &**from),
                ("EndDate", to),
                ("Domestic", domestic),
                ("OrderBy", "BrevityCode"),
                ("OrderType", "asc"),
                ("Page", "0"),
                ("NumPerPage", "100"),
            ];
            let response = self.request(&super::requests::ucloud("GetUSMSSendStatistics", &params));
            response["StatisticsData"]["SendCount"].as_u64().unwrap()
        };
        let new = self.known.task.members.len() - states.len() + new;
        let expected = self.known.message_count + u64::try_from(new).unwrap();
        assert_eq!(count("0") + count("1"), expected);
    }
}

/// Opens every secret in the store under its name, and compares it with the catalog file.
fn check_secrets(instance: &Instance) {
    let key = std::fs::read_to_string(instance.path("master.key")).unwrap();
    let key = engine::hex::octets(key.trim()).unwrap().try_into().unwrap();
    let sealer = SecretSealer::new(&key);
    let open = |name: &str, sealed: &[u8]| sealer.open(name, sealed).unwrap().expose_secret().to_owned();
    let catalog = read(instance.folder.path(), async |store| {
        store.load_catalog().await.unwrap()
    });
    let (mut opened, mut expected) = (BTreeSet::new(), BTreeSet::new());
    for entry in &catalog.credentials {
        let name = credential_secret_name(&entry.family, &entry.key);
        let secret = open(&name, &entry.sealed_secret);
        opened.insert((format!("{} {}", entry.family, entry.key), secret));
    }
    for entry in &catalog.carriers {
        let sealed = entry.settings["password_sealed"].as_str().unwrap();
        let sealed = engine::hex::octets(sealed).unwrap();
        let name = carrier_secret_name(&entry.name);
        opened.insert((format!("carrier {}", entry.name), open(&name, &sealed)));
    }
    let endpoints = catalog.endpoints.iter();
    for entry in endpoints.filter(|entry| !entry.sealed_secret.is_empty()) {
        let name = endpoint_secret_name(entry.id);
        let secret = open(&name, &entry.sealed_secret);
        opened.insert((format!("webhook {}", entry.name), secret));
    }
    for account in &instance.catalog.account {
        for entry in &account.credential {
            let name = format!("{} {}", entry.family, entry.key);
            expected.insert((name, entry.secret.clone()));
        }
        for entry in &account.webhook {
            let secret = entry.secret.clone();
            expected.extend(secret.map(|secret| (format!("webhook {}", entry.name), secret)));
        }
    }
    for entry in &instance.catalog.carrier {
        expected.insert((format!("carrier {}", entry.name), entry.password.clone()));
    }
    assert_eq!(opened, expected);
}

/// Decodes every session number and message id, and encodes it again.
fn check_ids(instance: &Instance, known: &Known) {
    let (key, accounts) = read(instance.folder.path(), async |store| {
        let accounts = store.load_catalog().await.unwrap().accounts;
        let accounts: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        (store.id_key().await.unwrap(), accounts)
    });
    let public = PublicIds::new(&key);
    assert!(!known.ids.is_empty());
    for (id, number) in &known.ids {
        // Plan ids are the numbers themselves.
        if id == number {
            continue;
        }
        let message = MessageId(number.parse().unwrap());
        let (prefix, _) = id.split_once('$').unwrap_or((id, ""));
        let decode = |account: &AccountId| {
            let session = public.read_session(*account, id);
            let decoded = session.or_else(|| public.read_message_prefix(*account, prefix))?;
            Some((*account, decoded))
        };
        let decoded = accounts.iter().find_map(decode);
        let (account, decoded) = decoded.unwrap_or_else(|| panic!("{id} is not an id of this store"));
        assert_eq!(decoded, message, "{id}");
        let template = prefix.split('_').nth(3).map(|template| template.parse().unwrap());
        let encoded = match template {
            Some(template) => public.message_prefix(account, message, template),
            None => public.session(account, message),
        };
        assert_eq!(encoded, prefix);
    }
}

/// Compares what commands show with what they showed before.
fn check_records(instance: &Instance, known: &Known) {
    for message in &known.messages {
        assert_eq!(instance.stored_message(&message.id), *message);
    }
    for task in &known.tasks {
        assert_eq!(instance.stored_task(task.no), *task);
    }
    assert_eq!(instance.stored_inbound(), known.inbound);
    assert_eq!(instance.stored_suppressions(), known.suppressions);
}

/// The messages of the interrupted task, as the kill left them.
fn states_of_task(instance: &Instance, known: &Known) -> States {
    let template = Some(known.task.template);
    let messages = read(instance.folder.path(), async |store| {
        messages_of(store, "acme", template).await
    });
    let states: States = messages
        .iter()
        .map(|message| (message.msisdn.as_u64().to_string(), message.state))
        .collect();
    assert_eq!(states.len(), messages.len(), "a member has two messages");
    states
}

fn submit_counts(peers: &Peers) -> SubmitCounts {
    let mut counts = SubmitCounts::new();
    for submit in peers.submits() {
        let number = submit.part.map_or(1, |part| part.number);
        *counts.entry((submit.to, number)).or_default() += 1;
    }
    counts
}

/// Each part once, unless the carrier accepted it before. Messages of the task without a response are sent again: the carrier has
/// `in_doubt = "resend"`.
fn expected_counts(known: &Known, states: &States, new: &[String], peers: &Peers) -> SubmitCounts {
    let submits = peers.submits();
    let total = |to: &str| {
        let submit = submits.iter().find(|submit| submit.to == to);
        submit.and_then(|submit| submit.part).map_or(1, |part| part.total)
    };
    let mut counts = SubmitCounts::new();
    for queued in known.queued.iter().chain([&known.scheduled.0]) {
        let to = &queued.message.to;
        let numbers = (1..=total(to)).filter(|number| !queued.accepted_parts.contains(number));
        counts.extend(numbers.map(|number| ((to.clone(), number), 1)));
    }
    for to in new.iter().chain([&known.unmatched_receipts.0.to]) {
        counts.extend((1..=total(to)).map(|number| ((to.clone(), number), 1)));
    }
    for member in &known.task.members {
        let before = known.task.submitted.iter().filter(|(to, _)| to == member).count();
        let (before_max, now) = match states.get(member) {
            None | Some(MessageState::Queued) => (0, 1),
            Some(MessageState::InFlight) => (1, 1),
            Some(_) => (1, 0),
        };
        assert!(before <= before_max, "{member} got {before} messages");
        if now > 0 {
            counts.insert((member.clone(), 1), now);
        }
    }
    counts
}
