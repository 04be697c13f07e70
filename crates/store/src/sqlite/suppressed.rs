//! Suppressions: a table of any size behind a filter in memory.

use super::codes::{Number, as_count, number_key, signed};
use super::error::Tried;
use super::runs::Filter;
use crate::{AccountId, StoreError, Suppression, SuppressionKind};
use rusqlite::Connection;
use sms::phone::Msisdn;

/// What suppressions for all accounts have in the account's place.
const ALL_ACCOUNTS: i64 = -1;
/// The filter is made for at least so many numbers, and for at most [`FILTER_KEYS_MAX`]: beyond that it only
/// gets less sharp (10 bits a number: 5 MB).
const FILTER_KEYS_MIN: usize = 1_024;
const FILTER_KEYS_MAX: usize = 4 << 20;

/// Which numbers get nothing. Without suppressions (or with another number) a message costs no read.
#[derive(Debug)]
pub(super) struct Suppressed {
    filter: Option<Filter>,
    room: usize,
    /// SQLite's `data_version` when the filter was made: another process may have changed the table.
    data_version: i64,
}

impl Suppressed {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let data_version = data_version(conn)?;
        let count: usize = conn.query_row("SELECT count(*) FROM suppression", [], |row| row.get(0))?;
        if count == 0 {
            return Ok(Self {
                filter: None,
                room: 0,
                data_version,
            });
        }
        let keys = count.saturating_mul(2).clamp(FILTER_KEYS_MIN, FILTER_KEYS_MAX);
        let mut filter = Filter::for_keys(keys);
        let mut select = conn.prepare("SELECT msisdn FROM suppression")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            filter.insert(number_key(row.get::<_, Number>(0)?.0));
        }
        Ok(Self {
            filter: Some(filter),
            room: keys.saturating_sub(count),
            data_version,
        })
    }

    /// Makes the filter anew when another process has written; true when one has.
    pub(super) fn refresh(&mut self, conn: &Connection) -> rusqlite::Result<bool> {
        let written = data_version(conn)? != self.data_version;
        if written {
            *self = Self::load(conn)?;
        }
        Ok(written)
    }

    /// A suppression was added here. Added too much when its command is taken back, which does no harm.
    pub(super) fn added(&mut self, conn: &Connection, msisdn: Msisdn) -> rusqlite::Result<()> {
        match &mut self.filter {
            Some(filter) if self.room > 0 => {
                filter.insert(number_key(msisdn));
                self.room -= 1;
                Ok(())
            }
            _ => {
                *self = Self::load(conn)?;
                Ok(())
            }
        }
    }

    /// Whether any number is suppressed.
    pub(super) fn any(&self) -> bool {
        self.filter.is_some()
    }

    /// Why a number gets nothing from an account: what holds for all comes first.
    pub(super) fn kind_of(
        &self,
        conn: &Connection,
        account: AccountId,
        msisdn: Msisdn,
    ) -> rusqlite::Result<Option<SuppressionKind>> {
        if !self
            .filter
            .as_ref()
            .is_some_and(|filter| filter.may_contain(number_key(msisdn)))
        {
            return Ok(None);
        }
        let mut select = conn.prepare_cached(
            "SELECT kind FROM suppression WHERE msisdn = ?1 AND account IN (?2, ?3) ORDER BY account, kind LIMIT 1",
        )?;
        let mut rows = select.query((Number(msisdn), ALL_ACCOUNTS, account.0))?;
        rows.next()?.map(|row| kind_from(row.get(0)?)).transpose()
    }
}

/// Suppressions in order, from `after` on.
pub(super) fn list(
    conn: &Connection,
    after: Option<Suppression>,
    suppressions_max: usize,
) -> Result<Vec<Suppression>, StoreError> {
    let (number, account, kind) = match after {
        Some(after) => (
            signed(after.msisdn.as_u64()),
            account_code(after.account),
            kind_code(after.kind),
        ),
        None => (i64::MIN, i64::MIN, i64::MIN),
    };
    conn.prepare_cached(
        "SELECT msisdn, account, kind FROM suppression WHERE (msisdn, account, kind) > (?1, ?2, ?3)
         ORDER BY msisdn, account, kind LIMIT ?4",
    )
    .and_then(|mut select| {
        select
            .query_map((number, account, kind, as_count(suppressions_max)), |row| {
                Ok(Suppression {
                    msisdn: row.get::<_, Number>(0)?.0,
                    account: Some(row.get::<_, i64>(1)?)
                        .filter(|&account| account != ALL_ACCOUNTS)
                        .map(|account| u32::try_from(account).map(AccountId))
                        .transpose()
                        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, account))?,
                    kind: kind_from(row.get(2)?)?,
                })
            })?
            .collect()
    })
    .tried("list suppressions")
}

/// The stored number of an account or of all.
pub(super) fn account_code(account: Option<AccountId>) -> i64 {
    account.map_or(ALL_ACCOUNTS, |account| i64::from(account.0))
}

fn data_version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

/// The stored number of a kind.
pub(super) const fn kind_code(kind: SuppressionKind) -> i64 {
    match kind {
        SuppressionKind::Global => 0,
        SuppressionKind::Blocked => 1,
        SuppressionKind::Unsubscribed => 2,
    }
}

fn kind_from(code: i64) -> rusqlite::Result<SuppressionKind> {
    match code {
        0 => Ok(SuppressionKind::Global),
        1 => Ok(SuppressionKind::Blocked),
        2 => Ok(SuppressionKind::Unsubscribed),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(0, code)),
    }
}
