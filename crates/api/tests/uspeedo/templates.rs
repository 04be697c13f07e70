//! Templates over all three wires.

use super::{USER, Wire, approve_at_once, code_and_message, code_of, names, with};
use crate::testkit::{ACCOUNT, Answer, FOREIGN, PENDING, PLAIN, TestNode, USER_OFF, USER_OTHER, ut_id};
use axum::body::Body;
use engine::catalog::Review;
use http::{Method, Request, header};
use serde_json::{Value, json};

fn new_template() -> Value {
    json!({"Purpose": 1, "TemplateName": "login", "Template": "Code {1}, valid {2} minutes", "Remark": "For logins"})
}

/// Makes a template over a wire; its id.
async fn made(node: &TestNode, wire: Wire, params: &Value) -> String {
    let answer = wire.ask(node, "CreateUSMSTemplate", params).await;
    assert_eq!(code_of(&answer), 0, "{wire:?} {}", answer.body);
    answer.json()["TemplateId"].as_str().unwrap().to_owned()
}

/// A template as a wire shows it, out of the list or not.
async fn shown(node: &TestNode, wire: Wire, id: &str) -> Value {
    let answer = wire
        .ask(node, "QueryUSMSTemplate", &json!({"TemplateId": id}))
        .await;
    assert_eq!(code_of(&answer), 0, "{wire:?} {}", answer.body);
    let data = answer.json()["Data"].clone();
    match wire {
        Wire::Ucloud => data,
        _ => data[0].clone(),
    }
}

fn number(node: &TestNode, id: &str) -> i64 {
    let catalog = node.engine.catalog();
    catalog.template_by_ut_id(ACCOUNT, id).unwrap().template.number
}

/// The code of an answer, in either family.
fn refused(answer: &Answer, wire: Wire, uspeedo: u64, ucloud: u64) -> bool {
    code_of(answer) == if wire == Wire::Ucloud { ucloud } else { uspeedo }
}

