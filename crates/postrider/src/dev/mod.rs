//! `postrider dev`: a complete node in one process, without configuration.

mod banner;
mod commands;
mod demo;
mod inbox;
mod origin;
mod page;
mod webhook;

use crate::config::{Config, Log, LogFormat, MasterKey};
use crate::exit::{Failure, Output};
use crate::logging;
use crate::node::{Node, NodeBuilder, NodeOptions, PortConflict};
use crate::open::{self, DATA_FOLDER};
use anyhow::{Context, anyhow};
use clap::Args;
use jiff::tz::TimeZone;
use std::fs::DirBuilder;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use store::Store;
use store::sqlite::Mode;
use tokio::sync::broadcast::error::RecvError;

/// Runs a node with a sandbox and a demo account, without configuration, for trials and tests.
///
/// Messages go to the sandbox: they are shown on the terminal and at /sandbox/messages. The banner has a command to
/// copy for each API; demo.json in the data directory has the credentials, which stay the same after a restart.
#[derive(Args, Clone, Debug)]
pub(crate) struct DevArgs {
    /// Directory of the store, the credentials and the master key; created when missing
    #[arg(long, value_name = "DIR", default_value = DATA_FOLDER)]
    data: PathBuf,
    /// Address of the APIs [default: 127.0.0.1:8080, or another port when that is in use]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = sim::address::listen_address)]
    listen: Option<SocketAddr>,
    /// Address of health and metrics [default: 127.0.0.1:9090, or another port when that is in use]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = sim::address::listen_address)]
    metrics_listen: Option<SocketAddr>,
    /// Also send the events to this URL: a webhook in the standard format (standardwebhooks.com), signed with the key on
    /// the banner
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Log level: error, warn, info, debug, trace, also "warn,engine=debug"
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
}

/// Runs until a signal stops it.
pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    let log = Log {
        level: args.log.clone(),
        format: LogFormat::Text,
    };
    let log = logging::start(&log).map_err(Failure::bad_input)?;
    let allow = webhook::allow(args.webhook.as_deref())?;
    // The directory has texts, numbers and keys: only its owner has access.
    let mut folder = DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder
        .create(&args.data)
        .with_context(|| format!("create the directory {}", args.data.display()))?;
    let mut config = Config::of_data_folder(&args.data)?;
    keep_the_key(&config).await?;
    let key = MasterKey::find_or_make(&config.secrets).map_err(Failure::bad_input)?;
    let sealer = key.sealer();
    config.api.listen = args.listen.unwrap_or(config.api.listen);
    config.metrics.listen = args.metrics_listen.unwrap_or(config.metrics.listen);
    config.webhooks.allow = allow;
    let builder = NodeBuilder::open(config, key).await?;
    builder.check_key().await?;
    let mut prepared = demo::prepare(&**builder.store(), &sealer).await?;
    prepared.webhook = webhook::prepare(&**builder.store(), &sealer, args.webhook.as_deref()).await?;
    let options = NodeOptions {
        trust_clock: true,
        routes: inbox::routes,
        free_text: true,
        before: |router| router.layer(axum::middleware::from_fn(page::for_browsers)),
        // An address that was given is used as it is; a default one may be replaced.
        api_port_conflict: port_conflict(args.listen),
        metrics_port_conflict: port_conflict(args.metrics_listen),
    };
    let node = builder.start(options).await?;
    node.engine().inbox().keep_refusals();
    let demo = prepared.at(node.api_addr(), node.metrics_addr())?;
    say(&banner::banner(&demo, &args.data))?;
    show_deliveries(&node);
    show_carriers(&node);
    demo.write(&args.data.join("demo.json"))?;
    node.run(log, None).await?;
    // The terminal may be closed; the node has stopped all the same.
    let _ = say(&format!(
        "Stopped. All data is in {}; the next start continues with it.\n",
        args.data.display()
    ));
    Ok(())
}

/// Refuses to create a master key for a store with secrets of another one: they could never be opened again.
async fn keep_the_key(config: &Config) -> Result<(), Failure> {
    if !MasterKey::would_be_made(&config.secrets) || !config.store.path.exists() {
        return Ok(());
    }
    let store = open::store(config, Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    store.close().await.context("close the store")?;
    if !open::has_secrets(&catalog) {
        return Ok(());
    }
    Err(Failure::bad_input(anyhow!(
        "the master key {} is missing; {}. To start over, delete the contents of the directory",
        config.secrets.master_key_file.display(),
        open::lost_key(&config.store.path)
    )))
}

fn port_conflict(requested: Option<SocketAddr>) -> PortConflict {
    if requested.is_some() {
        PortConflict::Fail
    } else {
        PortConflict::AnyPort
    }
}

/// Prints a line for each message of the sandbox while the node runs.
fn show_deliveries(node: &Node) {
    let mut news = node.engine().inbox().watch();
    tokio::spawn(async move {
        let zone = TimeZone::system();
        loop {
            let line = match news.recv().await {
                Ok(message) => banner::line(&message, &zone),
                Err(RecvError::Lagged(missed)) => format!("({missed} more)"),
                Err(RecvError::Closed) => return,
            };
            if say(&format!("{line}\n")).is_err() {
                return;
            }
        }
    });
}

/// Prints a line for each change of a carrier's state while the node runs.
fn show_carriers(node: &Node) {
    let mut news = node.engine().watch_carriers();
    tokio::spawn(async move {
        let zone = TimeZone::system();
        loop {
            let line = match news.recv().await {
                Ok(status) => banner::carrier_line(&status, &zone),
                Err(RecvError::Lagged(missed)) => format!("({missed} more carrier changes)"),
                Err(RecvError::Closed) => return,
            };
            if say(&format!("{line}\n")).is_err() {
                return;
            }
        }
    });
}

fn say(text: &str) -> std::io::Result<()> {
    let mut out = Output::new(std::io::stdout().lock());
    out.write_all(text.as_bytes())?;
    out.flush()
}
