//! A file changes only what it names, key by key.

use super::*;

/// Everything that an account, its things, a carrier and a route can have, away from its default.
pub(super) const ALL: &str = r#"
[[account]]
name = "acme"
weight = 10
balance = 500
per_minute_max = 3
per_day_max = 30
may_send = false
senders = ["Acme"]
project_ids = ["org-1"]
auto_approve = true
repeats_with_other_content = "refuse"
inbound_to = ["4477"]
opt_out_words = ["STOP"]
opt_in_words = ["START"]

[[account.credential]]
family = "sendcloud"
key = "acme"
secret = "acme-secret-of-the-tests"
enabled = false
requests_per_s_max = 50

[[account.signature]]
text = "Acme"
review = "disabled"
tlvs = { "0x1400" = "1101" }

[[account.template]]
name = "code"
number = 1500
ut_id = "UTACODE"
class = "otp"
text = "Your code is {code}."
signature = "Acme"
position = "end"
review = "rejected"
reason = "too short"
ttl_s = 300
tlvs = { "0x1401" = "1107", "0x1402" = { hex = "00ff" } }

[[account.webhook]]
name = "crm"
format = "sendcloud"
url = "https://crm.example/hook"
events = ["ended", "inbound"]
secret = "acme-hook-of-the-tests"
settings = { retry = "short", concurrency = 4 }
enabled = false

[[carrier]]
name = "north"
type = "smpp"
enabled = false
host = "smsc.example"
port = 2776
tls = { enabled = true, server_name = "north.example" }
system_id = "postrider"
password = "hunter2"
binds = 3
window_max = 50
rate_per_s_max = 100
status_classes = { "0x400" = "transient" }
tlvs = { "0x1400" = "1100" }
default_alphabet = "latin1"
long_text = "message_payload"
address_range = "^44"
bind_addr_ton = 1
bind_addr_npi = 1
bind_rejected_pause_s = 60
source_ton_npi = [5, 0]

[[carrier]]
name = "box"
type = "sandbox"
receipt_delay_ms = 7

[[route]]
name = "uk"
prefixes = ["44"]
accounts = ["acme"]
carriers = ["north", "box"]
enabled = false
"#;

fn same(text: &str) {
    let existing = applied(ALL);
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    assert!(plan.changes.is_empty(), "{text}\ngave:\n{}", rendered(&plan));
}

fn changes(text: &str, expected: &str) {
    let existing = applied(ALL);
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    let changed: String = plan
        .lines
        .iter()
        .filter(|line| line.sign != Sign::Keep)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(changed, expected, "{text}");
}

#[test]
fn what_is_named_by_its_name_alone_stays_as_it_is() {
    same(
        "[[account]]\nname = \"acme\"\n[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"acme\"\n\
         [[account.signature]]\ntext = \"Acme\"\n[[account.template]]\nname = \"code\"\n[[account.webhook]]\nname = \"crm\"\n\
         [[carrier]]\nname = \"north\"\n[[carrier]]\nname = \"box\"\n[[route]]\nname = \"uk\"\n",
    );
    same("[[account]]\nid = 1\n[[account.template]]\nnumber = 1500\n");
}

