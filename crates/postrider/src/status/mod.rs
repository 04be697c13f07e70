//! `postrider status`: the story of a message, or of everything a request sent.

mod id;
mod tell;

use crate::control;
use crate::exit::Failure;
use crate::logging;
use crate::number;
use crate::open::{self, Place};
use anyhow::Context;
use clap::Args;
use engine::public_id::PublicIds;
use id::Asked;
use std::collections::HashMap;
use std::io::Write;
use store::sqlite::Mode;
use store::{AccountId, CarrierNo, Catalog, MessageFilter, MessageId, MessageSpan, MessageView, Store};
use tell::{Story, Telling};

/// Messages to one number that are told.
const NEWEST_MAX: usize = 1_000;
/// Messages of one request that are told.
const MESSAGES_MAX: usize = 2_000;

/// Tells the story of a message: accepted, given to which carrier, what it answered, what its receipts said.
///
/// Works beside a running node. What has not been committed yet (a few milliseconds) is not seen.
#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// A message's number, a SessionNo (uSpeedo, UCloud), a smsId (SendCloud, EngageLab) or a plan_id (EngageLab); or a
    /// phone number in any form, for the newest messages to it
    id: String,
    /// Of a phone number, how many messages to show, 1000 at most
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = number::whole::<usize>)]
    limit: usize,
    /// Show the texts, too
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    place: Place,
    /// One JSON document instead of lines for people
    #[arg(long)]
    json: bool,
}

/// Looks the message or request up and tells it.
pub(crate) async fn run(args: &StatusArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.place.config_of_existing()?;
    if !(1..=NEWEST_MAX).contains(&args.limit) {
        return Err(Failure::bad_input(anyhow::anyhow!(
            "--limit is 1 to {NEWEST_MAX}"
        )));
    }
    let store = open::store(&config, Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let messages = find(&*store, &catalog, &args.id, args.limit).await?;
    let mut stories = Vec::with_capacity(messages.len());
    for message in messages {
        stories.push(story(&*store, message).await?);
    }
    let telling = Telling {
        accounts: catalog
            .accounts
            .iter()
            .map(|account| (account.id, account.name.to_string()))
            .collect(),
        carriers: carrier_names(&catalog),
        statuses: if stories.iter().any(Story::waits) {
            control::carriers(&config).await
        } else {
            None
        },
        text: args.text,
    };
    store.close().await.context("close the store")?;
    let is_number = matches!(Asked::read(&args.id), Some(Asked::Number(_)));
    if args.json {
        writeln!(out, "{}", telling.json(&stories)?)?;
    } else if stories.is_empty() && is_number {
        writeln!(out, "no message to that number is stored")?;
    } else {
        telling.lines(&stories, out)?;
    }
    if stories.is_empty() {
        return Err(Failure::found());
    }
    Ok(())
}

/// A message with its story as of one moment: beside a running node it may move on between two reads.
async fn story(store: &dyn Store, mut message: MessageView) -> Result<Story, Failure> {
    loop {
        let read = store.timeline(message.id).await;
        let timeline = read.context("read the message's story")?;
        let again = store
            .messages(vec![message.id])
            .await
            .context("read the message")?;
        match again.into_iter().next() {
            Some(now) if (now.state, now.changed_at) != (message.state, message.changed_at) => message = now,
            _ => return Ok(Story { message, timeline }),
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

/// The messages an id stands for, whatever kind of id it is.
async fn find(
    store: &dyn Store,
    catalog: &Catalog,
    id: &str,
    limit: usize,
) -> Result<Vec<MessageView>, Failure> {
    let Some(asked) = Asked::read(id) else {
        let what = "that is no message number, session number, message id or phone number; quote ids with a `$` in \
                    single quotes";
        return Err(Failure::bad_input(anyhow::anyhow!(what)));
    };
    let ids = PublicIds::new(&store.id_key().await.context("read the store's key")?);
    // A public id belongs to one account and does not say which: those known are tried.
    let accounts = catalog.accounts.iter().map(|account| account.id);
    let found = match asked {
        Asked::Message(number) => {
            let one = store.messages(vec![number]).await.context("read the message")?;
            return Ok(one);
        }
        Asked::Number(written) => return newest_to(store, catalog, written, limit).await,
        Asked::Session(written) => accounts
            .filter_map(|account| Some((account, ids.read_session(account, written)?, None)))
            .next(),
        Asked::Public { prefix, number } => accounts
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
        let what = "that is no phone number; write it with its country code, as +447700900123";
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
            .context("look for messages to the number")?;
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
