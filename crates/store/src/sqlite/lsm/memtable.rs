//! The newest entries of an index, in memory.

use super::Entry;
use hashbrown::HashTable;
use hashbrown::hash_table;

/// No older entry of the key.
const NONE: u32 = u32::MAX;

/// Entries in the order they came, with a hash table to the newest of each key and a chain from each to
/// the next older one of its key.
///
/// The chain instead of a list a key keeps an entry at 26 octets, makes taking back the last entries
/// trivial, and costs nothing when one key has all of them (a load test against one number, a carrier
/// that gives every message the same id).
#[derive(Debug, Default)]
pub(in crate::sqlite) struct MemTable {
    newest: HashTable<u32>,
    entries: Vec<Entry>,
    older: Vec<u32>,
}

impl MemTable {
    /// Room for `entries` entries without growing. Memory that is never touched is never resident.
    pub(in crate::sqlite) fn with_capacity(entries: usize) -> Self {
        Self {
            newest: HashTable::with_capacity(entries),
            entries: Vec::with_capacity(entries),
            older: Vec::with_capacity(entries),
        }
    }

    /// Takes all entries out and keeps the room.
    pub(in crate::sqlite) fn clear(&mut self) {
        self.newest.clear();
        self.entries.clear();
        self.older.clear();
    }

    /// How many entries there are.
    pub(in crate::sqlite) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries from `start` on, in the order they came.
    pub(in crate::sqlite) fn entries_from(&self, start: usize) -> &[Entry] {
        self.entries.get(start..).unwrap_or_default()
    }

    /// Adds an entry; the newest of a key is found first. Returns the id that was the newest of that key here.
    pub(in crate::sqlite) fn push(&mut self, key: u64, id: i64) -> Option<i64> {
        let Self {
            newest,
            entries,
            older,
        } = self;
        let place = u32::try_from(entries.len()).unwrap_or(NONE);
        debug_assert_ne!(
            place, NONE,
            "memtable_entries_max keeps an index far below 2^32 entries"
        );
        let before = match newest.entry(key, |&n| key_at(entries, n) == key, |&n| key_at(entries, n)) {
            hash_table::Entry::Occupied(mut head) => {
                let before = *head.get();
                older.push(before);
                *head.get_mut() = place;
                entries.get(before as usize).map(|entry| entry.id)
            }
            hash_table::Entry::Vacant(head) => {
                older.push(NONE);
                head.insert(place);
                None
            }
        };
        entries.push(Entry { key, id });
        before
    }

    /// Takes back all but the first `len` entries.
    pub(in crate::sqlite) fn truncate(&mut self, len: usize) {
        let Self {
            newest,
            entries,
            older,
        } = self;
        while entries.len() > len {
            let last = u32::try_from(entries.len() - 1).unwrap_or(NONE);
            let (Some(entry), Some(before)) = (entries.last().copied(), older.last().copied()) else {
                return;
            };
            if let Ok(mut head) = newest.find_entry(entry.key, |&n| n == last) {
                if before == NONE {
                    head.remove();
                } else {
                    *head.get_mut() = before;
                }
            }
            entries.pop();
            older.pop();
        }
    }

    /// The ids of a key, newest first.
    pub(in crate::sqlite) fn ids(&self, key: u64) -> impl Iterator<Item = i64> {
        let head = self
            .newest
            .find(key, |&n| key_at(&self.entries, n) == key)
            .copied();
        std::iter::successors(head, |&n| {
            self.older.get(n as usize).copied().filter(|&n| n != NONE)
        })
        .filter_map(|n| self.entries.get(n as usize).map(|entry| entry.id))
    }
}

fn key_at(entries: &[Entry], n: u32) -> u64 {
    entries.get(n as usize).map_or(0, |entry| entry.key)
}

#[cfg(test)]
mod tests {
    use super::super::spread;
    use super::*;

    fn ids(memtable: &MemTable, key: u64) -> Vec<i64> {
        memtable.ids(spread(key)).collect()
    }

    #[test]
    fn ids_of_a_key_come_newest_first() {
        let mut memtable = MemTable::with_capacity(4);
        for (key, id) in [(1, 10), (2, 20), (1, 11), (1, 12)] {
            memtable.push(spread(key), id);
        }
        assert_eq!(ids(&memtable, 1), [12, 11, 10]);
        assert_eq!(ids(&memtable, 2), [20]);
        assert_eq!(ids(&memtable, 3), [0; 0]);
    }

    #[test]
    fn truncating_leaves_it_as_it_was() {
        let mut memtable = MemTable::default();
        memtable.push(spread(1), 10);
        memtable.push(spread(2), 20);
        let mark = memtable.len();
        memtable.push(spread(1), 11);
        memtable.push(spread(3), 30);
        memtable.truncate(mark);
        assert_eq!(
            (ids(&memtable, 1), ids(&memtable, 2), ids(&memtable, 3)),
            (vec![10], vec![20], vec![])
        );
        memtable.push(spread(3), 31);
        assert_eq!(ids(&memtable, 3), [31]);
        assert_eq!(
            memtable.entries_from(mark),
            [Entry {
                key: spread(3),
                id: 31
            }]
        );
    }

    #[test]
    fn one_key_for_all_entries_stays_cheap() {
        let mut memtable = MemTable::default();
        for id in 0..100_000 {
            memtable.push(spread(1), id);
        }
        memtable.truncate(50_000);
        assert_eq!(
            memtable.ids(spread(1)).take(2).collect::<Vec<_>>(),
            [49_999, 49_998]
        );
    }
}
