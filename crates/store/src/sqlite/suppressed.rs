//! Suppressions: a table of any size behind a filter in memory.

use super::codes::{Number, as_count, number_key, signed};
use super::error::Tried;
use super::lsm::Filter;
use super::memory::Work;
use crate::{
    AccountId, InboundId, MessageId, StoreError, Suppression, SuppressionEntry, SuppressionKind,
    SuppressionOrigin,
};
use rusqlite::{Connection, Row};
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
    /// Numbers that may be added before the filter is rebuilt, larger.
    room: usize,
    /// What the filter is made for at most: beyond that it only gets less sharp.
    keys_max: usize,
    /// SQLite's `data_version` when this was last looked at: another process may have written since.
    data_version: i64,
    /// The stored version of the suppressions that the filter has.
    version: i64,
    #[cfg(test)]
    loads: usize,
}

impl Suppressed {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut suppressed = Self {
            filter: None,
            room: 0,
            keys_max: FILTER_KEYS_MAX,
            data_version: 0,
            version: 0,
            #[cfg(test)]
            loads: 0,
        };
        suppressed.reload(conn)?;
        Ok(suppressed)
    }

    /// Makes the filter of what is stored.
    fn reload(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        #[cfg(test)]
        {
            self.loads += 1;
        }
        self.data_version = data_version(conn)?;
        self.version = version(conn)?;
        let count: usize = conn.query_row("SELECT count(*) FROM suppression", [], |row| row.get(0))?;
        if count == 0 {
            (self.filter, self.room) = (None, 0);
            return Ok(());
        }
        let keys = count.saturating_mul(2).max(FILTER_KEYS_MIN).min(self.keys_max);
        let mut filter = Filter::for_keys(keys);
        let mut select = conn.prepare("SELECT msisdn FROM suppression")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            filter.insert(number_key(row.get::<_, Number>(0)?.0));
        }
        self.filter = Some(filter);
        self.room = if keys < self.keys_max {
            keys.saturating_sub(count)
        } else {
            // As large as it gets: everything else goes in, too.
            usize::MAX
        };
        Ok(())
    }

    /// Rebuilds the filter when another process has changed suppressions; true when one has written anything.
    pub(super) fn refresh(&mut self, conn: &Connection) -> rusqlite::Result<bool> {
        let data_version = data_version(conn)?;
        let written = data_version != self.data_version;
        if written {
            self.data_version = data_version;
            if version(conn)? != self.version {
                self.reload(conn)?;
            }
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
            _ => self.reload(conn),
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

/// Notes in the store that suppressions were changed, so that other processes see it; and here, that they are known:
/// `own` is the writer's. The version is a random number rather than a count: one of a transaction that was taken back
/// must not be given again by another process.
pub(super) fn changed(conn: &Connection, own: Option<&mut Suppressed>) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE meta SET value = random() WHERE key = 'suppression_version'")
        .and_then(|mut update| update.execute([]))
        .tried("change the suppressions' version")?;
    if let Some(own) = own {
        own.version = version(conn).tried("read the suppressions' version")?;
    }
    Ok(())
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
            .query_map(
                (number, account, kind, as_count(suppressions_max)),
                suppression_from,
            )?
            .collect()
    })
    .tried("list suppressions")
}

/// Suppressions with their proofs, in order, from `after` on; with a number only its own.
pub(super) fn entries(
    conn: &Connection,
    msisdn: Option<Msisdn>,
    after: Option<Suppression>,
    suppressions_max: usize,
) -> Result<Vec<SuppressionEntry>, StoreError> {
    let (number, account, kind) = match after {
        Some(after) => (
            signed(after.msisdn.as_u64()),
            account_code(after.account),
            kind_code(after.kind),
        ),
        None => (i64::MIN, i64::MIN, i64::MIN),
    };
    let (first, last) = match msisdn {
        Some(msisdn) => (signed(msisdn.as_u64()), signed(msisdn.as_u64())),
        None => (i64::MIN, i64::MAX),
    };
    conn.prepare_cached(
        "SELECT msisdn, account, kind, created_at, origin, note FROM suppression
         WHERE msisdn BETWEEN ?1 AND ?2 AND (msisdn, account, kind) > (?3, ?4, ?5)
         ORDER BY msisdn, account, kind LIMIT ?6",
    )
    .and_then(|mut select| {
        select
            .query_map(
                (first, last, number, account, kind, as_count(suppressions_max)),
                |row| {
                    let origin = row.get::<_, u8>(4)?;
                    Ok(SuppressionEntry {
                        suppression: suppression_from(row)?,
                        created_at: row.get(3)?,
                        // A newer program may know more of them.
                        origin: SuppressionOrigin::from_u8(origin).unwrap_or_default(),
                        note: row.get(5)?,
                    })
                },
            )?
            .collect()
    })
    .tried("list suppressions")
}

/// From the columns msisdn, account and kind.
fn suppression_from(row: &Row<'_>) -> rusqlite::Result<Suppression> {
    Ok(Suppression {
        msisdn: row.get::<_, Number>(0)?.0,
        account: Some(row.get::<_, i64>(1)?)
            .filter(|&account| account != ALL_ACCOUNTS)
            .map(|account| u32::try_from(account).map(AccountId))
            .transpose()
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, -1))?,
        kind: kind_from(row.get(2)?)?,
    })
}

