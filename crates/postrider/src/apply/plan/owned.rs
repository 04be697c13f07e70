//! Objects of an account: credentials, signatures, templates.

use super::super::diff::Fields;
use super::super::entry::{Entry, RawEntry};
use super::super::file::{AccountEntry, CredentialKeys, Family, SignatureKeys};
use super::super::secret::{GivenSecret, SecretSource};
use super::{Planner, first_of, secret_field, wire};
use crate::config::{Mistake, nearest};
use engine::catalog::{
    CatalogChange, Credential, Review, SECRET_OCTETS_ADVISED, Signature, credential_secret_name,
};
use serde_json::Value;
use sms::template::is_plain;
use sms::visible::is_invisible;
use std::collections::HashSet;
use store::AccountId;

/// Bytes of `key:secret` whose Base64 still fits on one line of `base64(1)`: the vendor's documented curl command
/// would otherwise send a line break within its header (docs/dialects/uspeedo.md).
const USPEEDO_PAIR_BYTES_MAX: usize = 57;

impl Planner<'_> {
    /// The entries nested in an account's entry, with the stored objects.
    pub(super) fn owned(&mut self, entry: &AccountEntry, id: AccountId, account: &str) {
        let signatures = self.signatures(&entry.signature, id, account);
        self.templates(&entry.template, id, account, &signatures);
        self.credentials(&entry.credential, id, account);
        self.webhooks(&entry.webhook, id, account);
        self.note_own(account);
    }

    /// Keeps or deletes objects that the file does not name. Objects that the account created itself over an API are
    /// noted separately: a file cannot name them.
    pub(super) fn leave_or_remove_owned(
        &mut self,
        what: String,
        details: &Value,
        change: impl FnOnce() -> CatalogChange,
    ) {
        let made_itself = wire::are_of_an_api(details);
        if made_itself {
            self.own.push(what.clone());
        }
        if !made_itself || self.inputs.options.prune {
            self.leave_or_remove(what, change);
        }
    }

    fn note_own(&mut self, account: &str) {
        let own = std::mem::take(&mut self.own);
        if own.is_empty() {
            return;
        }
        let becomes = if self.inputs.options.prune {
            "and --prune deletes it"
        } else {
            "left unchanged (--prune deletes it)"
        };
        self.plan.notes.push(format!(
            "account {account} created or changed this over an API, {becomes}: {}",
            first_of(&own)
        ));
    }

    fn credentials(&mut self, entries: &[Entry<CredentialKeys>], id: AccountId, account: &str) {
        let mut named = HashSet::new();
        for entry in entries {
            let given = &entry.keys;
            let (Some(family), Some(key)) = (given.family, given.key.as_deref()) else {
                for (key, there) in [("family", given.family.is_some()), ("key", given.key.is_some())] {
                    if !there {
                        self.need(&entry.raw, key, &format!("a credential of account {account:?}"));
                    }
                }
                continue;
            };
            let what = format!("credential {account}/{}/{key}", family.name());
            if named.insert((family.name(), key)) {
                self.credential(entry, family, key, id, what);
            } else {
                self.complain_of(&entry.raw, "key", format!("{what} is defined twice in this file"));
            }
        }
        let catalog = self.catalog();
        for old in catalog.credentials.iter().filter(|old| old.account == id) {
            if !named.contains(&(&*old.family, &*old.key)) {
                let what = format!("credential {account}/{}/{}", old.family, old.key);
                let (family, key) = (old.family.clone(), old.key.clone());
                self.leave_or_remove(what, || CatalogChange::RemoveCredential(family, key));
            }
        }
    }

    fn credential(
        &mut self,
        entry: &Entry<CredentialKeys>,
        family: Family,
        key: &str,
        id: AccountId,
        what: String,
    ) {
        let given = &entry.keys;
        let same_key = |old: &&Credential| &*old.family == family.name() && &*old.key == key;
        let old = self.catalog().credentials.iter().find(same_key);
        if old.is_none() && (key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic())) {
            let why = format!("{what}: a key must be printable ASCII without spaces");
            self.complain_of(&entry.raw, "key", why);
        }
        if old.is_none() && family.is_basic() && key.contains(':') {
            let why = format!("{what}: the key must not contain a colon, which separates it from the secret");
            self.complain_of(&entry.raw, "key", why);
        }
        if let Some(other) = old.filter(|old| old.account != id) {
            let mut accounts = self.catalog().accounts.iter();
            let owner = accounts.find(|account| account.id == other.account);
            let owner = owner.map_or_else(|| other.account.to_string(), |account| account.name.to_string());
            let why = format!("{what}: the key belongs to account {owner:?}");
            return self.complain_of(&entry.raw, "key", why);
        }
        let source = SecretSource {
            field: "secret",
            inline: given.secret.as_deref(),
            variable: given.secret_env.as_deref(),
            file: given.secret_file.as_deref(),
        };
        let name = credential_secret_name(family.name(), key);
        let sealed = self.seal(&what, &name, &source, old.map(|old| &*old.sealed_secret));
        let (sealed_secret, changed) = match sealed {
            Ok(Some(sealed)) => sealed,
            Ok(None) => {
                if !entry.raw.is_excused("secret") {
                    let own = self.catalog().credentials.iter();
                    let own = own.filter(|old| old.account == id && *old.family == *family.name());
                    let near = nearest(key, own.map(|old| &*old.key));
                    let hint = near.map(|near| format!("; did you mean the existing {near:?}?"));
                    let why = format!(
                        "{what} is new and has no secret: give `secret`, `secret_env` or `secret_file`{}",
                        hint.unwrap_or_default()
                    );
                    self.wrong
                        .push(Mistake::new(&entry.raw.span, why).key("secret").meant(near));
                }
                return;
            }
            Err(why) => return self.complain_of_secret(&entry.raw, "secret", format!("{what}: {why}")),
        };
        self.note_secret(family, key, &source, &what);
        let (before, after) = secret_field(old.is_some(), changed);
        let enabled = entry.value("enabled", given.enabled, old.map(|old| old.enabled), true);
        let rate = old.map(|old| old.requests_per_s_max);
        let requests_per_s_max = entry.value("requests_per_s_max", given.requests_per_s_max, rate, 0);
        let old_fields = old.map(|old| credential_fields(old.enabled, old.requests_per_s_max, before));
        let new_fields = credential_fields(enabled, requests_per_s_max, after);
        let credential = Credential {
            family: family.name().into(),
            key: key.into(),
            sealed_secret,
            account: id,
            enabled,
            requests_per_s_max,
        };
        self.put(what, old_fields.as_ref(), &new_fields, || {
            CatalogChange::PutCredential(credential)
        });
    }

    /// Complains at the line of the key that gives a secret.
    pub(super) fn complain_of_secret(&mut self, entry: &RawEntry, field: &str, what: String) {
        let keys = [field.to_owned(), format!("{field}_env"), format!("{field}_file")];
        let given = keys.iter().rev().find(|key| entry.values.contains_key(*key));
        let key = given.map_or(field, String::as_str);
        self.complain_of(entry, key, what);
    }

    /// Notes problems of a secret that the file gives.
    fn note_secret(&mut self, family: Family, key: &str, source: &SecretSource<'_>, what: &str) {
        let Ok(GivenSecret::Text(secret)) = source.resolve(&self.inputs.environment) else {
            return;
        };
        if secret.len() < SECRET_OCTETS_ADVISED {
            self.short_secrets.push(what.to_owned());
        }
        if family == Family::Uspeedo && key.len() + 1 + secret.len() > USPEEDO_PAIR_BYTES_MAX {
            self.plan.notes.push(format!(
                "{what}: key and secret together are longer than {} bytes; a client that builds the Basic header with \
                 `base64` as the vendor documents will break it over two lines",
                USPEEDO_PAIR_BYTES_MAX - 1
            ));
        }
    }

    /// Plans the signatures; returns text and id of all that the account will have.
    fn signatures(
        &mut self,
        entries: &[Entry<SignatureKeys>],
        id: AccountId,
        account: &str,
    ) -> Vec<(String, i64)> {
        let catalog = self.catalog();
        let of_account = || catalog.signatures.iter().filter(move |old| old.account == id);
        let mut known: Vec<(String, i64)> = Vec::new();
        let highest_here = self.plan.changes.iter().filter_map(|change| match change {
            CatalogChange::PutSignature(signature) => Some(signature.id),
            _ => None,
        });
        let mut next = 1 + catalog
            .signatures
            .iter()
            .map(|old| old.id)
            .chain(highest_here)
            .max()
            .unwrap_or(0);
        for entry in entries {
            let given = &entry.keys;
            let Some(text) = given.text.as_deref() else {
                self.need(&entry.raw, "text", &format!("a signature of account {account:?}"));
                continue;
            };
            let what = format!("signature {account}/{text}");
            if known.iter().any(|(known, _)| known == text) {
                self.complain_of(
                    &entry.raw,
                    "text",
                    format!("{what} is defined twice in this file"),
                );
                continue;
            }
            let old = signature_meant(of_account(), text);
            let number = old.map_or(next, |old| old.id);
            next = next.max(number + 1);
            known.push((text.to_owned(), number));
            if old.is_none()
                && let Some(complaint) = signature_complaint(text)
            {
                self.complain_of(&entry.raw, "text", format!("{what}: {complaint}"));
            }
            let review = entry.value(
                "review",
                given.review,
                old.map(|old| old.review),
                Review::Approved,
            );
            let stored = old.map(|old| &old.details);
            let Some(details) = self.details_with_tlvs(&entry.raw, &what, given.tlvs.as_ref(), stored) else {
                continue;
            };
            let kept_reason = old.filter(|old| old.review == review);
            let signature = Signature {
                account: id,
                id: number,
                text: text.into(),
                review,
                reason: kept_reason.map(|old| old.reason.clone()).unwrap_or_default(),
                details,
                created_at: old.map_or(self.inputs.now, |old| old.created_at),
                updated_at: self.inputs.now,
            };
            let old_fields = old.map(signature_fields);
            self.put(what, old_fields.as_ref(), &signature_fields(&signature), || {
                CatalogChange::PutSignature(signature)
            });
        }
        for old in of_account() {
            if known.iter().any(|(_, number)| *number == old.id) {
                continue;
            }
            let what = format!("signature {account}/{}", old.text);
            self.leave_or_remove_owned(what, &old.details, || CatalogChange::RemoveSignature(old.id));
            if !self.inputs.options.prune {
                known.push((old.text.to_string(), old.id));
            }
        }
        known
    }
}

