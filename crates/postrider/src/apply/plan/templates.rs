//! Templates of an account.

use super::super::diff::Fields;
use super::super::entry::Entry;
use super::super::file::TemplateKeys;
use super::Planner;
use super::owned::word;
use super::wire::tlvs_shown;
use engine::accept::{TTL_S_MAX, TTL_S_MIN};
use engine::catalog::{CatalogChange, Position, Review, Template};
use sha2::{Digest, Sha256};
use sms::class::Class;
use sms::template::{PLACEHOLDER_RULE, Template as Pattern, unread_placeholder};
use sms::visible::is_display_control;
use std::collections::HashSet;
use store::AccountId;

/// The first automatically assigned template number.
const TEMPLATE_NUMBER_FIRST: i64 = 1001;
/// Characters of a name; accounts give longer ones over their APIs.
const NAME_CHARS_MAX: usize = 255;

/// The account of a template.
#[derive(Clone, Copy)]
struct Owner<'a> {
    id: AccountId,
    name: &'a str,
    /// Text and id of all signatures the account will have.
    signatures: &'a [(String, i64)],
}

impl<'a> Planner<'a> {
    pub(super) fn templates(
        &mut self,
        entries: &[Entry<TemplateKeys>],
        id: AccountId,
        account: &str,
        signatures: &[(String, i64)],
    ) {
        let owner = Owner {
            id,
            name: account,
            signatures,
        };
        let catalog = self.catalog();
        let claimed: HashSet<i64> = entries.iter().filter_map(|entry| entry.keys.number).collect();
        let mut named = HashSet::new();
        let mut kept = HashSet::new();
        for entry in entries {
            let Some((name, old)) = self.which_template(entry, owner, &claimed) else {
                continue;
            };
            // Names made over an API may be ambiguous; then the number is shown with the name.
            let known = old.filter(|old| *old.name == *name && entry.keys.number == Some(old.number));
            if !named.insert(name.clone()) && known.is_none() {
                let what = format!("template {account}/{name} is defined twice in this file");
                self.complain_of(&entry.raw, "name", what);
                continue;
            }
            kept.extend(old.map(|old| old.number));
            self.template(entry, &name, owner, old);
        }
        for old in catalog
            .templates
            .iter()
            .filter(|old| old.account == id && !kept.contains(&old.number))
        {
            let what = format!("template {account}/{} ({})", old.name, old.number);
            self.leave_or_remove_owned(what, &old.details, || CatalogChange::RemoveTemplate(old.number));
        }
    }

    /// The resulting name of an entry, and its stored template: that with its number, which is renamed if its name differs,
    /// else that with its name.
    fn which_template(
        &mut self,
        entry: &Entry<TemplateKeys>,
        owner: Owner<'_>,
        claimed: &HashSet<i64>,
    ) -> Option<(String, Option<&'a Template>)> {
        let catalog = self.catalog();
        let own = || catalog.templates.iter().filter(|old| old.account == owner.id);
        let number = entry.keys.number;
        let of_number = number.and_then(|number| own().find(|old| old.number == number));
        let Some(name) = &entry.keys.name else {
            if of_number.is_none() {
                self.need(
                    &entry.raw,
                    "name",
                    &format!("a template of account {:?}", owner.name),
                );
            }
            return of_number.map(|old| (old.name.to_string(), Some(old)));
        };
        // A template that another entry names by its number is not this one.
        let of_name = own().find(|old| *old.name == **name && !claimed.contains(&old.number));
        match (of_number, of_name) {
            (Some(old), Some(other)) if old.name != other.name => {
                let what = format!(
                    "template {}/{name}: number {} is template {:?}, and {name:?} has the number {}",
                    owner.name, old.number, old.name, other.number
                );
                self.complain_of(&entry.raw, "number", what);
                None
            }
            (Some(old), _) => Some((name.clone(), Some(old))),
            (None, of_name) => Some((name.clone(), of_name)),
        }
    }

