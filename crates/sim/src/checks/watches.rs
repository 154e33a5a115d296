//! The watch contract, exactly: what client-protocol.md section 14 says a connection is sent, event by event, and each
//! before any reply that names its zxid or a later one (zab-invariants.md INV-35, rules.md 1.1).
//!
//! A [`WatchModel`] holds the watches that replies have confirmed on one connection. As replies and events name zxids,
//! the changes up to there are run against it; the events that come out are exactly what must have been received.

use super::{Referee, Verdict, broken};
use crate::access::allows;
use crate::checks::Entry;
use crate::model::{Change, parent_of, shown};
use ostler_model::{Acl, AuthId, ErrorCode, EventType, Request, Text, WatcherType, Zxid, perms};
use std::collections::{BTreeMap, VecDeque};

const CHECK: &str = "watches";

const STANDARD: u8 = 1;
const PERSISTENT: u8 = 2;
const RECURSIVE: u8 = 4;

/// An event: the zxid in its header (-1 for catch-up), its type, its path.
pub type Event = (Zxid, i32, String);

/// The watches of one connection.
#[derive(Debug, Default)]
pub struct WatchModel {
    data: BTreeMap<String, u8>,
    child: BTreeMap<String, u8>,
    /// Entries that were run against the watches.
    cursor: usize,
    /// Events that must come next.
    expected: VecDeque<Event>,
    /// Catch-up events since the last answer to setWatches.
    caught_up: Vec<(i32, String)>,
}

impl WatchModel {
    /// True if `path`, or with a recursive watch something above it, is watched; spends the one-shot watch.
    fn fire(table: &mut BTreeMap<String, u8>, path: &str) -> bool {
        let here = table.get(path).copied().unwrap_or(0);
        let above = table.iter().any(|(at, modes)| modes & RECURSIVE != 0 && is_at_or_below(path, at));
        if here & STANDARD != 0 {
            let left = here & !STANDARD;
            if left == 0 {
                table.remove(path);
            } else {
                table.insert(path.to_owned(), left);
            }
        }
        here != 0 || above
    }

    fn expect(&mut self, zxid: Zxid, kind: EventType, path: &str, acl: &[Acl], ids: &[AuthId]) {
        if allows(acl, perms::READ, ids) {
            self.expected.push_back((zxid, kind as i32, path.to_owned()));
        }
    }

    fn run(&mut self, entry: &Entry, ids: &[AuthId]) {
        let zxid = entry.zxid;
        for change in &entry.changes {
            match change {
                Change::Created { path, acl, parent_acl } => {
                    if Self::fire(&mut self.data, path) {
                        self.expect(zxid, EventType::NodeCreated, path, acl, ids);
                    }
                    self.parent_changed(zxid, path, parent_acl, ids);
                }
                Change::Deleted { path, acl, parent_acl } => {
                    let told = Self::fire(&mut self.data, path);
                    if told {
                        self.expect(zxid, EventType::NodeDeleted, path, acl, ids);
                    }
                    if Self::fire(&mut self.child, path) && !told {
                        self.expect(zxid, EventType::NodeDeleted, path, acl, ids);
                    }
                    self.parent_changed(zxid, path, parent_acl, ids);
                }
                Change::DataChanged { path, acl } => {
                    if Self::fire(&mut self.data, shown(path)) {
                        self.expect(zxid, EventType::NodeDataChanged, shown(path), acl, ids);
                    }
                }
            }
        }
    }

    fn parent_changed(&mut self, zxid: Zxid, path: &str, parent_acl: &[Acl], ids: &[AuthId]) {
        let parent = shown(parent_of(path).unwrap_or_default());
        if Self::fire(&mut self.child, parent) {
            self.expect(zxid, EventType::NodeChildrenChanged, parent, parent_acl, ids);
        }
    }

    /// Everything up to `zxid` has happened for this connection.
    fn advance(&mut self, referee: &Referee, zxid: Zxid, ids: &[AuthId]) {
        let end = referee.position(zxid);
        if self.data.is_empty() && self.child.is_empty() {
            self.cursor = self.cursor.max(end);
        }
        while self.cursor < end {
            self.run(&referee.entries[self.cursor], ids);
            self.cursor += 1;
        }
    }

    /// An event arrived.
    pub fn event(&mut self, referee: &Referee, who: &str, event: Event, ids: &[AuthId]) -> Verdict {
        if event.0.0 == -1 {
            self.caught_up.push((event.1, event.2));
            return Ok(());
        }
        self.advance(referee, event.0, ids);
        match self.expected.pop_front() {
            Some(expected) if expected == event => Ok(()),
            expected => Err(broken(CHECK, format!("INV-35: {who} is sent {event:?}, due was {expected:?}"))),
        }
    }

    /// A reply arrived: no event up to its zxid may be missing.
    pub fn reply(&mut self, referee: &Referee, who: &str, zxid: Zxid, ids: &[AuthId]) -> Verdict {
        self.advance(referee, zxid, ids);
        match self.expected.front() {
            None => Ok(()),
            Some(missing) => {
                Err(broken(CHECK, format!("INV-35: {who} is sent a reply at {zxid} before the event {missing:?}")))
            }
        }
    }

