//! What a node needs to start. `config.default.toml` is both the reference and the defaults.

mod master_key;
mod mistake;
mod overlay;
mod relations;
mod wording;

pub(crate) use master_key::{MasterKey, MasterKeyError};
pub(crate) use mistake::{FileMistakes, Mistake, Mistakes};
use overlay::{Overlay, overlay};
pub(crate) use wording::{
    hint, is_secret, kind_of, misfit, misfit_within, nearest, notation, shown, unknown_key,
};

use crate::exit::Failure;
use anyhow::Context;
use api::serve::proxy::TrustedProxies;
use api::serve::{ServeLimits, ServeSettings};
use engine::address_range::AddressRange;
use engine::notify::Allow;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The defaults, as the program carries them.
pub(crate) const DEFAULTS: &str = include_str!("../../../../config.default.toml");

/// Everything in `config.default.toml`, which explains each value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) api: Api,
    pub(crate) metrics: Metrics,
    pub(crate) store: Store,
    pub(crate) secrets: Secrets,
    pub(crate) queue: Queue,
    pub(crate) engine: Engine,
    pub(crate) notify: Notify,
    pub(crate) directory: Directory,
    pub(crate) shutdown: Shutdown,
    pub(crate) log: Log,
}

/// The vendors' APIs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    #[serde(deserialize_with = "listen_address")]
    pub(crate) listen: SocketAddr,
    pub(crate) trusted_proxies: Vec<AddressRange>,
    pub(crate) proxy_protocol_from: Vec<AddressRange>,
    pub(crate) tls: Tls,
    pub(crate) connections: ServeLimits,
    pub(crate) limits: api::Limits,
}

impl Api {
    /// What the listener is told.
    pub(crate) fn settings(&self) -> ServeSettings {
        ServeSettings {
            limits: self.connections.clone(),
            bodies: self.limits.bodies(),
            trusted_proxies: TrustedProxies::new(self.trusted_proxies.clone()),
            proxy_protocol_from: TrustedProxies::new(self.proxy_protocol_from.clone()),
        }
    }
}

/// Transport security of the API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// Health and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    #[serde(deserialize_with = "listen_address")]
    pub(crate) listen: SocketAddr,
    pub(crate) accounts_max: usize,
}

/// Where messages are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) path: PathBuf,
    pub(crate) sqlite: Sqlite,
}

/// Bounds of the SQLite store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sqlite {
    pub(crate) commands_max: usize,
    pub(crate) messages_waiting_max: usize,
    pub(crate) engine_commands_max: usize,
    pub(crate) group_rows_max: usize,
    pub(crate) group_ms_max: u64,
    pub(crate) readers_max: usize,
    pub(crate) reads_max: usize,
    pub(crate) writer_cache_kib_max: usize,
    pub(crate) reader_cache_kib_max: usize,
    pub(crate) wal_bytes_max: u64,
    pub(crate) run_entries_max: usize,
    pub(crate) filter_bytes_max: usize,
    pub(crate) receipt_age_s_max: u32,
    pub(crate) parked_max: usize,
    pub(crate) reference_numbers_max: usize,
    pub(crate) find_rows_max: usize,
    pub(crate) lock_wait_ms_max: u64,
    pub(crate) group_may_read: bool,
}

/// The master key's whereabouts.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    pub(crate) master_key: String,
    pub(crate) master_key_file: PathBuf,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets")
            .field("master_key_file", &self.master_key_file)
            .finish_non_exhaustive()
    }
}

/// Ready queues.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) ready_messages_max: usize,
    pub(crate) lane_messages_max: usize,
    pub(crate) otp_weight: u16,
    pub(crate) notice_weight: u16,
    pub(crate) marketing_weight: u16,
}

/// Habits of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engine {
    pub(crate) otp_ttl_s: u32,
    pub(crate) notice_ttl_s: u32,
    pub(crate) marketing_ttl_s: u32,
    pub(crate) catalog_poll_ms: u32,
    pub(crate) retention_days: u32,
    pub(crate) receipt_wait_s: u32,
    pub(crate) parked_keep_s: u32,
    pub(crate) events_keep_days: u32,
    pub(crate) dead_calls_keep_days: u32,
    pub(crate) inbound_keep_days: u32,
    pub(crate) inbound_parts_wait_s: u32,
    pub(crate) tasks_keep_days: u32,
    pub(crate) statistics_keep_days: u32,
    pub(crate) clock_jump_s: u32,
    pub(crate) clock_hold_s: u32,
    pub(crate) sweep_every_s: u32,
    pub(crate) inbox_messages_max: usize,
}

