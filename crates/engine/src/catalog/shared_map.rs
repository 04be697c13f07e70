//! A map whose copies share what is the same in them.
//!
//! Each version of the catalog is immutable, and a change makes another. So that one template more does not cost a copy
//! of all, entries lie in order of their keys in chunks behind an [`Arc`]: a copy counts up the chunks, a change copies
//! one of them.

use std::borrow::Borrow;
use std::sync::Arc;

/// Entries of a chunk; a fuller one is cut in two.
const CHUNK_MAX: usize = 256;

/// A map in order of its keys. Looking up takes two binary searches.
#[derive(Debug, Clone)]
pub(crate) struct SharedMap<K, V> {
    /// None is empty; all keys of one are below those of the next.
    chunks: Vec<Arc<Vec<(K, V)>>>,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// The chunk that has a key, or would have it.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first.borrow() <= key));
        after.saturating_sub(1)
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = chunk
            .binary_search_by(|(known, _)| known.borrow().cmp(key))
            .ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let at = self.chunk_of(&key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return self.chunks.push(Arc::new(vec![(key, value)]));
        };
        let entries = Arc::make_mut(chunk);
        match entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(place) => entries.splice(place..=place, [(key, value)]).for_each(drop),
            Err(place) => entries.insert(place, (key, value)),
        }
        if entries.len() > CHUNK_MAX {
            // What is put in ascending order leaves full chunks behind.
            let rest = entries.split_off(CHUNK_MAX * 3 / 4);
            self.chunks.insert(at + 1, Arc::new(rest));
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let at = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return;
        };
        let Ok(place) = chunk.binary_search_by(|(known, _)| known.borrow().cmp(key)) else {
            return;
        };
        let entries = Arc::make_mut(chunk);
        entries.remove(place);
        if entries.is_empty() {
            self.chunks.remove(at);
        }
    }

    /// Entries from a key on, in order.
    pub(crate) fn from<'m>(&'m self, key: &K) -> impl Iterator<Item = (&'m K, &'m V)> + use<'m, K, V> {
        let at = self.chunk_of(key);
        let first = self.chunks.get(at);
        let skipped = first.map_or(0, |chunk| chunk.partition_point(|(known, _)| known < key));
        let chunks = self.chunks.iter().skip(at);
        chunks
            .flat_map(|chunk| chunk.iter())
            .skip(skipped)
            .map(|(key, value)| (key, value))
    }

    /// The entry of the highest key.
    pub(crate) fn last(&self) -> Option<(&K, &V)> {
        self.chunks.last()?.last().map(|(key, value)| (key, value))
    }

    /// Chunks that another map does not share.
    #[cfg(test)]
    pub(crate) fn own_chunks(&self, other: &Self) -> usize {
        let shared = |chunk: &&Arc<Vec<(K, V)>>| other.chunks.iter().any(|known| Arc::ptr_eq(known, chunk));
        self.chunks.iter().filter(|chunk| !shared(chunk)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds_whatever_is_done(
            steps in prop::collection::vec((any::<bool>(), 0_u16..700, any::<u8>()), 0..1_500)
        ) {
            let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
            for (put, key, value) in steps {
                let before = map.clone();
                if put {
                    map.insert(key, value);
                    model.insert(key, value);
                } else {
                    map.remove(&key);
                    model.remove(&key);
                }
                prop_assert!(map.own_chunks(&before) <= 2);
                prop_assert_eq!(map.get(&key), model.get(&key));
            }
            prop_assert!(map.from(&0).eq(&model));
            prop_assert!(map.from(&350).eq(model.range(350..)));
            prop_assert_eq!(map.last(), model.last_key_value());
            prop_assert!(map.chunks.iter().all(|chunk| (1..=CHUNK_MAX).contains(&chunk.len())));
        }
    }

    #[test]
    fn a_change_copies_one_chunk_of_many() {
        let mut map = SharedMap::default();
        (0..50_000).for_each(|n| map.insert(n, n));
        for n in [0, 25_000, 49_999, 60_000] {
            let mut changed = map.clone();
            changed.insert(n, 0);
            assert!(changed.own_chunks(&map) <= 2, "{n}");
            assert_eq!(
                (map.get(&n).copied(), changed.get(&n)),
                ((n < 50_000).then_some(n), Some(&0))
            );
        }
    }
}
