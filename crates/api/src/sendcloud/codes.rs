//! SendCloud's return codes with their texts, in one place to be held against docs/dialects/sendcloud.md.
//!
//! A text in both languages stands beside each code: the service answers in Chinese, its English page words
//! the same table. Where the table has no code for a case, the nearest one is used with a text of our own; those are
//! in [the second part](TOO_MANY_PHONES) and in docs/dialects/sendcloud.md.

use std::borrow::Cow;

/// The language of `message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// As the service answers.
    #[default]
    Chinese,
    /// As the English page words it.
    English,
}

/// A code with its texts. `{}` in a text stands for the limit that was passed, `{name}` for the parameter meant.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `statusCode`.
    pub code: u32,
    /// Text in Chinese.
    pub chinese: &'static str,
    /// Text in English.
    pub english: &'static str,
}

const fn code(code: u32, chinese: &'static str, english: &'static str) -> Code {
    Code {
        code,
        chinese,
        english,
    }
}

// The table of the contract.

/// All accepted.
pub static OK: Code = code(200, "请求成功", "request was successful");
/// Some accepted. The sample's text; the table words it 部分号码请求成功.
pub static PARTLY: Code = code(311, "部分成功", "requests numbers were partially successful");
/// None accepted.
pub static ALL_FAILED: Code = code(312, "全部请求失败", "all request failed");
/// `sendRequestId` was used within the hour. The code is the SendCloud document's; its Chinese text is not known and chosen.
pub static REPEAT: Code = code(400, "重复请求", "duplicate request");
/// No number.
pub static PHONE_EMPTY: Code = code(411, "手机号不能为空", "phone number cannot be empty");
/// Not a number.
pub static PHONE_FORMAT: Code = code(412, "手机号格式错误", "invalid phone number format");
/// The same number twice.
pub static PHONE_DUPLICATE: Code = code(413, "有重复的手机号", "duplicate phone numbers");
/// `tag` is not a JSON object.
pub static TAG_FORMAT: Code = code(416, "tag格式错误", "invalid tag format");
/// `tag` is too long.
pub static TAG_LENGTH: Code = code(
    417,
    "tag长度不能超过128个字符",
    "tag cannot be longer than 128 characters",
);
/// `signature` is missing or is no digest.
pub static SIGNATURE_MISSING: Code = code(421, "签名参数错误", "incorrect signature parameter");
/// `signature` does not fit.
pub static SIGNATURE_WRONG: Code = code(422, "签名错误", "incorrect signature");
/// No such template.
pub static TEMPLATE_UNKNOWN: Code = code(431, "模板不存在", "template does not exist");
/// The template may not be used.
pub static TEMPLATE_NOT_APPROVED: Code = code(
    432,
    "模板未提交审核或者未审核通过",
    "template not submitted for verification or verify unsuccessfully",
);
/// `templateId` is missing.
pub static TEMPLATE_EMPTY: Code = code(433, "模板ID不能为空", "template ID cannot be empty");
/// `executeTime` cannot be read.
pub static EXECUTE_TIME_FORMAT: Code = code(451, "定时发送时间的格式错误", "invalid scheduled time format");
/// `executeTime` is over.
pub static EXECUTE_TIME_PAST: Code = code(
    452,
    "定时发送时间早于服务器时间, 时间已过去",
    "scheduled time is earlier than server time",
);
/// `vars` is malformed.
pub static VARS_FORMAT: Code = code(441, "替换变量格式错误", "invalid substituted variable format");
/// `timestamp` is too far off. The text is the live service's, with the window in force.
pub static TIMESTAMP: Code = code(
    461,
    "时间戳无效，与服务器时间超过{}毫秒",
    "invalid timestamp, more than {} ms away from the server time",
);
/// Unknown `smsUser`.
pub static USER_UNKNOWN: Code = code(471, "smsUser不存在", "smsUser does not exist");
/// `smsUser` is missing.
pub static USER_EMPTY: Code = code(472, "smsUser不能为空", "smsUser cannot be empty");
/// The account may not send.
pub static MAY_NOT_SEND: Code = code(
    473,
    "没有权限, 免费用户不能发送短信",
    "no permission, free registered users are not eligible for SMS",
);
/// The account of the `smsUser` is gone.
pub static ACCOUNT_GONE: Code = code(474, "用户不存在", "user does not exist");
/// `tos` is missing.
pub static TOS_EMPTY: Code = code(
    481,
    "手机号和替换变量不能为空",
    "phone number and substitution variable cannot be empty",
);
/// `tos` is malformed.
pub static TOS_FORMAT: Code = code(
    482,
    "手机号和替换变量格式错误",
    "invalid format of phone number and substituted variable",
);
/// A value is too long.
pub static VALUE_TOO_LONG: Code = code(
    483,
    "替换变量长度不能超过32个字符",
    "substituted variable cannot be longer than 32 characters",
);
/// Too many to this number in a minute.
pub static PER_MINUTE: Code = code(
    496,
    "一分钟内给当前手机号发信太多",
    "too many messages sent to this number within one minute",
);
/// Too many to this number in a day.
pub static PER_DAY: Code = code(
    498,
    "一天内给当前手机号发信太多",
    "too many messages sent to this number in one day",
);
/// The balance does not cover it.
pub static BALANCE: Code = code(499, "账户额度不够", "insufficient balance");
/// We failed.
pub static SERVER_ERROR: Code = code(501, "服务器异常", "server exception");
/// The `smsUser` is switched off.
pub static NO_PERMISSION: Code = code(601, "你没有权限访问", "no permission");
/// Too many status queries a minute.
pub static RATE_LIMITED: Code = code(
    50_000,
    "接口频率受限",
    "the rate of calls to this interface is limited",
);

