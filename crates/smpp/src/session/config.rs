//! The configuration of a session, fixed when it starts.

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
    /// When the user releases it, after having made the result durable. Every [`Response`](super::Event::Response) and
    /// [`TimedOut`](super::Event::TimedOut) is one slot to release; no other event is.
    OnRelease,
}

/// The bounds and times of one session. All times run on the monotonic clock that the caller passes to the session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Which side this is.
    pub role: Role,
    /// Largest number of requests in flight; 1 to [`SessionConfig::WINDOW_MAX`].
    pub window_max: usize,
    /// When a slot of the window becomes free.
    pub slots: Slots,
    /// How long a request waits for its response before it is in doubt.
    pub response_timeout: Duration,
    /// How long after its timeout a response is still matched and reported as late.
    pub late_grace: Duration,
    /// Largest number of timed-out requests that are still matched; the oldest is evicted first.
    pub late_max: usize,
    /// Time without a PDU from the peer after which an enquire_link is sent. `None`: never.
    pub enquire_link_interval: Option<Duration>,
    /// How long the peer may then stay silent before the session is closed.
    pub enquire_link_timeout: Duration,
    /// Time without a PDU from the peer after which the session is closed without an enquire_link. `None`: never.
    pub inactivity_max: Option<Duration>,
    /// How long an unbind waits for its response.
    pub unbind_timeout: Duration,
    /// Largest number of requests of the peer that wait for a response; further ones are answered with the protocol's
    /// own "busy" status.
    pub inbound_max: usize,
    /// Bounds of the encoded fields.
    pub limits: Limits,
}

impl SessionConfig {
    /// The largest window, in requests: far above what any carrier grants.
    pub const WINDOW_MAX: usize = 65_536;

    /// The defaults for a role: window 10, responses within 60 s and late ones matched for 10 min (at most 1000),
    /// enquire_link after 30 s of silence and answered within 30 s, unbind within 5 s, 1000 unanswered inbound
    /// requests. An SMSC sends no enquire_link but closes the session of an ESME that was silent for 5 min.
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
