//! Inbound messages (MO), on order or generated at a rate.
//!
//! The `n`th generated message follows from the seed, from `n` and from the [`MoGenerator`] in force, and its text begins with
//! `n` ([`number_of`]): the events that a gateway sends about it can be found whatever became of its parts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smpp::field::{Address, DataCoding, EsmClass};
use smpp::pdu::DeliverSm;
use smpp::tlv::Sar;
use sms::alphabet::Alphabet;
use sms::segment::{self, Reference, TooLong, udh};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::SmscHandle;
use super::behaviour::{MoGenerator, Span};
use super::mailbox::Mailbox;
use super::receipt::{Delivery, Inward};
use super::shared::Shared;
use crate::seed::{Question, Seed, hash};

/// Interval at which due messages are generated.
const TICK: Duration = Duration::from_millis(10);

/// Seconds of messages that are made up for after a pause at most.
const OWED_S_MAX: f64 = 1.0;

/// While so many deliveries wait for a session, no message is generated.
const WAITING_MAX: usize = 10_000;

/// Characters in front of the number of a text.
const PREFIX: &str = "message ";

/// Digits of the number.
const DIGITS: usize = 8;

/// Counts of one generated inbound message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundCounts {
    /// Parts it was delivered in.
    pub parts: u8,
    /// Of these, parts that were acknowledged with `ESME_ROK` at least once.
    pub acknowledged: u8,
    /// Acknowledgements beyond the first of each part.
    pub repeated: u16,
    /// What its text amounts to, see [`crate::seed::hash`].
    pub text: u64,
    /// Parts that were acknowledged, a bit each.
    seen: u32,
}

impl InboundCounts {
    /// The most parts of a generated message.
    pub const PARTS_MAX: u8 = 32;

    pub(super) fn of(parts: u8, text: &str) -> Self {
        Self {
            parts,
            text: hash(text.as_bytes()),
            ..Self::default()
        }
    }

    /// Whether the gateway has acknowledged every part.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        self.parts > 0 && self.acknowledged >= self.parts
    }

    /// Part `part`, from 0, was acknowledged.
    pub(super) fn acknowledge(&mut self, part: u8) {
        let bit = 1_u32.checked_shl(u32::from(part)).unwrap_or(0);
        if self.seen & bit == 0 {
            self.seen |= bit;
            self.acknowledged = self.acknowledged.saturating_add(1);
        } else {
            self.repeated = self.repeated.saturating_add(1);
        }
    }
}

/// The number of the generated message with this text; `None` for other texts.
#[must_use]
pub fn number_of(text: &str) -> Option<u64> {
    let digits = text.strip_prefix(PREFIX)?.get(..DIGITS)?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(())?;
    digits.parse().ok()
}

/// One message, before it is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InboundSms {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) text: String,
    pub(super) reference: Reference,
    /// What its parts have in common.
    pub(super) common: u16,
}

impl InboundSms {
    /// The `number`th generated message.
    fn write(seed: Seed, mo_generator: &MoGenerator, number: u64) -> Self {
        let roll = |place| seed.roll_at(Question::InboundSms, place, number, 0);
        let reference = match roll(0).within(0, 2) {
            0 => Reference::Bits16,
            1 => Reference::Bits8,
            _ => Reference::Sar,
        };
        let alphabet = match roll(1).hits(mo_generator.unicode_share) {
            true => Alphabet::Ucs2,
            false => Alphabet::Gsm7,
        };
        let parts = roll(2).within(mo_generator.parts.min, mo_generator.parts.max);
        let to = usize::try_from(number).ok().and_then(|at| {
            let at = at.checked_rem(mo_generator.to.len())?;
            mo_generator.to.get(at)
        });
        Self {
            from: (mo_generator.from_first + number % mo_generator.senders.max(1)).to_string(),
            to: to.cloned().unwrap_or_default(),
            text: text(number, parts, alphabet, reference),
            reference,
            common: number as u16,
        }
    }

