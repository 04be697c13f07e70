//! Inbound messages (MO).

use super::{AccountId, CarrierNo, InboundId, MessageId, UnixMs};
use sms::opt_out::Words;
use sms::phone::Msisdn;
use sms::segment::Reference;
use sms::user_data::{Binary, Content, UserData};
use std::collections::HashMap;

/// One part of what a person wrote, as it came off a carrier. Most messages have one.
#[derive(Debug, Clone)]
pub struct NewInbound {
    /// Whose customer wrote, as routing says; `None` when nobody knows.
    pub account: Option<AccountId>,
    /// The carrier it came from.
    pub carrier: CarrierNo,
    /// Who wrote: E.164 digits where they could be read as such, else as the carrier wrote it.
    pub from: Box<str>,
    /// To which number or code, as the carrier wrote it.
    pub to: Box<str>,
    /// What the part holds.
    pub body: InboundBody,
    /// The message it seems to answer: the newest one to that number.
    pub answers: Option<MessageId>,
    /// When it came.
    pub received_at: UnixMs,
    /// Present when it is one of several. One that cannot be (number 0, or above the total) is taken for a whole
    /// message.
    pub part: Option<InboundPart>,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboundBody {
    /// All of a message, decoded.
    Whole(Content),
    /// The octets of one of several parts: they are kept, and decoded when all are there.
    Part(UserData),
}

impl From<&str> for InboundBody {
    fn from(text: &str) -> Self {
        Self::Whole(text.into())
    }
}

/// The opt-out and opt-in keywords of accounts; accounts without any are left out.
pub type AccountWords = HashMap<AccountId, Words>;

/// Where a part belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InboundPart {
    /// Where the reference stands: one of each kind with the same value tie different messages.
    pub kind: Reference,
    /// The reference common to all parts.
    pub reference: u16,
    /// Its number, from 1.
    pub number: u8,
    /// How many there are.
    pub total: u8,
}

/// What recording a part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboundEffect {
    /// The message is complete, and its event was logged.
    Whole(InboundId),
    /// Other parts are missing.
    Waiting,
    /// It was here already (a carrier that sends again what it got an answer for): a part of the same number with
    /// the same octets. That is known until [`super::Inbox::expire_inbound`] gives up on parts of its time. With other
    /// octets it is a part of a new message; what was there of the old one is made whole as it is.
    Repeated,
}

/// Which inbound messages are looked for.
#[derive(Debug, Clone, Default)]
pub struct InboundFilter {
    /// Only of this account.
    pub account: Option<AccountId>,
    /// Only from or to this number or code, in digits. [`NewInbound::to`] is compared without `+` or `00` in front.
    pub number: Option<Box<str>>,
    /// Only those that came since then.
    pub since: UnixMs,
    /// Only older ones than this: where the piece before ended.
    pub before: Option<InboundId>,
    /// How many to return at most.
    pub limit: usize,
}

/// What a person wrote, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Its id: time-ordered like a message's.
    pub id: InboundId,
    /// See [`NewInbound::account`]: what the first part says that says anything.
    pub account: Option<AccountId>,
    /// See [`NewInbound::carrier`].
    pub carrier: CarrierNo,
    /// See [`NewInbound::from`].
    pub from: Box<str>,
    /// See [`NewInbound::to`].
    pub to: Box<str>,
    /// The whole text; empty when it is none.
    pub text: Box<str>,
    /// What came instead of a text: octets for a program.
    pub binary: Option<Binary>,
    /// See [`NewInbound::answers`]: what the first part says that says anything.
    pub answers: Option<MessageId>,
    /// When its last part came.
    pub received_at: UnixMs,
}

/// Selects the newest message to a number.
#[derive(Debug, Clone, Copy)]
pub struct LastTo {
    /// The number.
    pub msisdn: Msisdn,
    /// Not older than this.
    pub since: UnixMs,
    /// Only through this carrier.
    pub carrier: Option<CarrierNo>,
}
