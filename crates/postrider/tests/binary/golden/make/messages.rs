//! Messages in every state, out and in.

use super::super::requests::{Templates, receipts};
use super::{INBOUND, Maker, inbound_part};
use crate::testkit::eventually;
use serde_json::json;

impl Maker {
    /// Sends over each API, to each final state.
    pub(super) fn send_to_final_states(&mut self) {
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
    pub(super) fn send_inbound(&self) {
        let north = self.peers.carrier("north");
        north.send_inbound("447700900150", "10690", "Thank you", None);
        north.send_inbound("447700900150", "10690", "Stop!", None);
        north.send_inbound("447700900160", "60999", "Is this the right number?", None);
        north.send_inbound("447700900101", "10690", INBOUND[0], Some(inbound_part(1)));
    }

    /// Messages without a receipt, without a response, and with a response to some of the parts.
    pub(super) fn send_without_outcome(&mut self) {
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

    /// A long message in the queue of a carrier that is down, and a scheduled long message; returns when that is due, in Unix
    /// seconds.
    pub(super) fn send_delayed(&mut self) -> i64 {
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
}