    /// The PDUs that bring it, in order.
    ///
    /// # Errors
    /// [`TooLong`] when a message cannot have so many parts.
    pub(super) fn cut(&self) -> Result<Vec<DeliverSm>, TooLong> {
        let cut = segment::segments(&self.text, self.reference)?;
        let data_coding = match cut.alphabet {
            Alphabet::Gsm7 => DataCoding::DEFAULT,
            Alphabet::Ucs2 => DataCoding::UCS2,
        };
        let total = u8::try_from(cut.parts.len()).unwrap_or(u8::MAX);
        let pdus = (1..=total).zip(&cut.parts).map(|(seqnum, part)| {
            let mut pdu = DeliverSm {
                source: Address::international(&self.from),
                destination: Address::unknown(&self.to),
                data_coding,
                ..DeliverSm::default()
            };
            let mut payload = Vec::new();
            if total > 1 {
                let header = udh(self.reference, self.common, total, seqnum);
                payload.extend_from_slice(&header);
                if header.is_empty() {
                    pdu.tlvs.set_sar(Sar {
                        reference: self.common,
                        total,
                        seqnum,
                    });
                } else {
                    pdu.esm_class = EsmClass::UDHI;
                }
            }
            payload.extend_from_slice(part);
            pdu.short_message = payload.into();
            pdu
        });
        Ok(pdus.collect())
    }
}

/// A text that takes so many parts.
fn text(number: u64, parts: u64, alphabet: Alphabet, reference: Reference) -> String {
    let mut text = format!("{PREFIX}{number:0DIGITS$} ");
    // A character of two UTF-16 units would make the cut uneven; this one has one, and is in no alphabet of GSM.
    let (letters, filler) = match alphabet {
        Alphabet::Gsm7 => (text.len(), 'x'),
        Alphabet::Ucs2 => {
            text.push('收');
            (text.chars().count(), '短')
        }
    };
    let part_max = reference.part_units_max(alphabet);
    // Well into the last part, so that it is neither empty nor the whole of a single one.
    let wanted = usize::try_from(parts.saturating_sub(1))
        .unwrap_or(0)
        .saturating_mul(part_max)
        + segment::single_units_max(alphabet) / 2;
    text.extend(std::iter::repeat_n(filler, wanted.saturating_sub(letters)));
    text
}

/// Generates messages until the simulator stops.
pub(super) async fn run(smsc: SmscHandle) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut owed = 0.0;
    let mut last = Instant::now();
    loop {
        let script = smsc.shared.script.load_full();
        let mo_generator = &script.behaviour.mo_generator;
        if mo_generator.per_s <= 0.0 {
            tokio::select! {
                () = smsc.stopping.cancelled() => return,
                () = smsc.shared.behaves.notified() => {}
            }
            (owed, last) = (0.0, Instant::now());
            continue;
        }
        tokio::select! {
            () = smsc.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        owed += (now - last).as_secs_f64() * mo_generator.per_s;
        owed = owed.min(mo_generator.per_s.max(1.0) * OWED_S_MAX);
        last = now;
        let Some(mailbox) = smsc.shared.mailbox_for(&mo_generator.system_id) else {
            continue;
        };
        while owed >= 1.0 && write_one(&smsc.shared, mo_generator, &mailbox) {
            owed -= 1.0;
        }
    }
}

