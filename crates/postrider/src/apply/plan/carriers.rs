//! Carriers: the engine's settings, checked key by key, with the password sealed.

use super::super::diff::Fields;
use super::super::secret::SecretSource;
use super::{Planner, secret_field};
use crate::config::unknown_key;
use engine::catalog::{CarrierSettings, CatalogChange, SandboxSettings, SmppSettings, carrier_secret_name};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sms::receipt::IdNotation;
use std::path::Path;
use store::{Carrier, CarrierNo};
use toml::Spanned;

/// Keys of an entry that are not the engine's settings.
const OWN_KEYS: [&str; 6] = [
    "name",
    "type",
    "password",
    "password_env",
    "password_file",
    "password_sealed",
];
/// Meanings that a carrier's own status codes may be given.
const STATUS_CLASSES: [&str; 5] = [
    "slow_down",
    "transient",
    "permanent_recipient",
    "permanent_route",
    "session",
];

impl Planner<'_> {
    pub(super) fn carriers(&mut self) {
        let file = self.inputs.file;
        let mut names: Vec<&str> = Vec::new();
        // A number for which messages still wait is not given to another carrier: they would go there.
        let waited_for = self.inputs.existing.waited_for.iter().map(|no| no.0);
        let known = self.catalog().carriers.iter().map(|carrier| carrier.no.0);
        let mut next = 1 + known.chain(waited_for).max().unwrap_or(0);
        for entry in &file.carrier {
            let Some(name) = entry
                .get_ref()
                .get("name")
                .and_then(toml::Value::as_str)
                .filter(|name| !name.is_empty())
            else {
                self.complain(&entry.span(), "a carrier needs a `name`");
                continue;
            };
            if names.contains(&name) {
                self.complain(
                    &entry.span(),
                    format!("carrier {name:?} stands twice in this file"),
                );
                continue;
            }
            names.push(name);
            let old = self
                .catalog()
                .carriers
                .iter()
                .find(|carrier| &*carrier.name == name);
            let no = old.map_or(CarrierNo(next), |old| old.no);
            next = next.max(no.0.saturating_add(1));
            if let Err(complaint) = self.carrier(entry, name, no, old) {
                self.complain(&entry.span(), format!("carrier {name:?}: {complaint}"));
            }
        }
    }

    fn carrier(
        &mut self,
        entry: &Spanned<toml::Table>,
        name: &str,
        no: CarrierNo,
        old: Option<&Carrier>,
    ) -> Result<(), String> {
        let mut settings = read_settings(entry.get_ref())?;
        let mut secret = (String::new(), String::new());
        if let CarrierSettings::Smpp(smpp) = &mut settings {
            check_smpp(smpp)?;
            secret = self.password(smpp, entry.get_ref(), name, old)?;
        }
        let new_fields = fields(&settings, secret.1);
        let old_settings: Option<CarrierSettings> =
            old.and_then(|old| serde_json::from_value(old.settings.clone()).ok());
        let old_fields = match (&old_settings, old) {
            (Some(old), _) if same_type(old, &settings) => Some(fields(old, secret.0)),
            // Another kind under the same name, or settings that no longer read: told as if all were new.
            (_, Some(_)) => Some(
                new_fields
                    .iter()
                    .map(|(name, _)| (*name, String::new()))
                    .collect(),
            ),
            (_, None) => None,
        };
        let settings = serde_json::to_value(&settings).map_err(|error| error.to_string())?;
        let carrier = Carrier {
            no,
            name: Box::from(name),
            settings,
        };
        self.put(
            format!("carrier {name}"),
            old_fields.as_ref(),
            &new_fields,
            || CatalogChange::PutCarrier(carrier),
        );
        Ok(())
    }

    /// Seals the password into the settings; returns how it shows in the diff.
    fn password(
        &self,
        smpp: &mut SmppSettings,
        entry: &toml::Table,
        name: &str,
        old: Option<&Carrier>,
    ) -> Result<(String, String), String> {
        let text = |key: &str| match entry.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{key}` wants a text in quotes")),
        };
        let source = SecretSource {
            field: "password",
            inline: text("password")?,
            variable: text("password_env")?,
            file: text("password_file")?.map(Path::new),
        };
        let old = old
            .and_then(|old| old.settings.get("password_sealed")?.as_str())
            .and_then(from_hex)
            .filter(|sealed| !sealed.is_empty());
        let sealed = self.seal(&carrier_secret_name(name), &source, old.as_deref())?;
        smpp.password.clear();
        let changed = sealed.as_ref().is_some_and(|(_, changed)| *changed);
        smpp.password_sealed = sealed.map(|(sealed, _)| to_hex(&sealed)).unwrap_or_default();
        Ok(secret_field(old.is_some(), changed))
    }

    pub(super) fn remove_carriers(&mut self) {
        let file = self.inputs.file;
        let named: Vec<&str> = file
            .carrier
            .iter()
            .filter_map(|entry| entry.get_ref().get("name")?.as_str())
            .collect();
        for old in &self.catalog().carriers {
            if named.contains(&&*old.name) {
                continue;
            }
            if self.inputs.wishes.prune && self.inputs.existing.waited_for.contains(&old.no) {
                let note = format!(
                    "carrier {}: messages wait for it; they go to the next carrier of their routes",
                    old.name
                );
                self.plan.notes.push(note);
            }
            self.leave_or_remove(format!("carrier {}", old.name), || {
                CatalogChange::RemoveCarrier(old.no)
            });
        }
    }
}

/// The engine's settings in an entry, password apart.
fn read_settings(entry: &toml::Table) -> Result<CarrierSettings, String> {
    let kind = entry
        .get("type")
        .and_then(toml::Value::as_str)
        .unwrap_or_default();
    if entry.contains_key("password_sealed") {
        return Err(
            "`password_sealed` is the store's own; give `password`, `password_env` or `password_file`"
                .to_owned(),
        );
    }
    let mut settings = entry.clone();
    for key in OWN_KEYS {
        if settings.remove(key).is_some() && kind == "sandbox" && key.starts_with("password") {
            return Err(format!("a sandbox has no `{key}`"));
        }
    }
    match kind {
        "smpp" => read(settings).map(|smpp| CarrierSettings::Smpp(Box::new(smpp))),
        "sandbox" => read(settings).map(CarrierSettings::Sandbox),
        _ => Err("`type` is \"smpp\" or \"sandbox\"".to_owned()),
    }
}

/// Settings of one type, with complaints that name the key.
fn read<T: Default + Serialize + DeserializeOwned>(settings: toml::Table) -> Result<T, String> {
    let known = known_keys(&T::default());
    if let Some(unknown) = settings.keys().find(|key| !known.contains(key)) {
        return Err(unknown_key(unknown, "", unknown, known.iter()));
    }
    serde_path_to_error::deserialize(toml::Value::Table(settings))
        .map_err(|error| format!("`{}`: {}", error.path(), error.inner().message()))
}

/// What SMPP and the engine bound.
fn check_smpp(smpp: &SmppSettings) -> Result<(), String> {
    let between = |name: &str, value: u32, min: u32, max: u32| {
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(format!("`{name}` is {value}; it must be {min} to {max}"))
        }
    };
    if smpp.host.is_empty() || smpp.system_id.is_empty() {
        return Err("`host` and `system_id` are needed".to_owned());
    }
    // SMPP 3.4 sections 5.2.1 to 5.2.3: lengths with the final NUL.
    let texts = [
        ("system_id", &smpp.system_id, 15),
        ("system_type", &smpp.system_type, 12),
        ("service_type", &smpp.service_type, 5),
    ];
    for (name, text, max) in texts {
        if text.len() > max {
            return Err(format!(
                "`{name}` has {} octets; SMPP has room for {max}",
                text.len()
            ));
        }
    }
    between("binds", smpp.binds.into(), 1, 64)?;
    between("window_max", smpp.window_max.into(), 1, 2000)?;
    between("attempts_max", smpp.attempts_max.into(), 1, 255)?;
    between("response_timeout_s", smpp.response_timeout_s, 1, 3600)?;
    between("enquire_link_s", smpp.enquire_link_s, 1, 3600)?;
    between("ready_messages_max", smpp.ready_messages_max, 1, 10_000_000)?;
    if smpp.reconnect_s > smpp.reconnect_s_max {
        return Err("`reconnect_s` is longer than `reconnect_s_max`".to_owned());
    }
    if smpp.retry_s > smpp.retry_s_max {
        return Err("`retry_s` is longer than `retry_s_max`".to_owned());
    }
    if !matches!(smpp.interface_version, 0x33 | 0x34 | 0x50) {
        return Err("`interface_version` is 0x33, 0x34 or 0x50".to_owned());
    }
    smpp.id_notation
        .parse::<IdNotation>()
        .map_err(|error| format!("`id_notation`: {error}"))?;
    for (code, class) in &smpp.status_classes {
        let number = code
            .strip_prefix("0x")
            .map_or_else(|| code.parse(), |hex| u32::from_str_radix(hex, 16));
        if number.is_err() {
            return Err(format!(
                "`status_classes`: {code:?} is not a code like \"0x400\" or \"1024\""
            ));
        }
        if !STATUS_CLASSES.contains(&class.as_str()) {
            return Err(format!(
                "`status_classes`: {class:?} is not one of {}",
                STATUS_CLASSES.join(", ")
            ));
        }
    }
    Ok(())
}

/// The names of a settings struct: what its default serialises to, and what is left out of that.
fn known_keys(default: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(default).unwrap_or_default();
    let keys = value
        .as_object()
        .map(|object| object.keys().cloned().collect::<Vec<_>>())
        .unwrap_or_default();
    keys.into_iter()
        .filter(|key| !OWN_KEYS.contains(&key.as_str()))
        .collect()
}

fn same_type(a: &CarrierSettings, b: &CarrierSettings) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// One field for each setting, in one order for one type of carrier.
fn fields(settings: &CarrierSettings, secret: String) -> Fields {
    let value = serde_json::to_value(settings).unwrap_or_default();
    let mut fields: Fields = vec![("type", plain(value.get("type")))];
    let (default, names) = match settings {
        CarrierSettings::Smpp(_) => (serde_json::to_value(SmppSettings::default()), SMPP_FIELDS),
        CarrierSettings::Sandbox(_) => (serde_json::to_value(SandboxSettings::default()), SANDBOX_FIELDS),
        CarrierSettings::Removed => return fields,
    };
    let default = default.unwrap_or_default();
    for name in names {
        let (set, usual) = (plain(value.get(name)), plain(default.get(name)));
        // What is as usual is not worth a line; a change to or from it shows as "(none)".
        let said = if set == usual && *name != "host" && *name != "port" {
            String::new()
        } else {
            set
        };
        fields.push((name, said));
    }
    if matches!(settings, CarrierSettings::Smpp(_)) {
        fields.push(("password", secret));
    }
    fields
}

/// A JSON value as people write it.
fn plain(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

const SANDBOX_FIELDS: &[&str] = &["receipt_delay_ms", "inbox_messages_max", "ready_messages_max"];
const SMPP_FIELDS: &[&str] = &[
    "host",
    "port",
    "tls",
    "system_id",
    "system_type",
    "interface_version",
    "bind",
    "binds",
    "window_max",
    "rate_per_s_max",
    "response_timeout_s",
    "enquire_link_s",
    "reconnect_s",
    "reconnect_s_max",
    "receipts",
    "id_notation",
    "data_coding",
    "linking",
    "default_sender",
    "source_ton_npi",
    "dest_ton_npi",
    "service_type",
    "validity_s",
    "in_doubt",
    "attempts_max",
    "retry_s",
    "retry_s_max",
    "status_classes",
    "voice",
    "ready_messages_max",
    "failover_after_s",
];

fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_shows_in_the_diff() {
        let mut smpp = known_keys(&SmppSettings::default());
        let mut listed: Vec<String> = SMPP_FIELDS.iter().map(|name| (*name).to_owned()).collect();
        smpp.sort();
        listed.sort();
        assert_eq!(smpp, listed);
        let mut sandbox = known_keys(&SandboxSettings::default());
        let mut listed: Vec<String> = SANDBOX_FIELDS.iter().map(|name| (*name).to_owned()).collect();
        sandbox.sort();
        listed.sort();
        assert_eq!(sandbox, listed);
    }

    #[test]
    fn hexadecimal_reads_back() {
        assert_eq!(from_hex(&to_hex(&[0, 255, 16])), Some(vec![0, 255, 16]));
        assert_eq!(from_hex("0g"), None);
    }
}
