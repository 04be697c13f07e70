//! Webhooks.

use super::*;
use store::{Endpoint, EventKinds};

fn with_webhook(lines: &str) -> String {
    format!("[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\n{lines}")
}

const PLAIN: &str = "format = \"sendcloud\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\n";

fn only(existing: &Existing) -> &Endpoint {
    let [endpoint] = existing.catalog.endpoints.as_slice() else {
        panic!("{:?}", existing.catalog.endpoints)
    };
    endpoint
}

#[test]
fn a_webhook_becomes_an_endpoint_whose_secret_opens() {
    let existing = applied(FULL);
    let endpoint = only(&existing);
    assert_eq!((&*endpoint.name, &*endpoint.format), ("crm", "sendcloud"));
    assert_eq!(endpoint.kinds, EventKinds::ENDED | EventKinds::INBOUND);
    assert!(endpoint.enabled);
    let snapshot = Snapshot::compile(existing.catalog.clone(), &sealer()).unwrap();
    let entry = snapshot.endpoint(endpoint.id).unwrap();
    assert_eq!(entry.secret.expose_secret(), "acme-hook-of-the-tests");
}

#[test]
fn a_changed_webhook_keeps_its_id_and_secret_and_shows_what_differs() {
    let mut existing = applied(FULL);
    let before = only(&existing).clone();
    let text = FULL.replace(
        "events = [\"ended\", \"inbound\"]\nsecret = \"acme-hook-of-the-tests\"",
        "events = [\"reviewed\", \"ended\"]\nsettings = { retry = \"short\" }\nenabled = false",
    );
    let plan = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(
        rendered(&plan),
        "~ webhook acme/crm\n      events: ended, inbound -> ended, reviewed\n      \
         settings: (none) -> {\"retry\":\"short\"}\n      enabled: true -> false\n"
    );
    carry_out(&mut existing, plan);
    let after = only(&existing);
    assert_eq!(
        (after.id, &after.sealed_secret),
        (before.id, &before.sealed_secret)
    );
    assert!(plan_with(&text, &existing, PRUNE).unwrap().changes.is_empty());
}

#[test]
fn a_secret_is_set_changed_and_taken_away_without_showing() {
    let mut existing = applied(&with_webhook(PLAIN));
    assert!(only(&existing).sealed_secret.is_empty());
    let steps = [
        ("secret = \"first-secret\"\n", "secret: (none) -> (set)"),
        ("secret = \"other-secret\"\n", "secret: (as stored) -> (another)"),
        ("secret = \"\"\n", "secret: (as stored) -> (none)"),
    ];
    for (line, shown) in steps {
        let plan = plan_with(
            &with_webhook(&format!("{PLAIN}{line}")),
            &existing,
            ApplyOptions::default(),
        )
        .unwrap();
        let all = rendered(&plan);
        assert!(
            all.contains(shown) && !all.contains("-secret"),
            "{line} gave:\n{all}"
        );
        carry_out(&mut existing, plan);
    }
    assert!(only(&existing).sealed_secret.is_empty());
}

