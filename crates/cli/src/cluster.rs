//! `ostler cluster start`: an ensemble on this machine in one command, for trying things out and for tests.
//!
//! Each server is a process of its own with a folder of its own, so that one can be killed and started again by hand.
//! Ctrl-C (or SIGTERM) stops all of them in order.

use clap::{Args as ClapArgs, Subcommand};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the servers may take until all of them serve; much longer than they need.
const START_MAX: Duration = Duration::from_secs(60);
/// How long they may take to stop; after that they are killed, which loses nothing.
const STOP_MAX: Duration = Duration::from_secs(15);
/// Between two looks at the servers.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Subcommand, Debug)]
pub enum Cluster {
    /// Start an ensemble on this machine: a folder and a process for each server; Ctrl-C stops all.
    Start(Start),
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ostler cluster start                                     three servers, clients at 2181, 2182, 2183
  ostler cluster start --servers 5 --set tickTime=500      five, with short ticks")]
pub struct Start {
    /// How many servers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub servers: u16,
    /// Client port of server 1; the others follow. Votes and replication use this + 1000 and + 2000.
    #[arg(long, default_value_t = 2181)]
    pub port: u16,
    /// Where the folders are.
    #[arg(long, default_value = "./ostler-cluster", value_name = "DIR")]
    pub dir: PathBuf,
    /// A setting of zoo.cfg for all servers, for example --set tickTime=500. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Ports of one server.
#[derive(Clone, Copy, Debug)]
struct Ports {
    client: u16,
    election: u16,
    quorum: u16,
}

struct Server {
    number: u16,
    ports: Ports,
    log: PathBuf,
    child: Child,
    /// It ended by itself, or was killed, and that was told.
    ended: bool,
}

/// Runs it until a signal comes, a server ends before all serve, or all have ended.
pub fn run(cluster: &Cluster) -> ExitCode {
    let Cluster::Start(start) = cluster;
    match start_all(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("ostler: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Everything for people goes to stderr; stdout is for data.
#[allow(clippy::print_stderr, reason = "a command's output")]
fn tell(line: &str) {
    eprintln!("{line}");
}

fn start_all(start: &Start) -> Result<(), String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| format!("cannot set up signal handlers: {error}"))?;
    }
    let ports = ports(start)?;
    let mut servers = Vec::new();
    for number in 1..=start.servers {
        match spawn(start, &ports, number) {
            Ok(server) => servers.push(server),
            Err(error) => {
                stop_all(&mut servers);
                return Err(error);
            }
        }
    }
    let result = serve(&mut servers, &stop);
    stop_all(&mut servers);
    result
}

fn serve(servers: &mut [Server], stop: &AtomicBool) -> Result<(), String> {
    let begun = Instant::now();
    let mut told = false;
    while !stop.load(Ordering::Relaxed) {
        for server in servers.iter_mut().filter(|server| !server.ended) {
            let Ok(Some(status)) = server.child.try_wait() else { continue };
            let (number, log) = (server.number, server.log.display());
            let ended = format!("server {number} ended with {status}");
            if !told {
                let last = last_lines(&server.log);
                return Err(format!("{ended}\n{last}hint: the whole log is in {log}"));
            }
            // Losing one is what an ensemble is for.
            server.ended = true;
            let config = server.log.with_file_name("zoo.cfg");
            tell(&format!("{ended}; its log is {log}\nhint: start it again with: ostler {}", config.display()));
        }
        if servers.iter().all(|server| server.ended) {
            return Err("all servers ended\nhint: look into their logs".to_owned());
        }
        if !told {
            let modes: Vec<Option<String>> = servers.iter().map(|server| mode(server.ports.client)).collect();
            if modes.iter().all(Option::is_some) {
                announce(servers, &modes, begun.elapsed());
                told = true;
            } else if begun.elapsed() > START_MAX {
                let seconds = START_MAX.as_secs();
                return Err(format!(
                    "the servers did not form an ensemble within {seconds} s\nhint: look into their logs"
                ));
            }
        }
        std::thread::sleep(LOOK);
    }
    tell("stopping all servers ...");
    Ok(())
}

fn announce(servers: &[Server], modes: &[Option<String>], took: Duration) {
    let mut text = format!("{} servers serve after {} ms:\n", servers.len(), took.as_millis());
    for (server, mode) in servers.iter().zip(modes) {
        let Ports { client, election, quorum } = server.ports;
        let mode = mode.as_deref().unwrap_or("?");
        let _ = writeln!(
            text,
            "  server {}  {mode:<10} clients 127.0.0.1:{client}  quorum {quorum}  election {election}  pid {}  log {}",
            server.number,
            server.child.id(),
            server.log.display()
        );
    }
    let connect: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.ports.client)).collect();
    let connect = connect.join(",");
    let _ = write!(
        text,
        "connect with {connect}\ntry: zkCli.sh -server {connect} create /greeting hello\n\
         kill -9 the leader and look again: echo srvr | nc 127.0.0.1 {}\nCtrl-C stops all servers.",
        servers[0].ports.client
    );
    tell(&text);
}

