use super::*;
use store::Credential;

fn credential(vault: &Vault, key: &str, secret: &str) -> Credential {
    Credential {
        family: "sendcloud".into(),
        key: key.into(),
        sealed_secret: vault
            .seal(&credential_secret_name("sendcloud", key), secret)
            .unwrap(),
        account: AccountId(1),
        enabled: true,
    }
}

#[test]
fn a_stored_credential_with_an_empty_secret_or_key_is_switched_off() {
    let vault = Vault::new(&[1; 32]);
    let given = [
        ("good", "s3cret"),
        ("empty", ""),
        ("blank", " \t"),
        ("marked", "\u{feff}"),
        ("line", "\r\n"),
        ("", "s3cret"),
    ];
    let catalog = Catalog {
        credentials: given.map(|(key, secret)| credential(&vault, key, secret)).into(),
        ..Catalog::default()
    };
    let snapshot = Snapshot::compile(catalog, &vault).unwrap();
    for (key, _) in given {
        let entry = snapshot.credential("sendcloud", key).unwrap();
        assert_eq!(entry.enabled, key == "good", "{key:?}");
    }
    let off: Vec<&str> = snapshot.open_to_all().iter().map(|open| &*open.key).collect();
    assert_eq!(off, ["empty", "blank", "marked", "line", ""]);
}
