//! `postrider status`: the timeline of a message, or of all messages of a request.

mod id;
mod render;

use crate::control;
use crate::exit::Failure;
use crate::logging;
use crate::number;
use crate::open::{self, Place};
use anyhow::Context;
use clap::Args;
use engine::public_id::PublicIds;
use id::MessageQuery;
use render::{MessageTimeline, TimelineRenderer};
use std::collections::HashMap;
use std::io::Write;
use store::sqlite::Mode;
use store::{AccountId, CarrierNo, Catalog, MessageFilter, MessageId, MessageSpan, MessageView, Store};

/// Messages to one number that are shown.
const NEWEST_MAX: usize = 1_000;
/// Messages of one request that are shown.
const MESSAGES_MAX: usize = 2_000;

/// Shows the timeline of a message: acceptance, attempts, the carrier's responses, receipts.
///
/// May be used while a node runs. What is not committed yet (a few milliseconds) is not shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// Number of a message, SessionNo (uSpeedo, UCloud), smsId (SendCloud, EngageLab) or plan_id (EngageLab); or a
    /// phone number in any notation, for the newest messages to it
    id: String,
    /// Maximum number of messages to a phone number, up to 1000
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = number::whole::<usize>)]
    limit: usize,
    /// Also show the texts
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Finds the messages and prints their timelines.
pub(crate) async fn run(args: &StatusArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.place.config_of_existing()?;
    if !(1..=NEWEST_MAX).contains(&args.limit) {
        return Err(Failure::bad_input(anyhow::anyhow!(
            "--limit must be 1 to {NEWEST_MAX}"
        )));
    }
    let store = open::store(&config, Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let messages = find(&*store, &catalog, &args.id, args.limit).await?;
    let mut timelines = Vec::with_capacity(messages.len());
    for message in messages {
        timelines.push(read_timeline(&*store, message).await?);
    }
    let renderer = TimelineRenderer {
        accounts: catalog
            .accounts
            .iter()
            .map(|account| (account.id, account.name.to_string()))
            .collect(),
        carriers: carrier_names(&catalog),
        statuses: if timelines.iter().any(MessageTimeline::waits) {
            control::carriers(&config).await
        } else {
            None
        },
        text: args.text,
    };
    store.close().await.context("close the store")?;
    let is_number = matches!(MessageQuery::read(&args.id), Some(MessageQuery::Number(_)));
    if args.json {
        writeln!(out, "{}", renderer.json(&timelines)?)?;
    } else if timelines.is_empty() && is_number {
        writeln!(out, "no message to that number is stored")?;
    } else {
        renderer.lines(&timelines, out)?;
    }
    if timelines.is_empty() {
        return Err(Failure::found());
    }
    Ok(())
}

/// A message with its timeline, both of one moment: a running node may change the message between two reads.
async fn read_timeline(store: &dyn Store, mut message: MessageView) -> Result<MessageTimeline, Failure> {
    loop {
        let read = store.timeline(message.id).await;
        let timeline = read.context("read the timeline of the message")?;
        let again = store
            .messages(vec![message.id])
            .await
            .context("read the message")?;
        match again.into_iter().next() {
            Some(now) if (now.state, now.changed_at) != (message.state, message.changed_at) => message = now,
            _ => return Ok(MessageTimeline { message, timeline }),
        }
    }
}

fn carrier_names(catalog: &Catalog) -> HashMap<CarrierNo, String> {
    catalog
        .carriers
        .iter()
        .map(|carrier| (carrier.no, carrier.name.to_string()))
        .collect()
}

/// The messages of an id of any kind.
async fn find(
    store: &dyn Store,
    catalog: &Catalog,
    id: &str,
    limit: usize,
) -> Result<Vec<MessageView>, Failure> {
    let Some(query) = MessageQuery::read(id) else {
        let what = "the id is not a message number, session number, message id or phone number; quote ids with a `$` in \
                    single quotes";
        return Err(Failure::bad_input(anyhow::anyhow!(what)));
    };
    let ids = PublicIds::new(&store.id_key().await.context("read the store's key")?);
    // A public id does not contain its account: the existing accounts are tried.
    let accounts = catalog.accounts.iter().map(|account| account.id);
    let found = match query {
        MessageQuery::Message(number) => {
            let one = store.messages(vec![number]).await.context("read the message")?;
            return Ok(one);
        }
        MessageQuery::Number(written) => return newest_to(store, catalog, written, limit).await,
        MessageQuery::Session(written) => accounts
            .filter_map(|account| Some((account, ids.read_session(account, written)?, None)))
            .next(),
        MessageQuery::Public { prefix, number } => accounts
            .filter_map(|account| Some((account, ids.read_message_prefix(account, prefix)?, number)))
            .next(),
    };
    let Some((account, first, number)) = found else {
        return Ok(Vec::new());
    };
    of_request(store, account, first, number).await
}

/// The newest messages to a number, of all accounts, the newest first.
async fn newest_to(
    store: &dyn Store,
    catalog: &Catalog,
    written: &str,
    limit: usize,
) -> Result<Vec<MessageView>, Failure> {
    let numbers = number::recipients(written, &number::countries(catalog));
    if numbers.is_empty() {
        let what = "the id is not a phone number; write it with its country code, such as +447700900123";
        return Err(Failure::bad_input(anyhow::anyhow!(what)));
    }
    let mut found = Vec::new();
    for account in &catalog.accounts {
        let filter = MessageFilter {
            numbers: numbers.clone(),
            states: Vec::new(),
            dialects: Vec::new(),
            template: None,
            labels: Vec::new(),
            kind: None,
            offset: 0,
            limit,
            count_max: limit as u64,
        };
        let (messages, _) = store
            .find(account.id, MessageSpan::ALL, filter)
            .await
            .context("find messages to the number")?;
        found.extend(messages);
    }
    found.sort_unstable_by_key(|message| std::cmp::Reverse(message.id));
    found.truncate(limit);
    Ok(found)
}

async fn of_request(
    store: &dyn Store,
    account: AccountId,
    first: MessageId,
    number: Option<&str>,
) -> Result<Vec<MessageView>, Failure> {
    let mut messages = store
        .session(account, first, MESSAGES_MAX)
        .await
        .context("read the request's messages")?;
    if let Some(number) = number {
        messages.retain(|message| &*message.written == number);
    }
    Ok(messages)
}
