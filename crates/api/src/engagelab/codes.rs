//! EngageLab's codes, HTTP statuses and texts, in one place to be held against contract/engagelab.md.
//!
//! Of generation A six codes are known; the others are chosen from the families those suggest (30xxx the request, 32xxx
//! recipients, 33xxx templates and variables, 3401x signatures, 3402x labels; 304xx and 305xx carry the HTTP status).
//! Of generation C the list is complete. docs/dialects/engagelab.md says which is which.

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

/// Generation A: `/v1/send` and `/v1/status`.
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
    /// Too many status queries a minute.
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
}

/// Generation C: `/v1/messages`. All known; several texts are ours.
pub mod c {
    use super::{Code, StatusCode, code};

    /// We failed.
    pub static SERVER_ERROR: Code = code(StatusCode::INTERNAL_SERVER_ERROR, 1000, "internal error");
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

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it is told.
    pub code: &'static Code,
    /// In these words.
    pub message: Cow<'static, str>,
}

impl Refused {
    /// In words that say more than the code's own.
    pub fn saying(code: &'static Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<&'static Code> for Refused {
    fn from(code: &'static Code) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message),
        }
    }
}
