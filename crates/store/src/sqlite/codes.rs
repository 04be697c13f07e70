//! How single values are stored.

use super::lsm::spread;
use crate::{AccountId, CarrierNo, StoreError};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use sha2::{Digest, Sha256};
use sms::class::{Class, Kind};
use sms::phone::Msisdn;
use sms::receipt::CarrierId;
use sms::state::{MessageState, ReceiptState};

/// Octets of a carrier's error code that are kept.
const ERROR_BYTES_MAX: usize = 32;
/// The width of a receipt's `err` field (SMPP 3.4 Appendix B): shorter codes are padded to it, so that the
/// receipt of a message whose row was written without one finds the place.
const ERROR_BYTES_MIN: usize = 3;
/// SQLite writes 0 and 1 in no octet, 2..=127 in one: with this added, every state takes one.
const STATE_OFFSET: i64 = 16;

/// A message state in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateCode(pub(super) MessageState);

impl ToSql for StateCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::from(self.0.as_u8()) + STATE_OFFSET))
    }
}

impl FromSql for StateCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        u8::try_from(code - STATE_OFFSET)
            .ok()
            .and_then(MessageState::from_u8)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(code))
    }
}

/// A receipt state in a row: SMPP's `message_state` value.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceiptCode(pub(super) ReceiptState);

impl ToSql for ReceiptCode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::from(self.0.as_message_state())))
    }
}

impl FromSql for ReceiptCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        u8::try_from(code)
            .ok()
            .and_then(ReceiptState::from_message_state)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(code))
    }
}

/// A number in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) Msisdn);

impl ToSql for Number {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // At most fifteen digits: always fits.
        Ok(ToSqlOutput::from(self.0.as_u64().cast_signed()))
    }
}

impl FromSql for Number {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number)
            .ok()
            .and_then(Msisdn::from_u64)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(number))
    }
}

/// A class in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassCode(pub(super) Class);

impl FromSql for ClassCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        u8::try_from(code)
            .ok()
            .and_then(Class::from_u8)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(code))
    }
}

/// A kind in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct KindCode(pub(super) Kind);

impl FromSql for KindCode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        u8::try_from(code)
            .ok()
            .and_then(Kind::from_u8)
            .map(Self)
            .ok_or(FromSqlError::OutOfRange(code))
    }
}

/// A number as its caller wrote it, in an octet when it is the number itself with or without the plus.
pub(super) fn written_to_sql(written: &str, msisdn: Msisdn) -> ToSqlOutput<'_> {
    let (plus, digits) = match written.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, written),
    };
    if Msisdn::from_digits(digits) == Some(msisdn) {
        ToSqlOutput::from(if plus { 0i64 } else { 1 })
    } else {
        ToSqlOutput::from(written)
    }
}

/// The reverse of [`written_to_sql`].
pub(super) fn written_from_sql(value: ValueRef<'_>, msisdn: Msisdn) -> FromSqlResult<Box<str>> {
    match value {
        ValueRef::Integer(0) => Ok(format!("+{msisdn}").into()),
        ValueRef::Integer(1) => Ok(msisdn.digits().into()),
        other => other.as_str().map(Into::into),
    }
}

/// A carrier's error code as it is stored: cut to [`ERROR_BYTES_MAX`], padded to [`ERROR_BYTES_MIN`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorCode<'a>(pub(super) &'a str);

impl<'a> ErrorCode<'a> {
    fn cut(self) -> &'a str {
        let mut end = self.0.len().min(ERROR_BYTES_MAX);
        while !self.0.is_char_boundary(end) {
            end -= 1;
        }
        self.0.get(..end).unwrap_or_default()
    }

    /// As it is kept, without padding.
    pub(super) fn kept(self) -> &'a str {
        self.cut().trim_end_matches(' ')
    }
}

impl ToSql for ErrorCode<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let kept = self.kept();
        if kept.len() >= ERROR_BYTES_MIN {
            return Ok(ToSqlOutput::from(kept));
        }
        if kept.is_empty() {
            return Ok(ToSqlOutput::from("   "));
        }
        Ok(ToSqlOutput::Owned(Value::Text(format!(
            "{kept:<ERROR_BYTES_MIN$}"
        ))))
    }
}

