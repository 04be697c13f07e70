//! What follows from a carrier's answer: contract/sms-facts.md section 4 as a pure function.

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

/// What is known when a message's answers are in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) class: StatusClass,
    /// Attempts counted, this one included.
    pub(crate) attempts: u8,
    pub(crate) now: UnixMs,
    pub(crate) here: CarrierNo,
    /// The next carrier of the message's route after this one, if any.
    pub(crate) elsewhere: Option<CarrierNo>,
    /// Whether some other segment of it was taken: then it may not go elsewhere, or parts would arrive twice.
    pub(crate) partly_taken: bool,
    pub(crate) jitter: f64,
}

/// Pause before a message is offered again to a bind that asked to slow down.
const SLOW_DOWN_MS: i64 = 500;

/// What follows from the class of an answer.
pub(crate) fn next(policy: &RetryPolicy, case: Case) -> Next {
    let spent = case.attempts >= policy.attempts_max;
    let again = |carrier, pause| Next::Retry {
        due: case.now + pause,
        carrier,
    };
    let pause = policy.pause_ms(case.attempts, case.jitter);
    let elsewhere = case.elsewhere.filter(|_| !case.partly_taken);
    match case.class {
        StatusClass::Ok => Next::Submitted,
        _ if case.partly_taken => Next::Final(MessageState::Undelivered),
        StatusClass::SlowDown => again(
            case.here,
            SLOW_DOWN_MS + (SLOW_DOWN_MS as f64 * case.jitter.clamp(0.0, 1.0)) as i64,
        ),
        StatusClass::PermanentRecipient => Next::Final(MessageState::Rejected),
        StatusClass::PermanentRoute => match elsewhere {
            Some(carrier) if !spent => again(carrier, 0),
            _ => Next::Final(MessageState::Rejected),
        },
        // The message is not at fault; the bind is looked after by its runner.
        StatusClass::Session => again(elsewhere.unwrap_or(case.here), pause),
        _ if spent => Next::Final(MessageState::Rejected),
        // Half of the attempts here, then the next carrier of the route.
        _ => match elsewhere {
            Some(carrier) if case.attempts * 2 >= policy.attempts_max => again(carrier, pause),
            _ => again(case.here, pause),
        },
    }
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

    fn case(status: CommandStatus, attempts: u8, elsewhere: Option<u16>) -> Case {
        Case {
            class: policy().class(status),
            attempts,
            now: 1_000,
            here: CarrierNo(1),
            elsewhere: elsewhere.map(CarrierNo),
            partly_taken: false,
            jitter: 0.0,
        }
    }

    #[test]
    fn each_class_has_its_consequence() {
        let next = |status: u32, attempts, elsewhere| {
            next(&policy(), case(CommandStatus(status), attempts, elsewhere))
        };
        let retry = |carrier, due| Next::Retry {
            due,
            carrier: CarrierNo(carrier),
        };
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
    }

    #[test]
    fn a_message_partly_taken_is_not_sent_again() {
        let mut case = case(CommandStatus(0x08), 1, Some(2));
        case.partly_taken = true;
        assert_eq!(next(&policy(), case), Next::Final(MessageState::Undelivered));
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
        assert_eq!(read_class("whatever"), None);
    }
}
