//! The purpose of a message ([`Class`]) and how it reaches the handset ([`Kind`]).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The purpose of a message; it decides which queue the message waits in.
///
/// The order is the order of urgency: a code expires in minutes, a campaign does not. The numbers are stored and never
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Class {
    /// A one-time code; never waits behind the other two.
    Otp = 0,
    /// Something the recipient expects: a booking, a parcel, an alarm.
    Notice = 1,
    /// Advertising; the class that consent and quiet hours apply to.
    Marketing = 2,
}

impl Class {
    /// All classes, most urgent first; `ALL[c.as_u8() as usize] == c`.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Notice, Self::Marketing];

    /// The number the class is stored as.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The class stored as `number`; `None` for an unknown number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Otp),
            1 => Some(Self::Notice),
            2 => Some(Self::Marketing),
            _ => None,
        }
    }

    /// The class's name in configuration, metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Notice => "notice",
            Self::Marketing => "marketing",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a message reaches the handset. The numbers are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// A text message.
    Text = 0,
    /// A call that reads the text aloud.
    Voice = 1,
}

impl Kind {
    /// All kinds; `ALL[k.as_u8() as usize] == k`.
    pub const ALL: [Self; 2] = [Self::Text, Self::Voice];

    /// The number the kind is stored as.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The kind stored as `number`; `None` for an unknown number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Text),
            1 => Some(Self::Voice),
            _ => None,
        }
    }

    /// The kind's name in configuration, metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Voice => "voice",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_read_back_and_others_do_not() {
        for class in Class::ALL {
            assert_eq!(Class::from_u8(class.as_u8()), Some(class));
            assert_eq!(Class::ALL[usize::from(class.as_u8())], class);
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::from_u8(kind.as_u8()), Some(kind));
            assert_eq!(Kind::ALL[usize::from(kind.as_u8())], kind);
        }
        assert!((3..=u8::MAX).all(|number| Class::from_u8(number).is_none()));
        assert!((2..=u8::MAX).all(|number| Kind::from_u8(number).is_none()));
    }

    #[test]
    fn a_code_is_more_urgent_than_a_campaign() {
        assert!(Class::Otp < Class::Notice && Class::Notice < Class::Marketing);
        assert_eq!(
            Class::ALL.map(|class| class.to_string()),
            ["otp", "notice", "marketing"]
        );
        assert_eq!(Kind::ALL.map(|kind| kind.to_string()), ["text", "voice"]);
    }
}
