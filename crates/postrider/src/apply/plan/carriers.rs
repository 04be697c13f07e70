//! Carriers: the engine's settings, changed key by key, with the password sealed.
//!
//! The keys of a carrier are those of the engine's structs: a key that is added there can be set, reset and shown
//! without a change here. `check_smpp` checks the values beyond their types.

use super::super::diff::Fields;
use super::super::entry::{RESET, RawEntry, at_path, keys_of, read_as, reset_mistake};
use super::super::secret::{GivenSecret, SecretSource};
use super::{Planner, name_complaint, secret_field, wire};
use crate::config::{Mistake, hint, shown, unknown_key};
use crate::open::SEALED_PASSWORD as SEALED;
use engine::catalog::{CarrierSettings, CatalogChange, SandboxSettings, SmppSettings, carrier_secret_name};
use engine::hex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sms::phone::Msisdn;
use sms::receipt::IdNotation;
use std::path::Path;
use store::{Carrier, CarrierNo};

/// Keys of an entry that are not settings of the engine.
const OWN_KEYS: [&str; 5] = ["name", "type", "password", "password_env", "password_file"];
/// The kinds of carriers.
const TYPES: [&str; 2] = ["smpp", "sandbox"];
/// Meanings that `status_classes` may give a carrier's own status codes.
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
        // A number for which messages are queued is not given to another carrier: they would go there.
        let waited_for = self.inputs.existing.waited_for.iter().map(|no| no.0);
        let known = self.catalog().carriers.iter().map(|carrier| carrier.no.0);
        let mut next = 1 + known.chain(waited_for).max().unwrap_or(0);
        for entry in &file.carrier {
            let Some(name) = entry.text("name") else {
                if entry.values.contains_key("name") {
                    self.complain_of(entry, "name", "a carrier's `name` must be a string in quotes");
                } else {
                    self.need(entry, "name", "a carrier");
                }
                continue;
            };
            if names.contains(&name) {
                self.complain_of(
                    entry,
                    "name",
                    format!("carrier {name:?} is defined twice in this file"),
                );
                continue;
            }
            names.push(name);
            let mut carriers = self.catalog().carriers.iter();
            let old = carriers.find(|carrier| &*carrier.name == name);
            if old.is_none()
                && let Some(why) = name_complaint(name, false)
            {
                self.complain_of(entry, "name", format!("carrier {name:?}: {why}"));
            }
            if old.is_none() {
                let known = self.catalog().carriers.iter().map(|carrier| &*carrier.name);
                self.note_alike("carrier", name, known);
            }
            let no = old.map_or(CarrierNo(next), |old| old.no);
            next = next.max(no.0.saturating_add(1));
            self.carrier(entry, name, no, old);
        }
    }

    fn carrier(&mut self, entry: &RawEntry, name: &str, no: CarrierNo, old: Option<&Carrier>) {
        let subject = format!("carrier {name:?}");
        let mistakes = self.wrong.list.len();
        let stored: Option<CarrierSettings> =
            old.and_then(|old| serde_json::from_value(old.settings.clone()).ok());
        let Some(mut settings) = self.carrier_settings(entry, &subject, stored.as_ref()) else {
            return;
        };
        let mut secret = (String::new(), String::new());
        if let CarrierSettings::Smpp(smpp) = &mut settings {
            match self.password(smpp, entry, name, old) {
                Ok(shown) => secret = shown,
                Err(why) => self.complain_of_secret(entry, "password", format!("{subject}: {why}")),
            }
            // The stored value has passed this check before.
            if stored.as_ref() != Some(&CarrierSettings::Smpp(smpp.clone())) {
                let complaints = check_smpp(smpp).into_iter();
                for (key, why) in complaints.chain(self.ca_file_complaint(smpp, &subject)) {
                    if !entry.is_excused(key) {
                        self.complain_of(entry, key, format!("{subject}: {why}"));
                    }
                }
            }
        }
        if self.wrong.list.len() > mistakes {
            return;
        }
        let same_kind = stored.as_ref().filter(|stored| same_type(stored, &settings));
        let old_fields = match (same_kind, old) {
            (Some(old), _) => Some(fields(old, secret.0, true)),
            // Another kind under the same name, or stored settings that are invalid now: all properties are shown as new.
            (None, Some(_)) => {
                let names = fields(&settings, String::new(), true).into_iter();
                let kind = stored.as_ref().map(|stored| plain(object(stored).get("type")));
                let before = |name: &str| match name {
                    "type" => kind.clone().unwrap_or_default(),
                    _ => String::new(),
                };
                Some(names.map(|(name, _)| (name, before(name))).collect())
            }
            (None, None) => None,
        };
        let new_fields = fields(&settings, secret.1, old.is_some());
        let Ok(settings) = serde_json::to_value(&settings) else {
            return self.complain(&entry.span, format!("{subject}: the settings cannot be stored"));
        };
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
    }

    /// The engine's settings after the file is applied: the stored ones with the keys of the entry.
    fn carrier_settings(
        &mut self,
        entry: &RawEntry,
        subject: &str,
        stored: Option<&CarrierSettings>,
    ) -> Option<CarrierSettings> {
        let stored_type = match stored {
            Some(CarrierSettings::Smpp(_)) => Some("smpp"),
            Some(CarrierSettings::Sandbox(_)) => Some("sandbox"),
            _ => None,
        };
        let kind = match (entry.values.get("type"), stored_type) {
            (Some(Value::String(kind)), _) => kind.as_str(),
            (Some(other), _) => {
                let what = format!(
                    "{subject}: `type` is {}; it must be \"smpp\" or \"sandbox\"",
                    shown(other)
                );
                self.complain_of(entry, "type", what);
                return None;
            }
            (None, Some(stored)) => stored,
            (None, None) => {
                let known = self.catalog().carriers.iter().map(|carrier| &*carrier.name);
                let name = entry.text("name").unwrap_or_default();
                self.need_new(entry, "type", subject, name, known);
                // Only an SMPP carrier has a host: the other keys can be checked.
                entry.values.get("host")?;
                "smpp"
            }
        };
        match (kind, stored) {
            ("smpp", Some(CarrierSettings::Smpp(stored))) => self.overlay(entry, subject, &**stored, kind),
            ("smpp", _) => self.overlay(entry, subject, &SmppSettings::default(), kind),
            ("sandbox", Some(CarrierSettings::Sandbox(stored))) => self.overlay(entry, subject, stored, kind),
            ("sandbox", _) => self.overlay(entry, subject, &SandboxSettings::default(), kind),
            _ => {
                let (meant, hint) = hint(kind, TYPES.into_iter());
                let what = format!(
                    "{subject}: `type` is {kind:?}; it must be \"smpp\" or \"sandbox\"{}",
                    { if meant.is_some() { hint } else { String::new() } }
                );
                let mistake = Mistake::new(&entry.at("type"), what).key("type").value(kind);
                self.wrong.push(mistake.meant(meant.as_deref()));
                match meant.as_deref() {
                    Some("smpp") => self.overlay(entry, subject, &SmppSettings::default(), "smpp"),
                    Some("sandbox") => self.overlay(entry, subject, &SandboxSettings::default(), "sandbox"),
                    _ => None,
                }
            }
        }
    }

    /// Merges the keys of an entry into settings. A section (`tls`) is changed key by key, everything else as a whole.
    fn overlay<T>(&mut self, entry: &RawEntry, subject: &str, base: &T, kind: &str) -> Option<CarrierSettings>
    where
        T: Default + Serialize + DeserializeOwned,
    {
        let declared = keys_of::<T>();
        let has_password = declared.contains(&"password");
        let known: Vec<&str> = OWN_KEYS
            .into_iter()
            .filter(|key| has_password || !key.starts_with("password"))
            .chain(
                declared
                    .iter()
                    .copied()
                    .filter(|key| !key.starts_with("password")),
            )
            .collect();
        let defaults = object(&T::default());
        let mut settings = object(base);
        for (key, given) in &entry.values {
            let span = entry.at(key);
            if key == SEALED && has_password {
                let what = format!(
                    "{subject}: `{SEALED}` cannot be set; give `password`, `password_env` or `password_file`"
                );
                self.wrong.push(Mistake::new(&span, what).key(key));
            } else if !known.contains(&key.as_str()) {
                let names = known.iter().copied().chain(std::iter::once(RESET));
                let lead = match key.as_str() {
                    key if key.starts_with("password") => format!("{subject}: a sandbox has no password: "),
                    _ => format!("{subject}: "),
                };
                self.wrong.push(unknown_key(&span, &lead, key, names));
            } else if !OWN_KEYS.contains(&key.as_str()) {
                let whole = match (defaults.get(key), settings.get(key), given) {
                    (Some(Value::Object(section)), Some(Value::Object(old)), Value::Object(given))
                        if !section.is_empty() =>
                    {
                        let mut merged = old.clone();
                        merged.extend(given.clone());
                        Value::Object(merged)
                    }
                    _ => given.clone(),
                };
                let alone = Map::from_iter([(key.clone(), whole.clone())]);
                match read_as::<T>(&alone) {
                    Ok(_) => {
                        settings.insert(key.clone(), whole);
                    }
                    Err(error) => self.wrong.push(at_path(entry, subject, given, &error)),
                }
            }
        }
        let may_reset: Vec<&str> = known
            .iter()
            .copied()
            .filter(|key| !matches!(*key, "name" | "type" | "password_env" | "password_file"))
            .collect();
        for (key, span) in entry.reset_keys() {
            match reset_mistake(entry, span, subject, key, &known, &may_reset) {
                Some(mistake) => self.wrong.push(mistake),
                None => {
                    match defaults.get(key) {
                        Some(default) => settings.insert(key.to_owned(), default.clone()),
                        None => settings.remove(key),
                    };
                }
            }
        }
        settings.insert("type".to_owned(), kind.into());
        match serde_json::from_value(Value::Object(settings)) {
            Ok(settings) => Some(settings),
            Err(error) => {
                self.complain(&entry.span, format!("{subject}: {error}"));
                None
            }
        }
    }

    /// Seals the password into the settings; returns its text for the diff.
    fn password(
        &mut self,
        smpp: &mut SmppSettings,
        entry: &RawEntry,
        name: &str,
        old: Option<&Carrier>,
    ) -> Result<(String, String), String> {
        let text = |key: &str| match entry.values.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{key}` must be a string in quotes")),
        };
        let source = SecretSource {
            field: "password",
            inline: text("password")?,
            variable: text("password_env")?,
            file: text("password_file")?.map(Path::new),
        };
        let stored = old
            .and_then(|old| old.settings.get(SEALED)?.as_str())
            .and_then(hex::octets)
            .filter(|sealed| !sealed.is_empty());
        let was_there = stored.is_some();
        smpp.password.clear();
        // Some carriers bind without a password. The file itself must say so: a variable or file that is empty was
        // meant to hold one.
        let emptied = source.resolve(&self.inputs.environment)? == GivenSecret::Empty;
        if emptied || entry.resets("password") {
            smpp.password_sealed.clear();
            let (before, _) = secret_field(was_there, false);
            return Ok((before, String::new()));
        }
        let what = format!("carrier {name}");
        let sealed = self.seal(&what, &carrier_secret_name(name), &source, stored.as_deref())?;
        let changed = sealed.as_ref().is_some_and(|(_, changed)| *changed);
        smpp.password_sealed = sealed.map(|(sealed, _)| hex::digits(&sealed)).unwrap_or_default();
        Ok(secret_field(was_there, changed))
    }

    /// Why the authorities cannot be loaded from their file. A relative path is resolved by the node: when it is not found
    /// from here, that is a note.
    fn ca_file_complaint(&mut self, smpp: &SmppSettings, subject: &str) -> Option<(&'static str, String)> {
        let file = Path::new(smpp.tls.ca_file.as_deref().filter(|file| !file.is_empty())?);
        let why = (self.inputs.environment.check_authorities)(file).err()?;
        if file.is_relative() && !file.exists() {
            let note = format!(
                "{subject}: `tls.ca_file` {why} from here; the node reads it from its working directory"
            );
            self.plan.notes.push(note);
            return None;
        }
        Some(("tls.ca_file", format!("`tls.ca_file` {why}")))
    }

    pub(super) fn remove_carriers(&mut self) {
        let file = self.inputs.file;
        let named: Vec<&str> = file
            .carrier
            .iter()
            .filter_map(|entry| entry.text("name"))
            .collect();
        for old in &self.catalog().carriers {
            if named.contains(&&*old.name) {
                continue;
            }
            if self.inputs.options.prune && self.inputs.existing.waited_for.contains(&old.no) {
                let note = format!(
                    "carrier {}: its queued messages go to the next carrier of their routes",
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

/// Integers with bounds of their own.
pub(super) const BOUNDS: [(&str, u32, u32); 9] = [
    ("port", 1, 65_535),
    ("binds", 1, 64),
    ("window_max", 1, 2000),
    ("attempts_max", 1, 255),
    ("response_timeout_s", 1, 3600),
    ("enquire_link_s", 1, 3600),
    ("bind_rejected_pause_s", 0, 86_400),
    ("ready_messages_max", 1, 10_000_000),
    ("inbound_per_s_max", 0, 1_000_000),
];

/// Values out of the bounds of SMPP or the engine: each key, and why.
fn check_smpp(smpp: &SmppSettings) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if smpp.system_id.is_empty() {
        let why = "`system_id` is needed: the user name that the carrier gave you";
        wrong.push(("system_id", why.to_owned()));
    }
    wrong.extend(host_complaint(&smpp.host).map(|why| ("host", why)));
    wrong.extend(wire::complaints(smpp));
    // In the order of the bounds.
    let numbers: [u32; 9] = [
        smpp.port.into(),
        smpp.binds.into(),
        smpp.window_max.into(),
        smpp.attempts_max.into(),
        smpp.response_timeout_s,
        smpp.enquire_link_s,
        smpp.bind_rejected_pause_s,
        smpp.ready_messages_max,
        smpp.inbound_per_s_max,
    ];
    for ((name, min, max), value) in BOUNDS.into_iter().zip(numbers) {
        if !(min..=max).contains(&value) {
            wrong.push((name, format!("`{name}` is {value}; it must be {min} to {max}")));
        }
    }
    if smpp.reconnect_s > smpp.reconnect_s_max {
        wrong.push((
            "reconnect_s",
            "`reconnect_s` is longer than `reconnect_s_max`".to_owned(),
        ));
    }
    if smpp.retry_s > smpp.retry_s_max {
        wrong.push(("retry_s", "`retry_s` is longer than `retry_s_max`".to_owned()));
    }
    if !matches!(smpp.interface_version, 0x33 | 0x34 | 0x50) {
        let version = smpp.interface_version;
        wrong.push((
            "interface_version",
            format!("`interface_version` is {version:#x}; it must be 0x33, 0x34 or 0x50"),
        ));
    }
    if !smpp.country_code.is_empty() && !is_calling_code(&smpp.country_code) {
        wrong.push((
            "country_code",
            format!(
                "`country_code` is {:?}; it must be a country's calling code in digits, like \"44\"",
                smpp.country_code
            ),
        ));
    }
    if let Err(error) = smpp.id_notation.parse::<IdNotation>() {
        wrong.push((
            "id_notation",
            format!("`id_notation`: {error}, not {:?}", smpp.id_notation),
        ));
    }
    wrong.extend(status_class_complaints(smpp).map(|why| ("status_classes", why)));
    wrong.extend(super::receipts::complaints(smpp));
    wrong
}

fn status_class_complaints(smpp: &SmppSettings) -> impl Iterator<Item = String> {
    smpp.status_classes.iter().flat_map(|(code, class)| {
        let number = code
            .strip_prefix("0x")
            .map_or_else(|| code.parse(), |hex| u32::from_str_radix(hex, 16));
        let code_wrong = number
            .is_err()
            .then(|| format!("`status_classes`: {code:?} is not a code like \"0x400\" or \"1024\""));
        let class_wrong = (!STATUS_CLASSES.contains(&class.as_str())).then(|| {
            format!(
                "`status_classes`: {class:?} is not one of {}",
                STATUS_CLASSES.join(", ")
            )
        });
        code_wrong.into_iter().chain(class_wrong)
    })
}

/// Values that cannot be the name or address of a host (RFC 1123 section 2.1, with `_`, which is common).
fn host_complaint(host: &str) -> Option<String> {
    if host.is_empty() {
        return Some("`host` is empty: give the carrier's host name or address".to_owned());
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    if let Some((name, port)) = host.rsplit_once(':')
        && !name.contains(':')
        && port.parse::<u16>().is_ok()
    {
        return Some(format!(
            "`host` is {host:?}; write host = {name:?} and port = {port}"
        ));
    }
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    (name.len() > 253 || !name.split('.').all(label_fits))
        .then(|| format!("`host` is {host:?}, which is neither a host name nor an address"))
}

fn object(settings: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn same_type(a: &CarrierSettings, b: &CarrierSettings) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// One field for each setting, in the order of declaration. A new carrier shows no defaults; a changed one does
/// (`with_defaults`), marked as such.
fn fields(settings: &CarrierSettings, secret: String, with_defaults: bool) -> Fields {
    let value = object(settings);
    let mut fields: Fields = vec![("type", plain(value.get("type")))];
    let (default, names) = match settings {
        CarrierSettings::Smpp(_) => (object(&SmppSettings::default()), keys_of::<SmppSettings>()),
        CarrierSettings::Sandbox(_) => (object(&SandboxSettings::default()), keys_of::<SandboxSettings>()),
        CarrierSettings::Removed => return fields,
    };
    for name in names.iter().copied().filter(|name| !name.starts_with("password")) {
        let (set, usual) = (plain(value.get(name)), plain(default.get(name)));
        let said = match (set == usual, with_defaults) {
            (true, true) if set.is_empty() => set,
            (true, true) => format!("{set} (default)"),
            (true, false) if name != "host" && name != "port" => String::new(),
            _ => set,
        };
        fields.push((name, said));
    }
    if matches!(settings, CarrierSettings::Smpp(_)) {
        fields.push(("password", secret));
    }
    fields
}

/// A JSON value in the notation of the diff.
fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Whether E.164 has assigned this calling code.
fn is_calling_code(code: &str) -> bool {
    // Parsed as a number of the country: parsing finds the country code.
    Msisdn::from_digits(&format!("{code}00000000"))
        .and_then(Msisdn::country_code)
        .is_some_and(|assigned| assigned.to_string() == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_code_is_one_that_is_assigned() {
        for code in ["1", "7", "44", "86", "370", "998"] {
            assert!(is_calling_code(code), "{code}");
        }
        for code in ["0", "044", "+44", "4", "447", "999", "44 ", "GB", "99999999"] {
            assert!(!is_calling_code(code), "{code}");
        }
    }

    #[test]
    fn hosts_that_no_resolver_takes_are_complained_of() {
        for host in [
            "smsc.example",
            "10.0.0.1",
            "::1",
            "localhost",
            "my_smsc",
            "smsc.example.",
            "bücher.example",
        ] {
            assert_eq!(host_complaint(host), None, "{host}");
        }
        for host in [
            "",
            "no such host",
            "a..b",
            "-a.example",
            "http://a.example",
            "a/b",
        ] {
            assert!(host_complaint(host).is_some(), "{host}");
        }
        let complaint = host_complaint("smsc.example:2775").unwrap();
        assert!(complaint.contains("port = 2775"), "{complaint}");
    }
}
