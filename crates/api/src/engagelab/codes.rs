//! EngageLab's codes, HTTP statuses and texts, in one place to be held against docs/dialects/engagelab.md.
//!
//! Of generation A six codes are known; the others are chosen from the families those suggest (30xxx the request, 32xxx
//! recipients, 33xxx templates and variables, 3401x signatures, 3402x labels; 304xx and 305xx carry the HTTP status).
//! Of generation C the lists are complete: one for sending, one for managing. docs/dialects/engagelab.md says which is
//! which.

use http::StatusCode;
use std::borrow::Cow;

/// A code with its HTTP status and text.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// HTTP status.
    pub status: StatusCode,
    /// `code`.
    pub code: u32,
    /// `message`, when nothing more can be said.
    pub message: &'static str,
}

const fn code(status: StatusCode, code: u32, message: &'static str) -> Code {
    Code {
        status,
        code,
        message,
    }
}

/// Generation A.
pub mod a {
    use super::{Code, StatusCode, code};

    // Known.

    /// No or wrong credentials.
    pub static UNAUTHORIZED: Code = code(StatusCode::UNAUTHORIZED, 30000, "Unauthorized.");
    /// Not a number.
    pub static PHONE_FORMAT: Code = code(StatusCode::BAD_REQUEST, 32002, "Invalid phone number format");
    /// No such template.
    pub static TEMPLATE_UNKNOWN: Code = code(StatusCode::BAD_REQUEST, 33001, "The template does not exist");
    /// The template's signature is gone or not approved.
    pub static SIGN_UNKNOWN: Code = code(StatusCode::BAD_REQUEST, 34010, "sign not exists");
    /// `label_id` is no number.
    pub static LABEL_FORMAT: Code = code(StatusCode::BAD_REQUEST, 34020, "label_id must be a integer");
    /// Some accepted.
    pub static PARTLY: Code = code(StatusCode::OK, 41031, "partial success");

    // Chosen.

