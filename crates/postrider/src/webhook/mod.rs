//! `postrider webhook`: lists the webhooks of accounts with their delivery state, and operates them.

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

/// Lists webhooks and their delivery state; pauses, resumes, replays, resends and tests them.
///
/// Webhooks are configured with `postrider apply`. A running node executes these commands at once; without one they change
/// the store, for the next start.
#[derive(Args, Clone, Debug)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum WebhookCommand {
    /// Lists webhooks: delivered and waiting events, dead calls, pauses with their reasons
    List(ListArgs),
    /// Stops the calls to a webhook until it is resumed; events meanwhile are delivered then
    Pause(PauseArgs),
    /// Ends a pause of any origin
    Resume(OneArgs),
    /// Delivers the events since a time again, as far back as events are kept
    ///
    /// With a time after the last delivered event, the events between are skipped.
    Replay(ReplayArgs),
    /// Lists dead calls: those that failed permanently
    Dead(CallsArgs),
    /// Retries dead calls
    Resend(ResendArgs),
    /// Sends the test call of its format and prints the result
    Test(OneArgs),
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct OneArgs {
    /// ACCOUNT/NAME, the name alone if it is unique, or the number
    webhook: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Clone, Debug)]
struct PauseArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Reason, shown by `webhook list`
    #[arg(long, value_name = "TEXT", default_value = "paused by an operator")]
    reason: String,
}

#[derive(Args, Clone, Debug)]
struct ReplayArgs {
    #[command(flatten)]
    one: OneArgs,
    /// 2026-11-18T10:00:00Z, "2026-11-18 10:00" (local), or a time before now: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    from: String,
}

#[derive(Args, Clone, Debug)]
struct CallsArgs {
    /// ACCOUNT/NAME, the name alone if it is unique, or the number
    webhook: String,
    /// Calls that wait for a retry instead
    #[arg(long)]
    waiting: bool,
    /// Only calls with numbers above this one
    #[arg(long, value_name = "NO", default_value_t = 0)]
    after: i64,
    /// Maximum number
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct ResendArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Numbers of calls as listed by `webhook dead`
    #[arg(value_name = "NO", required_unless_present = "all", conflicts_with = "all")]
    calls: Vec<i64>,
    /// All dead calls, up to the limit of waiting events
    #[arg(long)]
    all: bool,
}

/// Runs the subcommand.
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

/// How files and command lines name an endpoint.
fn title(catalog: &Catalog, endpoint: &Endpoint) -> String {
    let title = format!("{}/{}", account_name(catalog, endpoint.account), endpoint.name);
    crate::table::sanitize_for_terminal(&title)
}

/// Finds an endpoint by its title, name or number.
fn named<'c>(catalog: &'c Catalog, written: &str) -> Result<&'c Endpoint, Failure> {
    let endpoints = || catalog.endpoints.iter();
    let number: Option<u32> = written.parse().ok();
    // Older names may contain a slash, so that two titles may be the same.
    let whole: Vec<&Endpoint> = endpoints()
        .filter(|endpoint| title(catalog, endpoint) == written)
        .collect();
    if let [_, _, ..] = whole.as_slice() {
        let numbers: Vec<String> = whole.iter().map(|endpoint| endpoint.id.0.to_string()).collect();
        return Err(Failure::bad_input(anyhow!(
            "{written:?} is the name of several webhooks: give the number of one, {}",
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
            "there is no webhook {written:?}: `postrider webhook list` lists them"
        ))),
        several => {
            let names: Vec<String> = several.iter().map(|endpoint| title(catalog, endpoint)).collect();
            Err(Failure::bad_input(anyhow!(
                "{written:?} is ambiguous: give one of {}",
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
        let message = named(&slashed, "9 (removed)/x").unwrap_err().to_string();
        assert!(message.ends_with("the number of one, 5 or 6"), "{message}");
        let message = found("crm").unwrap_err().to_string();
        assert_eq!(
            message,
            "\"crm\" is ambiguous: give one of 7 (removed)/crm or 8 (removed)/crm"
        );
        assert!(
            found("4")
                .unwrap_err()
                .to_string()
                .contains("there is no webhook \"4\"")
        );
    }
}
