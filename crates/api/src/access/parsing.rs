//! Long bodies, read a few at a time and not on the threads that serve everybody else.

use crate::serve::Client;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};

/// From so many octets on a body is long. A shorter one is read in less time than it takes to hand it to another thread.
pub(crate) const LONG_BYTES_MIN: usize = 64 * 1024;
/// So many long bodies are read at once of clients of whom nothing has been verified yet.
const UNVERIFIED_MAX: usize = 2;
/// So many of all others.
const VERIFIED_MAX: usize = 8;
/// How long one waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Slots for parsing long bodies. Unverified clients have their own, so that they take none from verified ones.
#[derive(Debug)]
pub(crate) struct Parsing {
    unverified: Semaphore,
    verified: Semaphore,
    wait_max: Duration,
}

impl Default for Parsing {
    fn default() -> Self {
        Self {
            unverified: Semaphore::new(UNVERIFIED_MAX),
            verified: Semaphore::new(VERIFIED_MAX),
            wait_max: WAIT_MAX,
        }
    }
}

/// No turn came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoTurn;

/// Leave to read a body.
#[derive(Debug)]
pub(crate) struct Turn<'p> {
    /// `None` for a short body, which needs none.
    permit: Option<SemaphorePermit<'p>>,
}

impl Parsing {
    /// Waits for the turn of a body of so many octets. Cancel safe.
    ///
    /// # Errors
    /// [`NoTurn`] after ten seconds.
    pub(crate) async fn turn(&self, body_bytes: usize, client: &Client) -> Result<Turn<'_>, NoTurn> {
        if body_bytes < LONG_BYTES_MIN {
            return Ok(Turn { permit: None });
        }
        let turns = if client.is_trusted() {
            &self.verified
        } else {
            &self.unverified
        };
        match tokio::time::timeout(self.wait_max, turns.acquire()).await {
            Ok(Ok(permit)) => Ok(Turn { permit: Some(permit) }),
            _ => Err(NoTurn),
        }
    }
}

impl Turn<'_> {
    /// Does the work: that of a long body on a thread that others do not wait for.
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let many_threads = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        if self.permit.is_some() && many_threads() {
            tokio::task::block_in_place(work)
        } else {
            work()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn unverified_clients_wait_for_each_other_and_hold_back_nobody_else() {
        let parsing = Parsing {
            wait_max: Duration::from_millis(20),
            ..Parsing::default()
        };
        let client = || Client::new(Ipv4Addr::LOCALHOST.into());
        let (unverified, known) = (client(), client());
        known.verified();
        let mut held = Vec::new();
        for _ in 0..UNVERIFIED_MAX {
            held.push(parsing.turn(LONG_BYTES_MIN, &unverified).await.unwrap());
        }
        assert_eq!(
            parsing.turn(LONG_BYTES_MIN, &unverified).await.unwrap_err(),
            NoTurn
        );
        assert!(parsing.turn(LONG_BYTES_MIN, &known).await.is_ok());
        assert!(
            parsing.turn(LONG_BYTES_MIN - 1, &unverified).await.is_ok(),
            "a short one needs no turn"
        );
        held.pop();
        assert!(parsing.turn(LONG_BYTES_MIN, &unverified).await.is_ok());
    }

    /// Goal: behind a proxy that names its clients in headers each request begins with nothing verified; a customer whose
    /// credential was verified at its own address lately does not share the slots of unverified clients there.
    #[tokio::test]
    async fn a_customer_behind_a_proxy_does_not_wait_for_unverified_clients_behind_it() {
        let parsing = Parsing {
            wait_max: Duration::from_millis(20),
            ..Parsing::default()
        };
        let behind = crate::serve::ClientsBehindProxy::default();
        let (unverified, customer) = (behind.request("192.0.2.1"), behind.request("192.0.2.2"));
        customer.verified();
        let mut held = Vec::new();
        for _ in 0..UNVERIFIED_MAX {
            held.push(parsing.turn(LONG_BYTES_MIN, &unverified).await.unwrap());
        }
        let next = behind.request("192.0.2.2");
        assert!(!next.is_verified());
        assert!(parsing.turn(LONG_BYTES_MIN, &next).await.is_ok());
        let other = behind.request("192.0.2.3");
        assert_eq!(parsing.turn(LONG_BYTES_MIN, &other).await.unwrap_err(), NoTurn);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_long_body_does_not_hold_the_threads_of_the_runtime() {
        let parsing = std::sync::Arc::new(Parsing::default());
        let (free, wait) = std::sync::mpsc::channel();
        let reading = tokio::spawn(async move {
            let turn = parsing
                .turn(LONG_BYTES_MIN, &Client::new(Ipv4Addr::LOCALHOST.into()))
                .await
                .unwrap();
            turn.run(move || wait.recv_timeout(Duration::from_secs(60)))
        });
        // The only worker is in there; this runs all the same.
        tokio::spawn(async move { free.send(7) }).await.unwrap().unwrap();
        assert_eq!(reading.await.unwrap(), Ok(7));
    }
}
