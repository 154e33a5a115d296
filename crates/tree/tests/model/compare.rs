//! Is the real thing the same as the model?

use super::requests::SESSIONS;
use super::{Event, Model, QUOTA, STATS};
use ostler_model::{Acl, SessionId};
use ostler_tree::{Change, ChildCursor, Overlay, Tree};

/// Every node of the tree, its listing, its sessions and its digest.
pub fn assert_tree(tree: &Tree, model: &Model) {
    for (path, expected) in &model.nodes {
        let node = tree.node(path).unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(node.stored(), expected.stat, "{path}");
        assert_eq!(node.stat(), model.stat(path).expect("in the model"), "{path}");
        assert_eq!(node.data(), expected.data.as_deref(), "{path}");
        assert_eq!(**node.acl(), *expected.acl, "{path}");
        assert_eq!(node.num_children(), model.num_children(path), "{path}");
        assert_eq!(node.descendants(), model.descendants(path) as u64, "{path}");
        let (mut names, mut cursor) = (Vec::new(), ChildCursor::default());
        while !node.list(&mut cursor, |name| {
            names.push(name.to_owned());
            true
        }) {}
        names.sort();
        assert_eq!(names, model.children(path), "{path}");
    }
    assert_eq!(tree.node_count(), model.nodes.len());
    for session in SESSIONS {
        let mut own = tree.ephemerals(SessionId(session));
        own.sort();
        assert_eq!(own, model.ephemerals(session), "{session:x}");
    }
    let mut sessions: Vec<_> = tree.sessions().map(|(id, timeout_ms)| (id.0, timeout_ms)).collect();
    sessions.sort_unstable();
    assert_eq!(sessions, model.sessions.iter().map(|(id, timeout_ms)| (*id, *timeout_ms)).collect::<Vec<_>>());
    assert_eq!(tree.digest(), model.digest());
}

/// What prepare will see. `others` are paths that may have been there and must not be any more.
pub fn assert_view<'a>(overlay: &Overlay, tree: &Tree, model: &'a Model, others: impl Iterator<Item = &'a String>) {
    for path in others.chain(model.nodes.keys()) {
        let (mut seen, mut expected) = (overlay.stat(tree, path), model.stat(path));
        if is_quota_stats(path) {
            // Bookkeeping happens when a transaction is applied; nothing in prepare depends on it.
            for stat in seen.iter_mut().chain(&mut expected) {
                stat.data_length = 0;
            }
        }
        assert_eq!(seen, expected, "{path}");
        let acl = overlay.acl(tree, path).map(|acl| acl.to_vec());
        assert_eq!(acl, model.nodes.get(path).map(|node| node.acl.clone()), "{path}");
    }
    for session in SESSIONS {
        let mut own = overlay.ephemerals(tree, SessionId(session));
        own.sort();
        assert_eq!(own, model.ephemerals(session), "{session:x}");
        let timeout_ms = overlay.session_timeout_ms(tree, SessionId(session));
        assert_eq!(timeout_ms, model.sessions.get(&session).copied(), "{session:x}");
    }
    assert_eq!(overlay.digest(tree), model.digest());
}

/// The events of one transaction; those of a closed session come in any order.
pub fn assert_events(changes: &[Change], mut expected: Vec<Event>, any_order: bool) {
    let list = |acl: &[Acl]| acl.to_vec();
    let event = |change: &Change| (change.kind, change.path.to_string(), list(&change.acl), list(&change.parent_acl));
    let mut seen: Vec<Event> = changes.iter().map(event).collect();
    if any_order {
        seen.sort_by(|a, b| a.1.cmp(&b.1));
        expected.sort_by(|a, b| a.1.cmp(&b.1));
    }
    assert_eq!(seen, expected);
}

fn is_quota_stats(path: &str) -> bool {
    path.starts_with(QUOTA) && path.ends_with(STATS)
}
