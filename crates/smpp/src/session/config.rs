//! What a session is told once, when it starts.

use std::time::Duration;

use crate::encode::Limits;

/// Which side of the protocol a session plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The client: binds and submits.
    Esme,
    /// The message centre: answers binds and delivers.
    Smsc,
}

/// When the window slot of a request becomes free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Slots {
    /// With its response, or when it times out.
    #[default]
    OnResponse,
    /// When the user says so, after having made the result durable. Every [`Response`](super::Event::Response) and
    /// [`TimedOut`](super::Event::TimedOut) is one slot to give back; nothing else is.
    OnRelease,
}

/// The bounds and times of one session. All times run on the monotonic clock the session is handed.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Which side this is.
    pub role: Role,
    /// Requests in flight at most; at least 1, at most [`SessionConfig::WINDOW_MAX`].
    pub window_max: usize,
    /// When a slot of the window becomes free.
    pub slots: Slots,
    /// How long a request waits for its response before it is in doubt.
    pub response_timeout: Duration,
    /// How long after its timeout a response is still matched and reported as late.
    pub late_grace: Duration,
    /// Timed-out requests still matched at most; the oldest is forgotten first.
    pub late_max: usize,
    /// After how long without a PDU from the peer it is asked whether it is there. `None`: never.
    pub enquire_link_interval: Option<Duration>,
    /// How long the peer may then stay silent before the session is given up.
    pub enquire_link_timeout: Duration,
    /// After how long without a PDU from the peer the session is given up without asking. `None`: never.
    pub inactivity_max: Option<Duration>,
    /// How long an unbind waits for its response.
    pub unbind_timeout: Duration,
    /// Requests of the peer that wait for an answer at most; more are answered with the protocol's own "busy".
    pub inbound_max: usize,
    /// Bounds of what is encoded.
    pub limits: Limits,
}

impl SessionConfig {
    /// The largest window, in requests: far above what any carrier grants.
    pub const WINDOW_MAX: usize = 65_536;

    /// The defaults for a role: window 10, responses within 60 s and late ones matched for 10 min (at most 1000),
    /// enquire_link after 30 s of silence and answered within 30 s, unbind within 5 s, 1000 unanswered inbound requests.
    /// An SMSC does not enquire but gives up an ESME that was silent for 5 min.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        let esme = matches!(role, Role::Esme);
        Self {
            role,
            window_max: 10,
            slots: Slots::OnResponse,
            response_timeout: Duration::from_secs(60),
            late_grace: Duration::from_secs(600),
            late_max: 1000,
            enquire_link_interval: if esme { Some(Duration::from_secs(30)) } else { None },
            enquire_link_timeout: Duration::from_secs(30),
            inactivity_max: if esme {
                None
            } else {
                Some(Duration::from_secs(300))
            },
            unbind_timeout: Duration::from_secs(5),
            inbound_max: 1000,
            limits: Limits::LENIENT,
        }
    }
}
