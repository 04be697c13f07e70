//! Where a reader looks a term up: the glossary, and the index of ARCHITECTURE.md.

use super::page;

const GLOSSARY: &str = "docs/glossary.md";
const MAP: &str = "ARCHITECTURE.md";

/// The terms of the glossary with their entries.
fn entries(glossary: &str) -> Vec<(&str, &str)> {
    let entries = glossary.split("\n## ").skip(1);
    entries
        .map(|entry| entry.split_once('\n').unwrap_or((entry, "")))
        .collect()
}

/// The rows of the table under the heading "Index of terms", without its head.
fn index(map: &str) -> Vec<Vec<&str>> {
    let (_, section) = map.split_once("\n## Index of terms\n").unwrap();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What stands between backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The first two neighbours that are not in strictly alphabetical order, without regard to case.
fn out_of_order<'t>(terms: &[&'t str]) -> Option<(&'t str, &'t str)> {
    terms
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .find(|(before, after)| before.to_lowercase() >= after.to_lowercase())
}

#[test]
fn the_terms_of_the_glossary_are_sorted_and_unique() {
    let glossary = page::text(GLOSSARY);
    let terms: Vec<&str> = entries(&glossary).iter().map(|(term, _)| *term).collect();
    assert!(terms.len() > 50, "{terms:?}");
    assert_eq!(out_of_order(&terms), None);
}

#[test]
fn terms_that_are_out_of_order_or_twice_are_noticed() {
    assert_eq!(out_of_order(&["bind", "Lane", "TLV"]), None);
    assert_eq!(out_of_order(&["lane", "bind"]), Some(("lane", "bind")));
    assert_eq!(out_of_order(&["lane", "Lane"]), Some(("lane", "Lane")));
}

#[test]
fn every_entry_of_the_glossary_leads_to_a_page_or_module_that_is_there() {
    let glossary = page::text(GLOSSARY);
    for (term, entry) in entries(&glossary) {
        let links: Vec<&str> = page::links(entry).collect();
        assert!(!links.is_empty(), "{term}: names neither page nor module");
        for link in links {
            assert!(
                page::leads_somewhere(GLOSSARY, link),
                "{term}: {link} leads nowhere"
            );
        }
    }
}

#[test]
fn links_that_lead_nowhere_are_noticed() {
    assert!(page::leads_somewhere(GLOSSARY, "../ARCHITECTURE.md#ids"));
    assert!(page::leads_somewhere(GLOSSARY, "#lane"));
    for link in [
        "../ARCHITECTURE.md#no-such-heading",
        "no_such_page.md",
        "#no-such-term",
    ] {
        assert!(!page::leads_somewhere(GLOSSARY, link), "{link}");
    }
}

#[test]
fn every_path_of_the_index_of_terms_is_there() {
    let map = page::text(MAP);
    let index = index(&map);
    assert!(index.len() > 40, "{index:?}");
    for row in &index {
        let [term, module, note] = row[..] else {
            panic!("not three columns: {row:?}");
        };
        assert!(spans(module).next().is_some(), "{term}: names no module");
        for path in spans(module).chain(spans(note).filter(|span| span.contains('/'))) {
            assert!(page::root().join(path).exists(), "{term}: there is no {path}");
        }
    }
    let terms: Vec<&str> = index.iter().map(|row| row[0]).collect();
    assert_eq!(out_of_order(&terms), None);
}

#[test]
fn every_link_of_the_pages_for_developers_leads_somewhere() {
    for page in [MAP, "CONTRIBUTING.md"] {
        let text = page::text(page);
        assert!(page::links(&text).next().is_some(), "{page} links to nothing");
        for link in page::links(&text) {
            assert!(page::leads_somewhere(page, link), "{page}: {link} leads nowhere");
        }
    }
}