    fn template(
        &mut self,
        entry: &Entry<TemplateKeys>,
        name: &str,
        owner: Owner<'_>,
        old: Option<&'a Template>,
    ) {
        let given = &entry.keys;
        let title = format!("template {}/{name}", owner.name);
        if old.is_none_or(|old| *old.name != *name)
            && let Some(why) = template_name_complaint(name)
        {
            self.complain_of(&entry.raw, "name", format!("{title}: {why}"));
        }
        if let Some(why) = given.ttl_s.and_then(ttl_complaint) {
            self.complain_of(&entry.raw, "ttl_s", format!("{title}: {why}"));
        }
        // All keys are checked, whatever is wrong with the others.
        let class_and_text = self.class_and_text(entry, (&title, name), owner, old);
        self.check_placeholders(entry, &title, old);
        let signature = self.template_signature(entry, &title, owner, old);
        let stored = old.map(|old| &old.details);
        let details = self.details_with_tlvs(&entry.raw, &title, given.tlvs.as_ref(), stored);
        let number = self.template_number(entry, &title, old);
        let ut_id = self.ut_id(entry, name, owner, &title, old);
        let (Some((class, text)), Some(signature), Some(details), Some(number), Some(ut_id)) =
            (class_and_text, signature, details, number, ut_id)
        else {
            return;
        };
        self.templates_taken.insert(number, ut_id.clone());
        let review = entry.value(
            "review",
            given.review,
            old.map(|old| old.review),
            Review::Approved,
        );
        // The reason belongs to the previous review.
        let stored_reason = old.filter(|old| old.review == review).map(|old| &*old.reason);
        let reason = entry.value("reason", given.reason.as_deref(), stored_reason, "");
        let mut template = Template {
            account: owner.id,
            number,
            ut_id: ut_id.into(),
            name: name.into(),
            class,
            text: text.into(),
            review,
            reason: reason.into(),
            signature,
            position: entry.value(
                "position",
                given.position,
                old.map(|old| old.position),
                Position::Front,
            ),
            version: old.map_or(1, |old| old.version),
            ttl_s: entry.value("ttl_s", given.ttl_s.map(Some), old.map(|old| old.ttl_s), None),
            remark: old.map(|old| old.remark.clone()).unwrap_or_default(),
            details,
            created_at: old.map_or(self.inputs.now, |old| old.created_at),
            updated_at: old.map_or(self.inputs.now, |old| old.updated_at),
        };
        let same = old.is_some_and(|old| same_version(old, &template));
        let text_of = |id: i64| owner.signatures.iter().find(|(_, known)| *known == id);
        if !same
            && let Some((signature, _)) = template.signature.and_then(text_of)
            && !keeps_placeholders(&template.text, signature, template.position)
        {
            let why = format!("{title}: with its signature added, the text has other placeholders");
            return self.complain_of(&entry.raw, "text", why);
        }
        let old_fields = old.map(|old| fields(old, owner.signatures));
        let new_fields = fields(&template, owner.signatures);
        if old_fields.as_ref() != Some(&new_fields) {
            template.updated_at = self.inputs.now;
        }
        if let Some(old) = old.filter(|_| !same) {
            template.version = old.version.saturating_add(1);
            if template.review != Review::Approved && given.review.is_none() {
                let state = word(template.review);
                let note = format!("{title} remains {state}: the file names no `review` for it");
                self.plan.notes.push(note);
            }
        }
        if let Some(stale) = old.map(|old| old.number).filter(|old| *old != number) {
            // Templates are stored by number: the old one must be deleted.
            self.plan.changes.push(CatalogChange::RemoveTemplate(stale));
        }
        let what = match old {
            Some(old) if *old.name != *name => {
                format!("template {}/{} (now {name})", owner.name, old.name)
            }
            _ => title,
        };
        self.put(what, old_fields.as_ref(), &new_fields, || {
            CatalogChange::PutTemplate(template)
        });
    }

    /// Invalid placeholders. A stored text is not checked again.
    fn check_placeholders(&mut self, entry: &Entry<TemplateKeys>, title: &str, old: Option<&Template>) {
        let text = entry.keys.text.as_deref();
        let changed = text.filter(|text| old.is_none_or(|old| *old.text != **text));
        if let Some(written) = changed.and_then(unread_placeholder) {
            let why = format!(
                "{title}: {written:?} is not a placeholder and would be sent unchanged; {PLACEHOLDER_RULE}"
            );
            self.complain_of(&entry.raw, "text", why);
        }
    }

    /// The keys that a new template needs; a stored one has them.
    fn class_and_text(
        &mut self,
        entry: &Entry<TemplateKeys>,
        (title, name): (&str, &str),
        owner: Owner<'_>,
        old: Option<&Template>,
    ) -> Option<(Class, String)> {
        let class = entry.keys.class.or(old.map(|old| old.class));
        let stored = old.map(|old| old.text.to_string());
        let text = entry.keys.text.clone().or(stored);
        let own = self
            .catalog()
            .templates
            .iter()
            .filter(|old| old.account == owner.id);
        let known = own.map(|old| &*old.name);
        if class.is_none() {
            self.need_new(&entry.raw, "class", title, name, known.clone());
        }
        match &text {
            None => self.need_new(&entry.raw, "text", title, name, known),
            Some(text) if text.is_empty() => {
                self.complain_of(&entry.raw, "text", format!("{title}: `text` is empty"));
                return None;
            }
            Some(_) => {}
        }
        Some((class?, text?))
    }

    /// The id of its signature; `None` when the file names an unknown one.
    fn template_signature(
        &mut self,
        entry: &Entry<TemplateKeys>,
        title: &str,
        owner: Owner<'_>,
        old: Option<&Template>,
    ) -> Option<Option<i64>> {
        let Some(text) = &entry.keys.signature else {
            let stored = old.and_then(|old| old.signature);
            return Some(entry.value("signature", None, Some(stored), None));
        };
        let known = owner.signatures.iter().find(|(known, _)| known == text);
        if known.is_none() {
            self.complain_of_name(
                &entry.at("signature"),
                "signature",
                text,
                &format!("{title}: account {:?} has no signature", owner.name),
                owner.signatures.iter().map(|(known, _)| known.as_str()),
            );
        }
        known.map(|(_, id)| Some(*id))
    }

