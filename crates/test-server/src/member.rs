//! One server with its folder and its door, whether alone or in an ensemble.

use crate::door::Door;
use ostler_model::{Request, SessionId, Zxid, session_password};
use ostler_server::Embedded;
use ostler_server::config::{Config, Inputs};
use ostler_wire::client::{ConnectRequest, ConnectResponse};
use ostler_wire::peer;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a server may take to answer; much longer than it needs.
const PATIENCE: Duration = Duration::from_secs(30);
/// What tests want: small ticks, everything on, no bound on connections of this one machine.
const SETTINGS: &[(&str, &str)] = &[
    ("tickTime", "500"),
    ("initLimit", "20"),
    ("syncLimit", "10"),
    ("minSessionTimeout", "200"),
    ("maxSessionTimeout", "60000"),
    ("maxClientCnxns", "0"),
    ("extendedTypesEnabled", "true"),
    ("reconfigEnabled", "true"),
    ("4lw.commands.whitelist", "*"),
    ("clientPortAddress", "127.0.0.1"),
];

/// A number for folders, so that two servers of one process have two.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub struct Member {
    pub door: Door,
    dir: PathBuf,
    server: Option<Embedded>,
}

impl Member {
    /// `servers`: the lines `server.N=...` of an ensemble.
    pub fn start(number: u16, settings: &[(&str, &str)], servers: &str) -> Member {
        let folder = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ostler-test-server-{}-{folder}", std::process::id()));
        // A folder of an earlier process with this id is somebody's leftover.
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("cannot create {}: {error}", dir.display()));
        let mut text = String::new();
        let kept = SETTINGS.iter().filter(|(key, _)| !settings.iter().any(|(other, _)| other == key));
        for (key, value) in kept.chain(settings) {
            text.push_str(&format!("{key}={value}\n"));
        }
        text.push_str(&format!("dataDir={}\n{servers}", dir.display()));
        std::fs::write(dir.join("zoo.cfg"), text).expect("a new folder can be written");
        std::fs::write(dir.join("myid"), number.to_string()).expect("a new folder can be written");
        let mut member = Member { door: Door::new(), dir, server: None };
        member.restart();
        member
    }

    pub fn restart(&mut self) {
        self.stop();
        // In a file, port 0 would mean that nobody can connect; as an argument it means a free one.
        let overrides = vec![("clientPort".to_owned(), "0".to_owned(), "--port")];
        let inputs = Inputs { file: Some(self.dir.join("zoo.cfg")), overrides, ..Inputs::default() };
        let loaded = Config::load(&inputs).unwrap_or_else(|error| panic!("the test's settings: {error}"));
        let server = Embedded::start(loaded).unwrap_or_else(|error| panic!("the test server cannot start: {error}"));
        self.door.lead_to(u16::try_from(server.client_port()).expect("it has a client port"));
        self.server = Some(server);
    }

    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            self.door.lead_nowhere();
            server.stop().unwrap_or_else(|error| panic!("the test server failed: {error}"));
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let port = self.server.as_ref().and_then(|server| u16::try_from(server.client_port()).ok());
        let stream = TcpStream::connect(("127.0.0.1", port.ok_or(io::ErrorKind::NotConnected)?))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    pub fn word(&self, word: &str) -> io::Result<String> {
        let mut stream = self.connect()?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// What `srvr` calls its mode; `None` if it serves nobody.
    pub fn mode(&self) -> Option<String> {
        self.word("srvr").ok()?.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    /// Takes the session over with its password, which every server derives from the id, and closes it. That closes the
    /// client's own connection.
    pub fn expire(&self, session: SessionId) {
        self.try_expire(session).unwrap_or_else(|error| panic!("session {session} cannot be expired: {error}"));
    }

    fn try_expire(&self, session: SessionId) -> io::Result<()> {
        let mut stream = self.connect()?;
        let mut bytes = Vec::new();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 10_000,
            session,
            password: session_password(session).to_vec(),
            read_only: Some(false),
        }
        .encode(&mut bytes);
        stream.write_all(&bytes)?;
        let answer = frame(&mut stream)?;
        let answer = ConnectResponse::decode(&answer).map_err(|error| io::Error::other(format!("{error:?}")))?;
        if answer.session != session {
            return Err(io::Error::other("the server does not know it"));
        }
        bytes.clear();
        peer::encode_request(&mut bytes, 1, &Request::CloseSession);
        stream.write_all(&bytes)?;
        frame(&mut stream)?;
        // Nobody reads its end.
        let _ = stream.shutdown(Shutdown::Both);
        Ok(())
    }
}

fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut payload = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.server.take());
        // Left behind at worst.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
