//! The configuration of the simulator, read once at the start.

use serde::{Deserialize, Serialize};
use smpp::frame::FRAME_BYTES_MAX_DEFAULT;

use super::behaviour::Behaviour;
use super::ids::Ids;
use super::part::CountBy;
use crate::InvalidSetting;

/// Who may bind.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// `system_id` of the bind.
    pub system_id: String,
    /// `password` of the bind; empty: any.
    #[serde(default)]
    pub password: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("system_id", &self.system_id)
            .finish_non_exhaustive()
    }
}

/// The configuration, read once at the start. [`Behaviour`] can be changed later.
///
/// ```
/// let config: sim::smsc::SmscConfig = toml::from_str(r#"
///     seed = 7
///     ids = { answer = { notation = "hex" }, receipt = { notation = "decimal", width = 10 } }
///     [behaviour.receipts]
///     late_share = 0.1
///     [[behaviour.rules]]
///     prefix = "44770090099"
///     status = "RINVDSTADR"
/// "#)?;
/// # config.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmscConfig {
    /// Seed of all random decisions; 0: another one at every start. The start logs it.
    pub seed: u64,
    /// The simulator's own `system_id`, at most 15 octets.
    pub system_id: String,
    /// Who may bind; empty: anyone with any password.
    pub users: Vec<User>,
    /// Sessions of one `system_id` at most; 0: no limit.
    pub binds_max: usize,
    /// Connections at most, bound or not.
    pub connections_max: usize,
    /// The longest frame taken, in octets.
    pub frame_bytes_max: usize,
    /// How message ids are written.
    pub ids: Ids,
    /// The key by which messages are counted.
    pub count_by: CountBy,
    /// Messages that are counted one by one at most (about 30 octets each); more are counted as a sum only.
    #[serde(alias = "tallies_max")]
    pub tracked_messages_max: usize,
    /// The last messages are kept for inspection, so many at most (about 300 octets each).
    pub kept_max: usize,
    /// Only messages to numbers that begin so are kept; empty: all.
    pub kept_prefix: String,
    /// How it behaves at first.
    pub behaviour: Behaviour,
}

impl Default for SmscConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            system_id: "postrider-sim".to_owned(),
            users: Vec::new(),
            binds_max: 0,
            connections_max: 1_000,
            frame_bytes_max: FRAME_BYTES_MAX_DEFAULT,
            ids: Ids::default(),
            count_by: CountBy::default(),
            tracked_messages_max: 20_000_000,
            kept_max: 10_000,
            kept_prefix: String::new(),
            behaviour: Behaviour::default(),
        }
    }
}

impl SmscConfig {
    /// Validates the values.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first invalid value.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if self.system_id.len() > 15 || !self.system_id.is_ascii() {
            return Err(InvalidSetting::new(
                "system_id",
                &self.system_id,
                "at most 15 ASCII characters",
            ));
        }
        if self.connections_max == 0 {
            return Err(InvalidSetting::new("connections_max", 0, "must be at least 1"));
        }
        let least = smpp::command::HEADER_OCTETS;
        if self.frame_bytes_max < least {
            return Err(InvalidSetting::new(
                "frame_bytes_max",
                self.frame_bytes_max,
                "must be at least 16, the header of a PDU",
            ));
        }
        self.behaviour.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_are_what_an_empty_file_says() {
        let config: SmscConfig = toml::from_str("").unwrap();
        config.check().unwrap();
        assert_eq!(config, SmscConfig::default());
    }

    #[test]
    fn a_password_does_not_show() {
        let user = User {
            system_id: "esme".into(),
            password: "hunter2".into(),
        };
        assert!(!format!("{user:?}").contains("hunter2"));
    }
}
