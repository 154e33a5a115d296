//! Finding things by content: thousands of small hash tables of ids, so that growing one never takes long (rules.md 1.9).
//!
//! A table is a row of buckets, each one cache line: twelve ids, a byte of each id's hash, and how many ids went past
//! the full bucket to a later one. A look-up thus reads one line of the index for most paths, and stops at a bucket
//! that nothing went past.

use core::hash::{BuildHasher, Hash, Hasher};
use foldhash::quality::FixedState;

const SLOTS: usize = 12;
/// Slots of a table that may be taken, in eighths, before it grows.
const FULL_EIGHTHS: usize = 7;
/// Tables of up to so many buckets are not shrunk.
const SHRINK_MIN: usize = 4;

/// Ids by the hash of what they stand for. What that is, the caller knows: it compares and rehashes.
#[derive(Debug)]
pub struct Index {
    /// A power of two of them.
    tables: Box<[Table]>,
    /// Ids in each table.
    lens: Box<[u32]>,
    /// Buckets that a table which must grow takes at least: its share of the ids that are expected.
    expected: usize,
    state: FixedState,
}

/// Buckets side by side, from the first border of a cache line on. (An allocation with that alignment would say the
/// same, but the C library that servers mostly run on fragments its heap with those: 10 bytes per node were measured.)
#[derive(Debug, Default)]
struct Table {
    words: Box<[u32]>,
}

/// The words of a bucket: ids, tags (a byte of the hash of the id in the same slot, never 0; 0 = free), and how many
/// ids belong here or before, found no room here and went on.
type Bucket = [u32; BUCKET_WORDS];

const BUCKET_WORDS: usize = 16;
const TAGS: usize = SLOTS;
const PASSED: usize = 15;

impl Table {
    fn new(buckets: usize) -> Table {
        Table { words: vec![0; (buckets + 1) * BUCKET_WORDS - 1].into() }
    }

    fn buckets(&self) -> usize {
        self.words.len() / BUCKET_WORDS
    }

    fn bucket(&self, at: usize) -> &Bucket {
        let start = self.words.as_ptr().align_offset(64) + at * BUCKET_WORDS;
        self.words[start..][..BUCKET_WORDS].try_into().expect("the slice has this length")
    }

    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        let start = self.words.as_ptr().align_offset(64) + at * BUCKET_WORDS;
        (&mut self.words[start..][..BUCKET_WORDS]).try_into().expect("the slice has this length")
    }
}

fn tag_in(bucket: &Bucket, slot: usize) -> u8 {
    (bucket[TAGS + slot / 4] >> (slot % 4 * 8)) as u8
}

fn set_tag(bucket: &mut Bucket, slot: usize, tag: u8) {
    let shift = slot % 4 * 8;
    let word = &mut bucket[TAGS + slot / 4];
    *word = *word & !(0xff << shift) | u32::from(tag) << shift;
}

