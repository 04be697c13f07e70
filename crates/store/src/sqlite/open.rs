//! Files, connections and the schema.

use super::error::Tried;
use super::lock::ServerLock;
use super::{Mode, SqliteConfig, damage, place};
use crate::StoreError;
use refinery::Runner;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The table in which the library for migrations keeps what was done.
const HISTORY: &str = "refinery_schema_history";

/// The newest schema this program knows.
pub(super) fn known_version() -> u32 {
    runner()
        .get_migrations()
        .iter()
        .map(|m| u32::try_from(m.version()).unwrap_or(u32::MAX))
        .max()
        .unwrap_or(0)
}

fn runner() -> Runner {
    // In one transaction: by itself the library commits a migration and the note that it is done one after the other, and a
    // process that ends in between leaves a store that no start gets past.
    embedded::migrations::runner().set_grouped(true)
}

/// The path of a store with all links followed.
///
/// # Errors
/// [`StoreError::Unwritable`] when it leads nowhere.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, StoreError> {
    place::resolved(path)
        .map_err(|error| StoreError::Unwritable(format!("find the store {}: {error}", path.display())))
}

/// A connection that writes.
pub(super) fn writing(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    place::make(path, config)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).tried("open the store")?;
    set_up(&conn, config.writer_cache_kib_max, config)?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .tried("switch to write-ahead logging")?;
    if mode != "wal" {
        return Err(StoreError::Other(format!(
            "the file system does not allow write-ahead logging (got {mode})"
        )));
    }
    // FULL: the log is fsynced with every commit, which is what "durable when it returns" means here.
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .tried("set up the writer")?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn reading(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).tried("open the store for reading")?;
    set_up(&conn, config.reader_cache_kib_max, config)?;
    conn.execute_batch("PRAGMA query_only = ON")
        .tried("set up a reader")?;
    Ok(conn)
}

/// A connection that leaves the store's files as they are, also where it is the last one that closes. It may begin a
/// transaction that writes, and must roll it back.
///
/// SQLite opens a store in write-ahead logging for reading and writing even for readers: after a kill it rebuilds the
/// index of the log (`-shm`). That does not write to the log itself.
pub(super) fn looking(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    let has_log = place::beside(path, "-wal").exists();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).tried("open the store")?;
    set_up(&conn, config.reader_cache_kib_max, config)?;
    // Pages of a transaction that is taken back stay in memory.
    conn.execute_batch("PRAGMA cache_spill = OFF")
        .tried("set up a connection")?;
    // What the log holds after a kill is for whoever serves the store to move. Where there was no log, SQLite makes an empty one
    // and is to remove it again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)
        .tried("leave the log as it is")?;
    Ok(conn)
}

/// A connection that moves pages from the log to the file.
pub(super) fn checkpointing(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).tried("open the store for checkpoints")?;
    set_up(&conn, 64, config)?;
    conn.execute_batch("PRAGMA synchronous = FULL")
        .tried("set up checkpoints")?;
    Ok(conn)
}

fn set_up(conn: &Connection, cache_kib_max: usize, config: &SqliteConfig) -> Result<(), StoreError> {
    conn.busy_timeout(Duration::from_millis(config.lock_wait_ms_max))
        .tried("set the lock wait")?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.execute_batch(&format!(
        "PRAGMA cache_size = -{cache_kib_max}; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
    ))
    .tried("set up a connection")
}

/// The schema of a store file; `None` when there is no store yet. Nothing is changed.
///
/// # Errors
/// [`StoreError::Foreign`] for another program's database, [`StoreError::Other`] for one with several names, and what SQLite
/// says of what is none.
pub(super) fn schema_version(path: &Path) -> Result<Option<u32>, StoreError> {
    if path.is_dir() {
        let what = format!("{} is a folder, and the store is a file", path.display());
        return Err(StoreError::Other(what));
    }
    place::one_name_only(path)?;
    // An empty file is what SQLite leaves where it made a file and nothing more.
    let unread =
        |error: std::io::Error| StoreError::Unwritable(format!("open the store {}: {error}", path.display()));
    let bytes = match std::fs::metadata(path) {
        Ok(file) => file.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(unread(error)),
    };
    if bytes == 0 {
        damage::refuse_a_lost_store(path)?;
        return refuse_a_lone_log(path).map(|()| None);
    }
    // The system says why it cannot be opened, and SQLite does not.
    std::fs::File::open(path).map_err(unread)?;
    let conn = looking(path, &SqliteConfig::default())?;
    let version = version_of(&conn)?;
    if let Some(table) = table_of_another_program(&conn, version.is_some())? {
        return Err(StoreError::Foreign(format!("it has a table {table:?}")));
    }
    Ok(version)
}

