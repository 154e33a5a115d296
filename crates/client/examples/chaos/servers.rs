//! Three servers in processes of their own, which do not outlive this program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const SERVERS: usize = 3;

/// A process that ends with this value.
pub struct Process(pub Child);

impl Process {
    pub fn kill(&mut self) {
        self.0.kill().expect("the process is ours");
        self.0.wait().expect("the process is ours");
    }

    /// STOP or CONT.
    pub fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill is part of every system");
        assert!(sent.success(), "the process is ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A panic ends this process at once in a release build: then its children are ended first.
pub fn end_children_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let own = std::process::id().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            // "pid (name) state parent ...".
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
            if parent == Some(own.as_str()) {
                let pid = entry.file_name();
                // It may end by itself meanwhile.
                let _ = Command::new("kill").args(["-s", "KILL"]).arg(pid).status();
            }
        }
    }));
}

pub struct Server {
    pub port: u16,
    dir: PathBuf,
    binary: PathBuf,
    pub process: Process,
}

fn spawn(binary: &Path, dir: &Path) -> Process {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("server.log"));
    let log = log.expect("a new folder can be written");
    let child = Command::new(binary)
        .arg(dir.join("zoo.cfg"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file has another handle"))
        .stderr(log)
        .spawn();
    Process(child.unwrap_or_else(|error| panic!("{}: {error}\nhint: name the server with --binary", binary.display())))
}

/// Starts all of them in a folder, which is emptied first.
pub fn start(binary: &Path, dir: &Path) -> Vec<Server> {
    // It may not be there.
    let _ = std::fs::remove_dir_all(dir);
    let held: Vec<TcpListener> =
        (0..3 * SERVERS).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let port = |at: usize| held[at].local_addr().expect("a bound socket has an address").port();
    let ports: Vec<u16> = (0..3 * SERVERS).map(port).collect();
    drop(held);
    let member = |number: usize| {
        format!("server.{}=127.0.0.1:{}:{}\n", number + 1, ports[3 * number + 1], ports[3 * number + 2])
    };
    let members: String = (0..SERVERS).map(member).collect();
    let start = |number: usize| {
        let (dir, port) = (dir.join(format!("server-{}", number + 1)), ports[3 * number]);
        std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("cannot create {}: {error}", dir.display()));
        let dir = dir.canonicalize().expect("it was just made");
        let settings = "tickTime=500\ninitLimit=20\nsyncLimit=10\nminSessionTimeout=1000\nmaxClientCnxns=0\nadmin.enableServer=false";
        let config = format!("{settings}\ndataDir={}\nclientPort={port}\n{members}", dir.display());
        std::fs::write(dir.join("myid"), format!("{}\n", number + 1)).expect("a new folder can be written");
        std::fs::write(dir.join("zoo.cfg"), config).expect("a new folder can be written");
        Server { port, process: spawn(binary, &dir), binary: binary.to_owned(), dir }
    };
    (0..SERVERS).map(start).collect()
}

impl Server {
    pub fn restart(&mut self) {
        self.process = spawn(&self.binary, &self.dir);
    }

    /// `None` if it serves nobody.
    pub fn mode(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(b"srvr").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }
}
