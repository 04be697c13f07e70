//! Stored secrets that open to everybody, or to who guesses.

use super::deep::{Told, how_many};
use crate::apply::plan::{first_of, short_secrets};
use crate::forms::Forms;
use crate::open::sealed_password;
use crate::review::account_name;
use engine::catalog::{
    Catalog, SECRET_OCTETS_ADVISED, SecretFault, Vault, carrier_secret_name, credential_secret_name,
    endpoint_secret_name, secret_fault,
};
use engine::hex;
use secrecy::{ExposeSecret, SecretString};
use sms::visible::is_blank;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Secrets that are none.
    pub(super) problems: Vec<String>,
    /// Secrets that are short.
    pub(super) notes: Vec<String>,
    /// How many open with the master key.
    opened: usize,
    /// Whose do not.
    unopened: Vec<String>,
}

impl Found {
    /// Whether all of them open: a single one that does not stops no node, and only a look at all of the store tells of it.
    pub(super) fn opening(&self) -> Told {
        let problems = self.unopened.iter();
        let problems =
            problems.map(|what| format!("secrets: the secret of {what} does not open with the master key"));
        let how = how_many(self.unopened.len() as u64);
        Told {
            standing: vec![(
                "secrets",
                format!("{how}: {} open with the master key", self.opened),
            )],
            problems: problems.collect(),
        }
    }

    /// One of them, unsealed.
    fn open(&mut self, vault: &Vault, what: &str, name: &str, sealed: &[u8]) -> Option<SecretString> {
        match vault.open(name, sealed) {
            Ok(secret) => {
                self.opened += 1;
                Some(secret)
            }
            Err(_) => {
                self.unopened.push(what.to_owned());
                None
            }
        }
    }
}

