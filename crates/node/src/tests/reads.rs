//! Reads in detail, and those that take several turns (client-protocol.md sections 10.6, 14.3 and 15; rules.md 1.10).

use super::client::*;
use crate::ConnId;
use crate::harness::Harness;
use ostler_model::Dice;
use ostler_model::{OpCode, Txn, limits};
use ostler_wire::jute::Reader;

fn tree_of(paths: &[&str]) -> (Harness, ConnId) {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    for path in paths {
        harness.must(conn, create(1, path, path.as_bytes(), 0));
    }
    (harness, conn)
}

#[test]
fn the_root_has_two_names_and_other_paths_are_not_corrected() {
    let (mut harness, conn) = tree_of(&["/a"]);
    for (path, err) in [("", 0), ("/", 0), ("/a", 0), ("/a/", -101), ("a", -101), ("/b", -101), ("//", -101)] {
        assert_eq!(harness.one(conn, read(1, OpCode::GetData, path, false)).err, err, "{path:?}");
    }
    assert_eq!(harness.one(conn, read(1, OpCode::Exists, "/a\0", false)).err, -8);
    assert_eq!(harness.one(conn, read(1, OpCode::GetData, "/a\0", false)).err, -101);
    for op in [OpCode::GetData, OpCode::Exists, OpCode::GetChildren, OpCode::GetChildren2] {
        let null = frame(1, op, |frame| {
            frame.text(None);
            frame.bool(true);
        });
        assert_eq!(harness.one(conn, null).err, -5, "{op:?}");
    }
}

#[test]
fn subtrees_are_counted() {
    let (mut harness, conn) = tree_of(&["/a", "/a/b", "/a/b/c", "/ab"]);
    let mut count = |path| {
        let reply = harness.must(conn, of_path(1, OpCode::GetAllChildrenNumber, path));
        Reader::new(&reply.body, 4).int().unwrap()
    };
    // The root also has /zookeeper, /zookeeper/quota and /zookeeper/config.
    assert_eq!((count("/a"), count("/a/b/c"), count("/"), count("")), (2, 0, 7, 8));
}

#[test]
fn ephemerals_are_found_by_prefix() {
    let (mut harness, conn) = tree_of(&["/a"]);
    for path in ["/a/1", "/ab", "/c"] {
        harness.must(conn, create(1, path, b"", 1));
    }
    let mut ephemerals = |prefix| harness.must(conn, of_path(1, OpCode::GetEphemerals, prefix)).names();
    assert_eq!(ephemerals("/a"), ["/a/1", "/ab"]);
    for all in ["", "/", " ", " / ", "\0\0", "\x1f/\t"] {
        assert_eq!(ephemerals(all), ["/a/1", "/ab", "/c"], "{all:?}");
    }
    // Blank in Unicode's eyes, but not in Apache's.
    for none in ["\u{a0}", "\u{2028}", "\u{85}/"] {
        assert!(ephemerals(none).is_empty(), "{none:?}");
    }
}

#[test]
fn multi_read_goes_on_after_an_error_and_stops_at_a_null_path() {
    let (mut harness, conn) = tree_of(&["/a"]);
    let ask = |xid, null: bool| {
        frame(xid, OpCode::MultiRead, |frame| {
            for (op, path) in [(4, "/a"), (4, "/none"), (8, "/")] {
                frame.multi_header(op, false, -1);
                frame.text(Some(path));
                frame.bool(true);
            }
            if null {
                frame.multi_header(4, false, -1);
                frame.text(None);
                frame.bool(false);
            }
            frame.multi_header(-1, true, -1);
        })
    };
    let good = harness.must(conn, ask(1, false));
    let mut body = Reader::new(&good.body, 1 << 20);
    let mut header = || (body.int().unwrap(), body.bool().unwrap(), body.int().unwrap());
    assert_eq!(header(), (4, false, 0));
    assert_eq!(body.buffer().unwrap().unwrap(), b"/a");
    body.stat().unwrap();
    let mut header = || (body.int().unwrap(), body.bool().unwrap(), body.int().unwrap());
    assert_eq!(header(), (-1, false, -101));
    assert_eq!(body.int().unwrap(), -101);
    let mut header = || (body.int().unwrap(), body.bool().unwrap(), body.int().unwrap());
    assert_eq!(header(), (8, false, 0));
    assert_eq!(body.texts().unwrap().unwrap().len(), 2);
    assert_eq!((body.int().unwrap(), body.bool().unwrap()), (-1, true));
    let stopped = harness.one(conn, ask(2, true));
    assert_eq!((stopped.err, stopped.body), (-5, good.body), "the results so far come with the error");
    assert_eq!(harness.shards[0].stats().watches, 0, "multiRead registers nothing");
}

