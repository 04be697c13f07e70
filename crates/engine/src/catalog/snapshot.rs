//! One version of the catalog, compiled: secrets opened, templates parsed, routes in order.

use super::shared_map::SharedMap;
use super::texts::Texts;
use super::{CarrierSettings, RouteRule, SealError, SecretFault, SecretSealer, TlvList, secret_fault, tlvs};
use crate::inbound::Claims;
use crate::route::{RouteTable, Rule};
use secrecy::{ExposeSecret, SecretString};
use sms::blocked::BlockedWords;
use sms::encoding::Encoding;
use sms::template::Template as Pattern;
use sms::visible::is_blank;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::{
    Account, AccountId, BatchView, CarrierNo, Catalog, CatalogChange, Endpoint, EndpointId, Position, Review,
    Signature, Template,
};
use thiserror::Error;

/// The catalog as the engine and the dialects use it. Immutable; a change makes a new one, which shares what is the same.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: u64,
    setup: Arc<Setup>,
    texts: Texts,
}

/// What only operators change. A change of it rebuilds all of it.
#[derive(Debug, Default)]
struct Setup {
    accounts: HashMap<AccountId, Arc<Account>>,
    claims: Claims,
    /// By family, then by key.
    credentials: HashMap<Box<str>, HashMap<Box<str>, CredentialEntry>>,
    open_to_all: Vec<OpenCredential>,
    endpoints: BTreeMap<EndpointId, Arc<EndpointEntry>>,
    carriers: BTreeMap<CarrierNo, Arc<CarrierEntry>>,
    routes: RouteTable,
    /// Words that no text may have, if there are any.
    blocked: Option<BlockedWords>,
    /// Accounts' own, beside those.
    blocked_by_account: HashMap<AccountId, BlockedWords>,
}

/// A credential with its secret in the clear.
#[derive(Debug, Clone)]
pub struct CredentialEntry {
    /// Whose.
    pub account: AccountId,
    /// The secret part.
    pub secret: SecretString,
    /// False when switched off.
    pub enabled: bool,
    /// Requests a second that may be made with it; 0: no limit.
    pub requests_per_s_max: u32,
}

/// A credential whose secret or key is empty. It is switched off, whatever the catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCredential {
    /// Whose.
    pub account: AccountId,
    /// Which family of wires takes it.
    pub family: Box<str>,
    /// Its public half.
    pub key: Box<str>,
}

/// A template, ready to be filled.
#[derive(Debug)]
pub struct TemplateEntry {
    /// As stored.
    pub template: Template,
    /// Its content, parsed, without signature: what placeholders and their positions are taken from.
    pub pattern: Pattern,
    /// Its content between its own signature's brackets as used in mainland China; equal to
    /// `international` when it has no signature.
    pub domestic: Arc<str>,
    /// The same with the brackets used elsewhere.
    pub international: Arc<str>,
    /// False when it names a signature that is missing or not approved.
    pub signature_approved: bool,
    /// Its own TLVs.
    pub(super) tlvs: TlvList,
}

/// A carrier with its settings read.
#[derive(Debug, PartialEq)]
pub struct CarrierEntry {
    /// Its number.
    pub no: CarrierNo,
    /// Its name.
    pub name: Box<str>,
    /// Its settings.
    pub settings: CarrierSettings,
}

impl CarrierEntry {
    /// Whether it can speak.
    pub fn speaks(&self) -> bool {
        match &self.settings {
            CarrierSettings::Smpp(smpp) => smpp.voice,
            CarrierSettings::Sandbox(_) => true,
            CarrierSettings::Removed => false,
        }
    }

    /// What decides the parts of a text at this carrier.
    pub(crate) fn encoding(&self) -> Encoding {
        match &self.settings {
            CarrierSettings::Smpp(smpp) => smpp.encoding(),
            CarrierSettings::Sandbox(_) | CarrierSettings::Removed => Encoding::default(),
        }
    }
}

/// An endpoint with its secret in the clear.
#[derive(Debug)]
pub struct EndpointEntry {
    /// As stored.
    pub endpoint: Endpoint,
    /// Its secret, empty for none.
    pub secret: SecretString,
}

