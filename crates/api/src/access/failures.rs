//! Requests whose credentials were not accepted: counted by reason, and logged. What repeats in the log is summed up there.

use super::Requester;
use engine::Engine;

/// So much of a key that nobody has is logged: it may be a secret in the wrong place.
const UNKNOWN_KEY_CHARS: usize = 4;

/// Counts and logs a request whose credentials were not accepted. `reason` is the label of the metric: `missing`,
/// `unknown_key`, `wrong_secret`, `wrong_time`, `too_many` (not checked), `replayed`, `disabled`.
pub(super) fn note(engine: &Engine, requester: Requester<'_>, reason: &'static str) {
    engine.denied(requester.dialect, reason);
    let (dialect, address) = (
        engine::dialect_name(requester.dialect),
        requester.client.network(),
    );
    let catalog = engine.catalog();
    let Some(known) = catalog.credential(requester.family, requester.user) else {
        // Not as `user`: who makes keys up must not make up as many kinds of lines.
        let user_begins = beginning(requester.user);
        tracing::warn!(dialect, %reason, user_begins, %address, "credentials rejected");
        return;
    };
    let account = catalog
        .account(known.account)
        .map_or("", |account| &*account.name);
    tracing::warn!(dialect, %reason, account, user = requester.user, %address, "credentials rejected");
}

/// The first characters of a key that nobody has, at most a quarter of it.
fn beginning(key: &str) -> String {
    let chars = UNKNOWN_KEY_CHARS.min(key.chars().count() / 4);
    let plain = key.chars().take(chars).filter(char::is_ascii_graphic);
    let mut shown: String = plain.collect();
    if !shown.is_empty() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_that_nobody_has_only_the_beginning_is_shown() {
        for (key, expected) in [
            ("", ""),
            ("abc", ""),
            ("abcdefgh", "ab…"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA…"),
            ("\n\u{202e}x\u{7f}aaaaaaaaaaaaaa", "x…"),
            ("你好你好你好你好", ""),
        ] {
            assert_eq!(beginning(key), expected, "{key:?}");
        }
    }
}
