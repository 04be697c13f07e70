//! The configuration of a node. `config.default.toml` is both the reference and the defaults.

mod bounds;
mod master_key;
mod mistake;
mod overlay;
mod relations;
mod renamed;
mod wording;

pub(crate) use master_key::{MasterKey, MasterKeyError};
pub(crate) use mistake::{FileMistakes, Mistake, Mistakes};
use overlay::{Overlay, overlay};
use renamed::FormerName;
pub(crate) use wording::{
    hint, invalid_value, invalid_value_within, is_secret, kind_of, nearest, notation, shown, unknown_key,
};

use crate::exit::Failure;
use anyhow::Context;
use api::serve::proxy::TrustedProxies;
use api::serve::{ServeLimits, ServeSettings};
use engine::address_range::AddressRange;
use engine::webhooks::Allow;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The defaults as part of the program.
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
    pub(crate) webhooks: Webhooks,
    pub(crate) account_limits: AccountLimits,
    pub(crate) shutdown: Shutdown,
    pub(crate) log: Log,
    /// Former names that the file uses, in the order of its lines.
    #[serde(skip)]
    pub(crate) former_names: Vec<FormerName>,
}

/// Listener of the vendors' APIs.
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
    /// The settings of the listener.
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

/// Storage.
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
    pub(crate) memtable_entries_max: usize,
    pub(crate) filter_bytes_max: usize,
    pub(crate) receipt_age_s_max: u32,
    pub(crate) unmatched_receipts_max: usize,
    pub(crate) unassigned_inbound_max: usize,
    pub(crate) reference_numbers_max: usize,
    pub(crate) find_rows_max: usize,
    pub(crate) lock_wait_ms_max: u64,
    pub(crate) group_may_read: bool,
}

/// Source of the master key.
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

/// Lifetimes and intervals of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engine {
    pub(crate) otp_ttl_s: u32,
    pub(crate) notice_ttl_s: u32,
    pub(crate) marketing_ttl_s: u32,
    pub(crate) catalog_poll_ms: u32,
    pub(crate) retention_days: u32,
    pub(crate) receipt_wait_s: u32,
    pub(crate) unmatched_receipts_keep_s: u32,
    pub(crate) events_keep_days: u32,
    pub(crate) dead_deliveries_keep_days: u32,
    pub(crate) inbound_keep_days: u32,
    pub(crate) inbound_parts_wait_s: u32,
    pub(crate) tasks_keep_days: u32,
    pub(crate) statistics_keep_days: u32,
    pub(crate) clock_jump_s: u32,
    pub(crate) clock_hold_s: u32,
    pub(crate) sweep_every_s: u32,
    pub(crate) inbox_messages_max: usize,
}

/// Webhook delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhooks {
    pub(crate) window_events_max: usize,
    pub(crate) waiting_events_max: usize,
    pub(crate) endpoint_calls_max: usize,
    pub(crate) calls_max: usize,
    pub(crate) request_bytes_max: usize,
    pub(crate) breaker_failures: usize,
    pub(crate) pause_after_s: u32,
    pub(crate) breaker_wait_s_max: u32,
    pub(crate) retry_after_s_max: u32,
    pub(crate) poll_ms: u32,
    pub(crate) record_every_ms: u32,
    pub(crate) allow: Vec<Allow>,
    pub(crate) ca_file: PathBuf,
}

/// Limits of what an account keeps besides messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountLimits {
    pub(crate) contact_lists_max: u64,
    pub(crate) contacts_max: u64,
    pub(crate) account_contacts_max: u64,
    pub(crate) documents_max: u64,
    pub(crate) files_bytes_max: u64,
    pub(crate) templates_max: usize,
    pub(crate) signatures_max: usize,
    pub(crate) open_tasks_max: u64,
    pub(crate) statistics_rows_max: usize,
}

impl Webhooks {
    /// The engine's part of it.
    pub(crate) fn limits(&self) -> engine::webhooks::Limits {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let has_file = !self.ca_file.as_os_str().is_empty();
        engine::webhooks::Limits {
            window_events_max: self.window_events_max,
            waiting_events_max: self.waiting_events_max,
            endpoint_calls_max: self.endpoint_calls_max,
            calls_max: self.calls_max,
            request_bytes_max: self.request_bytes_max,
            breaker_failures: self.breaker_failures,
            pause_after: seconds(self.pause_after_s),
            trial_wait_max: seconds(self.breaker_wait_s_max),
            retry_after_max: seconds(self.retry_after_s_max),
            poll: Duration::from_millis(self.poll_ms.into()),
            record_every: Duration::from_millis(self.record_every_ms.into()),
            allow: self.allow.clone(),
            ca_file: has_file.then(|| self.ca_file.clone()),
        }
    }
}