/// Telling accounts their events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notify {
    pub(crate) window_events_max: usize,
    pub(crate) waiting_events_max: usize,
    pub(crate) endpoint_calls_max: usize,
    pub(crate) calls_max: usize,
    pub(crate) request_bytes_max: usize,
    pub(crate) trouble_calls: usize,
    pub(crate) pause_after_s: u32,
    pub(crate) trial_wait_s_max: u32,
    pub(crate) retry_after_s_max: u32,
    pub(crate) poll_ms: u32,
    pub(crate) record_every_ms: u32,
    pub(crate) allow: Vec<Allow>,
    pub(crate) ca_file: PathBuf,
}

/// What accounts keep beside their messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    pub(crate) contact_lists_max: u64,
    pub(crate) contacts_max: u64,
    pub(crate) account_contacts_max: u64,
    pub(crate) records_max: u64,
    pub(crate) files_bytes_max: u64,
    pub(crate) templates_max: usize,
    pub(crate) signatures_max: usize,
    pub(crate) open_tasks_max: u64,
    pub(crate) statistics_rows_max: usize,
}

impl Notify {
    /// The engine's share.
    pub(crate) fn limits(&self) -> engine::notify::Limits {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let has_file = !self.ca_file.as_os_str().is_empty();
        engine::notify::Limits {
            window_events_max: self.window_events_max,
            waiting_events_max: self.waiting_events_max,
            endpoint_calls_max: self.endpoint_calls_max,
            calls_max: self.calls_max,
            request_bytes_max: self.request_bytes_max,
            trouble_calls: self.trouble_calls,
            pause_after: seconds(self.pause_after_s),
            trial_wait_max: seconds(self.trial_wait_s_max),
            retry_after_max: seconds(self.retry_after_s_max),
            poll: Duration::from_millis(self.poll_ms.into()),
            record_every: Duration::from_millis(self.record_every_ms.into()),
            allow: self.allow.clone(),
            ca_file: has_file.then(|| self.ca_file.clone()),
        }
    }
}

