//! What an account owns: credentials, signatures, templates.

use super::super::diff::Fields;
use super::super::file::{AccountEntry, CredentialEntry, Family, SignatureEntry, TemplateEntry};
use super::super::secret::SecretSource;
use super::{Planner, secret_field};
use engine::catalog::{CatalogChange, Credential, Position, Signature, Template, credential_secret_name};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sms::template::{Template as Pattern, is_plain};
use std::collections::HashSet;
use std::ops::Range;
use store::AccountId;
use toml::Spanned;

/// The first template number given by itself.
const TEMPLATE_NUMBER_FIRST: i64 = 1001;
/// Bytes of `key:secret` whose Base64 still fits on one line of `base64(1)`: the vendor's documented curl command
/// would otherwise send a line break within its header (contract/uspeedo-ucloud.md section 1.1).
const USPEEDO_PAIR_BYTES_MAX: usize = 57;
/// Things that one note names; an account may have thousands.
const NAMED_MAX: usize = 10;

impl Planner<'_> {
    /// Everything nested in an account's entry, and what the store has beside it.
    pub(super) fn owned(&mut self, entry: &Spanned<AccountEntry>, id: AccountId) {
        let account = entry.get_ref();
        let signatures = self.signatures(account, id);
        self.templates(account, id, &signatures);
        self.credentials(account, id);
        self.webhooks(account, id);
        self.note_own(&account.name);
    }

    /// Leaves or removes what the file does not name. What the account made itself, over an API, the file cannot
    /// name: it is noted apart.
    fn leave_or_remove_owned(
        &mut self,
        what: String,
        details: &Value,
        change: impl FnOnce() -> CatalogChange,
    ) {
        // Only the APIs know such details.
        let made_itself = !details.is_null();
        if made_itself {
            self.own.push(what.clone());
        }
        if !made_itself || self.inputs.wishes.prune {
            self.leave_or_remove(what, change);
        }
    }

    fn note_own(&mut self, account: &str) {
        let own = std::mem::take(&mut self.own);
        if own.is_empty() {
            return;
        }
        let becomes = if self.inputs.wishes.prune {
            "and it goes with --prune"
        } else {
            "left as it is (--prune removes it)"
        };
        let named: Vec<&str> = own.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = own.len() - named.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        self.plan.notes.push(format!(
            "account {account} made or changed this itself over an API, {becomes}: {}{more}",
            named.join(", ")
        ));
    }

    fn credentials(&mut self, account: &AccountEntry, id: AccountId) {
        let mut named = HashSet::new();
        for entry in &account.credential {
            let given = entry.get_ref();
            let what = format!(
                "credential {}/{}/{}",
                account.name,
                given.family.name(),
                given.key
            );
            if named.insert((given.family.name(), given.key.as_str())) {
                self.credential(&entry.span(), given, id, what);
            } else {
                self.complain(&entry.span(), format!("{what} stands twice"));
            }
        }
        let catalog = self.catalog();
        for old in catalog.credentials.iter().filter(|old| old.account == id) {
            if !named.contains(&(&*old.family, &*old.key)) {
                let what = format!("credential {}/{}/{}", account.name, old.family, old.key);
                let (family, key) = (old.family.clone(), old.key.clone());
                self.leave_or_remove(what, || CatalogChange::RemoveCredential(family, key));
            }
        }
    }

    fn credential(&mut self, span: &Range<usize>, given: &CredentialEntry, id: AccountId, what: String) {
        let (family, key) = (given.family.name(), given.key.as_str());
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
            return self.complain(span, format!("{what}: a key is printable ASCII without spaces"));
        }
        if given.family.is_basic() && key.contains(':') {
            return self.complain(
                span,
                format!("{what}: a colon in the key would end it within `key:secret`"),
            );
        }
        let same_key = |old: &&Credential| &*old.family == family && &*old.key == key;
        let old = self.catalog().credentials.iter().find(same_key);
        if let Some(other) = old.filter(|old| old.account != id) {
            let owner = self
                .catalog()
                .accounts
                .iter()
                .find(|account| account.id == other.account);
            let owner = owner.map_or_else(|| other.account.to_string(), |account| account.name.to_string());
            return self.complain(span, format!("{what}: the key belongs to account {owner:?}"));
        }
        let source = SecretSource {
            field: "secret",
            inline: given.secret.as_deref(),
            variable: given.secret_env.as_deref(),
            file: given.secret_file.as_deref(),
        };
        let name = credential_secret_name(family, key);
        let (sealed_secret, changed) = match self.seal(&name, &source, old.map(|old| &*old.sealed_secret)) {
            Ok(Some(sealed)) => sealed,
            Ok(None) => return self.complain(span, format!("{what} is new and has no secret")),
            Err(why) => return self.complain(span, format!("{what}: {why}")),
        };
        self.note_long_pair(given, &source, &what);
        let (before, after) = secret_field(old.is_some(), changed);
        let old_fields = old.map(|old| credential_fields(old.enabled, before));
        let new_fields = credential_fields(given.enabled, after);
        let credential = Credential {
            family: family.into(),
            key: key.into(),
            sealed_secret,
            account: id,
            enabled: given.enabled,
        };
        self.put(what, old_fields.as_ref(), &new_fields, || {
            CatalogChange::PutCredential(credential)
        });
    }

    fn note_long_pair(&mut self, given: &CredentialEntry, source: &SecretSource<'_>, what: &str) {
        if given.family != Family::Uspeedo {
            return;
        }
        let secret = source
            .resolve(&self.inputs.surroundings)
            .ok()
            .flatten()
            .unwrap_or_default();
        if given.key.len() + 1 + secret.len() > USPEEDO_PAIR_BYTES_MAX {
            self.plan.notes.push(format!(
                "{what}: key and secret together are longer than {} bytes; clients that build the Basic header with \
                 `base64` as the vendor documents it will break it over two lines",
                USPEEDO_PAIR_BYTES_MAX - 1
            ));
        }
    }

    /// Plans the signatures; returns text and id of all the account will have.
    fn signatures(&mut self, account: &AccountEntry, id: AccountId) -> Vec<(String, i64)> {
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
        for entry in &account.signature {
            let given = entry.get_ref();
            let what = format!("signature {}/{}", account.name, given.text);
            if let Some(complaint) = signature_complaint(given) {
                self.complain(&entry.span(), format!("{what}: {complaint}"));
                continue;
            }
            if known.iter().any(|(text, _)| *text == given.text) {
                self.complain(&entry.span(), format!("{what} stands twice"));
                continue;
            }
            let old = of_account().find(|old| *old.text == *given.text);
            let number = old.map_or(next, |old| old.id);
            next = next.max(number + 1);
            known.push((given.text.clone(), number));
            let signature = Signature {
                account: id,
                id: number,
                text: given.text.as_str().into(),
                review: given.review,
                reason: old.map(|old| old.reason.clone()).unwrap_or_default(),
                details: old.map(|old| old.details.clone()).unwrap_or_default(),
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
            let what = format!("signature {}/{}", account.name, old.text);
            self.leave_or_remove_owned(what, &old.details, || CatalogChange::RemoveSignature(old.id));
            if !self.inputs.wishes.prune {
                known.push((old.text.to_string(), old.id));
            }
        }
        known
    }

    fn templates(&mut self, account: &AccountEntry, id: AccountId, signatures: &[(String, i64)]) {
        let catalog = self.catalog();
        let mut named = HashSet::new();
        let mut kept = HashSet::new();
        for entry in &account.template {
            let given = entry.get_ref();
            let what = format!("template {}/{}", account.name, given.name);
            if !named.insert(given.name.as_str()) {
                self.complain(&entry.span(), format!("{what} stands twice"));
                continue;
            }
            // Names made over an API may stand more than once: a number says which one is meant.
            let own = || catalog.templates.iter().filter(|old| old.account == id);
            let old = own()
                .find(|old| given.number == Some(old.number) && *old.name == *given.name)
                .or_else(|| own().find(|old| *old.name == *given.name));
            kept.extend(old.map(|old| old.number));
            self.template(entry, account, id, signatures, old);
        }
        for old in catalog
            .templates
            .iter()
            .filter(|old| old.account == id && !kept.contains(&old.number))
        {
            let what = format!("template {}/{} ({})", account.name, old.name, old.number);
            self.leave_or_remove_owned(what, &old.details, || CatalogChange::RemoveTemplate(old.number));
        }
    }

    fn template(
        &mut self,
        entry: &Spanned<TemplateEntry>,
        account: &AccountEntry,
        id: AccountId,
        signatures: &[(String, i64)],
        old: Option<&Template>,
    ) {
        let (span, given) = (entry.span(), entry.get_ref());
        let what = format!("template {}/{}", account.name, given.name);
        if given.name.is_empty() || given.text.is_empty() {
            return self.complain(&span, format!("{what}: name and text are not empty"));
        }
        let signature = match &given.signature {
            None => None,
            Some(text) => match signatures.iter().find(|(known, _)| known == text) {
                Some((_, number)) => Some(*number),
                None => {
                    return self.complain(
                        &span,
                        format!("{what}: account {:?} has no signature {text:?}", account.name),
                    );
                }
            },
        };
        let Some(number) = self.template_number(&span, given, old, &what) else {
            return;
        };
        let Some(ut_id) = self.ut_id(&span, given, &account.name, old, &what) else {
            return;
        };
        if let Some(text) = &given.signature
            && !keeps_placeholders(&given.text, text, given.position)
        {
            let complaint = "with its signature around it, other placeholders are read out of the text";
            return self.complain(&span, format!("{what}: {complaint}"));
        }
        self.templates_taken.insert(number, ut_id.clone());
        let mut template = Template {
            account: id,
            number,
            ut_id: ut_id.into(),
            name: given.name.as_str().into(),
            class: given.class,
            text: given.text.as_str().into(),
            review: given.review,
            reason: given.reason.as_str().into(),
            signature,
            position: given.position,
            version: old.map_or(1, |old| old.version),
            remark: old.map(|old| old.remark.clone()).unwrap_or_default(),
            details: old.map(|old| old.details.clone()).unwrap_or_default(),
            created_at: old.map_or(self.inputs.now, |old| old.created_at),
            updated_at: old.map_or(self.inputs.now, |old| old.updated_at),
        };
        let old_fields = old.map(|old| template_fields(old, signatures));
        let new_fields = template_fields(&template, signatures);
        if old_fields.as_ref() != Some(&new_fields) {
            template.updated_at = self.inputs.now;
        }
        if let Some(old) = old.filter(|old| !same_version(old, &template)) {
            template.version = old.version.saturating_add(1);
        }
        if old.is_some_and(|old| old.number != number) {
            // Templates are stored by number: the old one does not go by itself.
            let stale = old.map_or(0, |old| old.number);
            self.plan.changes.push(CatalogChange::RemoveTemplate(stale));
        }
        self.put(what, old_fields.as_ref(), &new_fields, || {
            CatalogChange::PutTemplate(template)
        });
    }

    /// The number given, the number it has, or the next free one.
    fn template_number(
        &mut self,
        span: &Range<usize>,
        given: &TemplateEntry,
        old: Option<&Template>,
        what: &str,
    ) -> Option<i64> {
        let catalog = self.catalog();
        let Some(number) = given.number.or(old.map(|old| old.number)) else {
            let wanted = self
                .inputs
                .file
                .account
                .iter()
                .flat_map(|account| &account.get_ref().template);
            let highest = catalog
                .templates
                .iter()
                .map(|template| template.number)
                .chain(self.templates_taken.keys().copied())
                .chain(wanted.filter_map(|template| template.get_ref().number))
                .max();
            let next = highest.map_or(TEMPLATE_NUMBER_FIRST, |highest| {
                (highest + 1).max(TEMPLATE_NUMBER_FIRST)
            });
            return Some(next);
        };
        if number < 1 {
            self.complain(
                span,
                format!("{what}: number {number} is not positive; negative ones are the built-in texts'"),
            );
            return None;
        }
        let of_other = catalog
            .templates
            .iter()
            .any(|other| other.number == number && old.is_none_or(|old| old.number != number));
        if of_other || self.templates_taken.contains_key(&number) {
            self.complain(span, format!("{what}: number {number} is another template's"));
            return None;
        }
        Some(number)
    }

    /// The id given, the id it has, or one made from its name: the same on every machine.
    fn ut_id(
        &mut self,
        span: &Range<usize>,
        given: &TemplateEntry,
        account: &str,
        old: Option<&Template>,
        what: &str,
    ) -> Option<String> {
        let ut_id = match (&given.ut_id, old) {
            (Some(ut_id), _) => ut_id.clone(),
            (None, Some(old)) => old.ut_id.to_string(),
            (None, None) => made_ut_id(account, &given.name),
        };
        if ut_id.is_empty()
            || !ut_id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        {
            self.complain(
                span,
                format!("{what}: ut_id {ut_id:?} is not made of ASCII letters, digits, `_` and `-`"),
            );
            return None;
        }
        let of_other = self
            .catalog()
            .templates
            .iter()
            .any(|other| *other.ut_id == *ut_id && old.is_none_or(|old| old.number != other.number));
        if of_other || self.templates_taken.values().any(|other| *other == ut_id) {
            self.complain(span, format!("{what}: ut_id {ut_id} is another template's"));
            return None;
        }
        Some(ut_id)
    }
}