/// The key of a number in the number index.
pub(super) fn number_key(msisdn: Msisdn) -> u64 {
    spread(msisdn.as_u64())
}

/// The key of what one account sent to a number, in the number index: only for accounts with caps.
pub(super) fn capped_key(account: AccountId, msisdn: Msisdn) -> u64 {
    spread(number_key(msisdn) ^ (u64::from(account.0) + 1))
}

/// The key of a carrier's id in the receipt index.
pub(super) fn receipt_key(carrier: CarrierNo, id: &CarrierId) -> u64 {
    spread(id.key() ^ (u64::from(carrier.0) << 48))
}

/// The key of a request id in the request index. Callers choose request ids, so the hash is keyed with
/// the store's own random bytes: nobody can make two of them meet.
pub(super) fn request_key(id_key: &[u8; 32], account: AccountId, scope: &str, key: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(id_key);
    hash.update(account.0.to_le_bytes());
    hash.update([u8::try_from(scope.len()).unwrap_or(u8::MAX)]);
    hash.update(scope);
    hash.update(key);
    let digest = hash.finalize();
    digest
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Signed for the database; hashes and fingerprints use all 64 bits.
pub(super) fn signed(n: u64) -> i64 {
    n.cast_signed()
}

/// A count that a row holds.
pub(super) fn as_count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number read from a row as the type that was written there.
pub(super) fn narrow<T: TryFrom<i64>>(n: i64, what: &str) -> Result<T, StoreError> {
    T::try_from(n).map_err(|_| StoreError::Damaged(format!("{what} {n} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_written() {
        let msisdn = Msisdn::from_digits("447700900123").unwrap();
        for (written, small) in [
            ("+447700900123", true),
            ("447700900123", true),
            ("00447700900123", false),
            ("+44 7700 900123", false),
            ("07700900123", false),
        ] {
            let sql = written_to_sql(written, msisdn);
            let value = match &sql {
                ToSqlOutput::Borrowed(value) => *value,
                ToSqlOutput::Owned(value) => ValueRef::from(value),
                other => panic!("{other:?}"),
            };
            assert_eq!(matches!(value, ValueRef::Integer(_)), small, "{written}");
            assert_eq!(&*written_from_sql(value, msisdn).unwrap(), written);
        }
    }

    #[test]
    fn error_codes_are_cut_at_a_character_and_padded() {
        let stored = |code: &str| match ErrorCode(code).to_sql().unwrap() {
            ToSqlOutput::Borrowed(value) => value.as_str().unwrap().to_owned(),
            ToSqlOutput::Owned(Value::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(stored(""), "   ");
        assert_eq!(stored("8"), "8  ");
        assert_eq!(stored("000"), "000");
        assert_eq!(stored(&"é".repeat(17)), "é".repeat(16));
        assert_eq!(stored(&format!("{}é", "x".repeat(31))), "x".repeat(31));
    }

    #[test]
    fn every_state_is_stored_in_one_octet() {
        for state in MessageState::ALL {
            let ToSqlOutput::Owned(Value::Integer(code)) = StateCode(state).to_sql().unwrap() else {
                panic!("a state is an integer");
            };
            assert!((2..=127).contains(&code));
            assert_eq!(
                StateCode::column_result(ValueRef::Integer(code)).unwrap().0,
                state
            );
        }
        assert!(StateCode::column_result(ValueRef::Integer(0)).is_err());
    }

    #[test]
    fn keys_of_accounts_and_carriers_differ() {
        let msisdn = Msisdn::from_digits("447700900123").unwrap();
        assert_ne!(capped_key(AccountId(0), msisdn), number_key(msisdn));
        assert_ne!(capped_key(AccountId(0), msisdn), capped_key(AccountId(1), msisdn));
        let key = [7; 32];
        assert_ne!(
            request_key(&key, AccountId(1), "a", "bc"),
            request_key(&key, AccountId(1), "ab", "c")
        );
    }
}