// What managing is answered when it was done: 200, with a text for each interface.

/// `addsms`.
pub static INSERTED: Code = code(200, "插入成功", "inserted");
/// `submitsms`.
pub static SUBMITTED: Code = code(200, "提交成功", "submitted");
/// `updatesms`, `label/update`, `smsContactList/update`.
pub static UPDATED: Code = code(200, "更新成功", "updated");
/// `deletesms`, `label/delete`, `smsContactListMember/delete`.
pub static DELETED: Code = code(200, "删除成功", "deleted");
/// Labels, contact lists, members and tasks that were looked up.
pub static FOUND: Code = code(200, "查询成功", "found");
/// `label/save`, `smsContactList/save`, `smsContactListMember/saveOrUpdate`.
pub static SAVED: Code = code(200, "保存成功", "saved");
/// `sign/get`, `sign/list`.
pub static SIGNATURE_FOUND: Code = code(200, "获取短信签名成功", "signature found");
/// `sign/save`.
pub static SIGNATURE_SAVED: Code = code(200, "短信签名保存成功", "signature saved");
/// `sign/updatesms`.
pub static SIGNATURE_UPDATED: Code = code(200, "短信签名更新成功", "signature updated");
/// `smsContactList/delete`.
pub static LIST_DELETED: Code = code(
    200,
    "删除联系人列表和对应的成员成功",
    "contact list and its members deleted",
);
/// `sendContactListTask`.
pub static TASK_SAVED: Code = code(200, "联系人列表任务保存成功", "contact list task saved");

// Cases the table has no code for: the nearest code, a text of ours.