    /// The given number, the stored one, or the next free one.
    fn template_number(
        &mut self,
        entry: &Entry<TemplateKeys>,
        title: &str,
        old: Option<&Template>,
    ) -> Option<i64> {
        let (catalog, file) = (self.catalog(), self.inputs.file);
        let Some(number) = entry.keys.number.or(old.map(|old| old.number)) else {
            let wanted = file.account.iter().flat_map(|account| &account.template);
            let highest = catalog
                .templates
                .iter()
                .map(|template| template.number)
                .chain(self.templates_taken.keys().copied())
                .chain(wanted.filter_map(|template| template.keys.number))
                .max();
            let next = highest.map_or(TEMPLATE_NUMBER_FIRST, |highest| {
                (highest + 1).max(TEMPLATE_NUMBER_FIRST)
            });
            return Some(next);
        };
        if old.is_some_and(|old| old.number == number) && !self.templates_taken.contains_key(&number) {
            return Some(number);
        }
        if number < 1 {
            let what = format!(
                "{title}: `number` is {number}; it must be above 0 (negative ones are the built-in texts')"
            );
            self.complain_of(&entry.raw, "number", what);
            return None;
        }
        let other = catalog.templates.iter().find(|other| other.number == number);
        if other.is_some() || self.templates_taken.contains_key(&number) {
            let of = other.map_or_else(
                || "another template's in this file".to_owned(),
                |other| {
                    let account = catalog
                        .accounts
                        .iter()
                        .find(|account| account.id == other.account);
                    let account = account.map_or("", |account| &*account.name);
                    format!("that of template {account}/{}", other.name)
                },
            );
            self.complain_of(&entry.raw, "number", format!("{title}: number {number} is {of}"));
            return None;
        }
        Some(number)
    }

    /// The given id, the stored one, or one derived from its name: the same on every machine.
    fn ut_id(
        &mut self,
        entry: &Entry<TemplateKeys>,
        name: &str,
        owner: Owner<'_>,
        title: &str,
        old: Option<&Template>,
    ) -> Option<String> {
        let ut_id = match (&entry.keys.ut_id, old) {
            (Some(ut_id), _) => ut_id.clone(),
            (None, Some(old)) => old.ut_id.to_string(),
            (None, None) => made_ut_id(owner.name, name),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if old.is_none_or(|old| *old.ut_id != *ut_id) && (ut_id.is_empty() || !ut_id.chars().all(allowed)) {
            let what =
                format!("{title}: `ut_id` {ut_id:?} must consist of ASCII letters, digits, `_` and `-`");
            self.complain_of(&entry.raw, "ut_id", what);
            return None;
        }
        let of_other = self
            .catalog()
            .templates
            .iter()
            .any(|other| *other.ut_id == *ut_id && old.is_none_or(|old| old.number != other.number));
        if of_other || self.templates_taken.values().any(|other| *other == ut_id) {
            self.complain_of(
                &entry.raw,
                "ut_id",
                format!("{title}: ut_id {ut_id} is another template's"),
            );
            return None;
        }
        Some(ut_id)
    }
}

fn ttl_complaint(ttl_s: u32) -> Option<String> {
    let fine = ttl_s == 0 || (TTL_S_MIN..=TTL_S_MAX).contains(&ttl_s);
    (!fine)
        .then(|| format!("`ttl_s` is {ttl_s}; it must be 0 (no end) or {TTL_S_MIN} to {TTL_S_MAX} (seconds)"))
}

fn template_name_complaint(name: &str) -> Option<String> {
    if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || name.chars().any(is_display_control) {
        return Some(format!(
            "a name must have 1 to {NAME_CHARS_MAX} printable characters"
        ));
    }
    (name.trim() != name).then(|| "a name must not begin or end with a space".to_owned())
}

/// Whether a text has the same placeholders with its signature added, in both kinds of brackets.
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

/// Whether messages with the two templates are the same.
fn same_version(old: &Template, new: &Template) -> bool {
    (&old.text, old.signature, old.position, old.class) == (&new.text, new.signature, new.position, new.class)
}

/// `UTA` and twelve characters derived from the names, in the shape of the vendor's ids.
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

fn fields(template: &Template, signatures: &[(String, i64)]) -> Fields {
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
        ("name", template.name.to_string()),
        ("number", template.number.to_string()),
        ("ut_id", template.ut_id.to_string()),
        ("class", template.class.to_string()),
        (
            "ttl_s",
            template.ttl_s.map(|ttl_s| ttl_s.to_string()).unwrap_or_default(),
        ),
        ("text", format!("{:?}", template.text)),
        ("signature", signature.unwrap_or_default()),
        ("position", position.to_owned()),
        ("review", word(template.review)),
        ("reason", template.reason.to_string()),
        ("tlvs", tlvs_shown(&template.details)),
    ]
}
