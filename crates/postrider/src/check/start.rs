//! Conditions that would stop a node from starting, found without a start.

use crate::config::Config;
use crate::logging;
use crate::node;
use crate::node::descriptors::{self, Need};
use crate::open;
use crate::review::account_name;
use crate::tls;
use engine::catalog::{CarrierSettings, Catalog};
use engine::clock_watch::{self, DoubtfulClock};
use engine::webhooks::Allow;
use engine::{CarrierState, CarrierStatus};
use jiff::Timestamp;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use store::UnixMs;
use store::sqlite::SqliteStore;

/// Octets of a test file in a directory that needs write access.
const TRIAL_BYTES: usize = 64 * 1024;

/// Problems of the things that the configuration names: log level, certificate and key, authorities, directories.
pub(super) fn problems_of(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(
        logging::check(&config.log.level)
            .err()
            .map(|error| format!("{error:#}")),
    );
    problems.extend(logging::unknown_parts(&config.log.level));
    match node::certificate(config) {
        Err(error) => problems.push(format!("{error:#}")),
        // The first certificate is the server's own; clients check the others.
        Ok(_) => problems.extend(
            outdated(&config.api.tls.cert_file)
                .map(|why| format!("`api.tls.cert_file`: the certificate {why}: clients reject it")),
        ),
    }
    let ca_file = &config.webhooks.ca_file;
    if !ca_file.as_os_str().is_empty() {
        let why = authorities_problem(ca_file);
        problems.extend(why.map(|why| format!("`webhooks.ca_file` {why}")));
    }
    problems.extend(open::missing_folder(&config.store.path).or_else(|| closed_folder(&config.store.path)));
    problems
}

/// Why a file of authorities is unusable.
fn authorities_problem(file: &Path) -> Option<String> {
    match tls::authorities(file) {
        Err(why) => Some(why),
        Ok(()) => outdated(file).map(|why| format!("{}: the certificate {why}", file.display())),
    }
}

fn outdated(file: &Path) -> Option<String> {
    tls::outdated(&std::fs::read(file).ok()?, Timestamp::now())
}

/// The store needs files beside it, so its directory must be writable.
fn closed_folder(store: &Path) -> Option<String> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let trial = folder.join(format!(".postrider-check-{}", std::process::id()));
    // With some octets: an empty file needs no space.
    let tried = std::fs::File::create_new(&trial)
        .and_then(|mut file| file.write_all(&[0; TRIAL_BYTES]).and_then(|()| file.sync_all()));
    let _ = std::fs::remove_file(&trial);
    tried.err().map(|error| {
        format!(
            "`store.path`: nothing can be written to the directory {}: {error}",
            folder.display()
        )
    })
}

/// Whether a node would start on the store, which none serves; the newest time in it, 0 for an empty one.
pub(super) async fn trial(config: &Config) -> anyhow::Result<UnixMs> {
    let path = config.store.path.clone();
    let sqlite = config.store.sqlite.store_config();
    Ok(tokio::task::spawn_blocking(move || SqliteStore::would_start(&path, &sqlite)).await??)
}

/// Why a start would refuse the clock. `newest` is the newest time in the store, 0 when empty or unknown.
pub(super) fn wrong_clock(now: UnixMs, newest: UnixMs) -> Option<String> {
    let why = clock_watch::check(now, newest).err()?;
    Some(format!(
        "clock: {why}; correct the machine's clock, or start once with `postrider serve --trust-clock` if it is right"
    ))
}

/// The warning of a start about an acceptable clock.
pub(super) fn doubtful_clock(config: &Config, now: UnixMs, newest: UnixMs) -> Option<String> {
    let limits = config.engine_settings().clock;
    let doubt = clock_watch::doubt(now, newest, &limits)?;
    let then = match doubt {
        DoubtfulClock::Behind { .. } => String::new(),
        DoubtfulClock::Rested { .. } => format!(
            " After the next start nothing expires for {} s (`engine.clock_hold_s`)",
            limits.hold.as_secs()
        ),
    };
    Some(format!("clock: {doubt}{then}"))
}

/// Addresses that cannot be listened on. Those of a node that serves this store are in use as expected.
pub(super) fn taken_addresses(config: &Config) -> Vec<String> {
    let listeners = [
        ("api.listen", config.api.listen),
        ("metrics.listen", config.metrics.listen),
    ];
    let taken = listeners
        .into_iter()
        .filter_map(|(name, address)| Some((name, address, why_not(address)?)));
    taken
        .map(|(name, address, error)| {
            if error.kind() == io::ErrorKind::AddrInUse {
                format!(
                    "`{name}`: another program listens on {address}; choose another port or stop that program"
                )
            } else {
                format!("`{name}`: cannot listen on {address}: {error}")
            }
        })
        .collect()
}

fn why_not(address: SocketAddr) -> Option<io::Error> {
    TcpListener::bind(address).err()
}

/// Listeners that are reachable from other machines and expose data.
pub(super) fn open_listeners(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    let api = &config.api;
    if !api.listen.ip().is_loopback() && api.tls.cert_file.as_os_str().is_empty() {
        notes.push(format!(
            "`api.listen` is {} without `api.tls`: keys, numbers and texts are sent in plain text, unless it is only reachable \
             through a TLS proxy",
            api.listen
        ));
    }
    if !config.metrics.listen.ip().is_loopback() {
        notes.push(format!(
            "`metrics.listen` is {}: it shows traffic and the names of accounts and carriers without authentication; allow access \
             from the monitoring only",
            config.metrics.listen
        ));
    }
    notes
}

