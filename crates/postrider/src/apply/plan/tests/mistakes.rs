//! All mistakes of a file are reported, each with its line.

use super::*;

#[test]
fn every_mistake_is_named_with_its_line() {
    let cases = [
        (
            "[[account]]\nname = \"\"",
            "line 2: account \"\": a name must have 1 to 64",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account]]\nname = \"a\"",
            "line 4: account \"a\" is defined twice",
        ),
        (
            "[[account]]\nname = \"a\"\nweight = 0",
            "line 3: account \"a\": `weight` is 0; it must be 1 to 1000",
        ),
        (
            "[[account]]\nname = \"a\"\nid = 1\n[[account]]\nname = \"b\"\nid = 1",
            "line 6: account \"b\" has the id 1 of account \"a\"",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"",
            "line 3: credential a/ucloud/k is new and has no secret",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"engagelab\"\nkey = \"k:1\"\nsecret = \"s\"",
            "line 5: credential a/engagelab/k:1: the key must not contain a colon",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"\nsecret_file = \"f\"",
            "line 6: credential a/ucloud/k: secret_file f: ",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.signature]]\ntext = \"[A]\"",
            "line 4: signature a/[A]: write the text without brackets",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\nsignature = \"S\"",
            "line 7: template a/t: account \"a\" has no signature \"S\"",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\nnumber = -3",
            "line 7: template a/t: `number` is -3; it must be above 0",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"Hi {{ name }}\"",
            "line 6: template a/t: \"{{ name }}\" is not a placeholder and would be sent unchanged; placeholders are {1}",
        ),
        (
            "[[carrier]]\ntype = \"sandbox\"",
            "line 1: a carrier needs a `name`",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"http\"",
            "line 3: carrier \"c\": `type` is \"http\"; it must be \"smpp\" or \"sandbox\"",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nwindow = 5",
            "line 5: carrier \"c\": unknown key `window`; did you mean `window_max`?",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nwindow_max = 5000",
            "line 5: carrier \"c\": `window_max` is 5000; it must be 1 to 2000",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\ninbound_per_s_max = 1000001",
            "line 5: carrier \"c\": `inbound_per_s_max` is 1000001; it must be 0 to 1000000",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nbind = \"both\"",
            "line 5: carrier \"c\": `bind` is \"both\"; it must be one of \"transceiver\", \"transmitter_receiver\"",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nid_notation = \"roman\"",
            "line 5: carrier \"c\": `id_notation`: an id notation is one of",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nstatus_classes = { \"0x400\" = \"bad\" }",
            "line 5: carrier \"c\": `status_classes`: \"bad\" is not one of",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nreceipt_for = \"all\"",
            "line 5: carrier \"c\": `receipt_for` is \"all\"; it must be one of \"part\", \"message\"",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nreceipt_words = { FAILED = \"lost\" }",
            "line 5: carrier \"c\": `receipt_words`: \"lost\", the meaning of \"FAILED\", is not one of delivered, undelivered",
        ),
        (
            "[[route]]\ncarriers = [\"c\"]",
            "line 2: route 1: there is no carrier \"c\"",
        ),
        ("[[route]]\ncarriers = []", "line 2: route 1 has no `carriers`"),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"sandbox\"\n[[route]]\nprefixes = [\"0044\"]\ncarriers = [\"c\"]",
            "line 5: route 1: prefix \"0044\" is not the beginning",
        ),
        (
            "[[suppression]]\nnumber = \"12-34\"\nkind = \"unsubscribed\"",
            "line 2: suppression: the number 12-** is not an international number",
        ),
        (
            "[[suppression]]\nnumber = \"447700900123\"\nkind = \"blocked\"",
            "line 3: suppression: kind \"blocked\" is for one account",
        ),
    ];
    for (text, expected) in cases {
        let wrong = plan_with(text, &Existing::default(), ApplyOptions::default())
            .err()
            .unwrap_or_default();
        assert!(
            wrong.len() == 1 && wrong[0].starts_with(expected),
            "{text:?} gave: {wrong:?}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "[[route]]\ncarriers = [\"c\"]\n[[account]]\nname = \"a\"\nweight = 0\n";
    let wrong = plan_with(text, &Existing::default(), ApplyOptions::default()).unwrap_err();
    assert_eq!(wrong.len(), 2);
    assert!(
        wrong[0].starts_with("line 2") && wrong[1].starts_with("line 5"),
        "{wrong:?}"
    );
}

#[test]
fn a_key_pair_too_long_for_the_documented_curl_is_noted() {
    let pair = |secret: &str| {
        let text = format!(
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"uspeedo\"\nkey = \"k\"\nsecret = \"{secret}\"\n"
        );
        plan_with(&text, &Existing::default(), ApplyOptions::default())
            .unwrap()
            .notes
    };
    assert!(pair(&"s".repeat(55)).is_empty());
    assert!(pair(&"s".repeat(56))[0].contains("credential a/uspeedo/k"));
}

#[test]
fn mistakes_of_all_kinds_and_tables_come_in_one_run() {
    let text = r#"[[account]]
name = "shop"
balance = lots
weight = 70000
per_minute = 2
[[account.credential]]
family = "usped"
key = "k"
secret = "s"
[[account.template]]
name = "code"
class = "transactional"
text = "Your code is {1}"
[[carrier]]
name = "north"
type = "smpp"
system_id = "p"
port = 70000
window_max = 0
tls = { enabled = "yes" }
id_notation = "roman"
[[carier]]
name = "x"
[[route]]
carriers = ["nroth"]
accounts = ["shpo"]
[[suppression]]
number = "07700900123"
kind = "banned"
[[suppression]]
number = "07700900123"
kind = "blocked"
account = "shoop"
"#;
    let expected = [
        "line 3: `balance`: a string needs quotes: balance = \"lots\"",
        "line 4: account \"shop\": `weight` is 70000; it must be 1 to 1000",
        "line 5: account \"shop\": unknown key `per_minute`; did you mean `per_minute_max`?",
        "line 7: credential shop/usped/k: `family` is \"usped\"; it must be one of \"uspeedo\", \"ucloud\", \"sendcloud\", \
         \"engagelab\", \"engagelab_dev\"; did you mean \"uspeedo\"?",
        "line 12: template shop/code: `class` is \"transactional\"; it must be one of \"otp\", \"notice\", \"marketing\"",
        "line 18: carrier \"north\": `port` is 70000; it must be 1 to 65535",
        "line 19: carrier \"north\": `window_max` is 0; it must be 1 to 2000",
        "line 20: carrier \"north\": `tls.enabled` must be true or false, not a string in quotes",
        "line 21: carrier \"north\": `id_notation`: an id notation is one of as_is, hex, decimal, \
         hex_submit_decimal_receipt, decimal_submit_hex_receipt, not \"roman\"",
        "line 22: unknown key `carier`; did you mean `carrier`?",
        "line 25: route 1: there is no carrier \"nroth\"; did you mean \"north\"?",
        "line 26: route 1: there is no account \"shpo\"; did you mean \"shop\"?",
        "line 28: suppression: the number 077******** is not an international number (digits of E.164, with or without +, \
         such as \"+447700900123\")",
        "line 29: suppression: `kind` is \"banned\"; it must be one of \"global\", \"blocked\", \"unsubscribed\"",
        "line 31: suppression: the number 077******** is not an international number (digits of E.164, with or without +, \
         such as \"+447700900123\")",
        "line 33: suppression: there is no account \"shoop\"; did you mean \"shop\"?",
    ];
    assert_eq!(
        plan_with(text, &Existing::default(), ApplyOptions::default()).unwrap_err(),
        expected
    );
}

#[test]
fn a_byte_order_mark_moves_no_line() {
    let text = "\u{feff}[[account]]\nname = \"a\"\nwieght = 2\n";
    let wrong = plan_with(text, &Existing::default(), ApplyOptions::default()).unwrap_err();
    assert_eq!(
        wrong,
        ["line 3: account \"a\": unknown key `wieght`; did you mean `weight`?"]
    );
}

#[test]
fn a_file_with_a_thousand_mistakes_reports_a_hundred() {
    let text = "[[route]]\ncarriers = [\"nowhere\"]\n".repeat(1000);
    let file = File::parse(&text);
    let environment = Environment {
        variable: &|_| None,
        read: &|_| Err(io::ErrorKind::NotFound.into()),
        check_authorities: &|_| Ok(()),
    };
    let wrong = plan(Inputs {
        text: &text,
        file: &file,
        existing: &Existing::default(),
        sealer: &sealer(),
        environment,
        webhook_formats: &WebhookFormats::all(),
        allow: None,
        options: ApplyOptions::default(),
        now: NOW,
    })
    .unwrap_err();
    assert_eq!((wrong.list.len(), wrong.more), (100, 900));
}

#[test]
fn every_mistake_of_one_entry_is_reported_in_one_run() {
    let text = r#"
[[account]]
name = "a/b"
weight = "two"
blocked_words = ["", "x", " "]
inbound_to = [""]
[[account.credential]]
family = "sendcloud"
key = "with space"
secret = "s"
secret_env = "S"
[[account.template]]
name = " "
class = "otp"
text = "Hi {{ name }}"
signature = "None"
ttl_s = 5
number = -1
ut_id = "a b"
[[account.webhook]]
name = "c/d"
format = "standrad"
url = "ftp://x"
events = []
settings = { concurrency = 0 }
[[carrier]]
name = "north"
type = "smp"
system_id = "s"
port = 0
dest_ton_npi = [1, 1, 1]
source_ton_npi = [1]
tlvs = { "abc" = "x", "0x1401" = { hex = "0" }, "0x020c" = "x" }
[[suppression]]
number = "12"
kind = "global"
account = "nobody"
"#;
    let wrong = plan_with(text, &Existing::default(), ApplyOptions::default()).unwrap_err();
    let expected = [
        "line 3: account \"a/b\": a name must not contain `/`",
        "line 4: account \"a/b\": `weight` must be a whole number from 1 to 1000, not a string in quotes",
        "line 5: account \"a/b\": `blocked_words`: \"\" has no visible character",
        "line 5: account \"a/b\": `blocked_words`: \" \" has no visible character",
        "line 6: account \"a/b\": `inbound_to[0]` is empty",
        "line 9: credential a/b/sendcloud/with space: a key must be printable ASCII",
        "line 11: credential a/b/sendcloud/with space: give only one of secret",
        "line 13: template a/b/ : a name must not begin or end",
        "line 15: template a/b/ : \"{{ name }}\" is not a placeholder",
        "line 16: template a/b/ : account \"a/b\" has no signature \"None\"",
        "line 17: template a/b/ : `ttl_s` is 5",
        "line 18: template a/b/ : `number` is -1",
        "line 19: template a/b/ : `ut_id` \"a b\"",
        "line 21: webhook a/b/c/d: a name must not contain `/`",
        "line 22: webhook a/b/c/d: unknown format \"standrad\"; did you mean `standard`?",
        "line 23: webhook a/b/c/d: `url` must begin with http",
        "line 24: webhook a/b/c/d: `events` is empty",
        "line 25: webhook a/b/c/d: settings: `concurrency` is 0; it must be 1 to 256",
        "line 28: carrier \"north\": `type` is \"smp\"; it must be \"smpp\" or \"sandbox\"; did you mean \"smpp\"?",
        "line 30: carrier \"north\": `port` is 0; it must be 1 to 65535",
        "line 31: carrier \"north\": `dest_ton_npi` has 3 values; it must be a list of 2 values",
        "line 32: carrier \"north\": `source_ton_npi` has 1 value; it must be a list of 2 values",
        "line 33: carrier \"north\": `tlvs`: \"0x020c\" is set by Postrider itself",
        "line 33: carrier \"north\": `tlvs`: \"0x1401\": the value is not hexadecimal",
        "line 33: carrier \"north\": `tlvs`: \"abc\" is not a tag",
        "line 35: suppression: the number 12 is not an international number",
        "line 36: suppression: kind \"global\" is for all accounts",
        "line 37: suppression: there is no account \"nobody\"",
    ];
    let numbered = |line: &str| {
        let (at, said) = line.split_once(": ").unwrap();
        (at["line ".len()..].parse::<usize>().unwrap(), said.to_owned())
    };
    let found: Vec<_> = wrong.iter().map(|line| numbered(line)).collect();
    for expected in expected {
        let (at, said) = numbered(expected);
        assert!(
            found
                .iter()
                .any(|(line, message)| *line == at && message.starts_with(&said)),
            "{expected} is not in:\n{}",
            wrong.join("\n")
        );
    }
    assert_eq!(wrong.len(), expected.len(), "{}", wrong.join("\n"));
}

#[test]
fn a_header_that_does_not_read_is_one_mistake() {
    let wrong = plan_with(
        "[[account]\nname = \"x\"\n",
        &Existing::default(),
        ApplyOptions::default(),
    )
    .unwrap_err();
    assert_eq!(
        wrong,
        ["line 1: invalid TOML: unclosed array table, expected `]`"]
    );
}
