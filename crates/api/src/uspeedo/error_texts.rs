//! The texts of both families, as data: every code with its message, every reason, every status of a receipt.
//!
//! Where no document has a text the English one is ours (`docs/dialects/` says which those are). uSpeedo speaks
//! English only. UCloud documents its codes in Chinese and answers in both languages; the Chinese texts of codes
//! are those of its table of codes.

use engine::MessageView;
use engine::accept::Refusal;
use engine::sms::reason::Reason;
use engine::sms::state::MessageState;
use http::{HeaderMap, header};

/// In which language UCloud's wire speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// As its English pages do.
    #[default]
    English,
    /// As its Chinese pages do.
    Chinese,
}

impl Language {
    /// What a caller prefers: Chinese when its `Accept-Language` names that first. No client of the vendor sends
    /// the header by itself.
    pub fn of(headers: &HeaderMap) -> Self {
        let first = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim_start().get(..2));
        match first {
            Some(first) if first.eq_ignore_ascii_case("zh") => Self::Chinese,
            _ => Self::English,
        }
    }

    /// By its name in an endpoint's settings.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// One of two texts.
    pub fn pick(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Self::Chinese if !chinese.is_empty() => chinese,
            _ => english,
        }
    }
}

/// A code with its message. `{}` in the message is the name of a parameter or of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorText {
    /// `RetCode`.
    pub code: u32,
    /// In English.
    pub english: &'static str,
    /// In Chinese; empty where the vendor has none.
    pub chinese: &'static str,
}

impl ErrorText {
    /// Code and message, with a name put in.
    pub fn render(self, language: Language, name: &str) -> (u32, String) {
        (
            self.code,
            language.pick(self.english, self.chinese).replace("{}", name),
        )
    }
}

const fn error_text(code: u32, english: &'static str, chinese: &'static str) -> ErrorText {
    ErrorText {
        code,
        english,
        chinese,
    }
}

/// uSpeedo's codes (contract section 4.1).
pub mod uspeedo {
    use super::{ErrorText, error_text};

    /// A parameter is not what it must be (the text of the uSpeedo REST v1 document).
    pub const INVALID: ErrorText = error_text(215_392, "Invalid parameter [{}]", "");
    /// Something in a template's text looks like a placeholder and is none; the rule is named.
    pub const PLACEHOLDER: ErrorText = error_text(215_392, "Invalid parameter [Template]: {}", "");
    /// A template is neither changed nor removed while it is reviewed.
    pub const IN_REVIEW: ErrorText = error_text(215_392, "Template is under review", "");
    /// The account has as many templates as it may have.
    pub const TOO_MANY: ErrorText = error_text(215_392, "Too many templates", "");
    /// A template that is to be changed, removed or shown is not there.
    pub const NOT_FOUND: ErrorText = error_text(215_396, "Template not found", "");
    /// A required parameter is not given.
    pub const MISSING: ErrorText = error_text(215_397, "Missing required parameter [{}]", "");
    /// The caller is not who it says.
    pub const TOKEN: ErrorText = error_text(215_398, "Failed to parse token", "");
    /// The account may not send.
    pub const RESTRICTED: ErrorText = error_text(215_398, "Account restricted", "");
    /// The balance does not cover the request.
    pub const BALANCE: ErrorText = error_text(215_400, "Insufficient balance", "");
    /// Too much waits.
    pub const BUSY: ErrorText = error_text(215_400, "Server busy", "");
    /// More requests than there may be.
    pub const TOO_OFTEN: ErrorText = error_text(215_400, "Too many requests", "");
    /// The store failed.
    pub const SERVER: ErrorText = error_text(215_400, "Server error", "");

    /// All of them.
    pub const ALL: [ErrorText; 12] = [
        INVALID,
        PLACEHOLDER,
        IN_REVIEW,
        TOO_MANY,
        NOT_FOUND,
        MISSING,
        TOKEN,
        RESTRICTED,
        BALANCE,
        BUSY,
        TOO_OFTEN,
        SERVER,
    ];
}

/// UCloud's codes: its service's (contract section 4.2) and its gateway's (section 4.3).
pub mod ucloud {
    use super::{ErrorText, error_text};

