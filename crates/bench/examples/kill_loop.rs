//! A server under load is killed with SIGKILL again and again; after each restart a checking client looks for
//! acknowledged writes that are gone and for writes that nobody sent:
//! `cargo run --release -p ostler-bench --example kill_loop -- --rounds 100`.
//!
//! Writers keep pipelines of setData, create and multi and the same sessions over all restarts. A setData writes
//! its own number, so data and version must agree and lie between what was acknowledged and what was sent; the two
//! nodes of a multi must agree; created nodes must be a run without holes; ephemerals and sessions must live on.
//! `--sabotage` deletes the newest log after each kill: the run must then fail.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::zombie_processes,
    reason = "a program that asserts; a failure ends it"
)]

use clap::Parser;
use ostler_client::{Client, ClientError, CreateMode, RequestId};
use ostler_model::{Acl, MultiOp, Request, SetData, open_acl};
use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SESSION_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// Unanswered requests of each writer.
    #[arg(long, default_value_t = 60)]
    depth: usize,
    #[arg(long, default_value = "target/release/ostler")]
    binary: PathBuf,
    #[arg(long, default_value = "target/kill-loop")]
    dir: PathBuf,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[arg(long)]
    sabotage: bool,
}

/// What a writer sent and what was acknowledged, over all rounds.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    sent: u64,
    acked: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Set,
    Pair,
    Create,
}

struct Writer {
    number: usize,
    client: Client,
    acl: Vec<Acl>,
    counts: [Count; 3],
}

impl Writer {
    fn new(address: &str, number: usize) -> Result<Writer, ClientError> {
        let mut client = Client::connect(address, SESSION_TIMEOUT)?;
        let acl = open_acl().to_vec();
        for name in ["set", "pair", "pair/a", "pair/b", "made"] {
            client.create(
                &format!("/w{number}-{name}").replace("pair/", "pair-"),
                b"0",
                &acl,
                CreateMode::Persistent,
            )?;
        }
        client.create(&format!("/w{number}-alive"), b"", &acl, CreateMode::Ephemeral)?;
        Ok(Writer { number, client, acl, counts: Default::default() })
    }

    /// Writes until the connection is lost.
    fn write(&mut self, depth: usize) {
        let mut waiting: VecDeque<(RequestId, Kind, u64)> = VecDeque::new();
        loop {
            while waiting.len() < depth {
                let kind = [Kind::Set, Kind::Pair, Kind::Create][waiting.len() % 3];
                let count = &mut self.counts[kind as usize];
                count.sent += 1;
                let sent = count.sent;
                match self.submit(kind, sent) {
                    Ok(id) => waiting.push_back((id, kind, sent)),
                    Err(error) => panic!("writer {}: {error}", self.number),
                }
            }
            let (id, kind, sent) = waiting.pop_front().expect("filled above");
            match self.client.wait(id) {
                Ok(answer) => {
                    assert_eq!(answer.raw.err, 0, "writer {}", self.number);
                    self.counts[kind as usize].acked = sent;
                }
                Err(ClientError::Request(_)) => return,
                Err(error) => panic!("writer {}: {error}", self.number),
            }
        }
    }

    fn submit(&mut self, kind: Kind, sent: u64) -> Result<RequestId, ClientError> {
        let (number, text) = (self.number, sent.to_string());
        let set = |path: String| SetData { path: Some(path.into()), data: Some(text.as_bytes()), version: -1 };
        match kind {
            Kind::Set => self.client.submit(&Request::SetData(set(format!("/w{number}-set")))),
            Kind::Pair => {
                let both = ["a", "b"].map(|name| MultiOp::SetData(set(format!("/w{number}-pair-{name}"))));
                self.client.submit(&Request::Multi(both.into()))
            }
            Kind::Create => {
                let path = format!("/w{number}-made/{sent}");
                self.client.submit(&Request::Create(CreateMode::Persistent.request(&path, b"", &self.acl)))
            }
        }
    }

    /// Looks at what the server kept; the counts then go on from what is there.
    fn check(&mut self, checker: &mut Client) -> Result<(), ClientError> {
        let number = self.number;
        let mut value = |name: &str| -> Result<u64, ClientError> {
            let (data, stat) = checker.get_data(&format!("/w{number}-{name}"), false)?;
            let found: u64 = String::from_utf8(data.unwrap()).unwrap().parse().unwrap();
            assert_eq!(found, stat.version as u64, "writer {number}: {name} was written another number of times");
            Ok(found)
        };
        let (set, a, b) = (value("set")?, value("pair-a")?, value("pair-b")?);
        assert_eq!(a, b, "writer {number}: half of a multi");
        let names = checker.get_children(&format!("/w{number}-made"), false)?;
        let mut made: Vec<u64> = names.iter().map(|name| name.parse().unwrap()).collect();
        made.sort_unstable();
        let last = made.last().copied().unwrap_or(0);
        assert!(made.iter().copied().eq(1..=last), "writer {number}: holes among {} created nodes", made.len());
        for (what, found, count) in [("set", set, 0), ("pair", a, 1), ("created", last, 2)] {
            let Count { sent, acked } = self.counts[count];
            let fits = (acked..=sent).contains(&found);
            assert!(fits, "writer {number}, {what}: found {found}, acknowledged {acked}, sent {sent}");
            self.counts[count] = Count { sent: found, acked: found };
        }
        assert!(checker.exists(&format!("/w{number}-alive"), false)?.is_some(), "writer {number}: ephemeral gone");
        Ok(())
    }
}

fn start(args: &Args, port: u16) -> Server {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(args.dir.join("server.log")).unwrap();
    let child = Command::new(&args.binary)
        .args(["serve", "--port", &port.to_string(), "--data-dir"])
        .arg(args.dir.join("data"))
        .args(["--set", "snapCount=2000", "--set", "tickTime=2000"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the server does not listen: see {}", args.dir.join("server.log").display());
        std::thread::sleep(Duration::from_millis(5));
    }
    Server(child)
}

/// A server process that does not outlive this program, however it ends.
struct Server(Child);

impl Server {
    fn kill(&mut self) {
        self.0.kill().expect("the server is ours");
        self.0.wait().expect("the server is ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn delete_newest_log(dir: &Path) {
    let mut logs: Vec<PathBuf> = std::fs::read_dir(dir.join("data/version-2"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("log."))
        .collect();
    logs.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    std::fs::remove_file(logs.last().unwrap()).unwrap();
}

fn main() -> Result<(), ClientError> {
    let args = Args::parse();
    let _ = std::fs::remove_dir_all(&args.dir);
    std::fs::create_dir_all(&args.dir).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut random = args.seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut server = start(&args, port);
    let mut writers: Vec<Writer> =
        (0..args.writers).map(|number| Writer::new(&address, number)).collect::<Result<_, _>>()?;
    for round in 1..=args.rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.write(args.depth));
            }
            std::thread::sleep(Duration::from_millis(20 + random % 400));
            server.kill();
        });
        if args.sabotage {
            delete_newest_log(&args.dir);
        }
        server = start(&args, port);
        let mut checker = Client::connect(&address, SESSION_TIMEOUT)?;
        for writer in &mut writers {
            let session = writer.client.session_id();
            writer.check(&mut checker)?;
            // The writer's own session goes on.
            writer.client.sync("/")?;
            assert_eq!(writer.client.session_id(), session);
        }
        checker.close();
        let acked: u64 = writers.iter().flat_map(|writer| writer.counts).map(|count| count.acked).sum();
        if round % 10 == 0 || round == args.rounds {
            println!("{round} kills survived; last acknowledged numbers add up to {acked}");
        }
    }
    Ok(())
}
