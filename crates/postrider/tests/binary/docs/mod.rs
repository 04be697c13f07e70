//! The documentation, run: every block of every page that can be run, in order, in one folder a page.

mod claims;
mod logs;
mod page;
mod payloads;
mod readers;
mod session;
mod terms;

use crate::testkit::{WAIT_MAX, json};
use page::{Block, LANGUAGES};
use readers::{PAGES, Page};
use session::Session;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

/// How many blocks of all pages may say that they are not run.
const NOT_RUN_MAX: usize = 10;
/// The tables of a configuration; other tables are a catalog's.
const CONFIGURATION: [&str; 10] = [
    "api",
    "metrics",
    "store",
    "secrets",
    "queue",
    "engine",
    "webhooks",
    "account_limits",
    "shutdown",
    "log",
];

/// A node with nothing of its own, for catalogs and configurations that are only looked at.
const SCRATCH: &str = "mkdir -p \"$RUN/scratch\" && printf '[store]\\npath = \"%s/scratch/postrider.db\"\\n[secrets]\\nmaster_key = \"%064d\"\\n' \
    \"$RUN\" 7 > \"$RUN/scratch.toml\" && postrider migrate --config \"$RUN/scratch.toml\"\n";

fn run_page(page: &Page) {
    let blocks = page::blocks(page.path);
    let mut session = Session::start(page.path);
    session.run("the scratch node", SCRATCH);
    let mut before: Vec<_> = page.before.to_vec();
    let mut last: Option<&Block> = None;
    let mut printed = session::Printed::default();
    for block in &blocks {
        let what = format!("the block of line {}", block.line);
        while let Some(index) = before.iter().position(|(words, _)| block.text.contains(words)) {
            let (_, commands) = before.remove(index);
            session.run(&format!("what comes before {what}"), commands);
        }
        if block.not_run.is_some() {
            last = None;
            continue;
        }
        let file = block.file_name().map(|name| session.path().join(name));
        if let Some(file) = &file {
            std::fs::write(file, session.here(&block.text)).unwrap();
        }
        match block.language.as_str() {
            "sh" => {
                printed = session.run(&what, &block.text);
                last = Some(block);
            }
            "python" => {
                let file = file
                    .clone()
                    .unwrap_or_else(|| session.path().join(".run/block.py"));
                std::fs::write(&file, session.here(&block.text)).unwrap();
                // What has a name is run by a command of the page.
                let run = if block.file_name().is_some() {
                    "-m py_compile "
                } else {
                    ""
                };
                printed = session.run(&what, &format!("python3 {run}'{}'\n", file.display()));
                last = Some(block);
            }
            // What has a name is used by a command of the page.
            "toml" if block.file_name().is_some() => {}
            "toml" => toml_block(&mut session, &what, block),
            "text" => {
                let ran = last.unwrap_or_else(|| panic!("{}, {what}: nothing printed this", page.path));
                let shown = session.here(&block.text);
                let since = Instant::now();
                // A reader looks again when something has not happened yet.
                while let Some(line) = page::missing(&shown, &printed.out) {
                    assert!(
                        since.elapsed() < WAIT_MAX,
                        "{}, {what}: {line:?} is not in:\n{}",
                        page.path,
                        printed.out
                    );
                    printed = session.run(&what, &ran.text);
                }
            }
            // Held to what is really sent by the tests of payloads; examples in Rust are compiled by the doctests of their crate.
            "json" | "http" | "rust" => {}
            other => panic!("{}, {what}: {other} is not known", page.path),
        }
    }
    assert!(before.is_empty(), "{}: no block has {:?}", page.path, before);
    session.finish();
}

