use super::*;
use proptest::prelude::*;

fn words(out: &[&str]) -> Words {
    Words::new(out.iter().copied(), ["START", "UNSTOP"])
}

#[test]
fn a_word_is_known_in_every_form() {
    let words = words(&[
        "STOP", "İPTAL", "Straße", "ARRÊT", "退订", "STOP ALL", "ÇIK", "وقف",
    ]);
    for text in [
        "STOP",
        "stop",
        " Stop\n",
        "stop.",
        "STOP!",
        "STOP\0",
        "STOP\0\0",
        "\"stop\"",
        "“Stop”…",
        "*STOP*",
        "`STOP`",
        "\u{B4}stop\u{B4}\u{200B}",
        "^STOP^",
        "<STOP>",
        "STOP+",
        "STOP \u{1F6D1}",
        "Stop\u{1F64F}\u{1F3FD}",
        "\u{2764}\u{FE0F} stop \u{1F937}\u{1F3FD}\u{200D}\u{2640}\u{FE0F}",
        "STOP\u{20E3}",
        "STOP\u{2800}",
        "STOP\u{FFFC}",
        "STOP@@",
        "ＳＴＯＰ",
        "ｓｔｏｐ．",
        "STOP\u{200B}",
        "S\u{200B}TOP",
        "\u{FEFF}STOP",
        "\u{200E}stop\u{200F}",
        "st\u{AD}op",
        "\u{A0}STOP\u{A0}",
        "\u{3000}STOP\u{3000}",
        "\u{202F}stop",
        "STOP\u{FE0F}",
        "STOP@",
        "STOP\u{FFFD}",
        "stop。",
        "ⓢⓣⓞⓟ",
        "𝐒𝐓𝐎𝐏",
        "ſtop",
        "STOP\r",
        "STOP\u{E0020}",
        "iptal",
        "IPTAL",
        "İPTAL",
        "ıptal",
        "i\u{307}ptal",
        "I\u{307}PTAL",
        "STRASSE",
        "straße",
        "STRAẞE",
        "strasse",
        "ﬆraße",
        "arrêt",
        "ARRÊT",
        "arre\u{302}t",
        "ARRE\u{302}T.",
        "退订",
        "退订。",
        " 退订！",
        "stop all",
        "STOP  ALL",
        "Stop\u{A0}all",
        "stop\n\tall.",
        "çık",
        "ÇIK",
        "çik",
        "c\u{327}ık",
        "وقف",
        "وقف؟",
    ] {
        assert_eq!(words.action(text), Some(KeywordAction::OptOut), "{text:?}");
    }
    for text in ["start", "Start.", "ＵＮＳＴＯＰ"] {
        assert_eq!(words.action(text), Some(KeywordAction::OptIn), "{text:?}");
    }
}

#[test]
fn signs_alone_are_a_word_as_they_are() {
    let words = words(&["\u{1F6D1}", "#"]);
    for text in ["\u{1F6D1}", " \u{1F6D1}\u{FE0F}", "#"] {
        assert_eq!(words.action(text), Some(KeywordAction::OptOut), "{text:?}");
    }
    for text in ["\u{1F44D}", "+", "\u{1F6D1} no"] {
        assert_eq!(words.action(text), None, "{text:?}");
    }
}

#[test]
fn only_a_word_alone_counts() {
    let words = words(&["STOP", "退订", "ARRÊT"]);
    for text in [
        "",
        " ",
        "please stop",
        "stop it",
        "stop stop",
        "s t o p",
        "st-op",
        "stopp",
        "非退订",
        "arret",
        "STOP 1",
        ".",
        "\0",
        "nonstop",
    ] {
        assert_eq!(words.action(text), None, "{text:?}");
    }
    assert_eq!(
        words.action(&format!("stop{}", " ".repeat(TEXT_OCTETS_MAX))),
        None
    );
}

#[test]
fn a_word_of_punctuation_is_itself_only() {
    let words = words(&["!", "", " ", "\u{200B}"]);
    assert_eq!(words.action("!"), Some(KeywordAction::OptOut));
    for text in ["", " ", "?", "\u{200B}"] {
        assert_eq!(words.action(text), None, "{text:?}");
    }
    assert!(Words::new([], []).is_empty());
}

#[test]
fn a_word_in_both_lists_unsubscribes() {
    let words = Words::new(["stop"], ["STOP", "start"]);
    assert_eq!(words.action("Stop"), Some(KeywordAction::OptOut));
}

#[test]
fn letters_of_other_scripts_keep_their_marks() {
    assert_ne!(normal("ż"), normal("z"));
    assert_ne!(normal("é"), normal("e"));
    assert_eq!(normal("Σίσυφος"), normal("ΣΊΣΥΦΟΣ"));
}

#[test]
fn a_dot_above_leaves_its_neighbours_together() {
    assert_eq!(normal("i\u{307}\u{308}"), "ï");
}

#[test]
fn an_accent_that_stands_alone_among_signs_is_taken_from_them() {
    assert_eq!(normal("¨!"), normal("\u{308}!"));
    assert_eq!(normal("\u{308}!"), "\u{308}");
}

proptest! {
    #[test]
    fn any_text_has_a_normal_form(text in any::<String>()) {
        let once = normal(&text);
        prop_assert_eq!(normal(&once), once.clone());
        prop_assert!(once.len() <= text.len() * 36 + 1);
    }

    #[test]
    fn case_does_not_matter(text in "\\PC{0,20}") {
        prop_assert_eq!(normal(&text.to_uppercase()), normal(&text));
    }
}
