//! Watches through the whole server: order of events and replies, who may hear of what, setting them again
//! (client-protocol.md section 14).

use super::client::*;
use crate::harness::Harness;
use ostler_model::{OpCode, limits};

fn set_watches(relative: i64, lists: [Option<Vec<Option<&str>>>; 5]) -> Vec<u8> {
    frame(-8, OpCode::SetWatches2, |frame| {
        frame.long(relative);
        for list in lists {
            frame.vector(list.as_deref(), |frame, path| frame.text(*path));
        }
    })
}

fn all(paths: &[&'static str]) -> Option<Vec<Option<&'static str>>> {
    Some(paths.iter().map(|path| Some(*path)).collect())
}

#[test]
fn events_come_before_the_reply_and_carry_its_zxid() {
    let mut harness = Harness::standard(2);
    let (here, _) = harness.session(0);
    let (there, _) = harness.session(1);
    for conn in [here, there] {
        assert_eq!(harness.one(conn, read(1, OpCode::Exists, "/a", true)).err, -101);
    }
    let replies = harness.ask(here, &[create(2, "/a", b"", 0)]);
    assert_eq!(replies.iter().map(|reply| (reply.xid, reply.zxid)).collect::<Vec<_>>(), [(-1, 3), (2, 3)]);
    assert_eq!(replies[0].event(), (1, "/a".to_owned()));
    let events = harness.replies(there);
    assert_eq!((events.len(), events[0].zxid, events[0].event()), (1, 3, (1, "/a".to_owned())));
}

#[test]
fn a_failed_read_leaves_no_watch() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    for op in [OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2] {
        assert_eq!(harness.one(conn, read(1, op, "/a", true)).err, -101);
    }
    assert_eq!(harness.shards[0].stats().watches, 0);
}

#[test]
fn who_may_not_read_is_not_told_and_its_watch_is_spent() {
    let mut harness = Harness::standard(1);
    let (owner, _) = harness.session(0);
    let (other, _) = harness.session(0);
    harness.must(owner, auth(-4, "digest", b"o:o"));
    harness.must(owner, create(1, "/a", b"", 0));
    harness.must(other, read(1, OpCode::GetData, "/a", true));
    harness.must(other, of_path_and_int(2, OpCode::AddWatch, "/", 1));
    let close_it = frame(2, OpCode::SetAcl, |frame| {
        frame.text(Some("/a"));
        frame.int(1);
        frame.acl_entry(31, Some("auth"), Some(""));
        frame.int(-1);
    });
    harness.must(owner, close_it);
    harness.must(owner, set(3, "/a", b"x"));
    assert_eq!(harness.replies(other), []);
    assert_eq!(harness.one(other, of_path_and_int(3, OpCode::CheckWatches, "/a", 2)).err, -121);
    assert_eq!(harness.one(other, of_path_and_int(3, OpCode::CheckWatches, "/", 5)).err, 0);
}

/// A pipeline: the writes are prepared before the first of them is in the tree.
#[test]
fn a_list_counts_for_the_writes_behind_it_and_only_at_its_own_node() {
    let mut harness = Harness::standard(2);
    let (owner, _) = harness.session(0);
    let (other, _) = harness.session(1);
    harness.must(owner, auth(-4, "digest", b"o:o"));
    harness.must(owner, create(1, "/a", b"", 0));
    harness.must(owner, create(2, "/a/b", b"", 0));
    for path in ["/a", "/a/b"] {
        harness.must(other, of_path_and_int(3, OpCode::AddWatch, path, 0));
    }
    let list = |xid, path, scheme| {
        frame(xid, OpCode::SetAcl, |frame| {
            frame.text(Some(path));
            frame.int(1);
            frame.acl_entry(31, Some(scheme), Some(if scheme == "world" { "anyone" } else { "" }));
            frame.int(-1);
        })
    };
    let replies = harness.ask(
        owner,
        &[
            list(1, "/a", "auth"),
            set(2, "/a/b", b"told: its own list is open"),
            set(3, "/a", b"not told"),
            create(4, "/a/c", b"", 0),
            list(5, "/a/b", "auth"),
            list(6, "/a", "world"),
            set(7, "/a/b", b"not told"),
            set(8, "/a", b"told"),
            list(9, "/a", "auth"),
        ],
    );
    assert!(replies.iter().all(|reply| reply.err == 0), "{replies:?}");
    let zxid_of = |xid| replies.iter().find(|reply| reply.xid == xid).unwrap().zxid;
    let told: Vec<_> = harness.replies(other).iter().map(|event| (event.zxid, event.event())).collect();
    assert_eq!(told, [(zxid_of(2), (3, "/a/b".to_owned())), (zxid_of(8), (3, "/a".to_owned()))]);
}

#[test]
fn add_check_and_remove_answer() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    assert_eq!(harness.must(conn, of_path_and_int(1, OpCode::AddWatch, "/a", 0)).body, [0; 4]);
    assert_eq!(harness.one(conn, of_path_and_int(1, OpCode::AddWatch, "/a", 2)).err, -5);
    for (kind, err) in [(1, -121), (2, -121), (3, 0), (4, 0), (5, -121), (0, -5), (6, -5)] {
        assert_eq!(harness.one(conn, of_path_and_int(1, OpCode::CheckWatches, "/a", kind)).err, err, "kind {kind}");
    }
    assert_eq!(harness.one(conn, of_path_and_int(1, OpCode::RemoveWatches, "/a", 4)).err, 0);
    assert_eq!(harness.one(conn, of_path_and_int(1, OpCode::RemoveWatches, "/a", 4)).err, -121);
}

