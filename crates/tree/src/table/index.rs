//! Finding things by content: thousands of small hash tables of ids, so that growing one never takes long (rules.md 1.9).

use core::hash::{BuildHasher, Hash, Hasher};
use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// Below this capacity a table is not shrunk.
const SHRINK_MIN: usize = 64;

/// Ids by the hash of what they stand for. What that is, the caller knows: it compares and rehashes.
#[derive(Debug)]
pub struct Index {
    /// A power of two of them.
    tables: Box<[HashTable<u32>]>,
    state: FixedState,
}

impl Index {
    /// An index of `tables` tables, a power of two.
    pub fn new(seed: u64, tables: usize) -> Index {
        assert!(tables.is_power_of_two(), "the table is chosen by a mask");
        Index {
            tables: core::iter::repeat_with(HashTable::new).take(tables).collect(),
            state: FixedState::with_seed(seed),
        }
    }

    /// The hash of a name under a parent.
    pub fn hash_name(&self, parent: u32, name: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write_u32(parent);
        hasher.write(name);
        hasher.finish()
    }

    /// The hash of anything.
    pub fn hash_of<T: Hash + ?Sized>(&self, value: &T) -> u64 {
        self.state.hash_one(value)
    }

    /// The id with this hash that `matches`.
    pub fn find(&self, hash: u64, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        self.tables[self.table(hash)].find(hash, |id| matches(*id)).copied()
    }

    /// Adds an id that is not there.
    pub fn insert(&mut self, hash: u64, id: u32, hash_again: impl Fn(&FixedState, u32) -> u64) {
        let state = &self.state;
        let table = (hash >> 40) as usize & (self.tables.len() - 1);
        self.tables[table].insert_unique(hash, id, |id| hash_again(state, *id));
    }

    /// Takes out the id, which is there.
    pub fn remove(&mut self, hash: u64, id: u32, hash_again: impl Fn(&FixedState, u32) -> u64) {
        let index = self.table(hash);
        let table = &mut self.tables[index];
        table.find_entry(hash, |other| *other == id).expect("what is removed was inserted").remove();
        if table.capacity() > SHRINK_MIN && table.len() < table.capacity() / 8 {
            let state = &self.state;
            table.shrink_to(table.len() * 2, |id| hash_again(state, *id));
        }
    }

    /// hashbrown takes the low bits for the bucket and the top 7 for its tags; these are others.
    fn table(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.tables.len() - 1)
    }
}

/// As [`Index::hash_name`], for rehashing.
pub fn hash_name(state: &FixedState, parent: u32, name: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u32(parent);
    hasher.write(name);
    hasher.finish()
}
