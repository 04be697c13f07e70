//! How the segments of a message are made, kept for as long as a carrier has some of them and others are to be sent.
//!
//! A handset joins segments by sender and reference, and what was cut in two ways makes no text. So a message is
//! finished as it was begun, also when the carrier's settings have changed meanwhile.

use crate::catalog::{DataCoding, DefaultAlphabet, Linking, Shape};
use smpp::COctetString;
use smpp::field::{Address, Npi, Ton};

/// What all segments of a message have in common, beside its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segmentation {
    pub(crate) shape: Shape,
    pub(crate) source: Address,
}

/// The first octet of the stored form. Another one is another form, which is not read.
const FORM: u8 = 1;

/// The stored numbers of settings are their places in these lists.
const DATA_CODINGS: [DataCoding; 4] = [
    DataCoding::Gsm7Unpacked,
    DataCoding::Gsm7Packed,
    DataCoding::Latin1,
    DataCoding::Ucs2,
];
const ALPHABETS: [DefaultAlphabet; 3] = [
    DefaultAlphabet::Gsm7,
    DefaultAlphabet::Latin1,
    DefaultAlphabet::Ascii,
];
const LINKINGS: [Linking; 3] = [Linking::Udh16, Linking::Udh8, Linking::Sar];

impl Segmentation {
    /// The stored form: the settings, a number each, then the sender.
    pub(crate) fn to_octets(&self) -> Box<[u8]> {
        let Self { shape, source } = self;
        let mut octets = vec![
            FORM,
            place(&DATA_CODINGS, shape.data_coding),
            place(&ALPHABETS, shape.default_alphabet),
            place(&LINKINGS, shape.linking),
            source.ton.0,
            source.npi.0,
        ];
        octets.extend(source.addr.as_bytes());
        octets.into()
    }

    /// The reverse of [`Self::to_octets`].
    pub(crate) fn from_octets(octets: &[u8]) -> Option<Self> {
        let [FORM, data_coding, alphabet, linking, ton, npi, addr @ ..] = octets else {
            return None;
        };
        Some(Self {
            shape: Shape {
                data_coding: *DATA_CODINGS.get(usize::from(*data_coding))?,
                default_alphabet: *ALPHABETS.get(usize::from(*alphabet))?,
                linking: *LINKINGS.get(usize::from(*linking))?,
            },
            source: Address {
                ton: Ton(*ton),
                npi: Npi(*npi),
                addr: COctetString::from(addr),
            },
        })
    }
}

fn place<T: PartialEq>(all: &[T], one: T) -> u8 {
    let place = all.iter().position(|known| *known == one);
    place.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segmentation_is_read_as_it_was_written() {
        for data_coding in DATA_CODINGS {
            for default_alphabet in ALPHABETS {
                for linking in LINKINGS {
                    let made = Segmentation {
                        shape: Shape {
                            data_coding,
                            default_alphabet,
                            linking,
                        },
                        source: Address {
                            ton: Ton(5),
                            npi: Npi(0),
                            addr: COctetString::from("Acme"),
                        },
                    };
                    assert_eq!(Segmentation::from_octets(&made.to_octets()), Some(made));
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_read_or_not(octets: Vec<u8>) {
            if let Some(read) = Segmentation::from_octets(&octets) {
                proptest::prop_assert_eq!(read.source.addr.len(), octets.len() - 6);
            }
        }
    }
}
