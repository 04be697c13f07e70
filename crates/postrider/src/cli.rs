//! What can be typed.

use crate::apply::ApplyArgs;
use crate::check::CheckArgs;
use crate::dev::DevArgs;
use crate::exit;
use crate::migrate::MigrateArgs;
use crate::serve::ServeArgs;
use crate::status::StatusArgs;
use clap::{Parser, Subcommand};
use sim::smsc::SimArgs;

/// A self-hosted SMS platform that speaks the APIs of uSpeedo, UCloud, SendCloud and EngageLab.
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
    Check(CheckArgs),
    Status(StatusArgs),
    Migrate(MigrateArgs),
    Sim(SimArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_and_option_explains_itself() {
        let mut cli = Cli::command();
        cli.build();
        assert!(cli.render_long_help().to_string().contains("Exit codes:"));
        for command in cli
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} says nothing about itself");
            for argument in command.get_arguments() {
                let silent = argument.get_help().is_none() && argument.get_long_help().is_none();
                assert!(!silent, "{name} {} has no help", argument.get_id());
            }
        }
    }
}
