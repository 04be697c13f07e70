//! docs/cli.md: generated from the definition of the command line; a test compares it.
//!
//! `POSTRIDER_WRITE_DOCS=1 cargo test -p postrider cli::reference` writes the page.

use super::Cli;
use crate::exit;
use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::fmt::Write;
use std::path::Path;

const PAGE: &str = "../../docs/cli.md";
/// Writes the page instead of comparing it.
const WRITE: &str = "POSTRIDER_WRITE_DOCS";

const HEAD: &str = "\
# Command line

Every command of `postrider` with its arguments and options. This page is made from the program's own definitions
(`POSTRIDER_WRITE_DOCS=1 cargo test -p postrider cli::reference`), and a test fails when it differs. `--help` behind a command prints the same.

The examples read as one session: `postrider.toml` is the configuration of a node (see [Operations](operations.md#start)), `catalog.toml` a
[catalog file](catalog.md). Commands that name neither `--config` nor `--data` work on `postrider-data`, the data folder of `postrider dev`.

";

const ENVIRONMENT: &str = "\
## Environment variables

| variable | what it is |
|---|---|
| `POSTRIDER_MASTER_KEY` | the master key, 64 hexadecimal digits; overrides `[secrets]` of the configuration |
| `NO_COLOR` | if set, log lines have no colours; only those on a terminal have colours |
| `COLUMNS` | the width of tables; default: that of the terminal, unlimited for a file or pipe |
| `TZ` | the time zone of times in tables and in the output of `postrider dev`; default: that of the machine |

A catalog file names variables of its own with `secret_env` and `password_env`.

";

/// Examples of commands. docs/cli.md is run as a whole, in this order.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "dev",
        "postrider dev\npostrider dev --data postrider-data --log info",
    ),
    ("serve", "postrider serve --config postrider.toml"),
    (
        "apply",
        "postrider apply catalog.toml --config postrider.toml --dry-run\npostrider apply catalog.toml --config postrider.toml",
    ),
    (
        "export",
        "postrider export --config postrider.toml > backup.toml\npostrider apply backup.toml --config postrider.toml",
    ),
    (
        "check",
        "postrider check --config postrider.toml || echo \"problems, or a mistake: exit code $?\"",
    ),
    (
        "send",
        "postrider send --to +447700900123 --template code --var code=4711 --config postrider.toml",
    ),
    (
        "status",
        "postrider status +447700900123 --text --config postrider.toml",
    ),
    ("carrier list", "postrider carrier list --config postrider.toml"),
    (
        "carrier reconnect",
        "postrider carrier reconnect north --config postrider.toml",
    ),
    (
        "suppression add",
        "postrider suppression add +447700900124 --account shop --note \"requested by phone\" --config postrider.toml",
    ),
    (
        "suppression import",
        "printf 'number,note\\n+447700900125,moved\\n' | postrider suppression import - --config postrider.toml",
    ),
    (
        "suppression list",
        "postrider suppression list --account shop --config postrider.toml",
    ),
    (
        "suppression remove",
        "postrider suppression remove +447700900124 +447700900125 --config postrider.toml",
    ),
    (
        "template list",
        "postrider template list --review approved --config postrider.toml",
    ),
    (
        "webhook list",
        "postrider webhook list --json --config postrider.toml",
    ),
    (
        "webhook pause",
        "postrider webhook pause shop/crm --reason \"the CRM moves\" --config postrider.toml",
    ),
    (
        "webhook resume",
        "postrider webhook resume shop/crm --config postrider.toml",
    ),
    (
        "webhook replay",
        "postrider webhook replay shop/crm --from 2h --config postrider.toml",
    ),
    ("task list", "postrider task list --all --config postrider.toml"),
    (
        "inbound list",
        "postrider inbound list --since 7d --config postrider.toml",
    ),
    (
        "sandbox reply",
        "postrider sandbox reply --from +447700900123 --to 10690 STOP",
    ),
    ("migrate", "postrider migrate --status --config postrider.toml"),
    ("sim", "postrider sim --seed 7 --receipt-delay 2000"),
];

/// The command line, complete.
pub(super) fn built() -> Command {
    let mut cli = Cli::command();
    cli.build();
    cli
}

/// A command and all its visible subcommands, each with its path.
fn commands<'c>(path: &str, command: &'c Command, all: &mut Vec<(String, &'c Command)>) {
    all.push((path.to_owned(), command));
    for under in command
        .get_subcommands()
        .filter(|under| under.get_name() != "help")
    {
        let path = format!("{path} {}", under.get_name());
        commands(path.trim_start(), under, all);
    }
}

