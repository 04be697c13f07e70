//! The result in a response, `command_status` (SMPP 3.4 §5.1.3, SMPP 5.0 §4.7.6), and how to react to it.

use std::fmt;

/// The result of a request. Values that no specification defines are kept unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommandStatus(pub u32);

/// The consequence of a status for the message and for the bind. The classes say how to react, not which side is at
/// fault. A carrier that uses a code with another meaning needs its own mapping, by the user of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusClass {
    /// Success.
    Ok,
    /// The bind is too fast or a queue is full: slow down the bind and send the message again; not a failed attempt.
    SlowDown,
    /// A temporary error: retry later, then at another carrier, a bounded number of times.
    Transient,
    /// No carrier can reach this recipient: final.
    PermanentRecipient,
    /// This content, sender or parameter is not accepted on this route: final here, perhaps not at another carrier.
    PermanentRoute,
    /// The session or the account is at fault, not the message: stop sending over the bind.
    Session,
    /// A vendor-specific code (0x400 and up): needs the carrier's table.
    Vendor,
}

macro_rules! statuses {
    ($($name:ident = $value:literal, $class:ident, $meaning:literal;)+) => {
        impl CommandStatus {
            $(#[doc = concat!("`ESME_", stringify!($name), "`: ", $meaning, ".")] pub const $name: Self = Self($value);)+

            /// The specification's name, `None` for a code it does not define.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(concat!("ESME_", stringify!($name))),)+
                    _ => None,
                }
            }

            /// What the specification says the code means, `None` for a code it does not define.
            #[must_use]
            pub const fn meaning(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($meaning),)+
                    _ => None,
                }
            }

            /// How to react. Undefined codes count as [`StatusClass::Transient`] below 0x400, the range reserved for
            /// the specification, and as [`StatusClass::Vendor`] from there on.
            #[must_use]
            pub const fn class(self) -> StatusClass {
                match self.0 {
                    $($value => StatusClass::$class,)+
                    0x400.. => StatusClass::Vendor,
                    _ => StatusClass::Transient,
                }
            }

            /// Every code the specifications define, in ascending order.
            pub const DEFINED: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

