//! The page of metrics, encoded once for concurrent requests: clients may request it as often as they like.

use super::exposition::{self, Format};
use axum::body::Bytes;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A page is valid for this multiple of its encoding time: encoding takes at most a tenth of a core.
const GOOD_FOR_TIMES: u32 = 10;
/// But not longer than this: scrapers poll every few seconds and need current values.
const GOOD_FOR_MAX: Duration = Duration::from_secs(1);

/// Encodes the page as OpenMetrics.
type Encode = dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, fmt::Error>> + Send>> + Send + Sync;

/// The last encoded page, and the encoder.
pub(super) struct Pages {
    encode: Box<Encode>,
    last: Mutex<Option<Page>>,
}

struct Page {
    good_until: Instant,
    open_metrics: Bytes,
    /// Encodes pages on request.
    classic: Option<Bytes>,
}

impl Page {
    fn new(text: String, began: Instant) -> Self {
        let good_for = (began.elapsed() * GOOD_FOR_TIMES).min(GOOD_FOR_MAX);
        Self {
            good_until: Instant::now() + good_for,
            open_metrics: text.into(),
            classic: None,
        }
    }

    fn in_format(&mut self, format: Format) -> Bytes {
        match format {
            Format::OpenMetrics => self.open_metrics.clone(),
            Format::Classic => {
                let open_metrics = &self.open_metrics;
                let write = || exposition::classic(&String::from_utf8_lossy(open_metrics)).into();
                self.classic.get_or_insert_with(write).clone()
            }
        }
    }
}

impl Pages {
    pub(super) fn new<F>(encode: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, fmt::Error>> + Send + 'static,
    {
        Self {
            encode: Box::new(move || Box::pin(encode())),
            last: Mutex::default(),
        }
    }

    /// The page, at most [`GOOD_FOR_MAX`] old.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(super) async fn page(&self, format: Format) -> Result<Bytes, fmt::Error> {
        // Held while it is encoded: concurrent requests share it.
        let mut last = self.last.lock().await;
        if let Some(page) = &mut *last
            && Instant::now() < page.good_until
        {
            return Ok(page.in_format(format));
        }
        let began = Instant::now();
        let text = (self.encode)().await?;
        Ok(last.insert(Page::new(text, began)).in_format(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Pages with the number of those encoded before, each of which takes this long.
    fn counted(takes: Duration) -> Arc<Pages> {
        let encoded = Arc::new(AtomicUsize::new(0));
        Arc::new(Pages::new(move || {
            let number = encoded.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(takes).await;
                Ok(format!("# TYPE n counter\nn_total {number}\n# EOF\n"))
            }
        }))
    }

    fn number(page: &Bytes) -> String {
        let text = String::from_utf8(page.to_vec()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("n_total "));
        line.unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_share_one_page_in_both_formats() {
        let pages = counted(Duration::from_millis(20));
        let requests: Vec<_> = (0..100)
            .map(|count| {
                let pages = Arc::clone(&pages);
                let format = if count % 2 == 0 {
                    Format::Classic
                } else {
                    Format::OpenMetrics
                };
                tokio::spawn(async move { (format, pages.page(format).await.unwrap()) })
            })
            .collect();
        for request in requests {
            let (format, page) = request.await.unwrap();
            assert_eq!(number(&page), "0");
            assert_eq!(page.ends_with(b"# EOF\n"), format == Format::OpenMetrics);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_good_for_ten_times_what_it_took_and_for_a_second_at_most() {
        for (takes, good_for) in [(20, 200), (90, 900), (500, 1_000)]
            .map(|(takes, good_for)| (Duration::from_millis(takes), Duration::from_millis(good_for)))
        {
            let pages = counted(takes);
            let mut numbers = Vec::new();
            for wait in [
                Duration::ZERO,
                good_for / 2,
                good_for / 2 + Duration::from_millis(2),
            ] {
                tokio::time::sleep(wait).await;
                numbers.push(number(&pages.page(Format::Classic).await.unwrap()));
            }
            assert_eq!(numbers, ["0", "0", "1"], "{takes:?}");
        }
    }
}