    /// The body cannot be read.
    pub const UNREADABLE: ErrorText = error_text(18_000, "Request body cannot be parsed", "请求JSON解析错误");
    /// A required parameter is not given.
    pub const MISSING: ErrorText = error_text(18_001, "Missing parameter [{}]", "请求参数有缺失 [{}]");
    /// A parameter has the wrong type.
    pub const MALFORMED: ErrorText = error_text(18_002, "Malformed parameter [{}]", "请求参数格式有误 [{}]");
    /// Neither GET nor POST.
    pub const METHOD: ErrorText =
        error_text(18_002, "Method must be GET or POST", "请求方法须为 GET 或 POST");
    /// A parameter has a value that cannot be.
    pub const INVALID: ErrorText = error_text(18_003, "Invalid parameter [{}]", "请求参数无效 [{}]");
    /// Something in a template's text looks like a placeholder and is none; the rule is named.
    pub const PLACEHOLDER: ErrorText = error_text(
        18_003,
        "Invalid parameter [Template]: {}",
        "请求参数无效 [Template]: 变量须写作{1}、{name}、{{name}}或%name%，名称为1至32个英文字母、数字、下划线或连字符，不含空格，不以连字符开头，编号从1开始",
    );
    /// Neither changed nor removed while it is reviewed.
    pub const IN_REVIEW: ErrorText = error_text(18_003, "The {} is under review", "{}正在审核中");
    /// Signatures can be changed only once they were rejected.
    pub const NOT_REJECTED: ErrorText = error_text(
        18_003,
        "Only a signature that was rejected can be changed",
        "仅可修改未通过审核的签名",
    );
    /// A template names the signature.
    pub const IN_USE: ErrorText = error_text(18_003, "A template uses the signature", "签名正在被模板使用");
    /// Another has that name.
    pub const NAME_TAKEN: ErrorText = error_text(18_003, "Another {} has that name", "{}名称已存在");
    /// The account has as many as it may have.
    pub const TOO_MANY: ErrorText = error_text(18_003, "Too many of the kind: {}", "{}数量已达上限");
    /// The account's files take all the room it has.
    pub const NO_ROOM: ErrorText = error_text(
        18_003,
        "The files of the account take all the room there is for them",
        "文件总大小已达上限",
    );
    /// The store failed.
    pub const INTERNAL: ErrorText = error_text(18_007, "Internal error", "API或服务异常");
    /// The balance does not cover the request.
    pub const BALANCE: ErrorText = error_text(
        18_013,
        "Insufficient SMS balance",
        "当前账号/项目中的短信剩余量不足",
    );
    /// Numbers were refused; the message is the first one's reason.
    pub const PHONES: ErrorText = error_text(18_014, "{}", "{}");
    /// The signature was refused; the message is the reason.
    pub const SIGNATURE: ErrorText = error_text(18_016, "{}", "{}");
    /// The template was refused; the message is the reason.
    pub const TEMPLATE: ErrorText = error_text(18_017, "{}", "{}");
    /// Values were refused; the message is the reason.
    pub const PARAMS: ErrorText = error_text(18_018, "{}", "{}");
    /// The content was refused for a word in it; the message is the reason.
    pub const FORBIDDEN: ErrorText = error_text(18_023, "{}", "{}");
    /// Something else was refused; the message is the reason.
    pub const REFUSED: ErrorText = error_text(18_003, "{}", "{}");
    /// More numbers than a request may have.
    pub const RECIPIENTS: ErrorText = error_text(
        18_019,
        "Too many phone numbers in one request",
        "单次提交的手机号码超过限制",
    );
    /// More requests than there may be.
    pub const TOO_OFTEN: ErrorText = error_text(
        153,
        "Too many requests, try again later",
        "请求过于频繁，请稍后重试",
    );
    /// Too much waits.
    pub const BUSY: ErrorText = error_text(
        150,
        "Service unavailable, try again later",
        "API公共服务不可用，请稍后重试",
    );
    /// No action is named.
    pub const NO_ACTION: ErrorText = error_text(160, "Missing Action", "缺少关键参数Action");
    /// No such action.
    pub const ACTION_UNKNOWN: ErrorText = error_text(161, "No such Action", "Action 不存在");
    /// No such path.
    pub const PATH: ErrorText = error_text(161, "No such path", "Action 不存在");
    /// No signature.
    pub const NO_SIGNATURE: ErrorText = error_text(170, "Missing Signature", "缺失API签名");
    /// The wrong signature: the literal text of the gateway in any language (section 4.3).
    pub const WRONG_SIGNATURE: ErrorText = error_text(171, "Signature VerifyAC Error", "");
    /// No such key; literal as well.
    pub const KEY_UNKNOWN: ErrorText = error_text(172, "User Not Exists", "");
    /// The account may not send.
    pub const RESTRICTED: ErrorText = error_text(173, "Account restricted", "账户限制");
    /// The account may not do this.
    pub const NOT_ALLOWED: ErrorText = error_text(
        291,
        "The account has no right for this Action",
        "该账户没有执行对应 Action 的权限",
    );
    /// Not one of the account's projects.
    pub const PROJECT_UNKNOWN: ErrorText = error_text(292, "Project Not Exists", "项目不存在");

