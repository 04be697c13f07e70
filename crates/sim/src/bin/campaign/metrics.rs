//! The node's own figures.

/// A page of metrics, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    samples: Vec<(String, f64)>,
}

impl Metrics {
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self {
            samples: lines.filter_map(sample).collect(),
        }
    }

    /// The sum over all series of a metric; 0 if there is none.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.sum_with(name, "")
    }

    /// The sum over the series of a metric whose labels contain `label`.
    pub(crate) fn sum_with(&self, name: &str, label: &str) -> f64 {
        let of_metric = |series: &str| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some(labels.contains(label))
        };
        let wanted = self
            .samples
            .iter()
            .filter(|(series, _)| of_metric(series) == Some(true));
        wanted.map(|(_, value)| value).sum()
    }

    /// Messages that wait, for their turn or for another try, or are on their way to a carrier.
    pub(crate) fn unsent(&self) -> u64 {
        let state = |state: &str| self.sum_with("postrider_messages", &format!("state=\"{state}\"")) as u64;
        state("queued") + state("delayed") + state("in_flight")
    }

    /// Webhook calls that wait for a retry.
    pub(crate) fn waiting_calls(&self) -> u64 {
        self.sum("postrider_notify_waiting_calls") as u64
    }

    /// Age in seconds of the oldest event that an endpoint has not received, summed over all endpoints.
    pub(crate) fn behind_s(&self) -> f64 {
        self.sum("postrider_notify_behind_seconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_label() {
        let metrics = Metrics::read(
            "# TYPE postrider_binds gauge\npostrider_binds{carrier=\"1\"} 2\npostrider_binds{carrier=\"2\"} 3\n\
             postrider_binds_other 9\npostrider_messages{state=\"queued\"} 7\npostrider_messages{state=\"delayed\"} 1\n\
             process_resident_memory_bytes 1000\n# EOF\n",
        );
        assert_eq!(metrics.sum("postrider_binds"), 5.0);
        assert_eq!(metrics.sum_with("postrider_binds", "carrier=\"2\""), 3.0);
        assert_eq!(metrics.unsent(), 8);
        assert_eq!(metrics.sum("nothing"), 0.0);
    }
}
