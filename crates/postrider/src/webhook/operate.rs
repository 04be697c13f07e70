//! `postrider webhook pause`, `resume`, `replay`, `resend`, `test`.

use super::{OneArgs, PauseArgs, ReplayArgs, ResendArgs, named, title};
use crate::config::Config;
use crate::control::{Order, carry_out};
use crate::exit::Failure;
use crate::forms::Forms;
use crate::open;
use crate::when;
use anyhow::{Context, anyhow};
use engine::catalog::Snapshot;
use engine::clock::{Clock, SystemClock};
use engine::notify::Stamp;
use engine::public_id::PublicIds;
use jiff::tz::TimeZone;
use std::io::Write;
use std::sync::Arc;
use store::sqlite::Mode;
use store::{Endpoint, Store};

/// A webhook that was found, and where.
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

    async fn carry_out(&self, order: &Order) -> Result<u64, Failure> {
        carry_out(&self.config, order).await
    }
}

pub(super) async fn pause(args: &PauseArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(&args.one).await?;
    let order = Order::Pause {
        endpoint: found.endpoint.id,
        reason: args.reason.trim().into(),
    };
    found.carry_out(&order).await?;
    Ok(writeln!(
        out,
        "webhook {} is paused; `postrider webhook resume` goes on",
        found.title
    )?)
}

pub(super) async fn resume(args: &OneArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(args).await?;
    let order = Order::Resume {
        endpoint: found.endpoint.id,
    };
    found.carry_out(&order).await?;
    writeln!(out, "webhook {} goes on", found.title)?;
    if !found.endpoint.enabled {
        writeln!(out, "note: the catalog has it switched off (`enabled = false`)")?;
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
            "--from: {} has not come yet",
            when::short(since, &zone)
        )));
    }
    let found = Found::of(&args.one).await?;
    let order = Order::Replay {
        endpoint: found.endpoint.id,
        since,
    };
    found.carry_out(&order).await?;
    Ok(writeln!(
        out,
        "webhook {} is told again what happened since {}",
        found.title,
        when::short(since, &zone)
    )?)
}

pub(super) async fn resend(args: &ResendArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(&args.one).await?;
    let endpoint = found.endpoint.id;
    let orders: Vec<Order> = if args.all {
        vec![Order::Resend { endpoint, call: None }]
    } else {
        let each = args.calls.iter().map(|no| Order::Resend {
            endpoint,
            call: Some(*no),
        });
        each.collect()
    };
    let mut count = 0;
    for order in &orders {
        count += found.carry_out(order).await?;
    }
    Ok(writeln!(
        out,
        "webhook {}: {count} calls are made again",
        found.title
    )?)
}

pub(super) async fn test(args: &OneArgs, out: &mut impl Write) -> Result<(), Failure> {
    let found = Found::of(args).await?;
    let Endpoint { format, url, .. } = &found.endpoint;
    if url.is_empty() {
        let what = format!("webhook {} has no URL: it is asked and never calls", found.title);
        return Err(Failure::bad_input(anyhow!(what)));
    }
    if probes_of(&found).await? == 0 {
        let what =
            format!("the format {format} has no call that means nothing, so there is nothing to test with");
        return Err(Failure::bad_input(anyhow!(what)));
    }
    let order = Order::Test {
        endpoint: found.endpoint.id,
    };
    found.carry_out(&order).await?;
    Ok(writeln!(out, "webhook {} answers as it should", found.title)?)
}

/// How many calls its format tries a webhook with.
async fn probes_of(found: &Found) -> Result<usize, Failure> {
    let vault = open::master_key(&found.config)?.vault();
    let store = open::store(&found.config, Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let id_key = store.id_key().await.context("read the store's key")?;
    store.close().await.context("close the store")?;
    let snapshot = Snapshot::compile(catalog, &vault).context("read the catalog")?;
    let stamp = Stamp {
        now: SystemClock.now(),
        random: rand::random(),
        public_ids: Arc::new(PublicIds::new(&id_key)),
    };
    let forms = Forms::all();
    let (entry, form) = (
        snapshot.endpoint(found.endpoint.id),
        forms.named(&found.endpoint.format),
    );
    match (entry, form) {
        (Some(entry), Some(form)) => Ok(form.probes(entry, &stamp).len()),
        _ => Err(anyhow!("webhook {} cannot be called by this program", found.title).into()),
    }
}
