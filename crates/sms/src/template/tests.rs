use proptest::prelude::*;

use super::*;

/// Text that would be sent unchanged although it was meant as a placeholder is found; other text is not.
#[test]
fn what_looks_like_a_placeholder_and_is_none_is_found() {
    for (text, found) in [
        ("Hi {{ name }}, bye", "{{ name }}"),
        ("Hi {{name }}", "{{name }}"),
        ("Hi { name }", "{ name }"),
        ("Hi {first name}", "{first name}"),
        ("尊敬的%姓名%您好", "%姓名%"),
        ("Hi % name %!", "% name %"),
        ("Hi %user.name%", "%user.name%"),
        ("Hi {姓名}", "{姓名}"),
        ("Hi {{姓名}}", "{{姓名}}"),
        ("Hi {user.name}", "{user.name}"),
        ("Hi {{user.name|upper}}", "{{user.name|upper}}"),
        ("Hi {}", "{}"),
        ("Hi {{}}", "{{}}"),
        ("code {0}", "{0}"),
        ("code {1}, {00}", "{00}"),
        ("{%name%}", "{%name%}"),
        ("{-name}", "{-name}"),
        ("{name,}", "{name,}"),
        ("%ＮＡＭＥ%", "%ＮＡＭＥ%"),
        (
            "{aaaaaaaaaabbbbbbbbbbccccccccccddd}",
            "{aaaaaaaaaabbbbbbbbbbccccccccccddd}",
        ),
        (
            "%aaaaaaaaaabbbbbbbbbbccccccccccddd%",
            "%aaaaaaaaaabbbbbbbbbbccccccccccddd%",
        ),
        ("{1} and {2 }", "{2 }"),
        ("see https://x.example/{姓名}", "{姓名}"),
    ] {
        assert_eq!(unread_placeholder(text), Some(found), "{text}");
    }
    for text in [
        "",
        "Hello",
        "Your code is {1}",
        "{1} {2} {10}",
        "%code% {{code}} {code} %1% %0% {{0}}",
        "50% off 20% on",
        "save 20%-30%",
        "5 % today and 7 % tomorrow",
        "满100%返利50%优惠",
        "１００%返利５０%",
        "打8折,80%的用户,20%的人",
        "100%",
        "%%",
        "a lone { brace",
        "a lone } brace",
        ":-{",
        "{ one\ntwo }",
        "Tax % for %name%",
        "https://x.example/?q=%E4%BD%A0%20%E5%A5%BD",
        "https://x.example/?id=%id%&n={1}",
        "{\"code\": \"{code}\"}",
        "$ {1}",
        "Pay ${amount}",
        "{ a very long passage in braces that somebody wrote as plain text for whatever reason there was }",
    ] {
        assert_eq!(unread_placeholder(text), None, "{text}");
    }
}

