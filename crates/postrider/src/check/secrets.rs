//! Stored secrets that are empty or can be guessed.

use super::deep::{CheckResult, how_many};
use crate::apply::plan::{first_of, short_secrets};
use crate::open::sealed_password;
use crate::review::account_name;
use crate::webhook_formats::WebhookFormats;
use engine::catalog::{
    Catalog, SECRET_OCTETS_ADVISED, SecretFault, SecretSealer, carrier_secret_name, credential_secret_name,
    endpoint_secret_name, secret_fault,
};
use engine::hex;
use secrecy::{ExposeSecret, SecretString};
use sms::visible::is_blank;

/// The results.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Empty or unusable secrets.
    pub(super) problems: Vec<String>,
    /// Short secrets.
    pub(super) notes: Vec<String>,
    /// Secrets that open with the master key.
    opened: usize,
    /// Objects whose secrets do not open.
    unopened: Vec<String>,
}

impl Found {
    /// Whether all of them open: a node starts even if one does not, so only a check of the whole store finds it.
    pub(super) fn opening(&self) -> CheckResult {
        let problems = self.unopened.iter();
        let problems =
            problems.map(|what| format!("secrets: the secret of {what} does not open with the master key"));
        let how = how_many(self.unopened.len() as u64);
        CheckResult {
            standing: vec![(
                "secrets",
                format!("{how}: {} open with the master key", self.opened),
            )],
            problems: problems.collect(),
        }
    }

    /// Opens one of them.
    fn open(&mut self, sealer: &SecretSealer, what: &str, name: &str, sealed: &[u8]) -> Option<SecretString> {
        match sealer.open(name, sealed) {
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

/// Opens and checks every secret.
pub(super) fn look(catalog: &Catalog, sealer: &SecretSealer) -> Found {
    let mut found = Found::default();
    let mut short = Vec::new();
    for credential in &catalog.credentials {
        let account = account_name(catalog, credential.account);
        let what = format!("credential {account}/{}/{}", credential.family, credential.key);
        let name = credential_secret_name(&credential.family, &credential.key);
        let Some(secret) = found.open(sealer, &what, &name, &credential.sealed_secret) else {
            continue;
        };
        let secret = secret.expose_secret();
        if is_blank(&credential.key) || secret_fault(secret) == Some(SecretFault::Blank) {
            found.problems.push(format!(
                "{what}: its secret or key is empty, so anyone could authenticate with it: it is disabled; apply \
                 a file that sets another secret"
            ));
        } else if secret.len() < SECRET_OCTETS_ADVISED && credential.enabled {
            short.push(what);
        }
    }
    let webhook_formats = WebhookFormats::all();
    let endpoints = catalog.endpoints.iter();
    for endpoint in endpoints.filter(|endpoint| !endpoint.sealed_secret.is_empty()) {
        let account = account_name(catalog, endpoint.account);
        let what = format!("webhook {account}/{}", endpoint.name);
        let name = endpoint_secret_name(endpoint.id);
        let Some(secret) = found.open(sealer, &what, &name, &endpoint.sealed_secret) else {
            continue;
        };
        let secret = secret.expose_secret();
        let fault = secret_fault(secret).map(|fault| fault.to_string());
        if let Some(why) = fault.or_else(|| webhook_formats.secret_complaint(&endpoint.format, secret)) {
            found.problems.push(format!("{what}: its secret {why}"));
        } else if webhook_formats.key_octets(&endpoint.format, secret) < SECRET_OCTETS_ADVISED {
            short.push(what);
        }
    }
    for carrier in &catalog.carriers {
        if let Some(sealed) = sealed_password(carrier) {
            let octets = hex::octets(sealed).unwrap_or_default();
            let what = format!("carrier {}", carrier.name);
            found.open(sealer, &what, &carrier_secret_name(&carrier.name), &octets);
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

    fn credential(sealer: &SecretSealer, key: &str, secret: &str) -> Credential {
        Credential {
            family: "ucloud".into(),
            key: key.into(),
            sealed_secret: sealer
                .seal(&credential_secret_name("ucloud", key), secret)
                .unwrap(),
            account: AccountId(1),
            enabled: true,
            requests_per_s_max: 0,
        }
    }

    fn endpoint(sealer: &SecretSealer, id: u32, secret: &str) -> Endpoint {
        Endpoint {
            id: EndpointId(id),
            account: AccountId(1),
            name: format!("w{id}").into(),
            format: "standard".into(),
            url: "https://a.example/".into(),
            kinds: EventKinds::ALL,
            settings: serde_json::Value::Null,
            sealed_secret: sealer
                .seal(&endpoint_secret_name(EndpointId(id)), secret)
                .unwrap(),
            enabled: true,
        }
    }

    #[test]
    fn empty_secrets_are_problems_and_short_ones_are_notes() {
        let sealer = SecretSealer::new(&[1; 32]);
        let catalog = Catalog {
            credentials: vec![
                credential(&sealer, "good", "0123456789abcdef"),
                credential(&sealer, "short", "0123456789abcde"),
                credential(&sealer, "empty", ""),
                credential(&sealer, "blank", "\n"),
            ],
            endpoints: vec![
                endpoint(&sealer, 1, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
                endpoint(&sealer, 2, "whsec_"),
                endpoint(&sealer, 3, "whsec_???"),
                endpoint(&sealer, 4, "whsec_c2VjcmV0"),
                endpoint(&sealer, 5, " "),
            ],
            ..Catalog::default()
        };
        let found = look(&catalog, &sealer);
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
        let (sealer, other) = (SecretSealer::new(&[1; 32]), SecretSealer::new(&[2; 32]));
        let carrier = |name: &str, sealer: &SecretSealer| store::Carrier {
            no: store::CarrierNo(1),
            name: name.into(),
            settings: serde_json::json!({
                "type": "smpp",
                SEALED_PASSWORD: hex::digits(&sealer.seal(&carrier_secret_name(name), "secret").unwrap()),
            }),
        };
        let mut without = endpoint(&sealer, 3, "");
        without.sealed_secret = Vec::new();
        let mut catalog = Catalog {
            credentials: vec![credential(&sealer, "good", "0123456789abcdef")],
            endpoints: vec![
                endpoint(&sealer, 1, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
                without,
            ],
            carriers: vec![carrier("north", &sealer)],
            ..Catalog::default()
        };
        let result = look(&catalog, &sealer).opening();
        assert_eq!(
            result.standing,
            [("secrets", "ok: 3 open with the master key".to_owned())]
        );
        assert!(result.problems.is_empty());
        catalog
            .credentials
            .push(credential(&other, "foreign", "0123456789abcdef"));
        catalog.carriers.push(carrier("south", &other));
        let result = look(&catalog, &sealer).opening();
        assert_eq!(
            result.standing,
            [("secrets", "2 problems: 3 open with the master key".to_owned())]
        );
        assert_eq!(
            result.problems,
            ["credential 1 (removed)/ucloud/foreign", "carrier south"]
                .map(|what| format!("secrets: the secret of {what} does not open with the master key"))
        );
    }
}
