//! The ids that clients see, made from message ids without any index.
//!
//! A session number (a UUID) and a message id of the SendCloud family both carry the id of the request's
//! first message under a keyed tag: they can be read back to a range of messages at no cost in the store,
//! cannot be guessed, and mean nothing to another account.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use store::{AccountId, MessageId};

/// Makes and reads public ids. The key is made with the store and never changes.
#[derive(Clone)]
pub struct PublicIds {
    keyed: Hmac<Sha256>,
}

/// Characters of the random-looking part of a message id.
const TAG_CHARS: usize = 6;
const TAG_ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Ids are below 2^62 for the next two centuries; a UUID has 122 free bits.
const ID_BITS: u32 = 62;
const SESSION_TAG_BITS: u32 = 60;

impl PublicIds {
    /// With the store's id key.
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC takes keys of any length; 32 octets cannot be refused.
        let keyed =
            <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
        Self { keyed }
    }

    /// The session number of the session that begins with `first`: a UUID in version 4's shape.
    pub fn session(&self, account: AccountId, first: MessageId) -> String {
        let id = u128::from(first.0 as u64) & mask(ID_BITS);
        let tag = self.session_tag(account, id);
        let hidden = (id ^ self.session_pad(tag)) & mask(ID_BITS);
        format_uuid(hidden << SESSION_TAG_BITS | tag)
    }

    /// Reads a session number back; `None` when it is not one of ours for this account.
    /// Hyphens and case do not matter.
    pub fn read_session(&self, account: AccountId, written: &str) -> Option<MessageId> {
        let bits = parse_uuid(written)?;
        let tag = bits & mask(SESSION_TAG_BITS);
        let id = (bits >> SESSION_TAG_BITS) ^ self.session_pad(tag);
        let id = id & mask(ID_BITS);
        (self.session_tag(account, id) == tag).then_some(MessageId(id as i64))
    }

    /// The part of a message id that all recipients of a request share:
    /// `<ms>_<account>_<n>_<template>_<6 characters>` (docs/dialects/sendcloud.md).
    pub fn message_prefix(&self, account: AccountId, first: MessageId, template: i64) -> String {
        let tag = self.message_tag(account, first, template);
        let tag = std::str::from_utf8(&tag).unwrap_or_default();
        format!(
            "{}_{account}_{}_{template}_{tag}",
            first.time_part(),
            counter(first)
        )
    }

    /// Reads `<prefix>$<number as sent>` back to the first message of the request and the number;
    /// `None` when it is not one of ours for this account.
    pub fn read_message<'a>(&self, account: AccountId, written: &'a str) -> Option<(MessageId, &'a str)> {
        let (prefix, number) = written.split_once('$')?;
        self.read_message_prefix(account, prefix)
            .map(|first| (first, number))
    }

    /// Reads a prefix alone.
    pub fn read_message_prefix(&self, account: AccountId, prefix: &str) -> Option<MessageId> {
        let mut parts = prefix.split('_');
        let ms: i64 = parts.next()?.parse().ok()?;
        let owner: u32 = parts.next()?.parse().ok()?;
        let n: i64 = parts.next()?.parse().ok()?;
        let template: i64 = parts.next()?.parse().ok()?;
        let tag = parts.next()?;
        if parts.next().is_some() || owner != account.0 {
            return None;
        }
        let counter_max = 1_i64 << MessageId::COUNTER_BITS;
        if !(0..counter_max).contains(&n) || !(0..1_i64 << (ID_BITS - MessageId::COUNTER_BITS)).contains(&ms)
        {
            return None;
        }
        let first = MessageId::first_at(ms).plus(n);
        (self.message_tag(account, first, template) == tag.as_bytes()).then_some(first)
    }

    fn session_tag(&self, account: AccountId, id: u128) -> u128 {
        self.digest(&[b"session", &account.0.to_be_bytes(), &id.to_be_bytes()]) & mask(SESSION_TAG_BITS)
    }

    fn session_pad(&self, tag: u128) -> u128 {
        self.digest(&[b"pad", &tag.to_be_bytes()]) & mask(ID_BITS)
    }

    fn message_tag(&self, account: AccountId, first: MessageId, template: i64) -> [u8; TAG_CHARS] {
        let mut digest = self.digest(&[
            b"message",
            &account.0.to_be_bytes(),
            &first.0.to_be_bytes(),
            &template.to_be_bytes(),
        ]);
        let base = TAG_ALPHABET.len() as u128;
        std::array::from_fn(|_| {
            let digit = (digest % base) as usize;
            digest /= base;
            TAG_ALPHABET.get(digit).copied().unwrap_or(b'0')
        })
    }

    /// The first 128 bits of the keyed digest.
    fn digest(&self, parts: &[&[u8]]) -> u128 {
        let mut mac = self.keyed.clone();
        for part in parts {
            mac.update(part);
        }
        let out = mac.finalize().into_bytes();
        out.iter()
            .take(16)
            .fold(0, |all, octet| all << 8 | u128::from(*octet))
    }
}

