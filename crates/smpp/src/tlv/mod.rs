//! Optional parameters: an ordered list that keeps unknown parameters byte for byte (SMPP 3.4 §3.2.4).

mod tag;
mod typed;

pub use tag::Tag;
pub use typed::{NetworkErrorCode, Sar};

use bytes::Bytes;

use crate::decode::Reader;
use crate::encode::{EncodeError, Writer};

/// One optional parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlv {
    /// The tag.
    pub tag: Tag,
    /// The value, without tag and length; at most 65535 octets.
    pub value: Bytes,
}

/// The optional parameters of one PDU, in the order of the wire or of their addition.
///
/// A tag may occur more than once: [`Tlvs::get`] and the typed getters return the first, [`Tlvs::push`] adds another,
/// [`Tlvs::set`] replaces all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Tlvs {
    list: Vec<Tlv>,
    broken: bool,
}

impl Tlvs {
    /// No optional parameters; does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            list: Vec::new(),
            broken: false,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the decoded list had a length that exceeds the PDU. The parameters before it are kept, the rest is lost.
    /// Never set on lists that were built here, and not encoded.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// All parameters, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tlv> {
        self.list.iter()
    }

    /// The value of the first parameter with this tag.
    #[must_use]
    pub fn get(&self, tag: Tag) -> Option<&Bytes> {
        self.list.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value)
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, tag: Tag, value: impl Into<Bytes>) {
        self.list.push(Tlv {
            tag,
            value: value.into(),
        });
    }

    /// Replaces the first parameter with this tag, removes others with it; adds it at the end if there is none.
    pub fn set(&mut self, tag: Tag, value: impl Into<Bytes>) {
        let value = value.into();
        match self.list.iter().position(|tlv| tlv.tag == tag) {
            None => self.list.push(Tlv { tag, value }),
            Some(at) => {
                let mut seen = 0;
                self.list.retain(|tlv| {
                    seen += usize::from(tlv.tag == tag);
                    tlv.tag != tag || seen == 1
                });
                if let Some(tlv) = self.list.get_mut(at) {
                    tlv.value = value;
                }
            }
        }
    }

    /// As [`Self::set`], for building a list in one expression.
    #[must_use]
    pub fn with(mut self, tag: Tag, value: impl Into<Bytes>) -> Self {
        self.set(tag, value);
        self
    }

    /// Removes all parameters with this tag.
    pub fn remove(&mut self, tag: Tag) {
        self.list.retain(|tlv| tlv.tag != tag);
    }

    /// Decodes the rest of a body.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Self {
        let mut tlvs = Self::new();
        while !reader.is_empty() {
            let Some(tlv) = Tlv::decode(reader) else {
                tlvs.broken = true;
                break;
            };
            tlvs.list.push(tlv);
        }
        tlvs
    }

    pub(crate) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        for Tlv { tag, value } in &self.list {
            let length = u16::try_from(value.len()).map_err(|_| EncodeError::TooLong {
                field: tag.name().unwrap_or("optional parameter"),
                len: value.len(),
                max: usize::from(u16::MAX),
            })?;
            let [t0, t1] = tag.0.to_be_bytes();
            let [l0, l1] = length.to_be_bytes();
            writer.octets(&[t0, t1, l0, l1]);
            writer.octets(value);
        }
        Ok(())
    }
}

impl Tlv {
    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let [t0, t1, l0, l1] = reader.array()?;
        let value = reader.octets(usize::from(u16::from_be_bytes([l0, l1])))?;
        Some(Self {
            tag: Tag(u16::from_be_bytes([t0, t1])),
            value,
        })
    }
}

impl<'a> IntoIterator for &'a Tlvs {
    type Item = &'a Tlv;
    type IntoIter = std::slice::Iter<'a, Tlv>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Tlv> for Tlvs {
    fn from_iter<I: IntoIterator<Item = Tlv>>(tlvs: I) -> Self {
        Self {
            list: tlvs.into_iter().collect(),
            broken: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(octets: &'static [u8]) -> Tlvs {
        let source = Bytes::from_static(octets);
        Tlvs::decode(&mut Reader::new(&source, &source))
    }

    #[test]
    fn unknown_tags_keep_their_octets_and_order() {
        let tlvs = decode(&[
            0x14, 0x00, 0, 3, b'1', b'2', b'3', 0x02, 0x04, 0, 2, 0, 9, 0x14, 0x01, 0, 0,
        ]);
        let seen: Vec<_> = tlvs.iter().map(|tlv| (tlv.tag.0, tlv.value.as_ref())).collect();
        assert_eq!(seen, [(0x1400, &b"123"[..]), (0x0204, &[0, 9]), (0x1401, &[])]);
        assert!(!tlvs.is_broken());
    }

    #[test]
    fn what_stands_before_a_broken_length_is_kept() {
        for broken in [
            &[0x04, 0x27, 0, 1, 2, 0x00, 0x1E, 0, 9, b'x'][..],
            &[0x04, 0x27, 0, 1, 2, 0x00][..],
        ] {
            let tlvs = decode(broken);
            assert_eq!((tlvs.len(), tlvs.is_broken()), (1, true), "{broken:?}");
            assert_eq!(tlvs.get(Tag::MESSAGE_STATE).map(Bytes::as_ref), Some(&[2][..]));
        }
    }

    #[test]
    fn set_replaces_all_of_a_tag_in_place() {
        let mut tlvs = Tlvs::new();
        tlvs.push(Tag::SOURCE_PORT, &b"a"[..]);
        tlvs.push(Tag::DEST_PORT, &b"b"[..]);
        tlvs.push(Tag::SOURCE_PORT, &b"c"[..]);
        tlvs.set(Tag::SOURCE_PORT, &b"d"[..]);
        let seen: Vec<_> = tlvs.iter().map(|tlv| (tlv.tag, tlv.value.as_ref())).collect();
        assert_eq!(seen, [(Tag::SOURCE_PORT, &b"d"[..]), (Tag::DEST_PORT, &b"b"[..])]);
        tlvs.remove(Tag::DEST_PORT);
        assert_eq!(tlvs.len(), 1);
    }
}
