//! Starts the real binary on a free port and speaks to it over raw sockets. Nothing here waits blindly: everything
//! polls with a deadline.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod members;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine, short enough to notice a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

static DIRS: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed at the end.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        let number = DIRS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ostler-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits until `done` answers something.
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running server.
pub struct Server {
    pub child: Child,
    pub port: u16,
    pub log: Arc<Mutex<Vec<String>>>,
}

/// The binary under test; $OSTLER names another (a release build, or one that is broken on purpose: interop/mutants).
pub fn ostler() -> PathBuf {
    std::env::var_os("OSTLER").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ostler")), PathBuf::from)
}

pub fn command(dir: &Path, extra: &[&str]) -> Command {
    let mut command = Command::new(ostler());
    command.args(["serve", "--port", "0", "--data-dir"]).arg(dir).args(extra);
    command.env_clear();
    command
}

/// The same, started through a shell after `setup`, for limits that only a parent can set.
pub fn command_after(setup: &str, dir: &Path, extra: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.env_clear();
    let line = format!("{setup}; exec \"$0\" \"$@\"");
    command.args(["-c", &line]).arg(ostler()).args(["serve", "--port", "0", "--data-dir"]).arg(dir);
    command.args(extra);
    command
}

/// What a command that ends says. One that serves instead is killed after a while, and the test fails.
pub fn output_of(mut command: Command) -> Output {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= end {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

impl Server {
    pub fn start(dir: &Path, extra: &[&str]) -> Server {
        Server::spawn(command(dir, extra))
    }

    pub fn spawn(mut command: Command) -> Server {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let seen = Arc::clone(&log);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| seen.lock().unwrap().push(line)));
        let mut server = Server { child, port: 0, log };
        server.port = until("the server listens", || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {:#?}", server.log.lock().unwrap());
            }
            server.find("listening for clients on").map(|line| {
                let rest = line.split("listening for clients on ").nth(1).unwrap();
                let address = rest.split(';').next().unwrap();
                address.rsplit(':').next().unwrap().parse().unwrap()
            })
        });
        server
    }

    /// The first log line that contains `text`.
    pub fn find(&self, text: &str) -> Option<String> {
        self.log.lock().unwrap().iter().find(|line| line.contains(text)).cloned()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        until("the server ends", || self.child.try_wait().unwrap())
    }

    /// SIGTERM, and everything went well.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait().code(), Some(0), "{:#?}", self.log.lock().unwrap());
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Everything that comes back for raw bytes, until the server closes.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_to_end(&mut stream)
    }

    pub fn word(&self, word: &str) -> String {
        String::from_utf8(self.exchange(word.as_bytes())).unwrap()
    }

    pub fn session(&self, timeout_ms: i32) -> Session {
        Session::open(self, timeout_ms, 0, &[0; 16]).unwrap()
    }

    /// Resident memory.
    pub fn rss_kb(&self) -> u64 {
        self.memory_kb("VmRSS:")
    }

    /// Resident memory that is not the binary itself.
    pub fn own_memory_kb(&self) -> u64 {
        self.memory_kb("RssAnon:")
    }

    fn memory_kb(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the peer closes; a reset counts as closing.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return bytes,
            Ok(n) => bytes.extend_from_slice(&part[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
}

/// A length prefix and the bytes.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

pub fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text.as_bytes());
}

pub fn connect_frame(timeout_ms: i32, session: i64, password: &[u8; 16]) -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(0_i32.to_be_bytes());
    payload.extend(0_i64.to_be_bytes());
    payload.extend(timeout_ms.to_be_bytes());
    payload.extend(session.to_be_bytes());
    payload.extend(16_i32.to_be_bytes());
    payload.extend(password);
    payload.push(0);
    frame(&payload)
}

pub fn request(xid: i32, op: i32, body: &[u8]) -> Vec<u8> {
    let mut payload = xid.to_be_bytes().to_vec();
    payload.extend(op.to_be_bytes());
    payload.extend(body);
    frame(&payload)
}

