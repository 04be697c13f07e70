//! `postrider export`: the whole catalog as a file that `postrider apply` accepts without changes.
//!
//! Each entry has all its keys; a key with its default value is in `reset`, so that applying the file restores what
//! was changed since. Secrets are left out: the store keeps them.

use super::entry::{RESET, keys_of, toml_value};
use super::existing;
use super::file::{
    AccountKeys, BlockedWordsKeys, CredentialKeys, EventName, Family, RouteKeys, SignatureKeys,
    SuppressionKeys, TemplateKeys, WebhookKeys,
};
use super::plan::wire::tlvs_of;
use super::plan::{Existing, route_titles, signature_meant};
use crate::exit::Failure;
use crate::logging;
use crate::open::{self, Place};
use crate::webhook_formats;
use anyhow::Context;
use clap::Args;
use engine::catalog::{Account, CarrierSettings, Catalog, RouteRule, SandboxSettings, SmppSettings, TlvMap};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sms::visible::is_display_control;
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use store::sqlite::Mode;
use store::{Carrier, Store};

/// Writes the whole catalog as a file for `apply`: accounts, credentials, signatures, templates, webhooks, carriers,
/// routes, suppressions.
///
/// The file goes to standard output. It has no secrets; the store keeps its own when the file is applied again. For
/// another store, add `secret_env`, `secret_file` or `secret` to each credential and a password to each carrier.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    place: Place,
    /// Leave out the suppressed numbers
    #[arg(long)]
    without_suppressions: bool,
}

/// Reads the store and writes the file.
pub(crate) async fn run(args: &ExportArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.place.config_of_existing()?;
    let store = open::store(&config, Mode::Tool).await?;
    let mut existing = existing(&*store).await?;
    store.close().await.context("close the store")?;
    if args.without_suppressions {
        existing.suppressions.clear();
    }
    let mut out = BufWriter::new(out);
    write(&existing, &mut out)?;
    out.flush()?;
    Ok(())
}

/// Writes the catalog of a store as a catalog file.
pub(crate) fn write(existing: &Existing, out: &mut impl Write) -> io::Result<()> {
    let catalog = &existing.catalog;
    writeln!(
        out,
        "# The catalog at version {}, as `postrider export` wrote it.",
        catalog.version
    )?;
    writeln!(
        out,
        "# It has no secrets; the store keeps its own when the file is applied again."
    )?;
    let mut accounts: Vec<&Account> = catalog.accounts.iter().collect();
    accounts.sort_by_key(|account| account.id);
    for account in accounts {
        write_account(catalog, account, out)?;
    }
    for carrier in &catalog.carriers {
        write_carrier(carrier, out)?;
    }
    let rules = catalog.routes.iter();
    let rules: Vec<RouteRule> = rules
        .filter_map(|route| serde_json::from_value(route.rule.clone()).ok())
        .collect();
    for (rule, title) in rules.iter().zip(route_titles(&rules)) {
        entry(
            "route",
            &RouteKeys {
                name: Some(title),
                prefixes: Some(rule.prefixes.clone()),
                accounts: Some(rule.accounts.clone()),
                classes: Some(rule.classes.clone()),
                kinds: Some(rule.kinds.clone()),
                senders: Some(rule.senders.clone()),
                carriers: Some(rule.carriers.clone()),
                enabled: Some(rule.enabled),
            },
            &[],
            out,
        )?;
    }
    let names: HashMap<_, _> = catalog
        .accounts
        .iter()
        .map(|account| (account.id, &*account.name))
        .collect();
    for list in &catalog.blocked_words {
        entry(
            "blocked_words",
            &BlockedWordsKeys {
                name: Some(list.name.to_string()),
                words: Some(list.words.iter().map(ToString::to_string).collect()),
            },
            &[],
            out,
        )?;
    }
    for suppression in &existing.suppressions {
        let account = match suppression.account {
            None => None,
            Some(id) => match names.get(&id) {
                Some(name) => Some((*name).to_owned()),
                // The account of the suppression was deleted.
                None => continue,
            },
        };
        entry(
            "suppression",
            &SuppressionKeys {
                number: Some(format!("+{}", suppression.msisdn.as_u64())),
                kind: Some(suppression.kind),
                account,
            },
            &[],
            out,
        )?;
    }
    Ok(())
}

