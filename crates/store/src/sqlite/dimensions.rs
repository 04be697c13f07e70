//! Series: what is common to batches, under a number that goes with every message.
//!
//! There are as many as an account has users, templates and labels, in their combinations. The ones in use are
//! in memory; one that has not been used for long is read again when it comes back.

use super::codes::{ClassCode, KindCode};
use crate::{AccountId, Dialect, DimensionsNo, StatsDimensions};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::HashMap;
use std::hash::Hash;

/// Series in memory, at most twice as many: about 200 octets each.
const SERIES_MAX: usize = 16_384;

/// A map of bounded size that evicts what has not been used lately: when the young half is full, it becomes the old
/// one, and what was in the old one is gone.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    entries_max: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// For `entries_max` entries in each half.
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            entries_max,
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.entries_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// The writer's memory of series.
#[derive(Debug)]
pub(super) struct DimensionsMap {
    numbers: Generations<StatsDimensions, Known>,
    accounts: Generations<DimensionsNo, AccountId>,
    /// The last look-up: messages of a batch come together.
    last: Option<(DimensionsNo, AccountId)>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    no: DimensionsNo,
    /// The last hour it is known to be used in.
    hour: i64,
}

impl DimensionsMap {
    pub(super) fn new() -> Self {
        Self {
            numbers: Generations::new(SERIES_MAX),
            accounts: Generations::new(SERIES_MAX),
            last: None,
        }
    }

    /// The number of a series used in `hour`; made when there is none. True when a row was written, which a failure
    /// of the command takes back: see [`Self::roll_back`].
    pub(super) fn number_of(
        &mut self,
        conn: &Connection,
        dimensions: &StatsDimensions,
        hour: i64,
    ) -> rusqlite::Result<(DimensionsNo, bool)> {
        if let Some(known) = self.numbers.get(dimensions)
            && known.hour >= hour
        {
            return Ok((known.no, false));
        }
        let no = conn
            .prepare_cached(
                "INSERT INTO stats_dimensions (account, user, dialect, class, kind, template, label, hour)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET hour = max(hour, excluded.hour) RETURNING no",
            )?
            .query_row(
                (
                    dimensions.account.0,
                    &*dimensions.user,
                    dimensions.dialect.as_u8(),
                    dimensions.class.as_u8(),
                    dimensions.kind.as_u8(),
                    dimensions.template,
                    dimensions.label,
                    hour,
                ),
                |row| row.get(0),
            )
            .map(DimensionsNo)?;
        self.numbers.insert(dimensions.clone(), Known { no, hour });
        self.accounts.insert(no, dimensions.account);
        Ok((no, true))
    }

    /// Whose messages a series counts; `None` when it has gone.
    pub(super) fn account_of(
        &mut self,
        conn: &Connection,
        no: DimensionsNo,
    ) -> rusqlite::Result<Option<AccountId>> {
        if let Some((last, account)) = self.last
            && last == no
        {
            return Ok(Some(account));
        }
        let account = match self.accounts.get(&no) {
            Some(account) => Some(*account),
            None => {
                let read: Option<u32> = conn
                    .prepare_cached("SELECT account FROM stats_dimensions WHERE no = ?1")?
                    .query_row([no.0], |row| row.get(0))
                    .optional()?;
                if let Some(account) = read {
                    self.accounts.insert(no, AccountId(account));
                }
                read.map(AccountId)
            }
        };
        self.last = account.map(|account| (no, account));
        Ok(account)
    }

    /// What was written of these was taken back.
    pub(super) fn roll_back(
        &mut self,
        taken_back: impl IntoIterator<Item = (StatsDimensions, DimensionsNo)>,
    ) {
        for (dimensions, no) in taken_back {
            self.numbers.remove(&dimensions);
            // The number may be given to another series, of another account.
            self.accounts.remove(&no);
        }
        self.last = None;
    }

    /// Some have gone.
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.accounts.clear();
        self.last = None;
    }

    /// How many are in memory.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

/// A series from the columns account, user, dialect, class, kind, template, label from `at` on.
pub(super) fn series_from(row: &Row<'_>, at: usize) -> rusqlite::Result<StatsDimensions> {
    let dialect: u8 = row.get(at + 2)?;
    Ok(StatsDimensions {
        account: AccountId(row.get(at)?),
        user: row.get_ref(at + 1)?.as_str()?.into(),
        dialect: Dialect::from_u8(dialect).ok_or(rusqlite::Error::IntegralValueOutOfRange(
            at + 2,
            i64::from(dialect),
        ))?,
        class: row.get::<_, ClassCode>(at + 3)?.0,
        kind: row.get::<_, KindCode>(at + 4)?.0,
        template: row.get(at + 5)?,
        label: row.get(at + 6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_evicted() {
        let mut map = Generations::new(4);
        for n in 0..100 {
            map.insert(n, n);
            assert_eq!(map.get(&0), Some(&mut 0), "used each time");
            assert!(map.len() <= 9, "{} entries", map.len());
        }
        assert_eq!(map.get(&99), Some(&mut 99));
        assert_eq!(map.get(&50), None);
        map.remove(&99);
        assert_eq!(map.get(&99), None);
    }
}