pub fn create_body(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, path);
    body.extend((data.len() as u32).to_be_bytes());
    body.extend(data);
    body.extend(1_i32.to_be_bytes());
    body.extend(31_i32.to_be_bytes());
    text(&mut body, "world");
    text(&mut body, "anyone");
    body.extend(flags.to_be_bytes());
    body
}

pub fn path_watch(path: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, path);
    body.push(0);
    body
}

pub fn set_body(path: &str, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, path);
    body.extend((data.len() as u32).to_be_bytes());
    body.extend(data);
    body.extend((-1_i32).to_be_bytes());
    body
}

/// A reply.
#[derive(Debug)]
pub struct Reply {
    pub xid: i32,
    pub zxid: i64,
    pub err: i32,
    pub body: Vec<u8>,
}

/// A client with a session, one request at a time.
pub struct Session {
    pub stream: TcpStream,
    pub id: i64,
    pub password: [u8; 16],
    pub timeout_ms: i32,
    xid: i32,
}

impl Session {
    /// `None`: closed without an answer, or refused as expired.
    pub fn open(server: &Server, timeout_ms: i32, session: i64, password: &[u8; 16]) -> Option<Session> {
        Session::begin(server.connect(), timeout_ms, session, password)
    }

    /// The same over a connection that stands.
    pub fn begin(mut stream: TcpStream, timeout_ms: i32, session: i64, password: &[u8; 16]) -> Option<Session> {
        stream.write_all(&connect_frame(timeout_ms, session, password)).ok()?;
        let answer = read_frame(&mut stream).ok()?;
        Some(Session::over(stream, &answer)).filter(|session| session.id != 0)
    }

    /// Over a connection whose handshake was answered with this.
    pub fn over(stream: TcpStream, answer: &[u8]) -> Session {
        let timeout_ms = i32::from_be_bytes(answer[4..8].try_into().unwrap());
        let id = i64::from_be_bytes(answer[8..16].try_into().unwrap());
        let password = answer[20..36].try_into().unwrap();
        Session { stream, id, password, timeout_ms, xid: 0 }
    }

    pub fn send(&mut self, op: i32, body: &[u8]) -> i32 {
        self.xid += 1;
        self.stream.write_all(&request(self.xid, op, body)).unwrap();
        self.xid
    }

    pub fn receive(&mut self) -> std::io::Result<Reply> {
        let bytes = read_frame(&mut self.stream)?;
        Ok(Reply {
            xid: i32::from_be_bytes(bytes[0..4].try_into().unwrap()),
            zxid: i64::from_be_bytes(bytes[4..12].try_into().unwrap()),
            err: i32::from_be_bytes(bytes[12..16].try_into().unwrap()),
            body: bytes[16..].to_vec(),
        })
    }

    pub fn call(&mut self, op: i32, body: &[u8]) -> Reply {
        let xid = self.send(op, body);
        let reply = self.receive().unwrap();
        assert_eq!(reply.xid, xid);
        reply
    }

    pub fn create(&mut self, path: &str, data: &[u8], flags: i32) -> i32 {
        self.call(1, &create_body(path, data, flags)).err
    }

    pub fn set(&mut self, path: &str, data: &[u8]) -> i32 {
        self.call(5, &set_body(path, data)).err
    }

    /// The data, `None` if there is no such node.
    pub fn get(&mut self, path: &str) -> Option<Vec<u8>> {
        let reply = self.call(4, &path_watch(path));
        if reply.err == -101 {
            return None;
        }
        assert_eq!(reply.err, 0);
        let length = i32::from_be_bytes(reply.body[..4].try_into().unwrap()).max(0) as usize;
        Some(reply.body[4..4 + length].to_vec())
    }

    pub fn ping_only(&mut self) {
        self.stream.write_all(&request(-2, 11, &[])).unwrap();
    }

    pub fn hang_up(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

pub fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut payload = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}
