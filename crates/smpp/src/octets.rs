//! C-octet strings: addresses, ids and passwords (SMPP 3.4 §3.1).

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// The longest string held without a heap allocation: an address has at most 20 octets, a time 16.
const INLINE_OCTETS_MAX: usize = 22;

/// A C-octet string without its terminating NUL.
///
/// Short ones (up to 22 octets, so every address, time and service type within the specification's bounds) are stored
/// inline. Longer ones share the buffer they were read into, which stays alive as long as they do: copy what is kept
/// for long (`COctetString::from(s.as_bytes())` does).
///
/// Any octets may be *held*, since peers send non-ASCII and over-long fields; encoding rejects what the specification
/// does not allow.
#[derive(Clone)]
pub struct COctetString(Repr);

#[derive(Clone)]
enum Repr {
    Inline {
        len: u8,
        octets: [u8; INLINE_OCTETS_MAX],
    },
    Shared(Bytes),
}

impl COctetString {
    /// The empty string, which in most fields means "unknown" or "the default of the SMSC".
    #[must_use]
    pub const fn new() -> Self {
        Self(Repr::Inline {
            len: 0,
            octets: [0; INLINE_OCTETS_MAX],
        })
    }

    /// The octets, without a NUL at the end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, octets } => octets.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Shared(octets) => octets,
        }
    }

    /// The string as text, `None` if it is not UTF-8 (ASCII in every conforming PDU).
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// Octets without the NUL.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Inline { len, .. } => usize::from(*len),
            Repr::Shared(octets) => octets.len(),
        }
    }

    /// Whether there is nothing but the NUL.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of `source`; long strings continue to share it.
    pub(crate) fn part_of(source: &Bytes, part: &[u8]) -> Self {
        Self::inline(part).unwrap_or_else(|| Self(Repr::Shared(source.slice_ref(part))))
    }

    fn inline(from: &[u8]) -> Option<Self> {
        let mut octets = [0; INLINE_OCTETS_MAX];
        octets.get_mut(..from.len())?.copy_from_slice(from);
        let len = u8::try_from(from.len()).ok()?;
        Some(Self(Repr::Inline { len, octets }))
    }
}

impl Default for COctetString {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&[u8]> for COctetString {
    fn from(octets: &[u8]) -> Self {
        Self::inline(octets).unwrap_or_else(|| Self(Repr::Shared(Bytes::copy_from_slice(octets))))
    }
}

impl From<&str> for COctetString {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&String> for COctetString {
    fn from(text: &String) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for COctetString {
    fn from(text: String) -> Self {
        Self::inline(text.as_bytes()).unwrap_or_else(|| Self(Repr::Shared(Bytes::from(text))))
    }
}

impl From<Bytes> for COctetString {
    fn from(octets: Bytes) -> Self {
        Self::inline(&octets).unwrap_or(Self(Repr::Shared(octets)))
    }
}

impl AsRef<[u8]> for COctetString {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for COctetString {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for COctetString {}

impl PartialEq<str> for COctetString {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for COctetString {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Hash for COctetString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for COctetString {
    /// Escapes octets outside printable ASCII, so that a peer cannot inject control characters into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_bytes().escape_ascii(), f)
    }
}

impl fmt::Debug for COctetString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_strings_stay_inline_and_the_value_is_four_words() {
        assert_eq!(size_of::<COctetString>(), 32);
        let longest_inline = "a".repeat(INLINE_OCTETS_MAX);
        assert!(matches!(
            COctetString::from(&longest_inline).0,
            Repr::Inline { .. }
        ));
        let longer = "a".repeat(INLINE_OCTETS_MAX + 1);
        assert!(matches!(COctetString::from(&longer).0, Repr::Shared(_)));
        assert_eq!(COctetString::from(&longer), longer.as_str());
    }

    #[test]
    fn inline_and_shared_forms_of_the_same_octets_are_equal() {
        let inline = COctetString::from("447700900123");
        let shared = COctetString(Repr::Shared(Bytes::from_static(b"447700900123")));
        assert_eq!(inline, shared);
    }

    #[test]
    fn display_escapes_what_is_not_printable() {
        assert_eq!(COctetString::from(&b"a\n\xFF"[..]).to_string(), "a\\n\\xff");
    }
}