fn names(text: &str) -> Vec<String> {
    Template::parse(text)
        .variables()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn by_position(text: &str, values: &[&str]) -> String {
    let template = Template::parse(text);
    let values: Vec<Box<str>> = values.iter().map(|value| Box::from(*value)).collect();
    let resolved = template.resolve_positional(&values);
    template.render(&resolved.iter().map(Option::as_deref).collect::<Vec<_>>())
}

fn by_name(text: &str, values: &[(&str, &str)]) -> String {
    let template = Template::parse(text);
    let resolved = template.resolve_named(values.iter().copied());
    template.render(&resolved.iter().map(Option::as_deref).collect::<Vec<_>>())
}

#[test]
fn every_spelling_is_a_variable() {
    for (text, variables) in [
        ("your code is {1}", &["1"][..]),
        ("Welcome to the %sp% SMS service", &["sp"]),
        ("code %code%", &["code"]),
        ("{{name}}, order {order_no}", &["name", "order_no"]),
        ("{1}", &["1"]),
        ("%1%%2%", &["1", "2"]),
        ("%a-b_C9%", &["a-b_C9"]),
        ("您的验证码是{1}，%name%。", &["1", "name"]),
        ("{name} %name% {{name}}", &["name"]),
        ("{%name%}", &["name"]),
        ("{{{x}}}", &["x"]),
        ("%%name%%", &["name"]),
        ("5%%name%", &["name"]),
        ("20%off{1}%", &["1"]),
        (
            "%aaaaaaaaaabbbbbbbbbbccccccccccdd%",
            &["aaaaaaaaaabbbbbbbbbbccccccccccdd"],
        ),
        ("https://example.com/%id%?c={1}", &["id", "1"]),
        ("https://example.com/{ab}12 %ab%12", &["ab"]),
    ] {
        assert_eq!(names(text), variables, "{text}");
        assert!(!is_plain(text), "{text}");
    }
}

#[test]
fn everything_else_is_text() {
    for text in [
        "",
        "50% off 20% on",
        "save 20%-30% today",
        "{}",
        "{{}}",
        "%%",
        "%",
        "{",
        "}{",
        "{ 1 }",
        "{{1}",
        "{1",
        "%变量%",
        "{é}",
        "${",
        "%aaaaaaaaaabbbbbbbbbbccccccccccddd%",
        "{aaaaaaaaaabbbbbbbbbbccccccccccddd}",
        "https://example.com/?q=%E4%BD%A0%20ab%20c",
    ] {
        let template = Template::parse(text);
        let inner = if text == "{{1}" { 1 } else { 0 };
        assert_eq!(template.variables().len(), inner, "{text}");
        assert_eq!(is_plain(text), inner == 0, "{text}");
        assert_eq!(template.render(&[]), text);
    }
}

#[test]
fn percent_encoding_is_recognised_by_its_link() {
    assert_eq!(names("%date%20:00"), ["date"], "no link before it");
    assert_eq!(
        names("https://example.com 于%date%20点"),
        ["date"],
        "the link has ended"
    );
    assert_eq!(names("https://example.com/%code1%"), ["code1"]);
    assert_eq!(
        by_position("https://example.com/%E4%BD%A0 code {1}", &["8341"]),
        "https://example.com/%E4%BD%A0 code 8341"
    );
}

#[test]
fn numbers_are_positions_when_all_names_are_numbers() {
    for (text, values, rendered) in [
        ("{2} {1}", &["a", "b"][..], "b a"),
        ("{1} {2} {1}", &["a", "b"], "a b a"),
        ("{10} {9}", &["a", "b"], "b a"),
        ("{1} {3}", &["a", "b"], "a b"),
        ("%2% {{1}}", &["a", "b"], "b a"),
        ("{1} {2}", &["a"], "a {2}"),
        ("{1}", &["a", "surplus"], "a"),
        ("{0} {00000000000000000000000000000001}", &["a", "b"], "a b"),
    ] {
        assert_eq!(by_position(text, values), rendered, "{text}");
    }
}

#[test]
fn positions_follow_first_appearance_when_there_are_names() {
    for (text, values, rendered) in [
        ("%b% %a% %b%", &["1", "2"][..], "1 2 1"),
        ("%name%, code {1}", &["Lucy", "8341"], "Lucy, code 8341"),
        ("{2} {name} {1}", &["a", "b", "c"], "a b c"),
    ] {
        assert_eq!(by_position(text, values), rendered, "{text}");
    }
}

#[test]
fn names_are_found_with_and_without_marks() {
    for (text, values, rendered) in [
        (
            "Welcome to the %sp% SMS service",
            &[("sp", "engagelab")][..],
            "Welcome to the engagelab SMS service",
        ),
        (
            "%name% owes %money%",
            &[("name", "lucy"), ("%money%", "100")],
            "lucy owes 100",
        ),
        ("code %code%", &[("{code}", "8341")], "code 8341"),
        ("code {code}", &[("{{code}}", "8341")], "code 8341"),
        ("code {1}", &[("1", "8341")], "code 8341"),
        (
            "code {{code}}, %name%",
            &[("2", "Lucy"), ("1", "8341")],
            "code 8341, Lucy",
        ),
        ("%code%", &[("code", "old"), ("%code%", "new")], "new"),
        ("%code%", &[("Code", "x")], "%code%"),
        ("%code% {other}", &[("code", "x")], "x {other}"),
        (
            "%code%",
            &[
                ("%code", "x"),
                ("", "y"),
                ("0", "z"),
                ("99999999999999999999999", "z"),
            ],
            "%code%",
        ),
    ] {
        assert_eq!(by_name(text, values), rendered, "{text} {values:?}");
    }
}

#[test]
fn a_name_beats_a_position() {
    // "1" is the second variable's name and the first one's position.
    assert_eq!(by_name("%name% {1}", &[("1", "x")]), "%name% x");
    assert_eq!(
        by_name("%name% {5}", &[("2", "placed"), ("5", "named")]),
        "%name% named"
    );
    assert_eq!(
        by_name("%name% {5}", &[("5", "named"), ("2", "placed")]),
        "%name% named"
    );
    // If all names are numbers, a number is never a position.
    assert_eq!(by_name("{1} {3}", &[("1", "a"), ("2", "b")]), "a {3}");
}

#[test]
fn names_that_fill_nothing_are_reported() {
    let template = Template::parse("%code% {name}");
    let surplus: Vec<&str> = template
        .surplus_named(["code", "%name%", "2", "3", "%Code%"])
        .collect();
    assert_eq!(surplus, ["3", "%Code%"]);
}

#[test]
fn values_are_text_and_never_placeholders() {
    assert_eq!(by_position("{1} {2}", &["{2}", "%x%"]), "{2} %x%");
    assert_eq!(by_position("%a%b%", &["{1}"]), "{1}b%");
}

#[test]
fn rendering_goes_on_from_what_is_there() {
    let mut out = String::from("【Postrider】");
    Template::parse("code {1}.").render_into(&mut out, &[Some("8341")]);
    assert_eq!(out, "【Postrider】code 8341.");
    assert_eq!(Template::parse("code {1}.").text(), "code {1}.");
}

#[test]
fn links_are_seen_in_any_case() {
    for text in [
        "http://a",
        "see https://a.example",
        "HTTPS://A",
        "xhttp://",
        "a://b http://c",
        "中http://",
    ] {
        assert!(contains_link(text), "{text}");
    }
    for text in [
        "",
        "http:/a",
        "://",
        "ttp://a",
        "ftp://a",
        "www.a.example",
        "httpss://a",
        "http ://",
        "中://",
    ] {
        assert!(!contains_link(text), "{text}");
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Variable { name: String, spelling: usize },
}

fn written(name: &str, spelling: usize) -> String {
    match spelling {
        0 => format!("{{{name}}}"),
        1 => format!("{{{{{name}}}}}"),
        _ => format!("%{name}%"),
    }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let literal = "[^{}%]{0,12}".prop_map(Piece::Literal);
    let variable = ("[a-d]|[1-4]|[A-Za-z0-9_][A-Za-z0-9_-]{0,31}", 0..3usize)
        .prop_map(|(name, spelling)| Piece::Variable { name, spelling });
    proptest::collection::vec(prop_oneof![literal, variable], 0..12)
}

#[test]
fn a_name_means_the_variable_that_its_value_goes_to() {
    for text in [
        "{{code}} and {{name}}",
        "{{2}} then {{1}}",
        "{a} %b%",
        "no variables",
    ] {
        let template = Template::parse(text);
        for given in [
            "code", "{{code}}", "%name%", "{{name}", "1", "2", "01", "3", "a", "%b%", "",
        ] {
            let resolved = template.resolve_named([(given, "x")]);
            let meant = resolved.iter().position(Option::is_some);
            assert_eq!(template.variable_named(given), meant, "{given} in {text}");
        }
    }
}

proptest! {
    #[test]
    fn rendering_is_replacing_each_placeholder(pieces in pieces(), missing in 0..4usize) {
        let text: String = pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Variable { name, spelling } => written(name, *spelling),
        }).collect();
        // In a link percent signs have a second meaning, which has a test of its own.
        prop_assume!(!text.contains("://"));
        let template = Template::parse(&text);
        let value = |name: &str| (name.len() % 4 != missing).then(|| format!("<{{1}}%a%{name}>"));
        let expected: String = pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Variable { name, spelling } => value(name).unwrap_or_else(|| written(name, *spelling)),
        }).collect();

        let values: Vec<Option<String>> = template.variables().iter().map(|name| value(name)).collect();
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        prop_assert_eq!(template.render(&values), &*expected);

        let named: Vec<(String, String)> = template
            .variables()
            .iter()
            .filter_map(|name| Some((name.to_string(), value(name)?)))
            .collect();
        let resolved = template.resolve_named(named.iter().map(|(name, value)| (&**name, &**value)));
        prop_assert_eq!(resolved.iter().map(Option::as_deref).collect::<Vec<_>>(), values);
    }

    #[test]
    fn every_text_is_a_template(text in "[a-e1-3{}%:/ é中-]{0,80}|\\PC*") {
        let template = Template::parse(&text);
        prop_assert_eq!(template.render(&[]), &*text);
        prop_assert_eq!(template.text(), &*text);
        let names = template.variables();
        prop_assert!(names.iter().all(|name| (1..=NAME_CHARS_MAX).contains(&name.len())));
        let by_position: Vec<Box<str>> = (0..names.len()).map(|at| at.to_string().into()).collect();
        let by_name = names.iter().map(|name| &**name).zip(by_position.iter().map(|value| &**value));
        prop_assert_eq!(template.resolve_named(by_name), template.resolve_positional(&by_position));
        prop_assert_eq!(template.surplus_named(names.iter().map(|name| &**name)).count(), 0);
    }

    #[test]
    fn links_are_what_a_lower_case_search_finds(text in "(?i)[htps:/ é]{0,20}|(http|ttp|https|s)(://|:/)") {
        let lower = text.to_ascii_lowercase();
        prop_assert_eq!(contains_link(&text), lower.contains("http://") || lower.contains("https://"));
    }
}