fn ports(start: &Start) -> Result<Vec<Ports>, String> {
    let port = |base: u32, number: u16| {
        u16::try_from(u32::from(start.port) + base + u32::from(number) - 1).map_err(|_| {
            format!(
                "--port {}: the ports of {} servers do not fit below 65536\nhint: choose a smaller one",
                start.port, start.servers
            )
        })
    };
    (1..=start.servers)
        .map(|number| {
            Ok(Ports { client: port(0, number)?, election: port(2_000, number)?, quorum: port(1_000, number)? })
        })
        .collect()
}

fn spawn(start: &Start, ports: &[Ports], number: u16) -> Result<Server, String> {
    let dir = start.dir.join(format!("server-{number}"));
    let failed = |what: &str, path: &Path, error: &io::Error| {
        format!("cannot {what} {}: {error}\nhint: choose another folder with --dir", path.display())
    };
    fs::create_dir_all(&dir).map_err(|error| failed("create", &dir, &error))?;
    let dir = fs::canonicalize(&dir).map_err(|error| failed("find", &dir, &error))?;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| failed("write", &path, &error)).map(|()| path)
    };
    write("myid", &format!("{number}\n"))?;
    let config = dir.join("zoo.cfg");
    if is_changed(&config) {
        tell(&format!(
            "server {number} starts with the servers of its last reconfiguration\n\
             hint: to begin anew, remove the folder; --set and --port have no effect on {}",
            config.display()
        ));
    } else {
        write("zoo.cfg", &config_text(start, ports, number, &dir))?;
    }
    let log = dir.join("server.log");
    let output = File::options().create(true).append(true).open(&log).map_err(|error| failed("write", &log, &error))?;
    let binary = std::env::current_exe().map_err(|error| format!("cannot find the binary itself: {error}"))?;
    let child = Command::new(binary)
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        // The terminal's Ctrl-C is for this process; the servers are stopped one by one.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start server {number}: {error}"))?;
    Ok(Server { number, ports: ports[usize::from(number) - 1], log, child, ended: false })
}

/// A server rewrote the file (`reconfigEnabled=true`): who its members are, it knows better.
fn is_changed(config: &Path) -> bool {
    fs::read_to_string(config).is_ok_and(|text| text.lines().any(|line| line.starts_with("dynamicConfigFile=")))
}

fn config_text(start: &Start, ports: &[Ports], number: u16, dir: &Path) -> String {
    let mut text = format!(
        "# Written by `ostler cluster start`.\ntickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={}\n\
         extendedTypesEnabled=true\n",
        dir.display(),
        ports[usize::from(number) - 1].client
    );
    if ports.len() == 1 {
        text.push_str("standaloneEnabled=false\n");
    }
    for (index, Ports { election, quorum, .. }) in ports.iter().enumerate() {
        let _ = writeln!(text, "server.{}=127.0.0.1:{quorum}:{election}", index + 1);
    }
    for item in &start.set {
        let _ = writeln!(text, "{item}");
    }
    text
}

/// What a server says it is; `None` if it serves nobody yet.
fn mode(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"srvr").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].iter().map(|line| format!("  {line}\n")).collect()
}

fn stop_all(servers: &mut [Server]) {
    for server in servers.iter().filter(|server| !server.ended) {
        // Fails only if it has ended by itself.
        if let Some(pid) = i32::try_from(server.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    let until = Instant::now() + STOP_MAX;
    for server in servers {
        while matches!(server.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                tell(&format!("server {} does not stop: it is killed", server.number));
                let _ = server.child.kill();
            }
            std::thread::sleep(LOOK);
        }
    }
}
