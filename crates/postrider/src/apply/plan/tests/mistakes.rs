//! What is wrong with a file is told, all of it, and where.

use super::*;

#[test]
fn every_mistake_is_named_with_its_line() {
    let cases = [
        (
            "[[account]]\nname = \"\"",
            "line 1: account \"\": a name has 1 to 64",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account]]\nname = \"a\"",
            "line 3: account \"a\" stands twice",
        ),
        (
            "[[account]]\nname = \"a\"\nweight = 0",
            "line 1: account \"a\": weight is 0, not 1 to 1000",
        ),
        (
            "[[account]]\nname = \"a\"\nid = 1\n[[account]]\nname = \"b\"\nid = 1",
            "line 4: account \"b\" has the id 1 of account \"a\"",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"",
            "line 3: credential a/ucloud/k is new and has no secret",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"engagelab\"\nkey = \"k:1\"\nsecret = \"s\"",
            "line 3: credential a/engagelab/k:1: a colon in the key",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"\nsecret_file = \"f\"",
            "line 3: credential a/ucloud/k: secret_file f: ",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.signature]]\ntext = \"[A]\"",
            "line 3: signature a/[A]: write the text without brackets",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\nsignature = \"S\"",
            "line 3: template a/t: account \"a\" has no signature \"S\"",
        ),
        (
            "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\nnumber = -3",
            "line 3: template a/t: number -3 is not positive",
        ),
        (
            "[[carrier]]\ntype = \"sandbox\"",
            "line 1: a carrier needs a `name`",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"http\"",
            "line 1: carrier \"c\": `type` is \"smpp\" or \"sandbox\"",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nwindow = 5",
            "line 1: carrier \"c\": unknown key `window`; did you mean `window_max`?",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nwindow_max = 5000",
            "line 1: carrier \"c\": `window_max` is 5000; it must be 1 to 2000",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nbind = \"both\"",
            "line 1: carrier \"c\": `bind`: unknown variant `both`",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nid_notation = \"roman\"",
            "line 1: carrier \"c\": `id_notation`: an id notation is one of",
        ),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nsystem_id = \"p\"\nstatus_classes = { \"0x400\" = \"bad\" }",
            "line 1: carrier \"c\": `status_classes`: \"bad\" is not one of",
        ),
        (
            "[[route]]\ncarriers = [\"c\"]",
            "line 1: route 1: there is no carrier \"c\"",
        ),
        ("[[route]]\ncarriers = []", "line 1: route 1 has no `carriers`"),
        (
            "[[carrier]]\nname = \"c\"\ntype = \"sandbox\"\n[[route]]\nprefixes = [\"0044\"]\ncarriers = [\"c\"]",
            "line 4: route 1: prefix \"0044\" is not the beginning",
        ),
        (
            "[[suppression]]\nnumber = \"12-34\"\nkind = \"unsubscribed\"",
            "line 1: suppression: the number is not an international one",
        ),
        (
            "[[suppression]]\nnumber = \"447700900123\"\nkind = \"blocked\"",
            "line 1: suppression: kind \"blocked\" is for one account",
        ),
    ];
    for (text, expected) in cases {
        let wrong = plan_with(text, &Existing::default(), Wishes::default())
            .err()
            .unwrap_or_default();
        assert!(
            wrong.len() == 1 && wrong[0].starts_with(expected),
            "{text:?} gave: {wrong:?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "[[route]]\ncarriers = [\"c\"]\n[[account]]\nname = \"a\"\nweight = 0\n";
    let wrong = plan_with(text, &Existing::default(), Wishes::default()).unwrap_err();
    assert_eq!(wrong.len(), 2);
    assert!(
        wrong[0].starts_with("line 1") && wrong[1].starts_with("line 3"),
        "{wrong:?}"
    );
}

#[test]
fn a_key_pair_too_long_for_the_documented_curl_is_noted() {
    let pair = |secret: &str| {
        let text = format!(
            "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"uspeedo\"\nkey = \"k\"\nsecret = \"{secret}\"\n"
        );
        plan_with(&text, &Existing::default(), Wishes::default())
            .unwrap()
            .notes
    };
    assert!(pair(&"s".repeat(55)).is_empty());
    assert!(pair(&"s".repeat(56))[0].contains("credential a/uspeedo/k"));
}
