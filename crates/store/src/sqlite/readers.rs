//! Reading connections, each on a thread of its own.

use super::SqliteConfig;
use super::watch::{self, Watch};
use crate::{Failure, StoreError};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use tokio::sync::{Semaphore, oneshot};

/// What a read is for. Each kind has permits of its own, so that what waits of one never holds back another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadPriority {
    /// Sending waits for it: short, and never behind anything else.
    Dispatch,
    /// A look at what is named by its key (status queries, the catalog): never behind searches alone.
    Query,
    /// Events are read for webhooks: in turns with queries.
    Outbox,
    /// Looks through much (searches, lists with filters, statistics), and may take long.
    Search,
}

/// How many kinds of [`ReadPriority`] there are.
const PRIORITIES: usize = 4;

/// What a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Dispatch alone.
    Dispatch,
    /// Everything but searches.
    Short,
    /// Everything.
    All,
}

impl Takes {
    /// Of the `n`-th of `readers`, from 0.
    fn of(n: usize, readers: usize) -> Self {
        match n {
            0 => Self::Dispatch,
            1 if readers > 2 => Self::Short,
            _ => Self::All,
        }
    }

    /// What is served in turns behind dispatch.
    fn in_turns(self) -> &'static [ReadPriority] {
        match self {
            Self::Dispatch => &[],
            Self::Short => &[ReadPriority::Query, ReadPriority::Outbox],
            Self::All => &[ReadPriority::Query, ReadPriority::Outbox, ReadPriority::Search],
        }
    }
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Waiting {
    jobs: [VecDeque<Job>; PRIORITIES],
    /// Counts what was taken in turns.
    turn: usize,
    closed: bool,
}

impl Waiting {
    fn pop(&mut self, priority: ReadPriority) -> Option<Job> {
        self.jobs.get_mut(priority as usize)?.pop_front()
    }

    fn push(&mut self, priority: ReadPriority, job: Job) {
        if let Some(jobs) = self.jobs.get_mut(priority as usize) {
            jobs.push_back(job);
        }
    }

