//! `postrider webhook pause`, `resume`, `replay`, `resend`, `test`.

use super::{OneArgs, PauseArgs, ReplayArgs, ResendArgs, named, title};
use crate::config::Config;
use crate::control::{NodeCommand, carry_out};
use crate::exit::Failure;
use crate::open;
use crate::webhook_formats::WebhookFormats;
use crate::when;
use anyhow::{Context, anyhow};
use engine::catalog::Snapshot;
use engine::clock::{Clock, SystemClock};
use engine::public_id::PublicIds;
use engine::webhooks::Stamp;
use jiff::tz::TimeZone;
use std::io::Write;
use std::sync::Arc;
use store::sqlite::Mode;
use store::{Endpoint, Store};

/// A webhook, and the configuration of its node.
struct Found {
    config: Config,
    endpoint: Endpoint,
    title: String,
}

impl Found {
    async fn of(args: &OneArgs) -> Result<Self, Failure> {
        let config = args.place.config_of_existing()?;
        let store = open::store(&config, Mode::Tool).await?;
        let catalog = store.load_catalog().await.context("read the catalog")?;
        store.close().await.context("close the store")?;
        let endpoint = named(&catalog, &args.webhook)?.clone();
        let title = title(&catalog, &endpoint);
        Ok(Self {
            config,
            endpoint,
            title,
        })
    }

    async fn carry_out(&self, command: &NodeCommand) -> Result<u64, Failure> {
        carry_out(&self.config, command).await
    }
}

pub(super) async fn pause(args: &PauseArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(&args.one).await?;
    let command = NodeCommand::Pause {
        endpoint: found.endpoint.id,
        reason: args.reason.trim().into(),
    };
    found.carry_out(&command).await?;
    Ok(writeln!(
        out,
        "webhook {} is paused; `postrider webhook resume` resumes it",
        found.title
    )?)
}

pub(super) async fn resume(args: &OneArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(args).await?;
    let command = NodeCommand::Resume {
        endpoint: found.endpoint.id,
    };
    found.carry_out(&command).await?;
    writeln!(out, "webhook {} is resumed", found.title)?;
    if !found.endpoint.enabled {
        writeln!(out, "note: it is disabled in the catalog (`enabled = false`)")?;
    }
    Ok(())
}

pub(super) async fn replay(args: &ReplayArgs, out: &mut impl Write) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let now = SystemClock.now();
    let since =
        when::read(&args.from, now, &zone).map_err(|why| Failure::bad_input(anyhow!("--from: {why}")))?;
    if since > now {
        return Err(Failure::bad_input(anyhow!(
            "--from: {} is in the future",
            when::short(since, &zone)
        )));
    }
    let found = Found::of(&args.one).await?;
    let command = NodeCommand::Replay {
        endpoint: found.endpoint.id,
        since,
    };
    found.carry_out(&command).await?;
    Ok(writeln!(
        out,
        "webhook {}: events since {} are delivered again",
        found.title,
        when::short(since, &zone)
    )?)
}

pub(super) async fn resend(args: &ResendArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(&args.one).await?;
    let endpoint = found.endpoint.id;
    let commands: Vec<NodeCommand> = if args.all {
        vec![NodeCommand::Resend { endpoint, call: None }]
    } else {
        let each = args.calls.iter().map(|no| NodeCommand::Resend {
            endpoint,
            call: Some(*no),
        });
        each.collect()
    };
    let mut count = 0;
    for command in &commands {
        count += found.carry_out(command).await?;
    }
    Ok(writeln!(
        out,
        "webhook {}: {count} calls are retried",
        found.title
    )?)
}

pub(super) async fn test(args: &OneArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(args).await?;
    let Endpoint { format, url, .. } = &found.endpoint;
    if url.is_empty() {
        let what = format!(
            "webhook {} has no URL: it is polled and sends no calls",
            found.title
        );
        return Err(Failure::bad_input(anyhow!(what)));
    }
    if probes_of(&found).await? == 0 {
        let what = format!("the format {format} has no test call");
        return Err(Failure::bad_input(anyhow!(what)));
    }
    let command = NodeCommand::Test {
        endpoint: found.endpoint.id,
    };
    found.carry_out(&command).await?;
    Ok(writeln!(out, "webhook {}: the test call succeeded", found.title)?)
}

/// The number of test calls of its format.
async fn probes_of(found: &Found) -> Result<usize, Failure> {
    let sealer = open::master_key(&found.config)?.sealer();
    let store = open::store(&found.config, Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let id_key = store.id_key().await.context("read the store's key")?;
    store.close().await.context("close the store")?;
    let snapshot = Snapshot::compile(catalog, &sealer).context("read the catalog")?;
    let stamp = Stamp {
        now: SystemClock.now(),
        random: rand::random(),
        public_ids: Arc::new(PublicIds::new(&id_key)),
    };
    let webhook_formats = WebhookFormats::all();
    let (entry, format) = (
        snapshot.endpoint(found.endpoint.id),
        webhook_formats.named(&found.endpoint.format),
    );
    match (entry, format) {
        (Some(entry), Some(format)) => Ok(format.probes(entry, &stamp).len()),
        _ => Err(anyhow!("webhook {} cannot be called by this program", found.title).into()),
    }
}
