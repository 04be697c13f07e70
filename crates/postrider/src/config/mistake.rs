//! Mistakes in a configuration or catalog file with their positions, collected so that one run reports all of them.

use crate::table::sanitize_for_terminal;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// Mistakes that are reported; others are counted.
pub(crate) const REPORTED_MAX: usize = 100;
/// Mistakes that are kept until they are sorted by line.
const KEPT_MAX: usize = 10_000;

/// One mistake at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Mistake {
    /// Line, from 1; 0 for a mistake without a line.
    pub(crate) line: usize,
    /// The key as a path within its entry: `weight`, `tls.ca_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The value given, unless it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// The valid values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// The known name that is most similar to the given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) did_you_mean: Option<String>,
    /// The message, one sentence.
    pub(crate) message: String,
    /// The byte offset in the text.
    #[serde(skip)]
    offset: usize,
}

impl Mistake {
    /// At the start of `span`.
    pub(crate) fn new(span: &Range<usize>, message: impl Into<String>) -> Self {
        Self {
            line: 0,
            key: None,
            value: None,
            expected: None,
            did_you_mean: None,
            message: message.into(),
            offset: span.start,
        }
    }

    /// Sets the key.
    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value that was given.
    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Sets the valid values.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Sets the known name that was probably meant.
    pub(crate) fn meant(mut self, meant: Option<&str>) -> Self {
        self.did_you_mean = meant.map(str::to_owned);
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        // The message may contain text of the file.
        f.write_str(&sanitize_for_terminal(&self.message))
    }
}

/// The mistakes of one file: at most [`REPORTED_MAX`] in the order of lines, and the number of others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Mistakes {
    /// The first ones.
    #[serde(rename = "mistakes")]
    pub(crate) list: Vec<Mistake>,
    /// The number of others.
    pub(crate) more: usize,
}

impl Mistakes {
    /// One more.
    pub(crate) fn push(&mut self, mistake: Mistake) {
        if self.list.len() < KEPT_MAX {
            self.list.push(mistake);
        } else {
            self.more += 1;
        }
    }

    /// Whether there are no mistakes.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts them by position in `text`, sets their line numbers and drops those beyond the bound.
    pub(crate) fn finish(mut self, text: &str) -> Self {
        self.list.sort_by_key(|mistake| mistake.offset);
        self.list
            .dedup_by(|later, first| later.offset == first.offset && later.message == first.message);
        self.more += self.list.len().saturating_sub(REPORTED_MAX);
        self.list.truncate(REPORTED_MAX);
        let (mut line, mut counted) = (1, 0);
        for mistake in &mut self.list {
            let between = text.as_bytes().get(counted..mistake.offset).unwrap_or_default();
            line += between.iter().filter(|octet| **octet == b'\n').count();
            counted = mistake.offset.min(text.len());
            mistake.line = line;
        }
        self
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.list.iter().enumerate() {
            if at > 0 {
                f.write_str("\n  ")?;
            }
            mistake.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\n  and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The mistakes of one file, with its name.
#[derive(Debug)]
pub(crate) struct FileMistakes {
    /// The name of the file as given.
    pub(crate) file: String,
    pub(crate) mistakes: Mistakes,
}

impl fmt::Display for FileMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, mistakes } = self;
        if mistakes.list.len() == 1 && mistakes.more == 0 {
            write!(f, "{file}: {mistakes}")
        } else {
            write!(f, "{file}:\n  {mistakes}")
        }
    }
}

impl std::error::Error for FileMistakes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_come_in_the_order_of_the_file_and_only_so_many() {
        let text = "\n".repeat(300);
        let mut mistakes = Mistakes::default();
        for at in (0..150_usize).rev() {
            mistakes.push(Mistake::new(&(at..at), format!("number {at}")));
        }
        let mistakes = mistakes.finish(&text);
        assert_eq!((mistakes.list.len(), mistakes.more), (REPORTED_MAX, 50));
        let message = mistakes.to_string();
        assert!(
            message.starts_with("line 1: number 0\n  line 2: number 1\n"),
            "{message}"
        );
        assert!(
            message.ends_with("line 100: number 99\n  and 50 more"),
            "{message}"
        );
    }
}
