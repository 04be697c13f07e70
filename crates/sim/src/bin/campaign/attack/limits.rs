//! What the operating system lets a process do.

/// Lets this process, and those that it starts, have as many descriptors as they may; how many that is.
#[cfg(target_os = "linux")]
pub(super) fn raise_descriptors() -> anyhow::Result<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Lets every other process go first.
#[cfg(target_os = "linux")]
pub(super) fn least_priority() -> anyhow::Result<()> {
    const LEAST: i32 = 19;
    Ok(rustix::process::setpriority_process(None, LEAST)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn raise_descriptors() -> anyhow::Result<u64> {
    anyhow::bail!("this campaign needs Linux: other systems have one loopback address only")
}

#[cfg(not(target_os = "linux"))]
pub(super) fn least_priority() -> anyhow::Result<()> {
    raise_descriptors().map(drop)
}