    /// All of them.
    pub const ALL: [ErrorText; 32] = [
        PLACEHOLDER,
        FORBIDDEN,
        UNREADABLE,
        MISSING,
        MALFORMED,
        METHOD,
        INVALID,
        IN_REVIEW,
        NOT_REJECTED,
        IN_USE,
        NAME_TAKEN,
        TOO_MANY,
        NO_ROOM,
        INTERNAL,
        BALANCE,
        PHONES,
        SIGNATURE,
        TEMPLATE,
        PARAMS,
        REFUSED,
        RECIPIENTS,
        BUSY,
        TOO_OFTEN,
        NO_ACTION,
        ACTION_UNKNOWN,
        PATH,
        NO_SIGNATURE,
        WRONG_SIGNATURE,
        KEY_UNKNOWN,
        RESTRICTED,
        NOT_ALLOWED,
        PROJECT_UNKNOWN,
    ];
}

/// What accounts make over these wires and name by ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A template.
    Template,
    /// A signature.
    Signature,
    /// A signature's documents.
    Qualification,
    /// An uploaded file.
    File,
}

impl Thing {
    /// The parameter that names one.
    pub const fn id_name(self) -> &'static str {
        match self {
            Self::Template => "TemplateId",
            Self::Signature => "SigId",
            Self::Qualification => "QualificationId",
            Self::File => "FileId",
        }
    }

    /// Its name in messages.
    pub fn name(self, language: Language) -> &'static str {
        match self {
            Self::Template => language.pick("template", "模板"),
            Self::Signature => language.pick("signature", "签名"),
            Self::Qualification => language.pick("qualification", "资质"),
            Self::File => language.pick("file", "文件"),
        }
    }
}

/// The reason as a text for one recipient or one item: `FailureReason`, `FailureDetails`.
///
/// Only the one about suppressed numbers is known from the vendor (the UCloud Action document).
pub fn reason(refusal: Refusal, language: Language) -> &'static str {
    let (english, chinese) = match refusal {
        Refusal::PhoneEmpty => ("phone is missing", "缺少手机号码"),
        Refusal::PhoneFormat => ("phone is invalid", "手机号码无效"),
        Refusal::PhoneDuplicate => ("phone is repeated with the same parameters", "手机号码与参数重复"),
        Refusal::PhoneSuppressed(_) => ("phone in the black list", "手机号码在黑名单中"),
        Refusal::PerMinute => (
            "phone has reached its limit per minute",
            "手机号码超出每分钟发送限制",
        ),
        Refusal::PerDay => ("phone has reached its limit per day", "手机号码超出每日发送限制"),
        Refusal::TemplateUnknown => ("template not found", "短信模板不存在"),
        Refusal::TemplateNotApproved => ("template not approved", "短信模板未通过审核"),
        Refusal::SenderInvalid => ("sender is invalid", "发送方标识无效"),
        Refusal::SignatureInvalid => (
            "signature not found or not approved",
            "短信签名不存在或未通过审核",
        ),
        Refusal::ValueMissing => ("fewer template params than variables", "模板参数少于模板变量"),
        Refusal::ValueSurplus => ("more template params than variables", "模板参数多于模板变量"),
        Refusal::ValueTooLong => ("template param is too long", "模板参数过长"),
        Refusal::ValueHasLink => ("template param contains a link", "模板参数含有链接"),
        Refusal::TextTooLong => ("message is too long", "短信内容过长"),
        Refusal::ContentForbidden => ("content has a forbidden word", "短信内容含有禁用词"),
        Refusal::ExtraInvalid => ("user id or extend code is invalid", "UserId 或扩展码无效"),
        Refusal::NoRoute => ("phone's country is not served", "不支持该国家或地区"),
        _ => ("phone is refused", "手机号码被拒绝"),
    };
    language.pick(english, chinese)
}

/// What an answer says when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// A batch was accepted (the UCloud Action document; in Chinese as UCloud's sample has it).
    Batch,
    /// One text to many numbers was accepted.
    Single,
    /// Reports were pulled.
    Pulled,
    /// Reports about codes were taken.
    Reported,
    /// Numbers were suppressed.
    Suppressed,
    /// Anything else on REST v1, and any query.
    Success,
}

impl Done {
    /// The message.
    pub fn text(self, language: Language) -> &'static str {
        match self {
            Self::Batch => language.pick("submit success", "提交发送成功"),
            Self::Single => language.pick("Send success", "发送成功"),
            Self::Pulled => "pull success",
            Self::Reported => "submit success",
            Self::Suppressed => "Success",
            Self::Success => "success",
        }
    }
}

/// The three results that every page knows (contract section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// The handset has it.
    Success,
    /// It was not delivered.
    Fail,
    /// Nobody knows, or not yet.
    Unknown,
}

impl ReceiptStatus {
    /// By the state of a message.
    pub const fn of(state: MessageState) -> Self {
        match state {
            MessageState::Delivered => Self::Success,
            MessageState::Undelivered
            | MessageState::Rejected
            | MessageState::Expired
            | MessageState::Cancelled => Self::Fail,
            _ => Self::Unknown,
        }
    }

