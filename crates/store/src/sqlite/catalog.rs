//! The catalog: read as a whole, changed in one transaction.

mod expectations;

use super::codes::{Number, as_count, narrow};
use super::error::Tried;
use super::memory::WriterState;
use super::suppressed::{account_code, kind_code};
use super::{contacts, endpoints, events, suppressed};
use crate::{
    Account, AccountId, Carrier, CarrierNo, Catalog, CatalogChange, CatalogExpectation, Credential,
    EventWhat, Review, Route, Signature, StoreError, Suppression, Template, TemplateVersion, UnixMs,
    WordList,
};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

/// The version alone.
pub(super) fn version(conn: &Connection) -> Result<u64, StoreError> {
    let version: i64 = conn
        .prepare_cached("SELECT value FROM meta WHERE key = 'catalog_version'")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .tried("read the catalog's version")?;
    narrow(version, "the catalog's version")
}

/// The whole catalog, as it was at one moment.
pub(super) fn load(conn: &Connection) -> Result<Catalog, StoreError> {
    let snapshot = conn.unchecked_transaction().tried("begin to read the catalog")?;
    let catalog = Catalog {
        version: version(conn)?,
        accounts: all(conn, "SELECT body, balance FROM account ORDER BY id", |row| {
            Ok(Account {
                balance: row.get(1)?,
                ..json(row, 0)?
            })
        })?,
        credentials: all(
            conn,
            "SELECT family, key, sealed_secret, account, enabled, requests_per_s_max FROM credential ORDER BY family, key",
            |row| {
                Ok(Credential {
                    family: row.get(0)?,
                    key: row.get(1)?,
                    sealed_secret: row.get(2)?,
                    account: AccountId(row.get(3)?),
                    enabled: row.get(4)?,
                    requests_per_s_max: row.get(5)?,
                })
            },
        )?,
        signatures: all(conn, "SELECT body FROM signature ORDER BY id", |row| json(row, 0))?,
        templates: all(conn, "SELECT body FROM template ORDER BY number", |row| {
            json(row, 0)
        })?,
        carriers: all(
            conn,
            "SELECT no, name, settings FROM carrier ORDER BY no",
            |row| {
                Ok(Carrier {
                    no: CarrierNo(row.get(0)?),
                    name: row.get(1)?,
                    settings: json(row, 2)?,
                })
            },
        )?,
        routes: all(conn, "SELECT position, rule FROM route ORDER BY ordinal", |row| {
            Ok(Route {
                position: row.get(0)?,
                rule: json(row, 1)?,
            })
        })?,
        endpoints: endpoints::all(conn)?,
        blocked_words: all(
            conn,
            "SELECT name, words FROM blocked_words ORDER BY name",
            |row| {
                Ok(WordList {
                    name: row.get(0)?,
                    words: json(row, 1)?,
                })
            },
        )?,
    };
    snapshot.finish().tried("end reading the catalog")?;
    Ok(catalog)
}

fn all<T>(
    conn: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    conn.prepare_cached(sql)
        .and_then(|mut select| select.query_map([], read)?.collect())
        .tried("read the catalog")
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn to_json(value: &impl serde::Serialize, what: &str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Other(format!("write {what} as JSON: {error}")))
}

/// What a change is made under.
pub(super) enum Condition {
    /// Whatever the catalog is.
    None,
    /// Only while the catalog is at this version.
    AtVersion(u64),
    /// Only while all of this holds.
    Expected(Vec<CatalogExpectation>),
}

