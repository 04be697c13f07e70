//! Settings of carriers and rules of routes, as `postrider apply` writes them and the store keeps them (JSON).

use super::TlvMap;
use serde::{Deserialize, Serialize};
use sms::class::{Class, Kind};
use sms::encoding::{Encoding, Preferred};
use sms::segment::Reference;
use std::collections::BTreeMap;

/// How a carrier is reached and what it can do, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CarrierSettings {
    /// A carrier over SMPP.
    Smpp(Box<SmppSettings>),
    /// The built-in one: delivers into an inbox of this process.
    Sandbox(SandboxSettings),
    /// Removed from the catalog while messages wait for it: they fail over.
    #[serde(skip)]
    Removed,
}

/// What happens to messages whose answer never came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubt {
    /// They are sent again: nothing is lost, at most one window per bind goes out twice.
    #[default]
    Resend,
    /// They are held in the state "in doubt" until an operator or a receipt decides.
    Hold,
}

/// How a bind is bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindKind {
    /// One session both ways.
    #[default]
    Transceiver,
    /// A session to send and one to receive.
    TransmitterReceiver,
}

/// How a carrier wants texts of the GSM 7-bit alphabet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataCoding {
    /// `data_coding` 0, one character an octet: nearly every SMSC. [`DefaultAlphabet`] says what the octets mean.
    #[default]
    Gsm7Unpacked,
    /// `data_coding` 0, septets packed by us.
    Gsm7Packed,
    /// `data_coding` 3: Latin-1 where the text fits it, whatever its length; UCS-2 otherwise.
    Latin1,
    /// `data_coding` 8 always.
    Ucs2,
}

/// What `data_coding` 0 means at a carrier (SMPP 3.4 §5.2.19: "SMSC default alphabet").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAlphabet {
    /// The GSM 7-bit alphabet.
    #[default]
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// ASCII (IA5).
    Ascii,
}

/// How a text of several parts is submitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongText {
    /// One `submit_sm` a part, tied as [`Linking`] says.
    #[default]
    Segments,
    /// One `submit_sm` with the whole text in `message_payload`; the SMSC cuts it.
    MessagePayload,
}

/// How parts of a long message are tied together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linking {
    /// User data header with a 16-bit reference.
    #[default]
    Udh16,
    /// User data header with an 8-bit reference.
    Udh8,
    /// SAR TLVs.
    Sar,
}

/// What one receipt of a carrier is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptFor {
    /// One part: a long message is delivered when all of its parts are.
    #[default]
    Part,
    /// A whole message: a final receipt under the id of any of its parts, or under the one they share, ends it.
    Message,
}

