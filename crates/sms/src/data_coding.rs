//! The meaning of `data_coding` for the octets of a message (SMPP 3.4 §5.2.19, which includes the classes of 3GPP TS
//! 23.038 §4).

/// How to decode the octets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Charset {
    /// GSM 7-bit, one septet per octet.
    Gsm7 = 0,
    /// GSM 7-bit, packed (TS 23.038 §6.1.2.1).
    Gsm7Packed = 1,
    /// IA5, which is ASCII. Octets above 0x7F are read as UTF-8 if they are valid UTF-8, else as Latin-1.
    Ascii = 2,
    /// ISO 8859-1.
    Latin1 = 3,
    /// ISO 8859-5.
    Cyrillic = 4,
    /// ISO 8859-8.
    Hebrew = 5,
    /// JIS X 0208 in the encoding that the octets indicate: ISO-2022-JP, Shift JIS or EUC-JP.
    Japanese = 6,
    /// JIS X 0212 in addition, which only EUC-JP has.
    JapaneseExtended = 7,
    /// KS C 5601 as EUC-KR.
    Korean = 8,
    /// UCS-2, in practice UTF-16, big-endian unless a byte order mark says otherwise.
    Ucs2 = 9,
    /// No text: octets for an application.
    Binary = 10,
    /// UTF-8: text that was decoded before it was stored. It has no `data_coding`.
    Utf8 = 11,
}

impl Charset {
    const ALL: [Self; 12] = [
        Self::Gsm7,
        Self::Gsm7Packed,
        Self::Ascii,
        Self::Latin1,
        Self::Cyrillic,
        Self::Hebrew,
        Self::Japanese,
        Self::JapaneseExtended,
        Self::Korean,
        Self::Ucs2,
        Self::Binary,
        Self::Utf8,
    ];

    /// The meaning of a `data_coding` for a carrier whose 0 ("SMSC default alphabet") is `default`. Total: reserved
    /// values are read in the GSM alphabet, as TS 23.038 §4 requires.
    #[must_use]
    pub fn of(data_coding: u8, default: Self) -> Self {
        // A class does not change whether the carrier packs septets.
        let gsm7 = match default {
            Self::Gsm7Packed => Self::Gsm7Packed,
            _ => Self::Gsm7,
        };
        match data_coding {
            0x00 => default,
            0x01 => Self::Ascii,
            0x02 | 0x04 => Self::Binary,
            0x03 => Self::Latin1,
            // JIS; pictograms; ISO-2022-JP (music codes).
            0x05 | 0x09 | 0x0A => Self::Japanese,
            0x06 => Self::Cyrillic,
            0x07 => Self::Hebrew,
            0x08 => Self::Ucs2,
            0x0D => Self::JapaneseExtended,
            0x0E => Self::Korean,
            // TS 23.038 §4: general data coding with a class, and the same marked for automatic deletion. Bit 5:
            // compressed (TS 23.042); bits 3..2: the alphabet.
            0x10..=0x7F if data_coding & 0x20 != 0 => Self::Binary,
            0x10..=0x7F => match data_coding >> 2 & 0b11 {
                0b01 => Self::Binary,
                0b10 => Self::Ucs2,
                _ => gsm7,
            },
            // Message waiting: to be discarded and to be stored (GSM), to be stored (UCS-2).
            0xC0..=0xDF => gsm7,
            0xE0..=0xEF => Self::Ucs2,
            // Data coding and message class. Bit 2: 8-bit data.
            0xF0.. if data_coding & 0x04 != 0 => Self::Binary,
            _ => gsm7,
        }
    }

    /// The charset stored as this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_means_what_the_specifications_say() {
        for (values, charset) in [
            (&[0x01][..], Charset::Ascii),
            (&[0x02, 0x04], Charset::Binary),
            (&[0x03], Charset::Latin1),
            (&[0x05, 0x09, 0x0A], Charset::Japanese),
            (&[0x06], Charset::Cyrillic),
            (&[0x07], Charset::Hebrew),
            (&[0x08], Charset::Ucs2),
            (&[0x0D], Charset::JapaneseExtended),
            (&[0x0E], Charset::Korean),
            (&[0x0B, 0x0C, 0x0F], Charset::Gsm7),
            (
                &[0x10, 0x11, 0x12, 0x13, 0x1C, 0x1F, 0x40, 0x43, 0x50, 0x53],
                Charset::Gsm7,
            ),
            (&[0x14, 0x15, 0x16, 0x17, 0x44, 0x54, 0x57], Charset::Binary),
            (&[0x18, 0x19, 0x1A, 0x1B, 0x48, 0x58, 0x5B], Charset::Ucs2),
            (&[0x20, 0x28, 0x30, 0x38, 0x3F, 0x60, 0x68, 0x7F], Charset::Binary),
            (&[0x80, 0x88, 0xA4, 0xBF], Charset::Gsm7),
            (&[0xC0, 0xC8, 0xCF, 0xD0, 0xD8, 0xDF], Charset::Gsm7),
            (&[0xE0, 0xE3, 0xE8, 0xEF], Charset::Ucs2),
            (&[0xF0, 0xF1, 0xF2, 0xF3, 0xF8], Charset::Gsm7),
            (&[0xF4, 0xF5, 0xF6, 0xF7, 0xFC], Charset::Binary),
        ] {
            for value in values {
                assert_eq!(Charset::of(*value, Charset::Latin1), charset, "{value:#04X}");
                let packed = match charset {
                    Charset::Gsm7 => Charset::Gsm7Packed,
                    other => other,
                };
                assert_eq!(Charset::of(*value, Charset::Gsm7Packed), packed, "{value:#04X}");
            }
        }
        for default in Charset::ALL {
            assert_eq!(Charset::of(0, default), default);
        }
    }

    #[test]
    fn numbers_are_those_of_the_list() {
        for charset in Charset::ALL {
            assert_eq!(Charset::from_number(charset as u8), Some(charset));
        }
        assert_eq!(Charset::from_number(12), None);
    }
}
