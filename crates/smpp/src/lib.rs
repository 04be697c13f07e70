//! SMPP 3.4 and 5.0: frames, PDUs, TLVs, a session state machine without I/O, and a client and server on it
pub mod command;
mod decode;
mod encode;
pub mod field;
pub mod frame;
mod octets;
pub mod pdu;
pub mod status;
pub mod time;
pub mod tlv;

pub use command::{CommandId, Header};
pub use decode::Malformed;
pub use encode::{EncodeError, Limits, SHORT_MESSAGE_OCTETS_MAX};
pub use octets::COctetString;
pub use pdu::Pdu;
pub use status::{CommandStatus, StatusClass};