/// How the process ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    pub(crate) drain_s: u32,
    pub(crate) grace_s: u32,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The defaults with a file laid over them, checked.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read the configuration {}", path.display()))
            .map_err(Failure::bad_input)?;
        let file = path.display().to_string();
        Self::from_text(&text).map_err(|error| {
            Failure::bad_input(match error.downcast::<Mistakes>() {
                Ok(mistakes) => FileMistakes { file, mistakes }.into(),
                Err(error) => error.context(file),
            })
        })
    }

    /// The defaults with `text` laid over them, checked.
    pub(crate) fn from_text(text: &str) -> anyhow::Result<Self> {
        let mut table: toml::Table = toml::from_str(DEFAULTS).context("the built-in defaults")?;
        let defaults = table.clone();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut overlay = overlay(&mut table, text);
        let config = Self::fit(table, &defaults, &mut overlay)?;
        for complaint in relations::check(&config) {
            // At the line of the first setting it names that the file sets.
            let named = complaint.split('`').skip(1).step_by(2);
            let place = named
                .filter_map(|name| Some((name, overlay.place(name)?.clone())))
                .next();
            let (key, span) = place.map_or((None, 0..0), |(key, span)| (Some(key.to_owned()), span));
            let mistake = Mistake::new(&span, complaint);
            overlay.mistakes.push(key.into_iter().fold(mistake, Mistake::key));
        }
        if overlay.mistakes.is_empty() {
            return Ok(config);
        }
        Err(overlay.mistakes.finish(text).into())
    }

    /// The settings of a table in which values may not fit: each of those is noted and its default taken instead.
    fn fit(mut table: toml::Table, defaults: &toml::Table, overlay: &mut Overlay) -> anyhow::Result<Self> {
        loop {
            let error = match serde_path_to_error::deserialize(table.clone()) {
                Ok(config) => return Ok(config),
                Err(error) => error,
            };
            let path = error.path().to_string();
            let whole = path.split('[').next().unwrap_or_default();
            let given = member(&table, whole).and_then(|value| serde_json::to_value(value).ok());
            let span = overlay.place(whole).cloned();
            let said = error.inner().message();
            let (Some(span), Some(given), Some(default)) = (span, given, member(defaults, whole)) else {
                anyhow::bail!("`{path}`: {said}");
            };
            let index = path
                .get(whole.len()..)
                .unwrap_or_default()
                .replace('[', "/")
                .replace(']', "");
            overlay
                .mistakes
                .push(misfit(&span, "", &path, given.pointer(&index), said));
            let default = default.clone();
            put(&mut table, whole, default).with_context(|| format!("`{path}`: {said}"))?;
        }
    }

    /// The settings of a data folder as `postrider dev` makes it.
    pub(crate) fn of_data_folder(data: &Path) -> anyhow::Result<Self> {
        let mut config = Self::from_text("")?;
        config.store.path = data.join(STORE_FILE);
        config.secrets.master_key_file = data.join(MASTER_KEY_FILE);
        Ok(config)
    }

    /// The engine's share.
    pub(crate) fn engine_settings(&self) -> engine::Settings {
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        let for_days = |count: u32| (count > 0).then(|| days(count));
        engine::Settings {
            queue: engine::queue::QueueLimits {
                ready_messages_max: self.queue.ready_messages_max,
                lane_messages_max: self.queue.lane_messages_max,
                weights: engine::queue::ClassWeights {
                    otp: self.queue.otp_weight,
                    notice: self.queue.notice_weight,
                    marketing: self.queue.marketing_weight,
                },
            },
            time_to_live: engine::accept::TimeToLive {
                otp_s: self.engine.otp_ttl_s,
                notice_s: self.engine.notice_ttl_s,
                marketing_s: self.engine.marketing_ttl_s,
            },
            catalog_poll: Duration::from_millis(u64::from(self.engine.catalog_poll_ms)),
            retention: for_days(self.engine.retention_days),
            receipt_wait: Duration::from_secs(u64::from(self.engine.receipt_wait_s)),
            parked_keep: Duration::from_secs(u64::from(self.engine.parked_keep_s)),
            sweep_every: Duration::from_secs(u64::from(self.engine.sweep_every_s)),
            events_keep: days(self.engine.events_keep_days),
            dead_calls_keep: days(self.engine.dead_calls_keep_days),
            inbound_keep: for_days(self.engine.inbound_keep_days),
            inbound_parts_wait: Duration::from_secs(u64::from(self.engine.inbound_parts_wait_s)),
            tasks_keep: for_days(self.engine.tasks_keep_days),
            statistics_keep: for_days(self.engine.statistics_keep_days),
            clock: engine::clock_watch::ClockLimits {
                jump: Duration::from_secs(u64::from(self.engine.clock_jump_s)),
                hold: Duration::from_secs(u64::from(self.engine.clock_hold_s)),
            },
            directory: engine::directory::DirectoryLimits {
                contact_lists_max: self.directory.contact_lists_max,
                contacts_max: self.directory.contacts_max,
                account_contacts_max: self.directory.account_contacts_max,
                records_max: self.directory.records_max,
                files_bytes_max: self.directory.files_bytes_max,
                templates_max: self.directory.templates_max,
                signatures_max: self.directory.signatures_max,
                open_tasks_max: self.directory.open_tasks_max,
                statistics_rows_max: self.directory.statistics_rows_max,
            },
            inbox_messages_max: self.engine.inbox_messages_max,
            metric_accounts_max: self.metrics.accounts_max,
        }
    }

    /// Says what a changed file cannot change while running.
    pub(crate) fn warn_of_fixed(&self, running: &Self) {
        let mut fixed = self.clone();
        fixed.log.clone_from(&running.log);
        fixed.api.tls.clone_from(&running.api.tls);
        if fixed != *running {
            tracing::warn!("settings other than `log.level` and `api.tls` take effect at the next start");
        }
    }

    /// The time things get to finish at the end.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.shutdown.grace_s))
    }
}

fn listen_address<'de, D: serde::Deserializer<'de>>(read: D) -> Result<SocketAddr, D::Error> {
    let written = std::borrow::Cow::<str>::deserialize(read)?;
    sim::address::listen_address(&written).map_err(serde::de::Error::custom)
}

/// The value at a path of a table.
fn member<'t>(table: &'t toml::Table, path: &str) -> Option<&'t toml::Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((name, rest)) => member(table.get(name)?.as_table()?, rest),
    }
}

/// Replaces the value at a path of a table; `None` when there is none.
fn put(table: &mut toml::Table, path: &str, value: toml::Value) -> Option<()> {
    match path.split_once('.') {
        None => {
            *table.get_mut(path)? = value;
            Some(())
        }
        Some((name, rest)) => put(table.get_mut(name)?.as_table_mut()?, rest, value),
    }
}