impl Condition {
    fn holds(&self, conn: &Connection) -> Result<bool, StoreError> {
        match self {
            Self::None => Ok(true),
            Self::AtVersion(at) => Ok(version(conn)? == *at),
            Self::Expected(all) => {
                for expected in all {
                    if !expectations::holds(conn, expected)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

/// Applies changes; the version that has them, or `None` when the condition does not hold. `memory` is the writer's,
/// absent in a tool.
pub(super) fn change(
    conn: &Connection,
    condition: &Condition,
    changes: &[CatalogChange],
    mut memory: Option<&mut WriterState>,
) -> Result<Option<u64>, StoreError> {
    if !condition.holds(conn)? {
        return Ok(None);
    }
    let now = memory.as_ref().map_or(0, |memory| memory.now);
    let (mut catalog_changed, mut suppressions_changed) = (false, false);
    for change in changes {
        match change {
            CatalogChange::PutSuppression(_)
            | CatalogChange::Suppress(_)
            | CatalogChange::RemoveSuppression(_) => {
                suppressions_changed = true;
            }
            CatalogChange::SetBalance(account, balance) => {
                catalog_changed |= is_counted(conn, *account)? != balance.is_some();
            }
            CatalogChange::RemoveAccount(_) => (catalog_changed, suppressions_changed) = (true, true),
            _ => catalog_changed = true,
        }
        apply(conn, change, now)?;
        let added = match change {
            CatalogChange::PutSuppression(suppression) => Some(suppression),
            CatalogChange::Suppress(entry) => Some(&entry.suppression),
            _ => None,
        };
        if let (Some(suppression), Some(memory)) = (added, &mut memory) {
            memory
                .suppressed
                .added(conn, suppression.msisdn)
                .tried("remember a suppression")?;
        }
    }
    if suppressions_changed {
        suppressed::changed(conn, memory.map(|memory| &mut memory.suppressed))?;
    }
    if catalog_changed {
        run(
            conn,
            "UPDATE meta SET value = value + 1 WHERE key = 'catalog_version'",
            (),
            "the catalog's version",
        )?;
    }
    version(conn).map(Some)
}

/// Whether an account has a balance.
fn is_counted(conn: &Connection, account: AccountId) -> Result<bool, StoreError> {
    conn.prepare_cached("SELECT balance IS NOT NULL FROM account WHERE id = ?1")
        .and_then(|mut select| select.query_row([account.0], |row| row.get(0)).optional())
        .map(|counted| counted.unwrap_or(false))
        .tried("read a balance")
}

/// Earlier versions of a template, the newest first.
pub(super) fn template_versions(
    conn: &Connection,
    number: i64,
    versions_max: usize,
) -> Result<Vec<TemplateVersion>, StoreError> {
    conn.prepare_cached(
        "SELECT version, body FROM template_version WHERE number = ?1 ORDER BY version DESC LIMIT ?2",
    )
    .and_then(|mut select| {
        select
            .query_map((number, as_count(versions_max)), |row| {
                Ok(TemplateVersion {
                    number,
                    version: row.get(0)?,
                    template: json(row, 1)?,
                })
            })?
            .collect()
    })
    .tried("read the versions of a template")
}

/// `now` is the newest time the writer knows of, for what does not bring its own.
fn apply(conn: &Connection, change: &CatalogChange, now: UnixMs) -> Result<(), StoreError> {
    match change {
        CatalogChange::PutAccount(account) => put_account(conn, account),
        CatalogChange::RemoveAccount(id) => remove_account(conn, *id),
        CatalogChange::SetBalance(id, balance) => run(
            conn,
            "UPDATE account SET balance = ?2 WHERE id = ?1",
            (id.0, balance),
            "a balance",
        ),
        CatalogChange::PutCredential(credential) => put_credential(conn, credential),
        CatalogChange::RemoveCredential(family, key) => run(
            conn,
            "DELETE FROM credential WHERE family = ?1 AND key = ?2",
            (family, key),
            "a credential",
        ),
        CatalogChange::PutSignature(signature) => put_signature(conn, signature, now),
        CatalogChange::RemoveSignature(id) => {
            run(conn, "DELETE FROM signature WHERE id = ?1", [id], "a signature")
        }
        CatalogChange::PutTemplate(template) => put_template(conn, template, now),
        CatalogChange::RemoveTemplate(number) => [
            "DELETE FROM template_version WHERE number = ?1",
            "DELETE FROM template WHERE number = ?1",
        ]
        .into_iter()
        .try_for_each(|sql| run(conn, sql, [number], "a template")),
        CatalogChange::PutCarrier(carrier) => {
            let settings = to_json(&carrier.settings, "a carrier's settings")?;
            run(
                conn,
                "INSERT INTO carrier (no, name, settings) VALUES (?1, ?2, ?3)
                 ON CONFLICT (no) DO UPDATE SET name = excluded.name, settings = excluded.settings",
                (carrier.no.0, &carrier.name, settings),
                "a carrier",
            )
        }
        CatalogChange::RemoveCarrier(no) => {
            run(conn, "DELETE FROM carrier WHERE no = ?1", [no.0], "a carrier")
        }
        CatalogChange::ReplaceRoutes(routes) => replace_routes(conn, routes),
        CatalogChange::PutEndpoint(endpoint) => endpoints::put(conn, endpoint),
        CatalogChange::RemoveEndpoint(id) => endpoints::remove(conn, *id),
        CatalogChange::PutBlockedWords(list) => {
            let words = to_json(&list.words, "a list of words")?;
            run(
                conn,
                "INSERT INTO blocked_words (name, words) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET words = excluded.words",
                (&list.name, words),
                "a list of words",
            )
        }
        CatalogChange::RemoveBlockedWords(name) => run(
            conn,
            "DELETE FROM blocked_words WHERE name = ?1",
            [name],
            "a list of words",
        ),
        CatalogChange::PutSuppression(suppression) => suppress(
            conn,
            "INSERT INTO suppression (msisdn, account, kind) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            suppression,
        ),
        CatalogChange::Suppress(entry) => run(
            conn,
            "INSERT INTO suppression (msisdn, account, kind, created_at, origin, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            (
                Number(entry.suppression.msisdn),
                account_code(entry.suppression.account),
                kind_code(entry.suppression.kind),
                entry.created_at,
                entry.origin.as_u8(),
                &entry.note,
            ),
            "a suppression",
        ),
        CatalogChange::RemoveSuppression(suppression) => [
            "DELETE FROM suppression WHERE msisdn = ?1 AND account = ?2 AND kind = ?3",
            // Put again by an operator, it is not what the person made.
            "DELETE FROM opt_out WHERE msisdn = ?1 AND account = ?2 AND ?3 = 2",
        ]
        .into_iter()
        .try_for_each(|sql| suppress(conn, sql, suppression)),
    }
}

fn run(conn: &Connection, sql: &str, params: impl Params, what: &str) -> Result<(), StoreError> {
    conn.prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params))
        .map(drop)
        .tried(&format!("change {what}"))
}

fn put_account(conn: &Connection, account: &Account) -> Result<(), StoreError> {
    // The balance has a column of its own, which only SetBalance and sending change.
    let body = to_json(
        &Account {
            balance: None,
            ..account.clone()
        },
        "an account",
    )?;
    run(
        conn,
        "INSERT INTO account (id, name, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
        (account.id.0, &account.name, body),
        "an account",
    )
}

fn remove_account(conn: &Connection, id: AccountId) -> Result<(), StoreError> {
    endpoints::remove_all_of(conn, id)?;
    contacts::remove_lists_of(conn, id).tried("remove an account's lists")?;
    for sql in [
        "DELETE FROM credential WHERE account = ?1",
        "DELETE FROM signature WHERE account = ?1",
        "DELETE FROM template_version WHERE number IN (SELECT number FROM template WHERE account = ?1)",
        "DELETE FROM template WHERE account = ?1",
        "DELETE FROM suppression WHERE account = ?1",
        "DELETE FROM opt_out WHERE account = ?1",
        "DELETE FROM task WHERE account = ?1",
        "DELETE FROM record WHERE account = ?1",
        "DELETE FROM account_usage WHERE account = ?1",
        "DELETE FROM account WHERE id = ?1",
    ] {
        run(conn, sql, [id.0], "an account")?;
    }
    Ok(())
}

fn put_credential(conn: &Connection, credential: &Credential) -> Result<(), StoreError> {
    run(
        conn,
        "INSERT INTO credential (family, key, sealed_secret, account, enabled, requests_per_s_max)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (family, key) DO UPDATE SET sealed_secret = excluded.sealed_secret,
             account = excluded.account, enabled = excluded.enabled,
             requests_per_s_max = excluded.requests_per_s_max",
        (
            &credential.family,
            &credential.key,
            &credential.sealed_secret,
            credential.account.0,
            credential.enabled,
            credential.requests_per_s_max,
        ),
        "a credential",
    )
}

fn put_signature(conn: &Connection, signature: &Signature, now: UnixMs) -> Result<(), StoreError> {
    let was: Option<Signature> = body(conn, "SELECT body FROM signature WHERE id = ?1", signature.id)?;
    run(
        conn,
        "INSERT INTO signature (id, account, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET account = excluded.account, body = excluded.body",
        (
            signature.id,
            signature.account.0,
            to_json(signature, "a signature")?,
        ),
        "a signature",
    )?;
    if was.is_some_and(|was| is_reviewed(was.review, signature.review)) {
        let (id, review) = (signature.id, signature.review);
        let at = when(signature.updated_at, now);
        let event = EventWhat::SignatureReviewed { id, review };
        events::append(conn, signature.account, at, &[event])?;
    }
    Ok(())
}

fn put_template(conn: &Connection, template: &Template, now: UnixMs) -> Result<(), StoreError> {
    let was: Option<Template> = body(
        conn,
        "SELECT body FROM template WHERE number = ?1",
        template.number,
    )?;
    if let Some(was) = &was
        && was.version != template.version
    {
        // One that comes back to an earlier version and leaves it again is kept as it was last.
        run(
            conn,
            "INSERT OR REPLACE INTO template_version (number, version, body) VALUES (?1, ?2, ?3)",
            (was.number, was.version, to_json(was, "a template")?),
            "a version of a template",
        )?;
    }
    run(
        conn,
        "INSERT INTO template (number, ut_id, account, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (number) DO UPDATE SET ut_id = excluded.ut_id, account = excluded.account,
             body = excluded.body",
        (
            template.number,
            &template.ut_id,
            template.account.0,
            to_json(template, "a template")?,
        ),
        "a template",
    )?;
    if was.is_some_and(|was| is_reviewed(was.review, template.review)) {
        let (number, review) = (template.number, template.review);
        let at = when(template.updated_at, now);
        let event = EventWhat::TemplateReviewed { number, review };
        events::append(conn, template.account, at, &[event])?;
    }
    Ok(())
}

/// What is there now of something kept as JSON.
fn body<T: DeserializeOwned>(conn: &Connection, sql: &str, id: i64) -> Result<Option<T>, StoreError> {
    conn.prepare_cached(sql)
        .and_then(|mut select| select.query_row([id], |row| json(row, 0)).optional())
        .tried("read the catalog")
}

/// Whether a review has come to its end.
fn is_reviewed(was: Review, now: Review) -> bool {
    was == Review::Submitted && matches!(now, Review::Approved | Review::Rejected | Review::Disabled)
}

/// When something was changed: as it says itself if it does.
fn when(updated_at: UnixMs, now: UnixMs) -> UnixMs {
    if updated_at > 0 { updated_at } else { now }
}

fn replace_routes(conn: &Connection, routes: &[Route]) -> Result<(), StoreError> {
    run(conn, "DELETE FROM route", (), "the routes")?;
    let mut routes: Vec<&Route> = routes.iter().collect();
    routes.sort_by_key(|route| route.position);
    for route in routes {
        let rule = to_json(&route.rule, "a route's rule")?;
        run(
            conn,
            "INSERT INTO route (position, rule) VALUES (?1, ?2)",
            (route.position, rule),
            "the routes",
        )?;
    }
    Ok(())
}

fn suppress(conn: &Connection, sql: &str, suppression: &Suppression) -> Result<(), StoreError> {
    let account = account_code(suppression.account);
    run(
        conn,
        sql,
        (Number(suppression.msisdn), account, kind_code(suppression.kind)),
        "a suppression",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Mode, open};
    use std::path::Path;

    /// What a store from before had in its rows, read by this one.
    #[test]
    fn bodies_of_an_older_store_are_read() {
        let mut conn = Connection::open_in_memory().unwrap();
        open::migrate(&mut conn, Path::new("in memory"), Mode::Serve).unwrap();
        for (sql, body) in [
            (
                "INSERT INTO account (id, name, balance, body) VALUES (7, 'first', 5, ?1)",
                r#"{"id":7,"name":"first","balance":null,"weight":10,"caps":{"per_minute_max":1,"per_day_max":9},
                    "may_send":true,"senders":["Example"],"project_ids":["org-1"]}"#,
            ),
            (
                "INSERT INTO signature (id, account, body) VALUES (1, 7, ?1)",
                r#"{"account":7,"id":1,"text":"Example","review":"approved"}"#,
            ),
            (
                "INSERT INTO template (number, ut_id, account, body) VALUES (500, 'UT500', 7, ?1)",
                r#"{"account":7,"number":500,"ut_id":"UT500","name":"Welcome","class":"otp","text":"code {1}",
                    "review":"submitted","reason":"","signature":1,"position":"front","created_at":3,"updated_at":4}"#,
            ),
        ] {
            conn.execute(sql, [body]).unwrap();
        }
        let catalog = load(&conn).unwrap();
        let account = &catalog.accounts[0];
        assert_eq!(
            (account.balance, account.weight, account.auto_approve),
            (Some(5), 10, false)
        );
        assert!(account.inbound_to.is_empty() && account.opt_out_words.is_empty());
        let signature = &catalog.signatures[0];
        assert_eq!(
            (&*signature.text, &*signature.reason, signature.created_at),
            ("Example", "", 0)
        );
        assert!(signature.details.is_null());
        let template = &catalog.templates[0];
        assert_eq!(
            (&*template.text, template.version, &*template.remark),
            ("code {1}", 0, "")
        );
        assert!(template.details.is_null() && catalog.endpoints.is_empty());

        // And it is replaced like any other.
        let next = Template {
            version: 1,
            review: Review::Approved,
            ..template.clone()
        };
        change(&conn, &Condition::None, &[CatalogChange::PutTemplate(next)], None).unwrap();
        let versions = template_versions(&conn, 500, 9).unwrap();
        assert_eq!(versions.len(), 1);
        assert_eq!((versions[0].version, &versions[0].template), (0, template));
    }

    #[test]
    fn a_change_without_a_time_of_its_own_gets_the_writers() {
        assert_eq!(when(5, 9), 5);
        assert_eq!(when(0, 9), 9);
    }
}
