//! Stored secrets that open to everybody, or to who guesses.

use crate::apply::plan::{first_of, short_secrets};
use crate::forms::Forms;
use crate::review::account_name;
use engine::catalog::{
    Catalog, SECRET_OCTETS_ADVISED, SecretFault, Vault, credential_secret_name, endpoint_secret_name,
    secret_fault,
};
use secrecy::ExposeSecret;
use sms::visible::is_blank;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Secrets that are none.
    pub(super) problems: Vec<String>,
    /// Secrets that are short.
    pub(super) notes: Vec<String>,
}

/// Opens every secret and looks at it. One that does not open is for others to tell.
pub(super) fn look(catalog: &Catalog, vault: &Vault) -> Found {
    let mut found = Found::default();
    let mut short = Vec::new();
    for credential in &catalog.credentials {
        let name = credential_secret_name(&credential.family, &credential.key);
        let Ok(secret) = vault.open(&name, &credential.sealed_secret) else {
            continue;
        };
        let account = account_name(catalog, credential.account);
        let what = format!("credential {account}/{}/{}", credential.family, credential.key);
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
    for endpoint in &catalog.endpoints {
        let Ok(secret) = vault.open(&endpoint_secret_name(endpoint.id), &endpoint.sealed_secret) else {
            continue;
        };
        let account = account_name(catalog, endpoint.account);
        let what = format!("webhook {account}/{}", endpoint.name);
        let secret = secret.expose_secret();
        let fault = secret_fault(secret).map(|fault| fault.to_string());
        if let Some(why) = fault.or_else(|| forms.secret_complaint(&endpoint.format, secret)) {
            found.problems.push(format!("{what}: its secret {why}"));
        } else if forms.key_octets(&endpoint.format, secret) < SECRET_OCTETS_ADVISED {
            short.push(what);
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
}
