//! What a file says of PDUs: senders, TLVs, fields of binds.

use super::*;

const SMPP: &str = "[[carrier]]\nname = \"c\"\ntype = \"smpp\"\nhost = \"127.0.0.1\"\nsystem_id = \"p\"\n";

fn wrong(text: &str) -> Vec<String> {
    plan_with(text, &Existing::default(), ApplyOptions::default())
        .map(|_| ())
        .unwrap_err()
}

#[test]
fn what_fits_no_pdu_is_named_with_its_line() {
    for (line, expected) in [
        (
            "default_sender = \"\u{e9}@1\"",
            "`default_sender` is \"\u{e9}@1\", which no carrier accepts",
        ),
        ("default_sender = \"\u{90ae}\u{9a7f}\"", "`default_sender` is"),
        (
            "default_sender = \"TwelveLetter\"",
            "`default_sender` is \"TwelveLetter\", which no carrier accepts: the sender is too long",
        ),
        (
            "address_range = \"12345678901234567890123456789012345678901\"",
            "`address_range` has 41 octets; at most 40 are allowed",
        ),
        (
            "bind_addr_ton = 300",
            "`bind_addr_ton` is 300; it must be 0 to 255",
        ),
        (
            "bind_rejected_pause_s = 100000",
            "`bind_rejected_pause_s` is 100000; it must be 0 to 86400",
        ),
        (
            "tlvs = { entity = \"1\" }",
            "`tlvs`: \"entity\" is not a tag like \"0x1400\"",
        ),
        (
            "tlvs = { \"0x0424\" = \"1\" }",
            "`tlvs`: \"0x0424\" is set by Postrider itself",
        ),
        (
            "tlvs = { \"0x1400\" = { hex = \"1\" } }",
            "`tlvs`: \"0x1400\": the value is not hexadecimal",
        ),
        (
            "data_coding = \"gsm7_packed\"\ndefault_alphabet = \"ascii\"",
            "`default_alphabet` must be \"gsm7\"",
        ),
        ("default_alphabet = \"utf8\"", "`default_alphabet`"),
        ("long_text = \"payload\"", "`long_text`"),
    ] {
        let errors = wrong(&format!("{SMPP}{line}\n"));
        let last = 5 + line.lines().count();
        assert_eq!(errors.len(), 1, "{line}: {errors:?}");
        assert!(
            errors[0].starts_with(&format!("line {last}: carrier \"c\": ")),
            "{errors:?}"
        );
        assert!(errors[0].contains(expected), "{errors:?}");
    }
    let senders = "[[account]]\nname = \"a\"\nsenders = [\"Acme\", \"A\u{e7}me\"]\n";
    let errors = wrong(senders);
    assert!(
        errors[0].starts_with("line 3: account \"a\": `senders[1]` is \"A\u{e7}me\""),
        "{errors:?}"
    );
    let route = "[[carrier]]\nname = \"box\"\ntype = \"sandbox\"\n[[route]]\nsenders = [\"A\u{e7}me\"]\ncarriers = [\"box\"]\n";
    let errors = wrong(route);
    assert!(
        errors[0].starts_with("line 5: ") && errors[0].contains("`senders[0]` is"),
        "{errors:?}"
    );
    let template = "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\n\
                    [account.template.tlvs]\n\"0x020C\" = \"1\"\n";
    let errors = wrong(template);
    assert!(
        errors[0].contains("template a/t: `tlvs`: \"0x020C\" is set by Postrider itself"),
        "{errors:?}"
    );
}

#[test]
fn what_carriers_really_issue_is_taken() {
    let long = SMPP.replace("\"p\"", "\"a-system-id-of-27-characters\"");
    let more = "default_sender = \" 00447700900555 \"\naddress_range = \"^44\"\nbind_addr_ton = 1\nbind_addr_npi = 1\n\
                tlvs = { \"0x1400\" = \"1101\", \"5121\" = { hex = \"00ff\" } }\n";
    let existing = applied(&format!("{long}{more}"));
    let again = plan_with(&format!("{long}{more}"), &existing, ApplyOptions::default()).unwrap();
    assert!(again.changes.is_empty(), "{}", rendered(&again));
    let snapshot = Snapshot::compile(existing.catalog, &sealer()).unwrap();
    assert_eq!(snapshot.carriers().count(), 1);
}

#[test]
fn tlvs_of_templates_and_signatures_stay_until_they_are_named_or_reset() {
    let file = "[[account]]\nname = \"a\"\n[[account.signature]]\ntext = \"S\"\ntlvs = { \"0x1400\" = \"1101\" }\n\
                [[account.template]]\nname = \"t\"\nclass = \"otp\"\ntext = \"x\"\nsignature = \"S\"\n\
                [account.template.tlvs]\n\"0x1401\" = \"1107\"\n";
    let mut existing = applied(file);
    // What an account noted over an API stays beside it.
    existing.catalog.templates[0].details["usms"] = serde_json::json!({"Tags": [1]});
    let named = |existing: &Existing, line: &str| {
        let text = format!("[[account]]\nname = \"a\"\n[[account.template]]\nname = \"t\"\n{line}\n");
        plan_with(&text, existing, ApplyOptions::default()).unwrap()
    };
    let plan = named(&existing, "text = \"y\"");
    carry_out(&mut existing, plan);
    assert_eq!(
        existing.catalog.templates[0].details["tlvs"],
        serde_json::json!({"0x1401": "1107"})
    );
    let plan = named(&existing, "tlvs = { \"0x1401\" = \"1108\" }");
    assert!(rendered(&plan).contains("1108"), "{}", rendered(&plan));
    carry_out(&mut existing, plan);
    let plan = named(&existing, "reset = [\"tlvs\"]");
    carry_out(&mut existing, plan);
    assert_eq!(
        existing.catalog.templates[0].details,
        serde_json::json!({"usms": {"Tags": [1]}})
    );
    assert_eq!(
        existing.catalog.signatures[0].details,
        serde_json::json!({"tlvs": {"0x1400": "1101"}})
    );

    // A signature with TLVs is the file's own still: `--prune` removes it, and nothing says that an API made it.
    let pruned = plan_with("[[account]]\nname = \"a\"\n", &applied(file), PRUNE).unwrap();
    assert!(
        pruned.notes.iter().all(|note| !note.contains("over an API")),
        "{:?}",
        pruned.notes
    );
}
