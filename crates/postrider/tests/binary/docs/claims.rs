//! What the pages name by a word: metrics, settings, pages and headings of pages. Each must be there.

use super::page;
use crate::testkit::{Dev, curl, eventually, folder, run, said};
use std::collections::BTreeSet;

/// Words of a text that begin like this, with what may follow in a name.
fn names<'t>(text: &'t str, beginning: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(beginning).map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

/// Something of everything that has metrics.
const CATALOG: &str = "
[[account]]
name = \"demo\"
[[account.webhook]]
name = \"crm\"
format = \"standard\"
url = \"http://127.0.0.1:9/\"
events = [\"ended\"]
[[carrier]]
name = \"north\"
type = \"smpp\"
host = \"127.0.0.1\"
port = 9
system_id = \"demo\"
";

/// It names what is called otherwise now; the tests of the tables of former names hold it.
const RENAMES: &str = "docs/renames.md";

#[test]
fn every_metric_that_is_named_is_there() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = folder.path().join("catalog.toml");
    std::fs::write(&file, CATALOG).unwrap();
    let applied = dev.tool(&["apply", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{}", said(&applied));
    // The duration of requests is there once a request has been answered.
    dev.send_for_session("+447700900123");
    let metrics = eventually("the carrier and the webhook to be counted", || {
        let metrics = curl(&[&format!("{}/metrics", dev.metrics())]);
        ["name=\"crm\"", "name=\"north\""]
            .iter()
            .all(|label| metrics.contains(label))
            .then_some(metrics)
    });
    let there: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(there.len() > 20, "{there:?}");
    let mut named = 0;
    let mut pages = page::all();
    pages.push("config.default.toml".to_owned());
    for page in pages.into_iter().filter(|page| *page != RENAMES) {
        for name in names(&page::text(&page), "postrider_") {
            named += 1;
            assert!(there.contains(name), "{page}: there is no metric {name}");
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn every_setting_that_is_named_is_there() {
    let defaults = said(&run(&["serve", "--print-defaults"]));
    let defaults: toml::Table = toml::from_str(&defaults).unwrap();
    let has = |table: &str, key: &str| {
        let found = table
            .split('.')
            .try_fold(&defaults, |table, name| table.get(name)?.as_table());
        found.is_some_and(|table| key.is_empty() || table.contains_key(key))
    };
    let mut named = 0;
    for page in page::all().into_iter().filter(|page| *page != RENAMES) {
        // `[engine] retention_days`, `[webhooks] allow`, also `[secrets]` alone; `[[account]]` is a catalog's.
        for span in page::text(&page).split('`').skip(1).step_by(2) {
            let Some((table, rest)) = span.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                continue;
            };
            let is_name = |name: &str| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c))
            };
            // Vendors write parameters in brackets.
            if rest.is_empty() && page.contains("/dialects/") {
                continue;
            }
            let key = rest.trim().split([' ', '=']).next().unwrap_or_default();
            if is_name(table)
                && (key.is_empty() || is_name(key))
                && (rest.is_empty() || rest.starts_with(' '))
            {
                named += 1;
                assert!(has(table, key), "{page}: there is no setting `{span}`");
            }
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn every_page_and_heading_that_is_linked_to_is_there() {
    let mut linked = 0;
    for page in page::all() {
        let text = page::text(&page);
        for link in page::links(&text) {
            linked += usize::from(link.contains('#'));
            assert!(page::leads_somewhere(&page, link), "{page}: {link} leads nowhere");
        }
    }
    assert!(linked > 30, "{linked}");
}

/// A catalog with an unknown key in each kind of entry, which makes `apply` list the keys that there are.
const UNKNOWN_KEYS: &str = "
[[account]]
name = \"a\"
zzz = 1
[[account.credential]]
zzz = 1
[[account.template]]
zzz = 1
[[account.signature]]
zzz = 1
[[account.webhook]]
zzz = 1
[[carrier]]
name = \"n\"
type = \"smpp\"
system_id = \"x\"
zzz = 1
[[carrier]]
name = \"s\"
type = \"sandbox\"
zzz = 1
[[route]]
zzz = 1
[[suppression]]
zzz = 1
[[blocked_words]]
zzz = 1
";

#[test]
fn every_key_of_a_catalog_stands_on_its_page() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let file = folder.path().join("unknown.toml");
    std::fs::write(&file, UNKNOWN_KEYS).unwrap();
    let printed = said(&dev.tool(&["apply", file.to_str().unwrap(), "--dry-run"]));
    let pages = [
        ("account ", "docs/catalog.md"),
        ("credential ", "docs/catalog.md"),
        ("template ", "docs/catalog.md"),
        ("signature ", "docs/catalog.md"),
        ("webhook ", "docs/webhooks.md"),
        ("carrier \"n\"", "docs/carriers-and-routes.md"),
        ("carrier \"s\"", "docs/carriers-and-routes.md"),
        ("route ", "docs/carriers-and-routes.md"),
        ("suppression", "docs/catalog.md"),
        ("blocked words ", "docs/catalog.md"),
    ];
    for (entry, page) in pages {
        let line = printed.lines().find(|line| {
            line.split_once(": ")
                .is_some_and(|(_, what)| what.starts_with(entry))
                && line.contains("`zzz`; there are ")
        });
        let keys = line
            .and_then(|line| line.split_once("there are "))
            .map(|(_, keys)| keys);
        let keys = keys.unwrap_or_else(|| panic!("no keys of {entry} in:\n{printed}"));
        let text = page::text(page);
        for key in keys.split('`').skip(1).step_by(2) {
            let is_there = [format!("`{key}`"), format!("`{key}."), format!("`{key} = ")]
                .iter()
                .any(|written| text.contains(written));
            assert!(is_there, "{page}: the key `{key}` of {entry}is not there");
        }
    }
}
