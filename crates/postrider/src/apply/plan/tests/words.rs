//! Words that unsubscribe and subscribe again.

use super::*;

const ACME: &str = "[[account]]\nname = \"acme\"\n";

fn words(existing: &Existing) -> Option<Vec<Box<str>>> {
    existing.catalog.accounts[0].opt_in_words.clone()
}

#[test]
fn words_that_subscribe_again_are_named_switched_off_and_reset() {
    let mut existing = applied(&format!("{ACME}opt_out_words = [\"STOP\"]\n"));
    assert_eq!(words(&existing), None, "the usual ones");
    for (line, wanted, shown) in [
        (
            "opt_in_words = [\"JOIN\"]",
            Some(vec!["JOIN".into()]),
            "(none) -> JOIN",
        ),
        ("weight = 2", Some(vec!["JOIN".into()]), "weight: 1 -> 2"),
        ("opt_in_words = []", Some(vec![]), "JOIN -> []"),
        ("reset = [\"opt_in_words\"]", None, "[] -> (none)"),
    ] {
        let plan = plan_with(&format!("{ACME}{line}\n"), &existing, ApplyOptions::default()).unwrap();
        assert!(rendered(&plan).contains(shown), "{line}: {}", rendered(&plan));
        carry_out(&mut existing, plan);
        assert_eq!(words(&existing), wanted, "{line}");
    }
}

#[test]
fn words_that_no_message_is_are_mistakes() {
    for (line, expected) in [
        (
            "opt_out_words = [\"STOP\", \" \u{200b}\"]",
            "line 3: account \"acme\": `opt_out_words`: \" \\u{200b}\" has no visible character",
        ),
        (
            "opt_out_words = [\"STOP\"]\nopt_in_words = [\"stop.\"]",
            "line 4: account \"acme\": `opt_in_words`: \"stop.\" is in `opt_out_words` as well",
        ),
    ] {
        let wrong = plan_with(
            &format!("{ACME}{line}\n"),
            &Existing::default(),
            ApplyOptions::default(),
        );
        assert_eq!(wrong.err(), Some(vec![expected.to_owned()]), "{line}");
    }
    let long = format!("{ACME}opt_out_words = [\"{}\"]\n", "x".repeat(101));
    assert!(plan_with(&long, &Existing::default(), ApplyOptions::default()).is_err());
}

#[test]
fn a_country_code_is_a_calling_code_of_a_country() {
    let carrier = |code: &str| {
        format!("[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\ncountry_code = \"{code}\"\n")
    };
    assert!(plan_with(&carrier("44"), &Existing::default(), ApplyOptions::default()).is_ok());
    let wrong = plan_with(&carrier("+44"), &Existing::default(), ApplyOptions::default());
    let errors = wrong.err().unwrap().join("\n");
    assert!(
        errors.contains("`country_code` is \"+44\"; it must be"),
        "{errors}"
    );
}
