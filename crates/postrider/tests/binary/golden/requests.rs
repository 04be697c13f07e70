//! Builds requests to each API.

use super::instance::Instance;
use super::known::Request;
use super::text_at;
use crate::api::Field;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn owned(fields: &[Field<'_>]) -> Vec<(String, String)> {
    let owned = |(name, value): &Field<'_>| ((*name).to_owned(), (*value).to_owned());
    fields.iter().map(owned).collect()
}

pub(super) fn ucloud(action: &str, params: &[Field<'_>]) -> Request {
    Request::Ucloud(action.to_owned(), owned(params))
}

pub(super) fn sendcloud(interface: &str, fields: &[Field<'_>]) -> Request {
    Request::Sendcloud(format!("/smsapi/{interface}"), owned(fields))
}

pub(super) fn engagelab(path: &str, query: &[Field<'_>]) -> Request {
    Request::Engagelab(path.to_owned(), owned(query), None)
}

pub(super) fn engagelab_dev(path: &str) -> Request {
    Request::EngagelabDev(path.to_owned(), Vec::new(), None)
}

/// uSpeedo's REST query for the receipts of a session.
pub(super) fn receipts(session: &str) -> Request {
    let path = "/api/v1/usms/USMSSendReceipt".to_owned();
    Request::UspeedoRest(path, owned(&[("id", session)]), None)
}

/// Builds sends with the templates of an account, which are named as in the catalog.
pub(super) struct Templates {
    /// `number` and `ut_id`.
    by_name: BTreeMap<String, (i64, String)>,
}

impl Templates {
    pub(super) fn of(instance: &Instance, account: &str) -> Self {
        let templates = instance.run_list(&["template", "list", "--account", account], "templates");
        let ids = |entry: &Value| {
            let number = entry["number"].as_i64().unwrap();
            (text_at(entry, "/name"), (number, text_at(entry, "/ut_id")))
        };
        Self {
            by_name: templates.iter().map(ids).collect(),
        }
    }

    pub(super) fn number(&self, template: &str) -> i64 {
        self.by_name[template].0
    }

    pub(super) fn ut_id(&self, template: &str) -> &str {
        &self.by_name[template].1
    }

    pub(super) fn rest(&self, template: &str, to: &str, params: &[&str]) -> Request {
        let body = json!({ "TaskContent": self.task_content(template, to, params) });
        let path = "/api/v1/usms/SendBatchUSMSMessage".to_owned();
        Request::UspeedoRest(path, Vec::new(), Some(body))
    }

    pub(super) fn action(&self, template: &str, to: &str, params: &[&str]) -> Request {
        Request::UspeedoAction(json!({ "Action": "SendBatchUSMSMessage", "AccountId": 1,
            "TaskContent": self.task_content(template, to, params) }))
    }

    fn task_content(&self, template: &str, to: &str, params: &[&str]) -> Value {
        let target = json!({ "Phone": to, "TemplateParams": params });
        json!([{ "TemplateId": self.ut_id(template), "SenderId": "Acme", "Target": [target] }])
    }

    pub(super) fn ucloud(&self, template: &str, to: &str, user_id: &str) -> Request {
        let params = [
            ("PhoneNumbers.0", to),
            ("TemplateId", self.ut_id(template)),
            ("TemplateParams.0", "4711"),
            ("UserId", user_id),
        ];
        ucloud("SendUSMSMessage", &params)
    }

    pub(super) fn sendcloud(&self, template: &str, to: &str, vars: &Value, fields: &[Field<'_>]) -> Request {
        let number = self.number(template).to_string();
        let msg_type = if to.starts_with("00") { "2" } else { "0" };
        let vars = vars.to_string();
        let common = [
            ("templateId", &*number),
            ("msgType", msg_type),
            ("phone", to),
            ("vars", &*vars),
        ];
        sendcloud("send", &[&common, fields].concat())
    }

    /// `members` are added to the body.
    pub(super) fn engagelab(&self, template: &str, to: &str, vars: &Value, members: Value) -> Request {
        let mut body = members;
        body["to"] = json!([to]);
        body["body"] = json!({ "template_id": self.number(template), "vars": vars });
        Request::Engagelab("/v1/send".to_owned(), Vec::new(), Some(body))
    }

    /// `members` are added to the body.
    pub(super) fn engagelab_dev(&self, template: &str, to: &str, params: &Value, members: Value) -> Request {
        let mut body = members;
        body["to"] = json!([to]);
        body["template"] = json!({ "id": self.number(template).to_string(), "params": params });
        Request::EngagelabDev("/v1/messages".to_owned(), Vec::new(), Some(body))
    }

    /// SendCloud's send to contact lists, whose names are separated by semicolons.
    pub(super) fn task(&self, template: &str, lists: &str, name: &str, fields: &[Field<'_>]) -> Request {
        let number = self.number(template).to_string();
        let common = [
            ("contactListName", lists),
            ("taskName", name),
            ("templateId", &*number),
        ];
        sendcloud("sendContactListTask", &[&common, fields].concat())
    }
}
