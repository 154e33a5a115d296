//! The audit log of the real binary.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;

#[test]
fn start_writes_and_stop_are_in_the_log() {
    let dir = TempDir::new();
    let mut server = Server::start(&dir.0, &["--set", "audit.enable=true"]);
    let mut session = server.session(10_000);
    assert_eq!(session.create("/a", b"", 0), 0);
    assert_eq!(session.create("/a", b"", 0), -110);
    let id = format!("session=0x{:x}\tuser=127.0.0.1\tip=127.0.0.1\t", session.id);
    let created = format!("INFO {id}operation=create\tznode=/a\tznode_type=persistent\tresult=success");
    let refused = format!("ERROR {id}operation=create\tznode=/a\tznode_type=persistent\tresult=failure");
    until("both lines", || server.find(&created).and(server.find(&refused)));
    assert!(server.find("\toperation=serverStart\tresult=success").is_some());
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    until("the last line", || server.find("\toperation=serverStop\tresult=invoked"));
    // A server that does not start says that too.
    std::fs::write(dir.join("file"), "").unwrap();
    let output = output_of(command(&dir.join("file"), &["--set", "audit.enable=true"]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("\toperation=serverStart\tresult=failure"), "{text}");
}