/// Shutdown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    pub(crate) drain_s: u32,
    pub(crate) grace_s: u32,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For terminals.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The defaults merged with a file, checked.
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

    /// The defaults merged with `text`, checked.
    pub(crate) fn from_text(text: &str) -> anyhow::Result<Self> {
        let mut table: toml::Table = toml::from_str(DEFAULTS).context("the built-in defaults")?;
        let defaults = table.clone();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut overlay = overlay(&mut table, text);
        let mut config = Self::fit(table, &defaults, &mut overlay)?;
        config.former_names = overlay.former_names(text);
        for complaint in relations::check(&config) {
            // At the line of the first setting that it names and the file sets.
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

    /// The settings of a table. An invalid value is recorded, and its default is used instead.
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
                .push(invalid_value(&span, "", &path, given.pointer(&index), said));
            let default = default.clone();
            put(&mut table, whole, default).with_context(|| format!("`{path}`: {said}"))?;
        }
    }

    /// The settings of a data directory as `postrider dev` creates it.
    pub(crate) fn of_data_folder(data: &Path) -> anyhow::Result<Self> {
        let mut config = Self::from_text("")?;
        config.store.path = data.join(STORE_FILE);
        config.secrets.master_key_file = data.join(MASTER_KEY_FILE);
        Ok(config)
    }

    /// The engine's part of it.
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
            unmatched_receipts_keep: Duration::from_secs(u64::from(self.engine.unmatched_receipts_keep_s)),
            sweep_every: Duration::from_secs(u64::from(self.engine.sweep_every_s)),
            events_keep: days(self.engine.events_keep_days),
            dead_calls_keep: days(self.engine.dead_deliveries_keep_days),
            inbound_keep: for_days(self.engine.inbound_keep_days),
            inbound_parts_wait: Duration::from_secs(u64::from(self.engine.inbound_parts_wait_s)),
            tasks_keep: for_days(self.engine.tasks_keep_days),
            statistics_keep: for_days(self.engine.statistics_keep_days),
            clock: engine::clock_watch::ClockLimits {
                jump: Duration::from_secs(u64::from(self.engine.clock_jump_s)),
                hold: Duration::from_secs(u64::from(self.engine.clock_hold_s)),
            },
            account_limits: engine::account_limits::AccountLimits {
                contact_lists_max: self.account_limits.contact_lists_max,
                contacts_max: self.account_limits.contacts_max,
                account_contacts_max: self.account_limits.account_contacts_max,
                documents_max: self.account_limits.documents_max,
                files_bytes_max: self.account_limits.files_bytes_max,
                templates_max: self.account_limits.templates_max,
                signatures_max: self.account_limits.signatures_max,
                open_tasks_max: self.account_limits.open_tasks_max,
                statistics_rows_max: self.account_limits.statistics_rows_max,
            },
            inbox_messages_max: self.engine.inbox_messages_max,
            metric_accounts_max: self.metrics.accounts_max,
        }
    }

    /// Logs each former name that the file uses.
    pub(crate) fn warn_of_former_names(&self) {
        for name in &self.former_names {
            tracing::warn!(line = name.line, former = %name.former, present = %name.present, "setting has a former name");
        }
    }

    /// Logs changed settings that need a restart.
    pub(crate) fn warn_of_fixed(&self, running: &Self) {
        let mut fixed = self.clone();
        fixed.log.clone_from(&running.log);
        fixed.former_names.clone_from(&running.former_names);
        fixed.api.tls.clone_from(&running.api.tls);
        if fixed != *running {
            tracing::warn!(
                reloadable = "log.level, api.tls",
                "changed settings take effect at the next start"
            );
        }
    }

    /// The grace period at shutdown.
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

/// The name of the store in a data directory.
const STORE_FILE: &str = "postrider.db";
/// The name of the master key in a data directory.
const MASTER_KEY_FILE: &str = "master.key";

#[cfg(test)]
mod tests;
