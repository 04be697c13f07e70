//! Imports suppressions from a CSV file.

use super::{ImportArgs, checked, kind_name, note, print_count};
use crate::exit::Failure;
use crate::number;
use crate::review::account_named;
use crate::when;
use anyhow::{Context, anyhow};
use engine::catalog::{
    Catalog, CatalogChange, Suppression, SuppressionEntry, SuppressionKind, SuppressionOrigin,
};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use std::io::{IsTerminal, Write};
use store::{Store, UnixMs};

/// Suppressions per commit.
const BATCH: usize = 1_000;
/// Octets of a file.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Mistakes that are shown.
const MISTAKES_MAX: usize = 100;

/// The indexes of the columns.
#[derive(Debug, Default, PartialEq, Eq)]
struct Columns {
    number: usize,
    kind: Option<usize>,
    account: Option<usize>,
    note: Option<usize>,
    time: Option<usize>,
}

/// Defaults for lines without a value of their own.
struct Defaults<'a> {
    catalog: &'a Catalog,
    countries: Vec<u16>,
    account: Option<String>,
    kind: Option<SuppressionKind>,
    note: &'a str,
    now: UnixMs,
    zone: TimeZone,
}

/// Parses the whole file first: when it has a mistake, nothing is stored.
pub(super) async fn run(args: &ImportArgs, out: &mut impl Write) -> Result<(), Failure> {
    let text = read(args)?;
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let defaults = Defaults {
        catalog: &catalog,
        countries: number::countries(&catalog),
        account: args.scope.account.clone(),
        kind: args.scope.kind.map(SuppressionKind::from),
        note: note(&args.note)?,
        now: SystemClock.now(),
        zone: TimeZone::system(),
    };
    let (entries, mistakes) = entries(&text, &defaults);
    if !mistakes.is_empty() {
        return Err(Failure::bad_input(anyhow!(
            "nothing was imported:\n{}",
            mistakes.join("\n")
        )));
    }
    let total = entries.len();
    let mut done = 0;
    let mut progress = Progress::new();
    let mut waiting = entries.into_iter().map(CatalogChange::Suppress).peekable();
    while waiting.peek().is_some() {
        let batch: Vec<CatalogChange> = waiting.by_ref().take(BATCH).collect();
        done += batch.len();
        store.change_catalog(batch).await.with_context(|| {
            format!(
                "import suppressions {} to {done}; the previous ones are stored, and the import may be repeated",
                done - 1
            )
        })?;
        progress.show(done, total);
    }
    progress.end();
    store.close().await.context("close the store")?;
    print_count(args.look.json, "imported", total, out)
}

fn read(args: &ImportArgs) -> Result<String, Failure> {
    let name = args.file.display();
    let octets = if args.file.as_os_str() == "-" {
        let mut octets = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut octets)
            .context("read standard input")
            .map_err(Failure::bad_input)?;
        octets
    } else {
        let size = std::fs::metadata(&args.file).map_or(0, |file| file.len());
        if size > FILE_BYTES_MAX {
            return Err(Failure::bad_input(anyhow!(
                "{name} has {size} octets; at most {FILE_BYTES_MAX} are allowed"
            )));
        }
        std::fs::read(&args.file)
            .with_context(|| format!("read {name}"))
            .map_err(Failure::bad_input)?
    };
    let text = String::from_utf8(octets);
    let text = text.map_err(|_| Failure::bad_input(anyhow!("{name} is not UTF-8")))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The suppressions of the file, or its mistakes.
fn entries(text: &str, defaults: &Defaults<'_>) -> (Vec<SuppressionEntry>, Vec<String>) {
    let separator = separator(text);
    let mut columns = Columns::default();
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    let mut is_first = true;
    for (line, no) in text.lines().zip(1usize..) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let cells = cells(line, separator);
        if std::mem::take(&mut is_first) {
            match header(&cells) {
                Some(Ok(named)) => {
                    columns = named;
                    continue;
                }
                Some(Err(why)) => {
                    mistakes.push(format!("line {no}: {why}"));
                    break;
                }
                None => {}
            }
        }
        match entry(&cells, &columns, defaults) {
            Ok(entry) => entries.push(entry),
            Err(why) if mistakes.len() < MISTAKES_MAX => mistakes.push(format!("line {no}: {why:#}")),
            Err(_) => {}
        }
    }
    if entries.is_empty() && mistakes.is_empty() {
        mistakes.push("the file has no numbers".to_owned());
    }
    (entries, mistakes)
}

/// Comma, semicolon or tab: the most frequent one in the first line.
fn separator(text: &str) -> char {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    [',', ';', '\t']
        .into_iter()
        .max_by_key(|separator| (first.matches(*separator).count(), *separator == ','))
        .unwrap_or(',')
}

/// The cells of a line; quotes as in RFC 4180, within one line.
fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut cells, '"');
            }
            '"' => quoted = !quoted,
            c if c == separator && !quoted => cells.push(String::new()),
            c => push(&mut cells, c),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn push(cells: &mut [String], c: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(c);
    }
}

