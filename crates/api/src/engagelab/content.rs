//! What may stand in the text of a template (docs/dialects/engagelab.md).

use engine::sms::template::unread_placeholder;

/// What no content of generation A may have in it, as the console's page lists it.
const FORBIDDEN_A: [&str; 6] = ["【", "】", "[", "]", "测试", "test"];
/// What no content of generation C may have in it.
const FORBIDDEN_C: [&str; 7] = ["【", "】", "、", "测试", "test", "[", "]"];

/// How a link begins.
const SCHEMES: [&str; 2] = ["http", "https"];

/// The first forbidden thing in a content of generation A. The list is taken literally: `latest` has `test` in it, and
/// `Test` has not.
pub(super) fn forbidden_a(text: &str) -> Option<&'static str> {
    forbidden(text, &FORBIDDEN_A)
}

/// The first forbidden thing in a content of generation C.
pub(super) fn forbidden_c(text: &str) -> Option<&'static str> {
    forbidden(text, &FORBIDDEN_C)
}

fn forbidden(text: &str, words: &[&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| text.contains(word))
}

/// Whether a text, new or other than the known one, has something that looks like a placeholder and is none: it would be
/// sent as it stands. A text of before stays as it is.
pub(super) fn has_unread_placeholder(text: &str, known: Option<&str>) -> bool {
    known != Some(text) && unread_placeholder(text).is_some()
}

/// Whether every link begins with `http://` or `https://` and has a blank, or the end of the text, on both sides. A link
/// is a run of printable ASCII with `://` in it, or one that begins with `www.`.
pub(super) fn links_stand_alone(text: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_graphic()) {
        let (skipped, run_on) = rest.split_at(start);
        let end = run_on
            .find(|c: char| !c.is_ascii_graphic())
            .unwrap_or(run_on.len());
        let (run, behind) = run_on.split_at(end);
        if !run_is_fine(run, skipped.chars().next_back(), behind.chars().next()) {
            return false;
        }
        rest = behind;
    }
    true
}

fn run_is_fine(run: &str, before: Option<char>, behind: Option<char>) -> bool {
    if !run.contains("://") {
        return !starts_with_www(run);
    }
    let alone = |neighbour: Option<char>| neighbour.is_none_or(char::is_whitespace);
    let scheme = run.split("://").next().unwrap_or_default();
    let known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    known && alone(before) && alone(behind)
}

fn starts_with_www(run: &str) -> bool {
    run.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("www."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lists_of_both_generations_are_taken_literally() {
        for (text, a, c) in [
            ("Your code is %code%", None, None),
            ("【Acme】 code", Some("【"), Some("【")),
            ("code】", Some("】"), Some("】")),
            ("[Acme", Some("["), Some("[")),
            ("Acme]", Some("]"), Some("]")),
            ("这是测试", Some("测试"), Some("测试")),
            ("a test", Some("test"), Some("test")),
            ("the latest", Some("test"), Some("test")),
            ("A Test", None, None),
            ("一、二", None, Some("、")),
        ] {
            assert_eq!((forbidden_a(text), forbidden_c(text)), (a, c), "{text}");
        }
    }

    #[test]
    fn links_stand_alone_and_begin_as_links_do() {
        for (text, fine) in [
            ("no link: 3/4, a.b, x:y", true),
            ("https://x.example/a?b=%c%", true),
            ("see http://x.example now", true),
            ("see HTTPS://x.example", true),
            ("两行\nhttps://x.example\n", true),
            ("see https://x.example.", true),
            ("see:https://x.example", false),
            ("看https://x.example 吧", false),
            ("看 https://x.example吧", false),
            ("看 https://x.example，好", false),
            ("(https://x.example)", false),
            ("ftp://x.example", false),
            ("see ://x.example", false),
            ("https://a.example/?to=https://b.example", true),
            ("www.x.example", false),
            ("see WWW.x.example", false),
            ("www", true),
        ] {
            assert_eq!(links_stand_alone(text), fine, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(.|https?://|www\\.|【|测){0,60}") {
            let _ = (forbidden_a(&text), forbidden_c(&text), links_stand_alone(&text));
        }

        #[test]
        fn a_link_between_blanks_is_fine_wherever_it_stands(
            before in "[a-z小]{0,8}", path in "[a-z0-9./?=&%-]{1,20}", behind in "[a-z小]{0,8}",
        ) {
            let text = format!("{before} https://{path} {behind}");
            prop_assert!(links_stand_alone(&text) || before.starts_with("www.") || behind.starts_with("www."));
            if before.ends_with('小') {
                let text = format!("{before}https://{path} {behind}");
                prop_assert!(!links_stand_alone(&text));
            }
        }
    }
}
