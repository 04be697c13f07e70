//! `postrider sandbox`: simulates inbound messages in a running `postrider dev`.

use crate::control::{self, Answer, NodeCommand};
use crate::exit::Failure;
use crate::open::Place;
use crate::table::sanitize_for_terminal;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use engine::sms::phone::possible_numbers;
use std::io::Write;

/// Simulates inbound messages in a running `postrider dev`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SandboxArgs {
    #[command(subcommand)]
    command: SandboxCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum SandboxCommand {
    Reply(ReplyArgs),
}

/// Simulates an inbound message: a reply, or a keyword such as STOP.
#[derive(Args, Clone, Debug)]
struct ReplyArgs {
    #[command(flatten)]
    place: Place,
    /// Sender: a number with its country code, such as +447700900123
    #[arg(long, value_name = "NUMBER")]
    from: String,
    /// Receiving number or code; without it the message belongs to the account that last sent to the number
    #[arg(long, value_name = "NUMBER", default_value = "")]
    to: String,
    /// Text of the message
    #[arg(value_name = "TEXT")]
    text: String,
}

/// Runs the subcommand.
pub(crate) async fn run(args: SandboxArgs, out: &mut impl Write) -> Result<(), Failure> {
    let SandboxCommand::Reply(ReplyArgs {
        place,
        from,
        to,
        text,
    }) = args.command;
    if possible_numbers(&from).next().is_none() {
        return Err(Failure::bad_input(anyhow!(
            "--from is {from:?}; it must be a number with its country code, such as +447700900123"
        )));
    }
    let config = place.config_of_existing()?;
    let to_nobody = format!(
        "received; it belongs to no account: the sandbox has not sent to {} recently; use --to NUMBER with a number or code of an \
         account's `inbound_to`",
        sanitize_for_terminal(&from)
    );
    let command = NodeCommand::PlayInbound {
        from: from.into(),
        to: to.into(),
        text: text.into(),
    };
    match control::answer(&config, &command).await? {
        Answer::Played { account: Some(name) } => writeln!(
            out,
            "received; it belongs to account {}",
            sanitize_for_terminal(&name)
        )?,
        Answer::Played { account: None } => writeln!(out, "{to_nobody}")?,
        other => return Err(other.unexpected()),
    }
    Ok(())
}
