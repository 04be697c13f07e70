//! What the engine logs, for tests that run on one thread.

use super::WAIT_MAX;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// Warnings and errors of this thread, each with when it came.
pub(crate) struct Lines {
    lines: Arc<Kept>,
    _guard: DefaultGuard,
}

#[derive(Default)]
struct Kept(Mutex<Vec<(Instant, String)>>);

impl Lines {
    /// Follows what is logged on this thread until it is dropped.
    pub(crate) fn follow() -> Self {
        let lines = Arc::new(Kept::default());
        Self {
            _guard: tracing::subscriber::set_default(Arc::clone(&lines)),
            lines,
        }
    }

    /// When lines with this text came.
    pub(crate) fn of(&self, text: &str) -> Vec<Instant> {
        let lines = self.lines.0.lock().unwrap();
        let found = lines.iter().filter(|(_, line)| line.contains(text));
        found.map(|(at, _)| *at).collect()
    }

    /// Waits until there are so many lines with this text; when they came.
    pub(crate) async fn until(&self, text: &str, count: usize) -> Vec<Instant> {
        super::until(text, || self.of(text).len() >= count).await;
        self.of(text)
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Written(String);
        impl Visit for Written {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let _written = write!(self.0, "{field}={value:?} ");
            }
        }
        let mut written = Written(String::new());
        event.record(&mut written);
        self.0.lock().unwrap().push((Instant::now(), written.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
