//! What ends a process: a part of it that can never work again.

use std::sync::Arc;
use tokio::sync::watch;

/// Why a part of the process can never work again, once that is so. Set once, seen by all clones.
#[derive(Debug, Clone)]
pub struct Failure(watch::Sender<Option<Arc<str>>>);

impl Default for Failure {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Failure {
    /// Says why. The first reason stays.
    pub fn set(&self, why: &str) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(why.into());
            }
            first
        });
    }

    /// The reason, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Waits for the reason: for ever, while all is well. Cancel safe.
    pub async fn wait(&self) -> Arc<str> {
        let mut seen = self.0.subscribe();
        loop {
            if let Some(reason) = seen.borrow_and_update().clone() {
                return reason;
            }
            if seen.changed().await.is_err() {
                // The sender is `self`: it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }
}
