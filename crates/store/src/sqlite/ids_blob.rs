//! Lists of message ids in an attempt's row.

use crate::{MessageId, StoreError};

/// Writes ids as zigzag varints of their differences: one octet for each next message of a batch.
pub(super) fn encode(ids: &[MessageId]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ids.len() + 9);
    let mut before = 0i64;
    for id in ids {
        let difference = id.0.wrapping_sub(before);
        before = id.0;
        let mut rest = ((difference << 1) ^ (difference >> 63)).cast_unsigned();
        while rest >= 0x80 {
            bytes.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes
}

/// The reverse of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<MessageId>, StoreError> {
    let damaged = || StoreError::Damaged("an attempt's list of messages".into());
    let mut ids = Vec::with_capacity(bytes.len());
    let (mut before, mut value, mut shift) = (0i64, 0u64, 0u32);
    for &byte in bytes {
        if shift > 63 {
            return Err(damaged());
        }
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            let difference = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
            before = before.wrapping_add(difference);
            ids.push(MessageId(before));
            (value, shift) = (0, 0);
        }
    }
    if shift == 0 { Ok(ids) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_of_ids_survive_being_written(ids: Vec<i64>) {
            let ids: Vec<MessageId> = ids.into_iter().map(MessageId).collect();
            prop_assert_eq!(decode(&encode(&ids)).unwrap(), ids);
        }

        #[test]
        fn any_octets_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(ids) = decode(&bytes) {
                prop_assert!(ids.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn neighbours_take_an_octet_each() {
        let ids: Vec<MessageId> = (0..1_000)
            .map(|n| MessageId((1_790_000_000_000 << 20) + n))
            .collect();
        assert!(encode(&ids).len() < 1_010);
        assert!(decode(&[0x80]).is_err());
    }
}
