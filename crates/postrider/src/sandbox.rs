//! `postrider sandbox`: what a test does to a running `postrider dev` beside sending.

use crate::control::{self, Order};
use crate::exit::Failure;
use crate::open::Place;
use clap::{Args, Subcommand};
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
pub(crate) async fn run(args: SandboxArgs) -> Result<(), Failure> {
    let SandboxCommand::Reply(ReplyArgs {
        place,
        from,
        to,
        text,
    }) = args.command;
    let config = place.config_of_existing()?;
    let order = Order::PlayInbound {
        from: from.into(),
        to: to.into(),
        text: text.into(),
    };
    control::carry_out(&config, &order).await?;
    writeln!(std::io::stdout(), "played")?;
    Ok(())
}
