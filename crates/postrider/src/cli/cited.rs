//! Commands in documents and messages: each must be valid.

use super::reference::built;
use clap::Command;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files_under(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_under(&path, extension, found);
        } else if path.extension().is_some_and(|of| of == extension) {
            found.push(path);
        }
    }
}

/// The texts between backticks that begin with the program's name, with line ends as spaces.
fn spans(text: &str) -> Vec<String> {
    // A line continuation or comment marker of Rust may split a word.
    let text = text
        .replace("\\|", "|")
        .replace("\\\n", " ")
        .replace("\n//!", " ")
        .replace("\n    ///", " ")
        .replace("\n///", " ")
        .replace("\n#", " ");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("`postrider ") {
        let Some((span, after)) = after.split_once('`') else {
            break;
        };
        found.push(span.split_whitespace().collect::<Vec<_>>().join(" "));
        rest = after;
    }
    found
}

/// A document without its fenced blocks, which are run as a whole.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

/// Splits words as a shell does, with quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the words are valid after the program's name; values may be placeholders, required ones may be missing.
fn accepts(cli: &Command, words: &[String]) -> Result<(), String> {
    let mut command = cli;
    let mut words = words.iter().peekable();
    while let Some(under) = words.peek().and_then(|word| command.find_subcommand(word)) {
        command = under;
        words.next();
    }
    let mut places = command.get_positionals();
    let mut last_takes_all = false;
    while let Some(word) = words.next() {
        if let Some(name) = word.strip_prefix("--") {
            let (name, value) = name
                .split_once('=')
                .map_or((name, None), |(name, value)| (name, Some(value)));
            let option = command
                .get_arguments()
                .find(|argument| argument.get_long() == Some(name))
                .ok_or_else(|| format!("{} has no option --{name}", command.get_name()))?;
            if option.get_action().takes_values() && value.is_none() {
                words.next();
            }
        } else if let Some(short) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) {
            let known = command
                .get_arguments()
                .any(|argument| argument.get_short() == Some(short));
            if !known {
                return Err(format!("{} has no option -{short}", command.get_name()));
            }
        } else if word == "…" {
            // A placeholder for the rest.
        } else if let Some(place) = places.next() {
            last_takes_all = place.get_num_args().is_some_and(|many| many.max_values() > 1);
        } else if !last_takes_all {
            return Err(format!("{} takes no {word:?}", command.get_name()));
        }
    }
    Ok(())
}

/// A command, and for `a b | c` also `a c`.
fn alternatives(span: &str) -> Vec<Vec<String>> {
    let mut parts = span.split(" | ");
    let first = words(parts.next().unwrap_or_default());
    let before = first.split_last().map_or(&[][..], |(_, before)| before).to_vec();
    let others = parts.map(|part| [before.clone(), words(part)].concat());
    let others: Vec<_> = others.collect();
    std::iter::once(first).chain(others).collect()
}

#[test]
fn every_command_that_texts_name_can_be_typed() {
    let cli = built();
    let root = root();
    let mut files = vec![
        root.join("README.md"),
        root.join("CHANGELOG.md"),
        root.join("config.default.toml"),
        root.join("ARCHITECTURE.md"),
        root.join("crates/sim/README.md"),
    ];
    files_under(&root.join("docs"), "md", &mut files);
    for name in ["api", "engine", "postrider", "sim", "sms", "smpp", "store"] {
        files_under(&root.join("crates").join(name).join("src"), "rs", &mut files);
    }
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files {
        // This file has invalid commands.
        // The reference contains usage lines and has a test of its own.
        if file.ends_with("cli/cited.rs") || file.ends_with("docs/cli.md") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = if file.extension().is_some_and(|of| of == "md") {
            prose(&text)
        } else {
            text
        };
        for span in spans(&text) {
            seen += 1;
            for words in alternatives(&span) {
                if let Err(why) = accepts(&cli, &words) {
                    wrong.push(format!("{}: `postrider {span}`: {why}", file.display()));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_cannot_be_typed_is_noticed() {
    let cli = built();
    let parsed = |line: &str| {
        alternatives(line)
            .iter()
            .map(|words| accepts(&cli, words))
            .collect::<Result<Vec<_>, _>>()
    };
    for good in [
        "serve",
        "status ID",
        "status '1$+447700900123' --json",
        "template approve 1 2 3",
        "suppression list | add | remove",
        "task end NO --at \"2026-11-30 18:00\"",
        "send --to … --template code",
        "apply -",
        "sim -q",
    ] {
        assert!(parsed(good).is_ok(), "{good}: {:?}", parsed(good));
    }
    for bad in [
        "serv",
        "status ID --jsn",
        "status ID twice",
        "suppression list | ad",
        "webhook probe crm",
        "sim -x",
        "serve --data x",
    ] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}