#[test]
fn each_named_key_changes_and_no_other() {
    let account = |line: &str| format!("[[account]]\nname = \"acme\"\n{line}\n");
    changes(
        &account("weight = 20"),
        "~ account acme\n      weight: 10 -> 20\n",
    );
    changes(
        &account("senders = [\"Acme\", \"Acme2\"]"),
        "~ account acme\n      senders: Acme -> Acme, Acme2\n",
    );
    changes(
        &account("may_send = true"),
        "~ account acme\n      may_send: false -> true\n",
    );
    changes(
        &account("repeats_with_other_content = \"answer\""),
        "~ account acme\n      repeats_with_other_content: refuse -> answer\n",
    );
    changes(
        &account("[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"acme\"\nrequests_per_s_max = 9"),
        "~ credential acme/sendcloud/acme\n      requests_per_s_max: 50 -> 9\n",
    );
    changes(
        &account("[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"acme\"\nenabled = true"),
        "~ credential acme/sendcloud/acme\n      enabled: false -> true\n",
    );
    changes(
        &account("[[account.signature]]\ntext = \"Acme\"\nreview = \"approved\""),
        "~ signature acme/Acme\n      review: disabled -> approved\n",
    );
    changes(
        &account("[[account.template]]\nname = \"code\"\nreason = \"unclear\""),
        "~ template acme/code\n      reason: too short -> unclear\n",
    );
    changes(
        &account("[[account.template]]\nname = \"code\"\ntext = \"Code {code}\""),
        "~ template acme/code\n      text: \"Your code is {code}.\" -> \"Code {code}\"\n",
    );
    changes(
        &account("[[account.webhook]]\nname = \"crm\"\nurl = \"https://crm.example/new\""),
        "~ webhook acme/crm\n      url: https://crm.example/hook -> https://crm.example/new\n",
    );
    changes(
        &account("[[account.webhook]]\nname = \"crm\"\nsettings = { concurrency = 8 }"),
        "~ webhook acme/crm\n      settings: {\"concurrency\":4,\"retry\":\"short\"} -> {\"concurrency\":8,\"retry\":\"short\"}\n",
    );
    changes(
        "[[carrier]]\nname = \"north\"\npassword = \"hunter3\"\n",
        "~ carrier north\n      password: (as stored) -> (another)\n",
    );
    changes(
        "[[carrier]]\nname = \"north\"\nwindow_max = 20\nenabled = true\n",
        "~ carrier north\n      enabled: false -> true (default)\n      window_max: 50 -> 20\n",
    );
    changes(
        "[[carrier]]\nname = \"north\"\ntls = { enabled = false }\n",
        "~ carrier north\n      tls: {\"ca_file\":null,\"enabled\":true,\"server_name\":\"north.example\"} -> \
         {\"ca_file\":null,\"enabled\":false,\"server_name\":\"north.example\"}\n",
    );
    changes(
        "[[route]]\nname = \"uk\"\ncarriers = [\"box\"]\n",
        "~ route uk\n      carriers: north, box -> box\n",
    );
    changes(
        "[[route]]\nname = \"uk\"\nenabled = true\n",
        "~ route uk\n      enabled: false -> true\n",
    );
}

