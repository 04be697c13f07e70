//! Logging: text or JSON on standard error, with a level that can be changed at runtime.

mod line;
mod repeats;

use crate::config::{Log, LogFormat, nearest};
use anyhow::{Context, anyhow, ensure};
use line::Lines;
use repeats::Repeats;
use std::io::IsTerminal;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The log of a process. Dropping it writes the pending summaries.
pub(crate) struct Logging {
    level: reload::Handle<EnvFilter, Registry>,
    repeats: Repeats,
}

impl Logging {
    /// Changes the level.
    pub(crate) fn set_level(&self, level: &str) -> anyhow::Result<()> {
        self.level.reload(filter(level)?).context("change the log level")
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.repeats.write_sums();
    }
}

/// Starts the log of a node, in which repeated lines are summarized; once per process.
pub(crate) fn start(log: &Log) -> anyhow::Result<Logging> {
    let repeats = Repeats::default();
    let level = begin(log, Some(repeats.clone()))?;
    sum_up(repeats.clone())?;
    Ok(Logging { level, repeats })
}

/// Starts the log of a command: warnings as text, without summaries.
pub(crate) fn start_for_tool() -> anyhow::Result<()> {
    let log = Log {
        level: "warn".to_owned(),
        format: LogFormat::Text,
    };
    begin(&log, None).map(drop)
}

fn begin(log: &Log, repeats: Option<Repeats>) -> anyhow::Result<reload::Handle<EnvFilter, Registry>> {
    let (filter, level) = reload::Layer::new(filter(&log.level)?);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer()
        .with_writer(move || Lines { colours })
        .with_ansi(colours);
    let lines = match log.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Records of the `log` crate are ignored: they contain paths of the build machine.
    let all = tracing_subscriber::registry()
        .with(filter)
        .with(repeats)
        .with(lines);
    tracing::subscriber::set_global_default(all).context("start logging")?;
    Ok(level)
}

/// Writes summaries while the process runs, on a thread of its own: whatever floods a log may keep the others busy.
fn sum_up(repeats: Repeats) -> anyhow::Result<()> {
    let thread = std::thread::Builder::new().name("log".to_owned());
    thread
        .spawn(move || {
            loop {
                std::thread::sleep(repeats::INTERVAL);
                repeats.write_sums();
            }
        })
        .map(drop)
        .context("start logging")
}

/// Checks a level.
///
/// # Errors
/// The invalid part, and what is valid.
pub(crate) fn check(level: &str) -> anyhow::Result<()> {
    filter(level).map(|_| ())
}

/// The parts of the program with a level of their own.
const PARTS: [&str; 7] = ["api", "engine", "postrider", "sim", "smpp", "sms", "store"];

/// Parts that are probably misspelt names of [`PARTS`], whose level would have no effect. Others may be names of a
/// library.
pub(crate) fn unknown_parts(level: &str) -> impl Iterator<Item = String> {
    level.split(',').filter_map(|directive| {
        let (target, _) = directive.trim().split_once(['=', '['])?;
        let part = target.split("::").next().unwrap_or_default();
        if PARTS.contains(&part) {
            return None;
        }
        let meant = nearest(part, PARTS.into_iter())?;
        Some(format!(
            "`log.level`: no part of the program is called {part:?}; did you mean {meant:?}?"
        ))
    })
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    for directive in level.split(',').map(str::trim) {
        // A word that is no level would be taken for a module, and everything else would not be logged.
        ensure!(
            directive.contains(['=', '[']) || directive == "off" || directive.parse::<Level>().is_ok(),
            "`log.level`: {directive:?} is not error, warn, info, debug, trace or off, nor `part=level`"
        );
    }
    // The error's text repeats that of its cause.
    EnvFilter::try_new(level.replace(' ', "")).map_err(|error| anyhow!("`log.level`: {level:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_an_error_and_not_silence() {
        for good in ["info", "warn,engine=debug", "off", "INFO, api=trace"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "infoo", "warn,verbose", "engine=loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_invalid_level_is_reported_once() {
        let error = format!("{:#}", filter("engine=loud").unwrap_err());
        assert!(error.contains("\"engine=loud\""), "{error}");
        assert_eq!(error.matches("expected one of").count(), 1, "{error}");
    }

    #[test]
    fn a_misspelt_part_is_reported_and_a_librarys_is_not() {
        let unknown = |level| unknown_parts(level).collect::<Vec<_>>();
        assert_eq!(
            unknown("warn,engine=debug,api::serve=info,hyper=trace,rustls[x]=info"),
            [""; 0]
        );
        assert_eq!(
            unknown("warn, engnie=debug"),
            ["`log.level`: no part of the program is called \"engnie\"; did you mean \"engine\"?"]
        );
    }
}
