//! A server under load is killed with SIGKILL again and again; after each restart a checking client looks for
//! acknowledged writes that are gone and for writes that nobody sent:
//! `cargo run --release -p ostler-bench --example kill_loop -- --rounds 100`.
//!
//! Writers ([`checker`]) keep pipelines of writes and the same sessions over all restarts.
//! `--sabotage` deletes the newest log after each kill: the run must then fail.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::zombie_processes,
    reason = "a program that asserts; a failure ends it"
)]

mod checker;

use checker::Writer;
use clap::Parser;
use ostler_client::{Client, ClientError};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64};
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
        (0..args.writers).map(|number| Writer::new(&address, number, SESSION_TIMEOUT)).collect::<Result<_, _>>()?;
    for round in 1..=args.rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| writer.write(args.depth, Duration::ZERO, &AtomicBool::new(false), &AtomicU64::new(0)));
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
        let acked: u64 = writers.iter().map(|writer| writer.successes).sum();
        if round % 10 == 0 || round == args.rounds {
            println!("{round} kills survived; {acked} writes acknowledged");
        }
    }
    Ok(())
}
