//! ACL lists, each kept once and counted (rules.md section 3).
//!
//! Entry 0 is world:anyone:cdrwa, which snapshots call -1; the other entries bear their index as id.

use super::chunks::Chunks;
use super::index::Index;
use core::hash::BuildHasher;
use foldhash::quality::FixedState;
use ostler_model::{Acl, AclList, open_acl};
use std::sync::Arc;

/// The entry of world:anyone:cdrwa.
pub const OPEN: u32 = 0;
/// The entry that stands for an ACL not known yet; it grants nothing to anybody.
pub const UNKNOWN: u32 = 1;

const TABLES: usize = 256;

#[derive(Debug, Default)]
struct Entry {
    list: Option<AclList>,
    uses: u32,
    next_free: u32,
}

/// The ACL table of a tree.
#[derive(Debug)]
pub struct Acls {
    entries: Chunks<Entry>,
    index: Index,
    free: u32,
}

impl Acls {
    pub fn new(seed: u64) -> Acls {
        let mut acls = Acls { entries: Chunks::default(), index: Index::new(seed, TABLES), free: u32::MAX };
        assert_eq!(acls.intern(&open_acl()), OPEN, "the first entry");
        let unknown = acls.entries.grow();
        assert_eq!(unknown, UNKNOWN, "the second entry");
        // Not in the index: nobody's real ACL shall be taken for it.
        let nobody = Acl { perms: 0, scheme: "world".into(), id: "anyone".into() };
        *acls.entries.at_mut(unknown) = Entry { list: Some(Arc::from([nobody])), uses: 1, next_free: u32::MAX };
        acls
    }

    /// The list of an entry in use.
    pub fn list(&self, id: u32) -> &AclList {
        self.entries.at(id).list.as_ref().expect("nodes refer to entries in use only")
    }

    /// The entry of a list, one more use counted.
    pub fn intern(&mut self, list: &AclList) -> u32 {
        let hash = self.index.hash_of(&**list);
        if let Some(id) = self.index.find(hash, |id| self.list(id) == list) {
            self.entries.at_mut(id).uses += 1;
            return id;
        }
        let id = match self.free {
            u32::MAX => self.entries.grow(),
            id => {
                self.free = self.entries.at(id).next_free;
                id
            }
        };
        *self.entries.at_mut(id) = Entry { list: Some(list.clone()), uses: 1, next_free: u32::MAX };
        let entries = &self.entries;
        self.index.insert(hash, id, |state, ids| hash_lists(state, entries, ids));
        id
    }

    /// One more use of an entry in use.
    pub fn retain(&mut self, id: u32) {
        self.entries.at_mut(id).uses += 1;
    }

    /// One use less; the entry goes with the last one (but for the first two).
    pub fn release(&mut self, id: u32) {
        let entry = self.entries.at_mut(id);
        entry.uses -= 1;
        if entry.uses > 0 || id <= UNKNOWN {
            entry.uses = entry.uses.max(1);
            return;
        }
        let hash = self.index.hash_of(&**self.list(id));
        let entries = &self.entries;
        self.index.remove(hash, id, |state, ids| hash_lists(state, entries, ids));
        *self.entries.at_mut(id) = Entry { list: None, uses: 0, next_free: self.free };
        self.free = id;
    }

    /// Behind the last entry.
    pub fn end(&self) -> u32 {
        self.entries.len()
    }

    /// The entries among these that a snapshot must list: all in use but world:anyone:cdrwa.
    pub fn range(&self, ids: core::ops::Range<u32>) -> impl Iterator<Item = (u32, &AclList)> {
        let ids = ids.start.max(UNKNOWN + 1)..ids.end;
        ids.filter_map(|id| Some((id, self.entries.at(id).list.as_ref()?)))
    }
}

fn hash_lists(state: &FixedState, entries: &Chunks<Entry>, ids: &[u32]) -> Vec<u64> {
    ids.iter().map(|id| state.hash_one(&**list_of(entries, *id))).collect()
}

fn list_of(entries: &Chunks<Entry>, id: u32) -> &AclList {
    entries.at(id).list.as_ref().expect("indexed entries are in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> AclList {
        Arc::from([Acl { perms: 31, scheme: "digest".into(), id: name.into() }])
    }

    #[test]
    fn equal_lists_share_an_entry_until_the_last_use_ends() {
        let mut acls = Acls::new(7);
        let a = acls.intern(&list("a"));
        assert_eq!(acls.intern(&list("a")), a);
        let b = acls.intern(&list("b"));
        assert_ne!(a, b);
        acls.release(a);
        assert_eq!(acls.list(a), &list("a"));
        acls.release(a);
        assert_eq!(acls.range(0..acls.end()).map(|(id, _)| id).collect::<Vec<_>>(), [b]);
        assert_eq!(acls.intern(&list("c")), a);
    }

    #[test]
    fn the_first_entries_stay() {
        let mut acls = Acls::new(7);
        for _ in 0..3 {
            acls.release(OPEN);
            acls.release(UNKNOWN);
        }
        assert_eq!(acls.intern(&open_acl()), OPEN);
        assert_eq!(acls.list(UNKNOWN)[0].perms, 0);
    }
}
