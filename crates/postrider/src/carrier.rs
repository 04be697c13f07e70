//! `postrider carrier`: what a running node does about its carriers.

use crate::control::{Order, carry_out};
use crate::exit::Failure;
use crate::logging;
use crate::open::Place;
use crate::table::harmless;
use clap::{Args, Subcommand};
use std::io::Write;

/// Reconnects carriers of the node that serves the store.
#[derive(Args, Clone, Debug)]
pub(crate) struct CarrierArgs {
    #[command(subcommand)]
    command: CarrierCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum CarrierCommand {
    /// Lets the sessions of a carrier that wait for their next attempt to bind try at once
    Reconnect(ReconnectArgs),
}

/// Which one to reconnect.
#[derive(Args, Clone, Debug)]
struct ReconnectArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Does what is asked.
pub(crate) async fn run(args: &CarrierArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        CarrierCommand::Reconnect(args) => reconnect(args, out).await,
    }
}

async fn reconnect(args: &ReconnectArgs, out: &mut impl Write) -> Result<(), Failure> {
    let config = args.place.config_of_existing()?;
    let order = Order::Reconnect {
        carrier: args.name.as_str().into(),
    };
    carry_out(&config, &order).await?;
    Ok(writeln!(
        out,
        "carrier {}: sessions that are down bind now; those that are up stay",
        harmless(&args.name)
    )?)
}
