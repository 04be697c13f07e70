//! The vendor's texts other than those of return codes, in one place to be compared with the contract. The service sends
//! the Chinese ones; the English ones are those of its English pages where those have one, else ours.

use super::codes::Language;

/// A text in both languages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DisplayText {
    chinese: &'static str,
    english: &'static str,
}

const fn display_text(chinese: &'static str, english: &'static str) -> DisplayText {
    DisplayText { chinese, english }
}

impl DisplayText {
    /// The text in a language.
    pub(super) const fn in_language(&self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.chinese,
            Language::English => self.english,
        }
    }

    /// The text of responses.
    pub(super) const fn text(&self) -> &'static str {
        self.in_language(super::answer::LANGUAGE)
    }
}

// `msgType`, `signTypeDesc`.

/// To mainland China.
pub(super) static DOMESTIC: DisplayText = display_text("国内短信", "domestic SMS");
/// To elsewhere.
pub(super) static INTERNATIONAL: DisplayText = display_text("国际短信", "international SMS");
/// A call.
pub(super) static VOICE: DisplayText = display_text("语音", "voice");

// `smsType`.

/// Class otp.
pub(super) static CODE: DisplayText = display_text("验证码", "verification code");
/// Class notice.
pub(super) static NOTICE: DisplayText = display_text("行业通知", "notification");
/// Class marketing.
pub(super) static MARKETING: DisplayText = display_text("营销", "marketing");

// `isVerify`, `verifyStatus`.

/// Under review.
pub(super) static WAITING: DisplayText = display_text("待审核", "to be reviewed");
/// May be used.
pub(super) static PASSED: DisplayText = display_text("审核通过", "passed");
/// May not be used.
pub(super) static REFUSED: DisplayText = display_text("审核不通过", "failed");
/// A draft.
pub(super) static NOT_SUBMITTED: DisplayText = display_text("未提交审核", "not submitted for review");

// `status` of a task.

/// Its time has not come.
pub(super) static TASK_WAITING: DisplayText = display_text("等待执行", "waiting");
/// Members are being accepted.
pub(super) static TASK_RUNNING: DisplayText = display_text("执行中", "running");
/// All were accepted or refused.
pub(super) static TASK_DONE: DisplayText = display_text("执行成功", "succeeded");
/// It failed or was cancelled.
pub(super) static TASK_FAILED: DisplayText = display_text("执行失败", "failed");

// `status` and `sendLog` of a message.

/// It waits, or a carrier has it.
pub(super) static REQUESTED: DisplayText = display_text("请求", "request");
/// The handset has it.
pub(super) static DELIVERED: DisplayText = display_text("送达", "delivered");
/// `sendLog` then.
pub(super) static SENT_WELL: DisplayText = display_text("发送成功", "sent successfully");
/// It failed before it left.
pub(super) static PROCESSING_FAILED: DisplayText = display_text("处理失败", "processing failed");
/// A carrier failed.
pub(super) static SENDING_FAILED: DisplayText = display_text("发送失败", "SMS failure");

/// Between two days.
pub(super) static TO: DisplayText = display_text("到", " to ");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_in_the_services_language() {
        assert_eq!(PASSED.text(), "审核通过");
        assert_eq!(PASSED.in_language(Language::English), "passed");
    }
}