/// Slots of a bucket whose tag is `tag`, lowest first.
fn slots_with(bucket: &Bucket, tag: u8) -> impl Iterator<Item = usize> + '_ {
    const LOW: u128 = u128::from_le_bytes([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
    let word = |at: usize| u128::from(bucket[TAGS + at]) << (32 * at);
    let differences = (word(0) | word(1) | word(2)) ^ (LOW * u128::from(tag));
    // The high bit of every byte that is zero: of those with the same tag. Borrowing can set bits above one such byte
    // falsely, so those are looked at again.
    let mut equal = differences.wrapping_sub(LOW) & !differences & (LOW << 7);
    core::iter::from_fn(move || {
        while equal != 0 {
            let slot = equal.trailing_zeros() as usize / 8;
            equal &= equal - 1;
            if tag_in(bucket, slot) == tag {
                return Some(slot);
            }
        }
        None
    })
}

/// Where the ids with one hash are: which table, from which bucket on, under which tag.
#[derive(Clone, Copy)]
struct Place {
    table: usize,
    spread: u64,
    tag: u8,
}

impl Place {
    fn home(self, buckets: usize) -> usize {
        ((self.spread * buckets as u64) >> 32) as usize
    }
}

impl Index {
    /// An index of `tables` tables, a power of two.
    pub fn new(seed: u64, tables: usize) -> Index {
        assert!(tables.is_power_of_two(), "the table is chosen by a mask");
        Index {
            tables: core::iter::repeat_with(Table::default).take(tables).collect(),
            lens: vec![0; tables].into(),
            expected: 0,
            state: FixedState::with_seed(seed),
        }
    }

    /// So many ids will be there, all in all: tables that must grow from now on grow to their share of it at once, so
    /// that few ids are placed twice. 0 = nothing is known.
    pub fn expect(&mut self, ids: usize) {
        let share = ids / self.tables.len();
        // Hashing fills tables unevenly, by about the root of their share; and an eighth more, because a log is replayed
        // behind a snapshot. The tables for which that is not enough grow once more.
        self.expected = ((share + share / 8 + share.isqrt()) * 8).div_ceil(SLOTS * FULL_EIGHTHS);
    }

    /// Nothing more is expected, and tables that took twice the room they need give it back.
    pub fn settle(&mut self, hash_again: impl Fn(&FixedState, &[u32]) -> Vec<u64>) {
        self.expected = 0;
        for table in 0..self.tables.len() {
            let needed = (self.lens[table] as usize * 8).div_ceil(SLOTS * FULL_EIGHTHS);
            if self.tables[table].buckets() > (needed * 2).max(SHRINK_MIN) {
                self.rebuild(table, needed.max(1), &hash_again);
            }
        }
    }

    /// Reads the lines of memory in which ids with these hashes belong, all at once: what comes next does not wait for
    /// each of them. (A loader's inserts otherwise spend most of their time on that.)
    pub fn warm(&self, hashes: &[u64]) {
        let passed = hashes.iter().fold(0_u32, |sum, hash| {
            let place = self.place(*hash);
            let table = &self.tables[place.table];
            let buckets = table.buckets();
            if buckets == 0 { sum } else { sum.wrapping_add(table.bucket(place.home(buckets))[PASSED]) }
        });
        core::hint::black_box(passed);
    }

    /// The hash of a name under a parent.
    pub fn hash_name(&self, parent: u32, name: &[u8]) -> u64 {
        hash_name(&self.state, parent, name)
    }

    /// The hash of anything.
    pub fn hash_of<T: Hash + ?Sized>(&self, value: &T) -> u64 {
        self.state.hash_one(value)
    }

    /// The id with this hash that `matches`.
    pub fn find(&self, hash: u64, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let place = self.place(hash);
        let table = &self.tables[place.table];
        let mut at = place.home(table.buckets());
        for _ in 0..table.buckets() {
            let bucket = table.bucket(at);
            if let Some(slot) = slots_with(bucket, place.tag).find(|slot| matches(bucket[*slot])) {
                return Some(bucket[slot]);
            }
            if bucket[PASSED] == 0 {
                return None;
            }
            at = next(at, table.buckets());
        }
        None
    }

    /// Adds an id that is not there.
    pub fn insert(&mut self, hash: u64, id: u32, hash_again: impl Fn(&FixedState, &[u32]) -> Vec<u64>) {
        let place = self.place(hash);
        let buckets = self.tables[place.table].buckets();
        if (self.lens[place.table] as usize + 1) * 8 > buckets * SLOTS * FULL_EIGHTHS {
            let grown = buckets + (buckets / 2).max(1);
            self.rebuild(place.table, grown.max(self.expected), hash_again);
        }
        put(&mut self.tables[place.table], place, id);
        self.lens[place.table] += 1;
    }

    /// Takes out the id, which is there.
    pub fn remove(&mut self, hash: u64, id: u32, hash_again: impl Fn(&FixedState, &[u32]) -> Vec<u64>) {
        let place = self.place(hash);
        let table = &mut self.tables[place.table];
        let buckets = table.buckets();
        let mut at = place.home(buckets);
        loop {
            let bucket = table.bucket_mut(at);
            let found = slots_with(bucket, place.tag).find(|slot| bucket[*slot] == id);
            if let Some(slot) = found {
                set_tag(bucket, slot, 0);
                break;
            }
            assert!(bucket[PASSED] > 0, "what is removed was inserted");
            bucket[PASSED] -= 1;
            at = next(at, buckets);
        }
        self.lens[place.table] -= 1;
        let ids = self.lens[place.table] as usize;
        if buckets > SHRINK_MIN && ids * 4 < buckets * SLOTS {
            self.rebuild(place.table, buckets / 2, hash_again);
        }
    }

    /// Moves the ids of a table to one with so many buckets. They are hashed together: what that needs of each lies
    /// anywhere in memory, and those waits then overlap.
    fn rebuild(&mut self, table: usize, buckets: usize, hash_again: impl Fn(&FixedState, &[u32]) -> Vec<u64>) {
        let before = &self.tables[table];
        let mut ids = Vec::with_capacity(self.lens[table] as usize);
        for bucket in (0..before.buckets()).map(|at| before.bucket(at)) {
            ids.extend((0..SLOTS).filter(|slot| tag_in(bucket, *slot) != 0).map(|slot| bucket[slot]));
        }
        let hashes = hash_again(&self.state, &ids);
        assert_eq!(hashes.len(), ids.len(), "a hash for each id");
        let mut rebuilt = Table::new(buckets);
        for (id, hash) in ids.into_iter().zip(hashes) {
            put(&mut rebuilt, self.place(hash), id);
        }
        self.tables[table] = rebuilt;
    }

    /// Table, bucket and tag come from different bits.
    fn place(&self, hash: u64) -> Place {
        let tag = (hash >> 56).max(1) as u8;
        Place { table: (hash >> 32) as usize & (self.tables.len() - 1), spread: hash & 0xffff_ffff, tag }
    }
}

fn put(table: &mut Table, place: Place, id: u32) {
    let buckets = table.buckets();
    let mut at = place.home(buckets);
    loop {
        let bucket = table.bucket_mut(at);
        let free = slots_with(bucket, 0).next();
        if let Some(slot) = free {
            bucket[slot] = id;
            set_tag(bucket, slot, place.tag);
            return;
        }
        bucket[PASSED] += 1;
        at = next(at, buckets);
    }
}

fn next(at: usize, buckets: usize) -> usize {
    if at + 1 == buckets { 0 } else { at + 1 }
}

/// As [`Index::hash_name`], for rehashing.
pub fn hash_name(state: &FixedState, parent: u32, name: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u32(parent);
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Hashes that differ in few bits, so that tags, tables and buckets collide.
    fn hash(id: u32, spread: u32) -> u64 {
        let (table, bucket, tag) = (u64::from(id) % 2, u64::from(id % spread), u64::from(id % 3));
        tag << 56 | table << 32 | bucket << 27
    }

    proptest! {
        #[test]
        fn holds_exactly_what_was_inserted_and_not_removed(
            steps in proptest::collection::vec((0..400_u32, prop::bool::weighted(0.6)), 1..1_500),
            spread in 1..20_u32,
            expected in 0..3_000_usize,
        ) {
            let mut index = Index::new(1, 2);
            let mut model = BTreeSet::new();
            let again = |_: &FixedState, ids: &[u32]| ids.iter().map(|id| hash(*id, spread)).collect();
            for (number, (id, insert)) in steps.into_iter().enumerate() {
                match number % 300 {
                    50 => index.expect(expected),
                    200 => index.settle(again),
                    _ => index.warm(&[hash(id, spread)]),
                }
                if insert && model.insert(id) {
                    index.insert(hash(id, spread), id, again);
                } else if !insert && model.remove(&id) {
                    index.remove(hash(id, spread), id, again);
                }
            }
            for id in 0..400 {
                prop_assert_eq!(index.find(hash(id, spread), |other| other == id).is_some(), model.contains(&id));
            }
            prop_assert_eq!(index.lens.iter().sum::<u32>() as usize, model.len());
            let passed = |table: &Table| (0..table.buckets()).map(|at| table.bucket(at)[PASSED]).sum::<u32>();
            for id in model {
                index.remove(hash(id, spread), id, again);
            }
            prop_assert!(index.tables.iter().all(|table| passed(table) == 0));
        }
    }

    #[test]
    fn what_is_expected_is_placed_once_and_what_did_not_come_is_given_back() {
        let again = |_: &FixedState, ids: &[u32]| ids.iter().map(|id| hash(*id, 31)).collect();
        let mut index = Index::new(1, 2);
        index.expect(2_000);
        index.insert(hash(0, 31), 0, again);
        index.insert(hash(1, 31), 1, again);
        let roomy: Vec<usize> = index.tables.iter().map(Table::buckets).collect();
        for id in 2..2_000 {
            index.insert(hash(id, 31), id, |_, _| panic!("a table grew"));
        }
        index.settle(again);
        assert!(index.tables.iter().map(Table::buckets).eq(roomy.iter().copied()));
        // Far too many are expected.
        let mut index = Index::new(1, 2);
        index.expect(20_000);
        for id in 0..400 {
            index.insert(hash(id, 31), id, again);
        }
        assert!(index.tables.iter().all(|table| table.buckets() > 1_000));
        index.settle(again);
        assert!(index.tables.iter().all(|table| table.buckets() < 50), "200 ids need 20 buckets");
        assert!((0..400).all(|id| index.find(hash(id, 31), |other| other == id).is_some()));
    }

    #[test]
    fn real_hashes_spread_well() {
        let mut index = Index::new(7, 64);
        let names: Vec<String> = (0..50_000).map(|i| format!("{i:0>24}")).collect();
        let again = |state: &FixedState, ids: &[u32]| -> Vec<u64> {
            ids.iter().map(|id| hash_name(state, 5, names[*id as usize].as_bytes())).collect()
        };
        for id in 0..50_000 {
            index.insert(index.hash_name(5, names[id as usize].as_bytes()), id, again);
        }
        let mut compared = 0;
        for id in 0..50_000_u32 {
            let found = index.find(index.hash_name(5, names[id as usize].as_bytes()), |other| {
                compared += 1;
                other == id
            });
            assert_eq!(found, Some(id));
        }
        assert!(compared < 52_000, "{compared} comparisons for 50,000 look-ups");
        let slots: usize = index.tables.iter().map(|table| table.buckets() * SLOTS).sum();
        assert!(slots < 2 * 50_000, "{slots} slots for 50,000 ids");
    }
}
