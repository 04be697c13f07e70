//! The templates and signatures of one version of the catalog: what accounts change themselves, many times a day.

use super::shared_map::SharedMap;
use super::snapshot::{TemplateEntry, compile_template};
use super::tlvs;
use std::sync::Arc;
use store::{AccountId, CatalogChange, Review, Signature, Template};

/// Templates and signatures, indexed by their lookup keys. A copy shares unchanged parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    pub(super) templates: SharedMap<i64, Arc<TemplateEntry>>,
    pub(super) templates_by_ut_id: SharedMap<Box<str>, Arc<TemplateEntry>>,
    pub(super) templates_by_account: SharedMap<(AccountId, i64), Arc<TemplateEntry>>,
    pub(super) signatures: SharedMap<i64, Arc<Signature>>,
    pub(super) signatures_by_account: SharedMap<(AccountId, i64), Arc<Signature>>,
    /// Of two with the same text, the approved one; of those, the first.
    pub(super) signatures_by_text: SharedMap<(AccountId, Box<str>), Arc<Signature>>,
    /// Whether any has ever had TLVs since the whole was read.
    pub(super) has_tlvs: bool,
}

impl Texts {
    /// Makes a change of it; false when the change is of something else.
    pub(super) fn change(&mut self, change: &CatalogChange) -> bool {
        match change {
            CatalogChange::PutTemplate(template) => self.put_template(template.clone()),
            CatalogChange::RemoveTemplate(number) => self.remove_template(*number),
            CatalogChange::PutSignature(signature) => self.put_signature(signature.clone()),
            CatalogChange::RemoveSignature(id) => self.remove_signature(*id),
            _ => return false,
        }
        true
    }

    pub(super) fn put_template(&mut self, template: Template) {
        self.remove_template(template.number);
        let entry = Arc::new(compile_template(template, &self.signatures));
        self.has_tlvs |= !entry.tlvs.is_empty();
        let number = entry.template.number;
        let by_account = (entry.template.account, number);
        self.templates_by_account.insert(by_account, Arc::clone(&entry));
        let ut_id = entry.template.ut_id.clone();
        self.templates_by_ut_id.insert(ut_id, Arc::clone(&entry));
        self.templates.insert(number, entry);
    }

    fn remove_template(&mut self, number: i64) {
        let Some(entry) = self.templates.get(&number).cloned() else {
            return;
        };
        self.templates.remove(&number);
        self.templates_by_ut_id.remove(&entry.template.ut_id);
        self.templates_by_account
            .remove(&(entry.template.account, number));
    }

    /// Puts a signature of a whole that is being read: its templates come later.
    pub(super) fn add_signature(&mut self, signature: Signature) {
        self.has_tlvs |= !tlvs::of_details(&signature.details).is_empty();
        let signature = Arc::new(signature);
        let by_account = (signature.account, signature.id);
        self.signatures_by_account
            .insert(by_account, Arc::clone(&signature));
        let by_text = (signature.account, signature.text.clone());
        let known = self.signatures_by_text.get(&by_text);
        let is_better = known.is_none_or(|known| {
            let rank = |one: &Signature| (one.review != Review::Approved, one.id);
            rank(&signature) <= rank(known)
        });
        if is_better {
            self.signatures_by_text.insert(by_text, Arc::clone(&signature));
        }
        self.signatures.insert(signature.id, signature);
    }

    fn put_signature(&mut self, signature: Signature) {
        let (account, id) = (signature.account, signature.id);
        let before = self.take_signature(id);
        self.add_signature(signature);
        self.templates_follow(account, id);
        if let Some(before) = before.filter(|before| *before != account) {
            self.templates_follow(before, id);
        }
    }

    fn remove_signature(&mut self, id: i64) {
        if let Some(account) = self.take_signature(id) {
            self.templates_follow(account, id);
        }
    }

    /// Takes a signature out; whose it was. Another of the account with its text takes its place.
    fn take_signature(&mut self, id: i64) -> Option<AccountId> {
        let old = self.signatures.get(&id).cloned()?;
        let account = old.account;
        self.signatures.remove(&id);
        self.signatures_by_account.remove(&(account, id));
        self.signatures_by_text.remove(&(account, old.text.clone()));
        let same_text = |signature: &&Arc<Signature>| signature.text == old.text;
        let others: Vec<Signature> = self
            .signatures_of(account)
            .filter(same_text)
            .map(|other| Signature::clone(other))
            .collect();
        for other in others {
            self.add_signature(other);
        }
        Some(account)
    }

    /// Recompiles the templates that name a signature.
    fn templates_follow(&mut self, account: AccountId, signature: i64) {
        let naming: Vec<Template> = self
            .templates_of(account)
            .filter(|entry| entry.template.signature == Some(signature))
            .map(|entry| entry.template.clone())
            .collect();
        for template in naming {
            self.put_template(template);
        }
    }

    /// An account's templates by number.
    pub(super) fn templates_of(&self, account: AccountId) -> impl Iterator<Item = &Arc<TemplateEntry>> {
        self.templates_by_account
            .from(&(account, i64::MIN))
            .take_while(move |((owner, _), _)| *owner == account)
            .map(|(_, entry)| entry)
    }

    /// An account's signatures by id.
    pub(super) fn signatures_of(&self, account: AccountId) -> impl Iterator<Item = &Arc<Signature>> {
        self.signatures_by_account
            .from(&(account, i64::MIN))
            .take_while(move |((owner, _), _)| *owner == account)
            .map(|(_, signature)| signature)
    }
}