/// More numbers than one request takes.
pub static TOO_MANY_PHONES: Code = code(
    412,
    "手机号个数不能超过{}个",
    "no more than {} phone numbers in a request",
);
/// More than one number where one is meant.
pub static ONE_PHONE_ONLY: Code = code(412, "只能填写一个手机号", "only one phone number can be given");
/// More elements in `tos` than one request takes.
pub static TOO_MANY_TOS: Code = code(
    482,
    "手机号和替换变量个数不能超过{}个",
    "no more than {} elements in tos",
);
/// `sendRequestId` is too long. Not 400, which clients may take for "sent already".
pub static REQUEST_ID_LENGTH: Code = code(
    417,
    "sendRequestId长度不能超过128个字符",
    "sendRequestId cannot be longer than 128 characters",
);
/// The `Idempotency-Key` header is unusable.
pub static HEADER_KEY: Code = code(
    417,
    "Idempotency-Key格式错误",
    "the Idempotency-Key header is malformed or too long",
);
/// `code` is not four to six digits.
pub static CODE_FORMAT: Code = code(
    441,
    "验证码格式错误, 必须为4-6位数字",
    "code must be 4 to 6 digits",
);
/// A value holds a link.
pub static VALUE_HAS_LINK: Code = code(
    441,
    "替换变量不能包含http链接",
    "variables cannot contain HTTP links",
);
/// The final text is too long for one message (only where it cannot fail in processing).
pub static TEXT_TOO_LONG: Code = code(441, "短信内容过长", "the content is too long");
/// Neither `signId` nor `signName`, or not an approved signature of the account.
pub static TEXT_SIGNATURE: Code = code(
    432,
    "短信签名不存在或者未审核通过",
    "the text signature does not exist or is not approved",
);
/// `msgType` is none that can be sent here.
pub static MSG_TYPE: Code = code(
    601,
    "你没有权限发送该类型的短信",
    "no permission to send this msgType",
);
/// No carrier takes the message.
pub static NO_ROUTE: Code = code(601, "没有可用的发送通道", "no channel for this message");
/// No such interface.
pub static NO_SUCH_INTERFACE: Code = code(601, "接口不存在", "no such interface");
/// Another method than POST or GET.
pub static METHOD: Code = code(601, "请求方法错误, 请使用POST", "wrong method, use POST");
/// The same parameter twice with different values, or more parameters than any interface has.
pub static PARAMETERS: Code = code(
    421,
    "签名参数错误, 参数重复或者过多",
    "incorrect signature parameter: parameters repeated, or too many",
);
/// A body that is not a form.
pub static NOT_A_FORM: Code = code(
    472,
    "smsUser不能为空, 请使用application/x-www-form-urlencoded或者multipart/form-data",
    "smsUser cannot be empty: send the parameters as application/x-www-form-urlencoded or multipart/form-data",
);
/// A form in parts that cannot be taken apart.
pub static NOT_MULTIPART: Code = code(
    472,
    "smsUser不能为空, multipart/form-data格式错误",
    "smsUser cannot be empty: the multipart/form-data body is malformed",
);
/// A form with a file in it.
pub static FILE_PART: Code = code(
    472,
    "smsUser不能为空, 参数必须为文本, 不能上传文件",
    "smsUser cannot be empty: parameters are plain fields, no file is taken",
);
/// A body over the limit, or one that ended early.
pub static BODY_UNREADABLE: Code = code(
    472,
    "smsUser不能为空, 请求内容不完整或者超过{}字节",
    "smsUser cannot be empty: the body is incomplete or longer than {} bytes",
);
/// A status query without a usable span of days.
pub static DAYS: Code = code(
    451,
    "日期参数错误, 请使用days或者startDate和endDate(yyyy-MM-dd), 最多{}天",
    "give days, or startDate and endDate (yyyy-MM-dd), at most {} days",
);
/// A status query with too many numbers or ids.
pub static TOO_MANY_REQUESTED: Code = code(
    412,
    "phones和smsIds最多{}个",
    "no more than {} phones or smsIds in a query",
);
/// A parameter of a status query that this API does not support.
pub static QUERY_FORMAT: Code = code(441, "查询参数错误", "invalid query parameter");
/// A span of days that holds more than can be added up.
pub static TOO_MUCH_TO_COUNT: Code = code(441, "查询范围过大", "the query covers too much");

// Managing: no source has a table of its codes. The same rule: the nearest code, a text of ours.