/// A person unsubscribed by message `by`. A suppression that is there already stays what it is: one that an operator made
/// is not the person's to take back.
pub(super) fn opt_out(
    work: &mut Work<'_>,
    account: AccountId,
    msisdn: Msisdn,
    by: InboundId,
) -> Result<(), StoreError> {
    let conn = work.conn;
    let kind = kind_code(SuppressionKind::Unsubscribed);
    let added = conn
        .prepare_cached(
            "INSERT INTO suppression (msisdn, account, kind, created_at, origin, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut insert| {
            let origin = SuppressionOrigin::Inbound.as_u8();
            // Ids of inbound messages are made as those of messages are.
            let at = work.memory.id_clock.eras().accepted_at(MessageId(by.0));
            insert.execute((
                Number(msisdn),
                account.0,
                kind,
                at,
                origin,
                format!("inbound {}", by.0),
            ))
        })
        .tried("unsubscribe a number")?;
    if added == 0 {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO opt_out (msisdn, account, inbound) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET inbound = excluded.inbound",
    )
    .and_then(|mut insert| insert.execute((Number(msisdn), account.0, by.0)))
    .tried("note what unsubscribed a number")?;
    let suppressed = &mut work.memory.suppressed;
    suppressed.added(conn, msisdn).tried("remember a suppression")?;
    changed(conn, Some(suppressed))
}

/// A person subscribed again: takes back what [`opt_out`] did, and nothing else.
pub(super) fn opt_in(work: &mut Work<'_>, account: AccountId, msisdn: Msisdn) -> Result<(), StoreError> {
    let conn = work.conn;
    let own = conn
        .prepare_cached("DELETE FROM opt_out WHERE msisdn = ?1 AND account = ?2")
        .and_then(|mut delete| delete.execute((Number(msisdn), account.0)))
        .tried("look for what unsubscribed a number")?;
    if own == 0 {
        return Ok(());
    }
    let kind = kind_code(SuppressionKind::Unsubscribed);
    conn.prepare_cached("DELETE FROM suppression WHERE msisdn = ?1 AND account = ?2 AND kind = ?3")
        .and_then(|mut delete| delete.execute((Number(msisdn), account.0, kind)))
        .tried("subscribe a number again")?;
    changed(conn, Some(&mut work.memory.suppressed))
}

/// The stored number of an account or of all.
pub(super) fn account_code(account: Option<AccountId>) -> i64 {
    account.map_or(ALL_ACCOUNTS, |account| i64::from(account.0))
}

/// The stored version of all suppressions.
fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT value FROM meta WHERE key = 'suppression_version'")?
        .query_row([], |row| row.get(0))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Mode, open};
    use std::path::Path;

    fn store() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        open::migrate(&mut conn, Path::new("in memory"), Mode::Serve).unwrap();
        conn
    }

    fn add(conn: &Connection, suppressed: &mut Suppressed, n: u64) {
        let msisdn = Msisdn::from_u64(447_700_900_000 + n).unwrap();
        conn.execute(
            "INSERT INTO suppression (msisdn, account, kind) VALUES (?1, ?2, 2)",
            (Number(msisdn), ALL_ACCOUNTS),
        )
        .unwrap();
        suppressed.added(conn, msisdn).unwrap();
    }

    #[test]
    fn a_filter_that_is_as_large_as_it_gets_takes_more_without_reading_all_again() {
        let conn = store();
        let mut suppressed = Suppressed::load(&conn).unwrap();
        suppressed.keys_max = 3_000;
        for n in 0..9_000 {
            add(&conn, &mut suppressed, n);
        }
        assert!(suppressed.loads <= 5, "{} times", suppressed.loads);
        for n in 0..9_000 {
            let msisdn = Msisdn::from_u64(447_700_900_000 + n).unwrap();
            let kind = suppressed.kind_of(&conn, AccountId(1), msisdn).unwrap();
            assert_eq!(kind, Some(SuppressionKind::Unsubscribed));
        }
    }

    #[test]
    fn a_change_that_was_taken_back_is_seen_and_others_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let mut conn = Connection::open(&path).unwrap();
        open::migrate(&mut conn, &path, Mode::Serve).unwrap();
        let other = Connection::open(&path).unwrap();
        let mut suppressed = Suppressed::load(&conn).unwrap();
        other
            .execute("UPDATE meta SET value = 1 WHERE key = 'probe'", [])
            .unwrap();
        assert!(suppressed.refresh(&conn).unwrap(), "written");
        assert_eq!(suppressed.loads, 1, "but not suppressions");
        other
            .execute(
                "INSERT INTO suppression (msisdn, account, kind) VALUES (447700900001, -1, 0)",
                [],
            )
            .unwrap();
        changed(&other, None).unwrap();
        assert!(suppressed.refresh(&conn).unwrap());
        assert!(suppressed.loads == 2 && suppressed.any());

        conn.execute_batch("BEGIN").unwrap();
        changed(&conn, Some(&mut suppressed)).unwrap();
        conn.execute_batch("ROLLBACK").unwrap();
        changed(&other, None).unwrap();
        assert!(suppressed.refresh(&conn).unwrap());
        assert_eq!(suppressed.loads, 3);
    }
}
