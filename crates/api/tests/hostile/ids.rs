//! Ids of things that accounts have.

use crate::testkit::{CODE, PLAIN, SIGNATURE, TestNode, USER, ut_id};
use crate::wires::{basic, sendcloud, ucloud};
use serde_json::{Value, json};

/// Ids of things: an account's own, or such as nobody has.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    pub(crate) template: String,
    pub(crate) ut: String,
    pub(crate) signature: String,
    pub(crate) sig: String,
    pub(crate) label: String,
    pub(crate) list: String,
    pub(crate) task: String,
    pub(crate) session: String,
    pub(crate) sms: String,
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) documents: String,
}

/// One of the digits or letters of an id changed, so that its form stays.
fn another(id: &str) -> String {
    let (at, last) = id
        .char_indices()
        .rfind(|(_, octet)| octet.is_ascii_alphanumeric())
        .unwrap();
    let other = if last == '1' { '2' } else { '1' };
    format!("{}{other}{}", &id[..at], &id[at + 1..])
}

impl Ids {
    /// Of things that [`USER`] makes.
    pub(crate) async fn made(node: &TestNode) -> Self {
        let text = |answer: &Value, pointer: &str| -> String {
            match answer.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => panic!("{pointer}: {answer}"),
            }
        };
        let ask = async |request| node.ask(request).await.json();
        let label = ask(sendcloud(USER, "/smsapi/label/save", &[("labelName", "mine")])).await;
        let list = [("contactListName", "mine")];
        ask(sendcloud(USER, "/smsapi/smsContactList/save", &list)).await;
        let member = [("contactListName", "mine"), ("phone", "13800138001")];
        ask(sendcloud(
            USER,
            "/smsapi/smsContactListMember/saveOrUpdate",
            &member,
        ))
        .await;
        let task = [
            ("contactListName", "mine"),
            ("taskName", "mine"),
            ("senderName", "sendcloud"),
            ("templateId", "1003"),
        ];
        let task = ask(sendcloud(USER, "/smsapi/sendContactListTask", &task)).await;
        let batch = json!({"TaskContent": [{"TemplateId": ut_id(CODE), "SenderId": "uSpeedo",
            "Target": [{"Phone": "+10000000010", "TemplateParams": ["1"]}]}]});
        let sent = ask(basic(USER, "POST", "/api/v1/usms/SendBatchUSMSMessage", &batch)).await;
        let send = json!({"to": ["+12673800456"], "body": {"template_id": CODE, "vars": {"code": "8341"}}});
        let message = ask(basic(USER, "POST", "/v1/send", &send)).await;
        let sms = [("templateId", "1003"), ("msgType", "0"), ("phone", "13800138000")];
        let sms = ask(sendcloud(USER, "/smsapi/send", &sms)).await;
        let file =
            json!({"FileName": "a.png", "FileContent": "aGVsbG8=", "Source": 0, "FileType": "image/png"});
        let file = ask(ucloud(USER, "UploadUSMSFile", &file)).await;
        let documents = json!({"ProjectId": "org-demo", "Name": "mine", "Attr": 0, "Status": 1,
            "HandlerPhone": "13800138000"});
        let documents = ask(ucloud(USER, "AddUSMSSignatureQualification", &documents)).await;
        let sig = ask(ucloud(
            USER,
            "QueryUSMSSignature",
            &json!({"SigContent": SIGNATURE.1}),
        ))
        .await;
        Self {
            template: PLAIN.to_string(),
            ut: ut_id(PLAIN),
            signature: SIGNATURE.0.to_string(),
            sig: text(&sig, "/Data/SigId"),
            label: text(&label, "/info/vo/labelId"),
            list: "mine".to_owned(),
            task: text(&task, "/info/smsTask/taskId"),
            session: text(&sent, "/SessionNo/0"),
            sms: text(&sms, "/info/smsIds/0"),
            message: text(&message, "/sms_ids/0"),
            file: text(&file, "/FileId"),
            documents: text(&documents, "/QualificationId"),
        }
    }

    /// Such as nobody has, in the form of these.
    pub(crate) fn of_nobody(&self) -> Self {
        Self {
            template: "987654".to_owned(),
            ut: "UTA26112200987654".to_owned(),
            signature: "987654".to_owned(),
            sig: another(&self.sig),
            label: "987654".to_owned(),
            list: "none".to_owned(),
            task: "987654".to_owned(),
            session: another(&self.session),
            sms: self.sms.replacen('_', "0_", 1),
            message: self.message.replacen('_', "0_", 1),
            file: another(&self.file),
            documents: another(&self.documents),
        }
    }

    /// An answer without these ids, and without what is another in each answer.
    pub(crate) fn normal(&self, body: &str) -> String {
        let mut value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        self.replace_in(&mut value);
        if let Some(members) = value.as_object_mut() {
            members.remove("ReqUuid");
        }
        value.to_string()
    }

    fn all(&self) -> [&str; 12] {
        [
            &self.sig,
            &self.ut,
            &self.session,
            &self.sms,
            &self.message,
            &self.file,
            &self.documents,
            &self.template,
            &self.task,
            &self.signature,
            &self.label,
            &self.list,
        ]
    }

    fn replace_in(&self, value: &mut Value) {
        match value {
            Value::String(text) if self.all().contains(&text.as_str()) => "ID".clone_into(text),
            Value::Number(number) if self.template == number.to_string() => *value = json!("ID"),
            Value::Array(list) => list.iter_mut().for_each(|value| self.replace_in(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.replace_in(value)),
            _ => {}
        }
    }
}
