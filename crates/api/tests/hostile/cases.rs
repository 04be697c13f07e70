//! Every operation of every wire that takes an id.

use crate::ids::Ids;
use crate::testkit::{TestNode, USER};
use crate::wires::{action, basic, sendcloud, ucloud};
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

/// Its name, and the request of a user with these ids.
pub(crate) type Case = (&'static str, fn(&TestNode, &str, &Ids) -> Request<Body>);

/// All of them.
pub(crate) const CASES: &[Case] = &[
    // uSpeedo REST v1
    ("rest template", |_, user, ids| {
        basic(
            user,
            "GET",
            &format!("/api/v1/usms/USMSTemplate?id={}", ids.ut),
            &Value::Null,
        )
    }),
    ("rest change template", |_, user, ids| {
        let body = json!({"TemplateName": "taken", "Template": "Hello you"});
        basic(
            user,
            "PUT",
            &format!("/api/v1/usms/USMSTemplate/{}", ids.ut),
            &body,
        )
    }),
    ("rest remove template", |_, user, ids| {
        basic(
            user,
            "DELETE",
            &format!("/api/v1/usms/USMSTemplate?id={}", ids.ut),
            &Value::Null,
        )
    }),
    ("rest receipts", |_, user, ids| {
        basic(
            user,
            "GET",
            &format!("/api/v1/usms/USMSSendReceipt?id={}", ids.session),
            &Value::Null,
        )
    }),
    ("rest send", |_, user, ids| {
        let body = json!({"TaskContent": [{"TemplateId": ids.ut, "SenderId": "uSpeedo",
            "Target": [{"Phone": "+447700900666"}]}]});
        basic(user, "POST", "/api/v1/usms/SendBatchUSMSMessage", &body)
    }),
    // uSpeedo Action
    ("action template", |node, user, ids| {
        action(node, user, "QueryUSMSTemplate", &json!({"TemplateId": ids.ut}))
    }),
    ("action change template", |node, user, ids| {
        let params = json!({"TemplateId": ids.ut, "TemplateName": "taken", "Template": "Hello you"});
        action(node, user, "UpdateUSMSTemplate", &params)
    }),
    ("action remove template", |node, user, ids| {
        action(
            node,
            user,
            "DeleteUSMSTemplate",
            &json!({"TemplateIds": [ids.ut]}),
        )
    }),
    ("action receipts", |node, user, ids| {
        action(
            node,
            user,
            "GetUSMSSendReceipt",
            &json!({"SessionNoSet": [ids.session]}),
        )
    }),
    ("action send", |node, user, ids| {
        let params = json!({"TaskContent": [{"TemplateId": ids.ut, "SenderId": "uSpeedo",
            "Target": [{"Phone": "+447700900666"}]}]});
        action(node, user, "SendBatchUSMSMessage", &params)
    }),
    // UCloud
    ("ucloud template", |_, user, ids| {
        ucloud(user, "QueryUSMSTemplate", &json!({"TemplateId": ids.ut}))
    }),
    ("ucloud change template", |_, user, ids| {
        let params = json!({"TemplateId": ids.ut, "TemplateName": "taken", "Template": "Hello you"});
        ucloud(user, "UpdateUSMSTemplate", &params)
    }),
    ("ucloud remove template", |_, user, ids| {
        ucloud(user, "DeleteUSMSTemplate", &json!({"TemplateIds": [ids.ut]}))
    }),
    ("ucloud receipts", |_, user, ids| {
        ucloud(
            user,
            "GetUSMSSendReceipt",
            &json!({"SessionNoSet": [ids.session]}),
        )
    }),
    ("ucloud send", |_, user, ids| {
        let params = json!({"PhoneNumbers": ["(44)7700900666"], "TemplateId": ids.ut, "TemplateParams": []});
        ucloud(user, "SendUSMSMessage", &params)
    }),
    ("ucloud signature", |_, user, ids| {
        ucloud(user, "QueryUSMSSignature", &json!({"SigId": ids.sig}))
    }),
    ("ucloud change signature", |_, user, ids| {
        let params = json!({"SigId": ids.sig, "SigContent": "Taken", "SigType": 0, "SigPurpose": 0,
            "CertificateType": 0});
        ucloud(user, "UpdateUSMSSignature", &params)
    }),
    ("ucloud remove signature", |_, user, ids| {
        ucloud(user, "DeleteUSMSSignature", &json!({"SigIds": [ids.sig]}))
    }),
    ("ucloud documents", |_, user, ids| {
        ucloud(
            user,
            "QueryUSMSSignatureQualification",
            &json!({"QualificationId": ids.documents}),
        )
    }),
    ("ucloud change documents", |_, user, ids| {
        let params = json!({"QualificationId": ids.documents, "CompanyName": "Taken", "Status": 1});
        ucloud(user, "UpdateUSMSSignatureQualification", &params)
    }),
    ("ucloud remove documents", |_, user, ids| {
        ucloud(
            user,
            "DeleteUSMSSignatureQualification",
            &json!({"QualificationIds": [ids.documents]}),
        )
    }),
    ("ucloud another's file", |_, user, ids| {
        let params = json!({"ProjectId": "org-x", "Name": "n", "Attr": 0, "Status": 1,
            "HandlerPhone": "13800138000", "PowerOfAttorneyFileId": ids.file});
        ucloud(user, "AddUSMSSignatureQualification", &params)
    }),
    // SendCloud
    ("sendcloud template", |_, user, ids| {
        sendcloud(user, "/smsapi/get", &[("templateIdStr", &ids.template)])
    }),
    ("sendcloud change template", |_, user, ids| {
        let fields = [
            ("templateIdStr", &*ids.template),
            ("templateText", "Hello you"),
            ("templateName", "taken"),
            ("signId", "7"),
            ("smsTypeStr", "0"),
        ];
        sendcloud(user, "/smsapi/updatesms", &fields)
    }),
    ("sendcloud submit template", |_, user, ids| {
        sendcloud(user, "/smsapi/submitsms", &[("templateIdStr", &ids.template)])
    }),
    ("sendcloud remove template", |_, user, ids| {
        sendcloud(user, "/smsapi/deletesms", &[("templateIdStr", &ids.template)])
    }),
    ("sendcloud signature", |_, user, ids| {
        sendcloud(user, "/smsapi/sign/get", &[("id", &ids.signature)])
    }),
    ("sendcloud change signature", |_, user, ids| {
        let fields = [("id", &*ids.signature), ("signType", "0"), ("signName", "Taken")];
        sendcloud(user, "/smsapi/sign/update", &fields)
    }),
    ("sendcloud label", |_, user, ids| {
        sendcloud(user, "/smsapi/label/get", &[("labelId", &ids.label)])
    }),
    ("sendcloud change label", |_, user, ids| {
        sendcloud(
            user,
            "/smsapi/label/update",
            &[("labelId", &ids.label), ("labelName", "taken")],
        )
    }),
    ("sendcloud remove label", |_, user, ids| {
        sendcloud(user, "/smsapi/label/delete", &[("labelId", &ids.label)])
    }),
    ("sendcloud members", |_, user, ids| {
        sendcloud(
            user,
            "/smsapi/smsContactListMember/list",
            &[("contactListName", &ids.list)],
        )
    }),
    ("sendcloud new member", |_, user, ids| {
        let fields = [("contactListName", &*ids.list), ("phone", "13800138002")];
        sendcloud(user, "/smsapi/smsContactListMember/saveOrUpdate", &fields)
    }),
    ("sendcloud new members", |_, user, ids| {
        let fields = [
            ("contactListName", &*ids.list),
            ("phones", "13800138002;13800138003"),
        ];
        sendcloud(user, "/smsapi/smsContactListMember/batchSaveOrUpdate", &fields)
    }),
    ("sendcloud remove member", |_, user, ids| {
        let fields = [("contactListName", &*ids.list), ("phone", "13800138001")];
        sendcloud(user, "/smsapi/smsContactListMember/delete", &fields)
    }),
    ("sendcloud rename list", |_, user, ids| {
        let fields = [("contactListName", &*ids.list), ("newContactListName", "taken")];
        sendcloud(user, "/smsapi/smsContactList/update", &fields)
    }),
    ("sendcloud remove list", |_, user, ids| {
        sendcloud(
            user,
            "/smsapi/smsContactList/delete",
            &[("contactListName", &ids.list)],
        )
    }),
    ("sendcloud task to a list", |_, user, ids| {
        let fields = [
            ("contactListName", &*ids.list),
            ("taskName", "t"),
            ("senderName", "sendcloud"),
            ("templateId", if user == USER { "1003" } else { "2001" }),
        ];
        sendcloud(user, "/smsapi/sendContactListTask", &fields)
    }),
    ("sendcloud task", |_, user, ids| {
        sendcloud(user, "/smsapi/queryContactListTask", &[("taskId", &ids.task)])
    }),
    ("sendcloud status", |_, user, ids| {
        sendcloud(
            user,
            "/smsapi/status/query",
            &[("days", "1"), ("smsIds", &ids.sms)],
        )
    }),
    ("sendcloud send", |_, user, ids| {
        let fields = [
            ("templateId", &*ids.template),
            ("msgType", "0"),
            ("phone", "13800138009"),
        ];
        sendcloud(user, "/smsapi/send", &fields)
    }),
    // EngageLab, generation A
    ("engagelab template", |_, user, ids| {
        basic(
            user,
            "GET",
            &format!("/v1/templates/{}", ids.template),
            &Value::Null,
        )
    }),
    ("engagelab change template", |_, user, ids| {
        let body = json!({"template_name": "taken", "template_type": 1, "template_content": "Hello you"});
        basic(user, "PUT", &format!("/v1/templates/{}", ids.template), &body)
    }),
    ("engagelab submit template", |_, user, ids| {
        basic(
            user,
            "POST",
            &format!("/v1/templates/{}/submit", ids.template),
            &Value::Null,
        )
    }),
    ("engagelab remove template", |_, user, ids| {
        basic(
            user,
            "DELETE",
            &format!("/v1/templates/{}", ids.template),
            &Value::Null,
        )
    }),
    ("engagelab signature", |_, user, ids| {
        basic(user, "GET", &format!("/v1/signs/{}", ids.signature), &Value::Null)
    }),
    ("engagelab change signature", |_, user, ids| {
        basic(
            user,
            "PUT",
            &format!("/v1/signs/{}", ids.signature),
            &json!({"sign_name": "Taken"}),
        )
    }),
    ("engagelab label", |_, user, ids| {
        basic(user, "GET", &format!("/v1/labels/{}", ids.label), &Value::Null)
    }),
    ("engagelab change label", |_, user, ids| {
        basic(
            user,
            "PUT",
            &format!("/v1/labels/{}", ids.label),
            &json!({"label_name": "taken"}),
        )
    }),
    ("engagelab remove label", |_, user, ids| {
        basic(user, "DELETE", &format!("/v1/labels/{}", ids.label), &Value::Null)
    }),
    ("engagelab status", |node, user, ids| {
        let today = jiff::Timestamp::from_millisecond(node.engine.now())
            .unwrap()
            .strftime("%Y-%m-%d");
        let ids = ids.message.replace('+', "%2B").replace('$', "%24");
        let uri = format!("/v1/status?send_date={today}&time_zone=0&sms_ids={ids}");
        basic(user, "GET", &uri, &Value::Null)
    }),
    ("engagelab send", |_, user, ids| {
        let body = json!({"to": ["+447700900666"], "body": {"template_id": ids.template}});
        basic(user, "POST", "/v1/send", &body)
    }),
    // EngageLab, generation C
    ("engagelab template config", |_, user, ids| {
        basic(
            user,
            "GET",
            &format!("/v1/template-configs/{}", ids.template),
            &Value::Null,
        )
    }),
    ("engagelab change template config", |_, user, ids| {
        let body = json!({"template_name": "taken", "template_type": "utility", "template_content": "Hello you",
            "country_codes": "CN"});
        basic(
            user,
            "PUT",
            &format!("/v1/template-configs/{}", ids.template),
            &body,
        )
    }),
    ("engagelab remove template config", |_, user, ids| {
        basic(
            user,
            "DELETE",
            &format!("/v1/template-configs/{}", ids.template),
            &Value::Null,
        )
    }),
    ("engagelab sign config", |_, user, ids| {
        basic(
            user,
            "GET",
            &format!("/v1/sign-configs/{}", ids.signature),
            &Value::Null,
        )
    }),
    ("engagelab change sign config", |_, user, ids| {
        basic(
            user,
            "PUT",
            &format!("/v1/sign-configs/{}", ids.signature),
            &json!({"sign_name": "Taken"}),
        )
    }),
    ("engagelab remove sign config", |_, user, ids| {
        basic(
            user,
            "DELETE",
            &format!("/v1/sign-configs/{}", ids.signature),
            &Value::Null,
        )
    }),
    ("engagelab plan", |_, user, ids| {
        let body = json!({"to": ["+447700900666"], "template": {"id": ids.template}});
        basic(user, "POST", "/v1/messages", &body)
    }),
];
