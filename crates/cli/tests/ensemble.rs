//! `ostler cluster start` as a whole: three processes over real sockets and disks. One leads, each takes writes, and
//! neither kill -9, nor a wiped disk, nor bytes from strangers on the ports between servers take anything acknowledged
//! or keep the ensemble from taking more.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{PATIENCE, Session, TempDir, ostler, read_to_end, request, until};
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

const SERVERS: u16 = 3;
/// Quorum and election ports above client ports.
const QUORUM: u16 = 1_000;
const ELECTION: u16 = 2_000;
const SYNC: i32 = 9;

/// Clusters of this process.
static STARTED: AtomicU16 = AtomicU16::new(0);

/// The command, and the servers that were started by hand afterwards.
struct Cluster {
    dir: TempDir,
    base: u16,
    command: Child,
    by_hand: Vec<Child>,
}

/// The first of three consecutive ports that are free, as are those a thousand and two thousand above; all below the
/// ports that the system gives to connections.
fn free_base() -> u16 {
    // The tests of this file run beside each other: each looks in another place first.
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let seed = std::process::id() as u16 % 500 + 300 * number;
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let all_free = |base: &u16| (0..SERVERS).all(|n| [0, QUORUM, ELECTION].iter().all(|up| free(base + up + n)));
    (0..8_u16)
        .flat_map(|block| (0..300_u16).map(move |at| 6_000 + 3_000 * block + (seed + 3 * at) % 990))
        .find(all_free)
        .expect("three free ports")
}

