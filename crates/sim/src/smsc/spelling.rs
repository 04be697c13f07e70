//! How statuses and states are written in scripts: by the specification's names.

use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use smpp::CommandStatus;
use sms::state::ReceiptState;

/// A `command_status` in a script: `"RTHROTTLED"`, `"ESME_RTHROTTLED"` or `0x58`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub CommandStatus);

impl Status {
    fn from_name(name: &str) -> Option<Self> {
        let wanted = name.trim_start_matches("ESME_");
        let named = |status: &&CommandStatus| status.name().is_some_and(|name| name.get(5..) == Some(wanted));
        CommandStatus::DEFINED.iter().find(named).copied().map(Self)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_u32(self.0.0),
        }
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Self::from_name(&name)
                .ok_or_else(|| D::Error::custom(format_args!("{name} is no command_status of SMPP"))),
            code => (code.as_u64().and_then(|code| u32::try_from(code).ok()))
                .map(|code| Self(CommandStatus(code)))
                .ok_or_else(|| D::Error::custom("a command_status is a name or a number of 32 bits")),
        }
    }
}

/// What a receipt says, by its seven-letter word: `"DELIVRD"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub ReceiptState);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<'de, str>::deserialize(deserializer)?;
        ReceiptState::from_word(&word)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format_args!("{word} is no state of a receipt")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_go_by_name_or_number() {
        for (text, code) in [
            ("\"RTHROTTLED\"", 0x58),
            ("\"ESME_RSYSERR\"", 8),
            ("\"ROK\"", 0),
            ("1024", 0x400),
        ] {
            let read: Status = serde_json::from_str(text).unwrap();
            assert_eq!(read.0.0, code, "{text}");
        }
        assert!(serde_json::from_str::<Status>("\"RFOO\"").is_err());
        assert_eq!(
            serde_json::to_string(&Status(CommandStatus(0x58))).unwrap(),
            "\"ESME_RTHROTTLED\""
        );
        assert_eq!(
            serde_json::to_string(&Status(CommandStatus(0x400))).unwrap(),
            "1024"
        );
    }

    #[test]
    fn states_go_by_their_word() {
        assert_eq!(
            serde_json::from_str::<Word>("\"UNDELIV\"").unwrap(),
            Word(ReceiptState::Undeliverable)
        );
        assert_eq!(
            serde_json::to_string(&Word(ReceiptState::Delivered)).unwrap(),
            "\"DELIVRD\""
        );
        assert!(serde_json::from_str::<Word>("\"LOST\"").is_err());
    }
}
