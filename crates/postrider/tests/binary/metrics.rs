//! `/metrics`: which format, what is in it from the start, and what Prometheus' own tool says of it.

use crate::testkit::{Dev, curl, eventually, folder, said};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const NORTH: &str = r#"
[[account]]
name = "demo"

[[account.webhook]]
name = "crm"
format = "standard"
url = "http://127.0.0.1:9/"
events = ["ended"]

[[carrier]]
name = "north"
type = "smpp"
host = "127.0.0.1"
port = 1
system_id = "postrider"
password = "secret"
"#;

fn with_north(dev: &Dev) {
    let file = dev.data.join("north.toml");
    std::fs::write(&file, NORTH).unwrap();
    let applied = dev.tool(&["apply", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{}", said(&applied));
}

/// The content type and the body.
fn scrape(dev: &Dev, accept: &[&str]) -> (String, String) {
    let url = format!("{}/metrics", dev.metrics());
    let accept: Vec<String> = accept.iter().map(|range| format!("Accept: {range}")).collect();
    let mut arguments = vec!["-w", "\n%{content_type}", &url];
    arguments.extend(accept.iter().flat_map(|header| ["-H", header.as_str()]));
    let answer = curl(&arguments);
    let (body, content_type) = answer.rsplit_once('\n').unwrap();
    (content_type.to_owned(), body.to_owned())
}

#[test]
fn plain_text_is_served_to_all_who_do_not_ask_for_openmetrics() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    for accept in [
        &[][..],
        &["*/*"],
        &["text/plain;version=0.0.4"],
        &["text/plain;version=0.0.4;q=1,*/*;q=0.1"],
    ] {
        let (content_type, body) = scrape(&dev, accept);
        assert!(
            content_type.starts_with("text/plain; version=0.0.4"),
            "{accept:?}: {content_type}"
        );
        assert!(!body.contains("# EOF") && !body.contains("# UNIT"), "{accept:?}");
    }
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let (content_type, body) = scrape(&dev, &[prometheus]);
    assert!(
        content_type.starts_with("application/openmetrics-text; version=1.0.0"),
        "{content_type}"
    );
    assert!(body.ends_with("# EOF\n"), "OpenMetrics says where it ends");
}

#[test]
fn restarts_are_counted_from_none() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let (_, body) = scrape(&dev, &[]);
    for name in ["carrier", "webhooks"] {
        let series = format!("postrider_restarts_total{{name=\"{name}\"}} 0");
        assert!(
            body.lines().any(|line| line == series),
            "{series} is not in:\n{body}"
        );
    }
}

/// Every sample belongs to a family that has a HELP and a TYPE before it, and counters end in `_total`.
fn check(text: &str) {
    let (mut family, mut helped, mut kind) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert!(help.len() > 10, "{line}");
                name.clone_into(&mut helped);
            }
            ["#", "TYPE", name, of] => {
                assert_eq!(helped, name, "no HELP for {name}");
                (family, kind) = (name.to_owned(), of.to_owned());
                assert_eq!(name.ends_with("_total"), of == "counter", "{line}");
            }
            _ => {
                let name = line.split(['{', ' ']).next().unwrap();
                let base = match kind.as_str() {
                    "histogram" => name
                        .trim_end_matches("_bucket")
                        .trim_end_matches("_sum")
                        .trim_end_matches("_count"),
                    _ => name,
                };
                assert_eq!(base, family, "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
            }
        }
    }
}