impl Cluster {
    fn start() -> Cluster {
        let (dir, base) = (TempDir::new(), free_base());
        let output = File::create(dir.join("output")).unwrap();
        let command = Command::new(ostler())
            .args(["cluster", "start", "--servers", "3", "--port", &base.to_string(), "--dir"])
            .arg(&dir.0)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut cluster = Cluster { dir, base, command, by_hand: Vec::new() };
        until("all servers serve", || {
            assert_eq!(cluster.command.try_wait().unwrap(), None, "it ended: {}", cluster.output());
            cluster.output().contains("3 servers serve after").then_some(())
        });
        cluster
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.dir.join("output")).unwrap()
    }

    fn folder(&self, number: u16) -> PathBuf {
        self.dir.join(&format!("server-{number}"))
    }

    fn connect(&self, number: u16, up: u16) -> Option<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.base + up + number - 1)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(stream)
    }

    fn srvr(&self, number: u16) -> Option<String> {
        let mut stream = self.connect(number, 0)?;
        stream.write_all(b"srvr").ok()?;
        Some(String::from_utf8(read_to_end(&mut stream)).unwrap())
    }

    fn mode(&self, number: u16) -> Option<String> {
        self.srvr(number)?.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    /// A session, as soon as the server takes one.
    fn session(&self, number: u16) -> Session {
        until("a session", || Session::begin(self.connect(number, 0)?, 30_000, 0, &[0; 16]))
    }

    /// Waits until one of these leads and the others follow it.
    fn leader(&self, among: &[u16]) -> u16 {
        until("one leads, the others follow", || {
            let modes: Option<Vec<String>> = among.iter().map(|&number| self.mode(number)).collect();
            let modes = modes?;
            let leads = modes.iter().position(|mode| mode == "leader")?;
            let following = modes.iter().filter(|mode| *mode == "follower").count();
            (following + 1 == among.len()).then_some(among[leads])
        })
    }

    /// The process that listens on the client port: from the command's output, or started by hand.
    fn first_pid(&self, number: u16) -> String {
        let output = self.output();
        let line = output.lines().find(|line| line.trim_start().starts_with(&format!("server {number} "))).unwrap();
        line.split(" pid ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    /// kill -9, and waits until the port refuses.
    fn kill(&self, number: u16) {
        self.signal("-9", number);
        until("it is gone", || self.connect(number, 0).is_none().then_some(()));
    }

    fn signal(&self, signal: &str, number: u16) {
        let status = Command::new("kill").args([signal, &self.first_pid(number)]).status().unwrap();
        assert!(status.success());
    }

    fn log(&self, number: u16) -> String {
        std::fs::read_to_string(self.folder(number).join("server.log")).unwrap()
    }

    /// As the command's own words advise: with the zoo.cfg that it wrote.
    fn start_by_hand(&mut self, number: u16) {
        let folder = self.folder(number);
        let log = File::options().append(true).open(folder.join("server.log")).unwrap();
        let mut command = Command::new(ostler());
        command.arg(folder.join("zoo.cfg")).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.by_hand.push(command.spawn().unwrap());
    }

    /// A node made at each server is read at every server.
    fn writes_everywhere(&self, name: &str, among: &[u16]) {
        let mut sessions: Vec<Session> = among.iter().map(|&number| self.session(number)).collect();
        for (session, number) in sessions.iter_mut().zip(among) {
            assert_eq!(session.create(&format!("/{name}-{number}"), name.as_bytes(), 0), 0);
        }
        for session in &mut sessions {
            synchronise(session);
            for number in among {
                assert_eq!(session.get(&format!("/{name}-{number}")), Some(name.as_bytes().to_vec()));
            }
        }
    }
}

impl Drop for Cluster {
    /// The command stops its own servers; those started by hand are ours.
    fn drop(&mut self) {
        for child in &mut self.by_hand {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Ok(None) = self.command.try_wait() {
            let _ = Command::new("kill").args(["-TERM", &self.command.id().to_string()]).status();
            let _ = self.command.wait();
        }
    }
}

fn synchronise(session: &mut Session) {
    let mut body = Vec::new();
    common::text(&mut body, "/");
    assert_eq!(session.call(SYNC, &body).err, 0);
}

/// What a stranger may send: nothing, every single byte, runs of each extreme, text, and openings that promise more than
/// ever comes.
fn strange_bytes() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![Vec::new(), (0..=255).collect(), vec![0; 4_096], vec![0xff; 4_096]];
    all.extend((0..=255_u8).step_by(15).map(|byte| vec![byte; 40]));
    all.push(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec());
    // A frame of two gigabytes; half of a length; an election's opening with a server that is no member, cut short.
    all.push(vec![0x7f, 0xff, 0xff, 0xff, 1]);
    all.push(vec![0, 0]);
    all.push([&(-65_536_i64).to_be_bytes()[..], &77_i64.to_be_bytes(), &[0, 0, 0, 40, b'1']].concat());
    // A learner's opening, of a server that is no member, and then silence or nonsense.
    let mut learner = common::frame(&[11_i32.to_be_bytes(), [0; 4], [0; 4], [0, 0, 0, 20]].concat());
    all.push(learner.clone());
    learner.extend([0xa5; 600]);
    all.push(learner);
    all
}

#[test]
fn kills_strangers_and_a_lost_disk() {
    let mut cluster = Cluster::start();
    let all = [1, 2, 3];
    let leader = cluster.leader(&all);
    cluster.writes_everywhere("first", &all);

    // Strangers on the ports between servers: half stay open and silent, half are closed in the middle.
    let mut held = Vec::new();
    let mut watcher = cluster.session(leader);
    for number in all {
        // Only the leader listens for learners.
        let ups: &[u16] = if number == leader { &[QUORUM, ELECTION] } else { &[ELECTION] };
        for (at, (&up, bytes)) in
            ups.iter().flat_map(|up| strange_bytes().into_iter().map(move |b| (up, b))).enumerate()
        {
            let mut stream = cluster.connect(number, up).expect("the port is open");
            // It may be closed already: a stranger has no right to more.
            let _ = stream.write_all(&bytes);
            if at % 2 == 0 {
                held.push(stream);
            }
            assert_eq!(watcher.create(&format!("/strange-{number}-{up}-{at}"), &bytes, 0), 0);
        }
    }
    cluster.writes_everywhere("among-strangers", &all);
    assert_eq!(cluster.leader(&all), leader, "strangers made it change");
    assert!(cluster.srvr(leader).unwrap().contains("\nZxid: 0x1"), "strangers began an epoch");
    drop(held);

    // kill -9 of the leader, writes under way: another leads, what was acknowledged is there, sessions go on.
    let others: Vec<u16> = all.into_iter().filter(|number| *number != leader).collect();
    let kept = cluster.session(others[0]);
    let mut writer = cluster.session(others[1]);
    assert_eq!(writer.create("/counter", b"0", 0), 0);
    let mut acknowledged = 0;
    for _ in 0..100 {
        assert_eq!(writer.set("/counter", (acknowledged + 1).to_string().as_bytes()), 0);
        acknowledged += 1;
    }
    for ahead in 1..=20_u64 {
        let body = common::set_body("/counter", (acknowledged + ahead).to_string().as_bytes());
        writer.stream.write_all(&request(1, 5, &body)).unwrap();
    }
    cluster.kill(leader);
    while let Ok(reply) = writer.receive() {
        assert_eq!(reply.err, 0);
        acknowledged += 1;
    }
    let next = cluster.leader(&others);
    for &number in &others {
        let mut session = cluster.session(number);
        synchronise(&mut session);
        let found: u64 = String::from_utf8(session.get("/counter").unwrap()).unwrap().parse().unwrap();
        assert!((acknowledged..=120).contains(&found), "server {number}: acknowledged {acknowledged}, found {found}");
    }
    let again = until("the session goes on", || {
        Session::begin(cluster.connect(others[1], 0)?, 30_000, kept.id, &kept.password)
    });
    assert_eq!(again.id, kept.id);
    cluster.writes_everywhere("one-down", &others);
    until("the command tells of it", || {
        let hint = format!("server {leader} ended");
        cluster.output().contains(&hint).then_some(())
    });

    // Started by hand, it follows and has what was written without it.
    cluster.start_by_hand(leader);
    assert_eq!(cluster.leader(&all), next);
    let mut session = cluster.session(leader);
    synchronise(&mut session);
    assert_eq!(session.get(&format!("/one-down-{next}")), Some(b"one-down".to_vec()));
    cluster.writes_everywhere("back", &all);

    // The third loses its disk: it gets everything from the leader.
    let third = others.into_iter().find(|number| *number != next).unwrap();
    cluster.kill(third);
    wipe(&cluster.folder(third));
    cluster.start_by_hand(third);
    assert_eq!(cluster.leader(&all), next);
    let mut session = cluster.session(third);
    synchronise(&mut session);
    for name in ["first", "among-strangers", "one-down", "back"] {
        assert_eq!(session.get(&format!("/{name}-{next}")), Some(name.as_bytes().to_vec()), "{name}");
    }
    cluster.writes_everywhere("last", &all);

    // SIGTERM: those started by hand stop in order, and so does the command with the one that it still has.
    for child in &mut cluster.by_hand {
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(until("it stops", || child.try_wait().unwrap()).code(), Some(0));
    }
    assert!(Command::new("kill").args(["-TERM", &cluster.command.id().to_string()]).status().unwrap().success());
    let status = until("the command ends", || cluster.command.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{}", cluster.output());
    for number in all {
        assert!(cluster.connect(number, 0).is_none(), "server {number} still listens");
    }
}

/// DEV-20. How long it takes is measured by the example `failover --orderly`.
#[test]
fn an_orderly_stop_of_the_leader_hands_over() {
    let cluster = Cluster::start();
    let all = [1, 2, 3];
    let leader = cluster.leader(&all);
    cluster.writes_everywhere("before", &all);
    let others: Vec<u16> = all.into_iter().filter(|number| *number != leader).collect();
    cluster.signal("-TERM", leader);
    let log = until("it stops in order", || Some(cluster.log(leader)).filter(|log| log.contains(" stopped zxid=")));
    assert!(log.contains("leadership is handed over"), "{log}");
    // The one with everything and the highest id: it was voted for by the leader itself.
    assert_eq!(cluster.leader(&others), others[1]);
    cluster.writes_everywhere("after", &others);
    let mut session = cluster.session(others[0]);
    assert_eq!(session.get(&format!("/before-{leader}")), Some(b"before".to_vec()));

    // A follower has nothing to hand over, and goes without being missed.
    drop(session);
    cluster.signal("-TERM", others[0]);
    until("it stops in order", || cluster.log(others[0]).contains(" stopped zxid=").then_some(()));
}

/// Written by each server when it begins to serve; clients find the ensemble there.
#[test]
fn every_member_shows_the_ensemble() {
    let cluster = Cluster::start();
    let line = |n: u16| {
        let port = cluster.base + n - 1;
        format!("server.{n}=127.0.0.1:{}:{}:participant\n", port + QUORUM, port + ELECTION)
    };
    let expected = format!("{}{}{}version=0", line(1), line(2), line(3));
    for number in 1..=SERVERS {
        let text = cluster.session(number).get("/zookeeper/config").unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), expected, "server {number}");
    }
}

/// Everything but its configuration.
fn wipe(folder: &Path) {
    std::fs::remove_dir_all(folder.join("version-2")).unwrap();
}
