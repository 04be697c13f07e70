//! The demo account: created once, the same after every restart.

use super::commands::EXAMPLE_CODE;
use super::webhook::DemoWebhook;
use crate::apply::file::File;
use crate::apply::secret::Environment;
use crate::apply::{self};
use anyhow::{Context, anyhow};
use engine::catalog::{Catalog, SecretSealer, credential_secret_name};
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::ExposeSecret;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use store::Store;

/// The catalog of a new data directory.
const CATALOG: &str = include_str!("demo.toml");
pub(super) const ACCOUNT: &str = "demo";
const SIGNATURE: &str = "Postrider";
/// Any project id is accepted; this one is used in the examples.
const PROJECT_ID: &str = "org-demo";
const FAMILIES: [&str; 5] = ["uspeedo", "ucloud", "sendcloud", "engagelab", "engagelab_dev"];
/// Characters of a generated secret. With the demo key and a colon that is 47 bytes, and the vendor's documented
/// `echo -n key:secret | base64` needs at most 57 to stay on one line (docs/dialects/uspeedo.md).
const SECRET_CHARS: usize = 32;

/// The content of `demo.json`: everything that a client needs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Demo {
    pub(super) base_url: String,
    pub(super) metrics_url: String,
    pub(super) account_id: u32,
    pub(super) uspeedo: Uspeedo,
    pub(super) ucloud: Ucloud,
    pub(super) sendcloud: Sendcloud,
    pub(super) engagelab: Engagelab,
    pub(super) templates: BTreeMap<String, DemoTemplate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook: Option<DemoWebhook>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Uspeedo {
    pub(super) access_key_id: String,
    pub(super) access_key_secret: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Ucloud {
    pub(super) public_key: String,
    pub(super) private_key: String,
    pub(super) project_id: String,
    pub(super) sig_content: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Sendcloud {
    pub(super) sms_user: String,
    pub(super) sms_key: String,
    pub(super) sign_name: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Engagelab {
    pub(super) sms_user: String,
    pub(super) sms_key: String,
    pub(super) dev_key: String,
    pub(super) dev_secret: String,
}

/// The two ids of a template.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct DemoTemplate {
    pub(super) number: i64,
    pub(super) ut_id: String,
}

/// Creates the missing objects of the demo catalog and returns the result.
pub(super) async fn prepare(store: &dyn Store, sealer: &SecretSealer) -> anyhow::Result<Prepared> {
    let before = store.load_catalog().await.context("read the catalog")?;
    if !is_complete(&before) {
        let mut file = File::parse(CATALOG);
        if !before.routes.is_empty() {
            // The user has set up routes: a catch-all route before them would match their messages.
            file.route.clear();
        }
        let secrets = secrets(&before, sealer)?;
        let environment = Environment {
            variable: &|family| secrets.get(family).map(OsString::from),
            read: &|_| Err(io::ErrorKind::NotFound.into()),
            check_authorities: &|_| Ok(()),
        };
        apply::seed(store, sealer, CATALOG, &file, environment).await?;
    }
    let catalog = store.load_catalog().await.context("read the catalog")?;
    Prepared::of(&catalog, sealer)
}

/// Whether all objects of the demo account exist, so that later changes are not reverted.
fn is_complete(catalog: &Catalog) -> bool {
    let Some(account) = catalog.accounts.iter().find(|account| &*account.name == ACCOUNT) else {
        return false;
    };
    let has_family = |family: &&str| {
        catalog
            .credentials
            .iter()
            .any(|credential| credential.account == account.id && *credential.family == **family)
    };
    let has_template = |name: &&str| {
        catalog
            .templates
            .iter()
            .any(|template| template.account == account.id && *template.name == **name)
    };
    FAMILIES.iter().all(has_family) && ["code", "notice", "plain"].iter().all(has_template)
}

/// A secret for each family: the stored one, or a new one.
fn secrets(catalog: &Catalog, sealer: &SecretSealer) -> anyhow::Result<HashMap<String, String>> {
    let file = File::parse(CATALOG);
    let credentials = file.account.iter().flat_map(|account| &account.credential);
    let named = credentials.filter_map(|entry| Some((entry.keys.family?.name(), entry.keys.key.as_deref()?)));
    let secrets = named.map(|(family, key)| {
        let stored = catalog
            .credentials
            .iter()
            .find(|stored| &*stored.family == family && &*stored.key == key);
        let secret = match stored {
            Some(stored) => {
                let name = credential_secret_name(family, key);
                sealer
                    .open(&name, &stored.sealed_secret)?
                    .expose_secret()
                    .to_owned()
            }
            None => random_secret()?,
        };
        Ok((family.to_owned(), secret))
    });
    secrets.collect()
}

/// Random letters and digits.
fn random_secret() -> anyhow::Result<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ab";
    let mut octets = [0; SECRET_CHARS];
    OsRng
        .try_fill_bytes(&mut octets)
        .map_err(|_| anyhow!("the system returned no random numbers"))?;
    let letters = octets
        .iter()
        .filter_map(|octet| LETTERS.get(usize::from(octet % 64)));
    Ok(letters.map(|letter| char::from(*letter)).collect())
}

/// The demo account as the store has it.
#[derive(Debug)]
pub(super) struct Prepared {
    account_id: u32,
    /// Key and secret by family.
    credentials: HashMap<String, (String, String)>,
    templates: BTreeMap<String, DemoTemplate>,
    /// The webhook of the account, if requested.
    pub(super) webhook: Option<DemoWebhook>,
}

impl Prepared {
    fn of(catalog: &Catalog, sealer: &SecretSealer) -> anyhow::Result<Self> {
        let account = catalog
            .accounts
            .iter()
            .find(|account| &*account.name == ACCOUNT)
            .context("the demo account is missing")?;
        let mut credentials = HashMap::new();
        for credential in catalog
            .credentials
            .iter()
            .filter(|credential| credential.account == account.id)
        {
            let name = credential_secret_name(&credential.family, &credential.key);
            let secret = sealer
                .open(&name, &credential.sealed_secret)?
                .expose_secret()
                .to_owned();
            credentials.insert(
                credential.family.to_string(),
                (credential.key.to_string(), secret),
            );
        }
        let templates = catalog
            .templates
            .iter()
            .filter(|template| template.account == account.id)
            .map(|template| {
                let names = DemoTemplate {
                    number: template.number,
                    ut_id: template.ut_id.to_string(),
                };
                (template.name.to_string(), names)
            });
        Ok(Self {
            account_id: account.id.0,
            credentials,
            templates: templates.collect(),
            webhook: None,
        })
    }

    /// Adds the addresses of the node.
    pub(super) fn at(self, api: SocketAddr, metrics: SocketAddr) -> anyhow::Result<Demo> {
        let pair = |family: &str| {
            let pair = self.credentials.get(family).cloned();
            pair.with_context(|| format!("the demo account has no {family} credential"))
        };
        let (access_key_id, access_key_secret) = pair("uspeedo")?;
        let (public_key, private_key) = pair("ucloud")?;
        let (sms_user, sms_key) = pair("sendcloud")?;
        let (engagelab_user, engagelab_key) = pair("engagelab")?;
        let (dev_key, dev_secret) = pair("engagelab_dev")?;
        Ok(Demo {
            base_url: format!("http://{api}"),
            metrics_url: format!("http://{metrics}"),
            account_id: self.account_id,
            uspeedo: Uspeedo {
                access_key_id,
                access_key_secret,
            },
            ucloud: Ucloud {
                public_key,
                private_key,
                project_id: PROJECT_ID.to_owned(),
                sig_content: SIGNATURE.to_owned(),
            },
            sendcloud: Sendcloud {
                sms_user,
                sms_key,
                sign_name: SIGNATURE.to_owned(),
            },
            engagelab: Engagelab {
                sms_user: engagelab_user,
                sms_key: engagelab_key,
                dev_key,
                dev_secret,
            },
            templates: self.templates,
            webhook: self.webhook,
        })
    }
}

impl Demo {
    /// The template the examples use.
    pub(super) fn code_template(&self) -> DemoTemplate {
        self.templates.get(EXAMPLE_CODE).cloned().unwrap_or_default()
    }

    /// Writes `demo.json`, readable by its owner only: it holds secrets.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("serialize demo.json")?;
        // Written under another name and renamed: a test that waits for the file never reads a part of it.
        let aside = path.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .with_context(|| format!("write {}", aside.display()))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .context("write demo.json")?;
        std::fs::rename(&aside, path).with_context(|| format!("write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_secrets_are_long_random_letters_and_fit_the_documented_curl() {
        let (a, b) = (random_secret().unwrap(), random_secret().unwrap());
        assert_eq!(a.len(), SECRET_CHARS);
        assert!(a.bytes().all(|octet| octet.is_ascii_alphanumeric()));
        assert_ne!(a, b);
        assert!("demo-access-key".len() + 1 + SECRET_CHARS <= 57);
    }

    #[test]
    fn the_built_in_catalog_has_a_secret_for_each_family() {
        let secrets = secrets(&Catalog::default(), &SecretSealer::new(&[1; 32])).unwrap();
        let mut families: Vec<&str> = secrets.keys().map(String::as_str).collect();
        families.sort_unstable();
        let mut expected = FAMILIES;
        expected.sort_unstable();
        assert_eq!(families, expected);
    }
}
