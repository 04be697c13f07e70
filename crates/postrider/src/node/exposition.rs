//! The two text formats of the metrics: their negotiation, and the conversion to the older one.
//!
//! The registry writes OpenMetrics 1.0. A scraper that does not request it gets the text format 0.0.4 of Prometheus: the same
//! samples with the headers of that format (a counter's header has the `_total` of its samples, and there is
//! neither `# UNIT` nor `# EOF`).

use axum::http::{HeaderMap, header};
use std::fmt::Write;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The text format 0.0.4 of Prometheus.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format for a request (RFC 9110 section 12.5.1): OpenMetrics only when it is named and weighted at
    /// least as high as plain text; plain text in all other cases, also when neither is acceptable.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let accepted: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| split_outside_quotes(value, ','))
            .collect();
        let ranges: Vec<Range> = accepted.iter().filter_map(|range| Range::read(range)).collect();
        let quality = |format: Self| {
            let fitting = ranges.iter().enumerate().filter_map(|(at, range)| {
                let precision = range.precision(format)?;
                Some((precision, range.quality, at))
            });
            // The most precise range counts; of two equal ones, that with the higher weight.
            fitting.max_by_key(|(precision, quality, at)| (*precision, *quality, std::cmp::Reverse(*at)))
        };
        match (quality(Self::OpenMetrics), quality(Self::Classic)) {
            // By name, not by a wildcard.
            (Some((precision, wanted, at)), classic) if precision >= NAMED && wanted > 0 => {
                let is_classic = classic.is_some_and(|(named, quality, stands_at)| {
                    quality > wanted || (quality == wanted && named >= NAMED && stands_at < at)
                });
                if is_classic {
                    Self::Classic
                } else {
                    Self::OpenMetrics
                }
            }
            _ => Self::Classic,
        }
    }
}

/// The precision of a range that names the type.
const NAMED: u8 = 2;

/// One range of an `Accept` header.
struct Range {
    kind: String,
    version: Option<String>,
    /// Thousandths.
    quality: u16,
}

impl Range {
    fn read(written: &str) -> Option<Self> {
        let mut parts = split_outside_quotes(written, ';');
        let kind = parts.next()?.trim().to_ascii_lowercase();
        let (mut version, mut quality) = (None, 1000);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value.to_owned()),
                "q" => quality = thousandths(value)?,
                _ => {}
            }
        }
        (!kind.is_empty()).then_some(Self {
            kind,
            version,
            quality,
        })
    }

    /// How precisely the range matches a format; `None` when it does not.
    fn precision(&self, format: Format) -> Option<u8> {
        let (kind, main, versions): (_, _, &[&str]) = match format {
            Format::Classic => ("text/plain", "text/*", &["0.0.4"]),
            Format::OpenMetrics => (
                "application/openmetrics-text",
                "application/*",
                &["1.0.0", "0.0.1"],
            ),
        };
        match (&*self.kind, &self.version) {
            (given, Some(version)) if given == kind => {
                versions.contains(&version.as_str()).then_some(NAMED + 1)
            }
            (given, None) if given == kind => Some(NAMED),
            (given, _) if given == main => Some(1),
            ("*/*" | "*", _) => Some(0),
            _ => None,
        }
    }
}

/// A weight of 0 to 1 with up to three decimals, in thousandths; `None` when invalid.
fn thousandths(written: &str) -> Option<u16> {
    let weight: f64 = written.parse().ok()?;
    (0.0..=1.0)
        .contains(&weight)
        .then_some((weight * 1000.0).round() as u16)
}

fn split_outside_quotes(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

/// Converts OpenMetrics of the registry to the text format 0.0.4.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), written) => {
                help = Some((name, written.unwrap_or_default()));
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                // Writing to a string does not fail.
                if let Some((_, written)) = help.take().filter(|(of, _)| *of == name) {
                    let _ = writeln!(text, "# HELP {name}{suffix} {written}");
                }
                let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
            }
            (Some("#"), ..) => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn negotiate(accept: &[&'static str]) -> Format {
        let headers = accept
            .iter()
            .map(|value| (header::ACCEPT, HeaderValue::from_static(value)))
            .collect();
        Format::negotiate(&headers)
    }

    #[test]
    fn plain_text_is_for_all_who_do_not_name_openmetrics() {
        for accept in [
            &[][..],
            &["*/*"],
            &["text/plain"],
            &["text/plain;version=0.0.4"],
            &["text/*;q=0.3, */*;q=0.1"],
            &["application/*"],
            &["application/json"],
            &["text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8"],
            &["application/openmetrics-text;q=0"],
            &["application/openmetrics-text;version=9.0.0, text/plain;q=0.1"],
            &["application/openmetrics-text;q=0.2, text/plain;version=0.0.4;q=0.5"],
            &["text/plain;version=0.0.4, application/openmetrics-text"],
            &["application/openmetrics-text;q=0.2", "text/plain;q=0.9"],
            &["application/openmetrics-text;q=x, text/plain"],
            // Telegraf and Datadog.
            &["text/plain;version=0.0.4;q=1,*/*;q=0.1"],
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3",
            ],
        ] {
            assert_eq!(negotiate(accept), Format::Classic, "{accept:?}");
        }
    }

    #[test]
    fn openmetrics_is_for_those_who_want_it_more() {
        for accept in [
            &["application/openmetrics-text"][..],
            &["Application/OpenMetrics-Text; Version=\"1.0.0\""],
            &[
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
            &["application/openmetrics-text, text/plain;q=0.9"],
            &["*/*, application/openmetrics-text"],
            &["text/plain;q=0.5", "application/openmetrics-text;q=0.6"],
            &[
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.5,*/*;q=0.2",
            ],
        ] {
            assert_eq!(negotiate(accept), Format::OpenMetrics, "{accept:?}");
        }
    }

    #[test]
    fn headers_name_the_samples_as_they_are() {
        let open_metrics = "# HELP a_calls Calls of a.\n# TYPE a_calls counter\na_calls_total{b=\"# x\"} 3\n\
             # HELP c_seconds Time of c.\n# TYPE c_seconds histogram\n# UNIT c_seconds seconds\n\
             c_seconds_sum 1.5\nc_seconds_count 2\nc_seconds_bucket{le=\"+Inf\"} 2\n\
             # HELP d Gauge d.\n# TYPE d gauge\nd 1\n# EOF\n";
        assert_eq!(
            classic(open_metrics),
            "# HELP a_calls_total Calls of a.\n# TYPE a_calls_total counter\na_calls_total{b=\"# x\"} 3\n\
             # HELP c_seconds Time of c.\n# TYPE c_seconds histogram\n\
             c_seconds_sum 1.5\nc_seconds_count 2\nc_seconds_bucket{le=\"+Inf\"} 2\n\
             # HELP d Gauge d.\n# TYPE d gauge\nd 1\n"
        );
    }
}