impl std::fmt::Debug for PublicIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicIds(..)")
    }
}

const fn mask(bits: u32) -> u128 {
    (1 << bits) - 1
}

const fn counter(id: MessageId) -> i64 {
    id.0 & ((1 << MessageId::COUNTER_BITS) - 1)
}

/// Spreads 122 bits around the version and variant bits (RFC 9562 section 5.4).
fn format_uuid(bits: u128) -> String {
    let low62 = bits & mask(62);
    let mid12 = (bits >> 62) & mask(12);
    let high48 = (bits >> 74) & mask(48);
    let uuid = high48 << 80 | 0x4 << 76 | mid12 << 64 | 0b10 << 62 | low62;
    let hex = format!("{uuid:032x}");
    let mut out = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

fn parse_uuid(written: &str) -> Option<u128> {
    let mut uuid = 0_u128;
    let mut digits = 0;
    for c in written.chars().filter(|c| *c != '-') {
        uuid = uuid.checked_mul(16)? | u128::from(c.to_digit(16)?);
        digits += 1;
        if digits > 32 {
            return None;
        }
    }
    let shaped = digits == 32 && (uuid >> 76) & 0xf == 0x4 && (uuid >> 62) & 0b11 == 0b10;
    shaped.then(|| (uuid >> 80) << 74 | ((uuid >> 64) & mask(12)) << 62 | (uuid & mask(62)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids() -> PublicIds {
        PublicIds::new(&[7; 32])
    }

    #[test]
    fn a_session_number_looks_like_a_random_uuid() {
        let uuid = ids().session(AccountId(1), MessageId::first_at(1_795_000_000_000));
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes().get(14), Some(&b'4'));
        assert!(
            matches!(uuid.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')),
            "{uuid}"
        );
    }

    /// What clients have kept is read by every release: made independently, with another implementation of HMAC.
    #[test]
    fn ids_of_before_are_made_and_read_for_ever() {
        const SESSION: &str = "fc12b052-9ce7-4a3d-998f-7d7961f67971";
        const PREFIX: &str = "1795000000000_1_5_1001_lam339";
        let (account, first) = (AccountId(1), MessageId(1_882_193_920_000_000_005));
        assert_eq!(ids().session(account, first), SESSION);
        assert_eq!(ids().read_session(account, SESSION), Some(first));
        assert_eq!(ids().message_prefix(account, first, 1001), PREFIX);
        assert_eq!(ids().read_message_prefix(account, PREFIX), Some(first));
    }

    proptest! {
        #[test]
        fn a_session_number_reads_back_for_its_account_only(id in 0_i64..(1 << 62), account in 0_u32..1000) {
            let first = MessageId(id);
            let uuid = ids().session(AccountId(account), first);
            prop_assert_eq!(ids().read_session(AccountId(account), &uuid), Some(first));
            prop_assert_eq!(ids().read_session(AccountId(account + 1), &uuid), None);
            prop_assert_eq!(ids().read_session(AccountId(account), &uuid.to_uppercase()), Some(first));
        }

        #[test]
        fn a_message_id_reads_back_for_its_account_only(
            ms in 0_i64..(1 << 42), n in 0_i64..(1 << 20), account in 0_u32..1000, template in -10_i64..1_000_000,
        ) {
            let first = MessageId::first_at(ms).plus(n);
            let prefix = ids().message_prefix(AccountId(account), first, template);
            let id = format!("{prefix}$+15550100");
            prop_assert_eq!(ids().read_message(AccountId(account), &id), Some((first, "+15550100")));
            prop_assert_eq!(ids().read_message(AccountId(account + 1), &id), None);
        }

        #[test]
        fn reading_never_panics(written in ".*") {
            prop_assert_eq!(ids().read_session(AccountId(1), &written), None);
            prop_assert_eq!(ids().read_message(AccountId(1), &written), None);
        }
    }
}
