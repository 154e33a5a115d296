//! A member whose ensemble may change (`reconfigEnabled=true`) as a whole: the files that it keeps, what it says when it cannot
//! keep them, and its ports. An ensemble of one is enough for that; interop/ensemble/reconfig.py has the larger ones.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{PATIENCE, Server, Session, TempDir, ostler, output_of, request, text, until};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const RECONFIG: i32 = 16;

struct Member {
    dir: TempDir,
}

/// Quorum, election and client port.
type Ports = [u16; 3];

fn ports() -> Ports {
    let held = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn line([quorum, election, client]: Ports) -> String {
    format!("server.1=127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{client}")
}

impl Member {
    fn new(ports: Ports) -> Member {
        let member = Member { dir: TempDir::new() };
        std::fs::write(member.dir.join("myid"), "1\n").unwrap();
        let text = format!(
            "# comments go with the first change\ntickTime=500\ninitLimit=10\nsyncLimit=5\nreconfigEnabled=true\n\
             standaloneEnabled=false\nskipACL=yes\n4lw.commands.whitelist=*\ndataDir={}\n{}\n",
            member.dir.0.display(),
            line(ports)
        );
        std::fs::write(member.config(), text).unwrap();
        member
    }

    fn config(&self) -> PathBuf {
        self.dir.join("zoo.cfg")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(ostler());
        command.arg(self.config()).env_clear();
        command
    }

    fn start(&self) -> Server {
        let server = Server::spawn(self.command());
        until("it serves", || server.word("srvr").contains("Mode: leader").then_some(()));
        server
    }

    fn read(&self, suffix: &str) -> String {
        std::fs::read_to_string(self.dir.join(&format!("zoo.cfg{suffix}"))).unwrap()
    }

    /// What zoo.cfg points at, once it points at this version and no proposal is left.
    fn pointer(&self, version: &str) -> PathBuf {
        until("the files are written", || {
            let config = self.read("");
            let name = config.lines().find_map(|line| line.strip_prefix("dynamicConfigFile="))?;
            (name.ends_with(&format!(".dynamic.{version}")) && !self.exists(".dynamic.next")).then(|| name.into())
        })
    }

    fn exists(&self, suffix: &str) -> bool {
        self.dir.join(&format!("zoo.cfg{suffix}")).exists()
    }
}

/// Asks for these members.
fn reconfig_body(members: &str) -> Vec<u8> {
    let mut body = [(-1_i32).to_be_bytes(), (-1_i32).to_be_bytes()].concat();
    text(&mut body, members);
    body.extend((-1_i64).to_be_bytes());
    body
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn config_node(session: &mut Session) -> String {
    String::from_utf8(session.get("/zookeeper/config").unwrap()).unwrap()
}

#[test]
fn files_and_ports_follow_the_ensemble() {
    let (old, new) = (ports(), ports());
    let member = Member::new(old);
    let before = member.read("");
    let server = member.start();
    assert_eq!(member.read(".bak"), before);
    assert_eq!(member.pointer("100000000"), member.dir.0.canonicalize().unwrap().join("zoo.cfg.dynamic.100000000"));
    assert_eq!(member.read(".dynamic.100000000"), line(old));
    let config = member.read("");
    assert!(!config.contains("server.1=") && !config.contains('#') && config.contains("tickTime=500\n"), "{config}");

    let mut session = server.session(30_000);
    let reply = session.call(RECONFIG, &reconfig_body(&line(new)));
    assert_eq!(reply.err, 0);
    assert!(String::from_utf8_lossy(&reply.body).contains(&line(new)));
    let version = format!("{:x}", reply.zxid);
    until("all ports moved", || new.into_iter().all(connects).then_some(()));
    assert!(!old.into_iter().any(connects), "the old ports are closed");
    assert_eq!(session.create("/on-its-old-connection", b"", 0), 0);
    assert_eq!(std::fs::read_to_string(member.pointer(&version)).unwrap(), line(new));
    assert!(member.exists(".dynamic.100000000"), "old ones stay");
    assert_eq!(config_node(&mut session), format!("{}\nversion={version}", line(new)));
    server.kill();

    let server = member.start();
    assert_eq!(server.port, new[2]);
    let mut session = server.session(30_000);
    assert_eq!(session.get("/on-its-old-connection").as_deref(), Some(&b""[..]));
    assert_eq!(config_node(&mut session), format!("{}\nversion={version}", line(new)));
    assert_eq!(member.read(".bak"), before, "the last one that named its servers");
    server.stop();
}

#[test]
fn a_change_that_cannot_be_written_ends_the_server_before_it_is_acknowledged() {
    let member = Member::new(ports());
    let mut server = member.start();
    let mut session = server.session(30_000);
    assert_eq!(session.create("/kept", b"", 0), 0);
    let in_the_way = member.dir.join("zoo.cfg.dynamic.next.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    session.send(RECONFIG, &reconfig_body(&line(ports())));
    assert!(session.receive().is_err(), "it was acknowledged");
    assert_eq!(server.wait().code(), Some(1));
    let said = until("it says why", || server.find("what must be durable cannot be written"));
    let hint = until("a hint", || server.find("hint: "));
    assert!(said.contains("zoo.cfg.dynamic.next.tmp"), "{said} {hint}");

    // The same is found at the next start.
    let output = output_of(member.command());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && said.contains("zoo.cfg.dynamic.next.tmp") && said.contains("hint: "),
        "{said}"
    );
    std::fs::remove_dir(in_the_way).unwrap();
    let server = member.start();
    let mut session = server.session(30_000);
    assert!(session.get("/kept").is_some());
    assert!(config_node(&mut session).ends_with("version=100000000"));
    let moved = ports();
    assert_eq!(session.call(RECONFIG, &reconfig_body(&line(moved))).err, 0);
    until("the client port moved", || connects(moved[2]).then_some(()));
    server.stop();
}

#[test]
fn what_could_not_be_kept_is_refused_at_the_start() {
    let refused = |command: Command, what: &[&str]| {
        let output = output_of(command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for what in what.iter().chain(&["hint: ", "Invalid config, exiting abnormally"]) {
            assert!(said.contains(what), "{what}: {said}");
        }
    };
    let own = ports();
    let member = Member::new(own);
    let data = member.dir.0.display().to_string();
    let mut flags = Command::new(ostler());
    flags.env_clear().args(["serve", "--data-dir", &data]);
    let server = format!("server.1=127.0.0.1:{}:{}", own[0], own[1]);
    for set in [&*server, "initLimit=10", "syncLimit=5", "standaloneEnabled=false", "reconfigEnabled=true"] {
        flags.args(["--set", set]);
    }
    refused(flags, &["--set: reconfigEnabled", "there is no configuration file", "reconfigEnabled=false"]);

    let in_the_way = member.dir.join("zoo.cfg.bak.tmp");
    std::fs::create_dir(&in_the_way).unwrap();
    refused(member.command(), &["cannot create", "zoo.cfg.bak.tmp", "the server writes zoo.cfg and files beside it"]);
    std::fs::remove_dir(in_the_way).unwrap();
    std::fs::write(member.dir.join("zoo.cfg.dynamic.next"), "server.1=nonsense\nversion=5").unwrap();
    refused(member.command(), &["zoo.cfg.dynamic.next", "does not have the form"]);
    std::fs::remove_file(member.dir.join("zoo.cfg.dynamic.next")).unwrap();
    assert!(!member.exists(".dynamic.100000000"), "nothing was begun");
    member.start().stop();
}

/// In the order of the leader's checks; each answer is Apache's.
#[test]
fn what_is_refused_and_why() {
    let (own, other) = (ports(), ports());
    let member = Member::new(own);
    let server = member.start();
    let mut session = server.session(30_000);
    let one = line(own);
    for (code, members, version) in [
        (-103, &*one, 5),
        (-103, &*one, 0),
        (-8, "server.1=nonsense", -1),
        (-8, "server.1=127.0.0.1:1:2:observer;3", -1),
        (-5, "server.x=127.0.0.1:1:2;3", -1),
        (-13, &*one.replace("server.1", "server.2"), 1 << 32),
    ] {
        let mut body = reconfig_body(members);
        let at = body.len() - 8;
        body[at..].copy_from_slice(&i64::to_be_bytes(version));
        assert_eq!(session.call(RECONFIG, &body).err, code, "{members} from {version}");
    }
    // The second comes while the first is being written.
    let both = [request(100, RECONFIG, &reconfig_body(&one)), request(101, RECONFIG, &reconfig_body(&line(other)))];
    session.stream.write_all(&both.concat()).unwrap();
    let [first, second] = [(); 2].map(|()| session.receive().unwrap());
    assert_eq!((first.xid, first.err, second.xid, second.err), (100, 0, 101, -14));
    assert!(config_node(&mut session).starts_with(&one));
    server.stop();
    // Without the setting.
    let member = Member::new(own);
    std::fs::write(member.config(), member.read("").replace("reconfigEnabled=true", "reconfigEnabled=false")).unwrap();
    let server = member.start();
    let mut session = server.session(30_000);
    assert_eq!(session.call(RECONFIG, &reconfig_body(&one)).err, -123);
    assert!(config_node(&mut session).ends_with("version=0") && !member.exists(".bak"));
    server.stop();
}

/// Apache lets nobody but the super user change /zookeeper/config, unless `skipACL=yes`.
#[test]
fn who_may_change_the_ensemble() {
    let own = ports();
    let member = Member::new(own);
    let digest = "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
    std::fs::write(member.config(), member.read("").replace("skipACL=yes", digest)).unwrap();
    let server = member.start();
    let mut session = server.session(30_000);
    assert_eq!(session.call(RECONFIG, &reconfig_body(&line(own))).err, -102);
    let mut auth = 0_i32.to_be_bytes().to_vec();
    text(&mut auth, "digest");
    text(&mut auth, "super:test");
    session.stream.write_all(&request(-4, 100, &auth)).unwrap();
    assert_eq!(session.receive().unwrap().err, 0);
    assert_eq!(session.call(RECONFIG, &reconfig_body(&line(own))).err, 0);
    server.stop();
}

/// `ostler cluster start` writes zoo.cfg, but not over what a reconfiguration left there.
#[test]
fn a_cluster_that_was_changed_starts_as_it_is() {
    let dir = TempDir::new();
    let port = ports()[2].min(60_000);
    for turn in 0..2 {
        let mut command = Command::new(ostler());
        command.env_clear().args(["cluster", "start", "--servers", "1", "--port", &port.to_string()]);
        command.args(["--set", "reconfigEnabled=true", "--set", "skipACL=yes", "--dir"]).arg(&dir.0);
        let output = dir.join(&format!("output-{turn}"));
        let file = std::fs::File::create(&output).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let said = || std::fs::read_to_string(&output).unwrap();
        until("it serves", || {
            assert!(child.try_wait().unwrap().is_none(), "{}", said());
            said().contains("1 servers serve after").then_some(())
        });
        assert_eq!(said().contains("the servers of its last reconfiguration"), turn == 1, "{}", said());
        until("zoo.cfg is rewritten", || {
            let config = std::fs::read_to_string(dir.join("server-1/zoo.cfg")).unwrap();
            config.contains("dynamicConfigFile=").then_some(())
        });
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"srvr").unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(until("it ends", || child.try_wait().unwrap()).success());
    }
}
