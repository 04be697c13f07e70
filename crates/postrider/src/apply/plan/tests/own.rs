//! What accounts make themselves over an API, beside what a file says; versions; signatures within templates.

use super::*;
use serde_json::json;
use sms::template::Template as Pattern;
use store::Template;

const ACME: &str = "[[account]]\nname = \"acme\"\n[[account.signature]]\ntext = \"Acme\"\n\
    [[account.template]]\nname = \"code\"\nclass = \"otp\"\ntext = \"Your code is {code}.\"\nsignature = \"Acme\"\n";

/// A store in which the account has made a template and a signature itself.
fn with_own() -> Existing {
    let mut existing = applied(ACME);
    let (template, signature) = (&existing.catalog.templates[0], &existing.catalog.signatures[0]);
    let template = Template {
        number: 1002,
        ut_id: "UTAOWN".into(),
        name: "hello".into(),
        details: json!({"sendcloud": 1}),
        ..template.clone()
    };
    let signature = engine::catalog::Signature {
        id: 2,
        text: "Acme Shop".into(),
        details: json!({}),
        ..signature.clone()
    };
    existing.catalog.templates.push(template);
    existing.catalog.signatures.push(signature);
    existing
}

#[test]
fn what_an_account_made_itself_stays_and_is_noted() {
    let plan = plan_with(ACME, &with_own(), ApplyOptions::default()).unwrap();
    assert_eq!((rendered(&plan).as_str(), plan.changes.len()), ("", 0));
    assert_eq!(
        plan.notes,
        [
            "account acme created or changed this over an API, left unchanged (--prune deletes it): \
          signature acme/Acme Shop, template acme/hello (1002)"
        ]
    );
}

#[test]
fn pruning_removes_what_an_account_made_itself_and_says_so() {
    let mut existing = with_own();
    let plan = plan_with(ACME, &existing, PRUNE).unwrap();
    assert_eq!(
        rendered(&plan),
        "- signature acme/Acme Shop\n- template acme/hello (1002)\n"
    );
    assert!(plan.notes.len() == 1 && plan.notes[0].contains("--prune deletes it: signature acme/Acme Shop"));
    carry_out(&mut existing, plan);
    assert_eq!(
        (
            existing.catalog.templates.len(),
            existing.catalog.signatures.len()
        ),
        (1, 1)
    );
}

#[test]
fn a_note_names_only_the_first_of_many() {
    let mut existing = with_own();
    for number in 1003..1020 {
        let template = existing.catalog.templates[1].clone();
        let ut_id = format!("UTA{number}").into();
        existing.catalog.templates.push(Template {
            number,
            ut_id,
            ..template
        });
    }
    let plan = plan_with(ACME, &existing, ApplyOptions::default()).unwrap();
    assert!(plan.notes[0].ends_with(" and 9 more"), "{:?}", plan.notes);
}

#[test]
fn pruning_notes_deleted_opt_outs() {
    let mut existing = applied(FULL);
    let left = existing.suppressions[0];
    existing.suppressions.push(Suppression {
        kind: engine::catalog::SuppressionKind::Blocked,
        ..left
    });
    let plan = plan_with("[[account]]\nname = \"acme\"\n", &existing, PRUNE).unwrap();
    assert!(
        plan.notes
            .iter()
            .any(|note| note.starts_with("1 of the deleted suppressions are opt-outs")),
        "{:?}",
        plan.notes
    );
}

fn put_template(plan: &Plan) -> &Template {
    let put = plan.changes.iter().find_map(|change| match change {
        CatalogChange::PutTemplate(template) => Some(template),
        _ => None,
    });
    put.unwrap_or_else(|| panic!("{}", rendered(plan)))
}

#[test]
fn a_template_may_set_its_own_time_to_live() {
    let with = |ttl: &str| ACME.replace("class = \"otp\"\n", &format!("class = \"otp\"\n{ttl}\n"));
    let mut existing = applied(ACME);
    assert_eq!(existing.catalog.templates[0].ttl_s, None);
    let plan = plan_with(&with("ttl_s = 120"), &existing, ApplyOptions::default()).unwrap();
    let template = put_template(&plan);
    assert_eq!(
        (template.ttl_s, template.version),
        (Some(120), 1),
        "{}",
        rendered(&plan)
    );
    carry_out(&mut existing, plan);
    for (ttl, kept) in [
        ("", Some(120)),
        ("ttl_s = 0", Some(0)),
        ("reset = [\"ttl_s\"]", None),
    ] {
        let plan = plan_with(&with(ttl), &existing, ApplyOptions::default()).unwrap();
        let mut now = applied(ACME);
        now.catalog = existing.catalog.clone();
        carry_out(&mut now, plan);
        assert_eq!(now.catalog.templates[0].ttl_s, kept, "{ttl}");
    }
    for ttl in ["1", "9", "2592001"] {
        let complaint = plan_with(
            &with(&format!("ttl_s = {ttl}")),
            &existing,
            ApplyOptions::default(),
        );
        let complaint = format!("{:?}", complaint.err());
        assert!(
            complaint.contains("0 (no end) or 10 to 2592000"),
            "{ttl}: {complaint}"
        );
    }
}

