//! What can be a secret: an empty one opens to everybody who knows the public half.

use sms::visible::is_blank;

/// Octets below which a secret is worth guessing: 16 octets, even of hexadecimal digits, are 64 bits. What the vendors
/// give out has 24 and more.
pub const SECRET_OCTETS_ADVISED: usize = 16;

/// Why a text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// There is nothing in it, or nothing to see.
    #[error("is empty, or has nothing but blanks in it")]
    Blank,
    /// No client can send it as it is.
    #[error("has a control character in it, such as a line end or a NUL")]
    Control,
}

/// What is wrong with a text as a secret.
#[must_use]
pub fn secret_fault(text: &str) -> Option<SecretFault> {
    if is_blank(text) {
        return Some(SecretFault::Blank);
    }
    text.chars().any(char::is_control).then_some(SecretFault::Control)
}
