//! `postrider webhook`: where accounts are told their events, how far they are, and what operators do about it.

mod calls;
mod list;
mod operate;

use crate::exit::Failure;
use crate::logging;
use crate::open::{Look, Place};
use crate::review::account_name;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use std::io::Write;
use store::{Catalog, Endpoint};

/// Lists webhooks and how far they are; pauses, resumes, replays, resends and tests them.
///
/// Webhooks are set up with `postrider apply`. A running node does at once what is asked; without one it is done in the
/// store, for the next start.
#[derive(Args, Clone, Debug)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum WebhookCommand {
    /// Lists webhooks: what they have been told, what waits, what was given up on, and which are paused and why
    List(ListArgs),
    /// Calls one no more until it is resumed; what happens meanwhile is told then
    Pause(PauseArgs),
    /// Lifts a pause, whoever made it
    Resume(OneArgs),
    /// Tells again what happened since a time, as far back as events are kept
    ///
    /// With a time later than what it has been told so far, what lies between is skipped.
    Replay(ReplayArgs),
    /// Lists the calls that were given up on
    Dead(CallsArgs),
    /// Makes calls again that were given up on
    Resend(ResendArgs),
    /// Calls it once, with the test call of its format, and tells what it answers
    Test(OneArgs),
}

/// What to list.
#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    look: Look,
}

/// Which webhook.
#[derive(Args, Clone, Debug)]
struct OneArgs {
    /// ACCOUNT/NAME, its name alone when only one has it, or its number
    webhook: String,
    #[command(flatten)]
    place: Place,
}

/// Which webhook, and why.
#[derive(Args, Clone, Debug)]
struct PauseArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Why, in words: `webhook list` shows it
    #[arg(long, value_name = "TEXT", default_value = "paused by an operator")]
    reason: String,
}

/// Which webhook, and since when.
#[derive(Args, Clone, Debug)]
struct ReplayArgs {
    #[command(flatten)]
    one: OneArgs,
    /// 2026-11-18T10:00:00Z, "2026-11-18 10:00" (local), or a span back from now: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    from: String,
}

/// Which calls.
#[derive(Args, Clone, Debug)]
struct CallsArgs {
    /// ACCOUNT/NAME, its name alone when only one has it, or its number
    webhook: String,
    /// Those that wait to be tried again instead
    #[arg(long)]
    waiting: bool,
    /// Only calls with numbers above this one
    #[arg(long, value_name = "NO", default_value_t = 0)]
    after: i64,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    look: Look,
}

/// Which calls to make again.
#[derive(Args, Clone, Debug)]
struct ResendArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Calls, by the numbers that `webhook dead` lists
    #[arg(value_name = "NO", required_unless_present = "all", conflicts_with = "all")]
    calls: Vec<i64>,
    /// All that were given up on, as many as may wait
    #[arg(long)]
    all: bool,
}

/// Does what is asked.
pub(crate) async fn run(args: &WebhookArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        WebhookCommand::List(args) => list::run(args, out).await,
        WebhookCommand::Pause(args) => operate::pause(args, out).await,
        WebhookCommand::Resume(args) => operate::resume(args, out).await,
        WebhookCommand::Replay(args) => operate::replay(args, out).await,
        WebhookCommand::Dead(args) => calls::run(args, out).await,
        WebhookCommand::Resend(args) => operate::resend(args, out).await,
        WebhookCommand::Test(args) => operate::test(args, out).await,
    }
}

/// How an endpoint is called in files and on command lines.
fn title(catalog: &Catalog, endpoint: &Endpoint) -> String {
    let title = format!("{}/{}", account_name(catalog, endpoint.account), endpoint.name);
    crate::table::harmless(&title)
}

/// The endpoint that somebody means.
fn named<'c>(catalog: &'c Catalog, written: &str) -> Result<&'c Endpoint, Failure> {
    let endpoints = || catalog.endpoints.iter();
    let number: Option<u32> = written.parse().ok();
    // Names of before may have a slash in them, so that two of them written together are the same.
    let whole: Vec<&Endpoint> = endpoints()
        .filter(|endpoint| title(catalog, endpoint) == written)
        .collect();
    if let [_, _, ..] = whole.as_slice() {
        let numbers: Vec<String> = whole.iter().map(|endpoint| endpoint.id.0.to_string()).collect();
        return Err(Failure::bad_input(anyhow!(
            "{written:?} is the name of several webhooks: give the number of the one you mean, {}",
            numbers.join(" or ")
        )));
    }
    let by_number = || endpoints().find(|endpoint| Some(endpoint.id.0) == number);
    if let Some(found) = whole.first().copied().or_else(by_number) {
        return Ok(found);
    }
    let alike: Vec<&Endpoint> = endpoints()
        .filter(|endpoint| *endpoint.name == *written)
        .collect();
    match alike.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::bad_input(anyhow!(
            "there is no webhook {written:?}: `postrider webhook list` names them"
        ))),
        several => {
            let names: Vec<String> = several.iter().map(|endpoint| title(catalog, endpoint)).collect();
            Err(Failure::bad_input(anyhow!(
                "{written:?} may be {}: name one of them",
                names.join(" or ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{AccountId, EndpointId, EventKinds};

    fn endpoint(id: u32, account: u32, name: &str) -> Endpoint {
        Endpoint {
            id: EndpointId(id),
            account: AccountId(account),
            name: name.into(),
            format: "standard".into(),
            url: "https://a.example/".into(),
            kinds: EventKinds::ALL,
            settings: serde_json::Value::Null,
            sealed_secret: Vec::new(),
            enabled: true,
        }
    }

    #[test]
    fn a_webhook_is_found_by_all_its_names() {
        let catalog = Catalog {
            endpoints: vec![
                endpoint(1, 7, "crm"),
                endpoint(2, 8, "crm"),
                endpoint(3, 8, "ops"),
            ],
            ..Catalog::default()
        };
        let found = |written: &str| named(&catalog, written).map(|endpoint| endpoint.id.0);
        assert_eq!(found("ops").unwrap(), 3);
        assert_eq!(found("2").unwrap(), 2);
        assert_eq!(found("8 (removed)/crm").unwrap(), 2);
        let mut slashed = catalog.clone();
        slashed
            .endpoints
            .extend([endpoint(5, 9, "x"), endpoint(6, 9, "x")]);
        let told = named(&slashed, "9 (removed)/x").unwrap_err().to_string();
        assert!(told.ends_with("the number of the one you mean, 5 or 6"), "{told}");
        let told = found("crm").unwrap_err().to_string();
        assert_eq!(
            told,
            "\"crm\" may be 7 (removed)/crm or 8 (removed)/crm: name one of them"
        );
        assert!(
            found("4")
                .unwrap_err()
                .to_string()
                .contains("there is no webhook \"4\"")
        );
    }
}