/// Refuses to make a new store beside the log of another: SQLite would drop the log without a word.
fn refuse_a_lone_log(path: &Path) -> Result<(), StoreError> {
    let log = place::beside(path, "-wal");
    if std::fs::metadata(&log).map_or(true, |file| file.len() == 0) {
        return Ok(());
    }
    Err(StoreError::Other(format!(
        "there is a write-ahead log {log} and the store {path} that it belongs to is gone. Put the store back beside its log, or a \
         backup in its place and the log aside; to begin with an empty store, move the log away",
        log = log.display(),
        path = path.display(),
    )))
}

/// A table that no store has: any at all when there is no schema of ours, and the history of other migrations.
fn table_of_another_program(conn: &Connection, has_history: bool) -> Result<Option<String>, StoreError> {
    if !has_history {
        return conn
            .query_row(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> ?1 LIMIT 1",
                [HISTORY],
                |row| row.get(0),
            )
            .optional()
            .tried("look for other tables");
    }
    let first: Option<String> = conn
        .query_row(
            "SELECT name FROM refinery_schema_history ORDER BY version LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()
        .tried("read the schema's history")?;
    let runner = runner();
    let own = runner.get_migrations().iter().min_by_key(|own| own.version());
    let own = own.map(|own| own.name().to_owned());
    Ok((first != own).then(|| HISTORY.to_owned()))
}

fn version_of(conn: &Connection) -> Result<Option<u32>, StoreError> {
    let tables: i64 = conn
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = ?1",
            [HISTORY],
            |row| row.get(0),
        )
        .tried("look for the schema's history")?;
    if tables == 0 {
        return Ok(None);
    }
    conn.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| {
        row.get(0)
    })
    .tried("read the schema's version")
}

/// Brings the schema up to date. A tool does so only when no server runs.
pub(super) fn migrate(conn: &mut Connection, path: &Path, mode: Mode) -> Result<u32, StoreError> {
    let known = known_version();
    match version_of(conn)? {
        Some(found) if found > known => return Err(StoreError::NewerSchema { found, known }),
        Some(found) if found == known => return Ok(known),
        _ => {}
    }
    let _lock = match mode {
        Mode::Serve => None, // has it already
        Mode::Tool => Some(ServerLock::take(path)?),
    };
    runner()
        .run(conn)
        .map_err(|error| StoreError::Other(format!("bring the schema up to date: {error}")))?;
    tracing::info!(schema = known, "store migrated");
    Ok(known)
}