    /// The next job for a reader.
    fn next(&mut self, takes: Takes) -> Option<Job> {
        if let Some(job) = self.pop(ReadPriority::Dispatch) {
            return Some(job);
        }
        let turns = takes.in_turns();
        if turns.is_empty() {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % turns.len();
        (0..turns.len()).find_map(|step| {
            let priority = turns.get((first + step) % turns.len())?;
            self.pop(*priority)
        })
    }
}

struct ReadQueue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// The readers of a store. The first serves dispatch alone, the second of three or more everything but searches, the others
/// everything; dispatch goes first everywhere.
pub(super) struct ReadPool {
    queue: Arc<ReadQueue>,
    permits: [Arc<Semaphore>; PRIORITIES],
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ReadPool {
    pub(super) fn open(
        path: &Path,
        config: &SqliteConfig,
        watch: Option<&Arc<Watch>>,
        failure: &Failure,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(ReadQueue {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        });
        let readers = Self {
            queue,
            permits: [(); PRIORITIES].map(|()| Arc::new(Semaphore::new(config.reads_max))),
            threads: Mutex::default(),
        };
        for n in 0..config.readers_max {
            let conn = super::open::reading(path, config)?;
            let queue = Arc::clone(&readers.queue);
            let takes = Takes::of(n, config.readers_max);
            let (watch, failure) = (watch.cloned(), failure.clone());
            let thread = Builder::new()
                .name(format!("store-read-{n}"))
                .spawn(move || {
                    serve(&conn, &queue, takes);
                    // It may be the last one that closes.
                    let is_lost = watch.is_some_and(|watch| watch.lost().is_some());
                    if is_lost || failure.get().is_some() {
                        watch::leave_the_names_alone(&conn);
                    }
                })
                .map_err(|error| StoreError::Other(format!("start a reading thread: {error}")))?;
            readers.threads.lock().push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` on a reader and returns what it found.
    ///
    /// # Errors
    /// What `read` says; [`StoreError::Closed`]; [`StoreError::Other`] when `read` panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        priority: ReadPriority,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = self.permits.get(priority as usize).ok_or(StoreError::Closed)?;
        let permit = Arc::clone(permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            // With the job and not with who waits for it: a client that goes away leaves its place taken until here.
            let _permit = permit;
            if reply.is_closed() {
                return;
            }
            // A reader goes on after a panic: its connection only reads, and statements end with the unwinding.
            let found = catch_unwind(AssertUnwindSafe(|| read(conn))).unwrap_or_else(|_| {
                tracing::error!(priority = ?priority, "store read panicked");
                Err(StoreError::Other(
                    "the read failed by a fault of the program".into(),
                ))
            });
            let _gone = reply.send(found);
        });
        {
            let mut waiting = self.queue.waiting.lock();
            if waiting.closed {
                return Err(StoreError::Closed);
            }
            waiting.push(priority, job);
        }
        if priority == ReadPriority::Dispatch {
            self.queue.arrived.notify_one();
        } else {
            // The one that is woken alone might be one that does not take it.
            self.queue.arrived.notify_all();
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes nothing more; what waits is not done. The threads, to be waited for.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        self.permits.iter().for_each(|permits| permits.close());
        {
            let mut waiting = self.queue.waiting.lock();
            waiting.closed = true;
            waiting.jobs = Default::default();
        }
        self.queue.arrived.notify_all();
        std::mem::take(&mut *self.threads.lock())
    }
}

fn serve(conn: &Connection, queue: &ReadQueue, takes: Takes) {
    loop {
        let mut waiting = queue.waiting.lock();
        let job = loop {
            match waiting.next(takes) {
                Some(job) => break job,
                None if waiting.closed => return,
                None => queue.arrived.wait(&mut waiting),
            }
        };
        drop(waiting);
        job(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Mode, open};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn all_but_dispatch_take_turns_behind_it() {
        let order = Arc::new(Mutex::new(String::new()));
        let job = |letter: char| -> Job {
            let order = Arc::clone(&order);
            Box::new(move |_| order.lock().push(letter))
        };
        let conn = Connection::open_in_memory().unwrap();
        let mut waiting = Waiting::default();
        for (priority, letter, count) in [
            (ReadPriority::Query, 'q', 3),
            (ReadPriority::Outbox, 't', 2),
            (ReadPriority::Search, 's', 4),
            (ReadPriority::Dispatch, 'd', 1),
        ] {
            (0..count).for_each(|_| waiting.push(priority, job(letter)));
        }
        waiting.next(Takes::Dispatch).unwrap()(&conn);
        assert!(waiting.next(Takes::Dispatch).is_none(), "the rest is for others");
        waiting.next(Takes::Short).unwrap()(&conn);
        while let Some(job) = waiting.next(Takes::All) {
            job(&conn);
        }
        let order = order.lock();
        assert_eq!((order.len(), &order[..1]), (10, "d"));
        assert!(
            !order[..5].contains("ss") && !order[..5].contains("qq"),
            "{order}"
        );
    }

    /// Readers of an empty store, and where what they do is held up.
    fn readers(folder: &tempfile::TempDir, reads_max: usize) -> Arc<ReadPool> {
        let path = folder.path().join("s.db");
        let config = SqliteConfig {
            reads_max,
            ..SqliteConfig::default()
        };
        let mut conn = open::writing(&path, &config).unwrap();
        open::migrate(&mut conn, &path, Mode::Serve).unwrap();
        Arc::new(ReadPool::open(&path, &config, None, &Failure::default()).unwrap())
    }

    /// Begins `count` reads that last until the sender is dropped, and waits until those that can run do.
    fn hold(
        readers: &Arc<ReadPool>,
        priority: ReadPriority,
        count: usize,
        running: usize,
    ) -> (Vec<mpsc::Sender<()>>, Vec<tokio::task::JoinHandle<()>>) {
        let (began, begun) = mpsc::channel();
        let (held, tasks) = (0..count)
            .map(|_| {
                let (hold, held) = mpsc::channel::<()>();
                let (readers, began) = (Arc::clone(readers), began.clone());
                let task = tokio::spawn(async move {
                    let read = move |_: &Connection| {
                        began.send(()).unwrap();
                        let _dropped = held.recv();
                        Ok(())
                    };
                    // Closed with the store at the end of the test.
                    let _ended = readers.run(priority, read).await;
                });
                (hold, task)
            })
            .unzip();
        for _ in 0..running {
            begun.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        (held, tasks)
    }

    async fn answers(readers: &ReadPool, priority: ReadPriority) {
        let read = readers.run(priority, open_count);
        let read = tokio::time::timeout(Duration::from_secs(20), read).await;
        read.expect("not behind what is held").unwrap();
    }

    fn open_count(conn: &Connection) -> Result<i64, StoreError> {
        use crate::sqlite::error::Tried;
        conn.query_row("SELECT count(*) FROM queue", [], |row| row.get(0))
            .tried("count")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn searches_hold_back_neither_sending_nor_status_queries() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, 4);
        // Twice as many clients as there are permits, and nothing they began ends.
        let searches = hold(&readers, ReadPriority::Search, 8, 1);
        for _ in 0..5 {
            answers(&readers, ReadPriority::Dispatch).await;
            answers(&readers, ReadPriority::Query).await;
            answers(&readers, ReadPriority::Outbox).await;
        }
        let queries = hold(&readers, ReadPriority::Query, 8, 1);
        answers(&readers, ReadPriority::Dispatch).await;
        drop((searches.0, queries.0));
        for task in searches.1.into_iter().chain(queries.1) {
            task.await.unwrap();
        }
        answers(&readers, ReadPriority::Search).await;
        for thread in readers.close() {
            thread.join().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn reads_that_nobody_waits_for_any_more_take_no_more_room_than_others() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, 2);
        let held = hold(&readers, ReadPriority::Search, 1, 1);
        // Each client requests a read and goes away.
        for _ in 0..50 {
            let read = readers.run(ReadPriority::Search, open_count);
            let _elapsed = tokio::time::timeout(Duration::from_millis(1), read).await;
        }
        let waiting = readers.queue.waiting.lock().jobs[ReadPriority::Search as usize].len();
        assert!(waiting <= 1, "{waiting} wait beside the one that is read");
        drop(held.0);
        for task in held.1 {
            task.await.unwrap();
        }
        answers(&readers, ReadPriority::Search).await;
        for thread in readers.close() {
            thread.join().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_readers_serve_all_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let config = SqliteConfig {
            readers_max: 2,
            ..SqliteConfig::default()
        };
        let mut conn = open::writing(&path, &config).unwrap();
        open::migrate(&mut conn, &path, Mode::Serve).unwrap();
        let readers = ReadPool::open(&path, &config, None, &Failure::default()).unwrap();
        for priority in [
            ReadPriority::Dispatch,
            ReadPriority::Query,
            ReadPriority::Outbox,
            ReadPriority::Search,
        ] {
            answers(&readers, priority).await;
        }
        for thread in readers.close() {
            thread.join().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_read_that_panics_costs_its_own_answer_only() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder, 4);
        for priority in [ReadPriority::Dispatch, ReadPriority::Query, ReadPriority::Search] {
            for _ in 0..5 {
                let read = readers.run(priority, |_| -> Result<(), StoreError> { panic!("a fault") });
                assert!(matches!(read.await, Err(StoreError::Other(_))));
            }
            answers(&readers, priority).await;
        }
    }
}
