//! The conditions of a measurement.

use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::Instant;

use crate::say;

const FSYNCS: usize = 200;

pub(super) fn print(folder: &Path) -> anyhow::Result<()> {
    let of_file = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!(
        "cpu        {}, {cores} cores",
        of_file("/proc/cpuinfo", "model name")
    ));
    say(&format!("memory     {}", of_file("/proc/meminfo", "MemTotal")));
    say(&format!("kernel     {}", kernel.trim()));
    say(&format!("load       {}", load.trim()));
    let (median_us, worst_us) = fsync_us(folder)?;
    say(&format!(
        "fsync      {median_us} us in the middle of {FSYNCS}, {worst_us} us at most (4 kB, in the data folder)"
    ));
    say("network    loopback; clients, program and carrier share the machine");
    Ok(())
}

/// Microseconds of writing 4 kB to stable storage: the middle and the worst of many.
fn fsync_us(folder: &Path) -> anyhow::Result<(u128, u128)> {
    let path = folder.join("fsync");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)?;
    let mut times = Vec::with_capacity(FSYNCS);
    for _ in 0..FSYNCS {
        let began = Instant::now();
        file.rewind()?;
        file.write_all(&[0x55; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_micros());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok((
        times.get(FSYNCS / 2).copied().unwrap_or(0),
        times.last().copied().unwrap_or(0),
    ))
}
