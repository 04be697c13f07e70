//! How long a message may wait here before it is sent.

use sms::class::Class;
use store::UnixMs;

/// Time to live by traffic class, in seconds; 0 for no end. A template may set its own.
///
/// It counts from the time a message is due: its schedule, or its acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeToLive {
    /// Codes.
    pub otp_s: u32,
    /// Notices.
    pub notice_s: u32,
    /// Marketing.
    pub marketing_s: u32,
}

/// The shortest time to live that can be set, in seconds; 0 is no end.
pub const TTL_S_MIN: u32 = 10;
/// The longest time to live that can be set, in seconds: 30 days.
pub const TTL_S_MAX: u32 = 30 * 86_400;

impl Default for TimeToLive {
    fn default() -> Self {
        Self {
            otp_s: 600,
            notice_s: 72 * 3_600,
            marketing_s: 72 * 3_600,
        }
    }
}

impl TimeToLive {
    const fn of(self, class: Class) -> u32 {
        match class {
            Class::Otp => self.otp_s,
            Class::Notice => self.notice_s,
            Class::Marketing => self.marketing_s,
        }
    }
}

/// When messages end that are accepted now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// What holds for templates that set nothing.
    pub(crate) time_to_live: TimeToLive,
    /// The present.
    pub(crate) now: UnixMs,
}

impl Lifetime {
    /// The absolute end of a message of `class` that is due at `due` (`None`: at once). `own_s` is what its template
    /// sets, `ends_at` an end that the request sets; the earlier one counts.
    pub(crate) fn end(
        &self,
        class: Class,
        own_s: Option<u32>,
        due: Option<UnixMs>,
        ends_at: Option<UnixMs>,
    ) -> Option<UnixMs> {
        let due = due.map_or(self.now, |due| due.max(self.now));
        let ttl_s = own_s.unwrap_or_else(|| self.time_to_live.of(class));
        let ttl_end = (ttl_s > 0).then(|| due.saturating_add(i64::from(ttl_s) * 1_000));
        [ttl_end, ends_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_counts_from_when_a_message_is_due() {
        let lifetime = Lifetime {
            time_to_live: TimeToLive {
                marketing_s: 0,
                ..TimeToLive::default()
            },
            now: 1_000_000,
        };
        let end = |class, own_s, due, ends_at| lifetime.end(class, own_s, due, ends_at);
        assert_eq!(end(Class::Otp, None, None, None), Some(1_600_000));
        assert_eq!(
            end(Class::Otp, None, Some(9_000_000), None),
            Some(9_600_000),
            "from its schedule"
        );
        assert_eq!(
            end(Class::Otp, None, Some(5), None),
            Some(1_600_000),
            "a schedule that has passed is now"
        );
        assert_eq!(end(Class::Marketing, None, None, None), None, "0 is no end");
        assert_eq!(end(Class::Otp, Some(0), None, None), None, "a template's 0 too");
        assert_eq!(end(Class::Marketing, Some(60), None, None), Some(1_060_000));
        assert_eq!(
            end(Class::Notice, None, None, Some(7)),
            Some(7),
            "the earlier counts"
        );
        assert_eq!(end(Class::Otp, None, None, Some(2_000_000)), Some(1_600_000));
        assert_eq!(end(Class::Marketing, None, None, Some(7)), Some(7));
    }
}
