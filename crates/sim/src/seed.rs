//! Chance that can be repeated.
//!
//! A fault must come back when the same seed is given again, although connections race and messages arrive in
//! another order. So decisions are not drawn from a stream: each is a function of the seed, of its subject (a message, a
//! bind), of how often that was seen, and of the kind of the decision.

use std::hash::Hasher;

/// What a decision is about: one enum for all, so that no two questions share their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Question {
    /// Does this rule apply? Add its place in the list.
    Rule = 0x100,
    /// How long does the answer take?
    AnswerDelay = 1,
    /// Is there no answer at all?
    Silence = 2,
    /// Is the receipt early, late, doubled or missing?
    ReceiptEffect = 3,
    /// How long does the receipt take?
    ReceiptDelay = 4,
    /// In which order do receipts leave?
    Order = 5,
    /// Is the bind refused?
    BindRefusal = 6,
    /// After how many messages is the connection cut?
    Disconnect = 7,
    /// After how long is the connection cut?
    DisconnectTime = 8,
    /// Is a message whose answer is lost taken all the same?
    Taken = 9,
    /// After how many messages comes garbage?
    Garbage = 10,
    /// Which garbage?
    GarbageKind = 11,
    /// How long does the answer to a bind take?
    BindDelay = 12,
    /// Decisions of a test driver.
    Driver = 13,
    /// The content and the form of a generated inbound message. Add the place of the question.
    InboundSms = 14,
    /// The outcome of a webhook call.
    CallOutcome = 15,
    /// How long does its answer take?
    CallDelay = 16,
}

/// A seed, and decisions made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The decision on `question` about `subject`, the `nth` time.
    #[must_use]
    pub fn roll(self, question: Question, subject: u64, nth: u64) -> Roll {
        self.roll_at(question, 0, subject, nth)
    }

    /// As [`Self::roll`], for a question with several places in a list.
    #[must_use]
    pub fn roll_at(self, question: Question, place: usize, subject: u64, nth: u64) -> Roll {
        let question = mix(question as u64 ^ (place as u64) << 16);
        Roll(mix(mix(mix(self.0 ^ question) ^ subject) ^ nth))
    }
}

/// One drawn number, all 64 bits equally likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll(pub u64);

impl Roll {
    /// True in `share` of all cases: 0 never, 1 always.
    #[must_use]
    pub fn hits(self, share: f64) -> bool {
        self.unit() < share
    }

    /// A number in `0.0..1.0`.
    #[must_use]
    pub fn unit(self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in `min..=max`; `min` if they are the wrong way round.
    #[must_use]
    pub fn within(self, min: u64, max: u64) -> u64 {
        let span = max.saturating_sub(min).saturating_add(1);
        // The high half of the product is uniform enough for any span that is small against 2^64.
        min + ((u128::from(self.0) * u128::from(span)) >> 64) as u64
    }
}

/// Spreads every bit of the input over the output; a bijection (the finaliser of a 64-bit multiplicative hash).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// 64 bits of any octets, equally likely to be any: two of a million texts have the same once in 37 million cases.
#[must_use]
pub fn hash(octets: &[u8]) -> u64 {
    octets.chunks(8).fold(mix(octets.len() as u64), |sum, chunk| {
        let mut word = [0; 8];
        for (octet, from) in word.iter_mut().zip(chunk) {
            *octet = *from;
        }
        mix(sum ^ u64::from_le_bytes(word))
    })
}

/// Keys are hashes or numbers already; one mixing is all they need.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = mix(self.0 ^ u64::from(*octet));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = mix(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_decides_the_same_and_another_one_differently() {
        let roll = |seed| Seed(seed).roll(Question::Silence, 7, 1);
        assert_eq!(roll(1), roll(1));
        assert_ne!(roll(1), roll(2));
        assert_ne!(roll(1), Seed(1).roll(Question::Taken, 7, 1));
        assert_ne!(roll(1), Seed(1).roll(Question::Silence, 7, 2));
    }

    #[test]
    fn texts_have_hashes_of_their_own() {
        let texts = ["", "a", "b", "aa", "evt_1_2_3", "evt_1_2_30", "evt_1_23_0"];
        let hashes: std::collections::HashSet<u64> = texts.iter().map(|text| hash(text.as_bytes())).collect();
        assert_eq!(hashes.len(), texts.len());
        assert_eq!(hash(b"evt_1_2_3"), hash(b"evt_1_2_3"));
    }

    #[test]
    fn shares_come_out_as_configured() {
        for share in [0.0, 0.1, 0.5, 1.0] {
            let hits = (0..10_000)
                .filter(|n| Seed(9).roll(Question::Rule, *n, 0).hits(share))
                .count();
            let off = (hits as f64 / 10_000.0 - share).abs();
            assert!(off < 0.02, "{share}: {hits}");
        }
    }

    #[test]
    fn a_span_is_kept_and_both_ends_occur() {
        let drawn: Vec<u64> = (0..200)
            .map(|n| Seed(3).roll(Question::Order, n, 0).within(4, 6))
            .collect();
        assert!(drawn.iter().all(|value| (4..=6).contains(value)));
        assert!(drawn.contains(&4) && drawn.contains(&6));
        assert_eq!(Roll(u64::MAX).within(5, 5), 5);
        assert_eq!(Roll(u64::MAX).within(0, u64::MAX), u64::MAX - 1);
    }
}
