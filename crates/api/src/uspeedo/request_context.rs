//! The properties of a request that its response depends on: the wire, the action, the language, its UUID.

use super::api_error::Family;
use super::error_texts::Language;
use crate::peek;
use engine::AnswerTracker;
use engine::Dialect;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// Longest name of an action that a response repeats. The longest served one has 32 characters.
const NAME_CHARS_MAX: usize = 64;

/// What an answer needs to know of its request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The wire.
    pub dialect: Dialect,
    /// The action, on the wires that have one.
    pub action: Option<Action>,
    /// The name of an action that was not looked up, or is not served; empty when there is none that a response can repeat.
    named: Box<str>,
    /// The request's UUID, sent in `ReqUuid` and in a header.
    pub uuid: String,
    /// In which language to answer, where the wire has two.
    pub language: Language,
    /// Who must know what becomes of the answer, if somebody must.
    pub(super) tracker: OnceLock<AnswerTracker>,
}

impl RequestContext {
    /// A request on a wire, with a UUID of its own and no action yet.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            action: None,
            named: Box::default(),
            uuid: uuid(rand::random()),
            language: Language::English,
            tracker: OnceLock::new(),
        }
    }

    /// By which codes the wire speaks.
    pub const fn family(&self) -> Family {
        match self.dialect {
            Dialect::Ucloud => Family::Ucloud,
            _ => Family::Uspeedo,
        }
    }

    /// Keeps the name that a refused request gives its action, for its response: the body's, else the query's. Only names of
    /// letters, digits and underscores are repeated.
    pub(super) fn name_from(&mut self, body: &[u8], query: Option<&str>) {
        if self.action.is_some() {
            return;
        }
        let named = peek::text(body, query.unwrap_or_default().as_bytes(), "Action");
        let plain = |name: &str| {
            name.len() <= NAME_CHARS_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        self.named = named.filter(|name| plain(name)).unwrap_or_default().into();
    }

    /// `Action` of the answer, on the wires that have one: the request's and `Response`. Every answer has it, and where the
    /// request names none that is `Response` alone.
    pub(super) fn answer_name(&self) -> Option<Cow<'static, str>> {
        match self.action {
            Some(action) => Some(Cow::Borrowed(action.answer_name())),
            None if self.dialect == Dialect::UspeedoRest => None,
            None => Some(Cow::Owned(format!("{}Response", self.named))),
        }
    }
}

/// On which of the two Action wires an action is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wires {
    /// uSpeedo's and UCloud's.
    Both,
    /// UCloud's alone.
    Ucloud,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:literal on $wires:ident),+ $(,)?) => {
        /// The actions of the Action wires (contract sections 3.2 and 3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $action),+
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$action),+];

            /// The name in a request.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name),+
                }
            }

            /// The name in an answer: always the request's and `Response` (contract section 2.2).
            const fn answer_name(self) -> &'static str {
                match self {
                    $(Self::$action => concat!($name, "Response")),+
                }
            }

            const fn wires(self) -> Wires {
                match self {
                    $(Self::$action => Wires::$wires),+
                }
            }
        }
    };
}

