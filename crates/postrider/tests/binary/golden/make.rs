//! Creates a store: a node gets requests over its APIs, talks to carriers and webhook receivers, and is killed during a task.

use super::requests::{Templates, engagelab, engagelab_dev, owned, receipts, sendcloud, ucloud};
use super::{
    Exchange, Instance, InterruptedTask, Known, Node, Part, PartialInbound, Peers, QueuedMessage, Reaction,
    Receipt, Request, SentMessage, Submit, Webhooks, account_id, copied, eventually, folder, messages_of,
    read, restrict, text_at, time_left,
};
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

    /// Templates, signatures, labels, files and qualifications, created over the APIs.
    fn create_records(&mut self) {
        let template = json!({ "Purpose": 1, "TemplateName": "login", "Template": "Code {1}, valid {2} minutes",
            "Remark": "For logins" });
        let path = "/api/v1/usms/USMSTemplate".to_owned();
        let request = Request::UspeedoRest(path.clone(), Vec::new(), Some(template));
        let submitted = text_at(&self.request(&request), "/TemplateId");
        let fields = [
            ("templateName", "draft"),
            ("templateText", "Your parcel %no% is here"),
            ("signName", "Acme"),
            ("signPositionStr", "0"),
            ("smsTypeStr", "1"),
        ];
        let draft = self.request(&sendcloud("addsms", &fields));
        let draft = draft["info"]["templateId"].to_string();
        let label = self.request(&sendcloud("label/save", &[("labelName", "spring")]));
        assert_eq!(label["statusCode"], 200, "{label}");
        let file = [
            ("FileName", "licence.png"),
            ("FileContent", "aGVsbG8="),
            ("Source", "0"),
            ("FileType", "image/png"),
        ];
        let file = self.request(&ucloud("UploadUSMSFile", &file));
        let file = text_at(&file, "/FileId");
        let qualification = [
            ("Name", "main"),
            ("Attr", "0"),
            ("Status", "1"),
            ("HandlerPhone", "13800138000"),
            ("CompanyCertificateFileId", &*file),
        ];
        let qualification = self.request(&ucloud("AddUSMSSignatureQualification", &qualification));
        let qualification = text_at(&qualification, "/QualificationId");
        let signature = [
            ("SigContent", "Acme Shop"),
            ("SigType", "0"),
            ("SigPurpose", "0"),
            ("CertificateType", "0"),
            ("Description", "for company use"),
            ("QualificationId", &*qualification),
        ];
        let signature = self.request(&ucloud("CreateUSMSSignature", &signature));
        let signature = text_at(&signature, "/SigId");
        for request in [
            ucloud("QueryUSMSTemplate", &[("TemplateId", &submitted)]),
            ucloud(
                "QueryUSMSTemplate",
                &[("TemplateId", self.templates.ut_id("code"))],
            ),
            ucloud("QueryUSMSSignature", &[("SigId", &signature)]),
            ucloud(
                "QueryUSMSSignatureQualification",
                &[("QualificationId", &qualification)],
            ),
            sendcloud("get", &[("templateIdStr", &draft)]),
            sendcloud("list", &[]),
            sendcloud("sign/list", &[]),
            sendcloud("label/list", &[]),
            Request::UspeedoRest(path, owned(&[("id", &submitted)]), None),
            engagelab("/v1/templates", &[]),
            engagelab("/v1/signs", &[]),
            engagelab("/v1/labels", &[]),
            engagelab_dev("/v1/template-configs"),
            engagelab_dev("/v1/sign-configs"),
        ] {
            self.record("acme", request);
        }
    }

    /// Sends over each API, to each final state.
    fn send_to_final_states(&mut self) {
        let t = &self.templates;
        let vars = json!({ "name": "Ann", "place": "Bath" });
        let fields = [
            ("labelId", "9"),
            ("tag", "{\"order\":\"3\"}"),
            ("sendRequestId", "order-3"),
        ];
        let fourth = json!({ "request_id": "order-4", "custom_args": { "order": "4" } });
        let fifth = json!({ "plan_name": "five" });
        let blocked_word = json!({ "name": "Ann", "place": "the Casino" });
        let twice = [
            (
                "delivered",
                "447700900101",
                Some("order-1"),
                t.rest("code", "+447700900101", &["1010"]),
                "/SessionNo/0",
            ),
            (
                "undelivered",
                "447700900102",
                Some("order-2"),
                t.ucloud("code", "(44)7700900102", "order 2"),
                "/SessionNo",
            ),
            (
                "expired",
                "447700900103",
                None,
                t.sendcloud("notice", "00447700900103", &vars, &fields),
                "/info/smsIds/0",
            ),
            (
                "delivered with request_id",
                "447700900104",
                None,
                t.engagelab("code", "+447700900104", &json!({ "code": "4040" }), fourth),
                "/sms_ids/0",
            ),
            (
                "unknown",
                "447700900105",
                Some("order-5"),
                t.engagelab_dev("code", "+447700900105", &json!({ "code": "5050" }), fifth),
                "/plan_id",
            ),
            (
                "rejected",
                "447700900106",
                Some("order-6"),
                t.action("code", "447700900106", &["6060"]),
                "/SessionNo",
            ),
        ];
        let once = [
            (
                "in UCS-2",
                "8613800138000",
                t.sendcloud("news", "13800138000", &json!({ "name": "小明" }), &[]),
                "/info/smsIds/0",
            ),
            (
                "in three parts",
                "447700900108",
                t.rest("letter", "+447700900108", &["Ada"]),
                "/SessionNo/0",
            ),
            (
                "suppressed",
                "447700900191",
                t.sendcloud("notice", "00447700900191", &vars, &[]),
                "/info/smsIds/0",
            ),
            (
                "blocked word",
                "447700900109",
                t.sendcloud("notice", "00447700900109", &blocked_word, &[]),
                "/info/smsIds/0",
            ),
            (
                "before the opt-out",
                "447700900150",
                t.rest("code", "+447700900150", &["1717"]),
                "/SessionNo/0",
            ),
            (
                "failed call",
                "447700900122",
                t.rest("code", "+447700900122", &["1818"]),
                "/SessionNo/0",
            ),
        ];
        let numbers: Vec<&str> = twice
            .iter()
            .map(|(_, to, ..)| *to)
            .chain(once.iter().map(|(_, to, ..)| *to))
            .filter(|to| *to != "447700900122")
            .collect();
        for (name, to, key, request, id) in twice {
            self.send_twice(name, to, key, request, id);
        }
        for (name, to, request, id) in once {
            self.send(name, to, &request, id);
        }
        let request = Templates::of(&self.instance, "beta").rest("code", "+447700900116", &["1616"]);
        let response = self.instance.send(&self.node, "beta", None, &request);
        self.keep_id("of beta", "447700900116", &response, "/SessionNo/0");
        self.wait_for_final_states(&numbers);
        eventually("the delivery of beta's message", || {
            let request = receipts(self.id("of beta"));
            let response = self.instance.send(&self.node, "beta", None, &request);
            (response["Data"][0]["ReceiptSet"][0]["ReceiptResult"] == "Success").then_some(())
        });
    }

    /// A reply, an opt-out, a message to no account, and the first of two parts.
    fn send_inbound(&self) {
        let north = self.peers.carrier("north");
        north.send_inbound("447700900150", "10690", "Thank you", None);
        north.send_inbound("447700900150", "10690", "Stop!", None);
        north.send_inbound("447700900160", "60999", "Is this the right number?", None);
        north.send_inbound("447700900101", "10690", INBOUND[0], Some(inbound_part(1)));
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

    /// Messages without a receipt, without a response, and with a response to some of the parts.
    fn send_without_outcome(&mut self) {
        let t = &self.templates;
        let messages = [
            (
                "without receipt",
                "447700900110",
                t.ucloud("code", "(44)7700900110", ""),
                "/SessionNo",
            ),
            (
                "without receipt in the east",
                "8613800138001",
                t.sendcloud("code", "13800138001", &json!({ "code": "1111" }), &[]),
                "/info/smsIds/0",
            ),
            (
                "unmatched receipts",
                "447700900111",
                t.engagelab("letter", "+447700900111", &json!({ "name": "Dan" }), json!({})),
                "/sms_ids/0",
            ),
            (
                "in doubt",
                "447700900112",
                t.rest("code", "+447700900112", &["1112"]),
                "/SessionNo/0",
            ),
            (
                "held",
                "15550100",
                t.rest("code", "+15550100", &["1113"]),
                "/SessionNo/0",
            ),
            (
                "partly accepted",
                "447700900113",
                t.rest("letter", "+447700900113", &["Bob"]),
                "/SessionNo/0",
            ),
        ];
        for (name, to, request, id) in messages {
            self.send(name, to, &request, id);
        }
        self.wait_for_events(&["message.submitted"], &["447700900110", "8613800138001"]);
        let (north, south) = (self.peers.carrier("north"), self.peers.carrier("south"));
        south.wait_for("the message to hold", 1, |_| true);
        north.wait_for("the parts without a response", 3, |submit| {
            submit.to == "447700900111"
        });
        north.wait_for("the message without a response", 1, |submit| {
            submit.to == "447700900112"
        });
        north.wait_for_responses();
        eventually("the retry of a part", || {
            let status = self.instance.status(self.id("partly accepted"));
            let mut timeline = status["timeline"].as_array().unwrap().iter();
            timeline.any(|entry| entry["what"] == "requeued").then_some(())
        });
    }

    /// Returns what the carrier received.
    fn stop_carrier(&mut self, name: &str) -> Vec<Submit> {
        self.peers.carriers.remove(name).unwrap().submits()
    }

    /// A long message in the queue of a carrier that is down, and a scheduled long message; returns when that is due, in Unix
    /// seconds.
    fn send_delayed(&mut self) -> i64 {
        let vars = json!({ "name": "小红" });
        let request = self.templates.sendcloud("news", "13800138002", &vars, &[]);
        self.send("queued", "8613800138002", &request, "/info/smsIds/0");
        let due_s = self.instance.now_s() + 600;
        let (params, members) = (json!({ "name": "Eve" }), json!({ "schedule_time": due_s }));
        let request = self
            .templates
            .engagelab_dev("letter", "+447700900115", &params, members);
        self.send("scheduled", "447700900115", &request, "/plan_id");
        due_s
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

    /// The day so many days from now, in China.
    fn day(&self, days: i64) -> String {
        let at_s = self.instance.now_s() + 8 * 3_600 + days * 86_400;
        let at = jiff::Timestamp::from_second(at_s).unwrap();
        at.strftime("%Y-%m-%d").to_string()
    }

    /// Queries about what no longer changes, and sends that are rejected; returns the send that the opt-out rejects.
    fn record_responses(&mut self, tasks: &[i64; 2]) -> Exchange {
        let (from, to, today) = (self.day(-1), self.day(1), self.day(0));
        let t = &self.templates;
        let notice = t.number("notice").to_string();
        let sms_ids = ["expired", "in UCS-2", "suppressed", "blocked word"];
        let sms_ids = sms_ids.map(|name| self.id(name)).join(";");
        let sessions = json!([self.id("rejected"), self.id("delivered")]);
        let sms_id = self.id("delivered with request_id");
        let by_template = [
            ("StartDate", &*from),
            ("EndDate", &*to),
            ("TemplateId", t.ut_id("notice")),
            ("Domestic", "0"),
            ("OrderBy", "BrevityCode"),
            ("OrderType", "asc"),
            ("Page", "0"),
            ("NumPerPage", "100"),
        ];
        let by_day = [
            ("startDate", &*from),
            ("endDate", &*to),
            ("templateIdsStr", &*notice),
        ];
        let task = |no: i64| sendcloud("queryContactListTask", &[("taskId", &*no.to_string())]);
        let requests = [
            receipts(self.id("delivered")),
            receipts(self.id("in three parts")),
            Request::UspeedoAction(json!({ "Action": "GetUSMSSendReceipt", "SessionNoSet": sessions })),
            ucloud(
                "GetUSMSSendReceipt",
                &[("SessionNoSet.0", self.id("undelivered"))],
            ),
            sendcloud("status/query", &[("smsIds", &*sms_ids)]),
            engagelab("/v1/status", &[("send_date", &*today), ("sms_ids", sms_id)]),
            sendcloud("smsContactList/list", &[]),
            sendcloud("smsContactListMember/list", &[("contactListName", "vip")]),
            task(tasks[0]),
            task(tasks[1]),
            sendcloud("data/sendDay", &by_day),
            ucloud("GetUSMSTemplateSendStatistics", &by_template),
            t.action("code", "447700900190", &["1"]),
            t.action("code", "447700900191", &["1"]),
            t.action("code", "447700900192", &["1"]),
            t.action("notice", "447700900109", &["Ann", "the casino"]),
            t.action("notice", "447700900109", &["Ann", "the jackpot"]),
        ];
        for request in requests {
            self.record("acme", request);
        }
        // A session of another account, and a number at its frequency cap.
        let capped = Templates::of(&self.instance, "beta").action("code", "447700900116", &["1617"]);
        let requests = [
            receipts(self.id("delivered")),
            receipts(self.id("of beta")),
            capped,
        ];
        for request in requests {
            self.record("beta", request);
        }
        self.exchange("acme", self.templates.action("code", "447700900150", &["1"]))
    }

    /// Collects what is known of the store of the killed node.
    fn known(
        &self,
        tasks: [i64; 2],
        submits_of_east: &[Submit],
        references: Vec<(String, u16)>,
        due_s: i64,
        opted_out: Exchange,
        task: InterruptedTask,
    ) -> Known {
        let message_count = read(self.instance.folder.path(), async |store| {
            let account = account_id(store, "acme").await;
            let stored = store.task(account, task.no).await.unwrap().unwrap();
            let accepted = stored.progress.accepted;
            assert!(
                (ACCEPTED_MIN..MEMBERS as u64).contains(&accepted),
                "the task has accepted {accepted} of {MEMBERS} members: it was to be interrupted"
            );
            messages_of(store, "acme", None).await.len()
        });
        let submits_of_north = self.peers.carrier("north").submits();
        let queued = |carrier: &str, name: &str| QueuedMessage {
            carrier: carrier.to_owned(),
            message: self.sent[name].clone(),
            text: text_at(&self.instance.status(self.id(name)), "/text"),
            accepted_parts: Vec::new(),
            reference: None,
        };
        let without_receipt = |carrier: &str, name: &str, submits: &[Submit]| {
            let message = self.sent[name].clone();
            let submit = submits.iter().find(|submit| submit.to == message.to);
            (carrier.to_owned(), message, submit.unwrap().id.unwrap())
        };
        let report = |name: &str| {
            let SentMessage { to, id } = &self.sent[name];
            (id.clone(), format!("(44){}", to.strip_prefix("44").unwrap()))
        };
        let partly_accepted = &self.sent["partly accepted"].to;
        let reference = references.iter().find(|(to, _)| to == partly_accepted);
        let final_states = [
            "delivered",
            "undelivered",
            "expired",
            "delivered with request_id",
            "unknown",
            "rejected",
            "in UCS-2",
            "in three parts",
            "suppressed",
            "blocked word",
            "of beta",
        ];
        let number = |message: &SentMessage| text_at(&self.instance.status(&message.id), "/id");
        Known {
            killed_at_s: self.instance.now_s(),
            responses: self.responses.clone(),
            repeats: self.repeats.clone(),
            ids: self
                .sent
                .values()
                .map(|message| (message.id.clone(), number(message)))
                .collect(),
            messages: final_states
                .map(|name| self.instance.stored_message(self.id(name)))
                .into(),
            inbound: self.instance.stored_inbound(),
            suppressions: self.instance.stored_suppressions(),
            tasks: tasks.map(|no| self.instance.stored_task(no)).into(),
            queued: vec![
                queued("east", "queued"),
                queued("north", "in doubt"),
                QueuedMessage {
                    accepted_parts: vec![1, 3],
                    reference: reference.map(|(_, reference)| *reference),
                    ..queued("north", "partly accepted")
                },
            ],
            scheduled: (queued("north", "scheduled"), due_s),
            unmatched_receipts: (self.sent["unmatched receipts"].clone(), UNMATCHED_ID),
            held: self.sent["held"].clone(),
            without_receipt: vec![
                without_receipt("north", "without receipt", &submits_of_north),
                without_receipt("east", "without receipt in the east", submits_of_east),
            ],
            task,
            opted_out: (self.sent["before the opt-out"].to.clone(), opted_out),
            partial_inbound: PartialInbound {
                from: "447700900101".to_owned(),
                to: "10690".to_owned(),
                second: INBOUND[1].to_owned(),
                part: inbound_part(2),
                whole: INBOUND.concat(),
            },
            webhooks: self.webhooks(),
            reports: vec![report("delivered"), report("undelivered")],
            references,
            message_count: message_count.try_into().unwrap(),
            days: (self.day(-1), self.day(1)),
        }
    }

    fn webhooks(&self) -> Webhooks {
        let calls = self.peers.receiver("crm").calls();
        let mut delivered = calls.iter().filter(|call| call.kind() == "message.delivered");
        let delivered = delivered.find(|call| call.to() == "+447700900101").unwrap();
        let calls = self.peers.receiver("legacy").calls();
        let dead = calls.iter().find(|call| call.body.contains("order 2"));
        let dead = dead.unwrap().json();
        let reports = dead["Data"].as_array().unwrap().iter();
        Webhooks {
            delivered: (delivered.header("webhook-id").to_owned(), delivered.body.clone()),
            failed: self.sent["failed call"].to.clone(),
            dead: reports.map(|report| text_at(report, "/SessionNo")).collect(),
            paused: self.id("in UCS-2").to_owned(),
        }
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
