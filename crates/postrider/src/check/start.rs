//! What would stop a node from starting, found without starting one.

use crate::config::Config;
use crate::logging;
use crate::node;
use crate::node::descriptors::{self, Need};
use crate::open;
use crate::review::account_name;
use crate::tls;
use engine::catalog::{CarrierSettings, Catalog};
use engine::clock_watch::{self, DoubtfulClock};
use engine::notify::Allow;
use engine::{CarrierState, CarrierStatus};
use jiff::Timestamp;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use store::UnixMs;
use store::sqlite::SqliteStore;

/// Octets written where files are to be written later.
const TRIAL_BYTES: usize = 64 * 1024;

/// What is wrong with what the configuration names: log level, certificate and key, authorities, folders.
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
        // The server's own comes first; what the others are for is the client's matter.
        Ok(_) => problems.extend(
            outdated(&config.api.tls.cert_file)
                .map(|why| format!("`api.tls.cert_file`: the certificate {why}: clients refuse it")),
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

/// Why nothing can be trusted by a file of authorities.
fn authorities_problem(file: &Path) -> Option<String> {
    match tls::authorities(file) {
        Err(why) => Some(why),
        Ok(()) => outdated(file).map(|why| format!("{}: the certificate {why}", file.display())),
    }
}

fn outdated(file: &Path) -> Option<String> {
    tls::outdated(&std::fs::read(file).ok()?, Timestamp::now())
}

/// A store needs files beside it, so its folder has to be writable.
fn closed_folder(store: &Path) -> Option<String> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let trial = folder.join(format!(".postrider-check-{}", std::process::id()));
    // Some octets besides: a file without any needs no room.
    let tried = std::fs::File::create_new(&trial)
        .and_then(|mut file| file.write_all(&[0; TRIAL_BYTES]).and_then(|()| file.sync_all()));
    let _ = std::fs::remove_file(&trial);
    tried.err().map(|error| {
        format!(
            "`store.path`: nothing can be written to the folder {}: {error}",
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

/// Why a start would refuse the clock, by a store whose newest time is `newest` (0: empty, or not known).
pub(super) fn wrong_clock(now: UnixMs, newest: UnixMs) -> Option<String> {
    let why = clock_watch::check(now, newest).err()?;
    Some(format!(
        "clock: {why}; set the machine's clock right, or start once with `postrider serve --trust-clock` if it is"
    ))
}

/// What a start would say of a clock that it takes.
pub(super) fn doubtful_clock(config: &Config, now: UnixMs, newest: UnixMs) -> Option<String> {
    let limits = config.engine_settings().clock;
    let doubt = clock_watch::doubt(now, newest, &limits)?;
    let then = match doubt {
        DoubtfulClock::Behind { .. } => String::new(),
        DoubtfulClock::Rested { .. } => format!(
            " The next start deletes nothing for its age for {} s (`engine.clock_hold_s`)",
            limits.hold.as_secs()
        ),
    };
    Some(format!("clock: {doubt}{then}"))
}

/// Addresses that cannot be listened on. Those of a node that serves this store are in use, as they should be.
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
                format!("`{name}`: {address} cannot be listened on: {error}")
            }
        })
        .collect()
}

fn why_not(address: SocketAddr) -> Option<io::Error> {
    TcpListener::bind(address).err()
}

/// Listeners that are open to more than this machine and say what others should not read.
pub(super) fn open_listeners(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    let api = &config.api;
    if !api.listen.ip().is_loopback() && api.tls.cert_file.as_os_str().is_empty() {
        notes.push(format!(
            "`api.listen` is {} without `api.tls`: keys, numbers and texts go over the network as they are, unless a proxy with TLS \
             stands before it and nobody else reaches it",
            api.listen
        ));
    }
    if !config.metrics.listen.ip().is_loopback() {
        notes.push(format!(
            "`metrics.listen` is {}: whoever reaches it reads volumes, names of accounts and carriers, without a password; let only \
             the monitoring reach it",
            config.metrics.listen
        ));
    }
    notes
}

/// Authorities that carriers which are switched on would not find.
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

/// Whether more descriptors may be needed than a process may have that is started as this one was.
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

/// Webhooks whose URLs lead where no call goes.
pub(super) fn forbidden_urls(catalog: &Catalog, allow: &[Allow]) -> Vec<String> {
    let endpoints = catalog
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.enabled && !endpoint.url.is_empty());
    let told = endpoints.filter_map(|endpoint| {
        let why = engine::notify::check_url(&endpoint.url, allow).err()?;
        let account = account_name(catalog, endpoint.account);
        Some(format!("webhook {account}/{}: {why}", endpoint.name))
    });
    told.collect()
}

/// Whether a carrier with these stored settings is switched on.
pub(super) fn is_enabled(settings: &serde_json::Value) -> bool {
    match serde_json::from_value(settings.clone()) {
        Ok(CarrierSettings::Smpp(smpp)) => smpp.enabled,
        Ok(CarrierSettings::Sandbox(sandbox)) => sandbox.enabled,
        _ => false,
    }
}

/// Carriers without a session at a node that runs, with what went wrong last.
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
            "no carrier is bound: {}; messages wait",
            names.join(", ")
        )];
    }
    unbound()
        .map(|carrier| {
            format!(
                "carrier {} is not bound: messages wait for it or go to the next one of their route",
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
        let [told] = taken_addresses(&config).try_into().unwrap();
        assert!(
            told.starts_with("`api.listen`: another program listens on 127.0.0.1:"),
            "{told}"
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
        assert!(wrong_clock(NOW - 10 * 366 * DAY, 0).is_some_and(|told| told.contains("cannot be right")));
        let told = wrong_clock(NOW, NOW - 401 * DAY).unwrap();
        assert!(
            told.contains("401 days after the newest that the store has") && told.contains("--trust-clock"),
            "{told}"
        );
        assert_eq!(
            doubtful_clock(&config, NOW, NOW + DAY).as_deref(),
            Some(
                "clock: the clock is 86400 s behind the newest that the store has: it is wrong, or was wrong then"
            )
        );
        let told = doubtful_clock(&config, NOW, NOW - 3 * DAY).unwrap();
        assert!(
            told.contains("nothing of the last 3 days") && told.contains("for 3600 s"),
            "{told}"
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
            ["no carrier is bound: north (connection refused); messages wait"]
        );
        let up = status("box", CarrierState::Up, 1, None);
        assert!(unbound(&[up.clone(), off]).is_empty());
        assert!(unbound(&[north, up])[0].starts_with("carrier north (connection refused) is not bound"));
    }
}