    /// What an answered request changes in the watches.
    pub fn answered(&mut self, referee: &Referee, who: &str, request: &Request<'_>, zxid: Zxid, err: i32) -> Verdict {
        let path = |path: &Text<'_>| path.as_deref().unwrap_or_default().to_owned();
        let mut add = |child: bool, at: String, mode: u8| {
            let table = if child { &mut self.child } else { &mut self.data };
            *table.entry(at).or_default() |= mode;
        };
        match request {
            Request::GetData { path: at, watch: true } if err == 0 => add(false, path(at), STANDARD),
            Request::Exists { path: at, watch: true } if err == 0 || err == ErrorCode::NoNode.code() => {
                add(false, path(at), STANDARD);
            }
            Request::GetChildren { path: at, watch: true } | Request::GetChildren2 { path: at, watch: true }
                if err == 0 =>
            {
                add(true, path(at), STANDARD);
            }
            Request::AddWatch { path: at, recursive: true } if err == 0 => add(false, path(at), RECURSIVE),
            Request::AddWatch { path: at, recursive: false } if err == 0 => {
                add(false, path(at), PERSISTENT);
                add(true, path(at), PERSISTENT);
            }
            Request::CheckWatches { path: at, kind } => return self.looked(who, &path(at), *kind, false, err),
            Request::RemoveWatches { path: at, kind } => return self.looked(who, &path(at), *kind, true, err),
            Request::SetWatches { .. } => return self.set_again(referee, who, request, zxid),
            _ => {}
        }
        Ok(())
    }

    /// checkWatches and removeWatches (section 14.4).
    fn looked(&mut self, who: &str, path: &str, kind: WatcherType, remove: bool, err: i32) -> Verdict {
        let (data_modes, child_modes) = match kind {
            WatcherType::Children => (0, STANDARD),
            WatcherType::Data => (STANDARD, 0),
            WatcherType::Any => (STANDARD | PERSISTENT | RECURSIVE, STANDARD | PERSISTENT | RECURSIVE),
            WatcherType::Persistent => (PERSISTENT, if remove { PERSISTENT } else { 0 }),
            WatcherType::PersistentRecursive => (RECURSIVE, 0),
        };
        let mut found = false;
        for (table, modes) in [(&mut self.data, data_modes), (&mut self.child, child_modes)] {
            let Some(here) = table.get_mut(path) else { continue };
            found |= *here & modes != 0;
            if remove {
                *here &= !modes;
                if *here == 0 {
                    table.remove(path);
                }
            }
        }
        let expected = if found { 0 } else { ErrorCode::NoWatcher.code() };
        if err == expected {
            return Ok(());
        }
        let verb = if remove { "removeWatches" } else { "checkWatches" };
        Err(broken(CHECK, format!("{who}: {verb} {kind:?} of {path} answers {err}, should be {expected}")))
    }

    /// setWatches: what was missed comes as events before the answer (section 14.3).
    fn set_again(&mut self, referee: &Referee, who: &str, request: &Request<'_>, zxid: Zxid) -> Verdict {
        let Request::SetWatches { relative_zxid, data, exist, child, persistent, recursive } = request else {
            return Ok(());
        };
        let since = Zxid(*relative_zxid);
        let mut expected: Vec<(i32, String)> = Vec::new();
        let paths = |list: &Option<Vec<Text<'_>>>| -> Vec<String> {
            list.iter().flatten().map(|path| path.as_deref().unwrap_or_default().to_owned()).collect()
        };
        for path in paths(data) {
            match referee.versions.at(&path, zxid) {
                None => expected.push((EventType::NodeDeleted as i32, path)),
                Some(node) if node.stat.mzxid > since => expected.push((EventType::NodeDataChanged as i32, path)),
                Some(_) => *self.data.entry(path).or_default() |= STANDARD,
            }
        }
        for path in paths(exist) {
            match referee.versions.at(&path, zxid) {
                None => *self.data.entry(path).or_default() |= STANDARD,
                Some(_) => expected.push((EventType::NodeCreated as i32, path)),
            }
        }
        for path in paths(child) {
            match referee.versions.at(&path, zxid) {
                None => expected.push((EventType::NodeDeleted as i32, path)),
                Some(node) if node.stat.pzxid > since => expected.push((EventType::NodeChildrenChanged as i32, path)),
                Some(_) => *self.child.entry(path).or_default() |= STANDARD,
            }
        }
        for path in paths(persistent) {
            *self.data.entry(path.clone()).or_default() |= PERSISTENT;
            *self.child.entry(path).or_default() |= PERSISTENT;
        }
        for path in paths(recursive) {
            *self.data.entry(path).or_default() |= RECURSIVE;
        }
        let found = std::mem::take(&mut self.caught_up);
        if found == expected {
            return Ok(());
        }
        Err(broken(
            CHECK,
            format!("INV-35: {who}: setWatches since {since} at {zxid} sends {found:?}, should be {expected:?}"),
        ))
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
