//! Names (or paths) collected over several holds of the tree, corrected by what goes meanwhile, encoded as a reply
//! carries them.
//!
//! They lie in pieces that never move and that become output as they are: a directory of a million children is 28 MB, and
//! copying that once takes longer than a hold of the tree may.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use ostler_wire::client::{FrameWriter, ReplyHeader};
use ostler_wire::jute::put_reply_text;
use std::hash::BuildHasher;

/// Bytes of a piece; a longer name has one of its own.
const PIECE_BYTES: usize = 64 << 10;

/// A growing set of names.
#[derive(Debug)]
pub(super) struct Names {
    /// Encoded names, one behind the other; none is cut.
    pieces: Vec<Vec<u8>>,
    bytes: usize,
    /// Where each living name begins: number of the piece, and offset in the low 16 bits.
    index: HashTable<u32>,
    /// Where names begin that are gone again.
    dead: Vec<u32>,
    hasher: FixedState,
    scratch: Vec<u8>,
}

impl Names {
    pub(super) fn new(seed: u64) -> Names {
        Names {
            pieces: Vec::new(),
            bytes: 0,
            index: HashTable::new(),
            dead: Vec::new(),
            hasher: FixedState::with_seed(seed),
            scratch: Vec::new(),
        }
    }

    /// Names that are there.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes collected so far, of names that are gone again too.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for so many at once: growing later would move all that is there.
    pub(super) fn expect(&mut self, names: usize) {
        let Names { pieces, index, hasher, .. } = self;
        if index.capacity() == 0 {
            index.reserve(names + names / 8, |at| hasher.hash_one(encoded(pieces, *at)));
        }
    }

    /// Adds a name, unless it is there.
    pub(super) fn add(&mut self, name: &str) {
        self.encode(name);
        let Names { pieces, bytes, index, hasher, scratch, .. } = self;
        let hash = hasher.hash_one(scratch.as_slice());
        if index.find(hash, |at| encoded(pieces, *at) == scratch.as_slice()).is_some() {
            return;
        }
        if pieces.last().is_none_or(|piece| piece.len() + scratch.len() > PIECE_BYTES) {
            pieces.push(Vec::with_capacity(PIECE_BYTES.max(scratch.len())));
        }
        let number = pieces.len() - 1;
        let piece = &mut pieces[number];
        let at = number << 16 | piece.len();
        piece.extend_from_slice(scratch);
        *bytes += scratch.len();
        let at = u32::try_from(at).expect("a directory's names fit in 4 GiB");
        index.insert_unique(hash, at, |at| hasher.hash_one(encoded(pieces, *at)));
    }

    /// Takes a name out, if it is there.
    pub(super) fn remove(&mut self, name: &str) {
        self.encode(name);
        let Names { pieces, index, hasher, dead, scratch, .. } = self;
        let hash = hasher.hash_one(scratch.as_slice());
        if let Ok(entry) = index.find_entry(hash, |at| encoded(pieces, *at) == scratch.as_slice()) {
            dead.push(entry.remove().0);
        }
    }

    /// A reply with the names as a vector, then what `behind` writes, in pieces. The names are used up.
    pub(super) fn reply(&mut self, header: ReplyHeader, behind: impl FnOnce(&mut FrameWriter<'_>)) -> Vec<Vec<u8>> {
        let count = i32::try_from(self.len()).unwrap_or(i32::MAX);
        let names = self.take();
        // The frame without the names: they go between its two parts, and its length counts them.
        let mut rim = Vec::new();
        let mut frame = FrameWriter::reply(&mut rim, header);
        frame.int(count);
        let cut = frame.frame_bytes();
        behind(&mut frame);
        frame.finish();
        let length = rim.len() - 4 + names.iter().map(Vec::len).sum::<usize>();
        rim[..4].copy_from_slice(&i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
        let end = rim.split_off(cut);
        [rim].into_iter().chain(names).chain([end]).filter(|piece| !piece.is_empty()).collect()
    }

    /// Appends the names, as a vector, to a frame. They are used up.
    pub(super) fn put(&mut self, frame: &mut FrameWriter<'_>) {
        frame.int(i32::try_from(self.len()).unwrap_or(i32::MAX));
        self.take().iter().for_each(|piece| frame.raw(piece));
    }

    /// The pieces, without what is gone.
    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut pieces = std::mem::take(&mut self.pieces);
        self.index = HashTable::new();
        self.dead.sort_unstable();
        for dead in self.dead.chunk_by(|a, b| a >> 16 == b >> 16) {
            let piece = &mut pieces[(dead[0] >> 16) as usize];
            let mut kept = Vec::with_capacity(piece.len());
            let mut from = 0;
            for at in dead {
                let at = (at & 0xffff) as usize;
                kept.extend_from_slice(&piece[from..at]);
                from = at + name_bytes(&piece[at..]);
            }
            kept.extend_from_slice(&piece[from..]);
            *piece = kept;
        }
        pieces
    }

    fn encode(&mut self, name: &str) {
        self.scratch.clear();
        put_reply_text(&mut self.scratch, Some(name));
    }
}

/// The encoded name that begins there.
fn encoded(pieces: &[Vec<u8>], at: u32) -> &[u8] {
    let rest = &pieces[(at >> 16) as usize][(at & 0xffff) as usize..];
    &rest[..name_bytes(rest)]
}

/// Length of the encoded name at the front.
fn name_bytes(bytes: &[u8]) -> usize {
    let prefix = bytes.first_chunk::<4>().expect("a name has a length");
    4 + u32::from_be_bytes(*prefix) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_model::Zxid;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const HEADER: ReplyHeader = ReplyHeader { xid: 7, zxid: Zxid(9), err: 0 };

    proptest! {
        #[test]
        fn a_reply_has_exactly_the_names_that_were_added_and_not_removed(
            steps in proptest::collection::vec((0..300_usize, prop::bool::weighted(0.7)), 0..600),
            long in 0..300_usize,
        ) {
            let name = |number: usize| match number {
                number if number == long => "l".repeat(100_000),
                number => format!("n{number}{}", "x".repeat(number * 4)),
            };
            let (mut names, mut model) = (Names::new(3), BTreeSet::new());
            names.expect(100);
            for (number, add) in steps {
                if add {
                    names.add(&name(number));
                    model.insert(name(number));
                } else {
                    names.remove(&name(number));
                    model.remove(&name(number));
                }
                prop_assert_eq!(names.len(), model.len());
            }
            let bytes = names.reply(HEADER, |frame| frame.long(-5)).concat();
            prop_assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len() - 4);
            prop_assert_eq!(&bytes[4..20], [&[0, 0, 0, 7][..], &9_i64.to_be_bytes(), &[0; 4]].concat());
            prop_assert_eq!(u32::from_be_bytes(bytes[20..24].try_into().unwrap()) as usize, model.len());
            let mut rest = &bytes[24..];
            let mut seen = BTreeSet::new();
            while rest.len() > 8 {
                let (name, behind) = rest.split_at(name_bytes(rest));
                prop_assert!(seen.insert(String::from_utf8(name[4..].to_vec()).unwrap()));
                rest = behind;
            }
            prop_assert_eq!(rest, (-5_i64).to_be_bytes());
            prop_assert_eq!(seen, model);
        }
    }
}