/// Opens every secret and looks at it.
pub(super) fn look(catalog: &Catalog, vault: &Vault) -> Found {
    let mut found = Found::default();
    let mut short = Vec::new();
    for credential in &catalog.credentials {
        let account = account_name(catalog, credential.account);
        let what = format!("credential {account}/{}/{}", credential.family, credential.key);
        let name = credential_secret_name(&credential.family, &credential.key);
        let Some(secret) = found.open(vault, &what, &name, &credential.sealed_secret) else {
            continue;
        };
        let secret = secret.expose_secret();
        if is_blank(&credential.key) || secret_fault(secret) == Some(SecretFault::Blank) {
            found.problems.push(format!(
                "{what}: its secret or key is empty, so whoever knows the key would be let in: it is switched off; apply \
                 a file that gives it another secret"
            ));
        } else if secret.len() < SECRET_OCTETS_ADVISED && credential.enabled {
            short.push(what);
        }
    }
    let forms = Forms::all();
    let endpoints = catalog.endpoints.iter();
    for endpoint in endpoints.filter(|endpoint| !endpoint.sealed_secret.is_empty()) {
        let account = account_name(catalog, endpoint.account);
        let what = format!("webhook {account}/{}", endpoint.name);
        let name = endpoint_secret_name(endpoint.id);
        let Some(secret) = found.open(vault, &what, &name, &endpoint.sealed_secret) else {
            continue;
        };
        let secret = secret.expose_secret();
        let fault = secret_fault(secret).map(|fault| fault.to_string());
        if let Some(why) = fault.or_else(|| forms.secret_complaint(&endpoint.format, secret)) {
            found.problems.push(format!("{what}: its secret {why}"));
        } else if forms.key_octets(&endpoint.format, secret) < SECRET_OCTETS_ADVISED {
            short.push(what);
        }
    }
    for carrier in &catalog.carriers {
        if let Some(sealed) = sealed_password(carrier) {
            let octets = hex::octets(sealed).unwrap_or_default();
            let what = format!("carrier {}", carrier.name);
            found.open(vault, &what, &carrier_secret_name(&carrier.name), &octets);
        }
    }
    if !short.is_empty() {
        found
            .notes
            .push(format!("{}: {}", short_secrets(short.len()), first_of(&short)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::SEALED_PASSWORD;
    use store::{AccountId, Credential, Endpoint, EndpointId, EventKinds};

    fn credential(vault: &Vault, key: &str, secret: &str) -> Credential {
        Credential {
            family: "ucloud".into(),
            key: key.into(),
            sealed_secret: vault
                .seal(&credential_secret_name("ucloud", key), secret)
                .unwrap(),
            account: AccountId(1),
            enabled: true,
            requests_per_s_max: 0,
        }
    }

    fn endpoint(vault: &Vault, id: u32, secret: &str) -> Endpoint {
        Endpoint {
            id: EndpointId(id),
            account: AccountId(1),
            name: format!("w{id}").into(),
            format: "standard".into(),
            url: "https://a.example/".into(),
            kinds: EventKinds::ALL,
            settings: serde_json::Value::Null,
            sealed_secret: vault.seal(&endpoint_secret_name(EndpointId(id)), secret).unwrap(),
            enabled: true,
        }
    }

    #[test]
    fn empty_secrets_are_problems_and_short_ones_are_notes() {
        let vault = Vault::new(&[1; 32]);
        let catalog = Catalog {
            credentials: vec![
                credential(&vault, "good", "0123456789abcdef"),
                credential(&vault, "short", "0123456789abcde"),
                credential(&vault, "empty", ""),
                credential(&vault, "blank", "\n"),
            ],
            endpoints: vec![
                endpoint(&vault, 1, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
                endpoint(&vault, 2, "whsec_"),
                endpoint(&vault, 3, "whsec_???"),
                endpoint(&vault, 4, "whsec_c2VjcmV0"),
                endpoint(&vault, 5, " "),
            ],
            ..Catalog::default()
        };
        let found = look(&catalog, &vault);
        let subjects: Vec<&str> = found
            .problems
            .iter()
            .map(|problem| problem.split(':').next().unwrap())
            .collect();
        assert_eq!(
            subjects,
            [
                "credential 1 (removed)/ucloud/empty",
                "credential 1 (removed)/ucloud/blank",
                "webhook 1 (removed)/w2",
                "webhook 1 (removed)/w3",
                "webhook 1 (removed)/w5",
            ]
        );
        assert_eq!(found.notes.len(), 1);
        assert!(
            found.notes[0].starts_with("2 secrets are shorter than 16 octets")
                && found.notes[0].ends_with(": credential 1 (removed)/ucloud/short, webhook 1 (removed)/w4"),
            "{:?}",
            found.notes
        );
    }

    #[test]
    fn a_look_at_all_of_them_names_those_that_do_not_open() {
        let (vault, other) = (Vault::new(&[1; 32]), Vault::new(&[2; 32]));
        let carrier = |name: &str, vault: &Vault| store::Carrier {
            no: store::CarrierNo(1),
            name: name.into(),
            settings: serde_json::json!({
                "type": "smpp",
                SEALED_PASSWORD: hex::digits(&vault.seal(&carrier_secret_name(name), "secret").unwrap()),
            }),
        };
        let mut without = endpoint(&vault, 3, "");
        without.sealed_secret = Vec::new();
        let mut catalog = Catalog {
            credentials: vec![credential(&vault, "good", "0123456789abcdef")],
            endpoints: vec![
                endpoint(&vault, 1, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
                without,
            ],
            carriers: vec![carrier("north", &vault)],
            ..Catalog::default()
        };
        let told = look(&catalog, &vault).opening();
        assert_eq!(
            told.standing,
            [("secrets", "ok: 3 open with the master key".to_owned())]
        );
        assert!(told.problems.is_empty());
        catalog
            .credentials
            .push(credential(&other, "foreign", "0123456789abcdef"));
        catalog.carriers.push(carrier("south", &other));
        let told = look(&catalog, &vault).opening();
        assert_eq!(
            told.standing,
            [("secrets", "2 problems: 3 open with the master key".to_owned())]
        );
        assert_eq!(
            told.problems,
            ["credential 1 (removed)/ucloud/foreign", "carrier south"]
                .map(|what| format!("secrets: the secret of {what} does not open with the master key"))
        );
    }
}
