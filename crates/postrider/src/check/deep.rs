//! `check --deep`: reading the whole store through.

use crate::config::Config;
use crate::table::counted;
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
        // A node on the same machine goes first.
        engine::notify::least_priority();
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

/// How something stands that so many problems were found in.
pub(super) fn how_many(problems: u64) -> String {
    match problems {
        0 => "ok".to_owned(),
        many => counted(many, "problem"),
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
        let how = how_many(part.problems.len() as u64 + part.more);
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
