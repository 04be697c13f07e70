//! `postrider dev`: everything in one process, with nothing configured.

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
use crate::node::{Extras, Node, Opened, WhenTaken};
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

/// Runs everything with nothing configured, to try it out and to test against.
///
/// Messages go to a sandbox: each shows on the terminal and at /sandbox/messages. The banner has a command to copy for
/// each API; demo.json in the data folder has the credentials. They stay the same when it is started again.
#[derive(Args, Clone, Debug)]
pub(crate) struct DevArgs {
    /// Where messages, credentials and the master key are kept; made when it is missing
    #[arg(long, value_name = "DIR", default_value = DATA_FOLDER)]
    data: PathBuf,
    /// Where the APIs are served [default: 127.0.0.1:8080, or another port when that is taken]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = sim::address::listen_address)]
    listen: Option<SocketAddr>,
    /// Where health and metrics are served [default: 127.0.0.1:9090, or another port when that is taken]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = sim::address::listen_address)]
    metrics_listen: Option<SocketAddr>,
    /// Also tell this URL what happens: a webhook in the standard form (standardwebhooks.com), signed with the key on
    /// the banner
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// What is logged: error, warn, info, debug, trace, also "warn,engine=debug"
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
    // Texts, numbers and keys are its owner's business.
    let mut folder = DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder
        .create(&args.data)
        .with_context(|| format!("make the folder {}", args.data.display()))?;
    let mut config = Config::of_data_folder(&args.data)?;
    keep_the_key(&config).await?;
    let key = MasterKey::find_or_make(&config.secrets).map_err(Failure::bad_input)?;
    let vault = key.vault();
    config.api.listen = args.listen.unwrap_or(config.api.listen);
    config.metrics.listen = args.metrics_listen.unwrap_or(config.metrics.listen);
    config.webhooks.allow = allow;
    let opened = Opened::open(config, key).await?;
    opened.check_key().await?;
    let mut prepared = demo::prepare(&**opened.store(), &vault).await?;
    prepared.webhook = webhook::prepare(&**opened.store(), &vault, args.webhook.as_deref()).await?;
    let extras = Extras {
        trust_clock: true,
        routes: inbox::routes,
        free_text: true,
        before: |router| router.layer(axum::middleware::from_fn(page::for_browsers)),
        // An address that was asked for is meant; the usual one may be another.
        api_when_taken: when_taken(args.listen),
        metrics_when_taken: when_taken(args.metrics_listen),
    };
    let node = opened.start(extras).await?;
    node.engine().inbox().keep_refusals();
    let demo = prepared.at(node.api_addr(), node.metrics_addr())?;
    say(&banner::banner(&demo, &args.data))?;
    show_deliveries(&node);
    show_carriers(&node);
    demo.write(&args.data.join("demo.json"))?;
    node.run(log, None).await?;
    // Whoever watched the terminal may be gone, and it has stopped all the same.
    let _ = say(&format!(
        "Stopped in order. Everything is kept in {} and goes on from there.\n",
        args.data.display()
    ));
    Ok(())
}

/// Refuses to make a new master key beside a store whose secrets another one has sealed: they would never open again.
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
        "the master key {} is missing; {}. To begin anew, remove the folder's contents",
        config.secrets.master_key_file.display(),
        open::lost_key(&config.store.path)
    )))
}

fn when_taken(asked_for: Option<SocketAddr>) -> WhenTaken {
    if asked_for.is_some() {
        WhenTaken::Fail
    } else {
        WhenTaken::AnyPort
    }
}

/// A line for each message the sandbox delivers, for as long as the node runs.
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

/// A line for each change of a carrier's state, for as long as the node runs.
fn show_carriers(node: &Node) {
    let mut news = node.engine().watch_carriers();
    tokio::spawn(async move {
        let zone = TimeZone::system();
        loop {
            let line = match news.recv().await {
                Ok(status) => banner::carrier_line(&status, &zone),
                Err(RecvError::Lagged(missed)) => format!("({missed} more changes of carriers)"),
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
