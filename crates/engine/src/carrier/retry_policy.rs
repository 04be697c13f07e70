//! What follows from a carrier's answer, or from its absence, as pure functions (docs/carriers-and-routes.md,
//! "Failures and retries").

use crate::catalog::SmppSettings;
use smpp::status::{CommandStatus, StatusClass};
use sms::state::MessageState;
use store::{CarrierNo, Next, UnixMs};

/// When and how often a carrier is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// Attempts that end a message.
    pub(crate) attempts_max: u8,
    /// Milliseconds before the first retry.
    pub(crate) first_ms: i64,
    /// Longest pause.
    pub(crate) longest_ms: i64,
    /// Meanings of the carrier's own codes.
    pub(crate) own: Vec<(u32, StatusClass)>,
}

impl RetryPolicy {
    pub(crate) fn of(settings: &SmppSettings) -> Self {
        let own = settings
            .status_classes
            .iter()
            .filter_map(|(code, class)| Some((read_code(code)?, read_class(class)?)));
        Self {
            attempts_max: settings.attempts_max.max(1),
            first_ms: i64::from(settings.retry_s.max(1)) * 1000,
            longest_ms: i64::from(settings.retry_s_max.max(settings.retry_s).max(1)) * 1000,
            own: own.collect(),
        }
    }

    pub(crate) fn class(&self, status: CommandStatus) -> StatusClass {
        let own = self
            .own
            .iter()
            .find(|(code, _)| *code == status.0)
            .map(|(_, class)| *class);
        own.unwrap_or_else(|| status.class())
    }

    /// The pause before the next attempt after `attempts` of them: doubled each time, with up to a quarter of
    /// jitter so that what failed together does not come back together. `jitter` is in 0.0..1.0.
    pub(crate) fn pause_ms(&self, attempts: u8, jitter: f64) -> i64 {
        let doublings = u32::from(attempts.saturating_sub(1)).min(20);
        let pause = self.first_ms.saturating_mul(1 << doublings).min(self.longest_ms);
        pause + (pause as f64 * 0.25 * jitter.clamp(0.0, 1.0)) as i64
    }
}

/// Reads `"0x400"` or `"1024"`.
pub(crate) fn read_code(code: &str) -> Option<u32> {
    match code.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => code.parse().ok(),
    }
}

/// Reads the name of a class as it stands in a carrier's settings.
pub(crate) fn read_class(class: &str) -> Option<StatusClass> {
    Some(match class {
        "slow_down" => StatusClass::SlowDown,
        "transient" => StatusClass::Transient,
        "permanent_recipient" => StatusClass::PermanentRecipient,
        "permanent_route" => StatusClass::PermanentRoute,
        "session" => StatusClass::Session,
        _ => return None,
    })
}

/// What is known when the answers to a message are in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerContext {
    /// Attempts counted, this one included.
    pub(crate) attempts: u8,
    pub(crate) now: UnixMs,
    pub(crate) carrier: CarrierNo,
    /// The next carrier of the message's route after this one, if any.
    pub(crate) next_carrier: Option<CarrierNo>,
    /// Whether the carrier has some segment of it: then it may not go elsewhere, or parts would arrive twice.
    pub(crate) partly_taken: bool,
    /// 0.0..1.0, so that what failed together does not come back together.
    pub(crate) jitter: f64,
}

impl AnswerContext {
    fn again(&self, carrier: CarrierNo, pause_ms: i64) -> Next {
        Next::Retry {
            due: self.now + pause_ms,
            carrier,
        }
    }

    fn other_carrier(&self) -> Option<CarrierNo> {
        self.next_carrier.filter(|_| !self.partly_taken)
    }

    /// The end of a message that no carrier takes whole.
    fn failed(&self) -> Next {
        Next::Final(if self.partly_taken {
            MessageState::Undelivered
        } else {
            MessageState::Rejected
        })
    }

    /// Half of the attempts here, then the next carrier of the route.
    fn retry_carrier(&self, policy: &RetryPolicy) -> CarrierNo {
        self.other_carrier()
            .filter(|_| u16::from(self.attempts) * 2 >= u16::from(policy.attempts_max))
            .unwrap_or(self.carrier)
    }
}

