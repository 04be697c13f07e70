//! Reading connections, each on a thread of its own.

use super::SqliteConfig;
use crate::StoreError;
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use tokio::sync::{Semaphore, oneshot};

/// What a read is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Sending waits for it: short, and never behind a query.
    Dispatch,
    /// Somebody wants to know.
    Query,
    /// Events are to be told: in turns with queries, so that neither holds the other back for long.
    Telling,
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Waiting {
    dispatch: VecDeque<Job>,
    queries: VecDeque<Job>,
    telling: VecDeque<Job>,
    /// Whether it is the turn of telling.
    tells: bool,
    closed: bool,
}

impl Waiting {
    /// The next job for a reader.
    fn next(&mut self, dispatch_only: bool) -> Option<Job> {
        if let Some(job) = self.dispatch.pop_front() {
            return Some(job);
        }
        if dispatch_only {
            return None;
        }
        self.tells = !self.tells;
        let (first, second) = if self.tells {
            (&mut self.telling, &mut self.queries)
        } else {
            (&mut self.queries, &mut self.telling)
        };
        first.pop_front().or_else(|| second.pop_front())
    }
}

struct Desk {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// The readers of a store. The first serves dispatch alone, the others dispatch first and then the rest.
pub(super) struct Readers {
    desk: Arc<Desk>,
    places: Semaphore,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn open(path: &Path, config: &SqliteConfig) -> Result<Self, StoreError> {
        let desk = Arc::new(Desk {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        });
        let readers = Self {
            desk,
            places: Semaphore::new(config.reads_max),
            threads: Mutex::default(),
        };
        for n in 0..config.readers_max {
            let conn = super::open::reading(path, config)?;
            let desk = Arc::clone(&readers.desk);
            let thread = Builder::new()
                .name(format!("store-read-{n}"))
                .spawn(move || serve(&conn, &desk, n == 0))
                .map_err(|error| StoreError::Other(format!("start a reading thread: {error}")))?;
            readers.threads.lock().push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` on a reader and returns what it found.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let _gone = reply.send(read(conn));
        });
        {
            let mut waiting = self.desk.waiting.lock();
            if waiting.closed {
                return Err(StoreError::Closed);
            }
            match purpose {
                Purpose::Dispatch => waiting.dispatch.push_back(job),
                Purpose::Query => waiting.queries.push_back(job),
                Purpose::Telling => waiting.telling.push_back(job),
            }
        }
        if purpose == Purpose::Dispatch {
            self.desk.arrived.notify_one();
        } else {
            // The one that is woken alone might be the one that takes nothing but dispatch.
            self.desk.arrived.notify_all();
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes nothing more; what waits is not done. The threads, to be waited for.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        self.places.close();
        {
            let mut waiting = self.desk.waiting.lock();
            waiting.closed = true;
            waiting.dispatch.clear();
            waiting.queries.clear();
            waiting.telling.clear();
        }
        self.desk.arrived.notify_all();
        std::mem::take(&mut *self.threads.lock())
    }
}

fn serve(conn: &Connection, desk: &Desk, dispatch_only: bool) {
    loop {
        let mut waiting = desk.waiting.lock();
        let job = loop {
            match waiting.next(dispatch_only) {
                Some(job) => break job,
                None if waiting.closed => return,
                None => desk.arrived.wait(&mut waiting),
            }
        };
        drop(waiting);
        job(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_and_queries_take_turns_behind_dispatch() {
        let order = Arc::new(Mutex::new(String::new()));
        let job = |letter: char| -> Job {
            let order = Arc::clone(&order);
            Box::new(move |_| order.lock().push(letter))
        };
        let conn = Connection::open_in_memory().unwrap();
        let mut waiting = Waiting::default();
        waiting.queries.extend(["q", "q", "q"].map(|_| job('q')));
        waiting.telling.extend(["t", "t"].map(|_| job('t')));
        waiting.dispatch.push_back(job('d'));
        waiting.next(true).unwrap()(&conn);
        assert!(waiting.next(true).is_none(), "the rest is for others");
        while let Some(job) = waiting.next(false) {
            job(&conn);
        }
        assert_eq!(*order.lock(), "dtqtqq");
    }
}
