//! Read-only mode as a whole: three processes, two of them killed. The third lets clients read that ask for no more,
//! refuses everything else, writes nothing to its disk for it, and lets them go when there is a quorum.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::members::Members;
use common::{Session, connect_frame, create_body, read_frame, read_to_end, until};
use std::io::Write;
use std::net::TcpStream;

const NOT_READ_ONLY: i32 = -119;
const SYNC: i32 = 9;
const CLOSE: i32 = -11;

/// A handshake that is content with reading; everything of the answer.
fn hello(mut stream: TcpStream, session: i64, password: &[u8; 16]) -> (TcpStream, Option<Vec<u8>>) {
    let mut bytes = connect_frame(30_000, session, password);
    *bytes.last_mut().unwrap() = 1;
    stream.write_all(&bytes).unwrap();
    let answer = read_frame(&mut stream).ok();
    (stream, answer)
}

#[test]
fn a_member_without_a_quorum_is_read_and_nothing_else() {
    let mut members = Members::start("readonlymode.enabled=true\n");
    let mut writer = members.session(3);
    assert_eq!(writer.create("/a", b"x", 0), 0);
    let zxid_line = |text: String| text.lines().find(|line| line.starts_with("Zxid:")).unwrap().to_owned();
    members.kill(1);
    members.kill(2);
    until("it is read-only", || (members.word(3, "isro") == "ro").then_some(()));
    let srvr = members.word(3, "srvr");
    assert_eq!(srvr.lines().nth(1), Some("READ-ONLY mode; serving only read-only clients"), "{srvr}");
    assert!(srvr.contains("\nMode: read-only\n"), "{srvr}");
    assert!(members.word(3, "mntr").contains("zk_server_state\tread-only\n"));
    let (files, zxid) = (members.files(3), zxid_line(srvr));

    // Who wants to write is not let in, nor is a session of the whole ensemble.
    let mut stream = members.connect(3);
    stream.write_all(&connect_frame(30_000, 0, &[0; 16])).unwrap();
    assert_eq!(read_to_end(&mut stream), []);
    assert_eq!(hello(members.connect(3), writer.id, &writer.password).1, None);
    assert_eq!(read_to_end(&mut writer.stream), [], "its connection went with the quorum");

    let (stream, answer) = hello(members.connect(3), 0, &[0; 16]);
    let answer = answer.unwrap();
    assert_eq!((answer.len(), answer.last()), (37, Some(&1)), "it says that it is read-only");
    // The same connection, as a session that asks one thing at a time.
    let mut reader = Session::over(stream, &answer);
    let mut root = Vec::new();
    common::text(&mut root, "/");
    for _ in 0..50 {
        assert_eq!(reader.get("/a"), Some(b"x".to_vec()));
        assert_eq!(reader.create("/b", b"", 1), NOT_READ_ONLY);
        assert_eq!(reader.set("/a", b"y"), NOT_READ_ONLY);
        assert_eq!(reader.call(SYNC, &root).err, NOT_READ_ONLY);
    }
    assert!(members.word(3, "dump").contains("\nLocal Session Sets (1)/(1):\n"), "{}", members.word(3, "dump"));
    // Another comes and goes.
    let (stream, answer) = hello(members.connect(3), 0, &[0; 16]);
    let mut other = Session::over(stream, &answer.unwrap());
    assert_eq!(other.call(CLOSE, &[]).err, 0);
    assert_eq!(read_to_end(&mut other.stream), []);
    assert_eq!(members.files(3), files, "nothing of all that reaches the disk");
    assert_eq!(zxid_line(members.word(3, "srvr")), zxid);

    // A quorum: read-only clients go, and what they did is nowhere.
    members.run(1);
    assert_eq!(read_to_end(&mut reader.stream), []);
    until("it serves", || (members.word(3, "isro") == "rw").then_some(()));
    let again = until("the session of the ensemble lives", || {
        Session::begin(members.connect(3), 30_000, writer.id, &writer.password)
    });
    assert_eq!(again.id, writer.id);
    let mut one = members.session(1);
    assert_eq!((one.get("/a"), one.get("/b")), (Some(b"x".to_vec()), None));
    assert_eq!(one.call(1, &create_body("/b", b"", 0)).err, 0);
    let log = members.log(3);
    for line in ["serving clients that asked for no more than reading", "not serving read-only clients any more"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}
