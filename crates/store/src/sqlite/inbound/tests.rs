use super::*;
use crate::sqlite::{Mode, open};
use std::path::Path;

/// Parts that a release before octets were kept left behind, and suppressions that words had made.
#[test]
fn a_store_of_before_keeps_its_parts_and_its_words() {
    let mut conn = Connection::open_in_memory().unwrap();
    open::migrate_to(&mut conn, 4).unwrap();
    conn.execute_batch(
        r#"INSERT INTO account (id, name, body) VALUES (1, 'a', '{"opt_out_words":["Stop"]}');
        INSERT INTO suppression (msisdn, account, kind) VALUES (447700900001, 1, 2), (447700900002, 1, 2), (447700900003, 1, 1);
        INSERT INTO inbound (id, account, carrier, sender, recipient, received_at, text) VALUES
            (1, 1, 1, '447700900001', '1', 5, ' stop '), (2, 1, 1, '447700900002', '1', 5, 'hello'),
            (3, 1, 1, '447700900003', '1', 5, 'stop'), (4, 1, 1, 'Bank', '1', 5, 'stop');
        INSERT INTO inbound_part (carrier, sender, recipient, reference, total, number, whole, touched_at, text)
            VALUES (1, '447700900001', '1', 9, 2, 1, 0, 5, 'grüße '), (1, '447700900001', '1', 9, 2, 2, 0, 5, ''),
                (1, '447700900001', '1', 700, 2, 1, 0, 5, 'a');"#,
    )
    .unwrap();
    open::migrate(&mut conn, Path::new("in memory"), Mode::Serve).unwrap();
    let key = |kind, reference| Key {
        carrier: CarrierNo(1),
        from: "447700900001".into(),
        to: "1".into(),
        reference: KeptReference::of(&InboundPart {
            kind,
            reference,
            number: 1,
            total: 2,
        }),
        total: 2,
    };
    let narrow = key(Reference::Bits8, 9);
    let mut parts = narrow.parts(&conn).unwrap();
    parts[1].data = UserData {
        coding: Coding::plain(Charset::Gsm7),
        octets: (*b"\x00").into(),
    };
    assert_eq!(narrow.put_together(parts).content, "grüße @".into());
    let wide = key(Reference::Bits16, 700).parts(&conn).unwrap();
    assert_eq!(wide.len(), 1);
    assert!(key(Reference::Bits16, 9).parts(&conn).unwrap().is_empty());
    let took: Vec<(u64, i64)> = conn
        .prepare("SELECT msisdn, inbound FROM opt_out ORDER BY 1")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(took, [(447_700_900_001, 1)]);
    let whole = whole_of(&conn, InboundId(2)).unwrap().unwrap();
    assert_eq!((&*whole.text, whole.binary), ("hello", None));
}

#[test]
fn what_nobody_owns_in_a_store_of_before_is_counted() {
    let mut conn = Connection::open_in_memory().unwrap();
    open::migrate_to(&mut conn, 17).unwrap();
    conn.execute_batch(
        "INSERT INTO inbound (id, account, carrier, sender, recipient, received_at, text, data) VALUES
             (1, NULL, 1, '1', '2', 5, 'hello', NULL), (2, 7, 1, '1', '2', 5, 'hello', NULL),
             (3, NULL, 1, '1', '2', 5, '', zeroblob(600)), (4, NULL, 1, '1', '2', 5, printf('%.*c', 128, 'ü'), NULL);",
    )
    .unwrap();
    open::migrate(&mut conn, Path::new("in memory"), Mode::Serve).unwrap();
    let counted: (i64, i64) = conn
        .query_row(
            &format!(
                "SELECT value, (SELECT sum({WEIGHT}) FROM inbound WHERE account IS NULL) FROM meta
                 WHERE key = 'inbound_unassigned'"
            ),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(counted, (1 + 3 + 2, 6));
}
