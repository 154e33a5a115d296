//! setWatches and setWatches2: a reconnected client sets its watches again and hears what it missed
//! (client-protocol.md section 14.3).
//!
//! Each slice compares and registers in one hold of the tree, so nothing falls between the two.

use crate::watches::{NULL_PATH, Slot, Table, WatchTables};
use ostler_model::{ErrorCode, EventType, OpCode, WatchMode, Zxid, limits};
use ostler_tree::Tree;
use ostler_wire::client::{RequestHeader, encode_event};
use ostler_wire::jute::{DecodeError, Reader};

/// Catch-up events name no transaction.
const NO_ZXID: Zxid = Zxid(-1);

/// The lists, in the order in which they are sent and processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum List {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

const LISTS: [List; 5] = [List::Data, List::Exist, List::Child, List::Persistent, List::Recursive];

/// A setWatches under way: its record (which has been seen to decode) and how far it was read.
#[derive(Debug)]
pub(super) struct SetWatches {
    pub(super) header: RequestHeader,
    body: Vec<u8>,
    at: usize,
    relative: Zxid,
    /// Index in `LISTS`.
    list: usize,
    /// Paths of that list not read yet; `None`: its count is next.
    left: Option<usize>,
}

/// How a slice ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    More,
    /// With this error.
    Done(Option<ErrorCode>),
}

impl SetWatches {
    pub(super) fn new(header: RequestHeader, body: &[u8]) -> SetWatches {
        let relative = body.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        SetWatches { header, body: body.to_vec(), at: 8, relative: Zxid(relative), list: 0, left: None }
    }

    /// Handles up to 1,024 paths. The events among them are counted.
    pub(super) fn slice(
        &mut self,
        length_max: usize,
        tree: &Tree,
        watches: &mut WatchTables,
        slot: Slot,
        out: &mut Vec<u8>,
    ) -> (Progress, u64) {
        let mut events = 0;
        let lists = if self.header.op == OpCode::SetWatches.code() { 3 } else { LISTS.len() };
        for _ in 0..limits::SET_WATCHES_PER_HOLD_MAX {
            match self.next(length_max, lists) {
                Ok(Some((list, path))) => {
                    if let Some(event) = catch_up(list, &path, self.relative, tree, watches, slot) {
                        encode_event(out, NO_ZXID, event, &path);
                        events += 1;
                    }
                }
                Ok(None) => return (Progress::Done(None), events),
                Err(_) => return (Progress::Done(Some(ErrorCode::MarshallingError)), events),
            }
        }
        (Progress::More, events)
    }

    /// The next path; a null list, or a null path where one is looked up, is an error when its turn comes.
    fn next(&mut self, length_max: usize, lists: usize) -> Result<Option<(List, String)>, DecodeError> {
        let mut reader = Reader::new(&self.body[self.at..], length_max);
        while self.list < lists {
            match self.left {
                None => {
                    let count = reader.int()?;
                    if count == -1 {
                        return Err(DecodeError::Null);
                    }
                    self.left = Some(usize::try_from(count).unwrap_or(0));
                }
                Some(0) => {
                    self.list += 1;
                    self.left = None;
                }
                Some(left) => {
                    let path = match reader.text()? {
                        Some(path) => path.into_owned(),
                        // As with addWatch (tried on Apache 3.9.3).
                        None if matches!(LISTS[self.list], List::Persistent | List::Recursive) => NULL_PATH.to_owned(),
                        None => return Err(DecodeError::Null),
                    };
                    self.left = Some(left - 1);
                    self.at = self.body.len() - reader.rest().len();
                    return Ok(Some((LISTS[self.list], path)));
                }
            }
            self.at = self.body.len() - reader.rest().len();
        }
        Ok(None)
    }
}

/// What the client missed, or the watch is registered.
fn catch_up(
    list: List,
    path: &str,
    relative: Zxid,
    tree: &Tree,
    watches: &mut WatchTables,
    slot: Slot,
) -> Option<EventType> {
    let stat = tree.node(path).map(|node| node.stat());
    let (table, missed) = match (list, stat) {
        (List::Persistent, _) => {
            watches.add_persistent(slot, path, false);
            return None;
        }
        (List::Recursive, _) => {
            watches.add_persistent(slot, path, true);
            return None;
        }
        (List::Data | List::Child, None) => return Some(EventType::NodeDeleted),
        (List::Data, Some(stat)) => (Table::Data, (stat.mzxid > relative).then_some(EventType::NodeDataChanged)),
        (List::Child, Some(stat)) => (Table::Child, (stat.pzxid > relative).then_some(EventType::NodeChildrenChanged)),
        (List::Exist, stat) => (Table::Data, stat.map(|_| EventType::NodeCreated)),
    };
    if missed.is_none() {
        watches.add(slot, path, table, WatchMode::Standard);
    }
    missed
}
