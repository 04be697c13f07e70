//! How strict this family's wires are, stated for the engine (contract sections 2, 5 and 6).

use super::auth::Caller;
use super::wire::SENDER_DIGITS_MAX;
use engine::accept::{Duplicates, Forbidden, Item, Missing, Overlong, Rules, Submission};
use engine::sms::class::Kind;
use engine::sms::phone::Grammar;
use engine::{Dialect, SuppressedPolicy};
use std::sync::Arc;

/// Longest final text in characters, signature included (contract section 6).
pub const TEXT_CHARS_MAX: usize = 500;

/// A request as the engine takes it.
pub fn submission(caller: &Caller, dialect: Dialect, items: Vec<Item>) -> Submission {
    Submission {
        account: caller.account,
        dialect,
        user: Arc::clone(&caller.user),
        items,
        // One session number for all of a request, but in REST v1 one for each item (contract section 10).
        one_session: dialect != Dialect::UspeedoRest,
        kind: Kind::Text,
        message_type: None,
        label: 0,
        custom: None,
        due: None,
        ends_at: None,
        rules: rules(dialect),
    }
}

fn rules(dialect: Dialect) -> Rules {
    Rules {
        grammar: match dialect {
            Dialect::UspeedoRest => Grammar::Uspeedo,
            _ => Grammar::UcloudAction,
        },
        // Different texts to one number are wanted; the same text twice is refused by `wire`, which knows both.
        duplicates: Duplicates::Allow,
        value_chars_max: None,
        links_in_values: true,
        missing: Missing::Refuse,
        refuse_surplus: true,
        text_chars_max: Some(TEXT_CHARS_MAX),
        overlong: Overlong::Refuse,
        forbidden: Forbidden::Refuse,
        // Numbers may be longer than names; `wire` distinguishes them. One more for a plus sign.
        sender_chars_max: SENDER_DIGITS_MAX + 1,
        sender_chars_min: 1,
        sender_alphanumeric: false,
        suppressed: SuppressedPolicy::Refuse,
    }
}