/// Pause before a throttled message is sent again.
const SLOW_DOWN_MS: i64 = 500;

/// What follows from the worst class among the answers to a message's segments. Segments refused for now go again by
/// themselves; only a final refusal of one, or too many attempts, ends the message.
pub(crate) fn after_answer(policy: &RetryPolicy, class: StatusClass, context: AnswerContext) -> Next {
    let spent = context.attempts >= policy.attempts_max;
    let pause = policy.pause_ms(context.attempts, context.jitter);
    match class {
        StatusClass::Ok => Next::Submitted,
        StatusClass::SlowDown => {
            let jitter = (SLOW_DOWN_MS as f64 * context.jitter.clamp(0.0, 1.0)) as i64;
            context.again(context.carrier, SLOW_DOWN_MS + jitter)
        }
        StatusClass::PermanentRecipient => context.failed(),
        StatusClass::PermanentRoute => match context.other_carrier() {
            Some(carrier) if !spent => context.again(carrier, 0),
            _ => context.failed(),
        },
        // The message is not at fault; the bind is looked after by its runner.
        StatusClass::Session => context.again(context.other_carrier().unwrap_or(context.carrier), pause),
        _ if spent => context.failed(),
        _ => context.again(context.retry_carrier(policy), pause),
    }
}

/// What follows when an answer was lost and the carrier's policy is to send again. It counts as an attempt: the first is
/// repeated at once, later ones after growing pauses, and after [`RetryPolicy::attempts_max`] the message ends as
/// unknown, because the carrier may have taken any of them.
pub(crate) fn after_lost_answer(policy: &RetryPolicy, context: AnswerContext) -> Next {
    if context.attempts >= policy.attempts_max {
        return Next::Final(MessageState::Unknown);
    }
    let pause = match context.attempts {
        0 | 1 => 0,
        attempts => policy.pause_ms(attempts - 1, context.jitter),
    };
    context.again(context.retry_carrier(policy), pause)
}

/// How final a class is: of the answers to several segments the most final decides.
pub(crate) const fn severity(class: StatusClass) -> u8 {
    match class {
        StatusClass::Ok => 0,
        StatusClass::SlowDown => 1,
        StatusClass::Session => 2,
        StatusClass::PermanentRoute => 4,
        StatusClass::PermanentRecipient => 5,
        _ => 3,
    }
}

/// Whether an answer of this class ends a message of which other segments are still to be sent.
pub(crate) const fn ends(class: StatusClass) -> bool {
    matches!(
        class,
        StatusClass::PermanentRoute | StatusClass::PermanentRecipient
    )
}

