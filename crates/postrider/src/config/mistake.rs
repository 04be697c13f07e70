//! What is wrong in a file of settings, and where: collected, so that one run reports all of it.

use crate::table::harmless;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// Mistakes that are reported; more are counted.
pub(crate) const REPORTED_MAX: usize = 100;
/// Mistakes that are kept until the first ones in the order of the file are known.
const KEPT_MAX: usize = 10_000;

/// One mistake at a place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Mistake {
    /// Line, from 1; 0 for what is at no line of the file.
    pub(crate) line: usize,
    /// The key, as a path within its entry: `weight`, `tls.ca_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// The value given; never that of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// The known name that is nearest to the one given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) did_you_mean: Option<String>,
    /// The whole of it in one sentence.
    pub(crate) message: String,
    /// Where in the text it begins, in bytes.
    #[serde(skip)]
    offset: usize,
}

impl Mistake {
    /// At the place where `span` begins.
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

    /// With the key it is about.
    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With the value that was given.
    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With what would be right.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// With the known name that was probably meant.
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
        // It may cite what the file says.
        f.write_str(&harmless(&self.message))
    }
}

/// All that is wrong with one file: at most [`REPORTED_MAX`] mistakes in the order of its lines, and how many more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Mistakes {
    /// The first of them.
    #[serde(rename = "mistakes")]
    pub(crate) list: Vec<Mistake>,
    /// Those beyond the bound.
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

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts them by their place in `text`, numbers their lines and drops what is beyond the bound.
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
    /// The file, as it was named.
    pub(crate) file: String,
    /// What is wrong with it.
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
        let told = mistakes.to_string();
        assert!(
            told.starts_with("line 1: number 0\n  line 2: number 1\n"),
            "{told}"
        );
        assert!(told.ends_with("line 100: number 99\n  and 50 more"), "{told}");
    }
}
