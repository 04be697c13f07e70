//! Postrider: a self-hosted SMS platform in one program.
//!
//! This file selects the command; [`node`] assembles the components.

mod apply;
mod carrier;
mod check;
mod cli;
mod config;
mod control;
mod dev;
mod exit;
mod inbound;
mod logging;
mod migrate;
mod node;
mod number;
mod open;
mod review;
mod sandbox;
mod send;
mod serve;
mod status;
mod suppression;
mod table;
mod task;
mod tls;
mod webhook;
mod webhook_formats;
mod when;

use clap::Parser;
use cli::{Cli, Command};
use exit::Failure;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_unread_output() => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.has_message() {
                // Errors may contain text of files and carriers. A closed standard error is ignored.
                let line = format!("postrider: {failure}\n");
                let _ = exit::Output::new(std::io::stderr()).write_all(line.as_bytes());
            }
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = exit::Output::new(std::io::stdout());
    runtime.block_on(async move {
        match command {
            Command::Dev(args) => dev::run(args).await,
            Command::Serve(args) => serve::run(args, &mut out).await,
            Command::Apply(args) => apply::run(&args, &mut out).await,
            Command::Export(args) => apply::export(&args, &mut out).await,
            Command::Check(args) => check::run(&args, &mut out).await,
            Command::Status(args) => status::run(&args, &mut out).await,
            Command::Send(args) => send::run(&args, &mut out).await,
            Command::Carrier(args) => carrier::run(&args, &mut out).await,
            Command::Suppression(args) => suppression::run(&args, &mut out).await,
            Command::Template(args) => review::run_template(&args, &mut out).await,
            Command::Signature(args) => review::run_signature(&args, &mut out).await,
            Command::Qualification(args) => review::run_qualification(&args, &mut out).await,
            Command::Webhook(args) => webhook::run(&args, &mut out).await,
            Command::Inbound(args) => inbound::run(&args, &mut out).await,
            Command::Task(args) => task::run(&args, &mut out).await,
            Command::Sandbox(args) => sandbox::run(args, &mut out).await,
            Command::Migrate(args) => migrate::run(&args, &mut out),
            Command::Sim(args) => Ok(sim::smsc::run(args, node::shutdown_signal()?).await?),
        }
    })
}
