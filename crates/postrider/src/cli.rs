//! The command line.

#[cfg(test)]
mod cited;
#[cfg(test)]
mod reference;

use crate::apply::{ApplyArgs, ExportArgs};
use crate::carrier::CarrierArgs;
use crate::check::CheckArgs;
use crate::dev::DevArgs;
use crate::exit;
use crate::inbound::InboundArgs;
use crate::migrate::MigrateArgs;
use crate::review::{QualificationArgs, SignatureArgs, TemplateArgs};
use crate::sandbox::SandboxArgs;
use crate::send::SendArgs;
use crate::serve::ServeArgs;
use crate::status::StatusArgs;
use crate::suppression::SuppressionArgs;
use crate::task::TaskArgs;
use crate::webhook::WebhookArgs;
use clap::{Parser, Subcommand};
use sim::smsc::SimArgs;

/// A self-hosted SMS platform with the APIs of uSpeedo, UCloud, SendCloud and EngageLab.
#[derive(Parser, Clone, Debug)]
#[command(name = "postrider", version, after_help = exit::CODES, after_long_help = exit::CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    Dev(DevArgs),
    Serve(ServeArgs),
    Apply(ApplyArgs),
    Export(ExportArgs),
    Check(CheckArgs),
    Status(StatusArgs),
    Send(SendArgs),
    Carrier(CarrierArgs),
    Suppression(SuppressionArgs),
    Template(TemplateArgs),
    Signature(SignatureArgs),
    Qualification(QualificationArgs),
    Webhook(WebhookArgs),
    Task(TaskArgs),
    Inbound(InboundArgs),
    Sandbox(SandboxArgs),
    Migrate(MigrateArgs),
    Sim(SimArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// A command with all its subcommands.
    fn explains_itself(path: &str, command: &clap::Command) {
        assert!(command.get_about().is_some(), "{path} says nothing about itself");
        for argument in command.get_arguments() {
            let silent = argument.get_help().is_none() && argument.get_long_help().is_none();
            assert!(!silent, "{path} {} has no help", argument.get_id());
        }
        for under in command
            .get_subcommands()
            .filter(|under| under.get_name() != "help")
        {
            explains_itself(&format!("{path} {}", under.get_name()), under);
        }
    }

    #[test]
    fn every_command_and_option_explains_itself() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        assert!(cli.render_long_help().to_string().contains("Exit codes:"));
        explains_itself("postrider", &cli);
    }
}
