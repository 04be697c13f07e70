//! How long things took: a histogram in buckets that grow with the value.

/// Sub-buckets of each power of two: values are kept within 1/32, about 3 %.
const SUBS_BITS: u32 = 5;
const SUBS: u64 = 1 << SUBS_BITS;
const BUCKETS: usize = ((64 - SUBS_BITS as usize) + 1) << SUBS_BITS;

/// Counts of values, exact below 32 and within 3 % above. 15 kB, whatever is recorded.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Adds a value.
    pub fn record(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(value);
    }

    /// Adds everything another histogram holds.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The largest value; 0 if there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `share` (0 to 1) of all values do not exceed, rounded up by 3 % at most; 0 if there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (share.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest(bucket).min(self.max);
            }
        }
        self.max
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("len", &self.total)
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max)
            .finish()
    }
}

/// Values below [`SUBS`] have their own bucket; each power of two above is cut into [`SUBS`].
fn bucket(value: u64) -> usize {
    let Some(power) = value.checked_ilog2().filter(|power| *power >= SUBS_BITS) else {
        return value as usize;
    };
    let shift = power - SUBS_BITS;
    let sub = (value >> shift) - SUBS;
    (((u64::from(shift) + 1) << SUBS_BITS) + sub) as usize
}

/// The largest value in a bucket.
fn highest(bucket: usize) -> u64 {
    let (row, sub) = (bucket as u64 >> SUBS_BITS, bucket as u64 % SUBS);
    if row == 0 {
        return sub;
    }
    let shift = row - 1;
    let lowest = (SUBS + sub) << shift;
    lowest + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_are_narrow() {
        for power in 0..64 {
            for value in [
                1_u64 << power,
                (1 << power) + (1 << power) / 3,
                u64::MAX >> (63 - power),
            ] {
                let top = highest(bucket(value));
                assert!(value <= top, "{value} {top}");
                assert!(top - value <= value / 32, "{value} {top}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_are_found_and_histograms_add_up() {
        let (mut low, mut high) = (Histogram::default(), Histogram::default());
        (1..=500).for_each(|value| low.record(value));
        (501..=1000).for_each(|value| high.record(value));
        low.add(&high);
        assert_eq!((low.len(), low.max()), (1000, 1000));
        for (share, expected) in [(0.0, 1_u64), (0.5, 500), (0.99, 990), (1.0, 1000)] {
            let found = low.quantile(share);
            assert!(
                found >= expected && found <= expected + expected / 32,
                "{share}: {found}"
            );
        }
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