/// The signature with a text: of several with the same text, made over an API, the approved one.
pub(crate) fn signature_meant<'c>(
    signatures: impl Iterator<Item = &'c Signature>,
    text: &str,
) -> Option<&'c Signature> {
    signatures
        .filter(|own| *own.text == *text)
        .max_by_key(|own| (own.review == Review::Approved, std::cmp::Reverse(own.id)))
}

fn signature_complaint(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("the text is empty");
    }
    if text.contains(['【', '】', '[', ']']) {
        return Some("write the text without brackets; they are added when it is sent");
    }
    if text.chars().any(is_invisible) {
        return Some("a signature must have printable characters only");
    }
    (!is_plain(text)).then_some("it contains a placeholder, which would take a value of the template")
}

fn credential_fields(enabled: bool, requests_per_s_max: u32, secret: String) -> Fields {
    let rate = if requests_per_s_max == 0 {
        String::new()
    } else {
        requests_per_s_max.to_string()
    };
    vec![
        ("secret", secret),
        ("enabled", enabled.to_string()),
        ("requests_per_s_max", rate),
    ]
}

fn signature_fields(signature: &Signature) -> Fields {
    vec![
        ("id", signature.id.to_string()),
        ("review", word(signature.review)),
        ("tlvs", wire::tlvs_shown(&signature.details)),
    ]
}

/// The name of a value in files.
pub(super) fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
