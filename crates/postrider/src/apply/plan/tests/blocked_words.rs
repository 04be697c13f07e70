//! Words that no text may have, for all accounts and for one.

use super::*;

const LISTS: &str = r#"
[[account]]
name = "acme"
blocked_words = ["rival"]

[[blocked_words]]
name = "gambling"
words = ["casino", "发票"]

[[blocked_words]]
name = "none"
words = []
"#;

fn lines(plan: &Plan) -> Vec<String> {
    plan.lines.iter().map(ToString::to_string).collect()
}

#[test]
fn lists_are_put_changed_kept_and_pruned_by_name() {
    let mut existing = Existing::default();
    let plan = plan_with(LISTS, &existing, ApplyOptions::default()).unwrap();
    assert!(
        lines(&plan).contains(&"+ blocked words gambling\n      words: +casino, +发票".to_owned()),
        "{:?}",
        lines(&plan)
    );
    carry_out(&mut existing, plan);
    let words: Vec<Box<str>> = vec!["casino".into(), "发票".into()];
    assert_eq!(existing.catalog.blocked_words[0].words, words);
    assert_eq!(existing.catalog.accounts[0].blocked_words, ["rival".into()]);
    let again = plan_with(LISTS, &existing, ApplyOptions::default()).unwrap();
    assert!(again.changes.is_empty(), "{:?}", lines(&again));

    let other = "[[blocked_words]]\nname = \"gambling\"\nwords = [\"casino\", \"bet\"]\n[[account]]\nname = \"acme\"\nweight = 2";
    let plan = plan_with(other, &existing, ApplyOptions::default()).unwrap();
    let changes = lines(&plan);
    assert!(
        changes.contains(&"~ blocked words gambling\n      words: +bet, -发票".to_owned()),
        "{changes:?}"
    );
    assert!(
        changes.contains(&"= blocked words none".to_owned()),
        "{changes:?}"
    );
    carry_out(&mut existing, plan);
    assert_eq!(
        existing.catalog.accounts[0].blocked_words,
        ["rival".into()],
        "not named: it stays"
    );

    let prune = ApplyOptions {
        prune: true,
        ..ApplyOptions::default()
    };
    let plan = plan_with("[[account]]\nname = \"acme\"", &existing, prune).unwrap();
    carry_out(&mut existing, plan);
    assert!(existing.catalog.blocked_words.is_empty());
}

#[test]
fn invalid_lists_of_blocked_words_are_reported() {
    for (text, complaint) in [
        (
            "[[blocked_words]]\nwords = [\"a\"]",
            "line 1: a list of blocked words needs a `name`",
        ),
        (
            "[[blocked_words]]\nname = \"a\"",
            "line 1: the list of blocked words \"a\" is new and needs a `words`",
        ),
        (
            "[[blocked_words]]\nname = \"a\"\nwords = [\" \"]",
            "line 3: blocked words \"a\": \" \" has no visible character",
        ),
        (
            "[[blocked_words]]\nname = \"a\"\nwords = []\n[[blocked_words]]\nname = \"a\"\nwords = []",
            "line 5: blocked words \"a\" are defined twice in this file",
        ),
        (
            "[[blocked_words]]\nname = \"a\"\nword = []",
            "line 3: blocked words \"a\": unknown key `word`; did you mean `words`?",
        ),
        (
            "[[blocked_word]]\nname = \"a\"",
            "line 1: unknown key `blocked_word`; did you mean `blocked_words`?",
        ),
        (
            "[[account]]\nname = \"a\"\nblocked_words = [\"\\u200b\"]",
            "line 3: account \"a\": `blocked_words`: \"\\u{200b}\" has no visible character",
        ),
    ] {
        let wrong = plan_with(text, &Existing::default(), ApplyOptions::default()).unwrap_err();
        assert!(
            wrong.iter().any(|one| one.starts_with(complaint)),
            "{text:?} gave: {wrong:?}"
        );
    }
}