actions! {
    /// Different texts to many numbers.
    SendBatch = "SendBatchUSMSMessage" on Both,
    /// One text to many numbers. uSpeedo's page of it is an old one.
    Send = "SendUSMSMessage" on Both,
    /// What became of them.
    GetReceipt = "GetUSMSSendReceipt" on Both,
    /// Submits a template.
    CreateTemplate = "CreateUSMSTemplate" on Both,
    /// Shows templates.
    QueryTemplate = "QueryUSMSTemplate" on Both,
    /// Changes a template.
    UpdateTemplate = "UpdateUSMSTemplate" on Both,
    /// Removes templates.
    DeleteTemplate = "DeleteUSMSTemplate" on Both,
    /// Submits a signature.
    CreateSignature = "CreateUSMSSignature" on Ucloud,
    /// Shows a signature.
    QuerySignature = "QueryUSMSSignature" on Ucloud,
    /// Changes a rejected signature.
    UpdateSignature = "UpdateUSMSSignature" on Ucloud,
    /// Removes signatures.
    DeleteSignature = "DeleteUSMSSignature" on Ucloud,
    /// Adds a signature's documents.
    AddQualification = "AddUSMSSignatureQualification" on Ucloud,
    /// Changes a signature's documents.
    UpdateQualification = "UpdateUSMSSignatureQualification" on Ucloud,
    /// Shows one signature's documents whole.
    QueryQualification = "QueryUSMSSignatureQualification" on Ucloud,
    /// Lists signatures' documents.
    GetQualification = "GetUSMSSignatureQualification" on Ucloud,
    /// Removes signatures' documents.
    DeleteQualification = "DeleteUSMSSignatureQualification" on Ucloud,
    /// Takes a file.
    UploadFile = "UploadUSMSFile" on Ucloud,
    /// Counts messages by day and country.
    GetStatistics = "GetUSMSSendStatistics" on Ucloud,
    /// Counts messages by day, country and template.
    GetTemplateStatistics = "GetUSMSTemplateSendStatistics" on Ucloud,
    /// Suppresses numbers.
    CreateBlacklist = "BatchCreateUSMSBlacklistPhone" on Ucloud,
    /// Takes a report that a code was used.
    AddBackfill = "AddBackfill" on Ucloud,
    /// Takes a report whether messages were used.
    ReportStatus = "upUSMSCustomerStatus" on Ucloud,
    /// Gives receipts away, each once.
    PullReport = "PullUSMSReport" on Ucloud,
}

impl Action {
    /// Whether clients ask for it again and again in the same words: it changes nothing, or gives what came since.
    pub const fn is_repeated(self) -> bool {
        matches!(
            self,
            Self::GetReceipt
                | Self::QueryTemplate
                | Self::QuerySignature
                | Self::QueryQualification
                | Self::GetQualification
                | Self::GetStatistics
                | Self::GetTemplateStatistics
                | Self::PullReport
        )
    }

    /// By the name in a request; `None` for what the wire does not have.
    pub fn named(name: &str, dialect: Dialect) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.name() == name)
            .filter(|action| dialect == Dialect::Ucloud || action.wires() == Wires::Both)
    }
}

/// A UUID of version 4 made of 128 random bits (RFC 9562 section 5.4).
pub fn uuid(random: u128) -> String {
    let bits = (random & !(0xf << 76) & !(0b11 << 62)) | 0x4 << 76 | 0b10 << 62;
    let (a, b, c, d, e) = (bits >> 96, bits >> 80, bits >> 64, bits >> 48, bits);
    let (mask16, mask48) = (0xffff, 0xffff_ffff_ffff);
    let mut text = String::with_capacity(36);
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{a:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        b & mask16,
        c & mask16,
        d & mask16,
        e & mask48
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uspeedo_has_the_six_documented_actions_and_the_old_one() {
        let served: Vec<_> = Action::ALL
            .iter()
            .filter(|action| Action::named(action.name(), Dialect::UspeedoAction).is_some())
            .map(|action| action.name())
            .collect();
        assert_eq!(
            served,
            [
                "SendBatchUSMSMessage",
                "SendUSMSMessage",
                "GetUSMSSendReceipt",
                "CreateUSMSTemplate",
                "QueryUSMSTemplate",
                "UpdateUSMSTemplate",
                "DeleteUSMSTemplate"
            ]
        );
    }

    #[test]
    fn ucloud_has_all_of_them_and_answers_with_the_name_and_response() {
        assert_eq!(Action::ALL.len(), 23);
        for action in Action::ALL {
            assert_eq!(Action::named(action.name(), Dialect::Ucloud), Some(*action));
            assert_eq!(action.answer_name(), format!("{}Response", action.name()));
        }
        for unknown in [
            "",
            "sendusmsmessage",
            "DescribeUSMSTemplate",
            "SendUSMSMessageResponse",
        ] {
            assert_eq!(Action::named(unknown, Dialect::Ucloud), None, "{unknown}");
        }
    }
}