#[test]
fn reads_behind_writes_are_executed_exactly_there() {
    let (mut harness, conn) = tree_of(&["/a"]);
    let frames = [
        set(1, "/a", b"1"),
        read(2, OpCode::GetData, "/a", false),
        set(3, "/a", b"2"),
        read(4, OpCode::GetData, "/a", true),
        of_path(5, OpCode::Sync, "/no/such"),
        delete(6, "/a"),
        read(7, OpCode::Exists, "/a", false),
        read(8, OpCode::GetChildren, "/", false),
    ];
    let replies = harness.ask(conn, &frames);
    let seen: Vec<(i32, i64, i32)> = replies.iter().map(|reply| (reply.xid, reply.zxid, reply.err)).collect();
    let expected =
        [(1, 3, 0), (2, 3, 0), (3, 4, 0), (4, 4, 0), (5, 4, 0), (-1, 5, 0), (6, 5, 0), (7, 5, -101), (8, 5, 0)];
    assert_eq!(seen, expected);
    assert_eq!(&replies[1].body[4..5], b"1");
    assert_eq!(&replies[3].body[4..5], b"2");
    assert_eq!(replies[5].event(), (2, "/a".to_owned()));
}

const CHILDREN: usize = 5_000;

/// A directory that needs several turns to list, and two connections.
fn huge() -> (Harness, ConnId, ConnId) {
    let (mut harness, writer) = tree_of(&["/d"]);
    for batch in 0..CHILDREN / 1_000 {
        let frames: Vec<Vec<u8>> =
            (0..1_000).map(|at| create(1, &format!("/d/n{}", batch * 1_000 + at), b"", 0)).collect();
        harness.ask(writer, &frames);
    }
    let (reader, _) = harness.session(0);
    (harness, writer, reader)
}

fn all_names() -> Vec<String> {
    let mut names: Vec<String> = (0..CHILDREN).map(|at| format!("n{at}")).collect();
    names.sort();
    names
}

#[test]
fn a_huge_listing_takes_several_turns_and_others_go_on() {
    let (mut harness, writer, reader) = huge();
    harness.send(reader, &[read(1, OpCode::GetChildren2, "/d", false), ping()].concat());
    let mut turns = 0;
    while harness.replies(reader).is_empty() {
        harness.send(writer, &ping());
        harness.turn(0);
        harness.flush(0);
        assert_eq!(harness.replies(writer).len(), 1, "the other connection is served in every turn");
        turns += 1;
        assert!(turns < 100);
    }
    assert!(turns >= CHILDREN / limits::LISTING_CHILDREN_MAX, "{turns}");
}

