//! What a change relies on, checked in its own transaction.

use super::body;
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
        } => none(
            conn,
            "SELECT 1 FROM template WHERE account = ?1 AND json_extract(body, '$.name') = ?2 AND number IS NOT ?3",
            (account.0, name, except),
        ),
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
        } => none(
            conn,
            "SELECT 1 FROM signature WHERE account = ?1 AND json_extract(body, '$.text') = ?2 AND id IS NOT ?3",
            (account.0, text, except),
        ),
        CatalogExpectation::HasSignature(account, id) => none(
            conn,
            "SELECT 1 FROM signature WHERE id = ?1 AND account = ?2",
            (id, account.0),
        )
        .map(|none| !none),
        CatalogExpectation::UnusedSignature(account, id) => none(
            conn,
            "SELECT 1 FROM template WHERE account = ?1 AND json_extract(body, '$.signature') = ?2",
            (account.0, id),
        ),
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

#[cfg(test)]
mod tests {
    use crate::sqlite::{Mode, SqliteConfig, open};

    #[test]
    fn what_an_account_has_is_found_without_reading_what_others_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let mut conn = open::writing(&path, &SqliteConfig::default()).unwrap();
        open::migrate(&mut conn, &path, Mode::Serve).unwrap();
        for sql in [
            "SELECT count(*) FROM template WHERE account = 1",
            "SELECT count(*) FROM signature WHERE account = 1",
            "SELECT 1 FROM template WHERE account = 1 AND json_extract(body, '$.name') = 'a' AND number IS NOT 2",
            "SELECT 1 FROM template WHERE account = 1 AND json_extract(body, '$.signature') = 2",
            "SELECT 1 FROM signature WHERE account = 1 AND json_extract(body, '$.text') = 'a' AND id IS NOT 2",
            "DELETE FROM template_version WHERE number IN (SELECT number FROM template WHERE account = 1)",
            "DELETE FROM template WHERE account = 1",
            "DELETE FROM signature WHERE account = 1",
        ] {
            let plan: Vec<String> = conn
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap()
                .query_map([], |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let by_account = |step: &String| step.contains("(account=?");
            assert!(plan.iter().any(by_account), "{sql}: {plan:?}");
            assert!(
                !plan.iter().any(|step| step.starts_with("SCAN")),
                "{sql}: {plan:?}"
            );
        }
        let indexes: i64 = conn
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
                 AND tbl_name IN ('template', 'signature')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(indexes, 3);
    }
}