#[test]
fn a_version_is_one_of_what_is_sent() {
    let existing = applied(ACME);
    let changed = |from: &str, to: &str| {
        let plan = plan_with(&ACME.replace(from, to), &existing, ApplyOptions::default()).unwrap();
        put_template(&plan).version
    };
    assert_eq!(existing.catalog.templates[0].version, 1);
    assert_eq!(changed("Your code is", "The code is"), 2);
    assert_eq!(changed("\"otp\"", "\"notice\""), 2);
    assert_eq!(changed("signature = \"Acme\"\n", "reset = [\"signature\"]\n"), 2);
    assert_eq!(
        changed(
            "signature = \"Acme\"\n",
            "signature = \"Acme\"\nposition = \"end\"\n"
        ),
        2
    );
    assert_eq!(changed("class = ", "review = \"disabled\"\nclass = "), 1);
}

#[test]
fn an_edit_by_its_account_is_replaced_under_a_new_version() {
    let mut existing = applied(ACME);
    let template = &mut existing.catalog.templates[0];
    (template.text, template.version) = ("Other {code}".into(), 2);
    template.details = json!({"remark": "x"});
    let plan = plan_with(ACME, &existing, ApplyOptions::default()).unwrap();
    let put = put_template(&plan);
    assert_eq!((put.version, &*put.text), (3, "Your code is {code}."));
    assert_eq!(put.details, json!({"remark": "x"}), "the details of its API stay");
}

#[test]
fn of_templates_with_one_name_the_number_says_which_is_meant() {
    let mut existing = with_own();
    existing.catalog.templates[1].name = "code".into();
    let text = ACME.replace("name = \"code\"\n", "name = \"code\"\nnumber = 1002\n");
    let plan = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    assert!(plan.changes.is_empty(), "{}", rendered(&plan));
    assert_eq!(rendered(&plan), "= template acme/code (1001)\n");
}

#[test]
fn a_signature_that_would_shift_the_values_of_templates_is_refused() {
    // What would happen: the engine gives values to the template's own placeholders, by their positions, and fills in
    // the text with the signature around it. There, the signature's placeholder takes the first of them.
    let (own, sent) = (
        Pattern::parse("Your code is {code}."),
        Pattern::parse("[{x} Ltd]Your code is {code}."),
    );
    let values = own.resolve_named([("code", "4711")]);
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    assert_eq!(sent.render(&values), "[4711 Ltd]Your code is {code}.");

    for signature in ["{x} Ltd", "%name%", "{{1}}", "a%b%c"] {
        let text = ACME.replace("\"Acme\"", &format!("{signature:?}"));
        let wrong = plan_with(&text, &Existing::default(), ApplyOptions::default()).unwrap_err();
        assert!(
            wrong[0].starts_with("line 4: signature acme/") && wrong[0].contains("would take a value"),
            "{signature}: {wrong:?}"
        );
    }
    // Marks that enclose no name are text.
    for signature in ["50% off", "{}", "100%", "A{B", "% {"] {
        let text = ACME.replace("\"Acme\"", &format!("{signature:?}"));
        assert!(
            plan_with(&text, &Existing::default(), ApplyOptions::default()).is_ok(),
            "{signature}"
        );
    }
}

#[test]
fn a_signature_that_makes_a_link_of_its_template_is_refused() {
    // Within a link `%ab%cd` is octets and no placeholder, and [ ] do not end a link.
    let text = ACME
        .replace("\"Acme\"", "\"a://b\"")
        .replace("Your code is {code}.", "%ab%cd");
    let wrong = plan_with(&text, &Existing::default(), ApplyOptions::default()).unwrap_err();
    assert!(
        wrong.len() == 1 && wrong[0].contains("the text has other placeholders"),
        "{wrong:?}"
    );
}
