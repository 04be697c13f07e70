//! A Bloom filter in blocks of one cache line.

const WORDS_A_BLOCK: usize = 8;
const BITS_A_BLOCK: usize = WORDS_A_BLOCK * 64;
/// About 1.3 % of absent keys pass.
const BITS_A_KEY: usize = 10;
const PROBES: u32 = 6;

/// Says of a key that it is certainly absent, or perhaps present. All probes of a key fall in one block,
/// so asking costs one cache miss: with dozens of runs that is what counts, not the last bit of precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sqlite) struct Filter {
    blocks: Vec<[u64; WORDS_A_BLOCK]>,
}

impl Filter {
    /// A filter for about `keys` keys; more make it less sharp, never wrong.
    pub(in crate::sqlite) fn for_keys(keys: usize) -> Self {
        Self {
            blocks: vec![[0; WORDS_A_BLOCK]; blocks_for(keys)],
        }
    }

    /// Octets that a filter for so many keys takes.
    pub(in crate::sqlite) fn bytes_for(keys: usize) -> usize {
        blocks_for(keys) * BITS_A_BLOCK / 8
    }

    /// Octets of memory.
    pub(in crate::sqlite) fn bytes(&self) -> usize {
        self.blocks.len() * BITS_A_BLOCK / 8
    }

    /// Adds a key (already spread over 64 bits).
    pub(in crate::sqlite) fn insert(&mut self, key: u64) {
        let place = self.place(key);
        if let Some(block) = self.blocks.get_mut(place) {
            for bit in bits(key) {
                block[bit / 64] |= 1 << (bit % 64);
            }
        }
    }

    /// False when the key was certainly never added.
    pub(in crate::sqlite) fn may_contain(&self, key: u64) -> bool {
        self.blocks
            .get(self.place(key))
            .is_some_and(|block| bits(key).all(|bit| block[bit / 64] & (1 << (bit % 64)) != 0))
    }

    /// Little-endian words, for the disk.
    pub(in crate::sqlite) fn to_bytes(&self) -> Vec<u8> {
        self.blocks
            .iter()
            .flatten()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    }

    /// From [`Self::to_bytes`]; `None` when the length cannot be right.
    pub(in crate::sqlite) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let (blocks, odd) = words.as_chunks::<WORDS_A_BLOCK>();
        (rest.is_empty() && odd.is_empty() && !blocks.is_empty()).then(|| Self {
            blocks: blocks.iter().map(|words| words.map(u64::from_le_bytes)).collect(),
        })
    }

    /// The block by multiplication instead of division: the upper half of the key as a fraction.
    fn place(&self, key: u64) -> usize {
        (((key >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

fn blocks_for(keys: usize) -> usize {
    (keys.saturating_mul(BITS_A_KEY) / BITS_A_BLOCK).max(1)
}

/// The bits of a key within its block, nine bits of a remix for each.
fn bits(key: u64) -> impl Iterator<Item = usize> {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |n| (mixed >> (10 + 9 * n)) as usize % BITS_A_BLOCK)
}

#[cfg(test)]
mod tests {
    use super::super::spread;
    use super::*;

    #[test]
    fn what_was_added_always_passes_and_little_else_does() {
        let mut filter = Filter::for_keys(100_000);
        for n in 0..100_000 {
            filter.insert(spread(n));
        }
        assert!((0..100_000).all(|n| filter.may_contain(spread(n))));
        let passed = (100_000..200_000)
            .filter(|&n| filter.may_contain(spread(n)))
            .count();
        assert!(passed < 3_000, "{passed} of 100 000 absent keys pass");
    }

    #[test]
    fn a_filter_survives_being_written() {
        let mut filter = Filter::for_keys(1_000);
        filter.insert(spread(1));
        assert_eq!(Filter::from_bytes(&filter.to_bytes()), Some(filter));
        assert_eq!(Filter::from_bytes(&[]), None);
        assert_eq!(Filter::from_bytes(&[0; 65]), None);
    }
}