#[test]
fn webhooks_of_several_accounts_have_ids_of_their_own() {
    let more = format!("{FULL}\n{}", with_webhook(PLAIN));
    let existing = applied(&more);
    let mut ids: Vec<u32> = existing
        .catalog
        .endpoints
        .iter()
        .map(|endpoint| endpoint.id.0)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    assert!(
        plan_with(&more, &existing, ApplyOptions::default())
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn a_webhook_that_the_file_does_not_name_stays_until_pruned() {
    let mut existing = applied(&with_webhook(PLAIN));
    let without = "[[account]]\nname = \"a\"\n";
    let kept = plan_with(without, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(rendered(&kept), "= webhook a/w\n");
    let pruned = plan_with(without, &existing, PRUNE).unwrap();
    assert_eq!(rendered(&pruned), "- webhook a/w\n");
    carry_out(&mut existing, pruned);
    assert!(existing.catalog.endpoints.is_empty());
}

#[test]
fn mistakes_in_webhooks_are_named_with_their_lines() {
    let cases = [
        (
            "format = \"sendclod\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]",
            "line 5: webhook a/w: unknown format \"sendclod\"; did you mean `sendcloud`?",
        ),
        (
            "format = \"sendcloud\"\nurl = \"https://a.example/\"\nevents = []",
            "line 7: webhook a/w: `events` is empty",
        ),
        (
            "format = \"sendcloud\"\nevents = [\"ended\"]",
            "line 3: webhook a/w: `url` is required",
        ),
        (
            "format = \"sendcloud\"\nurl = \"a.example\"\nevents = [\"ended\"]",
            "line 6: webhook a/w: `url` \"a.example\": relative URL without a base",
        ),
        (
            "format = \"sendcloud\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\nsettings = { body = \"xml\" }",
            "line 8: webhook a/w: `settings` is \"xml\"; it must be one of ",
        ),
        (
            "format = \"sendcloud\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\nsettings = { body = 2026-11-18 }",
            "line 8: webhook a/w: `settings.body` is a date",
        ),
        (
            "format = \"sendcloud\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\nsecret_env = \"NONE\"",
            "line 8: webhook a/w: the environment variable NONE (secret_env) is not set",
        ),
        (
            "format = \"sendcloud\"\nurl = \"https://a.example/\"\nevents = [\"sent\"]",
            "line 7: webhook a/w: `events[0]` is \"sent\"; it must be one of",
        ),
    ];
    for (lines, expected) in cases {
        let wrong = plan_with(
            &with_webhook(lines),
            &Existing::default(),
            ApplyOptions::default(),
        )
        .err()
        .unwrap_or_default();
        assert!(
            wrong.len() == 1 && wrong[0].starts_with(expected),
            "{lines:?} gave: {wrong:?}"
        );
    }
    let twice = format!(
        "{}[[account.webhook]]\nname = \"w\"\n{PLAIN}",
        with_webhook(PLAIN)
    );
    let wrong = plan_with(&twice, &Existing::default(), ApplyOptions::default()).unwrap_err();
    assert_eq!(wrong, ["line 9: webhook a/w is defined twice in this file"]);
}

#[test]
fn a_setting_that_opens_something_changes_without_showing() {
    let with = |authorization: &str| {
        with_webhook(&format!(
            "format = \"engagelab_callback\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\n\
             settings = {{ authorization = {authorization:?} }}\n"
        ))
    };
    let existing = applied(&with("Basic b2xk"));
    let again = plan_with(&with("Basic b2xk"), &existing, ApplyOptions::default()).unwrap();
    assert!(again.changes.is_empty(), "{}", rendered(&again));
    let changed = plan_with(&with("Basic bmV3"), &existing, ApplyOptions::default()).unwrap();
    assert_eq!(
        rendered(&changed),
        "~ webhook a/w\n      settings: {\"authorization\":\"(as stored)\"} -> {\"authorization\":\"(another)\"}\n"
    );
}

#[test]
fn a_url_that_no_call_may_go_to_is_refused_with_what_would_allow_it() {
    let with_url = |url: &str| {
        with_webhook(&format!(
            "format = \"standard\"\nurl = {url:?}\nevents = [\"ended\"]\n"
        ))
    };
    for url in [
        "http://127.0.0.1:9000/",
        "http://2130706433/",
        "http://localhost:8080/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://192.168.1.1:8080/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[fd00::1]/",
        "https://8.8.8.8:22/",
        "https://hooks.example:25/",
    ] {
        let wrong = plan_with(&with_url(url), &Existing::default(), ApplyOptions::default()).unwrap_err();
        assert!(
            wrong.len() == 1
                && wrong[0].starts_with("line 6: webhook a/w: the URL leads to ")
                && wrong[0].contains("`[webhooks] allow`"),
            "{url}: {wrong:?}"
        );
    }
    // Names are looked up when they are called.
    for url in ["https://hooks.example/", "https://8.8.8.8/"] {
        let plan = plan_with(&with_url(url), &Existing::default(), ApplyOptions::default()).unwrap();
        assert!(plan.notes.is_empty(), "{url}: {:?}", plan.notes);
    }
}

#[test]
fn a_stored_url_that_no_call_may_go_to_any_more_is_noted() {
    let mut existing = applied(&with_webhook(PLAIN));
    existing.catalog.endpoints[0].url = "http://127.0.0.1:9000/".into();
    let named = "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\nenabled = false\n";
    let plan = plan_with(named, &existing, ApplyOptions::default()).unwrap();
    assert!(
        plan.notes.len() == 1 && plan.notes[0].contains("webhook a/w: the URL leads to a loopback address"),
        "{:?}",
        plan.notes
    );
}