/// The store's name in a data folder.
const STORE_FILE: &str = "postrider.db";
/// The master key's name in a data folder.
const MASTER_KEY_FILE: &str = "master.key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_says_what_the_crates_do_by_themselves() {
        let config = Config::from_text("").unwrap();
        assert_eq!(config.api.limits, api::Limits::default());
        assert_eq!(config.api.connections, api::serve::ServeLimits::default());
        let (ours, theirs) = (config.engine_settings(), engine::Settings::default());
        assert_eq!(ours.queue, theirs.queue);
        assert_eq!(ours.time_to_live, theirs.time_to_live);
        assert_eq!(ours.catalog_poll, theirs.catalog_poll);
        assert_eq!(ours.retention, theirs.retention);
        assert_eq!(ours.receipt_wait, theirs.receipt_wait);
        assert_eq!(ours.parked_keep, theirs.parked_keep);
        assert_eq!(ours.sweep_every, theirs.sweep_every);
        assert_eq!(ours.clock, theirs.clock);
        assert_eq!(ours.events_keep, theirs.events_keep);
        assert_eq!(ours.dead_calls_keep, theirs.dead_calls_keep);
        assert_eq!(ours.inbound_keep, theirs.inbound_keep);
        assert_eq!(ours.inbound_parts_wait, theirs.inbound_parts_wait);
        assert_eq!(ours.tasks_keep, theirs.tasks_keep);
        assert_eq!(ours.statistics_keep, theirs.statistics_keep);
        assert_eq!(ours.directory, theirs.directory);
        assert_eq!(config.notify.limits(), engine::notify::Limits::default());
        assert_eq!(config.notify.limits().clamped(), config.notify.limits());
        assert_eq!(ours.inbox_messages_max, theirs.inbox_messages_max);
        assert_eq!(ours.metric_accounts_max, theirs.metric_accounts_max);
    }

    #[test]
    fn the_default_file_is_what_the_store_does_by_itself() {
        let ours = Config::from_text("").unwrap().store.sqlite.store_config();
        assert_eq!(ours.clone().clamped(), ours);
        assert_eq!(ours, store::sqlite::SqliteConfig::default());
    }

    /// Every key of the default file with its value and what stands behind it.
    fn documented() -> Vec<(String, String, String)> {
        let (mut table, mut keys) = (String::new(), Vec::new());
        for line in DEFAULTS.lines() {
            if let Some(name) = line.strip_prefix('[') {
                name.trim_end_matches(']').clone_into(&mut table);
            } else if let Some((key, rest)) = line.split_once(" = ")
                && !line.starts_with('#')
            {
                let (value, bounds) = rest.split_once(" # ").unwrap_or((rest, ""));
                keys.push((
                    format!("{table}.{key}"),
                    value.trim().to_owned(),
                    bounds.to_owned(),
                ));
            }
        }
        keys
    }

    /// What is said about one setting, alone in its file.
    fn said_of(key: &str, value: u64) -> String {
        let (table, name) = key.rsplit_once('.').unwrap();
        let text = format!("[{table}]\n{name} = {value}\n");
        Config::from_text(&text)
            .err()
            .map_or_else(String::new, |error| format!("{error:#}"))
    }

    /// `1 to 5`, `1 or more`, `0, or 10 to 50`, with more words behind a comma.
    fn bounds(words: &str) -> Option<(u64, Option<u64>)> {
        let words = words.strip_prefix("0, or ").unwrap_or(words);
        let words = words.split(',').next()?;
        match words.split_once(" to ") {
            Some((min, max)) => Some((min.parse().ok()?, Some(max.parse().ok()?))),
            None => Some((words.strip_suffix(" or more")?.parse().ok()?, None)),
        }
    }

    #[test]
    fn every_key_of_the_default_file_says_what_it_may_be_and_that_is_so() {
        let keys = documented();
        assert!(keys.len() > 80, "{}", keys.len());
        for (key, value, words) in keys {
            assert!(!words.is_empty(), "{key} does not say what it may be");
            if value.parse::<u64>().is_err() {
                continue;
            }
            let (min, max) = bounds(&words).unwrap_or_else(|| panic!("{key}: {words} are no bounds"));
            let named = format!("`{key}`");
            for beyond in min.checked_sub(1).into_iter().chain(max.map(|max| max + 1)) {
                let said = said_of(&key, beyond);
                let is_none = beyond == 0 && words.starts_with("0, or ");
                assert_eq!(said.contains(&named), !is_none, "{key} = {beyond}: {said:?}");
            }
            for within in [Some(min), max].into_iter().flatten() {
                // Another setting may be in its way.
                let said = said_of(&key, within);
                let others = said
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .filter(|name| *name != key)
                    .count();
                assert!(said.is_empty() || others > 0, "{key} = {within}: {said}");
            }
        }
    }

    #[test]
    fn a_value_outside_its_type_is_named() {
        let complaint = |text| format!("{:#}", Config::from_text(text).unwrap_err());
        assert_eq!(
            complaint("[queue]\notp_weight = 70000"),
            "line 2: `queue.otp_weight` is 70000; it must be 0 to 65535"
        );
        assert!(complaint("[api]\nlisten = \"nowhere\"").starts_with("line 2: `api.listen`: "));
        assert_eq!(
            complaint("[log]\nformat = \"xml\""),
            "line 2: `log.format` is \"xml\"; it must be one of \"text\", \"json\""
        );
        let allow = complaint("[notify]\nallow = [\"10.0.0.0/8\", \"10.0.0.0/64\"]");
        assert!(
            allow.starts_with("line 2: `notify.allow[1]`: a range of 10.0.0.0 has 0 to 32 bits"),
            "{allow}"
        );
    }

    #[test]
    fn proxies_are_addresses_and_ranges_and_not_everybody() {
        for key in ["trusted_proxies", "proxy_protocol_from"] {
            let text = format!("[api]\n{key} = [\"10.1.0.0/16\", \"2001:db8::7\"]");
            let settings = Config::from_text(&text).unwrap().api.settings();
            let (named, other) = match key {
                "trusted_proxies" => (settings.trusted_proxies, settings.proxy_protocol_from),
                _ => (settings.proxy_protocol_from, settings.trusted_proxies),
            };
            assert_eq!(other, TrustedProxies::default());
            assert!(named.contains("10.1.2.3".parse().unwrap()));
            assert!(named.contains("2001:db8::7".parse().unwrap()));
            assert!(!named.contains("10.2.0.0".parse().unwrap()));
            let said = |range: &str| {
                let text = format!("[api]\n{key} = [\"192.0.2.1\", \"{range}\"]");
                format!("{:#}", Config::from_text(&text).unwrap_err())
            };
            for (range, complaint) in [
                ("10.0.0.0/33", "a range of 10.0.0.0 has 0 to 32 bits"),
                ("10.0.0.1/8", "10.0.0.1 has bits set beyond its first 8"),
                (
                    "proxy.example",
                    "\"proxy.example\" is neither an address nor a range",
                ),
            ] {
                let told = said(range);
                assert!(told.contains(complaint), "{told}");
                assert!(told.starts_with(&format!("line 2: `api.{key}[1]`")), "{told}");
            }
            let everybody = said("::/0");
            assert!(
                everybody.contains(&format!("`api.{key}` has ::/0")),
                "{everybody}"
            );
        }
    }

    #[test]
    fn mistakes_of_every_kind_come_in_one_run_each_with_its_line() {
        let text = "[api]\nlisten = \"8080\"\n[queue]\notp_weigth = 3\nlane_messages_max = 0\n[store]\npath = data\n\
            [log]\nformat = \"xml\"\n[shutdown]\ngrace_s = 3600\n";
        let told = format!("{:#}", Config::from_text(text).unwrap_err());
        for expected in [
            "line 2: `api.listen`: \"8080\" is a port alone",
            "line 4: unknown key `queue.otp_weigth`; did you mean `queue.otp_weight`?",
            "line 5: `queue.lane_messages_max` is 0",
            "line 7: `path`: a text stands in quotes: path = \"data\"",
            "line 9: `log.format` is \"xml\"",
            "line 11: `shutdown.grace_s` is 3600",
        ] {
            assert!(told.contains(expected), "{expected} is not in:\n{told}");
        }
        assert_eq!(told.lines().count(), 6, "{told}");
    }

    #[test]
    fn localhost_is_an_address() {
        let config = Config::from_text("[api]\nlisten = \"localhost:8081\"").unwrap();
        assert_eq!(config.api.listen, SocketAddr::from(([127, 0, 0, 1], 8081)));
    }

    #[test]
    fn a_list_of_exceptions_is_read() {
        let config =
            Config::from_text("[notify]\nallow = [\"10.1.0.0/16\", \"hooks.internal:8080\"]").unwrap();
        let allow: Vec<String> = config.notify.allow.iter().map(ToString::to_string).collect();
        assert_eq!(allow, ["10.1.0.0/16", "hooks.internal:8080"]);
    }

    #[test]
    fn an_inline_master_key_is_not_shown_when_printed() {
        let key = "0123456789abcdef".repeat(4);
        let config = Config::from_text(&format!("[secrets]\nmaster_key = \"{key}\"")).unwrap();
        assert!(!format!("{config:?}").contains(&key));
    }
}