    /// The body, or a field of it, is not as documented; the text says which.
    pub static BAD_REQUEST: Code = code(StatusCode::BAD_REQUEST, 30400, "Invalid request body");
    /// The balance does not cover it.
    pub static BALANCE: Code = code(StatusCode::BAD_REQUEST, 30402, "Insufficient balance");
    /// The account may not send.
    pub static MAY_NOT_SEND: Code = code(StatusCode::FORBIDDEN, 30403, "No permission to send");
    /// Nothing at this path.
    pub static NOT_FOUND: Code = code(StatusCode::NOT_FOUND, 30404, "The resource does not exist");
    /// Not by this method.
    pub static METHOD: Code = code(StatusCode::METHOD_NOT_ALLOWED, 30405, "Method not allowed");
    /// The body is over the limit.
    pub static TOO_LARGE: Code = code(
        StatusCode::PAYLOAD_TOO_LARGE,
        30413,
        "The request body is too large",
    );
    /// `request_id` was used before, and the account wants such requests refused.
    pub static ID_REUSED: Code = code(
        StatusCode::BAD_REQUEST,
        30400,
        "the request id was used before with another request",
    );
    /// More requests, or status queries, than there may be.
    pub static TOO_OFTEN: Code = code(StatusCode::TOO_MANY_REQUESTS, 30429, "Too many requests");
    /// We failed.
    pub static SERVER_ERROR: Code = code(StatusCode::INTERNAL_SERVER_ERROR, 30500, "Internal server error");
    /// Too much is waiting, or we are stopping.
    pub static BUSY: Code = code(
        StatusCode::SERVICE_UNAVAILABLE,
        30503,
        "Service temporarily unavailable",
    );
    /// No number.
    pub static TO_EMPTY: Code = code(StatusCode::BAD_REQUEST, 32001, "to cannot be empty");
    /// More numbers than one request takes.
    pub static TOO_MANY: Code = code(StatusCode::BAD_REQUEST, 32003, "Too many recipients in to");
    /// Too many to this number in a minute or a day.
    pub static FREQUENCY: Code = code(StatusCode::BAD_REQUEST, 32004, "Too many messages to this number");
    /// No carrier takes the message.
    pub static NO_ROUTE: Code = code(StatusCode::BAD_REQUEST, 32005, "No channel for this number");
    /// The number is suppressed (only where it cannot fail in processing).
    pub static SUPPRESSED: Code = code(StatusCode::BAD_REQUEST, 32006, "The number is blocked");
    /// The template may not be used.
    pub static TEMPLATE_NOT_APPROVED: Code = code(
        StatusCode::BAD_REQUEST,
        33002,
        "The template has not been approved",
    );
    /// No template named.
    pub static TEMPLATE_EMPTY: Code = code(StatusCode::BAD_REQUEST, 33003, "template_id is required");
    /// `vars` is malformed.
    pub static VARS_FORMAT: Code = code(
        StatusCode::BAD_REQUEST,
        33004,
        "vars must be an object of strings",
    );
    /// A value is too long.
    pub static VALUE_TOO_LONG: Code = code(
        StatusCode::BAD_REQUEST,
        33005,
        "The value of a variable cannot exceed 16 characters",
    );
    /// A value holds a link.
    pub static VALUE_HAS_LINK: Code = code(
        StatusCode::BAD_REQUEST,
        33006,
        "The value of a variable cannot contain HTTP links",
    );
    /// The final text is too long for one message.
    pub static TEXT_TOO_LONG: Code = code(StatusCode::BAD_REQUEST, 33007, "The content is too long");
    /// A template without a name, or with one that is too long.
    pub static TEMPLATE_NAME: Code = code(
        StatusCode::BAD_REQUEST,
        33008,
        "template_name must be a string of 1 to 64 characters",
    );
    /// A template without a content, or with one that is too long.
    pub static TEMPLATE_CONTENT: Code = code(
        StatusCode::BAD_REQUEST,
        33009,
        "template_content must be a string of 1 to 512 characters",
    );
    /// A content with something in it that may not be there; the text says what.
    pub static CONTENT_FORBIDDEN: Code = code(
        StatusCode::BAD_REQUEST,
        33010,
        "template_content contains forbidden words",
    );
    /// A link that does not stand alone, or does not begin as links do.
    pub static CONTENT_LINK: Code = code(
        StatusCode::BAD_REQUEST,
        33011,
        "A link in template_content must begin with http:// or https:// and have a space before and after it",
    );
    /// A template of no type there is.
    pub static TEMPLATE_TYPE: Code = code(StatusCode::BAD_REQUEST, 33012, "template_type must be 0, 1 or 2");
    /// What is under review is not touched.
    pub static TEMPLATE_IN_REVIEW: Code =
        code(StatusCode::BAD_REQUEST, 33013, "The template is under review");
    /// It waits for its review, or has passed it.
    pub static TEMPLATE_SUBMITTED: Code = code(
        StatusCode::BAD_REQUEST,
        33014,
        "The template has been submitted already",
    );
    /// A template to be reviewed has no signature.
    pub static SIGN_MISSING: Code = code(
        StatusCode::BAD_REQUEST,
        33015,
        "A sign must be chosen before the template is submitted",
    );
    /// As many templates as an account may have.
    pub static TEMPLATES_FULL: Code = code(StatusCode::BAD_REQUEST, 33016, "Too many templates");
    /// A signature's name is malformed.
    pub static SIGN_NAME: Code = code(
        StatusCode::BAD_REQUEST,
        34011,
        "sign_name must be a string of 2 to 60 characters without brackets and variables",
    );
    /// Another signature of the account has that name.
    pub static SIGN_TAKEN: Code = code(StatusCode::BAD_REQUEST, 34012, "sign_name already exists");
    /// As many signatures as an account may have.
    pub static SIGNS_FULL: Code = code(
        StatusCode::BAD_REQUEST,
        34013,
        "The maximum of 100 signs is reached",
    );
    /// What is under review is not touched.
    pub static SIGN_IN_REVIEW: Code = code(StatusCode::BAD_REQUEST, 34014, "The sign is under review");
    /// No such label.
    pub static LABEL_UNKNOWN: Code = code(StatusCode::BAD_REQUEST, 34021, "label not exists");
    /// A label's name is malformed.
    pub static LABEL_NAME: Code = code(
        StatusCode::BAD_REQUEST,
        34022,
        "label_name must be a string of 1 to 64 characters",
    );
    /// Another label of the account has that name.
    pub static LABEL_TAKEN: Code = code(StatusCode::BAD_REQUEST, 34023, "label_name already exists");
    /// As many labels as an account may have.
    pub static LABELS_FULL: Code = code(StatusCode::BAD_REQUEST, 34024, "Too many labels");
}