/// Generates one more message; false if none may be generated now.
fn write_one(shared: &Shared, mo_generator: &MoGenerator, mailbox: &Mailbox) -> bool {
    let written = shared.written.load(Ordering::Relaxed);
    let enough = mo_generator.messages_max > 0 && written >= mo_generator.messages_max;
    if enough || mailbox.len() >= WAITING_MAX {
        return false;
    }
    let number = written + 1;
    shared.written.store(number, Ordering::Relaxed);
    let inbound_sms = InboundSms::write(shared.seed, mo_generator, number);
    let Ok(pdus) = inbound_sms.cut() else {
        // The check of the behaviour keeps messages far below the parts a message can have.
        tracing::error!(number, "inbound message has too many parts");
        return true;
    };
    let parts = u8::try_from(pdus.len()).unwrap_or(u8::MAX);
    let message_counts = InboundCounts::of(parts, &inbound_sms.text);
    shared.ledger.lock().written(number, message_counts);
    let now_ms = shared.now().ms;
    let Span { min, max } = mo_generator.repeat_after_ms;
    let mut deliveries = Vec::with_capacity(pdus.len());
    for (part, pdu) in (0_u8..).zip(pdus) {
        let inward = Arc::new(Inward {
            pdu,
            of: Some((number, part)),
        });
        let roll = |place| {
            shared
                .seed
                .roll_at(Question::InboundSms, place, number, u64::from(part))
        };
        if roll(3).hits(mo_generator.repeat_share) {
            let again_ms = now_ms + roll(4).within(min, max);
            deliveries.push((again_ms, Delivery::Inbound(Arc::clone(&inward))));
        }
        deliveries.push((now_ms, Delivery::Inbound(inward)));
    }
    mailbox.schedule(&mut deliveries);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mo_generator() -> MoGenerator {
        MoGenerator {
            per_s: 1.0,
            parts: Span { min: 1, max: 4 },
            unicode_share: 0.5,
            to: vec!["10690".into(), "10691".into()],
            ..MoGenerator::default()
        }
    }

    #[test]
    fn a_message_has_the_parts_it_is_to_have_and_reads_back() {
        let mo_generator = mo_generator();
        for number in 1..200 {
            let inbound_sms = InboundSms::write(Seed(7), &mo_generator, number);
            assert_eq!(number_of(&inbound_sms.text), Some(number));
            assert_eq!(inbound_sms, InboundSms::write(Seed(7), &mo_generator, number));
            let pdus = inbound_sms.cut().unwrap();
            let drawn = Seed(7).roll_at(Question::InboundSms, 2, number, 0).within(1, 4);
            assert_eq!(pdus.len() as u64, drawn, "{inbound_sms:?}");
            let texts = pdus.iter().map(|pdu| {
                let octets = match pdu.esm_class.has_udhi() {
                    true => sms::udh::read(&pdu.short_message).text,
                    false => &pdu.short_message[..],
                };
                assert!(pdu.short_message.len() <= 160);
                match pdu.data_coding {
                    DataCoding::UCS2 => sms::alphabet::decode_ucs2(octets),
                    _ => sms::alphabet::decode_gsm7(octets),
                }
            });
            assert_eq!(texts.collect::<String>(), inbound_sms.text);
        }
    }

    #[test]
    fn parts_name_each_other_in_every_way() {
        let inbound_sms = |reference| InboundSms {
            from: "447700900123".into(),
            to: "10690".into(),
            text: "a".repeat(400),
            reference,
            common: 0x1234,
        };
        let part = |reference, at: usize| {
            let pdus = inbound_sms(reference).cut().unwrap();
            let sar = || {
                pdus[at]
                    .tlvs
                    .sar()
                    .map(|sar| (sar.reference, sar.total, sar.seqnum))
            };
            match pdus[at].esm_class.has_udhi() {
                true => sms::udh::read(&pdus[at].short_message)
                    .part
                    .map(|part| (part.reference, part.total, part.number)),
                false => sar(),
            }
        };
        assert_eq!(part(Reference::Bits16, 0), Some((0x1234, 3, 1)));
        assert_eq!(part(Reference::Bits8, 1), Some((0x34, 3, 2)));
        assert_eq!(part(Reference::Sar, 2), Some((0x1234, 3, 3)));
    }

    #[test]
    fn only_texts_of_ours_have_a_number() {
        for (text, number) in [
            ("message 00000017 xx", Some(17)),
            ("message 17", None),
            ("message +0000017", None),
            ("STOP", None),
            ("message 0000001短", None),
        ] {
            assert_eq!(number_of(text), number, "{text}");
        }
    }

    #[test]
    fn a_message_is_taken_when_all_of_its_parts_are() {
        let mut message_counts = InboundCounts::of(2, "");
        message_counts.acknowledge(1);
        message_counts.acknowledge(1);
        assert_eq!((message_counts.is_taken(), message_counts.repeated), (false, 1));
        message_counts.acknowledge(0);
        assert!(message_counts.is_taken());
        assert!(!InboundCounts::default().is_taken());
    }
}
