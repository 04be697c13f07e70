//! Routes are found again by their names, or by their conditions, and keep their places.

use super::*;
use engine::catalog::RouteRule;

const BASE: &str = r#"
[[carrier]]
name = "north"
type = "sandbox"

[[carrier]]
name = "south"
type = "sandbox"

[[route]]
prefixes = ["44"]
carriers = ["north"]

[[route]]
name = "codes"
classes = ["otp"]
carriers = ["south"]

[[route]]
carriers = ["south"]
"#;

fn rules(existing: &Existing) -> Vec<String> {
    let routes = existing.catalog.routes.iter();
    let rules = routes.map(|route| serde_json::from_value::<RouteRule>(route.rule.clone()).unwrap());
    rules.map(|rule| describe_route(&rule)).collect()
}

/// Applies a file; what changed, and the routes there are then.
fn then(existing: &mut Existing, text: &str, options: ApplyOptions) -> (String, Vec<String>) {
    let plan = plan_with(text, existing, options).unwrap();
    let changed = plan.lines.iter().filter(|line| line.sign != Sign::Keep);
    let changed = changed.map(|line| format!("{line}\n")).collect();
    carry_out(existing, plan);
    let again = plan_with(text, existing, options).unwrap();
    assert!(again.changes.is_empty(), "a second time:\n{}", rendered(&again));
    (changed, rules(existing))
}

#[test]
fn a_route_whose_carriers_change_is_changed_and_not_added_beside() {
    let mut existing = applied(BASE);
    let (changed, rules) = then(
        &mut existing,
        "[[route]]\nprefixes = [\"44\"]\ncarriers = [\"north\", \"south\"]\n",
        ApplyOptions::default(),
    );
    assert_eq!(changed, "~ route to 44\n      carriers: north -> north, south\n");
    assert_eq!(
        rules,
        [
            "to 44 -> north, south",
            "codes: class otp -> south",
            "everything -> south"
        ]
    );
}

#[test]
fn a_route_is_changed_by_its_name_whatever_else_is_named() {
    let mut existing = applied(BASE);
    let (changed, rules) = then(
        &mut existing,
        "[[route]]\nname = \"codes\"\nprefixes = [\"86\"]\n[[route]]\nname = \"everything\"\nenabled = false\n",
        ApplyOptions::default(),
    );
    assert_eq!(
        changed,
        "~ route codes\n      prefixes: (none) -> 86\n~ route everything\n      enabled: true -> false\n"
    );
    assert_eq!(
        rules,
        [
            "to 44 -> north",
            "codes: to 86, class otp -> south",
            "everything -> south (disabled)"
        ]
    );
    let snapshot = Snapshot::compile(existing.catalog.clone(), &sealer()).unwrap();
    let fitting = snapshot.routes().carriers(engine::route::Wanted {
        msisdn: sms::phone::Msisdn::from_digits("33700900123").unwrap(),
        account: store::AccountId(1),
        class: sms::class::Class::Notice,
        kind: sms::class::Kind::Text,
        sender: None,
    });
    assert_eq!(fitting.count(), 0, "a disabled route matches nothing");
}

#[test]
fn a_route_without_a_name_gets_one_and_keeps_its_place() {
    let mut existing = applied(BASE);
    let (changed, rules) = then(
        &mut existing,
        "[[route]]\nname = \"uk\"\nprefixes = [\"44\"]\ncarriers = [\"north\"]\n",
        ApplyOptions::default(),
    );
    assert_eq!(changed, "~ route to 44 (now uk)\n      name: (none) -> uk\n");
    assert_eq!(rules[0], "uk: to 44 -> north");
    // And a file without the name still means it.
    let (changed, _) = then(
        &mut existing,
        "[[route]]\nprefixes = [\"44\"]\ncarriers = [\"south\"]\n",
        ApplyOptions::default(),
    );
    assert_eq!(changed, "~ route uk\n      carriers: north -> south\n");
}

#[test]
fn a_new_route_stands_where_the_file_has_it_and_others_stay() {
    let new = "[[route]]\nprefixes = [\"33\"]\ncarriers = [\"north\"]\n";
    let codes = "[[route]]\nname = \"codes\"\n";
    for (text, place) in [
        (new.to_owned(), 0),
        (format!("{codes}{new}"), 2),
        (format!("{new}{codes}"), 1),
    ] {
        let mut existing = applied(BASE);
        let (_, rules) = then(&mut existing, &text, ApplyOptions::default());
        assert_eq!(rules.len(), 4);
        assert_eq!(rules[place], "to 33 -> north", "{text}: {rules:?}");
    }
}

#[test]
fn routes_that_a_file_turns_round_are_turned_round_in_their_places() {
    let mut existing = applied(BASE);
    let (changed, rules) = then(
        &mut existing,
        "[[route]]\ncarriers = [\"south\"]\n[[route]]\nprefixes = [\"44\"]\ncarriers = [\"north\"]\n",
        ApplyOptions::default(),
    );
    assert_eq!(
        rules,
        [
            "everything -> south",
            "codes: class otp -> south",
            "to 44 -> north"
        ]
    );
    assert_eq!(
        changed,
        "~ route everything\n      position: 3 -> 1\n~ route to 44\n      position: 1 -> 3\n"
    );
}

#[test]
fn routes_that_the_file_does_not_name_are_listed_each_time() {
    let mut existing = applied(BASE);
    let text = "[[route]]\nprefixes = [\"44\"]\ncarriers = [\"south\"]\n";
    let kept = |plan: &Plan| {
        let kept = plan.lines.iter().filter(|line| line.sign == Sign::Keep);
        kept.map(|line| line.what.clone())
            .filter(|what| what.starts_with("route"))
            .collect::<Vec<_>>()
    };
    let first = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    let listed = kept(&first);
    assert_eq!(
        listed,
        [
            "route 2: codes: class otp -> south",
            "route 3: everything -> south"
        ]
    );
    carry_out(&mut existing, first);
    let second = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(kept(&second), listed);
}

#[test]
fn files_of_before_with_the_same_conditions_twice_still_apply() {
    let twice = format!("{BASE}\n[[route]]\ncarriers = [\"north\"]\n");
    let mut existing = applied(&twice);
    assert_eq!(existing.catalog.routes.len(), 4);
    for options in [ApplyOptions::default(), PRUNE] {
        assert!(plan_with(&twice, &existing, options).unwrap().changes.is_empty());
    }
    let (changed, rules) = then(&mut existing, BASE, PRUNE);
    assert_eq!(
        (changed.as_str(), rules.len()),
        ("- route: everything -> north\n", 3)
    );
}

#[test]
fn a_name_that_stands_twice_is_a_mistake() {
    let text = format!("{BASE}\n[[route]]\nname = \"codes\"\ncarriers = [\"north\"]\n");
    let wrong = plan_with(&text, &Existing::default(), ApplyOptions::default()).unwrap_err();
    assert_eq!(wrong, ["line 23: route \"codes\" is defined twice in this file"]);
}

#[test]
fn a_route_of_the_last_release_reads_and_is_enabled() {
    let stored = serde_json::json!({"prefixes": ["44"], "accounts": [], "classes": [], "kinds": [], "senders": [], "carriers": ["north"]});
    let rule: RouteRule = serde_json::from_value(stored).unwrap();
    assert!(rule.enabled && rule.name.is_empty());
}
