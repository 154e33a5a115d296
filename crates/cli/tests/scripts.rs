//! The scripts in bin/, as operators use them: zkServer.sh starts, asks and stops a server; zkCli.sh speaks to it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{TempDir, ostler};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn script(name: &str, dir: &TempDir, words: &[&str]) -> Output {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin");
    Command::new(bin.join(name))
        .args(["--config", dir.0.to_str().unwrap()])
        .args(words)
        .env("OSTLER", ostler())
        .env("ZOO_LOG_DIR", dir.join("logs"))
        .env_remove("ZOOCFGDIR")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Stops the server whatever happens.
struct Stopped<'a>(&'a TempDir);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        script("zkServer.sh", self.0, &["stop"]);
    }
}

#[test]
fn a_server_is_started_asked_and_stopped() {
    let dir = TempDir::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let data = dir.join("data");
    let config = format!("dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=2000\n", data.display());
    std::fs::write(dir.join("zoo.cfg"), config).unwrap();

    let asked = script("zkServer.sh", &dir, &["status"]);
    let expected = format!("Client port found: {port}. Client address: 127.0.0.1. Client SSL: false.\n");
    assert_eq!(text(&asked.stdout), format!("{expected}Error contacting service. It is probably not running.\n"));
    assert_eq!(asked.status.code(), Some(1));

    let started = script("zkServer.sh", &dir, &["start"]);
    let _stopped = Stopped(&dir);
    assert_eq!(text(&started.stdout), "Starting zookeeper ... STARTED\n");
    let said = format!("ZooKeeper JMX enabled by default\nUsing config: {}/zoo.cfg\n", dir.0.display());
    assert_eq!((text(&started.stderr), started.status.code()), (said, Some(0)));
    let pid = std::fs::read_to_string(data.join("zookeeper_server.pid")).unwrap();
    assert!(pid.parse::<u32>().is_ok(), "{pid:?}");

    let again = script("zkServer.sh", &dir, &["start"]);
    assert_eq!(text(&again.stdout), format!("Starting zookeeper ... already running as process {pid}.\n"));
    assert_eq!(again.status.code(), Some(1));

    let asked = script("zkServer.sh", &dir, &["status"]);
    assert_eq!(text(&asked.stdout), format!("{expected}Mode: standalone\n"));
    assert_eq!(asked.status.code(), Some(0));

    let server = format!("127.0.0.1:{port}");
    let created = script("zkCli.sh", &dir, &["-server", &server, "create", "/x", "two words"]);
    assert_eq!((text(&created.stderr), created.status.code()), ("Created /x\n".to_owned(), Some(0)));
    let got = script("zkCli.sh", &dir, &["-server", &server, "get", "/x"]);
    let event = "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n";
    assert_eq!(text(&got.stdout), format!("Connecting to {server}\n{event}two words\n"));
    let word = Command::new(ostler()).args(["word", "ruok", "--server", &server]).output().unwrap();
    let refused = "ruok is not executed because it is not in the whitelist.\n";
    assert_eq!(text(&word.stdout), refused);

    let stopped = script("zkServer.sh", &dir, &["stop"]);
    assert_eq!(text(&stopped.stdout), "Stopping zookeeper ... STOPPED\n");
    assert!(!data.join("zookeeper_server.pid").exists());
    let stopped = script("zkServer.sh", &dir, &["stop"]);
    let nothing = format!("no zookeeper to stop (could not find file {}/zookeeper_server.pid)", data.display());
    assert_eq!(text(&stopped.stdout), format!("Stopping zookeeper ... {nothing}\n"));
    assert_eq!(stopped.status.code(), Some(0));
}

#[test]
fn other_words_show_the_usage() {
    let dir = TempDir::new();
    let usage = script("zkServer.sh", &dir, &["nonsense"]);
    assert!(text(&usage.stderr).contains("{start|start-foreground|stop|version|restart|status|print-cmd}"));
    assert_eq!(usage.status.code(), Some(0));
    let version = script("zkServer.sh", &dir, &["version"]);
    assert!(text(&version.stdout).starts_with("Apache ZooKeeper, version 3.9.3-ostler-"), "{}", text(&version.stdout));
    let printed = script("zkServer.sh", &dir, &["print-cmd"]);
    assert!(text(&printed.stdout).contains("zoo.cfg"), "{}", text(&printed.stdout));
}