/// Transport security towards a carrier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Tls {
    /// Whether to use it.
    #[serde(default)]
    pub enabled: bool,
    /// The name in the carrier's certificate, when it differs from the host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// A PEM file with the authority to trust instead of the public ones.
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// A carrier over SMPP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmppSettings {
    /// False: no session is kept up; messages wait for it or go to the next carrier of their route, as when it is away.
    pub enabled: bool,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS.
    pub tls: Tls,
    /// `system_id`.
    pub system_id: String,
    /// `password`: in the clear in files, sealed in the store (see `password_sealed`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// The password sealed with the master key, hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password_sealed: String,
    /// `system_type`.
    pub system_type: String,
    /// `interface_version`, 0x33, 0x34 or 0x50.
    pub interface_version: u8,
    /// `address_range` of the bind: which numbers the session is for. Usually empty.
    pub address_range: String,
    /// `addr_ton` of the bind.
    pub bind_addr_ton: u8,
    /// `addr_npi` of the bind.
    pub bind_addr_npi: u8,
    /// Transceivers, or pairs.
    pub bind: BindKind,
    /// Sessions kept up, 1..=64.
    pub binds: u16,
    /// Requests in flight a session, 1..=2000.
    pub window_max: u16,
    /// Submits a second and session; 0: as fast as the window allows.
    pub rate_per_s_max: u32,
    /// Seconds an answer may take.
    pub response_timeout_s: u32,
    /// Idle seconds before an `enquire_link`.
    pub enquire_link_s: u32,
    /// Seconds between attempts to bind, first; doubled up to `reconnect_s_max`.
    pub reconnect_s: u32,
    /// Longest pause between attempts to bind.
    pub reconnect_s_max: u32,
    /// Seconds before the next attempt after the carrier refused `system_id` or `password`: many lock an account that
    /// keeps trying. `postrider carrier reconnect` ends the pause.
    pub bind_rejected_pause_s: u32,
    /// Whether to ask for receipts.
    pub receipts: bool,
    /// The spelling of its ids: `as_is`, `hex`, `decimal`, `hex_submit_decimal_receipt`, `decimal_submit_hex_receipt`.
    pub id_notation: String,
    /// Whether it sends a receipt for each part of a long message, or one for all of it.
    pub receipt_for: ReceiptFor,
    /// What words of its receipts mean: `"WEIRD" = "undelivered"`; see [`sms::state::ReceiptState::from_name`].
    pub receipt_words: BTreeMap<String, String>,
    /// What error codes (or words) of receipts that are failures mean: `"033" = "number_out_of_service"`; see
    /// [`sms::reason::Reason::OF_RECEIPTS`].
    pub receipt_codes: BTreeMap<String, String>,
    /// How it wants GSM texts.
    pub data_coding: DataCoding,
    /// What `data_coding` 0 means there.
    pub default_alphabet: DefaultAlphabet,
    /// How it wants long texts tied.
    pub linking: Linking,
    /// The calling code of the country whose numbers it writes as they are dialled there ("44"); empty: that of its
    /// routes, if all are of one.
    pub country_code: String,
    /// Inbound messages and parts a second that are taken of all its sessions together, each begun 256 octets of one
    /// counted; a second's worth may come at once. 0: no bound.
    pub inbound_per_s_max: u32,
    /// How it wants long texts submitted.
    pub long_text: LongText,
    /// TLVs of every `submit_sm`: see [`super::read_tlvs`]. A template's or signature's own win.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tlvs: TlvMap,
    /// Sender when the message has none.
    pub default_sender: String,
    /// TON/NPI of the sender, when the carrier wants others than the usual ones.
    pub source_ton_npi: Option<(u8, u8)>,
    /// TON/NPI of the recipient.
    pub dest_ton_npi: (u8, u8),
    /// `service_type`.
    pub service_type: String,
    /// The requested validity, in seconds; 0: the carrier's default.
    pub validity_s: u32,
    /// What happens when an answer never comes.
    pub in_doubt: InDoubt,
    /// Attempts before a transient error ends a message.
    pub attempts_max: u8,
    /// Seconds before the first retry; doubled each time up to `retry_s_max`.
    pub retry_s: u32,
    /// Longest pause between retries.
    pub retry_s_max: u32,
    /// Meanings of the carrier's own status codes: `"0x400" = "transient"` and the like.
    pub status_classes: BTreeMap<String, String>,
    /// Whether it can speak (messages of kind voice).
    pub voice: bool,
    /// Messages kept ready in memory, all its lanes together.
    pub ready_messages_max: u32,
    /// Seconds a carrier may be away before its messages go to the next one of their route.
    pub failover_after_s: u32,
}

impl Default for SmppSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            host: "127.0.0.1".to_owned(),
            port: 2775,
            tls: Tls::default(),
            system_id: String::new(),
            password: String::new(),
            password_sealed: String::new(),
            system_type: String::new(),
            interface_version: 0x34,
            address_range: String::new(),
            bind_addr_ton: 0,
            bind_addr_npi: 0,
            bind: BindKind::Transceiver,
            binds: 1,
            window_max: 10,
            rate_per_s_max: 0,
            response_timeout_s: 60,
            enquire_link_s: 30,
            reconnect_s: 1,
            reconnect_s_max: 60,
            bind_rejected_pause_s: 300,
            receipts: true,
            id_notation: "as_is".to_owned(),
            receipt_for: ReceiptFor::Part,
            receipt_words: BTreeMap::new(),
            receipt_codes: BTreeMap::new(),
            data_coding: DataCoding::Gsm7Unpacked,
            default_alphabet: DefaultAlphabet::Gsm7,
            linking: Linking::Udh16,
            country_code: String::new(),
            inbound_per_s_max: 500,
            long_text: LongText::Segments,
            tlvs: TlvMap::new(),
            default_sender: String::new(),
            source_ton_npi: None,
            dest_ton_npi: (1, 1),
            service_type: String::new(),
            validity_s: 0,
            in_doubt: InDoubt::Resend,
            attempts_max: 5,
            retry_s: 5,
            retry_s_max: 900,
            status_classes: BTreeMap::new(),
            voice: false,
            ready_messages_max: 20_000,
            failover_after_s: 10,
        }
    }
}