    /// As queries, and all of UCloud's wire, say it. `Unknow` is the vendor's spelling.
    pub fn text(self, language: Language) -> &'static str {
        match self {
            Self::Success => language.pick("Success", "发送成功"),
            Self::Fail => language.pick("Fail", "发送失败"),
            Self::Unknown => language.pick("Unknow", "状态未知"),
        }
    }
}

/// What `SubmitFail` stands for: uSpeedo's status of a message that no carrier took.
pub const SUBMIT_FAIL: &str = "SubmitFail";
/// How uSpeedo's callback page spells what queries call `Unknow`.
pub const CALLBACK_UNKNOWN: &str = "UNKNOWN";
/// How both callback pages spell the code of a delivered message.
pub const CALLBACK_DELIVERED: &str = "Delivrd";
/// The code of a suppressed number on both callback pages.
pub const CALLBACK_BLACKLISTED: &str = "MSBLACK";

/// Whether an error says that the time to live of a message ended.
pub fn is_of_lifetime(error: &str) -> bool {
    [Reason::ExpiredBeforeSent, Reason::ExpiredInDoubt]
        .iter()
        .any(|reason| error.trim() == reason.name())
}

/// `ReceiptDesc`: the state of a message as a text.
pub fn description(message: &MessageView, language: Language) -> &'static str {
    let of_lifetime = is_of_lifetime(&message.error);
    let (english, chinese) = match message.state {
        MessageState::Expired if of_lifetime => ("expired before it was submitted", "短信在提交前已过期"),
        MessageState::Unknown if of_lifetime => {
            ("expired, a submission had no answer", "短信已过期，提交无应答")
        }
        MessageState::Queued => ("waiting to be submitted", "等待提交"),
        MessageState::InFlight | MessageState::InDoubt => ("being submitted", "正在提交"),
        MessageState::Submitted => ("submitted, no receipt yet", "已提交，等待状态报告"),
        MessageState::Delivered => ("delivered", "用户接收成功"),
        MessageState::Undelivered => ("undelivered", "用户接收失败"),
        MessageState::Rejected => ("rejected", "短信被拒绝"),
        MessageState::Expired => ("expired", "短信已过期"),
        MessageState::Unknown => ("unknown", "状态未知"),
        MessageState::Cancelled => ("withdrawn", "短信已撤回"),
    };
    language.pick(english, chinese)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &'static str, error_texts: &[ErrorText]) {
        for error_text in error_texts {
            assert!(
                text.contains(&error_text.code.to_string()),
                "{error_text:?} is not on the page"
            );
            for said in error_text.english.split("{}") {
                let said = said.trim_matches([' ', '[', ']']);
                assert!(text.contains(said), "{error_text:?} is not on the page");
            }
        }
    }

    /// Nobody shall have to read the source to know what a code means.
    #[test]
    fn the_dialects_pages_list_every_code_with_its_message() {
        page(
            include_str!("../../../../docs/dialects/uspeedo.md"),
            &uspeedo::ALL,
        );
        page(include_str!("../../../../docs/dialects/ucloud.md"), &ucloud::ALL);
    }

    #[test]
    fn accept_language_selects_the_language() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, value.parse().unwrap());
            Language::of(&headers)
        };
        for chinese in ["zh", "zh-CN,zh;q=0.9,en;q=0.8", " ZH-Hans"] {
            assert_eq!(of(chinese), Language::Chinese, "{chinese}");
        }
        for english in ["", "*", "en,zh;q=0.5", "z", "de-CH"] {
            assert_eq!(of(english), Language::English, "{english}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn what_has_no_chinese_text_is_said_in_english() {
        assert_eq!(
            ucloud::WRONG_SIGNATURE.render(Language::Chinese, ""),
            (171, "Signature VerifyAC Error".into())
        );
        assert_eq!(
            ucloud::MISSING.render(Language::Chinese, "SigId"),
            (18_001, "请求参数有缺失 [SigId]".into())
        );
    }

    /// The documented enumerations (contract section 4.4).
    #[test]
    fn receipts_have_the_documented_words() {
        let said = |language| {
            [
                MessageState::Delivered,
                MessageState::Undelivered,
                MessageState::Unknown,
            ]
            .map(|state| ReceiptStatus::of(state).text(language))
        };
        assert_eq!(said(Language::English), ["Success", "Fail", "Unknow"]);
        assert_eq!(said(Language::Chinese), ["发送成功", "发送失败", "状态未知"]);
        assert_eq!(
            reason(
                Refusal::PhoneSuppressed(engine::SuppressionKind::Blocked),
                Language::English
            ),
            "phone in the black list"
        );
    }
}
