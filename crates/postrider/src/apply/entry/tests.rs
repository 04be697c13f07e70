//! Entries are parsed leniently, with each mistake at its line.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    name: Option<String>,
    weight: Option<u16>,
    words: Option<Vec<String>>,
    section: Option<std::collections::BTreeMap<String, bool>>,
}

fn read(text: &str) -> (Vec<Entry<Sample>>, Vec<String>) {
    let (mut reader, document) = Reader::parse(text);
    let entries = reader.entries(document.get_ref(), "sample", "sample");
    let read = entries
        .into_iter()
        .map(|(span, table)| {
            let raw = reader.raw(span, table, &[], "sample");
            reader.read(raw, "sample", &["weight", "words"])
        })
        .collect();
    let mistakes = reader.mistakes.finish(text).list;
    (read, mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn what_reads_is_read_whatever_stands_beside_it() {
    let (entries, mistakes) = read(
        "[[sample]]\nname = \"a\"\nweight = 70000\nwrods = [\"x\"]\n[[sample]]\nname = shop\nweight = 3\n\
         words = [\n  \"x\",\n  7,\n]\n[[sample]]\nweight = 1\nreset = [\"words\", \"weight\", \"name\", \"wodrs\"]\n",
    );
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].keys.name.as_deref(), Some("a"));
    assert_eq!(entries[1].keys.weight, Some(3));
    assert!(entries[1].raw.is_excused("name") && entries[2].raw.resets("words"));
    let expected = [
        "line 3: sample: `weight` is 70000; it must be 1 to 1000",
        "line 4: sample: unknown key `wrods`; did you mean `words`?",
        "line 6: `name`: a string needs quotes: name = \"shop\"",
        "line 10: sample: `words[1]` must be a string in quotes, not a whole number",
        "line 14: sample: `reset`: `weight` is set as well: remove one of the two",
        "line 14: sample: `reset`: `name` has no default",
        "line 14: sample: `reset`: unknown key `wodrs`; did you mean `words`?",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn one_table_where_a_list_is_meant_is_read_and_complained_of() {
    let (entries, mistakes) = read("[sample]\nname = \"a\"\n");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        mistakes,
        ["line 1: `sample` is a list of entries: start each with [[sample]]"]
    );
}

#[test]
fn dates_and_numbers_that_no_json_has_are_complained_of() {
    for (value, why) in [
        ("2026-11-18", "is a date"),
        ("nan", "is not a finite number"),
        ("99999999999999999999", "is too large"),
        ("{ a = [1, nan] }", "is not a finite number"),
    ] {
        let (_, mistakes) = read(&format!("[[sample]]\nweight = {value}\n"));
        assert!(
            mistakes.len() == 1 && mistakes[0].contains(why),
            "{value}: {mistakes:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\[\\[sample\\]\\]\n)?[-a-z0-9tTZ:.einf\"\\[\\]{} ,=\n]{0,60}") {
        let _ = read(&text);
    }
}
