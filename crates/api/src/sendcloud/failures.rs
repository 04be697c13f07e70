//! How messages fail after they were accepted: one table for the status query, the statistics and the SMSHook
//! (docs/dialects/sendcloud.md; the SendCloud document, last table).

use super::codes::Language;
use super::display_texts::{DELIVERED, DisplayText, PROCESSING_FAILED, REQUESTED, SENDING_FAILED};
use crate::delivery_result::DeliveryResult;
use engine::sms::state::MessageState;

/// One way to fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `statusCode`: 4xx failed in processing, 5xx failed at the carrier.
    pub(super) code: u16,
    /// What it means, as the service says it.
    pub(super) chinese: &'static str,
    /// What it means, as the English page says it; where that has no word for it, ours.
    pub(super) english: &'static str,
    /// The worker's own words; those of 420 and 430 are the vendor's, the others made alike. Carriers have words of
    /// their own: empty.
    pub(super) log: &'static str,
    /// Its column in the statistics. The vendor's spelling.
    pub(super) column: &'static str,
}

const fn failure(
    code: u16,
    chinese: &'static str,
    english: &'static str,
    log: &'static str,
    column: &'static str,
) -> Failure {
    Failure {
        code,
        chinese,
        english,
        log,
        column,
    }
}

/// All of them.
pub(super) static FAILURES: [Failure; 16] = [
    failure(
        410,
        "全局拦截列表",
        "number is in global intercept list",
        "address in global bounce list",
        "globalBlackListNum",
    ),
    failure(
        420,
        "局部拦截列表",
        "number is in local intercept list",
        "address in local bounce list",
        "userBlackListNum",
    ),
    failure(
        430,
        "取消订阅",
        "unsubscribe",
        "address in unsubscribe list",
        "unsubscribleNum",
    ),
    failure(
        440,
        "关键词过滤",
        "key words filtering",
        "content filtered by keyword",
        "keyWordFilterNum",
    ),
    failure(
        450,
        "替换变量错误",
        "wrong replacement variable",
        "variable error",
        "errorVarsNum",
    ),
    failure(
        460,
        "短信内容超过500字",
        "SMS content cannot be more than 500 characters",
        "content over 500 characters",
        "varsContentTooLongNum",
    ),
    failure(500, "空号", "non-existed number", "", "emptyPhoneNumberNum"),
    failure(510, "停机", "number out of service", "", "outOfServiceNum"),
    failure(520, "拦截", "number is blacklisted", "", "interceptNum"),
    failure(530, "占线", "busy", "", "busyNum"),
    failure(540, "无人接听", "no answer", "", "noAnswerNum"),
    failure(
        550,
        "被投诉",
        "template content was complained",
        "",
        "complaintsNum",
    ),
    failure(560, "手机故障", "handset out of order", "", "breakDownNum"),
    failure(570, "不在服务区", "out of coverage", "", "notInServiceNum"),
    failure(580, "关机", "phone powered off", "", "shutDownNum"),
    failure(590, "其他", "other reasons", "", "othersNum"),
];

impl Failure {
    /// The failure of a code; 590 stands for those that nobody lists.
    pub(super) fn of(code: u16) -> &'static Self {
        let [.., other] = &FAILURES;
        FAILURES
            .iter()
            .find(|failure| failure.code == code)
            .unwrap_or(other)
    }

    /// What it means.
    pub(super) const fn meaning(&self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.chinese,
            Language::English => self.english,
        }
    }

    /// Whether it failed before it left.
    pub(super) const fn in_processing(&self) -> bool {
        self.code < 500
    }
}

/// `status` of the status query.
pub(super) fn status(delivery_result: DeliveryResult, language: Language) -> String {
    let failed = |what: &DisplayText, code| {
        let meaning = Failure::of(code).meaning(language);
        format!("{}-{meaning}", what.in_language(language))
    };
    match delivery_result {
        DeliveryResult::Requested | DeliveryResult::Sent => REQUESTED.in_language(language).to_owned(),
        DeliveryResult::Delivered => DELIVERED.in_language(language).to_owned(),
        DeliveryResult::ProcessFailed(code) => failed(&PROCESSING_FAILED, code),
        DeliveryResult::SendFailed(code) => failed(&SENDING_FAILED, code),
    }
}

/// What the worker says of a failure in processing: `smsworker:address in local bounce list`.
pub(super) fn worker_log(code: u16) -> String {
    let log = match Failure::of(code) {
        failure if failure.in_processing() => failure.log,
        _ => "other",
    };
    format!("smsworker:{log}")
}

/// What a carrier says of a failure, in the words of SMPP's receipts: `REJECTD(其他)`.
pub(super) fn carrier_log(code: u16, state: MessageState, language: Language) -> String {
    let word = match state {
        MessageState::Rejected => "REJECTD",
        MessageState::Expired => "EXPIRED",
        MessageState::Cancelled => "DELETED",
        _ => "UNDELIV",
    };
    format!("{word}({})", Failure::of(code).meaning(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_contract_has_its_words_and_its_column() {
        let codes: Vec<u16> = FAILURES.iter().map(|failure| failure.code).collect();
        assert_eq!(
            codes,
            [
                410, 420, 430, 440, 450, 460, 500, 510, 520, 530, 540, 550, 560, 570, 580, 590
            ]
        );
        for failure in &FAILURES {
            assert!(failure.column.ends_with("Num"), "{}", failure.code);
            assert_eq!(
                failure.log.is_empty(),
                !failure.in_processing(),
                "{}",
                failure.code
            );
            assert_eq!(Failure::of(failure.code), failure);
            for language in [Language::Chinese, Language::English] {
                assert!(!failure.meaning(language).is_empty());
            }
        }
        assert_eq!(Failure::of(0).code, 590, "a code nobody lists");
    }

    #[test]
    fn states_and_logs_are_rendered_as_in_the_samples() {
        let chinese = Language::Chinese;
        for (delivery_result, expected) in [
            (DeliveryResult::Requested, "请求"),
            (DeliveryResult::Sent, "请求"),
            (DeliveryResult::Delivered, "送达"),
            (DeliveryResult::ProcessFailed(420), "处理失败-局部拦截列表"),
            (DeliveryResult::SendFailed(590), "发送失败-其他"),
        ] {
            assert_eq!(status(delivery_result, chinese), expected);
        }
        assert_eq!(
            status(DeliveryResult::ProcessFailed(410), Language::English),
            "processing failed-number is in global intercept list"
        );
        assert_eq!(worker_log(420), "smsworker:address in local bounce list");
        assert_eq!(worker_log(430), "smsworker:address in unsubscribe list");
        assert_eq!(worker_log(499), "smsworker:other");
        assert_eq!(carrier_log(590, MessageState::Rejected, chinese), "REJECTD(其他)");
        assert_eq!(carrier_log(580, MessageState::Expired, chinese), "EXPIRED(关机)");
    }
}