/// Generation C, sending. All known; several texts are ours.
pub mod c {
    use super::{Code, StatusCode, code};

    /// We failed.
    pub static SERVER_ERROR: Code = code(StatusCode::INTERNAL_SERVER_ERROR, 1000, "internal error");
    /// More requests than there may be.
    pub static TOO_OFTEN: Code = code(StatusCode::TOO_MANY_REQUESTS, 3004, "too many requests");
    /// Too much is waiting, or we are stopping.
    pub static BUSY: Code = code(
        StatusCode::SERVICE_UNAVAILABLE,
        1000,
        "internal error: try again later",
    );
    /// No or wrong credentials.
    pub static UNAUTHORIZED: Code = code(
        StatusCode::UNAUTHORIZED,
        2001,
        "authentication failed: wrong token",
    );
    /// The credentials are switched off.
    pub static DISABLED: Code = code(
        StatusCode::UNAUTHORIZED,
        2002,
        "authentication failed: token expired or disabled",
    );
    /// The account may not send.
    pub static MAY_NOT_SEND: Code = code(StatusCode::FORBIDDEN, 2004, "no permission to call this api");
    /// The body is no JSON.
    pub static NOT_JSON: Code = code(
        StatusCode::BAD_REQUEST,
        3001,
        "the request body is not valid JSON",
    );
    /// A field is not as documented; the text says which.
    pub static PARAMETERS: Code = code(StatusCode::BAD_REQUEST, 3002, "invalid parameters");
    /// The key was used before, and the account wants such requests refused.
    pub static ID_REUSED: Code = code(
        StatusCode::BAD_REQUEST,
        3002,
        "the Idempotency-Key was used before with another request",
    );
    /// Not by this method.
    pub static METHOD: Code = code(StatusCode::METHOD_NOT_ALLOWED, 3002, "method not allowed");
    /// The body is over the limit.
    pub static TOO_LARGE: Code = code(
        StatusCode::PAYLOAD_TOO_LARGE,
        3002,
        "the request body is too large",
    );
    /// The template may not be used.
    pub static TEMPLATE_NOT_APPROVED: Code = code(
        StatusCode::BAD_REQUEST,
        3003,
        "the template has not been approved",
    );
    /// The template's signature is gone or not approved.
    pub static SIGN_NOT_APPROVED: Code = code(
        StatusCode::BAD_REQUEST,
        3003,
        "sign status is not approved, can not use",
    );
    /// The balance does not cover it.
    pub static BALANCE: Code = code(StatusCode::BAD_REQUEST, 3003, "insufficient balance");
    /// The final text is too long for one message.
    pub static TEXT_TOO_LONG: Code = code(StatusCode::BAD_REQUEST, 3003, "the content is too long");
    /// Too many to this number in a minute or a day.
    pub static FREQUENCY: Code = code(StatusCode::BAD_REQUEST, 3004, "too many messages to this number");
    /// No such template.
    pub static TEMPLATE_UNKNOWN: Code = code(StatusCode::BAD_REQUEST, 4001, "template not found");
    /// No recipient has a number.
    pub static PHONE_FORMAT: Code = code(
        StatusCode::BAD_REQUEST,
        5001,
        "sending failed: invalid phone number format",
    );
    /// No carrier takes the message.
    pub static NO_ROUTE: Code = code(
        StatusCode::BAD_REQUEST,
        5001,
        "sending failed: no channel for this number",
    );
    /// The number is suppressed (only where it cannot fail in processing).
    pub static SUPPRESSED: Code = code(
        StatusCode::BAD_REQUEST,
        5001,
        "sending failed: the number is blocked",
    );
}