/// The stored catalog cannot be used.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// A carrier's settings do not read.
    #[error("settings of carrier {name}: {source}")]
    Carrier {
        /// Which.
        name: Box<str>,
        /// Why.
        source: serde_json::Error,
    },
    /// A route's rule does not read.
    #[error("route {position}: {source}")]
    Route {
        /// Which.
        position: u32,
        /// Why.
        source: serde_json::Error,
    },
    /// A route names something that is not there.
    #[error("route {position} names the unknown {what} {name:?}")]
    UnknownName {
        /// Which route.
        position: u32,
        /// Carrier or account.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A secret does not open.
    #[error(transparent)]
    SecretSealer(#[from] SealError),
}

/// The text with a signature around it: 【】 in mainland China, [ ] elsewhere (docs/dialects/uspeedo.md).
pub(crate) fn signed(text: &str, signature: &str, position: Position, domestic: bool) -> String {
    let (open, close) = if domestic { ('【', '】') } else { ('[', ']') };
    match position {
        Position::Front => format!("{open}{signature}{close}{text}"),
        Position::End => format!("{text}{open}{signature}{close}"),
    }
}

/// The name under which a credential's secret is sealed.
pub fn credential_secret_name(family: &str, key: &str) -> String {
    format!("credential/{family}/{key}")
}

/// The name under which a carrier's password is sealed.
pub fn carrier_secret_name(carrier: &str) -> String {
    format!("carrier/{carrier}")
}

/// The name under which an endpoint's secret is sealed.
pub fn endpoint_secret_name(endpoint: EndpointId) -> String {
    format!("endpoint/{}", endpoint.0)
}

impl Snapshot {
    /// Compiles a stored catalog.
    pub fn compile(catalog: Catalog, sealer: &SecretSealer) -> Result<Self, CatalogError> {
        let (mut setup, mut texts) = (Setup::default(), Texts::default());
        for credential in &catalog.credentials {
            let name = credential_secret_name(&credential.family, &credential.key);
            let secret = sealer.open(&name, &credential.sealed_secret)?;
            // Whoever knows the public half would be let in. Earlier releases stored such secrets.
            let opens_to_all =
                is_blank(&credential.key) || secret_fault(secret.expose_secret()) == Some(SecretFault::Blank);
            if opens_to_all {
                setup.open_to_all.push(OpenCredential {
                    account: credential.account,
                    family: credential.family.clone(),
                    key: credential.key.clone(),
                });
            }
            let entry = CredentialEntry {
                account: credential.account,
                secret,
                enabled: credential.enabled && !opens_to_all,
                requests_per_s_max: credential.requests_per_s_max,
            };
            let family = setup.credentials.entry(credential.family.clone()).or_default();
            family.insert(credential.key.clone(), entry);
        }
        for signature in catalog.signatures {
            texts.add_signature(signature);
        }
        for template in catalog.templates {
            texts.put_template(template);
        }
        for endpoint in catalog.endpoints {
            let name = endpoint_secret_name(endpoint.id);
            let secret = if endpoint.sealed_secret.is_empty() {
                SecretString::default()
            } else {
                sealer.open(&name, &endpoint.sealed_secret)?
            };
            let entry = EndpointEntry { endpoint, secret };
            setup.endpoints.insert(entry.endpoint.id, Arc::new(entry));
        }
        for carrier in catalog.carriers {
            let settings =
                serde_json::from_value(carrier.settings).map_err(|source| CatalogError::Carrier {
                    name: carrier.name.clone(),
                    source,
                })?;
            let entry = CarrierEntry {
                no: carrier.no,
                name: carrier.name,
                settings,
            };
            setup.carriers.insert(entry.no, Arc::new(entry));
        }
        let accounts: HashMap<&str, AccountId> = catalog.accounts.iter().map(|a| (&*a.name, a.id)).collect();
        let carriers: HashMap<&str, &CarrierEntry> = setup
            .carriers
            .values()
            .map(|carrier| (&*carrier.name, &**carrier))
            .collect();
        let mut rules = Vec::with_capacity(catalog.routes.len());
        for route in &catalog.routes {
            let position = route.position;
            let rule: RouteRule = serde_json::from_value(route.rule.clone())
                .map_err(|source| CatalogError::Route { position, source })?;
            let unknown = |what, name: &String| CatalogError::UnknownName {
                position,
                what,
                name: name.clone(),
            };
            let account_ids = rule
                .accounts
                .iter()
                .map(|name| {
                    accounts
                        .get(name.as_str())
                        .copied()
                        .ok_or_else(|| unknown("account", name))
                })
                .collect::<Result<Vec<_>, _>>()?;
            let to = rule
                .carriers
                .iter()
                .map(|name| {
                    let carrier = carriers
                        .get(name.as_str())
                        .ok_or_else(|| unknown("carrier", name))?;
                    Ok((carrier.no, carrier.speaks()))
                })
                .collect::<Result<Vec<_>, CatalogError>>()?;
            // One that is switched off still has to read, so that switching it on cannot break the catalog.
            if rule.enabled {
                rules.push(Rule {
                    position,
                    rule,
                    account_ids,
                    to,
                });
            }
        }
        setup.claims = Claims::of(&catalog.accounts, &rules);
        setup.routes = RouteTable::new(rules);
        let lists = catalog.blocked_words.iter().flat_map(|list| &list.words);
        setup.blocked = BlockedWords::new(lists.map(|word| &**word));
        setup.blocked_by_account = catalog
            .accounts
            .iter()
            .filter_map(|account| {
                let words = account.blocked_words.iter().map(|word| &**word);
                Some((account.id, BlockedWords::new(words)?))
            })
            .collect();
        setup.accounts = catalog
            .accounts
            .into_iter()
            .map(|a| (a.id, Arc::new(a)))
            .collect();
        Ok(Self {
            version: catalog.version,
            setup: Arc::new(setup),
            texts,
        })
    }

    /// The next version, which has these changes; `None` when they are not of templates and signatures alone. Costs what
    /// is changed, whatever there is beside it.
    pub(crate) fn with(&self, changes: &[CatalogChange]) -> Option<Self> {
        let mut texts = self.texts.clone();
        let all = changes.iter().all(|change| texts.change(change));
        all.then(|| Self {
            version: self.version + 1,
            setup: Arc::clone(&self.setup),
            texts,
        })
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The credential of a family by its public part.
    pub fn credential(&self, family: &str, key: &str) -> Option<&CredentialEntry> {
        self.setup.credentials.get(family)?.get(key)
    }

    /// Credentials that are switched off because their secret or key is empty.
    pub fn open_to_all(&self) -> &[OpenCredential] {
        &self.setup.open_to_all
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.setup.accounts.get(&id)
    }

    /// What accounts say of inbound messages.
    pub(crate) fn claims(&self) -> &Claims {
        &self.setup.claims
    }

    /// All accounts, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.setup.accounts.values()
    }

    /// Whether a text of an account has a word that may not be sent.
    pub fn blocks(&self, account: AccountId, text: &str) -> bool {
        let own = self.setup.blocked_by_account.get(&account);
        let lists = [self.setup.blocked.as_ref(), own];
        lists.into_iter().flatten().any(|words| words.are_in(text))
    }

    /// An account's template by number.
    pub fn template_by_number(&self, account: AccountId, number: i64) -> Option<&Arc<TemplateEntry>> {
        self.texts
            .templates
            .get(&number)
            .filter(|entry| entry.template.account == account)
    }

    /// An account's template by its `UT…` id.
    pub fn template_by_ut_id(&self, account: AccountId, ut_id: &str) -> Option<&Arc<TemplateEntry>> {
        self.texts
            .templates_by_ut_id
            .get(ut_id)
            .filter(|entry| entry.template.account == account)
    }

    /// An account's templates by number.
    pub fn templates_of(&self, account: AccountId) -> impl Iterator<Item = &Arc<TemplateEntry>> {
        self.texts.templates_of(account)
    }

    /// An account's signatures by id.
    pub fn signatures_of(&self, account: AccountId) -> impl Iterator<Item = &Arc<Signature>> {
        self.texts.signatures_of(account)
    }

    /// The highest template number there is, of any account; 0 for none.
    pub(crate) fn template_number_max(&self) -> i64 {
        self.texts.templates.last().map_or(0, |(number, _)| *number)
    }

    /// The highest signature id there is, of any account; 0 for none.
    pub(crate) fn signature_id_max(&self) -> i64 {
        self.texts.signatures.last().map_or(0, |(id, _)| *id)
    }

    /// Whether any account's template has that id.
    pub(crate) fn has_ut_id(&self, ut_id: &str) -> bool {
        self.texts.templates_by_ut_id.get(ut_id).is_some()
    }

    /// An endpoint.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Arc<EndpointEntry>> {
        self.setup.endpoints.get(&id)
    }

    /// All endpoints by id.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<EndpointEntry>> {
        self.setup.endpoints.values()
    }

    /// An account's signature by id.
    pub fn signature(&self, account: AccountId, id: i64) -> Option<&Arc<Signature>> {
        self.texts
            .signatures
            .get(&id)
            .filter(|signature| signature.account == account)
    }

    /// An account's signature by its text, with or without brackets.
    pub fn signature_by_text(&self, account: AccountId, text: &str) -> Option<&Arc<Signature>> {
        let bare = text
            .trim()
            .trim_start_matches(['【', '['])
            .trim_end_matches(['】', ']']);
        self.texts.signatures_by_text.get(&(account, Box::from(bare)))
    }

    /// A carrier.
    pub fn carrier(&self, no: CarrierNo) -> Option<&Arc<CarrierEntry>> {
        self.setup.carriers.get(&no)
    }

    /// All carriers by number.
    pub fn carriers(&self) -> impl Iterator<Item = &Arc<CarrierEntry>> {
        self.setup.carriers.values()
    }

    /// The TLVs that go with the messages of a batch: those of the signature around its text, then those of its
    /// template, which win. As the catalog has them now: what is corrected holds for messages that wait too.
    pub(crate) fn tlvs_of(&self, batch: &BatchView) -> TlvList {
        if !self.texts.has_tlvs {
            return Vec::new();
        }
        let entry = self.template_by_number(batch.account, batch.template);
        let bound = entry.and_then(|entry| self.signature(batch.account, entry.template.signature?));
        let signature = bound.or_else(|| self.signature_around(batch.account, &batch.text));
        let of_signature = signature.map(|signature| tlvs::of_details(&signature.details));
        let mut all = of_signature.unwrap_or_default();
        if let Some(entry) = entry {
            all.extend_from_slice(&entry.tlvs);
        }
        all
    }

    /// The signature that a text begins or ends with, in its brackets.
    fn signature_around(&self, account: AccountId, text: &str) -> Option<&Arc<Signature>> {
        [('【', '】'), ('[', ']')].into_iter().find_map(|(open, close)| {
            let front = text.strip_prefix(open).and_then(|rest| rest.split_once(close));
            let end = text.strip_suffix(close).and_then(|rest| rest.rsplit_once(open));
            front
                .map(|(signature, _)| signature)
                .into_iter()
                .chain(end.map(|(_, signature)| signature))
                .find_map(|signature| self.signature_by_text(account, signature))
        })
    }

    /// What decides the parts of a text at a carrier.
    pub(crate) fn encoding(&self, no: CarrierNo) -> Encoding {
        self.carrier(no)
            .map(|carrier| carrier.encoding())
            .unwrap_or_default()
    }

    /// The routes.
    pub fn routes(&self) -> &RouteTable {
        &self.setup.routes
    }
}

pub(super) fn compile_template(
    template: Template,
    signatures: &SharedMap<i64, Arc<Signature>>,
) -> TemplateEntry {
    let pattern = Pattern::parse(&template.text);
    // One of another account is none: nothing lets a template name it.
    let own = |signature: &&Arc<Signature>| signature.account == template.account;
    let signature = template.signature.map(|id| signatures.get(&id).filter(own));
    let (domestic, international, signature_approved) = match signature {
        None => {
            let text: Arc<str> = Arc::from(&*template.text);
            (Arc::clone(&text), text, true)
        }
        Some(None) => {
            let text: Arc<str> = Arc::from(&*template.text);
            (Arc::clone(&text), text, false)
        }
        Some(Some(signature)) => (
            Arc::from(signed(&template.text, &signature.text, template.position, true)),
            Arc::from(signed(&template.text, &signature.text, template.position, false)),
            signature.review == Review::Approved,
        ),
    };
    TemplateEntry {
        tlvs: tlvs::of_details(&template.details),
        template,
        pattern,
        domestic,
        international,
        signature_approved,
    }
}

#[cfg(test)]
mod tests;
