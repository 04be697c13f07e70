//! `docs/logs.md` lists the log events of the sources, each with its level, and no others.

use super::page;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/logs.md";
/// Crates whose sources log for the operator of a node.
const CRATES: [&str; 6] = ["api", "engine", "postrider", "smpp", "sms", "store"];
/// Macros of the crate `tracing` and the levels they log at.
const LEVELS: [(&str, &str); 4] = [
    ("tracing::error!(", "ERROR"),
    ("tracing::warn!(", "WARN"),
    ("tracing::info!(", "INFO"),
    ("tracing::debug!(", "DEBUG"),
];

/// A level and the text of an event.
type Event = (String, String);

/// The events of one source: the last argument of each call of a macro of [`LEVELS`].
fn events(source: &str) -> Vec<Event> {
    // What follows is not in the program.
    let source = source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let mut events = Vec::new();
    for (call, level) in LEVELS {
        for (at, _) in source.match_indices(call) {
            let arguments = &source[at + call.len()..];
            if let Some(event) = last_literal(arguments) {
                events.push((level.to_owned(), event));
            }
        }
    }
    events
}

/// The last string literal among the arguments of a call that is no value of a field, up to the parenthesis that ends it.
fn last_literal(arguments: &str) -> Option<String> {
    let mut depth = 0;
    let mut last = None;
    let mut chars = arguments.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => return last,
            ')' | ']' | '}' => depth -= 1,
            '"' => {
                let is_value = arguments[..at].trim_end().ends_with(['=', '%', '?']);
                let mut literal = String::new();
                while let Some((_, c)) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => literal.extend(chars.next().map(|(_, escaped)| escaped)),
                        c => literal.push(c),
                    }
                }
                if depth == 0 && !is_value {
                    last = Some(literal);
                }
            }
            _ => {}
        }
    }
    None
}

/// The files of a crate that are compiled into the program: no tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "tests" && name != "conformance" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

fn logged() -> BTreeSet<Event> {
    let mut files = Vec::new();
    for name in CRATES {
        sources(&page::root().join("crates").join(name).join("src"), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    files
        .iter()
        .flat_map(|file| events(&std::fs::read_to_string(file).unwrap()))
        .collect()
}

/// The rows of the page's tables: level, event.
fn documented() -> Vec<Event> {
    let rows = page::text(PAGE);
    let cells = rows.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    cells
        .filter(|(level, _)| LEVELS.iter().any(|(_, known)| level == known))
        .map(|(level, event)| (level, event.trim_matches('`').to_owned()))
        .collect()
}

#[test]
fn the_page_of_log_events_lists_those_of_the_sources() {
    let rows = documented();
    let documented: BTreeSet<Event> = rows.iter().cloned().collect();
    assert_eq!(documented.len(), rows.len(), "an event stands on {PAGE} twice");
    let logged = logged();
    let missing: Vec<&Event> = logged.difference(&documented).collect();
    let unknown: Vec<&Event> = documented.difference(&logged).collect();
    assert!(missing.is_empty(), "{PAGE} lacks {missing:#?}");
    assert!(unknown.is_empty(), "no source logs {unknown:#?} of {PAGE}");
}

/// What varies is in fields, so that an event can be searched for.
#[test]
fn the_text_of_an_event_is_the_same_each_time() {
    for (level, event) in logged() {
        assert!(!event.contains('{'), "{level} {event:?} has a value in its text");
        assert!(!event.contains(';'), "{level} {event:?} has two parts");
        assert!(event.len() <= 80, "{level} {event:?} is longer than 80 octets");
    }
}

#[test]
fn events_are_found_in_a_source() {
    let source = r#"
        tracing::warn!(carrier = %name, reason = "a (b", "bind rejected");
        tracing::info!(
            ids = list.join(", "),
            "carrier paused"
        );
        tracing::error!(%error);
    "#;
    let event = |level: &str, text: &str| (level.to_owned(), text.to_owned());
    assert_eq!(
        events(source),
        [event("WARN", "bind rejected"), event("INFO", "carrier paused")]
    );
}