/// A parameter that must be there is missing or empty.
pub static PARAMETER_EMPTY: Code = code(441, "{name}不能为空", "{name} cannot be empty");
/// A parameter cannot be read.
pub static PARAMETER_FORMAT: Code = code(441, "{name}格式错误", "invalid format of {name}");
/// A parameter is too long.
pub static PARAMETER_LENGTH: Code = code(
    417,
    "{name}长度不能超过{}个字符",
    "{name} cannot be longer than {} characters",
);
/// Something in a template's text looks like a variable and is none.
pub static PLACEHOLDER: Code = code(
    441,
    "templateText中的变量格式错误, 变量须写作%name%(或{1}), 名称由1-32个字母、数字、下划线、短横线组成, 不含空格, 编号从1开始",
    "invalid variable in templateText: write %name% (or {1}); a name is 1 to 32 letters, digits, _ or - without blanks, numbers begin at 1",
);
/// A list in a parameter has too many entries.
pub static TOO_MANY_ENTRIES: Code = code(441, "{name}最多{}个", "no more than {} entries in {name}");
/// Another one of the account has the name.
pub static NAME_TAKEN: Code = code(413, "名称已存在", "the name is taken");
/// It is under review and cannot be changed meanwhile.
pub static IN_REVIEW: Code = code(
    432,
    "审核中, 不能修改或删除",
    "under review: it cannot be changed or removed now",
);
/// The template was submitted before.
pub static ALREADY_SUBMITTED: Code = code(
    432,
    "模板已提交审核或者已审核通过",
    "the template was submitted already",
);
/// No such text signature.
pub static SIGNATURE_UNKNOWN: Code = code(431, "短信签名不存在", "the text signature does not exist");
/// No such label.
pub static LABEL_UNKNOWN: Code = code(431, "短信标签不存在", "the label does not exist");
/// No such contact list.
pub static LIST_UNKNOWN: Code = code(431, "联系人列表不存在", "the contact list does not exist");
/// No such member of a contact list.
pub static MEMBER_UNKNOWN: Code = code(431, "联系人不存在", "the contact does not exist");
/// No such task.
pub static TASK_UNKNOWN: Code = code(431, "任务不存在", "the task does not exist");
/// The account has as many as it may have.
pub static FULL: Code = code(601, "数量已达上限", "as many as the account may have");
/// Something that is still needed cannot be removed.
pub static IN_USE: Code = code(601, "正在使用, 不能删除", "in use: it cannot be removed");

/// Why a request is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiError {
    /// The vendor code and text of the response.
    pub code: &'static Code,
    /// The limit its text names.
    pub limit: u64,
    /// The parameter its text names.
    pub name: &'static str,
}

impl ApiError {
    /// With a limit to name.
    pub fn with_limit(code: &'static Code, limit: impl TryInto<u64>) -> Self {
        Self {
            code,
            limit: limit.try_into().unwrap_or(u64::MAX),
            name: "",
        }
    }

    /// With a parameter to name.
    pub fn with_name(code: &'static Code, name: &'static str) -> Self {
        Self { code, limit: 0, name }
    }

    /// With a parameter to name, and its limit.
    pub fn with_limit_of(code: &'static Code, name: &'static str, limit: impl TryInto<u64>) -> Self {
        Self {
            name,
            ..Self::with_limit(code, limit)
        }
    }

    /// The text.
    pub fn message(&self, language: Language) -> Cow<'static, str> {
        let text = match language {
            Language::Chinese => self.code.chinese,
            Language::English => self.code.english,
        };
        if text.contains('{') {
            let limit = self.limit.to_string();
            Cow::Owned(text.replace("{}", &limit).replace("{name}", self.name))
        } else {
            Cow::Borrowed(text)
        }
    }
}

impl From<&'static Code> for ApiError {
    fn from(code: &'static Code) -> Self {
        Self {
            code,
            limit: 0,
            name: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stand_in_texts_of_both_languages_or_in_none() {
        for code in [
            &TIMESTAMP,
            &TOO_MANY_PHONES,
            &TOO_MANY_TOS,
            &DAYS,
            &TOO_MANY_REQUESTED,
            &BODY_UNREADABLE,
            &PARAMETER_LENGTH,
            &TOO_MANY_ENTRIES,
        ] {
            let refused = ApiError::with_limit(code, 60_000_u32);
            for language in [Language::Chinese, Language::English] {
                let message = refused.message(language);
                assert!(message.contains("60000") && !message.contains("{}"), "{message}");
            }
        }
        assert_eq!(
            ApiError::with_limit(&TIMESTAMP, 60_000_u32).message(Language::Chinese),
            "时间戳无效，与服务器时间超过60000毫秒",
            "the answer quoted from the live service"
        );
    }

    #[test]
    fn parameters_are_named_in_both_languages() {
        for code in [
            &PARAMETER_EMPTY,
            &PARAMETER_FORMAT,
            &PARAMETER_LENGTH,
            &TOO_MANY_ENTRIES,
        ] {
            let refused = ApiError::with_limit_of(code, "labelName", 64_u32);
            for language in [Language::Chinese, Language::English] {
                let message = refused.message(language);
                assert!(
                    message.contains("labelName") && !message.contains('{'),
                    "{message}"
                );
            }
        }
        assert_eq!(
            ApiError::with_name(&PARAMETER_EMPTY, "taskName").message(Language::Chinese),
            "taskName不能为空"
        );
    }
}
