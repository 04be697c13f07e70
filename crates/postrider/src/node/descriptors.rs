//! File descriptors: how many a node needs, and the limit of the process.

use crate::config::Config;
use engine::Engine;
use engine::catalog::{BindKind, CarrierSettings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use std::time::Duration;

/// Descriptors of health and metrics, store files of each store connection, log, control socket, name lookups,
/// timers.
const STORE_FILES: u64 = 3;
const OTHERS: u64 = 128;

/// Interval of checks whether a changed catalog needs more descriptors.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Descriptors that the configuration needs at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    connections: u64,
    sessions: u64,
    calls: u64,
    others: u64,
}

impl Need {
    /// For a node with these settings of enabled carriers and this number of enabled webhooks.
    pub(crate) fn of<'c>(
        config: &Config,
        carriers: impl Iterator<Item = &'c CarrierSettings>,
        webhooks: usize,
    ) -> Self {
        let sessions = carriers.map(|settings| match settings {
            CarrierSettings::Smpp(smpp) if smpp.enabled => match smpp.bind {
                BindKind::Transceiver => u64::from(smpp.binds),
                BindKind::TransmitterReceiver => 2 * u64::from(smpp.binds),
            },
            _ => 0,
        });
        let webhook_limits = &config.webhooks;
        let calls = webhook_limits
            .calls_max
            .min(webhooks.saturating_mul(webhook_limits.endpoint_calls_max));
        let readers = config.store.sqlite.readers_max as u64 + 2;
        Self {
            connections: (config.api.connections.connections_max + super::ops::CONNECTIONS_MAX) as u64,
            sessions: sessions.sum(),
            calls: (calls + webhooks) as u64,
            others: readers * STORE_FILES + OTHERS,
        }
    }

    fn all(self) -> u64 {
        self.connections + self.sessions + self.calls + self.others
    }

    /// The problem when at most `limit` descriptors may be open.
    pub(crate) fn beyond(self, limit: Option<u64>) -> Option<String> {
        let limit = limit?;
        let all = self.all();
        (all > limit).then(|| {
            format!(
                "at most {limit} descriptors may be open, but {all} are needed for {self}: at the limit, connections and \
                 sessions fail; raise the hard limit (LimitNOFILE= of systemd, `ulimit -Hn`) or \
                 lower `api.connections.connections_max`"
            )
        })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            sessions,
            calls,
            others,
        } = self;
        write!(
            f,
            "{connections} connections, {sessions} carrier sessions, {calls} webhook calls and {others} other files"
        )
    }
}

/// Checks whether there are enough descriptors.
pub(super) struct Descriptors {
    limit: Option<u64>,
    /// The version of the last checked catalog.
    version: Option<u64>,
}

impl Descriptors {
    /// Raises the limit and logs when it is too low.
    pub(super) fn raised(config: &Config, engine: &Engine) -> Self {
        let mut descriptors = Self {
            limit: raise(),
            version: None,
        };
        descriptors.look(config, engine);
        descriptors
    }

    /// Logs when the limit is too low, once for each version of the catalog.
    pub(super) fn look(&mut self, config: &Config, engine: &Engine) {
        let catalog = engine.catalog();
        if self.version.replace(catalog.version()) == Some(catalog.version()) {
            return;
        }
        let carriers = catalog.carriers().map(|carrier| &carrier.settings);
        let need = Need::of(config, carriers, catalog.endpoints().count());
        if let Some(what) = need.beyond(self.limit) {
            tracing::warn!(detail = %what, "descriptor limit too low");
        }
    }
}

/// The limit once the soft limit is raised; `None`: unlimited.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the soft limit to the hard one; returns the resulting limit.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return maximum;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, ?current, ?maximum, "descriptor limit not raised");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::SmppSettings;

    #[test]
    fn all_that_is_configured_is_counted() {
        let config = Config::from_text("[api.connections]\nconnections_max = 1000\n").unwrap();
        let carrier = |enabled, bind, binds| {
            CarrierSettings::Smpp(Box::new(SmppSettings {
                enabled,
                bind,
                binds,
                ..SmppSettings::default()
            }))
        };
        let carriers = [
            carrier(true, BindKind::Transceiver, 3),
            carrier(true, BindKind::TransmitterReceiver, 2),
            carrier(false, BindKind::TransmitterReceiver, 60),
        ];
        let need = Need::of(&config, carriers.iter(), 2);
        assert_eq!((need.connections, need.sessions, need.calls), (1064, 7, 130));
        assert_eq!(need.beyond(Some(need.all())), None);
        assert_eq!(need.beyond(None), None);
        let message = need.beyond(Some(1024)).unwrap();
        for part in [
            "at most 1024",
            "1064 connections",
            "7 carrier sessions",
            "130 webhook calls",
            "LimitNOFILE=",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        // Without webhooks there are no calls.
        assert_eq!(Need::of(&config, carriers.iter(), 0).calls, 0);
    }
}
