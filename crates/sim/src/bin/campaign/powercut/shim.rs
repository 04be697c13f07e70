//! The preloaded library between the program and its disk and clock: built from source, controlled through a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

use crate::node::Environment;

/// Its source, which goes with this program.
const SOURCE: &str = include_str!("../../../../shim/shim.c");

/// The library, and where it writes and reads.
#[derive(Clone, Debug)]
pub(crate) struct Shim {
    library: PathBuf,
    folder: PathBuf,
}

/// The values of its control file; see the beginning of its source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Control {
    pub(crate) clock_offset_s: i64,
    pub(crate) fail_syncs: u64,
    pub(crate) fail_db_syncs: u64,
    pub(crate) disk_full: bool,
    pub(crate) short_writes: bool,
    pub(crate) stall_syncs: u64,
    pub(crate) stall_ms: u64,
}

impl Shim {
    /// Builds it in a folder, with the C compiler that this program was built with.
    pub(crate) fn build(folder: &Path) -> anyhow::Result<Self> {
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        std::fs::write(&source, SOURCE)?;
        let built = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .context("starting cc: a C compiler is needed")?;
        if !built.status.success() {
            bail!("cc failed: {}", String::from_utf8_lossy(&built.stderr));
        }
        let shim = Self {
            library,
            folder: folder.to_owned(),
        };
        shim.set_control(Control::default())?;
        Ok(shim)
    }

    /// The environment of a program whose files in `root` are watched, and recorded if `records`.
    pub(crate) fn environment(&self, root: &Path, records: bool) -> Environment {
        let mut environment: Environment = vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("SHIM_ROOT", root.into()),
            ("SHIM_CONTROL", self.folder.join("control").into()),
        ];
        if records {
            environment.push(("SHIM_LOG", self.record_path().into()));
        }
        environment
    }

    pub(crate) fn record_path(&self) -> PathBuf {
        self.folder.join("record")
    }

    /// Replaces the control file.
    pub(crate) fn set_control(&self, control: Control) -> anyhow::Result<()> {
        let mut text = String::new();
        for (name, value) in [
            ("clock_offset_s", control.clock_offset_s),
            ("fail_syncs", control.fail_syncs.cast_signed()),
            ("fail_db_syncs", control.fail_db_syncs.cast_signed()),
            ("disk_full", control.disk_full.into()),
            ("short_writes", control.short_writes.into()),
            ("stall_syncs", control.stall_syncs.cast_signed()),
            ("stall_ms", control.stall_ms.cast_signed()),
        ] {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name} {value}");
        }
        // Replaced as a whole: the library may read it at any moment.
        let (next, control) = (self.folder.join("control.next"), self.folder.join("control"));
        std::fs::write(&next, text)?;
        Ok(std::fs::rename(&next, &control)?)
    }
}

/// Turns this process's moments into nanoseconds of the clock that the record is kept by, and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    instant: Instant,
    ns: u64,
}

impl Moments {
    pub(crate) fn new() -> Self {
        // In this order a moment is never taken for an earlier one.
        let instant = Instant::now();
        let now = clock_gettime(ClockId::Monotonic);
        let ns = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        Self { instant, ns }
    }

    /// The moment of so many nanoseconds.
    pub(crate) fn instant(self, ns: u64) -> Instant {
        let span = std::time::Duration::from_nanos(ns.abs_diff(self.ns));
        let moment = if ns < self.ns {
            self.instant.checked_sub(span)
        } else {
            self.instant.checked_add(span)
        };
        moment.unwrap_or(self.instant)
    }

    /// The moment in nanoseconds.
    pub(crate) fn ns(self, moment: Instant) -> u64 {
        let ns = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        match moment.checked_duration_since(self.instant) {
            Some(after) => self.ns.saturating_add(ns(after)),
            None => self.ns.saturating_sub(ns(self.instant.duration_since(moment))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_are_in_order_and_never_earlier_than_they_were() {
        let before = clock_gettime(ClockId::Monotonic);
        let moments = Moments::new();
        let (now, after) = (Instant::now(), clock_gettime(ClockId::Monotonic));
        let ns = |time: rustix::time::Timespec| {
            time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
        };
        assert!(moments.ns(now) >= ns(before));
        assert!(moments.ns(now) <= ns(after) + 1_000_000_000);
        assert_eq!(moments.ns(now + Duration::from_nanos(7)), moments.ns(now) + 7);
        assert!(moments.ns(now - Duration::from_secs(1)) < moments.ns(now));
    }
}
