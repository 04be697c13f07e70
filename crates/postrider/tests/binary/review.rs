//! `postrider template` and `postrider signature` beside a running node.

use crate::receiver::Receiver;
use crate::testkit::{Dev, eventually, folder, json, said};
use serde_json::Value;

const KEY: &str = "acme-secret-key";

/// An account whose templates wait for a review, with a webhook for its events.
fn with_account(dev: &Dev, url: &str) {
    let text = format!(
        "[[account]]\nname = \"acme\"\n[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"acme\"\nsecret = {KEY:?}\n\
         [[account.credential]]\nfamily = \"ucloud\"\nkey = \"acme\"\nsecret = {KEY:?}\n\
         [[account.signature]]\ntext = \"Acme\"\nreview = \"submitted\"\n\
         [[account.template]]\nname = \"hello\"\nclass = \"notice\"\ntext = \"Hello %name%\"\nsignature = \"Acme\"\n\
         number = 7001\nreview = \"submitted\"\n\
         [[account.template]]\nname = \"sale\"\nclass = \"marketing\"\ntext = \"Buy!\"\nnumber = 7002\nreview = \"submitted\"\n\
         [[account.webhook]]\nname = \"crm\"\nformat = \"standard\"\nurl = {url:?}\nevents = [\"reviewed\"]\n"
    );
    let file = dev.data.join("catalog.toml");
    std::fs::write(&file, text).unwrap();
    let applied = dev.tool(&["apply", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{}", said(&applied));
}

fn send(dev: &Dev) -> Value {
    let fields = [
        ("templateId", "7001"),
        ("phone", "13800138000"),
        ("vars", "{\"name\":\"Ann\"}"),
    ];
    dev.sendcloud("acme", KEY, "/smsapi/send", &fields)
}

#[test]
fn an_approved_object_can_be_used_and_its_account_gets_an_event() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_account(&dev, &receiver.url);
    let list = said(&dev.tool(&["template", "list", "--review", "submitted"]));
    for part in [
        "NUMBER",
        "7001",
        "acme",
        "hello",
        "submitted",
        "Hello %name%",
        "7002",
    ] {
        assert!(list.contains(part), "{part} is not in:\n{list}");
    }
    assert!(
        !list.contains("demo"),
        "only what is submitted is listed:\n{list}"
    );
    assert_ne!(send(&dev)["statusCode"], 200);

    let approved = dev.tool(&["template", "approve", "7001", "7002"]);
    assert!(approved.status.success(), "{}", said(&approved));
    assert!(
        said(&approved).contains("template 7001 (hello) of acme: submitted -> approved")
            && said(&approved).contains("note: it cannot be used until its signature is approved"),
        "{}",
        said(&approved)
    );
    let signatures = json(&said(&dev.tool(&[
        "signature",
        "list",
        "--account",
        "acme",
        "--json",
    ])));
    let number = signatures["signatures"][0]["number"].to_string();
    let approved = dev.tool(&["signature", "approve", &number]);
    assert!(
        said(&approved).contains("(Acme) of acme: submitted -> approved"),
        "{}",
        said(&approved)
    );
    eventually("the node to know of the review", || {
        (send(&dev)["statusCode"] == 200).then_some(())
    });

    let calls = receiver.wait_for("three reviews", 3, |_| true);
    let mut kinds: Vec<String> = calls.iter().map(|call| call.kind()).collect();
    kinds.sort();
    assert_eq!(
        kinds,
        ["signature.reviewed", "template.reviewed", "template.reviewed"]
    );
    assert_eq!(calls[0].json()["data"]["review"], "approved");
}

#[test]
fn a_mistaken_rejection_is_reverted_and_its_account_gets_both_events() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_account(&dev, &receiver.url);
    assert!(dev.tool(&["template", "reject", "7002"]).status.success());
    receiver.wait_for("the rejection", 1, |_| true);
    let back = dev.tool(&["template", "approve", "7002"]);
    assert!(said(&back).contains("rejected -> approved"), "{}", said(&back));
    let calls = receiver.wait_for("both reviews", 2, |_| true);
    let reviews: Vec<String> = calls
        .iter()
        .map(|call| call.json()["data"]["review"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reviews, ["rejected", "approved"]);
}

#[test]
fn a_rejection_has_a_reason_and_what_is_switched_off_cannot_be_used() {
    let folder = folder();
    let receiver = Receiver::start();
    let dev = Dev::start(folder.path());
    with_account(&dev, &receiver.url);
    let rejected = dev.tool(&["template", "reject", "7002", "--reason", "no sender in it"]);
    assert!(rejected.status.success(), "{}", said(&rejected));
    let shown = said(&dev.tool(&["template", "show", "7002"]));
    for part in [
        "template 7002  sale  rejected",
        "reason     no sender in it",
        "text       Buy!",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let calls = receiver.wait_for("the rejection", 1, |_| true);
    assert_eq!(calls[0].json()["data"]["reason"], "no sender in it");

    let signature = json(&said(&dev.tool(&[
        "signature",
        "list",
        "--account",
        "acme",
        "--json",
    ])));
    let signature = signature["signatures"][0]["number"].to_string();
    assert!(dev.tool(&["signature", "approve", &signature]).status.success());
    assert!(dev.tool(&["template", "approve", "7001"]).status.success());
    eventually("the node to know of the review", || {
        (send(&dev)["statusCode"] == 200).then_some(())
    });
    let off = said(&dev.tool(&["signature", "disable", &signature]));
    assert!(
        off.contains("approved -> disabled") && off.contains("1 templates use it"),
        "{off}"
    );
    eventually("the signature to be off", || {
        (send(&dev)["statusCode"] != 200).then_some(())
    });
    assert!(dev.tool(&["signature", "enable", &signature]).status.success());
    assert!(dev.tool(&["template", "disable", "7001"]).status.success());
    assert!(dev.tool(&["template", "enable", "7001"]).status.success());
    eventually("both to be on again", || {
        (send(&dev)["statusCode"] == 200).then_some(())
    });
}

#[test]
fn when_one_of_several_cannot_be_reviewed_nothing_changes() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_account(&dev, "https://acme.example/");
    let refused = dev.tool(&["template", "approve", "7001", "1001", "9999"]);
    assert_eq!(refused.status.code(), Some(2));
    for part in [
        "nothing was changed",
        "template 1001 (code) of demo is approved: it is approved already",
        "there is no template 9999",
    ] {
        assert!(
            said(&refused).contains(part),
            "{part} is not in:\n{}",
            said(&refused)
        );
    }
    let list = json(&said(&dev.tool(&[
        "template",
        "list",
        "--account",
        "acme",
        "--json",
    ])));
    let reviews: Vec<&Value> = list["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["review"])
        .collect();
    assert_eq!(reviews, ["submitted", "submitted"]);
    let nobody = dev.tool(&["template", "list", "--account", "nobody"]);
    assert_eq!(
        (
            nobody.status.code(),
            said(&nobody).contains("no account \"nobody\"")
        ),
        (Some(2), true)
    );
    let gone = dev.tool(&["template", "show", "9999"]);
    assert_eq!(
        (gone.status.code(), said(&gone).as_str()),
        (Some(3), "no such template\n")
    );
}

#[test]
fn what_an_account_makes_itself_is_shown_with_its_versions_and_left_by_apply() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_account(&dev, "https://acme.example/");
    let template = |text| {
        [
            ("templateName", "bye"),
            ("templateText", text),
            ("signName", "Acme"),
            ("smsTypeStr", "1"),
            ("msgType", "0"),
        ]
    };
    let ask = |path: &str, fields: &[(&str, &str)]| {
        let answer = dev.sendcloud("acme", KEY, path, fields);
        (answer["statusCode"] == 200).then_some(answer)
    };
    let made = eventually("the account to be known", || {
        ask("/smsapi/addsms", &template("Bye %name%"))
    });
    let number = made["info"]["templateId"].to_string();
    let of = |fields: &[(&'static str, &'static str)]| {
        let mut fields: Vec<(&str, &str)> = fields.to_vec();
        fields.push(("templateIdStr", &number));
        fields
    };
    ask("/smsapi/submitsms", &of(&[])).unwrap();
    assert!(dev.tool(&["template", "approve", &number]).status.success());
    eventually("the review to be over", || {
        ask("/smsapi/updatesms", &of(&template("Goodbye %name%")))
    });
    let shown = said(&dev.tool(&["template", "show", &number]));
    assert!(
        shown.contains("Goodbye %name%")
            && shown.contains("version 1, approved")
            && shown.contains(": Bye %name%"),
        "{shown}"
    );
    let again = dev.tool(&["apply", dev.data.join("catalog.toml").to_str().unwrap()]);
    assert!(
        said(&again).contains("account acme created or changed this over an API, left unchanged"),
        "{}",
        said(&again)
    );
    assert!(
        said(&again).contains(&format!("template acme/bye ({number})")),
        "{}",
        said(&again)
    );
}

#[test]
fn qualifications_are_shown_and_reviewed() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_account(&dev, "https://acme.example/");
    let none = said(&dev.tool(&["qualification", "list"]));
    assert_eq!(none, "no qualifications\n");
    let uploaded = dev.ucloud(
        "acme",
        KEY,
        "UploadUSMSFile",
        &[
            ("FileName", "licence.png"),
            ("FileType", "image/png"),
            ("FileContent", "aGVsbG8="),
            ("Source", "0"),
        ],
    );
    let file = uploaded["FileId"]
        .as_str()
        .unwrap_or_else(|| panic!("{uploaded}"));
    let handed_in = |name: &str, status: &str| {
        let params = [
            ("Name", name),
            ("Attr", "0"),
            ("HandlerPhone", "13800138000"),
            ("CompanyCertificateFileId", file),
            ("Status", status),
        ];
        let made = dev.ucloud("acme", KEY, "AddUSMSSignatureQualification", &params);
        made["QualificationId"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    };
    let (good, bad, draft) = (
        handed_in("Acme Ltd", "1"),
        handed_in("Nobody Ltd", "1"),
        handed_in("Later Ltd", "0"),
    );
    let status_of = |id: &str| {
        let found = dev.ucloud(
            "acme",
            KEY,
            "QueryUSMSSignatureQualification",
            &[("QualificationId", id)],
        );
        found["Data"]["Status"]
            .as_u64()
            .unwrap_or_else(|| panic!("{found}"))
    };
    assert_eq!(status_of(&good), 1);

    let list = said(&dev.tool(&["qualification", "list", "--review", "submitted"]));
    assert!(
        list.contains(&good) && list.contains("acme") && list.contains("Nobody Ltd"),
        "{list}"
    );
    assert!(!list.contains("Later Ltd"), "{list}");
    let documents = folder.path().join("documents");
    let documents = documents.to_str().unwrap();
    let missing = dev.tool(&["qualification", "show", &good, "--save", documents]);
    assert_eq!(missing.status.code(), Some(2), "{}", said(&missing));
    std::fs::create_dir(documents).unwrap();
    let shown = said(&dev.tool(&["qualification", "show", &good, "--save", documents]));
    for part in [
        "Acme Ltd",
        "submitted",
        "its own signatures",
        "HandlerPhone: 13800138000",
        file,
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    assert_eq!(
        std::fs::read(std::path::Path::new(documents).join(file)).unwrap(),
        b"hello"
    );

    let both = dev.tool(&["qualification", "approve", &good, &draft]);
    assert_eq!(both.status.code(), Some(2));
    assert!(
        said(&both).contains("nothing was changed") && said(&both).contains("is draft"),
        "{}",
        said(&both)
    );
    assert_eq!(status_of(&good), 1, "all or none");
    let approved = said(&dev.tool(&["qualification", "approve", &good]));
    assert!(
        approved.contains("(Acme Ltd) of acme: submitted -> approved"),
        "{approved}"
    );
    let rejected = dev.tool(&[
        "qualification",
        "reject",
        &bad,
        "--reason",
        "not legible",
        "--json",
    ]);
    let rejected = json(&said(&rejected));
    assert_eq!(rejected["qualifications"][0]["reason"], "not legible");
    assert_eq!((status_of(&good), status_of(&bad), status_of(&draft)), (2, 3, 0));
    let off = dev.tool(&["qualification", "disable", &good, "--reason", "expired"]);
    assert!(off.status.success(), "{}", said(&off));
    assert_eq!(status_of(&good), 4);
    let gone = dev.tool(&["qualification", "show", "QUAL99999999"]);
    assert_eq!(
        (gone.status.code(), said(&gone).as_str()),
        (Some(3), "no such qualification\n")
    );
}