#[tokio::test]
async fn a_template_made_over_any_wire_is_shown_and_sent_over_all() {
    let node = TestNode::start().await;
    approve_at_once(&node, ACCOUNT).await;
    for (no, wire) in Wire::ALL.into_iter().enumerate() {
        let answer = wire.ask(&node, "CreateUSMSTemplate", &new_template()).await;
        assert_eq!(code_of(&answer), 0, "{}", answer.body);
        let created = answer.json();
        if wire == Wire::Rest {
            assert_eq!(names(&created), ["Message", "RetCode", "TemplateId"]);
            assert_eq!(created["Message"], "success");
        } else {
            assert_eq!(names(&created), ["Action", "Message", "RetCode", "TemplateId"]);
            assert_eq!(created["Action"], "CreateUSMSTemplateResponse");
            assert_eq!(created["Message"], "", "empty, as documented");
        }
        let id = created["TemplateId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("UT"), "{id}");
        for shows in Wire::ALL {
            let template = shown(&node, shows, &id).await;
            let own: &[&str] = match shows {
                Wire::Ucloud => &["UnsubscribeInfo"],
                _ => &["Attributes", "Tags"],
            };
            let mut expected: Vec<&str> = vec![
                "CreateTime",
                "ErrDesc",
                "Instruction",
                "Purpose",
                "Remark",
                "Status",
                "Template",
                "TemplateId",
                "TemplateName",
            ];
            expected.extend(own);
            expected.sort_unstable();
            assert_eq!(names(&template), expected);
            for (name, value) in [
                ("TemplateId", json!(id)),
                ("Purpose", json!(1)),
                ("TemplateName", json!("login")),
                ("Template", json!("Code {1}, valid {2} minutes")),
                ("Status", json!(2)),
                ("Remark", json!("For logins")),
                ("ErrDesc", json!("")),
            ] {
                assert_eq!(template[name], value, "{shows:?} {name}");
            }
            let age_s = node.engine.now() / 1000 - template["CreateTime"].as_i64().unwrap();
            assert!((0..60).contains(&age_s), "{age_s}");
        }
        let phone = format!("+44770090010{no}");
        let batch = json!({"TaskContent": [{"TemplateId": id, "SenderId": "uSpeedo",
            "Target": [{"Phone": phone, "TemplateParams": ["8341", 5]}]}]});
        assert_eq!(code_of(&node.ask(super::rest::send(&batch)).await), 0);
        assert_eq!(node.received(&phone).await.text, "Code 8341, valid 5 minutes");
    }
}

#[tokio::test]
async fn what_only_the_vendor_knows_of_a_template_is_returned() {
    let node = TestNode::start().await;
    let attributes = json!([{"Variable": "1", "Attribute": "digits", "Default": "0000"}]);
    let uspeedo = json!({"Purpose": "2", "TemplateName": "n", "Template": "t {1}", "Instruction": "i", "Tags": [1, "2"],
        "BrevityCode": "GB", "VariableAttr": attributes.to_string()});
    for wire in [Wire::Rest, Wire::Action] {
        let id = made(&node, wire, &uspeedo).await;
        let template = shown(&node, wire, &id).await;
        assert_eq!(
            (&template["Instruction"], &template["Tags"]),
            (&json!("i"), &json!([1, 2]))
        );
        assert_eq!(template["Attributes"], attributes);
        // What an update does not name stays: the Python client sends `"Tags": []` always.
        let edit = json!({"TemplateId": id, "TemplateName": "n2", "Tags": [], "Instruction": "j"});
        assert_eq!(
            code_of(
                &wire
                    .ask(&node, "DeleteUSMSTemplate", &json!({"TemplateIds": ["UTA0"]}))
                    .await
            ),
            215_396
        );
        let under_review = wire.ask(&node, "UpdateUSMSTemplate", &edit).await;
        assert_eq!(
            code_and_message(&under_review),
            (215_392, "Template is under review".into())
        );
        let engine = &node.engine;
        engine
            .review_template(ACCOUNT, number(&node, &id), Review::Approved, "")
            .await
            .unwrap();
        assert_eq!(code_of(&wire.ask(&node, "UpdateUSMSTemplate", &edit).await), 0);
        let template = shown(&node, wire, &id).await;
        assert_eq!(
            (&template["Instruction"], &template["Tags"]),
            (&json!("j"), &json!([1, 2]))
        );
        assert_eq!(template["TemplateName"], "n2");
    }
    let ucloud = json!({"Purpose": 3, "TemplateName": "n", "Template": "t", "Instruction": "i",
        "UnsubscribeInfo": "拒收请回复R", "International": "false"});
    let id = made(&node, Wire::Ucloud, &ucloud).await;
    let template = shown(&node, Wire::Ucloud, &id).await;
    assert_eq!(
        (&template["UnsubscribeInfo"], &template["Instruction"]),
        (&json!("拒收请回复R"), &json!("i"))
    );
    let abroad = with(
        &with(&ucloud, "UnsubscribeInfo", json!("")),
        "International",
        json!(true),
    );
    made(&node, Wire::Ucloud, &abroad).await;
}

#[tokio::test]
async fn a_review_goes_the_documented_way() {
    let node = TestNode::start().await;
    for wire in Wire::ALL {
        let id = made(&node, wire, &new_template()).await;
        let number = number(&node, &id);
        let status = async || shown(&node, wire, &id).await["Status"].as_u64().unwrap();
        let update = async |edit: Value| {
            let edit = with(&edit, "TemplateId", json!(id));
            wire.ask(&node, "UpdateUSMSTemplate", &edit).await
        };
        assert_eq!(status().await, 0, "waits");
        let text = json!({"Template": "Code {1}", "TemplateName": "login"});
        assert!(refused(&update(text.clone()).await, wire, 215_392, 18_003));
        let gone = wire
            .ask(&node, "DeleteUSMSTemplate", &json!({"TemplateIds": [id]}))
            .await;
        assert!(refused(&gone, wire, 215_392, 18_003), "{}", gone.body);

        node.engine
            .review_template(ACCOUNT, number, Review::Rejected, "no opt-out")
            .await
            .unwrap();
        let rejected = shown(&node, wire, &id).await;
        assert_eq!(
            (&rejected["Status"], &rejected["ErrDesc"]),
            (&json!(3), &json!("no opt-out"))
        );
        let answer = update(text).await;
        assert_eq!(code_of(&answer), 0, "{}", answer.body);
        let submitted = shown(&node, wire, &id).await;
        assert_eq!(
            (&submitted["Status"], &submitted["ErrDesc"]),
            (&json!(0), &json!(""))
        );
        assert_eq!(submitted["Template"], "Code {1}");

        node.engine
            .review_template(ACCOUNT, number, Review::Approved, "")
            .await
            .unwrap();
        assert_eq!(code_of(&update(json!({"TemplateName": "renamed"})).await), 0);
        assert_eq!(status().await, 2, "a new name alone resets nothing");
        let other_text = json!({"Template": "Your code: {1}", "TemplateName": "renamed"});
        assert_eq!(code_of(&update(other_text).await), 0);
        assert_eq!(status().await, 0, "another text does");

        node.engine
            .review_template(ACCOUNT, number, Review::Approved, "")
            .await
            .unwrap();
        node.engine
            .review_template(ACCOUNT, number, Review::Disabled, "")
            .await
            .unwrap();
        assert_eq!(status().await, 4);
        let gone = wire
            .ask(&node, "DeleteUSMSTemplate", &json!({"TemplateIds": [id]}))
            .await;
        assert_eq!(code_of(&gone), 0, "{}", gone.body);
        let unknown = wire
            .ask(&node, "QueryUSMSTemplate", &json!({"TemplateId": id}))
            .await;
        assert!(refused(&unknown, wire, 215_396, 18_017), "{}", unknown.body);
    }
}

#[tokio::test]
async fn fields_have_their_documented_bounds() {
    let node = TestNode::start().await;
    let long = |count: usize| json!("字".repeat(count));
    for wire in Wire::ALL {
        for (name, value, uspeedo, ucloud) in [
            ("Purpose", json!(3), 0, 18_001),
            ("Purpose", json!(0), 215_392, 18_003),
            ("Purpose", json!(4), 215_392, 18_003),
            ("Purpose", json!("otp"), 215_392, 18_002),
            ("Purpose", json!(""), 215_397, 18_001),
            ("TemplateName", long(32), 0, 0),
            ("TemplateName", long(33), 215_392, 18_003),
            ("TemplateName", json!(""), 215_397, 18_001),
            ("Template", long(500), 0, 0),
            ("Template", long(501), 215_392, 18_003),
            ("Template", json!(" "), 215_392, 18_003),
            ("Template", json!(""), 215_397, 18_001),
            ("Template", json!("{1}"), 0, 0),
            ("Remark", long(128), 0, 0),
            ("Remark", long(129), 215_392, 18_003),
            ("Instruction", long(2000), 0, 0),
            ("Instruction", long(2001), 215_392, 18_003),
            ("Tags", json!("[1,2]"), 0, 0),
            ("Tags", json!(["x"]), 215_392, 18_002),
            ("Tags", json!(vec![1; 101]), 215_392, 18_003),
            ("International", json!("perhaps"), 215_392, 18_002),
        ] {
            let params = with(&new_template(), name, value.clone());
            let answer = wire.ask(&node, "CreateUSMSTemplate", &params).await;
            assert!(
                refused(&answer, wire, uspeedo, ucloud),
                "{wire:?} {name} {value} {}",
                answer.body
            );
            if code_of(&answer) != 0 {
                assert!(
                    answer.json()["Message"].as_str().unwrap().contains(name) || ucloud == 18_001,
                    "{}",
                    answer.body
                );
            }
        }
        approve_at_once(&node, ACCOUNT).await;
        let id = made(&node, wire, &new_template()).await;
        let edit = json!({"TemplateId": id, "TemplateName": "other"});
        for (name, value, uspeedo, ucloud) in [
            ("Template", long(600), 0, 0),
            ("Template", long(601), 215_392, 18_003),
            ("TemplateName", long(33), 215_392, 18_003),
            ("Remark", long(129), 215_392, 18_003),
            ("Remark", json!("other"), 0, 0),
        ] {
            let answer = wire
                .ask(&node, "UpdateUSMSTemplate", &with(&edit, name, value.clone()))
                .await;
            assert!(
                refused(&answer, wire, uspeedo, ucloud),
                "{wire:?} {name} {value} {}",
                answer.body
            );
        }
        let nothing = json!({"TemplateId": id, "Instruction": "i"});
        let answer = wire.ask(&node, "UpdateUSMSTemplate", &nothing).await;
        match wire {
            Wire::Rest => assert_eq!(code_of(&answer), 0, "all optional"),
            wire => assert!(
                refused(&answer, wire, 215_397, 18_001),
                "name or text: {}",
                answer.body
            ),
        }
    }
}

#[tokio::test]
async fn ids_that_are_not_the_accounts_are_not_there() {
    let node = TestNode::start().await;
    for wire in Wire::ALL {
        for id in [ut_id(FOREIGN), "UTA0".to_owned(), "..%2F..".to_owned()] {
            for (action, params) in [
                ("QueryUSMSTemplate", json!({"TemplateId": id})),
                (
                    "UpdateUSMSTemplate",
                    json!({"TemplateId": id, "TemplateName": "n"}),
                ),
                ("DeleteUSMSTemplate", json!({"TemplateIds": [id]})),
                ("DeleteUSMSTemplate", json!({"TemplateIds": [ut_id(PLAIN), id]})),
            ] {
                let answer = wire.ask(&node, action, &params).await;
                assert!(
                    refused(&answer, wire, 215_396, 18_017),
                    "{wire:?} {action} {}",
                    answer.body
                );
            }
        }
        assert_eq!(
            shown(&node, wire, &ut_id(PLAIN)).await["Template"],
            "Hello",
            "all or none"
        );
        let many = json!({"TemplateIds": vec!["UTA0"; 101]});
        let answer = wire.ask(&node, "DeleteUSMSTemplate", &many).await;
        assert!(
            refused(&answer, wire, 215_392, 18_003),
            "{wire:?} {}",
            answer.body
        );
        let none = wire
            .ask(&node, "DeleteUSMSTemplate", &json!({"TemplateIds": []}))
            .await;
        assert!(refused(&none, wire, 215_397, 18_001), "{wire:?} {}", none.body);
    }
    for wire in [Wire::Rest, Wire::Action] {
        let ids = json!({"TemplateId": [ut_id(PENDING), "UTA0", ut_id(PLAIN)]});
        let found = wire.ask(&node, "QueryUSMSTemplate", &ids).await.json();
        let shown: Vec<_> = found["Data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["TemplateId"].clone())
            .collect();
        assert_eq!(
            shown,
            [json!(ut_id(PENDING)), json!(ut_id(PLAIN))],
            "in the requested order"
        );
    }
    let two = json!({"TemplateId": [ut_id(PLAIN), ut_id(PENDING)]});
    let answer = Wire::Ucloud.ask(&node, "QueryUSMSTemplate", &two).await;
    assert_eq!(
        code_and_message(&answer),
        (18_003, "Invalid parameter [TemplateId]".into())
    );
}

#[tokio::test]
async fn templates_are_removed_together_and_queued_ones_still_go_out() {
    let node = TestNode::start().await;
    approve_at_once(&node, ACCOUNT).await;
    for wire in Wire::ALL {
        let a = made(&node, wire, &new_template()).await;
        let b = made(&node, wire, &new_template()).await;
        let both = json!({"TemplateIds": [a, b, a]});
        let answer = wire.ask(&node, "DeleteUSMSTemplate", &both).await;
        assert_eq!(code_of(&answer), 0, "{}", answer.body);
        let expected: &[&str] = match wire {
            Wire::Rest => &["Message", "RetCode"],
            _ => &["Action", "Message", "RetCode"],
        };
        assert_eq!(names(&answer.json()), expected);
        for id in [a, b] {
            let answer = wire
                .ask(&node, "QueryUSMSTemplate", &json!({"TemplateId": id}))
                .await;
            assert!(refused(&answer, wire, 215_396, 18_017));
        }
    }
}

#[tokio::test]
async fn only_the_keys_owner_is_served() {
    let node = TestNode::start().await;
    let create = new_template();
    for wire in Wire::ALL {
        let theirs = node
            .ask(wire.request(&node, USER_OTHER, "CreateUSMSTemplate", &create))
            .await;
        let id = theirs.json()["TemplateId"].as_str().unwrap().to_owned();
        let answer = wire
            .ask(&node, "QueryUSMSTemplate", &json!({"TemplateId": id}))
            .await;
        assert!(refused(&answer, wire, 215_396, 18_017), "another account's");
        for action in [
            "CreateUSMSTemplate",
            "QueryUSMSTemplate",
            "UpdateUSMSTemplate",
            "DeleteUSMSTemplate",
        ] {
            let params = with(
                &with(&create, "TemplateId", json!("UTA0")),
                "TemplateIds",
                json!(["UTA0"]),
            );
            let answer = node.ask(wire.request(&node, USER_OFF, action, &params)).await;
            assert!(
                refused(&answer, wire, 215_398, 172),
                "{wire:?} {action} {}",
                answer.body
            );
        }
    }
}

/// The documents' own commands, with only host, key and id changed.
#[tokio::test]
async fn the_documented_rest_requests_work() {
    let node = TestNode::start().await;
    approve_at_once(&node, ACCOUNT).await;
    let request = |method: Method, uri: &str, body: &'static str| {
        Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, super::basic(USER, super::KEY))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    let path = "/api/v1/usms/USMSTemplate";
    let create = r#"{"Purpose": 1,"TemplateName": "MyTemplate","Template": "Your verification code is {1}, valid for 5 minutes","Remark": "For user login verification"}"#;
    let created = node.ask(request(Method::POST, path, create)).await.json();
    let id = created["TemplateId"].as_str().unwrap();
    let update = r#"{"id": "template_id_1","TemplateName": "UpdatedTemplate","Template": "Your verification code is {1}, please keep it confidential"}"#;
    let updated = node
        .ask(request(Method::PUT, &format!("{path}/{id}"), update))
        .await;
    assert_eq!(code_and_message(&updated), (0, "success".into()));
    for query in [
        format!("id={id}&id=UTA0"),
        format!("id={id},UTA0"),
        format!("id=%5B%22{id}%22%5D"),
    ] {
        let found = node
            .ask(request(Method::GET, &format!("{path}?{query}"), ""))
            .await
            .json();
        assert_eq!(found["Data"][0]["TemplateName"], "UpdatedTemplate", "{query}");
    }
    let removed = node
        .ask(request(Method::DELETE, &format!("{path}?id={id}"), ""))
        .await;
    assert_eq!(code_and_message(&removed), (0, "success".into()));

    let invalid = |name: &str| (215_392, format!("Invalid parameter [{name}]"));
    let missing = |name: &str| (215_397, format!("Missing required parameter [{name}]"));
    for (method, uri, body, expected) in [
        (Method::PUT, path.to_owned(), "{}", invalid("Method")),
        (Method::PATCH, path.to_owned(), "{}", invalid("Method")),
        (Method::GET, format!("{path}/{id}"), "", invalid("Method")),
        (Method::PUT, format!("{path}/{id}/more"), "{}", invalid("Path")),
        (Method::PUT, format!("{path}/"), "{}", invalid("Path")),
        (Method::POST, path.to_owned(), "not json", invalid("Body")),
        (Method::POST, path.to_owned(), "[]", invalid("Body")),
        (Method::PUT, format!("{path}/{id}"), "{", invalid("Body")),
        (Method::GET, path.to_owned(), "", missing("id")),
        (Method::DELETE, format!("{path}?id="), "", missing("id")),
        (
            Method::POST,
            path.to_owned(),
            r#"{"AccountId":"x"}"#,
            invalid("AccountId"),
        ),
        (
            Method::PUT,
            format!("{path}/{id}"),
            r#"{"AccountId":{}}"#,
            invalid("AccountId"),
        ),
    ] {
        let answer = node.ask(request(method.clone(), &uri, body)).await;
        assert_eq!(code_and_message(&answer), expected, "{method} {uri} {body}");
    }
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let anonymous = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            code_and_message(&node.ask(anonymous).await),
            (215_398, "Failed to parse token".into())
        );
    }
}

