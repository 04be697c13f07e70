//! `postrider dev --webhook URL`: sends the events of the demo account to a URL.

use super::demo::ACCOUNT;
use crate::exit::Failure;
use crate::webhook_formats::WebhookFormats;
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::catalog::{Catalog, CatalogChange, SecretSealer, endpoint_secret_name};
use engine::webhooks::Allow;
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::ExposeSecret;
use serde::Serialize;
use store::{Endpoint, EndpointId, EventKinds, Store};
use url::Url;

/// The name of the webhook in the demo account.
const NAME: &str = "dev";
/// The standard format, for which most languages have libraries.
const FORMAT: &str = "standard";
/// Octets of a generated key: the specification requires 24 to 64.
const KEY_OCTETS: usize = 24;

/// What a receiver needs, as part of `demo.json`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DemoWebhook {
    pub(super) url: String,
    pub(super) format: &'static str,
    pub(super) secret: String,
}

/// The addresses that may be called: this machine, and that of the URL.
pub(super) fn allow(url: Option<&str>) -> Result<Vec<Allow>, Failure> {
    let service = url.map(service).transpose().map_err(Failure::bad_input)?;
    let here = ["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
    let allowed = here.into_iter().chain(service).map(|allow| allow.parse());
    Ok(allowed
        .collect::<Result<_, String>>()
        .map_err(|why| anyhow!(why))?)
}

/// Host and port of a valid URL.
fn service(url: &str) -> anyhow::Result<String> {
    let checked = WebhookFormats::all().check(FORMAT, url, &serde_json::json!({}));
    checked.map_err(|why| anyhow!("--webhook: {why}"))?;
    let url = Url::parse(url)?;
    let host = url.host_str().context("--webhook: no host")?;
    let port = url.port_or_known_default().context("--webhook: no port")?;
    Ok(format!("{host}:{port}"))
}

/// Sets the webhook of the demo account to `url`, or disables it. The secret stays the same.
pub(super) async fn prepare(
    store: &dyn Store,
    sealer: &SecretSealer,
    url: Option<&str>,
) -> anyhow::Result<Option<DemoWebhook>> {
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let account = catalog.accounts.iter().find(|account| &*account.name == ACCOUNT);
    let account = account.context("the demo account is missing")?.id;
    let old = catalog
        .endpoints
        .iter()
        .find(|endpoint| endpoint.account == account && &*endpoint.name == NAME);
    let Some(url) = url else {
        // Events meanwhile are delivered when the webhook is enabled again.
        if let Some(old) = old.filter(|old| old.enabled) {
            let off = Endpoint {
                enabled: false,
                ..old.clone()
            };
            put(store, off).await?;
        }
        return Ok(None);
    };
    let id = old.map_or_else(|| next_id(&catalog), |old| old.id);
    let name = endpoint_secret_name(id);
    let (secret, sealed_secret) = match old.filter(|old| !old.sealed_secret.is_empty()) {
        Some(old) => {
            let opened = sealer.open(&name, &old.sealed_secret)?;
            (opened.expose_secret().to_owned(), old.sealed_secret.clone())
        }
        None => {
            let made = made_secret()?;
            let sealed = sealer.seal(&name, &made)?;
            (made, sealed)
        }
    };
    let endpoint = Endpoint {
        id,
        account,
        name: NAME.into(),
        format: FORMAT.into(),
        url: url.into(),
        kinds: EventKinds::ALL,
        settings: serde_json::json!({}),
        sealed_secret,
        enabled: true,
    };
    if old != Some(&endpoint) {
        put(store, endpoint).await?;
    }
    Ok(Some(DemoWebhook {
        url: url.to_owned(),
        format: FORMAT,
        secret,
    }))
}

async fn put(store: &dyn Store, endpoint: Endpoint) -> anyhow::Result<()> {
    let changed = store
        .change_catalog(vec![CatalogChange::PutEndpoint(endpoint)])
        .await;
    changed.context("write the catalog")?;
    Ok(())
}

fn next_id(catalog: &Catalog) -> EndpointId {
    let highest = catalog.endpoints.iter().map(|endpoint| endpoint.id.0).max();
    EndpointId(highest.unwrap_or(0) + 1)
}

/// A key in the notation of the Standard Webhooks libraries.
fn made_secret() -> anyhow::Result<String> {
    let mut key = [0; KEY_OCTETS];
    OsRng
        .try_fill_bytes(&mut key)
        .map_err(|_| anyhow!("the system returned no random numbers"))?;
    Ok(format!("whsec_{}", STANDARD.encode(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_may_call_this_machine_and_what_it_names() {
        let allowed = |url| allow(url).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(allowed(None).unwrap(), ["127.0.0.0/8", "::1/128"]);
        let named = [
            ("http://127.0.0.1:9000/hook", "127.0.0.1:9000"),
            ("https://hooks.internal/", "hooks.internal:443"),
            ("http://[fd00::1]:80/", "[fd00::1]:80"),
        ];
        for (url, service) in named {
            assert_eq!(allowed(Some(url)).unwrap()[2], service, "{url}");
        }
        for url in ["ftp://a/", "nowhere", "http://a:b@c/"] {
            assert!(
                allowed(Some(url))
                    .unwrap_err()
                    .to_string()
                    .starts_with("--webhook: "),
                "{url}"
            );
        }
    }

    #[test]
    fn made_keys_are_random_and_as_libraries_take_them() {
        let (a, b) = (made_secret().unwrap(), made_secret().unwrap());
        assert_ne!(a, b);
        let key = STANDARD.decode(a.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(key.len(), KEY_OCTETS);
    }
}