/// Generation C, managing templates and signatures: the code is the HTTP status, the text says the rest.
pub mod config {
    use super::{Code, StatusCode, code};

    // Known texts.

    /// We failed.
    pub static SERVER_ERROR: Code = code(StatusCode::INTERNAL_SERVER_ERROR, 500, "Internal server error");
    /// The id is none.
    pub static TEMPLATE_ID: Code = code(StatusCode::BAD_REQUEST, 400, "invalid templateId");
    /// No such template.
    pub static TEMPLATE_UNKNOWN: Code = code(StatusCode::BAD_REQUEST, 400, "template config not exist");
    /// The id is none.
    pub static SIGN_ID: Code = code(StatusCode::BAD_REQUEST, 400, "invalid signId");
    /// No such signature.
    pub static SIGN_UNKNOWN: Code = code(StatusCode::BAD_REQUEST, 400, "sign config not exist");
    /// Another signature of the account has that name.
    pub static SIGN_TAKEN: Code = code(StatusCode::BAD_REQUEST, 400, "sign_name already exist");
    /// What is under review is not touched.
    pub static TEMPLATE_PENDING: Code = code(
        StatusCode::BAD_REQUEST,
        400,
        "can not update pending status template",
    );
    /// What is under review is not touched.
    pub static SIGN_PENDING: Code = code(StatusCode::BAD_REQUEST, 400, "can not update pending status sign");
    /// Messages with it wait to be sent.
    pub static TEMPLATE_IN_PLANS: Code = code(
        StatusCode::BAD_REQUEST,
        400,
        "there are pending or running plans using current template, can not update",
    );
    /// Messages with it wait to be sent.
    pub static SIGN_IN_PLANS: Code = code(
        StatusCode::BAD_REQUEST,
        400,
        "there are pending or running plans using current sign, can not update",
    );
    /// Only approved signatures go onto templates.
    pub static SIGN_NOT_APPROVED: Code = code(
        StatusCode::BAD_REQUEST,
        400,
        "sign status is not approved, can not use",
    );

    // Chosen texts.

    /// The body, or a field of it, is not as documented; the text says which.
    pub static PARAMETERS: Code = code(StatusCode::BAD_REQUEST, 400, "invalid parameters");
    /// Templates have it.
    pub static SIGN_IN_TEMPLATES: Code = code(
        StatusCode::BAD_REQUEST,
        400,
        "there are templates using current sign, can not delete",
    );
    /// As many as an account may have.
    pub static FULL: Code = code(
        StatusCode::BAD_REQUEST,
        400,
        "the maximum number of configs is reached",
    );
    /// Not by this method.
    pub static METHOD: Code = code(StatusCode::METHOD_NOT_ALLOWED, 400, "method not allowed");
    /// The body is over the limit.
    pub static TOO_LARGE: Code = code(
        StatusCode::PAYLOAD_TOO_LARGE,
        400,
        "the request body is too large",
    );
    /// Too much is waiting, or we are stopping.
    pub static BUSY: Code = code(
        StatusCode::SERVICE_UNAVAILABLE,
        500,
        "Internal server error: try again later",
    );
}

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status and vendor code of the response.
    pub code: &'static Code,
    /// The text of the response.
    pub message: Cow<'static, str>,
    /// Seconds after which the client may retry (`Retry-After`); 0: the header is not sent.
    pub retry_after_s: u32,
}

impl ApiError {
    /// In words that say more than the code's own.
    pub fn saying(code: &'static Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_s: 0,
        }
    }

    /// A temporary refusal: the client may retry after `wait_ms` milliseconds.
    pub fn after(code: &'static Code, wait_ms: i64) -> Self {
        let wait_s = (wait_ms.max(1) - 1) / 1_000 + 1;
        Self {
            retry_after_s: u32::try_from(wait_s).unwrap_or(u32::MAX),
            ..Self::from(code)
        }
    }
}

impl From<&'static Code> for ApiError {
    fn from(code: &'static Code) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message),
            retry_after_s: 0,
        }
    }
}