fn signature_complaint(given: &SignatureEntry) -> Option<&'static str> {
    if given.text.trim().is_empty() {
        return Some("the text is empty");
    }
    if given.text.contains(['【', '】', '[', ']']) {
        return Some("write the text without brackets; they are put around it");
    }
    (!is_plain(&given.text))
        .then_some("what looks like a placeholder in it would take a value of the template's")
}

/// Whether a text has the same placeholders with a signature around it, in both kinds of brackets.
fn keeps_placeholders(text: &str, signature: &str, position: Position) -> bool {
    let alone = Pattern::parse(text);
    [('【', '】'), ('[', ']')].into_iter().all(|(open, close)| {
        let signed = match position {
            Position::Front => format!("{open}{signature}{close}{text}"),
            Position::End => format!("{text}{open}{signature}{close}"),
        };
        Pattern::parse(&signed).variables() == alone.variables()
    })
}

/// Whether what is sent with a template is the same.
fn same_version(old: &Template, new: &Template) -> bool {
    (&old.text, old.signature, old.position, old.class) == (&new.text, new.signature, new.position, new.class)
}

/// `UTA` and twelve characters out of the names, in the shape of the vendor's ids.
fn made_ut_id(account: &str, template: &str) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digest = Sha256::new()
        .chain_update(account)
        .chain_update([0])
        .chain_update(template)
        .finalize();
    let letters = digest
        .iter()
        .take(12)
        .filter_map(|octet| LETTERS.get(usize::from(octet % 32)));
    std::iter::once("UTA".to_owned())
        .chain(letters.map(|letter| char::from(*letter).to_string()))
        .collect()
}

fn credential_fields(enabled: bool, secret: String) -> Fields {
    vec![("secret", secret), ("enabled", enabled.to_string())]
}

fn signature_fields(signature: &Signature) -> Fields {
    vec![
        ("id", signature.id.to_string()),
        ("review", word(signature.review)),
    ]
}

fn template_fields(template: &Template, signatures: &[(String, i64)]) -> Fields {
    let signature = template.signature.map(|id| {
        let known = signatures.iter().find(|(_, known)| *known == id);
        known.map_or_else(|| id.to_string(), |(text, _)| text.clone())
    });
    let position = if signature.is_some() && template.position == Position::End {
        "end"
    } else {
        ""
    };
    vec![
        ("number", template.number.to_string()),
        ("ut_id", template.ut_id.to_string()),
        ("class", template.class.to_string()),
        ("text", format!("{:?}", template.text)),
        ("signature", signature.unwrap_or_default()),
        ("position", position.to_owned()),
        ("review", word(template.review)),
        ("reason", template.reason.to_string()),
    ]
}

/// The name of a value as it stands in files.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
