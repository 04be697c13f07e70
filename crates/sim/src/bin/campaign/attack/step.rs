//! What a hostile connection does, step by step.

use bytes::Bytes;

/// One thing that is done on a connection.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Sends all of it, as fast as the bound on events lets it.
    Send(Bytes),
    /// Sends a good request with damage, another each time.
    SendMutated,
    /// Sends it, an octet a second.
    Trickle(Bytes),
    /// Reads until something has come.
    Read,
    /// Keeps the connection until the other side closes it, and reads what comes.
    Hold,
    /// Ends the connection with a reset.
    Reset,
}

/// All that a connection does.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// Whether it begins again on the same connection.
    pub(super) forever: bool,
    /// Whether answers are not read; the connection has little room for them then.
    pub(super) deaf: bool,
}

impl Script {
    /// These steps; then the connection is opened again.
    pub(super) fn once(steps: impl Into<Vec<Step>>) -> Self {
        Self {
            steps: steps.into(),
            forever: false,
            deaf: false,
        }
    }

    /// These steps, again and again on one connection.
    pub(super) fn forever(steps: impl Into<Vec<Step>>) -> Self {
        Self {
            forever: true,
            ..Self::once(steps)
        }
    }

    /// The same without ever reading.
    pub(super) fn deaf(self) -> Self {
        Self { deaf: true, ..self }
    }
}
