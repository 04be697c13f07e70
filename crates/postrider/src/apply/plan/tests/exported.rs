//! What `export` writes is what `apply` takes back.

use super::*;
use crate::apply::export;
use serde_json::json;

fn exported(existing: &Existing) -> String {
    let mut out = Vec::new();
    export::write(existing, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A catalog in which nothing is as by default, with what only APIs can make.
fn everything() -> Existing {
    let mut existing = applied(&format!(
        "{}\n{FULL}",
        partial::ALL
            .replace("acme", "other")
            .replace("\"north\"", "\"west\"")
            .replace("name = \"box\"", "name = \"crate\"")
            .replace("\"box\"", "\"crate\"")
    ));
    let catalog = &mut existing.catalog;
    // An account made two templates of one name and two signatures of one text over an API.
    let template = catalog
        .templates
        .iter()
        .find(|one| &*one.name == "sale")
        .unwrap()
        .clone();
    catalog.templates.push(store::Template {
        number: 3000,
        ut_id: "UTAOWN".into(),
        text: "Line one\nline \"two\" \\ '''".into(),
        details: json!({"sendcloud": 1}),
        ..template
    });
    let signature = catalog.signatures[0].clone();
    catalog.signatures.push(engine::catalog::Signature {
        id: 90,
        review: Review::Rejected,
        details: json!({}),
        ..signature
    });
    catalog.blocked_words.push(store::WordList {
        name: "all".into(),
        words: vec!["casino".into(), "发票 \"x\"".into()],
    });
    catalog.accounts[0].blocked_words = vec!["rival".into()];
    // Names and texts that no file would have let in.
    let beta = catalog
        .accounts
        .iter_mut()
        .find(|account| &*account.name == "beta");
    beta.unwrap().name = "a/b ".into();
    existing
}

#[test]
fn an_exported_catalog_changes_nothing_where_it_came_from() {
    let existing = everything();
    let text = exported(&existing);
    for options in [
        ApplyOptions::default(),
        ApplyOptions {
            prune: false,
            set_balances: true,
        },
    ] {
        let plan = plan_with(&text, &existing, options).unwrap_or_else(|wrong| panic!("{wrong:#?}\n{text}"));
        assert!(plan.changes.is_empty(), "{}\n{text}", rendered(&plan));
    }
    for secret in [
        "hunter2",
        "acme-secret-of-the-tests",
        "from-env-of-the-tests",
        "acme-hook-of-the-tests",
    ] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn an_exported_catalog_puts_back_what_was_changed_since() {
    let mut existing = applied(partial::ALL);
    let (text, before) = (exported(&existing), existing.catalog.clone());
    let change = "[[account]]\nname = \"acme\"\nweight = 1\nsenders = []\nmay_send = true\n\
        [[account.webhook]]\nname = \"crm\"\nreset = [\"settings\"]\n[[carrier]]\nname = \"north\"\nvoice = true\nbinds = 1\n\
        [[route]]\nname = \"uk\"\nprefixes = []\ncarriers = [\"box\"]\n";
    let plan = plan_with(change, &existing, ApplyOptions::default()).unwrap();
    carry_out(&mut existing, plan);
    let plan = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    carry_out(&mut existing, plan);
    let after = &existing.catalog;
    assert_eq!(
        (&after.accounts, &after.endpoints, &after.routes),
        (&before.accounts, &before.endpoints, &before.routes)
    );
    let mut carriers = after.carriers.clone();
    carriers.sort_by_key(|carrier| carrier.no);
    assert_eq!(carriers, before.carriers);
}

#[test]
fn a_setting_that_opens_something_is_left_out_and_kept() {
    let text = "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\nformat = \"engagelab_callback\"\n\
        url = \"https://a.example/\"\nevents = [\"ended\"]\nsettings = { authorization = \"Basic b2xk\", concurrency = 3 }\n";
    let existing = applied(text);
    let text = exported(&existing);
    assert!(
        !text.contains("b2xk") && text.contains("settings = { concurrency = 3 }"),
        "{text}"
    );
    assert!(
        plan_with(&text, &existing, ApplyOptions::default())
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn a_route_that_is_exported_under_its_derived_name_is_changed_by_it() {
    let text =
        "[[carrier]]\nname = \"c\"\ntype = \"sandbox\"\n[[route]]\nprefixes = [\"44\"]\ncarriers = [\"c\"]\n";
    let mut existing = applied(text);
    let edited = exported(&existing).replace("prefixes = [\"44\"]", "prefixes = [\"44\", \"45\"]");
    let plan = plan_with(&edited, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(
        rendered(&plan),
        "~ route to 44\n      name: (none) -> to 44\n      prefixes: 44 -> 44, 45\n"
    );
    carry_out(&mut existing, plan);
    assert!(
        plan_with(&edited, &existing, ApplyOptions::default())
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn what_had_no_value_when_it_was_exported_has_none_again() {
    let text = "[[carrier]]\nname = \"n\"\ntype = \"smpp\"\nsystem_id = \"s\"\nhost = \"127.0.0.1\"\n\
        [[account]]\nname = \"a\"\nopt_out_words = [\"STOP\"]\n[[account.signature]]\ntext = \"Sig\"\n\
        [[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\n[[account.webhook]]\nname = \"w\"\n\
        format = \"standard\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\n";
    let mut existing = applied(text);
    let (file, before) = (exported(&existing), existing.catalog.clone());
    let change = "[[carrier]]\nname = \"n\"\nsource_ton_npi = [5, 0]\ntls = { enabled = true, server_name = \"b.example\" }\n\
        [[account]]\nname = \"a\"\nbalance = 5\nopt_in_words = [\"JA\"]\n[[account.signature]]\ntext = \"Sig\"\n\
        tlvs = { \"0x1400\" = \"z\" }\n[[account.template]]\nname = \"t\"\nsignature = \"Sig\"\nttl_s = 60\n\
        tlvs = { \"0x1401\" = \"z\" }\n[[account.webhook]]\nname = \"w\"\nsettings = { concurrency = 3 }\n";
    let plan = plan_with(change, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(plan.changes.len(), 6, "{}", rendered(&plan));
    carry_out(&mut existing, plan);
    let options = ApplyOptions {
        prune: false,
        set_balances: true,
    };
    let plan = plan_with(&file, &existing, options).unwrap();
    carry_out(&mut existing, plan);
    assert!(plan_with(&file, &existing, options).unwrap().changes.is_empty());
    let after = &existing.catalog;
    assert_eq!(
        (&after.accounts, &after.carriers, &after.endpoints),
        (&before.accounts, &before.carriers, &before.endpoints)
    );
    let template = &after.templates[0];
    assert_eq!(
        (template.signature, template.ttl_s, &template.details),
        (None, None, &serde_json::Value::Null)
    );
    assert_eq!(after.signatures[0].details, before.signatures[0].details);
}
