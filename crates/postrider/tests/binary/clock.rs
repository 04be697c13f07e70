//! The program with a clock that is moved: a preloaded library (`crates/sim/shim`) adds seconds to the time that it reads.

use crate::serve::{addr_after, configure};
use crate::testkit::{Dev, Running, curl, eventually, folder, postrider, said, status_of};
use std::path::{Path, PathBuf};
use std::process::Command;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// The library, and the file that says how far the clock is off.
pub(crate) struct MovedClock {
    library: PathBuf,
    control: PathBuf,
}

impl MovedClock {
    /// Builds the library in a folder, where its control file is as well.
    pub(crate) fn build(folder: &Path) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/shim/shim.c");
        let (library, control) = (folder.join("shim.so"), folder.join("control"));
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o", library.to_str().unwrap(), source])
            .args(["-ldl", "-lpthread"])
            .status()
            .unwrap();
        assert!(built.success(), "the C compiler makes the library");
        let clock = Self { library, control };
        clock.set(0);
        clock
    }

    /// Sets how many seconds the clock is ahead.
    pub(crate) fn set(&self, offset_s: i64) {
        self.write_control(&format!("clock_offset_s {offset_s}\n"));
    }

    /// Sets the clock right and delays every sync of the write-ahead log by `ms`.
    pub(crate) fn delay_syncs(&self, ms: u64) {
        self.write_control(&format!("stall_syncs 1000000\nstall_ms {ms}\n"));
    }

    fn write_control(&self, text: &str) {
        let next = self.control.with_extension("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, &self.control).unwrap();
    }

    /// Starts a node with a configuration file and additional options.
    pub(crate) fn serve(&self, config: &Path, more: &[&str]) -> Running {
        let arguments = [&["serve", "--config", config.to_str().unwrap()], more].concat();
        Running::start(self.command(config.parent().unwrap(), &arguments))
    }

    /// The program with this clock; syncs are delayed for files in `folder`.
    pub(crate) fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = postrider(arguments);
        command
            .env("LD_PRELOAD", &self.library)
            .env("SHIM_ROOT", folder)
            .env("SHIM_CONTROL", &self.control);
        command
    }
}

#[test]
fn serve_rejects_an_implausible_clock_unless_it_is_trusted() {
    let folder = folder();
    let config = configure(folder.path(), "");
    let clock = MovedClock::build(folder.path());
    for offset_s in [-10 * YEAR, 20 * YEAR] {
        clock.set(offset_s);
        let mut refused = clock.serve(&config, &[]);
        let log = refused.err.wait_for("--trust-clock");
        assert!(log.contains("which cannot be right"), "{log}");
        assert!(!refused.ended().success());
        let mut check = clock.command(folder.path(), &["check", "--config", config.to_str().unwrap()]);
        let checked = check.output().unwrap();
        assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
        assert!(
            said(&checked).contains("PROBLEM        clock: the clock says "),
            "{}",
            said(&checked)
        );
        let node = clock.serve(&config, &["--trust-clock"]);
        node.err.wait_for("APIs listening");
        assert!(node.stop().success());
    }
}

#[test]
fn check_compares_the_clock_with_the_newest_in_the_store() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("+447700900123");
    assert!(dev.running.stop().success());
    let clock = MovedClock::build(folder.path());
    let data = folder.path().to_str().unwrap();
    for (offset_s, expected) in [
        (0, None),
        (-2 * DAY, Some("s behind the newest that the store has")),
        (3 * DAY + 60, Some("nothing of the last 3 days")),
        (2 * YEAR, Some("days after the newest that the store has")),
    ] {
        clock.set(offset_s);
        let checked = clock.command(folder.path(), &["check", "--data", data]).output();
        let checked = checked.unwrap();
        let printed = said(&checked);
        // `dev` starts by any clock.
        assert!(checked.status.success(), "{printed}");
        let note = printed
            .lines()
            .find(|line| line.starts_with("note           clock: "));
        match expected {
            None => assert_eq!(note, None),
            Some(words) => assert!(note.is_some_and(|note| note.contains(words)), "{printed}"),
        }
    }
}

#[test]
fn a_jump_while_it_runs_is_logged_counted_and_taken_back() {
    let folder = folder();
    let config = configure(folder.path(), "");
    let clock = MovedClock::build(folder.path());
    let node = clock.serve(&config, &[]);
    let addr = addr_after(&node, "health and metrics listening");
    node.err.wait_for("APIs listening");
    let metric = |line: &str| {
        eventually(line, || {
            let page = curl(&[&format!("http://{addr}/metrics")]);
            page.lines().any(|one| one == line).then_some(())
        });
    };
    metric("postrider_deletes_held 0");
    clock.set(10 * DAY);
    node.err.wait_for("system clock jumped");
    metric("postrider_deletes_held 1");
    metric("postrider_clock_jumps_total{direction=\"forward\"} 1");
    assert_eq!(status_of(&format!("http://{addr}/readyz")), "200");
    clock.set(0);
    metric("postrider_deletes_held 0");
    metric("postrider_clock_jumps_total{direction=\"back\"} 1");
    assert!(node.stop().success());
}
