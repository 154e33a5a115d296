//! Four-letter words of the real binary, compared in shape with what Apache 3.9.3 printed
//! (testdata/operations-samples).
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{PATIENCE, Server, TempDir, read_to_end};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Shutdown;

/// Apache's answers of a standalone server, by word.
fn samples() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/operations-samples/4lw-standalone.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("=== ").skip(1);
    blocks
        .map(|block| {
            let (word, rest) = block.split_once('\n').unwrap();
            (word.to_owned(), rest.split("<EOF").next().unwrap().to_owned())
        })
        .collect()
}

/// Numbers become N, dates D, so that only the shape is left.
fn shape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_ascii_digit() {
            out.push(c);
            continue;
        }
        while chars.peek().is_some_and(|c| c.is_ascii_hexdigit() || *c == 'x') {
            chars.next();
        }
        out.push('N');
    }
    out
}

fn keys(text: &str, separator: char) -> Vec<String> {
    text.lines().filter_map(|line| line.split_once(separator)).map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn answers_have_apaches_shapes() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "4lw.commands.whitelist=*"]);
    let samples = samples();
    let mut session = server.session(10_000);
    assert_eq!(session.create("/e", b"x", 1), 0);
    let mut watcher = server.session(10_000);
    let mut body = common::path_watch("/nope");
    *body.last_mut().unwrap() = 1;
    assert_eq!(watcher.call(3, &body).err, -101);

    assert_eq!(server.word("ruok"), "imok");
    assert_eq!(server.word("isro"), "rw");
    assert_eq!(server.word("gtmk"), samples["gtmk"]);
    assert_eq!(shape(&server.word("dirs")), shape(&samples["dirs"]));
    assert_eq!(keys(&server.word("conf"), '='), keys(&samples["conf"], '='));
    assert_eq!(keys(&server.word("envi"), '='), keys(&samples["envi"], '='));
    let watches = format!("/nope\n\t0x{:x}\n\n", watcher.id);
    assert_eq!(server.word("wchp"), watches);
    assert_eq!(server.word("wchc"), format!("0x{:x}\n\t/nope\n\n", watcher.id));
    assert_eq!(server.word("wchs"), "1 connections watching 1 paths\nTotal watches:1\n");

    // srvr and stat: line by line up to the colon, the numbers behind it.
    let strip = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with(" /") && !line.starts_with("Zookeeper version"))
            .map(shape)
            .collect()
    };
    assert_eq!(strip(&server.word("srvr")), strip(&samples["srvr"]));
    assert_eq!(strip(&server.word("stat")), strip(&samples["stat"]));
    assert!(server.word("stat").starts_with("Zookeeper version: 3.9.3-"));
    let clients = server.word("stat").lines().filter(|line| line.starts_with(" /127.0.0.1:")).count();
    assert_eq!(clients, 3);

    // cons: the long form for sessions, the short one for itself, an empty line.
    let cons = server.word("cons");
    let mut ours: Vec<String> = cons.lines().map(shape).collect();
    ours.sort();
    let find = |text: &str, part: &str| text.lines().map(shape).find(|line| line.contains(part)).unwrap();
    let own = find(&cons, "lop=EXIS");
    let apache = find(&samples["cons"], "lop=PING").replace("PING", "EXIS");
    assert_eq!(own, apache);
    assert_eq!(find(&cons, "sent=N)"), find(&samples["cons"], "sent=N)"));
    assert!(cons.ends_with(")\n\n"), "{cons:?}");

    // dump: the fixed lines and one entry of each section.
    let dump = server.word("dump");
    for line in
        ["SessionTracker dump:", "ephemeral nodes dump:", "Sessions with Ephemerals (1):", "\t/e", "Connections dump:"]
    {
        assert!(dump.lines().any(|found| found == line), "{line:?} in {dump}");
    }
    let expiry = |text: &str| {
        let line = text.lines().find(|line| line.contains("expire at")).unwrap();
        line.chars().filter(|c| !c.is_ascii_digit()).collect::<String>().split_whitespace().count()
    };
    assert_eq!(expiry(&dump), expiry(&samples["dump"]));
    assert!(dump.contains(&format!("\t0x{:x}\n", session.id)), "{dump}");
    server.stop();
}