/// Missing authorities of enabled carriers.
pub(super) fn missing_authorities(catalog: &Catalog) -> Vec<String> {
    let carriers = catalog.carriers.iter();
    let named = carriers.filter_map(|carrier| match serde_json::from_value(carrier.settings.clone()) {
        Ok(CarrierSettings::Smpp(smpp)) if smpp.enabled && smpp.tls.enabled => {
            let file = smpp.tls.ca_file.filter(|file| !file.is_empty())?;
            let why = authorities_problem(Path::new(&file))?;
            Some(format!("carrier {}: `tls.ca_file` {why}", carrier.name))
        }
        _ => None,
    });
    named.collect()
}

/// Whether a process started like this one may have too few descriptors.
pub(super) fn descriptors_needed(config: &Config, catalog: &Catalog) -> Option<String> {
    let carriers: Vec<CarrierSettings> = catalog
        .carriers
        .iter()
        .filter_map(|carrier| serde_json::from_value(carrier.settings.clone()).ok())
        .collect();
    let webhooks = catalog
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.enabled)
        .count();
    Need::of(config, carriers.iter(), webhooks).beyond(descriptors::limit())
}

/// Webhooks whose URLs the node would not call.
pub(super) fn forbidden_urls(catalog: &Catalog, allow: &[Allow]) -> Vec<String> {
    let endpoints = catalog
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.enabled && !endpoint.url.is_empty());
    let problems = endpoints.filter_map(|endpoint| {
        let why = engine::webhooks::check_url(&endpoint.url, allow).err()?;
        let account = account_name(catalog, endpoint.account);
        Some(format!("webhook {account}/{}: {why}", endpoint.name))
    });
    problems.collect()
}

/// Whether a carrier with these stored settings is enabled.
pub(super) fn is_enabled(settings: &serde_json::Value) -> bool {
    match serde_json::from_value(settings.clone()) {
        Ok(CarrierSettings::Smpp(smpp)) => smpp.enabled,
        Ok(CarrierSettings::Sandbox(sandbox)) => sandbox.enabled,
        _ => false,
    }
}

/// Carriers of a running node without a session, with their last errors.
pub(super) fn unbound(carriers: &[CarrierStatus]) -> Vec<String> {
    let enabled = || {
        let is_off = |state| matches!(state, CarrierState::Disabled | CarrierState::Removed);
        carriers.iter().filter(move |carrier| !is_off(carrier.state))
    };
    let unbound = || enabled().filter(|carrier| carrier.state != CarrierState::Up);
    let shown = |carrier: &CarrierStatus| match &carrier.last_error {
        Some(error) => format!("{} ({})", carrier.name, error.message),
        None => carrier.name.to_string(),
    };
    if enabled().count() > 0 && unbound().count() == enabled().count() {
        let names: Vec<String> = unbound().map(shown).collect();
        return vec![format!(
            "no carrier is bound: {}; messages stay queued",
            names.join(", ")
        )];
    }
    unbound()
        .map(|carrier| {
            format!(
                "carrier {} is not bound: its messages stay queued or fail over to the next carrier of their route",
                shown(carrier)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::CarrierError;
    use store::CarrierNo;

    #[test]
    fn a_taken_port_is_named_and_a_free_one_is_not() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config =
            Config::from_text("[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n")
                .unwrap();
        assert!(taken_addresses(&config).is_empty());
        config.api.listen = held.local_addr().unwrap();
        let [problem] = taken_addresses(&config).try_into().unwrap();
        assert!(
            problem.starts_with("`api.listen`: another program listens on 127.0.0.1:"),
            "{problem}"
        );
    }

    #[test]
    fn a_clock_is_compared_with_the_newest_in_the_store() {
        const DAY: UnixMs = 86_400_000;
        const NOW: UnixMs = 1_795_305_600_000;
        let config = Config::from_text("").unwrap();
        for newest in [0, NOW, NOW - DAY, NOW + 1_000] {
            assert_eq!(wrong_clock(NOW, newest), None);
            assert_eq!(doubtful_clock(&config, NOW, newest), None);
        }
        assert!(
            wrong_clock(NOW - 10 * 366 * DAY, 0).is_some_and(|problem| problem.contains("cannot be right"))
        );
        let problem = wrong_clock(NOW, NOW - 401 * DAY).unwrap();
        assert!(
            problem.contains("401 days after the newest that the store has")
                && problem.contains("--trust-clock"),
            "{problem}"
        );
        assert_eq!(
            doubtful_clock(&config, NOW, NOW + DAY).as_deref(),
            Some(
                "clock: the clock is 86400 s behind the newest that the store has: it is wrong, or was wrong then"
            )
        );
        let problem = doubtful_clock(&config, NOW, NOW - 3 * DAY).unwrap();
        assert!(
            problem.contains("nothing of the last 3 days") && problem.contains("for 3600 s"),
            "{problem}"
        );
    }

    #[test]
    fn carriers_without_a_session_are_named_unless_they_are_switched_off() {
        let status = |name: &str, state, binds_up, error: Option<&str>| CarrierStatus {
            no: CarrierNo(1),
            name: name.into(),
            kind: "smpp".into(),
            state,
            since: 0,
            binds_up,
            binds: 1,
            last_error: error.map(|message| CarrierError {
                at: 0,
                message: message.into(),
            }),
            next_try: None,
            queued: 0,
            window_used: 0,
            window_max: 10,
        };
        let north = status("north", CarrierState::Down, 0, Some("connection refused"));
        let off = status("off", CarrierState::Disabled, 0, None);
        assert_eq!(
            unbound(&[north.clone(), off.clone()]),
            ["no carrier is bound: north (connection refused); messages stay queued"]
        );
        let up = status("box", CarrierState::Up, 1, None);
        assert!(unbound(&[up.clone(), off]).is_empty());
        assert!(unbound(&[north, up])[0].starts_with("carrier north (connection refused) is not bound"));
    }
}
