use super::*;

const FAMILIES: [&str; 5] = ["uspeedo", "ucloud", "sendcloud", "engagelab", "engagelab_dev"];

fn planned(text: &str) -> Result<Plan, Vec<String>> {
    planned_on(text, &Existing::default())
}

fn planned_on(text: &str, existing: &Existing) -> Result<Plan, Vec<String>> {
    let file = File::parse(text);
    plan(Inputs {
        text,
        file: &file,
        existing,
        sealer: &sealer(),
        environment: Environment {
            variable: &|name| match name {
                "EMPTY" => Some(OsString::new()),
                "LINE_END" => Some(OsString::from("\n")),
                _ => None,
            },
            read: &|path| match path.to_str() {
                Some("empty") => Ok(String::new()),
                Some("line-end") => Ok("\r\n\n".to_owned()),
                Some("mark") => Ok("\u{feff}\n".to_owned()),
                Some("blanks") => Ok("   ".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            check_authorities: &|_| Ok(()),
        },
        webhook_formats: &WebhookFormats::all(),
        allow: Some(&[]),
        options: ApplyOptions::default(),
        now: NOW,
    })
    .map_err(|wrong| wrong.list.iter().map(ToString::to_string).collect())
}

/// Places that hold nothing, and what names them.
fn empty_places(field: &str) -> [(String, String); 8] {
    let file = |name: &str| {
        (
            format!("{field}_file = {name:?}"),
            format!("{field}_file {name} is empty"),
        )
    };
    let variable = |name: &str| {
        (
            format!("{field}_env = {name:?}"),
            format!("the environment variable {name} ({field}_env) is empty"),
        )
    };
    [
        (format!("{field} = \"  \""), format!("`{field}` is empty")),
        (format!("{field} = \"\\u200B\""), format!("`{field}` is empty")),
        variable("EMPTY"),
        variable("LINE_END"),
        file("empty"),
        file("line-end"),
        file("mark"),
        file("blanks"),
    ]
}

#[test]
fn an_empty_secret_is_refused_for_every_family_wherever_it_comes_from() {
    for family in FAMILIES {
        let credential =
            format!("[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = {family:?}\nkey = \"k\"\n");
        let existing = applied(&format!("{credential}secret = \"0123456789abcdef\"\n"));
        let inline = ("secret = \"\"".to_owned(), "`secret` is empty".to_owned());
        for (line, expected) in empty_places("secret").into_iter().chain([inline]) {
            // For one that is there as for a new one.
            for existing in [&Existing::default(), &existing] {
                let wrong = planned_on(&format!("{credential}{line}\n"), existing).unwrap_err();
                assert!(
                    wrong.len() == 1
                        && wrong[0].starts_with(&format!("line 6: credential a/{family}/k: "))
                        && wrong[0].contains(&expected),
                    "{line}: {wrong:?}"
                );
            }
        }
    }
}

#[test]
fn a_carrier_has_an_empty_password_only_where_the_file_itself_says_so() {
    let carrier =
        "[[carrier]]\nname = \"north\"\ntype = \"smpp\"\nhost = \"smsc.example\"\nsystem_id = \"p\"\n";
    let existing = applied(&format!("{carrier}password = \"hunter2\"\n"));
    for (line, expected) in empty_places("password") {
        let wrong = planned_on(&format!("{carrier}{line}\n"), &existing).unwrap_err();
        assert!(
            wrong.len() == 1 && wrong[0].contains(&expected),
            "{line}: {wrong:?}"
        );
    }
    let plan = planned_on(&format!("{carrier}password = \"\"\n"), &existing).unwrap();
    assert_eq!(
        rendered(&plan),
        "~ carrier north\n      password: (as stored) -> (none)\n"
    );
}

#[test]
fn a_webhook_secret_without_a_key_is_refused() {
    let webhook = "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"w\"\nformat = \"standard\"\n\
                   url = \"https://a.example/\"\nevents = [\"ended\"]\n";
    let of_the_form = [
        ("secret = \"whsec_\"", "the secret has no key behind `whsec_`"),
        ("secret = \"whsec_???\"", "the secret has no Base64"),
        ("secret = \"whsec_abc\"", "the secret has no Base64"),
        (
            "secret = \"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD whsec_\"",
            "the secret has no key behind",
        ),
    ];
    let of_the_form = of_the_form.map(|(line, error)| (line.to_owned(), error.to_owned()));
    for (line, expected) in empty_places("secret").into_iter().chain(of_the_form) {
        let wrong = planned(&format!("{webhook}{line}\n")).unwrap_err();
        assert!(
            wrong.len() == 1
                && wrong[0].starts_with("line 8: webhook a/w: ")
                && wrong[0].contains(&expected)
                && !wrong[0].contains("C2FV"),
            "{line}: {wrong:?}"
        );
    }
    // None at all is what the file may ask for.
    let plan = planned(&format!("{webhook}secret = \"\"\n")).unwrap();
    assert!(plan.notes.is_empty() && rendered(&plan).contains("+ webhook a/w"));
    for other in ["sendcloud", "engagelab", "uspeedo", "ucloud"] {
        let webhook = webhook.replace("standard", other);
        assert!(planned(&format!("{webhook}secret_env = \"EMPTY\"\n")).is_err());
    }
}

#[test]
fn short_secrets_are_noted_in_one_line() {
    let mut text = String::new();
    for no in 0..12 {
        text += &format!(
            "[[account]]\nname = \"a{no}\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k{no}\"\nsecret = \"s3cret\"\n"
        );
    }
    text += "[[account]]\nname = \"b\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"k\"\n\
             secret = \"0123456789abcdef\"\n[[account.webhook]]\nname = \"w\"\nformat = \"standard\"\n\
             url = \"https://a.example/\"\nevents = [\"ended\"]\nsecret = \"whsec_c2VjcmV0\"\n";
    let plan = planned(&text).unwrap();
    assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
    let note = &plan.notes[0];
    assert!(
        note.starts_with("13 secrets are shorter than 16 octets")
            && note.contains("credential a0/ucloud/k0, ")
            && note.ends_with(" and 3 more")
            && !note.contains("s3cret"),
        "{note}"
    );
}
