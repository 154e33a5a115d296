//! No watch is lost over reconnects (rules.md 1.1, client-protocol.md 14.3): when everything is quiet, a one-shot watch
//! that the client still believes in has missed no change since it was set.

use super::{Referee, Verdict, broken};
use crate::access::allows;
use crate::model::{Change, parent_of, shown};
use ostler_client::WatchKind;
use ostler_model::{AuthId, Zxid, perms};
use std::collections::BTreeMap;

const CHECK: &str = "reconnect";

/// One-shot watches that were confirmed and have not fired: since when.
#[derive(Debug, Default)]
pub struct Armed {
    since: BTreeMap<(u8, String), (WatchKind, Zxid)>,
}

impl Armed {
    /// The watch is set; one that was set before keeps its age.
    pub fn set(&mut self, kind: WatchKind, path: &str, zxid: Zxid) {
        self.since.entry((kind as u8, path.to_owned())).or_insert((kind, zxid));
    }

    /// It fired or was removed.
    pub fn forget(&mut self, path: &str, kinds: &[WatchKind]) {
        for kind in kinds {
            self.since.remove(&(*kind as u8, path.to_owned()));
        }
    }

    /// Compares with all changes; `holds` says what the client believes.
    pub fn complete(
        &self,
        referee: &Referee,
        who: &str,
        ids: &[AuthId],
        holds: impl Fn(&str, WatchKind) -> bool,
    ) -> Verdict {
        for ((_, path), (kind, since)) in &self.since {
            // A node that came and went while the client was away leaves nothing to catch up with (section 14.3).
            if !holds(path, *kind) || (*kind == WatchKind::Exist && referee.state.node(path).is_none()) {
                continue;
            }
            let behind = &referee.entries[referee.position(*since)..];
            let spent = behind.iter().find_map(|entry| {
                let told = entry.changes.iter().find_map(|change| fires(change, *kind, path, ids))?;
                Some((entry.zxid, told))
            });
            // An event that the client may not see spends the watch silently (section 14.2).
            if let Some((zxid, true)) = spent {
                return Err(broken(
                    CHECK,
                    format!("{who} still holds its {kind:?} watch on {path} of {since}; {zxid} changed it"),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a change spends a watch, and then whether its event may be seen.
fn fires(change: &Change, kind: WatchKind, path: &str, ids: &[AuthId]) -> Option<bool> {
    let may = |acl: &[ostler_model::Acl]| Some(allows(acl, perms::READ, ids));
    let child_of = |changed: &str| shown(parent_of(changed).unwrap_or_default()) == path;
    match (change, kind) {
        (Change::Created { path: at, acl, .. }, WatchKind::Exist)
        | (Change::Deleted { path: at, acl, .. }, WatchKind::Data | WatchKind::Child)
            if at == path =>
        {
            may(acl)
        }
        (
            Change::Created { path: at, parent_acl, .. } | Change::Deleted { path: at, parent_acl, .. },
            WatchKind::Child,
        ) if child_of(at) => may(parent_acl),
        (Change::DataChanged { path: at, acl }, WatchKind::Data) if shown(at) == path => may(acl),
        _ => None,
    }
}