fn write_account(catalog: &Catalog, account: &Account, out: &mut impl Write) -> io::Result<()> {
    let texts = |texts: &[Box<str>]| Some(texts.iter().map(ToString::to_string).collect());
    entry(
        "account",
        &AccountKeys {
            name: Some(account.name.to_string()),
            id: Some(account.id.0),
            weight: Some(account.weight),
            balance: account.balance,
            per_minute_max: Some(account.caps.per_minute_max),
            per_day_max: Some(account.caps.per_day_max),
            may_send: Some(account.may_send),
            senders: texts(&account.senders),
            blocked_words: texts(&account.blocked_words),
            project_ids: texts(&account.project_ids),
            auto_approve: Some(account.auto_approve),
            repeats_with_other_content: Some(account.repeats_with_other_content),
            inbound_to: texts(&account.inbound_to),
            opt_out_words: texts(&account.opt_out_words),
            opt_in_words: account.opt_in_words.as_deref().and_then(texts),
        },
        &["balance", "opt_in_words"],
        out,
    )?;
    for credential in catalog.credentials.iter().filter(|own| own.account == account.id) {
        let Some(family) = Family::named(&credential.family) else {
            continue;
        };
        entry(
            "account.credential",
            &CredentialKeys {
                family: Some(family),
                key: Some(credential.key.to_string()),
                enabled: Some(credential.enabled),
                requests_per_s_max: Some(credential.requests_per_s_max),
                ..CredentialKeys::default()
            },
            &[],
            out,
        )?;
    }
    write_texts(catalog, account, out)?;
    for endpoint in catalog.endpoints.iter().filter(|own| own.account == account.id) {
        let settings = webhook_formats::without_secrets(&endpoint.settings);
        // Secret settings are not in the file; the store keeps them.
        let has_none = endpoint.settings.as_object().is_none_or(Map::is_empty);
        entry(
            "account.webhook",
            &WebhookKeys {
                name: Some(endpoint.name.to_string()),
                format: Some(endpoint.format.to_string()),
                url: Some(endpoint.url.to_string()),
                events: Some(EventName::of(endpoint.kinds).collect()),
                settings: Some(settings).filter(|settings| !settings.is_empty()),
                enabled: Some(endpoint.enabled),
                ..WebhookKeys::default()
            },
            if has_none { &["settings"] } else { &[] },
            out,
        )?;
    }
    Ok(())
}

/// Signatures and templates.
fn write_texts(catalog: &Catalog, account: &Account, out: &mut impl Write) -> io::Result<()> {
    let signatures = || catalog.signatures.iter().filter(|own| own.account == account.id);
    for signature in signatures() {
        // The file names a signature by its text: of several with the same text it can have one.
        if signature_meant(signatures(), &signature.text).is_none_or(|meant| meant.id != signature.id) {
            writeln!(
                out,
                "\n# signature {} has the same text as another one and is left unchanged",
                signature.id
            )?;
            continue;
        }
        entry(
            "account.signature",
            &SignatureKeys {
                text: Some(signature.text.to_string()),
                review: Some(signature.review),
                tlvs: tlvs(&signature.details),
            },
            &["tlvs"],
            out,
        )?;
    }
    for template in catalog.templates.iter().filter(|own| own.account == account.id) {
        let bound = template
            .signature
            .and_then(|id| signatures().find(|own| own.id == id));
        let bound = bound
            .filter(|own| signature_meant(signatures(), &own.text).is_some_and(|meant| meant.id == own.id));
        entry(
            "account.template",
            &TemplateKeys {
                name: Some(template.name.to_string()),
                number: Some(template.number),
                ut_id: Some(template.ut_id.to_string()),
                class: Some(template.class),
                text: Some(template.text.to_string()),
                signature: bound.map(|own| own.text.to_string()),
                position: Some(template.position),
                review: Some(template.review),
                reason: Some(template.reason.to_string()),
                ttl_s: template.ttl_s,
                tlvs: tlvs(&template.details),
            },
            // A signature whose text another one has cannot be named and is left unchanged.
            match template.signature {
                None => &["signature", "ttl_s", "tlvs"],
                Some(_) => &["ttl_s", "tlvs"],
            },
            out,
        )?;
    }
    Ok(())
}