#[test]
fn a_huge_listing_is_the_directory_at_its_zxid() {
    let (mut harness, writer, reader) = huge();
    harness.send(reader, &read(1, OpCode::GetChildren2, "/d", true));
    harness.turn(0);
    // Deleted, created, created and deleted, deleted and created again, while the listing is under way.
    for (xid, (name, made)) in
        [("n0", false), ("n4999", false), ("new", true), ("brief", true), ("brief", false), ("n7", false), ("n7", true)]
            .into_iter()
            .enumerate()
    {
        let path = format!("/d/{name}");
        harness.send(writer, &if made { create(xid as i32, &path, b"", 0) } else { delete(xid as i32, &path) });
        harness.turn(0);
        harness.deliver(0, usize::MAX);
        harness.sync(ostler_model::Zxid(i64::MAX));
        harness.apply();
        if xid == 2 {
            harness.flush(0);
            assert_eq!(harness.replies(reader), [], "still listing");
        }
    }
    harness.run();
    let replies = harness.replies(reader);
    let mut body = Reader::new(&replies[0].body, 1 << 20);
    let mut names: Vec<String> =
        body.texts().unwrap().unwrap().into_iter().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    let (children, pzxid) = directory_at(&harness, replies[0].zxid);
    assert_eq!(names, children, "the listing is the directory as of the zxid that it names");
    let stat = body.stat().unwrap();
    assert_eq!((stat.num_children as usize, stat.pzxid.0), (children.len(), pzxid));
    assert!(!children.contains(&"n0".to_owned()) && children.contains(&"new".to_owned()));
    // Its watch was registered at the end, in the same step: the first change behind that zxid fires it.
    harness.receive(writer);
    harness.must(writer, create(9, "/d/last", b"", 0));
    let events = [&replies[1..], &harness.replies(reader)[..]].concat();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].zxid, events[0].event()), (replies[0].zxid + 1, (4, "/d".to_owned())));
}

#[test]
fn a_huge_listing_bears_any_changes_meanwhile() {
    let (mut harness, writer, reader) = huge();
    let mut dice = Dice::new(1);
    for round in 0..20 {
        harness.receive(writer);
        harness.send(reader, &read(round, OpCode::GetChildren, "/d", false));
        let mut reply = Vec::new();
        for _ in 0..100 {
            for _ in 0..dice.index(40) {
                let path = format!("/d/n{}", dice.index(CHILDREN + 200));
                let request = if dice.index(2) == 0 { create(1, &path, b"", 0) } else { delete(1, &path) };
                harness.send(writer, &request);
            }
            harness.turn(0);
            if dice.index(2) == 0 {
                harness.deliver(0, usize::MAX);
                harness.sync(ostler_model::Zxid(i64::MAX));
                harness.apply();
            }
            harness.flush(0);
            reply = harness.replies(reader);
            if !reply.is_empty() {
                break;
            }
        }
        assert_eq!(reply.len(), 1, "round {round} answers");
        assert_eq!(reply[0].names(), directory_at(&harness, reply[0].zxid).0, "round {round}");
    }
}

/// The children of /d at a zxid, and the zxid of its last change, by the log alone.
fn directory_at(harness: &Harness, zxid: i64) -> (Vec<String>, i64) {
    let (mut children, mut pzxid) = (std::collections::BTreeSet::new(), 0);
    for append in harness.log.iter().filter(|append| append.zxid.0 <= zxid) {
        let record = ostler_wire::txn::decode(&append.record, 1 << 20).unwrap();
        let (path, made) = match record.txn {
            Txn::Create(create) => (create.path, true),
            Txn::Delete { path } => (path, false),
            _ => continue,
        };
        let Some(name) = path.strip_prefix("/d/") else { continue };
        pzxid = append.zxid.0;
        if made {
            children.insert(name.to_owned());
        } else {
            children.remove(name);
        }
    }
    (children.into_iter().collect(), pzxid)
}

#[test]
fn a_listing_whose_directory_goes_is_refused() {
    let (mut harness, writer, reader) = huge();
    harness.send(reader, &read(1, OpCode::GetChildren, "/d", true));
    harness.turn(0);
    let frames: Vec<Vec<u8>> = (0..CHILDREN).map(|at| delete(1, &format!("/d/n{at}"))).collect();
    harness.send(writer, &[frames.concat(), delete(2, "/d"), create(3, "/d", b"", 0)].concat());
    // The deletes overtake the listing: its connection is not served meanwhile.
    let scanning = harness.shards[0].stop_serving(reader);
    while harness.tree.node("/d/n4999").is_some() || harness.tree.node("/d").is_none_or(|node| node.num_children() > 0)
    {
        harness.turn(0);
        harness.deliver(0, usize::MAX);
        harness.sync(ostler_model::Zxid(i64::MAX));
        harness.apply();
    }
    harness.turn(0);
    harness.turn(0);
    harness.shards[0].serve_again(scanning);
    harness.run();
    let reply = harness.replies(reader).remove(0);
    assert_eq!((reply.xid, reply.err), (1, -101), "gone, even if there is a new one");
}