/// The name of a class in metrics.
pub(crate) const fn class_name(class: StatusClass) -> &'static str {
    match class {
        StatusClass::Ok => "ok",
        StatusClass::SlowDown => "slow_down",
        StatusClass::Transient => "transient",
        StatusClass::PermanentRecipient => "permanent_recipient",
        StatusClass::PermanentRoute => "permanent_route",
        StatusClass::Session => "session",
        _ => "vendor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy::of(&SmppSettings {
            status_classes: [("0x400".to_owned(), "permanent_recipient".to_owned())].into(),
            ..SmppSettings::default()
        })
    }

    fn context(attempts: u8, next_carrier: Option<u16>) -> AnswerContext {
        AnswerContext {
            attempts,
            now: 1_000,
            carrier: CarrierNo(1),
            next_carrier: next_carrier.map(CarrierNo),
            partly_taken: false,
            jitter: 0.0,
        }
    }

    const fn retry(carrier: u16, due: i64) -> Next {
        Next::Retry {
            due,
            carrier: CarrierNo(carrier),
        }
    }

    fn after(status: u32, context: AnswerContext) -> Next {
        let policy = policy();
        after_answer(&policy, policy.class(CommandStatus(status)), context)
    }

    #[test]
    fn each_class_has_its_consequence() {
        let next = |status, attempts, next_carrier| after(status, context(attempts, next_carrier));
        let rejected = Next::Final(MessageState::Rejected);
        assert_eq!(next(0x00, 1, None), Next::Submitted);
        assert_eq!(
            next(0x58, 200, None),
            retry(1, 1_500),
            "throttling never ends a message"
        );
        assert_eq!(
            next(0x14, 1, Some(2)),
            retry(1, 1_500),
            "a full queue is no reason to go elsewhere"
        );
        assert_eq!(next(0x0B, 1, Some(2)), rejected, "a bad number is bad everywhere");
        assert_eq!(
            next(0x400, 1, Some(2)),
            rejected,
            "a carrier's own code means what its table says"
        );
        assert_eq!(
            next(0x0A, 1, Some(2)),
            retry(2, 1_000),
            "another route may take the sender"
        );
        assert_eq!(next(0x0A, 1, None), rejected);
        assert_eq!(
            next(0x08, 1, Some(2)),
            retry(1, 6_000),
            "a transient error is tried here first"
        );
        assert_eq!(next(0x08, 3, Some(2)), retry(2, 21_000), "then elsewhere");
        assert_eq!(next(0x08, 5, Some(2)), rejected, "and ends");
        assert_eq!(
            next(0x04, 9, None),
            retry(1, 901_000),
            "a session out of order is not the message's fault"
        );
        assert_eq!(
            next(0x08, 200, Some(2)),
            rejected,
            "however many attempts there were"
        );
    }

    #[test]
    fn segments_refused_for_now_go_again_on_the_carrier_that_has_the_others() {
        let partly = |attempts, next_carrier| AnswerContext {
            partly_taken: true,
            ..context(attempts, next_carrier)
        };
        let undelivered = Next::Final(MessageState::Undelivered);
        assert_eq!(after(0x58, partly(1, Some(2))), retry(1, 1_500));
        assert_eq!(after(0x14, partly(9, Some(2))), retry(1, 1_500));
        assert_eq!(after(0x08, partly(1, Some(2))), retry(1, 6_000));
        assert_eq!(
            after(0x08, partly(3, Some(2))),
            retry(1, 21_000),
            "never elsewhere"
        );
        assert_eq!(after(0x08, partly(5, Some(2))), undelivered);
        assert_eq!(
            after(0x0B, partly(1, Some(2))),
            undelivered,
            "a final refusal ends it"
        );
        assert_eq!(after(0x0A, partly(1, Some(2))), undelivered);
    }

    #[test]
    fn lost_answers_count_pause_longer_and_end() {
        let next = |attempts, next_carrier| after_lost_answer(&policy(), context(attempts, next_carrier));
        assert_eq!(next(1, Some(2)), retry(1, 1_000), "at once");
        assert_eq!(next(2, Some(2)), retry(1, 6_000));
        assert_eq!(
            next(3, Some(2)),
            retry(2, 11_000),
            "elsewhere after half of the attempts"
        );
        assert_eq!(next(3, None), retry(1, 11_000));
        assert_eq!(next(4, None), retry(1, 21_000));
        assert_eq!(next(5, Some(2)), Next::Final(MessageState::Unknown));
        assert_eq!(next(255, Some(2)), Next::Final(MessageState::Unknown));
        let partly = AnswerContext {
            partly_taken: true,
            ..context(3, Some(2))
        };
        assert_eq!(after_lost_answer(&policy(), partly), retry(1, 11_000));
    }

    #[test]
    fn pauses_double_up_to_their_limit() {
        let policy = policy();
        let pauses: Vec<_> = (1..=10).map(|attempts| policy.pause_ms(attempts, 0.0)).collect();
        assert_eq!(
            pauses,
            [
                5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 900_000, 900_000
            ]
        );
        assert_eq!(policy.pause_ms(1, 1.0), 6_250);
        assert_eq!(policy.pause_ms(255, 0.0), 900_000);
    }

    #[test]
    fn codes_read_in_both_notations() {
        assert_eq!(read_code("0x400"), Some(1024));
        assert_eq!(read_code("1024"), Some(1024));
        assert_eq!(read_code("x"), None);
        assert_eq!(read_class("transient"), Some(StatusClass::Transient));
        assert_eq!(read_class("unheard_of"), None);
    }
}