fn page(cli: &Command) -> String {
    let mut all = Vec::new();
    commands("", cli, &mut all);
    let mut page = HEAD.to_owned();
    page.push_str("| command | what it does |\n|---|---|\n");
    let listed = all
        .iter()
        .skip(1)
        .filter(|(_, command)| !command.has_subcommands());
    for (path, command) in listed {
        let about = command.get_about().map(one_line).unwrap_or_default();
        let anchor = path.replace(' ', "-");
        let _ = writeln!(page, "| [`{path}`](#postrider-{anchor}) | {about} |");
    }
    let _ = write!(page, "\n## Exit codes\n\n{}\n", exit_codes());
    page.push_str(ENVIRONMENT);
    for (path, command) in all.iter().skip(1) {
        section(path, command, &mut page);
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// The table of exit codes, from the text under `--help`.
fn exit_codes() -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for line in exit::CODES.lines().skip(1).map(str::trim) {
        match (line.split_once(' '), rows.last_mut()) {
            (Some((code, meaning)), _) if code.parse::<u8>().is_ok() => {
                rows.push((code, meaning.trim().to_owned()));
            }
            // A long meaning continues on the next line.
            (_, Some((_, meaning))) => meaning.push_str(&format!(" {line}")),
            (_, None) => panic!("{line} belongs to no code"),
        }
    }
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    for (code, meaning) in rows {
        let _ = writeln!(table, "| {code} | {meaning} |");
    }
    table
}

fn section(path: &str, command: &Command, page: &mut String) {
    let level = if path.contains(' ') { "###" } else { "##" };
    let _ = write!(page, "{level} postrider {path}\n\n");
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "{}.\n\n", about.trim().trim_end_matches('.'));
    if let Some(more) = command.get_after_long_help() {
        let _ = write!(page, "{}\n\n", more.to_string().trim());
    }
    if command.has_subcommands() {
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let _ = write!(page, "Usage: `{usage}`\n\n");
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| {
            !argument.is_hide_set()
                && !matches!(
                    argument.get_action(),
                    ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
                )
        })
        .collect();
    if !arguments.is_empty() {
        page.push_str("| argument or option | default | what it is |\n|---|---|---|\n");
        let (positional, options): (Vec<&Arg>, Vec<&Arg>) = arguments
            .into_iter()
            .partition(|argument| argument.is_positional());
        for argument in positional.into_iter().chain(options) {
            page.push_str(&row(argument));
        }
        page.push('\n');
    }
    if let Some((_, example)) = EXAMPLES.iter().find(|(of, _)| *of == path) {
        let _ = write!(page, "```sh\n{example}\n```\n\n");
    }
}

fn row(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    let value = value.join(" ");
    let takes_value = argument.get_action().takes_values();
    let many = argument.get_num_args().is_some_and(|many| many.max_values() > 1);
    let shown = match (argument.get_long(), argument.get_short()) {
        (None, _) if many => format!("`{value}...`"),
        (None, _) => format!("`{value}`"),
        (Some(long), _) if takes_value => format!("`--{long} {value}`"),
        (Some(long), Some(short)) => format!("`--{long}`, `-{short}`"),
        (Some(long), None) => format!("`--{long}`"),
    };
    let mut help = argument
        .get_long_help()
        .or(argument.get_help())
        .map(one_line)
        .unwrap_or_default();
    let mut default = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .filter(|value| takes_value && !value.is_empty())
        .map(|value| format!("`{value}`"))
        .collect::<Vec<_>>()
        .join(", ");
    // A default that depends on something is part of the help text.
    if let Some((before, inside)) = help.clone().split_once(" [default: ") {
        let (words, after) = inside.rsplit_once(']').unwrap();
        default = words.to_owned();
        help = format!("{before}{after}");
    }
    if argument.is_required_set() {
        "required".clone_into(&mut default);
    }
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if takes_value && !values.is_empty() {
        let _ = write!(help, ": {}", values.join(", "));
    }
    format!("| {shown} | {} | {} |\n", cell(&default), cell(&help))
}

fn one_line(text: &StyledStr) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_page_has_every_command_and_option_as_the_program_defines_them() {
    let page = page(&built());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = page
        .lines()
        .zip(written.lines())
        .find(|(ours, theirs)| ours != theirs);
    assert!(
        page == written,
        "docs/cli.md is not what the program defines, first at {differs:?}: run {WRITE}=1 cargo test -p postrider cli::reference"
    );
}

#[test]
fn every_example_belongs_to_a_command() {
    let cli = built();
    let mut all = Vec::new();
    commands("", &cli, &mut all);
    for (path, example) in EXAMPLES {
        assert!(all.iter().any(|(of, _)| of == path), "there is no command {path}");
        assert!(
            example.contains(&format!("postrider {path}")),
            "{example} is no example of {path}"
        );
    }
}