#[test]
fn a_listing_behind_a_write_waits_for_it() {
    let (mut harness, writer, _) = huge();
    let frames = [delete(1, "/d/n3"), read(2, OpCode::GetChildren, "/d", false), create(3, "/d/late", b"", 0)];
    let replies = harness.ask(writer, &frames);
    assert_eq!(replies.iter().map(|reply| (reply.xid, reply.err)).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 0)]);
    let expected: Vec<String> = all_names().into_iter().filter(|name| name != "n3").collect();
    assert_eq!(replies[1].names(), expected, "it sees the delete before it and not the create behind it");
}

#[test]
fn one_turn_produces_a_bounded_amount_of_output() {
    let (mut harness, writer) = tree_of(&["/a"]);
    let size = 40_000;
    harness.must(writer, set(1, "/a", &vec![1; size]));
    let readers: Vec<ConnId> = (0..10).map(|_| harness.session(0).0).collect();
    for reader in &readers {
        harness.send(*reader, &[read(1, OpCode::GetData, "/a", false), read(2, OpCode::GetData, "/a", false)].concat());
    }
    let mut turns = 0;
    let mut before = 0;
    loop {
        let more = harness.turn(0);
        let waiting: usize = readers.iter().map(|reader| harness.shards[0].output(*reader).len()).sum();
        let produced = waiting - before;
        assert!(produced < limits::HOLD_OUTPUT_BYTES_MAX + size + 1_000, "{produced} bytes in one hold of the tree");
        before = waiting;
        turns += 1;
        if !more {
            break;
        }
    }
    assert!(turns >= 10, "{turns}");
    harness.flush(0);
    assert!(readers.iter().all(|reader| payloads(&harness.receive(*reader)).len() == 2));
}

#[test]
fn a_long_multi_read_goes_in_parts_and_has_a_bound() {
    let (mut harness, writer, reader) = huge();
    harness.must(writer, create(1, "/data", &[1; 100_000], 0));
    let ask = |ops: &[(i32, &str)]| {
        frame(5, OpCode::MultiRead, |frame| {
            for (op, path) in ops {
                frame.multi_header(*op, false, -1);
                frame.text(Some(path));
                frame.bool(false);
            }
            frame.multi_header(-1, true, -1);
        })
    };
    harness.send(reader, &ask(&[(4, "/data"), (8, "/d"), (8, "/none"), (4, "/data")]));
    let mut turns = 0;
    let mut reply = Vec::new();
    while reply.is_empty() {
        // A child goes while the listing inside is under way.
        if turns == 3 {
            harness.send(writer, &delete(2, "/d/n0"));
        }
        harness.turn(0);
        harness.deliver(0, 10);
        harness.sync(ostler_model::Zxid(i64::MAX));
        harness.apply();
        harness.flush(0);
        reply = harness.replies(reader);
        turns += 1;
    }
    assert!(turns > CHILDREN / limits::LISTING_CHILDREN_MAX, "{turns}");
    let mut body = Reader::new(&reply[0].body, 1 << 20);
    let header = |body: &mut Reader<'_>| (body.int().unwrap(), body.bool().unwrap(), body.int().unwrap());
    let data = |body: &mut Reader<'_>| {
        let length = body.buffer().unwrap().unwrap().len();
        body.stat().unwrap();
        length
    };
    assert_eq!((header(&mut body), data(&mut body)), ((4, false, 0), 100_000));
    assert_eq!(header(&mut body), (8, false, 0));
    let mut names: Vec<String> =
        body.texts().unwrap().unwrap().into_iter().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    assert_eq!(names, directory_at(&harness, reply[0].zxid).0);
    assert_eq!((header(&mut body), body.int().unwrap()), ((-1, false, -101), -101));
    assert_eq!((header(&mut body), data(&mut body)), ((4, false, 0), 100_000));
    assert!(header(&mut body).1, "the terminator");
    // 200 times 100 kB is too much.
    assert_eq!(harness.ask(reader, &[ask(&[(4, "/data"); 200])]), []);
    assert!(harness.is_closed(reader));
}
