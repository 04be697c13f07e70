//! The pages of the documentation and the fenced blocks in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The languages a block may have.
pub(crate) const LANGUAGES: [&str; 7] = ["sh", "python", "toml", "json", "text", "http", "rust"];

/// A fenced block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) language: String,
    /// Line of the fence, counted from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Why it is not run, when a comment right before it says so.
    pub(crate) not_run: Option<String>,
}

impl Block {
    /// The file that the reader saves it as: its first line is a comment with nothing but a name.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        let is_name = [".toml", ".py"].iter().any(|end| name.ends_with(end)) && !name.contains(' ');
        is_name.then_some(name)
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All pages, by their path in the repository. The table of compatibility is made from files that other tests check.
pub(crate) fn all() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "crates/sim/README.md".to_owned()];
    for folder in ["docs", "docs/dialects", "docs/compatibility"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages.sort();
    pages
}

/// The text of a page.
pub(crate) fn text(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap()
}

/// The targets of the links of a text, those of other sites included.
pub(crate) fn links(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("](")
        .map(move |(at, _)| text[at + 2..].split(')').next().unwrap_or_default())
}

/// The anchor that a heading gets on the usual hosts of repositories.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The anchors of a page.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let outside: String = text.split("\n```").step_by(2).collect();
    let headings = outside.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

/// Whether a link of a page leads to an existing file and, where it names an anchor, to a heading of it. Links to other
/// sites are not followed.
pub(crate) fn leads_somewhere(page: &str, link: &str) -> bool {
    if link.contains("://") {
        return true;
    }
    let (target, heading) = link
        .split_once('#')
        .map_or((link, None), |(target, heading)| (target, Some(heading)));
    let page = root().join(page);
    let target = match (target, page.parent()) {
        ("", _) | (_, None) => page.clone(),
        (target, Some(folder)) => folder.join(target),
    };
    target.exists() && heading.is_none_or(|heading| anchors(&target).contains(heading))
}

/// The blocks of a page in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let text = text(page);
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let inside: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```")
                .collect();
            let comment = before.strip_prefix("<!-- not run: ");
            blocks.push(Block {
                language: language.trim().to_owned(),
                line: number + 1,
                text: inside.iter().flat_map(|line| [*line, "\n"]).collect(),
                not_run: comment.map(|why| why.trim_end_matches("-->").trim().to_owned()),
            });
            before = "";
        } else if !line.trim().is_empty() {
            before = line;
        }
    }
    blocks
}

/// A line with what differs from run to run taken out: digits, and how many blanks there are.
pub(crate) fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.trim().chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        let repeats = matches!(c, '0' | ' ') && shape.ends_with(c);
        if !repeats {
            shape.push(c);
        }
    }
    shape
}

/// The first line of `shown` that `output` does not have in its place, in order.
pub(crate) fn missing<'s>(shown: &'s str, output: &str) -> Option<&'s str> {
    let mut real = output.lines().map(shape);
    shown
        .lines()
        .filter(|line| !line.trim().is_empty())
        .find(|line| !real.any(|real| real == shape(line)))
}
