//! `postrider serve`: runs a node in production.

use crate::config::{Config, DEFAULTS};
use crate::exit::Failure;
use crate::logging;
use crate::node::{self, NodeBuilder, NodeOptions};
use crate::open;
use crate::tls;
use anyhow::anyhow;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Runs a node.
///
/// SIGTERM and SIGINT stop it gracefully (a second one ends it at once); SIGHUP reloads catalog, log level and certificate.
/// The catalog is in the store: see `postrider apply`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    /// Configuration file: the settings that differ from config.default.toml
    #[arg(long, value_name = "FILE", required_unless_present = "print_defaults")]
    config: Option<PathBuf>,
    /// Start with a clock that seems wrong, or that is more than 400 days ahead of the newest time in the store
    #[arg(long)]
    trust_clock: bool,
    /// Print every setting with its description and default, and exit
    #[arg(long)]
    print_defaults: bool,
}

/// Runs until a signal stops it.
pub(crate) async fn run(args: ServeArgs, out: &mut impl Write) -> Result<(), Failure> {
    if args.print_defaults {
        return Ok(out.write_all(DEFAULTS.as_bytes())?);
    }
    let trust_clock = args.trust_clock;
    let file = args.config.unwrap_or_default();
    let config = Config::load(&file)?;
    let log = logging::start(&config.log).map_err(Failure::bad_input)?;
    config.warn_of_former_names();
    check_files(&config).map_err(Failure::bad_input)?;
    let key = open::master_key(&config)?;
    if let Some(missing) = open::missing_folder(&config.store.path) {
        return Err(Failure::bad_input(anyhow!(missing)));
    }
    let builder = NodeBuilder::open(config, key).await?;
    builder.check_key().await?;
    let options = NodeOptions {
        trust_clock,
        ..NodeOptions::default()
    };
    let node = builder.start(options).await?;
    Ok(node.run(log, Some(file)).await?)
}

/// Checks the files that the configuration names: a missing or invalid one is an error in the configuration, found before
/// a port is bound or the store is opened.
fn check_files(config: &Config) -> anyhow::Result<()> {
    node::certificate(config)?;
    let ca_file = &config.webhooks.ca_file;
    if !ca_file.as_os_str().is_empty() {
        tls::authorities(ca_file).map_err(|why| anyhow!("`webhooks.ca_file` {why}"))?;
    }
    Ok(())
}