#[test]
fn a_key_that_is_reset_has_its_default_again() {
    changes(
        "[[account]]\nname = \"acme\"\nreset = [\"weight\", \"may_send\", \"senders\"]\n",
        "~ account acme\n      weight: 10 -> 1\n      may_send: false -> true\n      senders: Acme -> (none)\n",
    );
    changes(
        "[[carrier]]\nname = \"north\"\nreset = [\"window_max\", \"source_ton_npi\"]\n",
        "~ carrier north\n      window_max: 50 -> 10 (default)\n      source_ton_npi: [5,0] -> (none)\n",
    );
    changes(
        "[[carrier]]\nname = \"north\"\nreset = [\"password\"]\n",
        "~ carrier north\n      password: (as stored) -> (none)\n",
    );
    changes(
        "[[account]]\nname = \"acme\"\n[[account.webhook]]\nname = \"crm\"\nreset = [\"settings\", \"secret\"]\n",
        "~ webhook acme/crm\n      secret: (as stored) -> (none)\n      \
         settings: {\"concurrency\":4,\"retry\":\"short\"} -> (none)\n",
    );
    changes(
        "[[route]]\nname = \"uk\"\nreset = [\"accounts\"]\n",
        "~ route uk\n      accounts: acme -> (none)\n",
    );
    let again = "[[account]]\nname = \"acme\"\nreset = [\"weight\"]\n";
    let mut existing = applied(ALL);
    let plan = plan_with(again, &existing, ApplyOptions::default()).unwrap();
    carry_out(&mut existing, plan);
    assert!(
        plan_with(again, &existing, ApplyOptions::default())
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn what_cannot_be_reset_is_named() {
    let existing = applied(ALL);
    let cases = [
        (
            "[[carrier]]\nname = \"north\"\nreset = [\"windw_max\"]\n",
            "line 3: carrier \"north\": `reset`: unknown key `windw_max`; did you mean `window_max`?",
        ),
        (
            "[[carrier]]\nname = \"north\"\nbinds = 2\nreset = [\"binds\"]\n",
            "line 4: carrier \"north\": `reset`: `binds` is set as well",
        ),
        (
            "[[account]]\nname = \"acme\"\nreset = [\"name\"]\n",
            "line 3: account \"acme\": `reset`: `name` has no default",
        ),
    ];
    for (text, expected) in cases {
        let wrong = plan_with(text, &existing, ApplyOptions::default()).unwrap_err();
        assert!(
            wrong.len() == 1 && wrong[0].starts_with(expected),
            "{text:?} gave: {wrong:?}"
        );
    }
}

#[test]
fn what_changes_is_checked_together_with_what_is_stored() {
    let existing = applied(ALL);
    let cases = [
        (
            "[[carrier]]\nname = \"north\"\nreconnect_s = 600\n",
            "line 3: carrier \"north\": `reconnect_s` is longer than `reconnect_s_max`",
        ),
        (
            "[[account]]\nname = \"acme\"\n[[account.webhook]]\nname = \"crm\"\nformat = \"standrd\"\n",
            "line 5: webhook acme/crm: unknown format \"standrd\"; did you mean `standard`?",
        ),
    ];
    for (text, expected) in cases {
        let wrong = plan_with(text, &existing, ApplyOptions::default()).unwrap_err();
        assert!(
            wrong.len() == 1 && wrong[0].starts_with(expected),
            "{text:?} gave: {wrong:?}"
        );
    }
}

#[test]
fn a_carrier_of_another_kind_begins_with_the_defaults_of_that_kind() {
    let mut existing = applied(ALL);
    let plan = plan_with(
        "[[carrier]]\nname = \"north\"\ntype = \"sandbox\"\n",
        &existing,
        ApplyOptions::default(),
    )
    .unwrap();
    carry_out(&mut existing, plan);
    let north = existing
        .catalog
        .carriers
        .iter()
        .find(|carrier| &*carrier.name == "north")
        .unwrap();
    assert_eq!(
        (&north.settings["type"], &north.settings["enabled"]),
        (&"sandbox".into(), &true.into())
    );
}

#[test]
fn a_template_is_renamed_by_its_number() {
    let mut existing = applied(ALL);
    let text = "[[account]]\nname = \"acme\"\n[[account.template]]\nname = \"login\"\nnumber = 1500\n";
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    let changed: Vec<String> = plan
        .lines
        .iter()
        .filter(|l| l.sign != Sign::Keep)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        changed,
        ["~ template acme/code (now login)\n      name: code -> login"]
    );
    carry_out(&mut existing, plan);
    let [template] = existing.catalog.templates.as_slice() else {
        panic!("one template")
    };
    assert_eq!(
        (&*template.name, template.number, &*template.ut_id),
        ("login", 1500, "UTACODE")
    );
    // Two that swap their names are distinguished by their numbers.
    let two = "[[account]]\nname = \"b\"\n[[account.template]]\nname = \"x\"\nclass = \"otp\"\ntext = \"x\"\nnumber = 1\n\
               [[account.template]]\nname = \"y\"\nclass = \"otp\"\ntext = \"y\"\nnumber = 2\n";
    let existing = applied(two);
    let swapped = two
        .replace("name = \"x\"", "name = \"z\"")
        .replace("name = \"y\"", "name = \"x\"")
        .replace("name = \"z\"", "name = \"y\"");
    let plan = plan_with(&swapped, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(plan.changes.len(), 2, "{}", rendered(&plan));
    let one = "[[account]]\nname = \"b\"\n[[account.template]]\nname = \"x\"\nnumber = 2\n";
    let wrong = plan_with(one, &existing, ApplyOptions::default()).unwrap_err();
    assert!(
        wrong[0].starts_with("line 5: template b/x: number 2 is template \"y\""),
        "{wrong:?}"
    );
}

#[test]
fn a_template_whose_review_is_not_named_keeps_it_and_says_so() {
    let existing = applied(ALL);
    let text =
        "[[account]]\nname = \"acme\"\n[[account.template]]\nname = \"code\"\ntext = \"Code {code}\"\n";
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(
        plan.notes,
        ["template acme/code remains rejected: the file names no `review` for it"]
    );
}

#[test]
fn a_place_without_the_secret_leaves_the_stored_one() {
    let existing = applied(ALL);
    let account =
        "[[account]]\nname = \"acme\"\n[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"acme\"\n";
    for (place, why) in [
        (
            "secret_env = \"NOT_SET\"",
            "the environment variable NOT_SET (secret_env) is not set",
        ),
        ("secret_file = \"gone\"", "secret_file gone"),
    ] {
        let plan = plan_with(&format!("{account}{place}\n"), &existing, ApplyOptions::default()).unwrap();
        assert!(plan.changes.is_empty(), "{}", rendered(&plan));
        assert!(
            plan.notes[0].starts_with("credential acme/sendcloud/acme: ")
                && plan.notes[0].contains(why)
                && plan.notes[0].ends_with("the stored secret is kept"),
            "{:?}",
            plan.notes
        );
    }
    let carrier = "[[carrier]]\nname = \"north\"\npassword_env = \"NOT_SET\"\n";
    let plan = plan_with(carrier, &existing, ApplyOptions::default()).unwrap();
    assert!(
        plan.changes.is_empty() && plan.notes.len() == 1,
        "{:?}",
        plan.notes
    );
    let new = "[[carrier]]\nname = \"new\"\ntype = \"smpp\"\nsystem_id = \"p\"\npassword_env = \"NOT_SET\"\n";
    let wrong = plan_with(new, &existing, ApplyOptions::default()).unwrap_err();
    assert!(
        wrong[0].contains("NOT_SET (password_env) is not set"),
        "{wrong:?}"
    );
}

#[test]
fn new_names_have_no_slash_and_no_blanks_around_them_and_old_ones_still_work() {
    for name in ["a/b", " a", "a ", "a\\u0007", "\\u200ba", "", &"a".repeat(65)] {
        for text in [
            format!("[[account]]\nname = \"{name}\"\n"),
            format!(
                "[[account]]\nname = \"x\"\n[[account.webhook]]\nname = \"{name}\"\nformat = \"standard\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\n"
            ),
            format!("[[carrier]]\nname = \"{name}\"\ntype = \"sandbox\"\n"),
            format!(
                "[[carrier]]\nname = \"c\"\ntype = \"sandbox\"\n[[route]]\nname = \"{name}\"\ncarriers = [\"c\"]\n"
            ),
        ] {
            let wrong = plan_with(&text, &Existing::default(), ApplyOptions::default())
                .err()
                .unwrap_or_default();
            assert!(
                wrong.len() == 1 && wrong[0].contains(": a name must "),
                "{text:?} gave: {wrong:?}"
            );
        }
    }
    let mut existing = applied("[[account]]\nname = \"x\"\n");
    existing.catalog.accounts[0].name = "a/b ".into();
    let plan = plan_with(
        "[[account]]\nname = \"a/b \"\nweight = 3\n",
        &existing,
        ApplyOptions::default(),
    )
    .unwrap();
    assert_eq!(rendered(&plan), "~ account a/b \n      weight: 1 -> 3\n");
}

#[test]
fn a_misspelt_name_is_not_taken_for_something_new_without_a_hint() {
    let existing = applied(ALL);
    let own = |lines: &str| format!("[[account]]\nname = \"acme\"\n{lines}\n");
    let cases = [
        (
            "[[carrier]]\nname = \"nroth\"\nenabled = false\n".to_owned(),
            "line 1: carrier \"nroth\" is new and needs a `type`; did you mean the existing \"north\"?",
        ),
        (
            "[[route]]\nname = \"ukk\"\nenabled = true\n".to_owned(),
            "line 1: route \"ukk\" has no `carriers`; did you mean the existing route \"uk\"?",
        ),
        (
            own("[[account.template]]\nname = \"cod\"\ntext = \"x\""),
            "line 3: template acme/cod is new and needs a `class`; did you mean the existing \"code\"?",
        ),
        (
            own("[[account.webhook]]\nname = \"crn\"\nformat = \"standard\"\nurl = \"https://a.example/\""),
            "line 3: webhook acme/crn is new and needs a `events`; did you mean the existing \"crm\"?",
        ),
        (
            own("[[account.credential]]\nfamily = \"sendcloud\"\nkey = \"amce\"\nenabled = true"),
            "line 3: credential acme/sendcloud/amce is new and has no secret: give `secret`, `secret_env` or `secret_file`; \
             did you mean the existing \"acme\"?",
        ),
    ];
    for (text, expected) in cases {
        let wrong = plan_with(&text, &existing, ApplyOptions::default()).unwrap_err();
        assert_eq!(wrong, [expected], "{text}");
    }
    let plan = plan_with(
        "[[account]]\nname = \"Acme\"\n",
        &existing,
        ApplyOptions::default(),
    )
    .unwrap();
    assert_eq!(
        plan.notes,
        ["account \"Acme\" differs from account \"acme\" only in case"]
    );
}

#[test]
fn a_carrier_of_another_type_shows_what_it_was() {
    let existing = applied("[[carrier]]\nname = \"c\"\ntype = \"sandbox\"\n");
    let text = "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"s\"\n";
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    assert!(
        rendered(&plan).contains("type: sandbox -> smpp\n"),
        "{}",
        rendered(&plan)
    );
}