/// Goal: what looks like a placeholder and would be sent as it stands is refused when a template is made or its text changed,
/// with the rule; a template of before stays, and may be changed in everything but that.
#[tokio::test]
async fn a_placeholder_that_no_rule_takes_is_refused_with_the_rule() {
    let node = TestNode::start().await;
    for wire in Wire::ALL {
        let id = made(&node, wire, &new_template()).await;
        node.engine
            .review_template(ACCOUNT, number(&node, &id), Review::Approved, "")
            .await
            .unwrap();
        for text in [
            "Code {{ code }}",
            "%姓名%您好",
            "Code {0}",
            "Code {}",
            "Dear {first name}",
        ] {
            let new = with(&new_template(), "Template", json!(text));
            let edit = json!({"TemplateId": id, "Template": text});
            for (action, params) in [("CreateUSMSTemplate", &new), ("UpdateUSMSTemplate", &edit)] {
                let answer = wire.ask(&node, action, params).await;
                assert!(
                    refused(&answer, wire, 215_392, 18_003),
                    "{wire:?} {action} {text}: {}",
                    answer.body
                );
                let message = code_and_message(&answer).1;
                assert!(
                    message.starts_with("Invalid parameter [Template]: ") && message.contains("{1}"),
                    "{message}"
                );
            }
        }
        for text in ["{1} %code% {{name}} {name}", "50% off, 20% on", "no variable"] {
            made(&node, wire, &with(&new_template(), "Template", json!(text))).await;
        }
        // One of before: its text is given again as it is.
        let before = store::Template {
            text: "Dear { name }".into(),
            ..node
                .engine
                .catalog()
                .template_by_ut_id(ACCOUNT, &id)
                .unwrap()
                .template
                .clone()
        };
        let change = store::CatalogChange::PutTemplate(before);
        node.change(vec![change]).await;
        let edit = json!({"TemplateId": id, "TemplateName": "renamed", "Template": "Dear { name }"});
        let answer = wire.ask(&node, "UpdateUSMSTemplate", &edit).await;
        assert_eq!(code_of(&answer), 0, "{wire:?}: {}", answer.body);
        assert_eq!(shown(&node, wire, &id).await["Template"], "Dear { name }");
    }
}