/// The columns of a header line; `None` when the line is not a header.
fn header(cells: &[String]) -> Option<Result<Columns, String>> {
    if cells.iter().any(|cell| cell.chars().any(|c| c.is_ascii_digit())) {
        return None;
    }
    let mut columns = Columns::default();
    let mut number = None;
    for (cell, at) in cells.iter().zip(0..) {
        match cell.to_ascii_lowercase().as_str() {
            "number" | "phone" | "msisdn" => number = Some(at),
            "kind" => columns.kind = Some(at),
            "account" => columns.account = Some(at),
            "note" | "reason" => columns.note = Some(at),
            "time" | "since" | "created_at" => columns.time = Some(at),
            // Other columns are ignored.
            _ => {}
        }
    }
    Some(match number {
        Some(number) => Ok(Columns { number, ..columns }),
        None => Err("the header has no column `number`".to_owned()),
    })
}

fn entry(cells: &[String], columns: &Columns, defaults: &Defaults<'_>) -> anyhow::Result<SuppressionEntry> {
    let cell = |at: Option<usize>| {
        at.and_then(|at| cells.get(at))
            .map(String::as_str)
            .filter(|cell| !cell.is_empty())
    };
    let written = cell(Some(columns.number)).ok_or_else(|| anyhow!("the number is missing"))?;
    let msisdn = match *number::read(written, &defaults.countries) {
        [number] => number,
        // The error may be shown to others: numbers are masked.
        _ => {
            return Err(anyhow!(
                "{} is not an international number such as +447700900123",
                sms::phone::masked(written)
            ));
        }
    };
    let kind = cell(columns.kind).map(kind_named).transpose()?.or(defaults.kind);
    let account = cell(columns.account).or(defaults.account.as_deref());
    let account = account
        .map(|name| account_named(defaults.catalog, name))
        .transpose()?;
    let (account, kind) = checked(account, kind)?;
    let created_at = match cell(columns.time) {
        Some(written) => when::read(written, defaults.now, &defaults.zone).map_err(|why| anyhow!(why))?,
        None => defaults.now,
    };
    Ok(SuppressionEntry {
        suppression: Suppression {
            account,
            msisdn,
            kind,
        },
        created_at,
        origin: SuppressionOrigin::Import,
        note: note(cell(columns.note).unwrap_or(defaults.note))
            .map_err(|failure| anyhow!("{failure}"))?
            .into(),
    })
}

fn kind_named(name: &str) -> anyhow::Result<SuppressionKind> {
    const KINDS: [SuppressionKind; 3] = [
        SuppressionKind::Global,
        SuppressionKind::Blocked,
        SuppressionKind::Unsubscribed,
    ];
    let found = KINDS
        .into_iter()
        .find(|kind| kind_name(*kind).eq_ignore_ascii_case(name));
    found.ok_or_else(|| anyhow!("{name:?} is not a kind; it must be global, blocked or unsubscribed"))
}

/// Progress on standard error: one line that is overwritten on a terminal, a line at intervals otherwise.
struct Progress {
    is_terminal: bool,
    shown: usize,
}

impl Progress {
    /// Interval of lines that cannot be overwritten.
    const EVERY: usize = 50_000;

    fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            shown: 0,
        }
    }

    fn show(&mut self, done: usize, total: usize) {
        let mut err = std::io::stderr();
        // A closed standard error is ignored.
        if self.is_terminal {
            let _ = write!(err, "\r{done} of {total} imported");
        } else if done - self.shown >= Self::EVERY || done == total {
            self.shown = done;
            let _ = writeln!(err, "{done} of {total} imported");
        }
    }

    fn end(&self) {
        if self.is_terminal {
            let _ = writeln!(std::io::stderr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> (Vec<SuppressionEntry>, Vec<String>) {
        let catalog = Catalog::default();
        let defaults = Defaults {
            catalog: &catalog,
            countries: vec![44],
            account: None,
            kind: None,
            note: "list of 2026",
            now: 5,
            zone: TimeZone::UTC,
        };
        entries(text, &defaults)
    }

    #[test]
    fn a_list_is_read_with_and_without_a_header() {
        let (plain, mistakes) = read_all("+447700900123\n\n# a remark\n0044 7700 900124\r\n");
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(plain.len(), 2);
        assert_eq!((plain[0].created_at, &*plain[0].note), (5, "list of 2026"));
        assert_eq!(plain[0].suppression.kind, SuppressionKind::Global);
        let text =
            "note;kind;Number;time\n\"requested; by \"\"mail\"\"\";unsubscribed;07700900123;2026-11-18\n";
        let (named, mistakes) = read_all(text);
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(&*named[0].note, "requested; by \"mail\"");
        assert_eq!(named[0].suppression.kind, SuppressionKind::Unsubscribed);
        assert_eq!(named[0].created_at, 1_794_960_000_000);
        assert_eq!(named[0].origin, SuppressionOrigin::Import);
    }

    #[test]
    fn all_mistakes_are_named_with_their_lines_and_no_number() {
        let (_, mistakes) =
            read_all("number,kind\n+447700900123,global\n123456789012345678,\n+447700900124,bad\n");
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(
            mistakes[0].starts_with("line 3: ") && !mistakes[0].contains("3456789"),
            "{mistakes:?}"
        );
        assert!(
            mistakes[1].starts_with("line 4: \"bad\" is not a kind"),
            "{mistakes:?}"
        );
        assert_eq!(
            read_all("name,kind\nx,y\n").1,
            ["line 1: the header has no column `number`"]
        );
        assert_eq!(read_all("\n").1, ["the file has no numbers"]);
    }
}
