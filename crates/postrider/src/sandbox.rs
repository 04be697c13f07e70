//! `postrider sandbox`: what a test does to a running `postrider dev` beside sending.

use crate::control::{self, Answer, Order};
use crate::exit::Failure;
use crate::open::Place;
use crate::table::harmless;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use engine::sms::phone::possible_numbers;
use std::io::Write;

/// Plays what people would do to a running `postrider dev`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SandboxArgs {
    #[command(subcommand)]
    command: SandboxCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum SandboxCommand {
    Reply(ReplyArgs),
}

/// Plays an inbound message, as if a person had written it: a reply, or a word such as STOP.
#[derive(Args, Clone, Debug)]
struct ReplyArgs {
    #[command(flatten)]
    place: Place,
    /// Who writes: a number with its country code, such as +447700900123
    #[arg(long, value_name = "NUMBER")]
    from: String,
    /// To which number or code; without it the message belongs to the account that last wrote to the number
    #[arg(long, value_name = "NUMBER", default_value = "")]
    to: String,
    /// The text
    #[arg(value_name = "TEXT")]
    text: String,
}

/// Does it.
pub(crate) async fn run(args: SandboxArgs, out: &mut impl Write) -> Result<(), Failure> {
    let SandboxCommand::Reply(ReplyArgs {
        place,
        from,
        to,
        text,
    }) = args.command;
    if possible_numbers(&from).next().is_none() {
        return Err(Failure::bad_input(anyhow!(
            "--from is a number with its country code, as +447700900123; {from:?} is none"
        )));
    }
    let config = place.config_of_existing()?;
    let to_nobody = format!(
        "played; it belongs to no account: the sandbox sent nothing to {} lately; --to NUMBER names a number or code of an \
         account's `inbound_to`",
        harmless(&from)
    );
    let order = Order::PlayInbound {
        from: from.into(),
        to: to.into(),
        text: text.into(),
    };
    match control::answer(&config, &order).await? {
        Answer::Played { account: Some(name) } => {
            writeln!(out, "played; it belongs to account {}", harmless(&name))?
        }
        Answer::Played { account: None } => writeln!(out, "{to_nobody}")?,
        other => return Err(other.unexpected()),
    }
    Ok(())
}