/// Holds a block to what it is: settings of a node, of the simulator, or a catalog.
fn toml_block(session: &mut Session, what: &str, block: &Block) {
    let table: toml::Table = toml::from_str(&block.text).unwrap();
    if table.contains_key("count_by") {
        let sink: Result<sim::sink::SinkConfig, _> = toml::from_str(&block.text);
        assert!(sink.is_ok(), "{what}: {sink:?}");
        return;
    }
    let mut text = session.here(&block.text);
    let (file, command) = if table.keys().all(|key| CONFIGURATION.contains(&key.as_str())) {
        if !table.contains_key("secrets") {
            text.push_str(&format!("[secrets]\nmaster_key = \"{:064}\"\n", 7));
        }
        if !table.contains_key("store") {
            text.push_str(&format!(
                "[store]\npath = {:?}\n",
                session.path().join(".run/scratch/postrider.db")
            ));
        }
        ("config.toml", "postrider check --config \"$RUN/config.toml\"\n")
    } else if table.contains_key("behaviour") {
        (
            "sim.toml",
            "postrider sim --config \"$RUN/sim.toml\" --print-config\n",
        )
    } else if table.contains_key("action") {
        // A table of compatibility: scripts/compatibility is what reads it.
        let script = std::fs::read_to_string(page::root().join("scripts/compatibility")).unwrap();
        let row = table["action"][0].as_table().unwrap();
        for key in row.keys() {
            assert!(
                script.contains(&format!("\"{key}\"")),
                "{what}: scripts/compatibility reads no {key}"
            );
        }
        return;
    } else {
        (
            "catalog.toml",
            "postrider apply \"$RUN/catalog.toml\" --config \"$RUN/scratch.toml\" --dry-run\n",
        )
    };
    let file = session.path().join(".run").join(file);
    std::fs::write(&file, text).unwrap();
    // `check` would report that others may read the key in it.
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    session.run(what, command);
}

macro_rules! pages {
    ($($name:ident => $path:literal,)+) => {
        $(
            #[test]
            fn $name() {
                run_page(PAGES.iter().find(|page| page.path == $path).unwrap());
            }
        )+

        /// The pages that a test of its own runs.
        const TESTED: &[&str] = &[$($path),+];
    };
}

// Each works as it stands: every command ends well, and what the page shows is what is printed.
pages! {
    the_readme => "README.md",
    the_page_of_the_simulator => "crates/sim/README.md",
    carriers_and_routes => "docs/carriers-and-routes.md",
    the_catalog_file => "docs/catalog.md",
    the_command_line => "docs/cli.md",
    coming_from_a_vendor => "docs/coming-from-a-vendor.md",
    the_tables_of_compatibility => "docs/compatibility/README.md",
    sendcloud => "docs/dialects/sendcloud.md",
    uspeedo => "docs/dialects/uspeedo.md",
    getting_started => "docs/getting-started.md",
    inbound => "docs/inbound.md",
    operations => "docs/operations.md",
    sandbox => "docs/sandbox.md",
    webhooks => "docs/webhooks.md",
}

#[test]
#[should_panic(expected = "exit code 3 of: ")]
fn a_command_that_fails_is_noticed() {
    Session::start("a page").run("a block", "true\n(exit 3)\ntrue\n");
}

#[test]
fn every_block_has_a_language_that_is_checked_and_few_are_not_run() {
    let mut not_run = Vec::new();
    for page in page::all() {
        for block in page::blocks(&page) {
            let place = format!("{page}:{}", block.line);
            assert!(
                LANGUAGES.contains(&block.language.as_str()),
                "{place}: language {:?}",
                block.language
            );
            if block.language == "json" {
                json(&block.text);
            }
            if let Some(why) = block.not_run {
                assert!(why.len() > 10, "{place}: says nothing of why it is not run");
                not_run.push(format!("{place}: {why}"));
            }
        }
    }
    assert!(
        not_run.len() <= NOT_RUN_MAX,
        "more than {NOT_RUN_MAX} blocks are not run:\n{}",
        not_run.join("\n")
    );
}

#[test]
fn the_readme_says_what_the_two_commands_take_and_how_to_use_another_port() {
    let readme = page::text("README.md");
    let (commands, _) = readme.split_once("## What to do next").unwrap();
    for part in ["minutes", "GB of disk", "make run ARGS=\"--listen "] {
        assert!(commands.contains(part), "{part}");
    }
    // What the sessions do for `make run`.
    let makefile = page::text("Makefile");
    assert!(makefile.contains("\n\ttarget/release/postrider dev $(ARGS)\n"));
}

#[test]
fn every_page_with_blocks_that_can_be_run_is_run() {
    let described: BTreeSet<&str> = PAGES.iter().map(|page| page.path).collect();
    let tested: BTreeSet<&str> = TESTED.iter().copied().collect();
    assert_eq!(described, tested);
    for page in page::all() {
        let can_be_run = page::blocks(&page).iter().any(|block| {
            block.not_run.is_none() && ["sh", "python", "toml", "text"].contains(&block.language.as_str())
        });
        assert_eq!(tested.contains(page.as_str()), can_be_run, "{page}");
    }
}
