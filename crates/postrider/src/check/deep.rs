//! `check --deep`: checks the whole store.

use crate::config::Config;
use crate::table::counted;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use store::sqlite::{DeepPart, DeepProgress, SqliteStore};

/// Interval of progress lines.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// The result of one part of the check.
pub(super) struct CheckResult {
    /// What was checked, and the result.
    pub(super) standing: Vec<(&'static str, String)>,
    pub(super) problems: Vec<String>,
}

/// Checks the store of a node with the lowest priority, so that a running node is not slowed down.
pub(super) async fn check(config: &Config) -> CheckResult {
    let path = config.store.path.clone();
    let sqlite = config.store.sqlite.store_config();
    let read = tokio::task::spawn_blocking(move || {
        // A node on the same machine has priority.
        engine::webhooks::least_priority();
        let progress = Progress::default();
        let parts = SqliteStore::check_deep(&path, &sqlite, &|so_far| progress.report(so_far));
        progress.end();
        parts
    });
    match read.await {
        Ok(Ok(parts)) => summarize(parts),
        Ok(Err(error)) => failed(&crate::exit::explained(&anyhow::Error::from(error))),
        Err(error) => failed(&error.to_string()),
    }
}

/// The result for a number of problems.
pub(super) fn how_many(problems: u64) -> String {
    match problems {
        0 => "ok".to_owned(),
        many => counted(many, "problem"),
    }
}

fn failed(why: &str) -> CheckResult {
    CheckResult {
        standing: Vec::new(),
        problems: vec![format!("deep: the store could not be checked: {why}")],
    }
}

fn summarize(parts: Vec<DeepPart>) -> CheckResult {
    let mut result = CheckResult {
        standing: Vec::new(),
        problems: Vec::new(),
    };
    for part in parts {
        let how = how_many(part.problems.len() as u64 + part.more);
        result
            .standing
            .push((part.name, format!("{how}: {}", part.looked_at)));
        let name = part.name;
        result.problems.extend(
            part.problems
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
        if part.more > 0 {
            result.problems.push(format!("{name}: and {} more", part.more));
        }
    }
    if !result.problems.is_empty() {
        result.problems.push(
            "the store is inconsistent: keep a copy of it, check the disk and the machine, and restore a backup or \
             continue with it, see \"Damaged stores\" in docs/operations.md"
                .to_owned(),
        );
    }
    result
}

/// Progress lines on a terminal.
#[derive(Default)]
struct Progress(Mutex<Option<(Instant, &'static str)>>);

impl Progress {
    fn report(&self, so_far: DeepProgress) {
        let mut err = std::io::stderr();
        let Ok(mut said) = self.0.lock() else { return };
        let is_due = said.is_none_or(|(at, part)| part != so_far.part || at.elapsed() > SAY_EVERY);
        if !err.is_terminal() || !is_due {
            return;
        }
        *said = Some((Instant::now(), so_far.part));
        let DeepProgress { part, rows, of } = so_far;
        // The terminal may be closed.
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