#[test]
fn mntr_exports_every_key_of_apache() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "4lw.commands.whitelist=*"]);
    let mut session = server.session(10_000);
    assert_eq!(session.create("/a", b"xyz", 0), 0);
    let mntr = server.word("mntr");
    let lines: BTreeMap<String, String> =
        mntr.lines().filter_map(|line| line.split_once('\t')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let wanted: BTreeSet<String> = keys(&samples()["mntr"], '\t')
        .into_iter()
        .filter(|key| !key.contains("_read_per_namespace") && !key.contains("_write_per_namespace"))
        .collect();
    let missing: Vec<_> = wanted.iter().filter(|key| !lines.contains_key(*key)).collect();
    assert_eq!(missing, Vec::<&String>::new());
    assert_eq!(lines["zk_server_state"], "standalone");
    assert_eq!(lines["zk_znode_count"], "6", "/a, the four of every tree, and the root once more, as Apache counts");
    assert_eq!(lines["zk_global_sessions"], "1");
    assert_eq!(lines["zk_proposal_count"], "2");
    let fsyncs: u64 = lines["zk_cnt_fsynctime"].parse().unwrap();
    assert!(fsyncs >= 2, "{fsyncs}");
    assert!(lines["zk_bytes_received_count"].parse::<u64>().unwrap() > 50);
    // What was measured: a session, a create, this word and the one before the reset are requests; two transactions.
    for (key, value) in [
        ("zk_cnt_updatelatency", "2"),
        ("zk_cnt_propagation_latency", "2"),
        ("zk_cnt_readlatency", "0"),
        ("zk_connection_request_count", "1"),
        ("zk_cnt_connection_token_deficit", "1"),
        ("zk_last_client_response_size", "22"),
        ("zk_response_bytes", "22"),
        ("zk_snap_count", "0"),
        ("zk_connection_drop_probability", "0.0"),
    ] {
        assert_eq!(lines[key], value, "{key}");
    }
    for key in ["zk_cnt_sync_processor_queue_time_ms", "zk_cnt_sync_processor_queue_and_flush_time_ms"] {
        assert_eq!(lines[key], "2", "{key}");
    }
    for key in
        ["zk_cnt_sync_process_time", "zk_cnt_sync_processor_batch_size", "zk_cnt_sync_processor_queue_flush_time_ms"]
    {
        assert!(lines[key].parse::<u64>().unwrap() >= 2, "{key}: {}", lines[key]);
    }
    // srst clears counters and summaries, not gauges.
    assert_eq!(server.word("srst"), "Server stats reset.\n");
    let after = server.word("mntr");
    assert!(after.contains("zk_cnt_fsynctime\t0\n") && after.contains("zk_znode_count\t6\n"), "{after}");
    assert!(after.contains("zk_proposal_count\t0\n") && after.contains("zk_cnt_updatelatency\t0\n"), "{after}");
    assert!(after.contains("zk_min_client_response_size\t-1\n"), "as Apache before the first reply: {after}");
    assert_eq!(server.word("crst"), "Connection stats reset.\n");
    server.stop();
}

#[test]
fn the_whitelist() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "4lw.commands.whitelist=ruok, isro"]);
    assert_eq!(server.word("ruok"), "imok");
    assert_eq!(server.word("isro"), "rw");
    assert!(server.word("srvr").contains("Mode: standalone"));
    assert_eq!(server.word("stat"), "stat is not executed because it is not in the whitelist.\n");
    assert_eq!(server.word("mntr"), "mntr is not executed because it is not in the whitelist.\n");
    // Unknown words are lengths of frames that are too long.
    assert_eq!(server.word("xxxx"), "");
    assert_eq!(server.word("RUOK"), "");
    server.stop();
}

#[test]
fn masks_line_ends_and_half_closed_connections() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "4lw.commands.whitelist=*"]);
    assert_eq!(server.word("ruok\n"), "imok");
    assert_eq!(server.exchange(b"stmk\0\0\0\0\0\0\x01\0"), b"256");
    assert_eq!(server.word("gtmk"), "256");
    assert_eq!(server.exchange(&[0xff, 0xf4, 0xff, 0xfd]), b"");
    // As `echo srvr | nc` and zkServer.sh status do: the sending side is closed before the answer.
    for word in ["ruok", "srvr"] {
        let mut stream = server.connect();
        stream.write_all(word.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(!read_to_end(&mut stream).is_empty(), "{word}");
    }
    // A mask that is cut short is never answered.
    let mut stream = server.connect();
    stream.write_all(b"stmk\0\0").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_to_end(&mut stream), b"");
    // One byte at a time.
    let mut stream = server.connect();
    for byte in b"ruok" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_to_end(&mut stream), b"imok");
    server.stop();
}
