//! What a change relies on, checked in its own transaction.

use super::{body, json};
use crate::sqlite::codes::as_count;
use crate::sqlite::error::Tried;
use crate::{AccountId, CatalogExpectation, Signature, StoreError, Template};
use rusqlite::{Connection, Params};

/// Whether it holds.
pub(super) fn holds(conn: &Connection, expected: &CatalogExpectation) -> Result<bool, StoreError> {
    match expected {
        CatalogExpectation::Template(template) => {
            let stored = body::<Template>(
                conn,
                "SELECT body FROM template WHERE number = ?1",
                template.number,
            )?;
            Ok(stored.as_ref() == Some(template))
        }
        CatalogExpectation::NoTemplate { number, ut_id } => none(
            conn,
            "SELECT 1 FROM template WHERE number = ?1 OR ut_id = ?2",
            (number, ut_id),
        ),
        CatalogExpectation::TemplateName {
            account,
            name,
            except,
        } => {
            let is_it = |template: &Template| template.name == *name && Some(template.number) != *except;
            of_account(
                conn,
                "SELECT body FROM template WHERE account = ?1",
                *account,
                is_it,
            )
        }
        CatalogExpectation::FewerTemplates(account, than) => fewer(
            conn,
            "SELECT count(*) FROM template WHERE account = ?1",
            *account,
            *than,
        ),
        CatalogExpectation::Signature(signature) => {
            let stored = body::<Signature>(conn, "SELECT body FROM signature WHERE id = ?1", signature.id)?;
            Ok(stored.as_ref() == Some(signature))
        }
        CatalogExpectation::NoSignature(id) => none(conn, "SELECT 1 FROM signature WHERE id = ?1", [id]),
        CatalogExpectation::SignatureText {
            account,
            text,
            except,
        } => {
            let is_it = |signature: &Signature| signature.text == *text && Some(signature.id) != *except;
            of_account(
                conn,
                "SELECT body FROM signature WHERE account = ?1",
                *account,
                is_it,
            )
        }
        CatalogExpectation::HasSignature(account, id) => none(
            conn,
            "SELECT 1 FROM signature WHERE id = ?1 AND account = ?2",
            (id, account.0),
        )
        .map(|none| !none),
        CatalogExpectation::UnusedSignature(account, id) => {
            let is_it = |template: &Template| template.signature == Some(*id);
            of_account(
                conn,
                "SELECT body FROM template WHERE account = ?1",
                *account,
                is_it,
            )
        }
        CatalogExpectation::FewerSignatures(account, than) => fewer(
            conn,
            "SELECT count(*) FROM signature WHERE account = ?1",
            *account,
            *than,
        ),
    }
}

/// Whether a query finds nothing.
fn none(conn: &Connection, sql: &str, params: impl Params) -> Result<bool, StoreError> {
    conn.prepare_cached(sql)
        .and_then(|mut select| select.exists(params))
        .map(|exists| !exists)
        .tried("look at the catalog")
}

fn fewer(conn: &Connection, sql: &str, account: AccountId, than: usize) -> Result<bool, StoreError> {
    let count: i64 = conn
        .prepare_cached(sql)
        .and_then(|mut select| select.query_row([account.0], |row| row.get(0)))
        .tried("count what an account has")?;
    Ok(count < as_count(than))
}

/// Whether nothing of an account is like that. Bodies are kept as JSON; an account has at most some thousands.
fn of_account<T: serde::de::DeserializeOwned>(
    conn: &Connection,
    sql: &str,
    account: AccountId,
    is_it: impl Fn(&T) -> bool,
) -> Result<bool, StoreError> {
    let look = || {
        let mut select = conn.prepare_cached(sql)?;
        let mut rows = select.query([account.0])?;
        while let Some(row) = rows.next()? {
            if is_it(&json(row, 0)?) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    look().tried("look at what an account has")
}