#[test]
fn everything_configured_has_its_series_and_promtool_finds_nothing() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_north(&dev);
    // The carrier has never been bound, and the webhook has never been called.
    let text = eventually("the series of what was applied", || {
        let (_, text) = scrape(&dev, &[]);
        text.contains("postrider_webhook_paused{endpoint=")
            .then_some(text)
    });
    let north = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("postrider_carrier_info{carrier=\"")?
                .strip_suffix("\",name=\"north\"} 1")
        })
        .unwrap_or_else(|| panic!("no north in {text}"));
    for line in [
        format!("postrider_binds{{carrier=\"{north}\"}} 0"),
        format!("postrider_ready_messages{{carrier=\"{north}\"}} 0"),
        format!("postrider_submitted_total{{carrier=\"{north}\"}} 0"),
        format!("postrider_receipts_total{{carrier=\"{north}\",result=\"stored_unmatched\"}} 0"),
        format!("postrider_answers_total{{carrier=\"{north}\",class=\"permanent_route\"}} 0"),
        "postrider_accept_to_submit_seconds_count{class=\"otp\"} 0".to_owned(),
        "postrider_webhook_calls_total{format=\"standard\",outcome=\"taken\"} 0".to_owned(),
        "postrider_refused_total{dialect=\"sendcloud\",reason=\"no_route\"} 0".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in:\n{text}");
    }
    dev.send_for_session("+447700900123");
    let (_, text) = scrape(&dev, &[]);
    check(&text);
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Only where it is installed (Debian: prometheus); the checks above stand in for it elsewhere.
    let Ok(mut promtool) = command.spawn() else { return };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let found = promtool.wait_with_output().unwrap();
    assert!(
        found.status.success() && said(&found).trim().is_empty(),
        "{}",
        said(&found)
    );
}

const PAGE: &str = "../../docs/metrics.md";
/// The generated table of the page stands between these lines.
const TABLE: (&str, &str) = ("<!-- families -->\n", "<!-- end of families -->\n");

/// A family of the exposition as a row of the page.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    /// Whether a sample of it was served, so that its labels are known.
    sampled: bool,
}

/// The families that are served under their present names, by name.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", of, help] => {
                of.clone_into(&mut name);
                families.entry(name.clone()).or_default().help = help.trim_end_matches('.').to_owned();
            }
            ["#", "TYPE", _, kind] => families.get_mut(&name).unwrap().kind = kind.to_owned(),
            _ => {
                let family = families.get_mut(&name).unwrap();
                family.sampled = true;
                let labels = line
                    .split_once('{')
                    .map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
                // No value of a label that is served here has a comma or an equals sign.
                let named = labels.split(',').filter_map(|pair| Some(pair.split_once('=')?.0));
                let of_buckets = |label: &&str| *label != "le" || family.kind != "histogram";
                family.labels.extend(named.filter(of_buckets).map(str::to_owned));
            }
        }
    }
    families.retain(|_, family| !family.help.starts_with("Deprecated"));
    families
}

/// The names in backquotes of a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn the_page_of_metrics_has_every_family_with_its_labels() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    with_north(&dev);
    dev.send_for_session("+447700900123");
    let text = eventually("the series of what was applied", || {
        let (_, text) = scrape(&dev, &[]);
        text.contains("postrider_webhook_paused{endpoint=")
            .then_some(text)
    });
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let (head, rest) = page.split_once(TABLE.0).unwrap();
    let (table, tail) = rest.split_once(TABLE.1).unwrap();
    let written: BTreeMap<&str, &str> = table
        .lines()
        .filter_map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            Some((quoted(cells.first()?).next()?, *cells.get(2)?))
        })
        .collect();
    let mut made = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (name, family) in families(&text) {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        // What has no sample yet has the labels that the page says it has.
        let labels = match written.get(&*name) {
            Some(labels) if !family.sampled => (*labels).to_owned(),
            _ => labels.join(", "),
        };
        made += &format!("| `{name}` | {} | {labels} | {} |\n", family.kind, family.help);
    }
    if std::env::var_os("POSTRIDER_WRITE_DOCS").is_some() {
        let page = format!("{head}{}{made}{}{tail}", TABLE.0, TABLE.1);
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), page).unwrap();
        return;
    }
    for label in made
        .lines()
        .filter_map(|row| row.split(" | ").nth(2))
        .flat_map(quoted)
    {
        assert!(
            tail.contains(&format!("| `{label}` |")),
            "the page does not say what {label} is"
        );
    }
    assert_eq!(
        table, made,
        "docs/metrics.md is not what is served: run this test with POSTRIDER_WRITE_DOCS=1"
    );
}
