//! The vendor's words that are no return codes, in one place to be held against the contract: the service says the
//! Chinese ones; the English ones are its English pages' where those have a word, else ours.

use super::codes::Language;

/// A word in both languages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    chinese: &'static str,
    english: &'static str,
}

const fn word(chinese: &'static str, english: &'static str) -> Word {
    Word { chinese, english }
}

impl Word {
    /// The word in a language.
    pub(super) const fn in_language(&self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.chinese,
            Language::English => self.english,
        }
    }

    /// As it is answered.
    pub(super) const fn reported(&self) -> &'static str {
        self.in_language(super::answer::LANGUAGE)
    }
}

// `msgType`, `signTypeDesc`.

/// To mainland China.
pub(super) static DOMESTIC: Word = word("国内短信", "domestic SMS");
/// To elsewhere.
pub(super) static INTERNATIONAL: Word = word("国际短信", "international SMS");
/// A call.
pub(super) static VOICE: Word = word("语音", "voice");

// `smsType`.

/// Class otp.
pub(super) static CODE: Word = word("验证码", "verification code");
/// Class notice.
pub(super) static NOTICE: Word = word("行业通知", "notification");
/// Class marketing.
pub(super) static MARKETING: Word = word("营销", "marketing");

// `isVerify`, `verifyStatus`.

/// Under review.
pub(super) static WAITING: Word = word("待审核", "to be reviewed");
/// May be used.
pub(super) static PASSED: Word = word("审核通过", "passed");
/// May not be used.
pub(super) static REFUSED: Word = word("审核不通过", "failed");
/// A draft.
pub(super) static NOT_SUBMITTED: Word = word("未提交审核", "not submitted for review");

// `status` of a task.

/// Its time has not come.
pub(super) static TASK_WAITING: Word = word("等待执行", "waiting");
/// Members are being accepted.
pub(super) static TASK_RUNNING: Word = word("执行中", "running");
/// All were accepted or refused.
pub(super) static TASK_DONE: Word = word("执行成功", "succeeded");
/// It failed or was cancelled.
pub(super) static TASK_FAILED: Word = word("执行失败", "failed");

// `status` and `sendLog` of a message.

/// It waits, or a carrier has it.
pub(super) static REQUESTED: Word = word("请求", "request");
/// The handset has it.
pub(super) static DELIVERED: Word = word("送达", "delivered");
/// `sendLog` then.
pub(super) static SENT_WELL: Word = word("发送成功", "sent successfully");
/// It failed before it left.
pub(super) static PROCESSING_FAILED: Word = word("处理失败", "processing failed");
/// A carrier failed.
pub(super) static SENDING_FAILED: Word = word("发送失败", "SMS failure");

/// Between two days.
pub(super) static TO: Word = word("到", " to ");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_in_the_services_language() {
        assert_eq!(PASSED.reported(), "审核通过");
        assert_eq!(PASSED.in_language(Language::English), "passed");
    }
}