/// Brings a schema to an earlier version, as a release of before left it.
#[cfg(test)]
pub(super) fn migrate_to(conn: &mut Connection, version: i32) -> Result<(), refinery::Error> {
    let runner = runner().set_target(refinery::Target::Version(version));
    runner.run(conn).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteStore;
    use crate::{
        AccountId, CatalogChange, DimensionsNo, Endpoint, EndpointId, EventKinds, EventOffset, EventWhat,
        MessageId, StatisticsFilter,
    };
    use crate::{Events, Statistics, Store};
    use sms::state::MessageState;

    /// A message of the first schema: accepted, taken by a carrier, and waiting for its receipt.
    const ONE_MESSAGE: &str = "
        INSERT INTO batch VALUES (1048576, 1048576, 1, 7, 0, 1, 0, 42, 0, 0, NULL, NULL, NULL, 'hello');
        INSERT INTO message VALUES (1048576, 15550100001, 3, 1, NULL, 0, NULL, NULL);
        INSERT INTO outcome VALUES (1048576, 19, 64, 3, 1, 1, 5, 10, 20, 30, 0, 'id0', '   ', NULL);";

    #[test]
    fn another_programs_database_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, sql: &str| {
            let path = folder.path().join(name);
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            path
        };
        let plain = made("plain.db", "CREATE TABLE book(title TEXT);");
        let migrated = made(
            "migrated.db",
            "CREATE TABLE refinery_schema_history(version INTEGER PRIMARY KEY, name TEXT, applied_on TEXT, checksum TEXT);
             INSERT INTO refinery_schema_history VALUES (1, 'books', '2026-01-01T00:00:00Z', '1');",
        );
        for path in [plain, migrated] {
            let before = std::fs::read(&path).unwrap();
            let refused = [
                SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).err(),
                SqliteStore::open(&path, Mode::Tool, SqliteConfig::default()).err(),
                SqliteStore::migrate(&path).err(),
                SqliteStore::schema_version(&path).err(),
            ];
            for refused in refused {
                assert!(
                    matches!(refused, Some(StoreError::Foreign(_))),
                    "{path:?}: {refused:?}"
                );
            }
            assert_eq!(std::fs::read(&path).unwrap(), before, "{path:?}");
        }
        let folder_itself = SqliteStore::schema_version(folder.path()).unwrap_err();
        assert!(
            folder_itself.to_string().contains("is a folder"),
            "{folder_itself}"
        );
    }

    #[test]
    fn a_migration_that_fails_leaves_the_schema_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let mut conn = writing(&path, &SqliteConfig::default()).unwrap();
        migrate_to(&mut conn, 2).unwrap();
        let schema = |conn: &Connection| -> String {
            let sql = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)";
            conn.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        // In the way of a migration after several others.
        conn.execute_batch("CREATE TABLE blocked_words(text TEXT);")
            .unwrap();
        let before = schema(&conn);
        let refused = migrate(&mut conn, &path, Mode::Serve).unwrap_err();
        assert!(refused.to_string().contains("schema"), "{refused}");
        assert_eq!((version_of(&conn).unwrap(), schema(&conn)), (Some(2), before));
        conn.execute_batch("DROP TABLE blocked_words;").unwrap();
        assert_eq!(migrate(&mut conn, &path, Mode::Serve).unwrap(), known_version());
    }

    #[test]
    fn an_empty_file_is_no_store_yet_and_becomes_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        std::fs::write(&path, "").unwrap();
        assert_eq!(SqliteStore::schema_version(&path).unwrap(), None);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(SqliteStore::migrate(&path).unwrap(), known_version());
        assert_eq!(SqliteStore::schema_version(&path).unwrap(), Some(known_version()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn messages_of_the_first_schema_are_reported_and_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postrider.db");
        let mut conn = writing(&path, &SqliteConfig::default()).unwrap();
        let first = runner().set_target(refinery::Target::Version(1));
        first.run(&mut conn).unwrap();
        conn.execute_batch(ONE_MESSAGE).unwrap();
        drop(conn);

        let store = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
        let id = MessageId(1_048_576);
        let view = store.messages(vec![id]).await.unwrap().remove(0);
        assert_eq!(view.state, MessageState::Submitted);
        assert_eq!((&*view.batch.user, view.batch.dimensions), ("", DimensionsNo(0)));
        let endpoint = Endpoint {
            id: EndpointId(1),
            account: AccountId(7),
            name: "hook".into(),
            format: "standard".into(),
            url: "https://example.com".into(),
            kinds: EventKinds::ENDED,
            settings: serde_json::Value::Null,
            sealed_secret: vec![],
            enabled: true,
        };
        let change = vec![CatalogChange::PutEndpoint(endpoint)];
        store.change_catalog(change).await.unwrap();
        // Entered by its recorded time in the first piece, which is looked at in the next.
        assert_eq!(store.give_up_receipts(99, 99).await.unwrap(), (vec![], true));
        assert_eq!(store.give_up_receipts(10, 99).await.unwrap(), (vec![], false));
        assert_eq!(store.give_up_receipts(99, 99).await.unwrap(), (vec![id], false));
        assert_eq!(store.give_up_receipts(99, 99).await.unwrap(), (vec![], false));
        let account = AccountId(7);
        let events = store.events(account, EventOffset::default(), EventKinds::ALL, 9);
        let appended: Vec<EventWhat> = events
            .await
            .unwrap()
            .0
            .into_iter()
            .map(|event| event.what)
            .collect();
        let expected = EventWhat::Message {
            id,
            state: MessageState::Unknown,
            error: "".into(),
        };
        assert_eq!(appended, [expected]);
        let all = StatisticsFilter {
            from: 0,
            until: i64::from(u32::MAX),
            offset_minutes: 0,
            users: vec![],
            dialects: vec![],
            templates: vec![],
            labels: vec![],
            kind: None,
        };
        assert_eq!(store.statistics(account, all, 9).await.unwrap(), []);
    }
}
