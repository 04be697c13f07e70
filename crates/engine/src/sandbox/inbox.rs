//! What the sandbox delivered: a bounded ring in memory, to be read and waited on.

use parking_lot::Mutex;
use serde::Serialize;
use sms::class::{Class, Kind};
use std::collections::VecDeque;
use std::time::Duration;
use store::UnixMs;
use tokio::sync::broadcast;

/// One message as its recipient sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// The message.
    pub id: i64,
    /// The number, with plus.
    pub to: String,
    /// The sender, empty when it has none.
    pub from: String,
    /// The text, signature included.
    pub text: String,
    /// Parts it came in.
    pub segments: u16,
    /// Traffic class.
    pub class: Class,
    /// Text or voice.
    pub kind: Kind,
    /// When, Unix milliseconds.
    pub time: UnixMs,
}

/// The last messages delivered by the sandbox.
#[derive(Debug)]
pub struct Inbox {
    messages_max: usize,
    messages: Mutex<VecDeque<Delivered>>,
    news: broadcast::Sender<Delivered>,
}

/// Deliveries a slow watcher may fall behind by before it misses some.
const NEWS_MAX: usize = 1024;

impl Inbox {
    /// An empty one that keeps the last `messages_max`.
    pub fn new(messages_max: usize) -> Self {
        Self {
            messages_max,
            messages: Mutex::default(),
            news: broadcast::Sender::new(NEWS_MAX),
        }
    }

    pub(super) fn push(&self, message: Delivered) {
        let mut messages = self.messages.lock();
        if messages.len() >= self.messages_max {
            messages.pop_front();
        }
        messages.push_back(message.clone());
        drop(messages);
        // Nobody watching is fine.
        let _ = self.news.send(message);
    }

    /// The newest messages first, of one number or of all; `to` with or without plus.
    pub fn messages(&self, to: Option<&str>, messages_max: usize) -> Vec<Delivered> {
        let messages = self.messages.lock();
        messages
            .iter()
            .rev()
            .filter(|message| fits(message, to))
            .take(messages_max)
            .cloned()
            .collect()
    }

    /// Waits for the next message to a number (or to any); `None` when none came in time.
    pub async fn next(&self, to: Option<&str>, timeout: Duration) -> Option<Delivered> {
        let mut news = self.news.subscribe();
        let wait = async {
            loop {
                match news.recv().await {
                    Ok(message) if fits(&message, to) => return Some(message),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        };
        tokio::time::timeout(timeout, wait).await.ok().flatten()
    }

    /// Every delivery from now on.
    pub fn watch(&self) -> broadcast::Receiver<Delivered> {
        self.news.subscribe()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.messages.lock().clear();
    }
}

fn fits(message: &Delivered, to: Option<&str>) -> bool {
    to.is_none_or(|to| message.to.trim_start_matches('+') == to.trim_start_matches('+'))
}
