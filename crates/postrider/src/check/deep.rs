//! `check --deep`: reading the whole store through.

use crate::config::{Config, MasterKey};
use engine::catalog::{Catalog, carrier_secret_name, credential_secret_name, endpoint_secret_name};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use store::sqlite::{DeepPart, DeepProgress, SqliteStore};

/// Between two lines that tell how far it is.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What a part came to.
pub(super) struct Told {
    /// What was looked at, and how it stands.
    pub(super) standing: Vec<(&'static str, String)>,
    pub(super) problems: Vec<String>,
}

/// Reads the store of a node through, with the least priority: a node beside it goes first.
pub(super) async fn check(config: &Config) -> Told {
    let path = config.store.path.clone();
    let sqlite = config.store.sqlite.store_config();
    let read = tokio::task::spawn_blocking(move || {
        lower_priority();
        let progress = Progress::default();
        let parts = SqliteStore::check_deep(&path, &sqlite, &|so_far| progress.tell(so_far));
        progress.end();
        parts
    });
    match read.await {
        Ok(Ok(parts)) => told(parts),
        Ok(Err(error)) => failed(&crate::exit::explained(&anyhow::Error::from(error))),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(why: &str) -> Told {
    Told {
        standing: Vec::new(),
        problems: vec![format!("deep: the store could not be read through: {why}")],
    }
}

fn told(parts: Vec<DeepPart>) -> Told {
    let mut told = Told {
        standing: Vec::new(),
        problems: Vec::new(),
    };
    for part in parts {
        let problems = part.problems.len() as u64 + part.more;
        let how = match problems {
            0 => "ok".to_owned(),
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        told.standing
            .push((part.name, format!("{how}: {}", part.looked_at)));
        let name = part.name;
        told.problems.extend(
            part.problems
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
        if part.more > 0 {
            told.problems.push(format!("{name}: and {} more", part.more));
        }
    }
    if !told.problems.is_empty() {
        told.problems.push(
            "the store's content does not fit together: keep a copy of it, look at the disk and its machine, and put a backup in \
             its place or go on with what is there, as \"Damaged stores\" in docs/operations.md says"
                .to_owned(),
        );
    }
    told
}

/// Each secret of a catalog that the master key does not open, and how many it does.
pub(super) fn secrets(catalog: &Catalog, key: &MasterKey) -> Told {
    let vault = key.vault();
    let mut opened = 0;
    let mut problems = Vec::new();
    let mut open = |whose: String, name: &str, sealed: &[u8]| match vault.open(name, sealed) {
        Ok(_) => opened += 1,
        Err(_) => problems.push(format!(
            "secrets: the secret of {whose} does not open with the master key"
        )),
    };
    for credential in &catalog.credentials {
        open(
            format!("credential {} ({})", credential.key, credential.family),
            &credential_secret_name(&credential.family, &credential.key),
            &credential.sealed_secret,
        );
    }
    for endpoint in catalog
        .endpoints
        .iter()
        .filter(|one| !one.sealed_secret.is_empty())
    {
        open(
            format!("webhook {}", endpoint.name),
            &endpoint_secret_name(endpoint.id),
            &endpoint.sealed_secret,
        );
    }
    for carrier in &catalog.carriers {
        if let Some(sealed) = crate::open::sealed_password(carrier) {
            let octets = engine::hex::octets(sealed).unwrap_or_default();
            open(
                format!("carrier {}", carrier.name),
                &carrier_secret_name(&carrier.name),
                &octets,
            );
        }
    }
    let how = match problems.len() {
        0 => "ok".to_owned(),
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    };
    Told {
        standing: vec![("secrets", format!("{how}: {opened} open with the master key"))],
        problems,
    }
}

/// Lines on a terminal that say how far it is.
#[derive(Default)]
struct Progress(Mutex<Option<(Instant, &'static str)>>);

impl Progress {
    fn tell(&self, so_far: DeepProgress) {
        let mut err = std::io::stderr();
        let Ok(mut said) = self.0.lock() else { return };
        let is_due = said.is_none_or(|(at, part)| part != so_far.part || at.elapsed() > SAY_EVERY);
        if !err.is_terminal() || !is_due {
            return;
        }
        *said = Some((Instant::now(), so_far.part));
        let DeepProgress { part, rows, of } = so_far;
        // Whoever watches the terminal may be gone.
        let _ = match (rows, of) {
            (0, _) => write!(err, "\r\x1b[K{part} ..."),
            (rows, 0) => write!(err, "\r\x1b[K{part}: {rows} rows"),
            (rows, of) => write!(err, "\r\x1b[K{part}: {rows} of {of} rows"),
        };
        let _ = err.flush();
    }

    fn end(&self) {
        let mut err = std::io::stderr();
        if err.is_terminal() {
            let _ = write!(err, "\r\x1b[K");
        }
    }
}

/// A node on the same machine goes first.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19) {
        tracing::debug!(%error, "the check runs with the usual priority");
    }
}
