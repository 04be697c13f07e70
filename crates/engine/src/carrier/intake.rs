//! The rate limit for inbound messages of one carrier: its sessions share one token bucket, so that a carrier that floods
//! the node does not fill the disk.
//!
//! The burst is the rate of one second. A message beyond it is answered with `ESME_RTHROTTLED`, and the carrier may
//! deliver it again. Receipts are not limited here: those of messages are wanted at any rate, and the store bounds the
//! unmatched ones.

use parking_lot::Mutex;
use tokio::time::Instant;

/// What one message or part may have for one token, in octets. A short message has 140, a `message_payload` up to
/// 65 535.
const OCTETS_A_TOKEN: usize = 256;
/// What may come at once: a second's worth, in microseconds.
const BURST_US: u64 = 1_000_000;

/// The token bucket of one carrier.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Tokens a second; 0: no bound.
    per_s_max: u32,
    began: Instant,
    /// When the bucket is full again, in microseconds since `began`.
    full_at_us: Mutex<u64>,
}

impl Intake {
    /// A full bucket that gets `per_s_max` tokens a second and has room for so many; 0: no bound.
    pub(crate) fn new(per_s_max: u32) -> Self {
        Self {
            per_s_max,
            began: Instant::now(),
            full_at_us: Mutex::new(0),
        }
    }

    /// Whether a message or part of so many octets may be taken now; if so, it is paid for.
    pub(crate) fn take(&self, octets: usize) -> bool {
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.take_at(now_us, octets)
    }

    /// Whoever has one token may have what costs more, and owes the rest: a long message at a low rate would else be
    /// offered for ever.
    fn take_at(&self, now_us: u64, octets: usize) -> bool {
        if self.per_s_max == 0 {
            return true;
        }
        let tokens = octets.div_ceil(OCTETS_A_TOKEN).max(1) as u64;
        let cost_us = |tokens: u64| tokens.saturating_mul(1_000_000) / u64::from(self.per_s_max);
        let mut full_at_us = self.full_at_us.lock();
        let from_us = (*full_at_us).max(now_us);
        let has_one = from_us.saturating_add(cost_us(1)) <= now_us.saturating_add(BURST_US);
        if has_one {
            *full_at_us = from_us.saturating_add(cost_us(tokens));
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(intake: &Intake, now_us: u64, octets: usize) -> usize {
        (0..10_000).filter(|_| intake.take_at(now_us, octets)).count()
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_then_the_rate_holds() {
        let intake = Intake::new(500);
        assert_eq!(taken(&intake, 0, 10), 500);
        assert_eq!(taken(&intake, 1_999, 10), 0);
        assert_eq!(taken(&intake, 2_000, 10), 1);
        assert_eq!(taken(&intake, 102_000, 10), 50);
        assert_eq!(
            taken(&intake, 60_000_000, 10),
            500,
            "no more than a second's worth is saved up"
        );
    }

    #[test]
    fn octets_are_paid_for() {
        let intake = Intake::new(500);
        assert_eq!(taken(&intake, 0, 257), 250);
        assert_eq!(taken(&intake, 10_000_000, 256), 500);
        assert_eq!(taken(&intake, 20_000_000, 0), 500);
    }

    #[test]
    fn what_costs_more_than_there_ever_is_is_taken_and_owed() {
        let intake = Intake::new(10);
        assert_eq!(taken(&intake, 0, 65_535), 1);
        // 256 tokens are gone, and the bucket has room for ten.
        assert_eq!(taken(&intake, 24_600_000, 1), 0);
        assert_eq!(taken(&intake, 24_700_000, 1), 1);
    }

    #[test]
    fn without_a_rate_there_is_no_bound() {
        assert_eq!(taken(&Intake::new(0), 0, 65_535), 10_000);
    }
}