impl SmppSettings {
    /// The country whose national numbers the carrier uses.
    #[must_use]
    pub fn country(&self) -> Option<u16> {
        self.country_code.parse().ok()
    }

    /// What decides the parts of a text at this carrier.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.shape().encoding()
    }

    /// See [`Shape`].
    pub(crate) const fn shape(&self) -> Shape {
        Shape {
            data_coding: self.data_coding,
            default_alphabet: self.default_alphabet,
            linking: self.linking,
        }
    }
}

/// The settings that decide into which parts a text is cut, and how they are written and tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) data_coding: DataCoding,
    pub(crate) default_alphabet: DefaultAlphabet,
    pub(crate) linking: Linking,
}

impl Shape {
    /// What decides the parts of a text.
    pub(crate) const fn encoding(self) -> Encoding {
        let preferred = match (self.data_coding, self.default_alphabet) {
            (DataCoding::Gsm7Packed, _) | (DataCoding::Gsm7Unpacked, DefaultAlphabet::Gsm7) => {
                Preferred::Gsm7
            }
            (DataCoding::Gsm7Unpacked, DefaultAlphabet::Latin1) => Preferred::Latin1ByDefault,
            (DataCoding::Gsm7Unpacked, DefaultAlphabet::Ascii) => Preferred::AsciiByDefault,
            (DataCoding::Latin1, _) => Preferred::Latin1,
            (DataCoding::Ucs2, _) => Preferred::Ucs2,
        };
        let reference = match self.linking {
            Linking::Udh16 => Reference::Bits16,
            Linking::Udh8 => Reference::Bits8,
            Linking::Sar => Reference::Sar,
        };
        Encoding { preferred, reference }
    }
}

/// The built-in carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// False: it takes no messages; they wait for it or go to the next carrier of their route.
    pub enabled: bool,
    /// Milliseconds between taking a message and its receipt.
    pub receipt_delay_ms: u32,
    /// Messages kept in the inbox; older ones make room.
    pub inbox_messages_max: u32,
    /// Messages kept ready in memory.
    pub ready_messages_max: u32,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            receipt_delay_ms: 1500,
            inbox_messages_max: 10_000,
            ready_messages_max: 20_000,
        }
    }
}

/// Which messages go where: the first rule that fits decides; its carriers are tried in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteRule {
    /// Its name, unique among routes; empty: derived from its conditions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Destination prefixes in E.164 digits; empty: all. The longest prefix that fits wins over rule order.
    pub prefixes: Vec<String>,
    /// Account names; empty: all.
    pub accounts: Vec<String>,
    /// Classes; empty: all.
    pub classes: Vec<Class>,
    /// Kinds; empty: all.
    pub kinds: Vec<Kind>,
    /// Senders; empty: all.
    pub senders: Vec<String>,
    /// Carrier names in order of preference.
    pub carriers: Vec<String>,
    /// False: as if it were not there.
    #[serde(skip_serializing_if = "is_true")]
    pub enabled: bool,
}

impl Default for RouteRule {
    fn default() -> Self {
        Self {
            name: String::new(),
            prefixes: Vec::new(),
            accounts: Vec::new(),
            classes: Vec::new(),
            kinds: Vec::new(),
            senders: Vec::new(),
            carriers: Vec::new(),
            enabled: true,
        }
    }
}

fn is_true(value: &bool) -> bool {
    *value
}
