//! What a message is for ([`Class`]) and how it reaches the handset ([`Kind`]).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a message is for; it decides which queue it waits in.
///
/// The order is the order of urgency: a code goes stale in minutes, a campaign does not.
/// The numbers are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Class {
    /// A one-time code; never waits behind the other two.
    Otp = 0,
    /// Something the recipient expects: a booking, a parcel, an alarm.
    Notice = 1,
    /// Advertising; the class that consent and quiet hours are about.
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

    /// The class stored as `number`; `None` for a number no class has.
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

    /// The kind stored as `number`; `None` for a number no kind has.
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