#[test]
fn set_watches_tells_what_was_missed() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    for (xid, path) in ["/old", "/new", "/parent", "/parent/c"].iter().enumerate() {
        harness.must(conn, create(xid as i32, path, b"", 0));
    }
    let seen = harness.must(conn, set(9, "/old", b"")).zxid;
    harness.must(conn, set(9, "/new", b""));
    harness.must(conn, create(9, "/parent/d", b"", 0));
    let (fresh, _) = harness.session(0);
    let lists = [
        all(&["/old", "/new", "/gone"]),
        all(&["/absent", "/old"]),
        all(&["/old", "/parent", "/gone"]),
        all(&["/p"]),
        all(&["/r"]),
    ];
    let replies = harness.ask(fresh, &[set_watches(seen, lists)]);
    let (reply, events) = replies.split_last().unwrap();
    let events: Vec<Event> = events
        .iter()
        .map(|event| {
            assert_eq!(event.zxid, -1);
            event.event()
        })
        .collect();
    let expected = [(3, "/new"), (2, "/gone"), (1, "/old"), (4, "/parent"), (2, "/gone")];
    assert_eq!(events, expected.map(|(kind, path)| (kind, path.to_owned())));
    assert_eq!((reply.xid, reply.err, reply.body.len()), (-8, 0, 0));
    let found = [("/old", 2), ("/absent", 2), ("/old", 1), ("/p", 4), ("/r", 5)];
    for (path, kind) in found {
        assert_eq!(harness.one(fresh, of_path_and_int(1, OpCode::CheckWatches, path, kind)).err, 0, "{path} {kind}");
    }
    assert_eq!(harness.one(fresh, of_path_and_int(1, OpCode::CheckWatches, "/new", 3)).err, -121);
}

#[test]
fn set_watches_stops_at_a_null() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let empty = || Some(Vec::new());
    let replies = harness.ask(conn, &[set_watches(0, [None, empty(), empty(), empty(), empty()])]);
    assert_eq!(replies.iter().map(|reply| (reply.xid, reply.err)).collect::<Vec<_>>(), [(-8, -5)]);
    let null = Some(vec![Some("/gone"), None, Some("/gone")]);
    let replies = harness.ask(conn, &[set_watches(0, [null, empty(), empty(), empty(), empty()])]);
    assert_eq!(replies.iter().map(|reply| (reply.xid, reply.err)).collect::<Vec<_>>(), [(-1, 0), (-8, -5)]);
}

#[test]
fn a_long_set_watches_goes_in_slices_and_misses_nothing() {
    let mut harness = Harness::standard(1);
    let (writer, _) = harness.session(0);
    harness.must(writer, create(1, "/n2999", b"", 0));
    let paths: Vec<String> = (0..3_000).map(|at| format!("/n{at}")).collect();
    let list = Some(paths.iter().map(|path| Some(path.as_str())).collect());
    let (conn, _) = harness.session(0);
    let empty = || Some(Vec::new());
    let seen = harness.tree.zxid().0;
    harness.send(conn, &set_watches(seen, [empty(), list, empty(), empty(), empty()]));
    harness.turn(0);
    assert_eq!(harness.shards[0].stats().watches, limits::SET_WATCHES_PER_HOLD_MAX, "one slice");
    // One behind the slice and one in it change before the next slice.
    harness.send(writer, &[create(2, "/n5", b"", 0), create(3, "/n2998", b"", 0)].concat());
    harness.run();
    let replies = harness.replies(conn);
    let mut events: Vec<Event> = replies.iter().filter(|reply| reply.xid == -1).map(Reply::event).collect();
    events.sort();
    assert_eq!(events, ["/n2998", "/n2999", "/n5"].map(|path| (1, path.to_owned())));
    assert_eq!(replies.iter().filter(|reply| reply.xid == -8).count(), 1);
    assert_eq!(harness.shards[0].stats().watches, 3_000 - 3);
}
