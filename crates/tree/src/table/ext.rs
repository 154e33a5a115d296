//! What only some nodes have: children, an owner, a changed ACL (rules.md section 3).

use super::chunks::Chunks;

const LIST_PAGE_LEN: usize = 4_096;
/// Child lists with room for up to so many keep it when they shrink or their node goes.
const KEPT_MAX: usize = 32;

/// The rarer part of a node. Once made it stays until the node goes.
#[derive(Debug, Default)]
pub struct Ext {
    pub pzxid: i64,
    /// `ephemeralOwner` as stored.
    pub owner: i64,
    /// Bytes of data of all nodes below.
    pub bytes: u64,
    pub cversion: i32,
    pub aversion: i32,
    /// Nodes below, at any depth. In a free slot: the next free one.
    pub descendants: u32,
    /// CRC-32 of path and data, so that a parent with much data does not make its children's changes slow.
    /// Kept only with digests on.
    pub crc: u32,
    pub children: ChildList,
}

const _: () = assert!(size_of::<Ext>() == 64, "the memory budget counts on 64 bytes per directory");

/// All extensions.
#[derive(Debug)]
pub struct Exts {
    exts: Chunks<Ext>,
    free: u32,
}

impl Exts {
    pub fn new() -> Exts {
        Exts { exts: Chunks::default(), free: u32::MAX }
    }

    pub fn at(&self, index: u32) -> &Ext {
        self.exts.at(index)
    }

    pub fn at_mut(&mut self, index: u32) -> &mut Ext {
        self.exts.at_mut(index)
    }

    /// A new extension, all else zero, without children.
    pub fn insert(&mut self, pzxid: i64, crc: u32) -> u32 {
        let index = match self.free {
            u32::MAX => self.exts.grow(),
            index => {
                self.free = self.exts.at(index).descendants;
                index
            }
        };
        let slot = self.exts.at_mut(index);
        let children = core::mem::take(&mut slot.children);
        *slot = Ext { pzxid, crc, children, ..Ext::default() };
        index
    }

    /// Gives an extension back. Its child list keeps a small allocation for the next one: of a million small pieces
    /// given back one by one, the C library makes large ones in a single later call, which then takes 20 ms.
    pub fn remove(&mut self, index: u32) {
        let slot = self.exts.at_mut(index);
        let mut children = core::mem::take(&mut slot.children);
        match &mut children {
            ChildList::Few(ids) if ids.capacity() <= KEPT_MAX => ids.clear(),
            _ => children = ChildList::default(),
        }
        *slot = Ext { descendants: self.free, children, ..Ext::default() };
        self.free = index;
    }
}

/// The children of a node: slot ids in no order, each child knowing its position.
#[derive(Debug)]
pub enum ChildList {
    /// Up to one page, grown by halves: most directories are small and there are many of them.
    Few(Vec<u32>),
    /// Full pages but for the last.
    Many(Box<ListPages>),
}

/// Pages of a long child list; growing it moves nothing but the list of pages.
#[derive(Debug)]
pub struct ListPages {
    pages: Vec<Vec<u32>>,
    len: usize,
}

impl Default for ChildList {
    fn default() -> ChildList {
        ChildList::Few(Vec::new())
    }
}

impl ChildList {
    pub fn len(&self) -> usize {
        match self {
            ChildList::Few(ids) => ids.len(),
            ChildList::Many(list) => list.len,
        }
    }

    pub fn at(&self, pos: usize) -> u32 {
        match self {
            ChildList::Few(ids) => ids[pos],
            ChildList::Many(list) => list.pages[pos / LIST_PAGE_LEN][pos % LIST_PAGE_LEN],
        }
    }

    /// Adds a child at the end and returns its position.
    pub fn push(&mut self, id: u32) -> u32 {
        let pos = self.len();
        match self {
            ChildList::Few(ids) if pos < LIST_PAGE_LEN => {
                if pos == ids.capacity() {
                    ids.reserve_exact((pos / 2).clamp(4, LIST_PAGE_LEN - pos));
                }
                ids.push(id);
            }
            ChildList::Few(ids) => {
                let mut last = Vec::with_capacity(LIST_PAGE_LEN);
                last.push(id);
                let pages = vec![core::mem::take(ids), last];
                *self = ChildList::Many(Box::new(ListPages { pages, len: pos + 1 }));
            }
            ChildList::Many(list) => {
                if pos.is_multiple_of(LIST_PAGE_LEN) {
                    list.pages.push(Vec::with_capacity(LIST_PAGE_LEN));
                }
                list.pages.last_mut().expect("a page was just made sure of").push(id);
                list.len += 1;
            }
        }
        pos as u32
    }

    /// Takes out the child at `pos` by moving the last one there; returns the one that moved.
    pub fn swap_remove(&mut self, pos: u32) -> Option<u32> {
        let pos = pos as usize;
        let last = self.len() - 1;
        match self {
            ChildList::Few(ids) => {
                ids.swap_remove(pos);
                if ids.capacity() > KEPT_MAX && ids.len() < ids.capacity() / 4 {
                    ids.shrink_to(ids.len() * 2);
                }
            }
            ChildList::Many(list) => {
                let page = list.pages.last_mut().expect("a long list has pages");
                let moved = page.pop().expect("no page is empty");
                if page.is_empty() {
                    list.pages.pop();
                }
                if pos != last {
                    list.pages[pos / LIST_PAGE_LEN][pos % LIST_PAGE_LEN] = moved;
                }
                list.len -= 1;
                if let [first] = list.pages.as_mut_slice() {
                    *self = ChildList::Few(core::mem::take(first));
                }
            }
        }
        (pos != last).then(|| self.at(pos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grows over page borders and shrinks again, in an order that hits first, last and middle positions.
    #[test]
    fn a_list_holds_exactly_what_was_pushed_and_not_removed() {
        let mut list = ChildList::default();
        let mut model = Vec::new();
        let mut state = 1_u32;
        for round in 0..40_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grow = if round < 20_000 { 3 } else { 1 };
            if model.is_empty() || state >> 16 & 3 < grow {
                assert_eq!(list.push(round), model.len() as u32);
                model.push(round);
            } else {
                let pos = match state >> 18 & 3 {
                    0 => 0,
                    1 => model.len() - 1,
                    _ => (state >> 3) as usize % model.len(),
                };
                model.swap_remove(pos);
                assert_eq!(list.swap_remove(pos as u32), model.get(pos).copied());
            }
            assert_eq!(list.len(), model.len());
            if round % 997 == 0 {
                assert!((0..model.len()).all(|pos| list.at(pos) == model[pos]));
            }
        }
    }
}
