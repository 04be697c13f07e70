//! What is recorded of the store: responses before the kill, and the rest after it.

use super::super::known::{
    Exchange, InterruptedTask, Known, PartialInbound, QueuedMessage, Request, SentMessage, Webhooks,
};
use super::super::requests::{Templates, engagelab, receipts, sendcloud, ucloud};
use super::super::{account_id, messages_of, read, text_at};
use super::{ACCEPTED_MIN, INBOUND, MEMBERS, Maker, UNMATCHED_ID, inbound_part};
use crate::smsc::Submit;
use serde_json::json;
use store::Contacts;

impl Maker {
    /// The day so many days from now, in China.
    pub(super) fn day(&self, days: i64) -> String {
        let at_s = self.instance.now_s() + 8 * 3_600 + days * 86_400;
        let at = jiff::Timestamp::from_second(at_s).unwrap();
        at.strftime("%Y-%m-%d").to_string()
    }

    /// Queries about what no longer changes, and sends that are rejected; returns the send that the opt-out rejects.
    pub(super) fn record_responses(&mut self, tasks: &[i64; 2]) -> Exchange {
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
    pub(super) fn known(
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

    pub(super) fn webhooks(&self) -> Webhooks {
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
}