/// The vendor TLVs of a signature or template, if it has any.
fn tlvs(details: &Value) -> Option<TlvMap> {
    Some(tlvs_of(details)).filter(|tlvs| !tlvs.is_empty())
}

fn write_carrier(carrier: &Carrier, out: &mut impl Write) -> io::Result<()> {
    let (kind, defaults, keys) = match serde_json::from_value(carrier.settings.clone()) {
        Ok(CarrierSettings::Smpp(_)) => (
            "smpp",
            members(&SmppSettings::default()),
            keys_of::<SmppSettings>(),
        ),
        Ok(CarrierSettings::Sandbox(_)) => (
            "sandbox",
            members(&SandboxSettings::default()),
            keys_of::<SandboxSettings>(),
        ),
        _ => {
            return writeln!(
                out,
                "\n# the settings of carrier {:?} are invalid; it is left unchanged",
                carrier.name
            );
        }
    };
    writeln!(out, "\n[[carrier]]")?;
    line("name", &carrier.name.as_ref().into(), out)?;
    line("type", &kind.into(), out)?;
    let settings: Map<String, Value> = carrier.settings.as_object().cloned().unwrap_or_default();
    let value = |key: &str| settings.get(key).or_else(|| defaults.get(key));
    let named = || keys.iter().copied().filter(|key| !key.starts_with("password"));
    for key in named().filter(|key| value(key) != defaults.get(*key)) {
        line(key, value(key).unwrap_or(&Value::Null), out)?;
    }
    writeln!(out, "# defaults:")?;
    // Sections are changed member by member, and TOML has no null: both are reset as a whole.
    let by_default = || named().filter(|key| value(key) == defaults.get(*key));
    let goes_back = |key: &&str| match value(key) {
        None | Some(Value::Null) => true,
        Some(Value::Object(members)) => !members.is_empty(),
        Some(_) => false,
    };
    for key in by_default().filter(|key| !goes_back(key)) {
        line(key, value(key).unwrap_or(&Value::Null), out)?;
    }
    reset(&by_default().filter(goes_back).collect::<Vec<_>>(), out)
}

/// One entry with its keys in the order of declaration. Keys of `defaults` that it has not are reset.
fn entry<'de, T: Serialize + Deserialize<'de>>(
    header: &str,
    keys: &T,
    defaults: &[&str],
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "\n[[{header}]]")?;
    let members = members(keys);
    let value = |key: &str| members.get(key).unwrap_or(&Value::Null);
    for key in keys_of::<T>() {
        line(key, value(key), out)?;
    }
    let absent = defaults.iter().copied().filter(|key| value(key).is_null());
    reset(&absent.collect::<Vec<_>>(), out)
}

fn reset(keys: &[&str], out: &mut impl Write) -> io::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    line(RESET, &keys.to_vec().into(), out)
}

fn line(key: &str, value: &Value, out: &mut impl Write) -> io::Result<()> {
    match toml_value(value) {
        // Output for a terminal is escaped, and only basic strings (double quotes) are parsed back from escapes.
        Some(toml::Value::String(text)) if text.contains(is_display_control) => {
            writeln!(out, "{key} = {}", Value::from(text))
        }
        Some(value) => writeln!(out, "{key} = {value}"),
        None => Ok(()),
    }
}

fn members(keys: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(keys) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
