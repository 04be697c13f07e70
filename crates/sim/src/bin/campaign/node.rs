//! The program under test, as a process of its own.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use sim::load::Wire;

use crate::accounts::Settings;
use crate::metrics::Metrics;

/// How long a node may take to start or to stop.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What a node and its tools find in their environment beside what this process has.
pub(crate) type Environment = Vec<(&'static str, OsString)>;

/// A node, running or not. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Node {
    program: PathBuf,
    folder: PathBuf,
    environment: Environment,
    pub(crate) settings: Settings,
    child: Option<Child>,
}

/// Runs commands beside a node, whether or not it runs.
#[derive(Debug)]
pub(crate) struct Operator {
    program: PathBuf,
    folder: PathBuf,
    environment: Environment,
    settings: Settings,
}

impl Operator {
    /// Applies another edition of the catalog.
    pub(crate) fn change_catalog(&mut self, edition: u64) -> anyhow::Result<()> {
        self.settings.edition = edition;
        std::fs::write(self.folder.join("catalog.toml"), self.settings.catalog())?;
        let arguments = ["apply", "catalog.toml"];
        tool(&self.program, &self.folder, &self.environment, &arguments).map(drop)
    }
}

/// Runs a command that ends by itself; what it prints.
fn tool(
    program: &Path,
    folder: &Path,
    environment: &Environment,
    arguments: &[&str],
) -> anyhow::Result<String> {
    let done = Command::new(program)
        .args(arguments)
        .args(["--config", "postrider.toml"])
        .current_dir(folder)
        .env_remove("POSTRIDER_MASTER_KEY")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    if !done.status.success() {
        bail!("postrider {} failed: {out}{err}", arguments.join(" "));
    }
    Ok(out.into_owned())
}

impl Node {
    /// Writes configuration and catalog, and makes the store.
    pub(crate) fn set_up(program: &Path, folder: &Path, settings: Settings) -> anyhow::Result<Self> {
        let node = Self::written(program, folder, settings, Environment::new())?;
        node.make_store()?;
        Ok(node)
    }

    /// Writes configuration and catalog; the store is as it is.
    pub(crate) fn written(
        program: &Path,
        folder: &Path,
        settings: Settings,
        environment: Environment,
    ) -> anyhow::Result<Self> {
        let program = program.canonicalize().with_context(|| {
            format!(
                "there is no program at {}: build it, or name it with --postrider",
                program.display()
            )
        })?;
        std::fs::create_dir_all(folder)?;
        let config = folder.join("postrider.toml");
        std::fs::write(&config, settings.config(folder))?;
        // The master key is in it.
        std::fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        std::fs::write(folder.join("catalog.toml"), settings.catalog())?;
        Ok(Self {
            program,
            folder: folder.to_owned(),
            environment,
            settings,
            child: None,
        })
    }

    /// Makes the store, with the catalog.
    pub(crate) fn make_store(&self) -> anyhow::Result<()> {
        self.tool(&["migrate"])?;
        self.tool(&["apply", "catalog.toml"]).map(drop)
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        let status = self.child.as_mut().map(Child::try_wait).transpose()?;
        Ok(status.flatten().is_some())
    }

    /// Runs commands beside it.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            program: self.program.clone(),
            folder: self.folder.clone(),
            environment: self.environment.clone(),
            settings: self.settings.clone(),
        }
    }

    /// Runs a command that ends by itself; what it prints.
    pub(crate) fn tool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        tool(&self.program, &self.folder, &self.environment, arguments)
    }

    /// Starts it; returns at once.
    pub(crate) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = self.log()?;
        let child = Command::new(&self.program)
            .args(["serve", "--config", "postrider.toml"])
            .current_dir(&self.folder)
            .env_remove("POSTRIDER_MASTER_KEY")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    fn log(&self) -> anyhow::Result<File> {
        let path = self.folder.join("node.log");
        Ok(OpenOptions::new().create(true).append(true).open(path)?)
    }

    /// Starts it and waits until it takes requests.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.ready().await
    }

    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        while !self.is_ready().await {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
                bail!(
                    "the node ended with {}; see {}",
                    status?,
                    self.folder.join("node.log").display()
                );
            }
            if since.elapsed() > TIMEOUT {
                bail!("the node was not ready within {TIMEOUT:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let url = format!("http://{}", self.settings.metrics);
        let Ok(mut wire) = Wire::connect(&url, Duration::from_secs(2)).await else {
            return false;
        };
        let answered = wire
            .exchange(b"GET /readyz HTTP/1.1\r\nHost: postrider\r\n\r\n")
            .await;
        answered.is_ok_and(|exchange| exchange.status == 200)
    }

    /// What it counts now.
    pub(crate) async fn metrics(&self) -> anyhow::Result<Metrics> {
        let url = format!("http://{}", self.settings.metrics);
        let mut wire = Wire::connect(&url, Duration::from_secs(10)).await?;
        let exchange = wire
            .exchange(b"GET /metrics HTTP/1.1\r\nHost: postrider\r\n\r\n")
            .await?;
        Ok(Metrics::read(&String::from_utf8_lossy(exchange.body)))
    }

    /// Waits until so many sessions are up.
    pub(crate) async fn bound(&self, binds: u64) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.metrics().await?.sum("postrider_binds") < binds as f64 {
            if since.elapsed() > TIMEOUT {
                bail!("{binds} sessions were not up within {TIMEOUT:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Resends webhook calls that wait for a retry, as an operator does: 50 of each endpoint. Returns how many were resent.
    pub(crate) fn resend_waiting(&self) -> anyhow::Result<usize> {
        #[derive(Deserialize)]
        struct Document {
            calls: Vec<Call>,
        }
        #[derive(Deserialize)]
        struct Call {
            no: i64,
        }
        let mut resent = 0;
        for name in self.settings.webhook_names() {
            let listed = self.tool(&["webhook", "dead", &name, "--waiting", "--limit", "50", "--json"])?;
            let Document { calls } =
                serde_json::from_str(&listed).with_context(|| format!("understanding {listed}"))?;
            for call in calls {
                match self.tool(&["webhook", "resend", &name, &call.no.to_string()]) {
                    Ok(_) => resent += 1,
                    // It was made by itself since it was listed.
                    Err(error) if error.to_string().contains("no such call") => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(resent)
    }

    /// `kill -9`: no warning, no chance to write anything.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM: a graceful shutdown. Whether it succeeded.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<bool> {
        let Some(mut child) = self.child.take() else {
            return Ok(true);
        };
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()?;
        let since = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if since.elapsed() > TIMEOUT {
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seconds of processor time it has used since it started.
    pub(crate) fn cpu_s(&self) -> Option<f64> {
        const TICKS_A_SECOND: f64 = 100.0;
        let child = self.child.as_ref()?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
        // The command's name may hold blanks; it ends with the last parenthesis. User and system time follow.
        let mut times = stat
            .rsplit_once(')')?
            .1
            .split_ascii_whitespace()
            .skip(11)
            .map(str::parse::<f64>);
        Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS_A_SECOND)
    }

    /// Resident memory in bytes: now, and the most there ever was.
    pub(crate) fn resident(&self) -> Option<(u64, u64)> {
        let child = self.child.as_ref()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        };
        Some((field("VmRSS:")?, field("VmHWM:")?))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing is left to be done about a process that cannot be killed.
        let _ = self.kill();
    }
}