statuses! {
    ROK = 0x000, Ok, "no error";
    RINVMSGLEN = 0x001, PermanentRoute, "message length is invalid";
    RINVCMDLEN = 0x002, PermanentRoute, "command length is invalid";
    RINVCMDID = 0x003, PermanentRoute, "command id is invalid";
    RINVBNDSTS = 0x004, Session, "wrong bind state for this command";
    RALYBND = 0x005, Session, "already bound";
    RINVPRTFLG = 0x006, PermanentRoute, "priority flag is invalid";
    RINVREGDLVFLG = 0x007, PermanentRoute, "registered delivery flag is invalid";
    RSYSERR = 0x008, Transient, "system error";
    RINVSRCADR = 0x00A, PermanentRoute, "source address is invalid";
    RINVDSTADR = 0x00B, PermanentRecipient, "destination address is invalid";
    RINVMSGID = 0x00C, PermanentRoute, "message id is invalid";
    RBINDFAIL = 0x00D, Session, "bind failed";
    RINVPASWD = 0x00E, Session, "password is invalid";
    RINVSYSID = 0x00F, Session, "system id is invalid";
    RCANCELFAIL = 0x011, PermanentRoute, "cancel_sm failed";
    RREPLACEFAIL = 0x013, PermanentRoute, "replace_sm failed";
    RMSGQFUL = 0x014, SlowDown, "message queue is full";
    RINVSERTYP = 0x015, PermanentRoute, "service type is invalid";
    RINVNUMDESTS = 0x033, PermanentRecipient, "number of destinations is invalid";
    RINVDLNAME = 0x034, PermanentRecipient, "distribution list name is invalid";
    RINVDESTFLAG = 0x040, PermanentRoute, "destination flag is invalid";
    RINVSUBREP = 0x042, PermanentRoute, "submit with replace is not supported";
    RINVESMCLASS = 0x043, PermanentRoute, "esm_class is invalid";
    RCNTSUBDL = 0x044, PermanentRoute, "cannot submit to a distribution list";
    RSUBMITFAIL = 0x045, Transient, "submit failed";
    RINVSRCTON = 0x048, PermanentRoute, "source type of number is invalid";
    RINVSRCNPI = 0x049, PermanentRoute, "source numbering plan is invalid";
    RINVDSTTON = 0x050, PermanentRecipient, "destination type of number is invalid";
    RINVDSTNPI = 0x051, PermanentRecipient, "destination numbering plan is invalid";
    RINVSYSTYP = 0x053, Session, "system type is invalid";
    RINVREPFLAG = 0x054, PermanentRoute, "replace-if-present flag is invalid";
    RINVNUMMSGS = 0x055, PermanentRoute, "number of messages is invalid";
    RTHROTTLED = 0x058, SlowDown, "allowed message rate is exceeded";
    RINVSCHED = 0x061, PermanentRoute, "scheduled delivery time is invalid";
    RINVEXPIRY = 0x062, PermanentRoute, "validity period is invalid";
    RINVDFTMSGID = 0x063, PermanentRoute, "predefined message is invalid or not found";
    RX_T_APPN = 0x064, Transient, "receiver has a temporary error";
    RX_P_APPN = 0x065, PermanentRoute, "receiver has a permanent error";
    RX_R_APPN = 0x066, PermanentRoute, "receiver rejects the message";
    RQUERYFAIL = 0x067, PermanentRoute, "query_sm failed";
    RINVTLVSTREAM = 0x0C0, PermanentRoute, "optional part of the body is in error";
    RTLVNOTALLWD = 0x0C1, PermanentRoute, "optional parameter is not allowed";
    RINVTLVLEN = 0x0C2, PermanentRoute, "optional parameter has an invalid length";
    RMISSINGTLV = 0x0C3, PermanentRoute, "an expected optional parameter is missing";
    RINVTLVVAL = 0x0C4, PermanentRoute, "optional parameter has an invalid value";
    RDELIVERYFAILURE = 0x0FE, Transient, "delivery failed";
    RUNKNOWNERR = 0x0FF, Transient, "unknown error";
    RSERTYPUNAUTH = 0x100, Session, "not authorised for this service type";
    RPROHIBITED = 0x101, Session, "not authorised for this operation";
    RSERTYPUNAVAIL = 0x102, Transient, "service type is unavailable";
    RSERTYPDENIED = 0x103, Session, "service type is denied";
    RINVDCS = 0x104, PermanentRoute, "data coding is invalid";
    RINVSRCADDRSUBUNIT = 0x105, PermanentRoute, "source address sub-unit is invalid";
    RINVDSTADDRSUBUNIT = 0x106, PermanentRoute, "destination address sub-unit is invalid";
    RINVBCASTFREQINT = 0x107, PermanentRoute, "broadcast frequency interval is invalid";
    RINVBCASTALIAS_NAME = 0x108, PermanentRoute, "broadcast alias name is invalid";
    RINVBCASTAREAFMT = 0x109, PermanentRoute, "broadcast area format is invalid";
    RINVNUMBCAST_AREAS = 0x10A, PermanentRoute, "number of broadcast areas is invalid";
    RINVBCASTCNTTYPE = 0x10B, PermanentRoute, "broadcast content type is invalid";
    RINVBCASTMSGCLASS = 0x10C, PermanentRoute, "broadcast message class is invalid";
    RBCASTFAIL = 0x10D, PermanentRoute, "broadcast_sm failed";
    RBCASTQUERYFAIL = 0x10E, PermanentRoute, "query_broadcast_sm failed";
    RBCASTCANCELFAIL = 0x10F, PermanentRoute, "cancel_broadcast_sm failed";
    RINVBCAST_REP = 0x110, PermanentRoute, "number of repeated broadcasts is invalid";
    RINVBCASTSRVGRP = 0x111, PermanentRoute, "broadcast service group is invalid";
    RINVBCASTCHANIND = 0x112, PermanentRoute, "broadcast channel indicator is invalid";
}

impl CommandStatus {
    /// Whether the status is `ESME_ROK`.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:X})", self.0),
            None => write!(f, "command_status 0x{:X}", self.0),
        }
    }
}

impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_holds_the_codes_that_call_for_its_reaction() {
        let table: &[(StatusClass, &[u32])] = &[
            (StatusClass::Ok, &[0x00]),
            (StatusClass::SlowDown, &[0x58, 0x14]),
            (
                StatusClass::Transient,
                &[0x08, 0x64, 0x45, 0xFE, 0xFF, 0x102, 0x3FF],
            ),
            (StatusClass::PermanentRecipient, &[0x0B, 0x50, 0x51, 0x33, 0x34]),
            (
                StatusClass::PermanentRoute,
                &[
                    0x0A, 0x48, 0x49, 0x01, 0x104, 0x43, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x61, 0x62, 0x65, 0x66,
                ],
            ),
            (
                StatusClass::Session,
                &[0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x100, 0x101, 0x103],
            ),
            (StatusClass::Vendor, &[0x400, 0x4FF, 0x500, u32::MAX]),
        ];
        for (class, codes) in table {
            for code in *codes {
                assert_eq!(CommandStatus(*code).class(), *class, "0x{code:X}");
            }
        }
    }

    #[test]
    fn names_are_the_specifications() {
        assert_eq!(CommandStatus::RTHROTTLED.to_string(), "ESME_RTHROTTLED (0x58)");
        assert_eq!(CommandStatus(0x411).to_string(), "command_status 0x411");
        assert!(CommandStatus::DEFINED.is_sorted());
    }
}
