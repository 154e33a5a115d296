//! A thin blocking driver of the session core over `std::net`: one thread, one socket, calls that wait.
//!
//! It is for tests and tools. Pings are sent while a call waits; a program that does something else for longer than
//! a third of the session's time-out calls [`Client::run_for`] in between.

use crate::address::{AddressError, Chroot, ConnectString, Host};
use crate::calls::Answer;
use crate::chroot;
use crate::effect::{Config, Effect, LinkId, RawReply, RequestError, RequestId, SessionState, SubmitError, WatchEvent};
use crate::session::Session;
use crate::texts;
use ostler_model::{ErrorCode, OpCode, Request, SessionId};
use ostler_wire::jute::DecodeError;
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The longest sleep in a socket read while output waits for room in the socket, ms.
const WRITE_RETRY: Duration = Duration::from_millis(1);
/// The longest look at another server for one that can write; pings of this session wait meanwhile.
const PROBE_WAIT: Duration = Duration::from_millis(200);
const READ_BYTES: usize = 64 << 10;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection string is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No server took the session in time; the last cause in words.
    #[error("{}", texts::not_connected(*.waited, .last))]
    NotConnected {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt met.
        last: String,
    },
    /// The request has no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The request was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The server refused: the code, and its meaning if it is known.
    #[error("the server answered with error {err} ({})", .code.map_or("unknown", ErrorCode::name))]
    Server {
        /// The number.
        err: i32,
        /// `None` for a number that this version does not know.
        code: Option<ErrorCode>,
    },
    /// The server's reply could not be read.
    #[error("the server's reply is malformed: {0:?}")]
    Malformed(DecodeError),
    /// The server's reply is not one to this operation.
    #[error("the reply to {0:?} has another operation's shape")]
    Unexpected(OpCode),
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        ClientError::Malformed(error)
    }
}

impl ClientError {
    /// The server's error code, if it is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Server { code, .. } => *code,
            _ => None,
        }
    }
}

/// A session with a server or an ensemble. Dropping it leaves the session to expire; [`Client::close`] ends it.
pub struct Client {
    session: Session,
    chroot: Chroot,
    hosts: Vec<Host>,
    started: Instant,
    socket: Option<Socket>,
    answers: HashMap<RequestId, Result<Answer, RequestError>>,
    events: VecDeque<WatchEvent>,
    states: VecDeque<SessionState>,
}

struct Socket {
    link: LinkId,
    stream: TcpStream,
    output: VecDeque<u8>,
}

impl Client {
    /// Opens a session with `host:port,.../chroot` and waits for it, at most `timeout`, which is also the session
    /// time-out asked for.
    pub fn connect(address: &str, timeout: Duration) -> Result<Client, ClientError> {
        let seed = Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        Client::connect_with(address, Config::new(timeout_ms, 1, seed), timeout)
    }

    /// As [`Client::connect`] with more settings; `config.servers` is set from the address.
    pub fn connect_with(address: &str, mut config: Config, wait: Duration) -> Result<Client, ClientError> {
        let ConnectString { hosts, chroot } = ConnectString::parse(address)?;
        config.servers = hosts.len();
        let mut client = Client {
            session: Session::new(0, config),
            chroot,
            hosts,
            started: Instant::now(),
            socket: None,
            answers: HashMap::new(),
            events: VecDeque::new(),
            states: VecDeque::new(),
        };
        client.wait_connected(wait)?;
        Ok(client)
    }

    /// The session's id.
    pub fn session_id(&self) -> SessionId {
        self.session.id()
    }

    /// The session core, to look at.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Sends a request and does not wait: [`Client::wait`] gets its answer. Answers that are never waited for are
    /// kept.
    pub fn submit(&mut self, request: &Request<'_>) -> Result<RequestId, ClientError> {
        let now = self.now_ms();
        let id = self.session.submit(now, &chroot::outside(&self.chroot, request))?;
        self.effects();
        Ok(id)
    }

    /// Waits for the answer to a request.
    pub fn wait(&mut self, id: RequestId) -> Result<Answer, ClientError> {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Ok(answer?);
            }
            self.turn(None);
        }
    }

    /// Submits and waits.
    pub fn call(&mut self, request: &Request<'_>) -> Result<Answer, ClientError> {
        let id = self.submit(request)?;
        self.wait(id)
    }

    /// The next watch event, waiting for it at most this long.
    pub fn next_event(&mut self, wait: Duration) -> Option<WatchEvent> {
        let until = Instant::now() + wait;
        while self.events.is_empty() && Instant::now() < until {
            self.turn(Some(until));
        }
        self.events.pop_front()
    }

    /// The next change of the session's state that has been noticed.
    pub fn next_state(&mut self) -> Option<SessionState> {
        self.states.pop_front()
    }

    /// Keeps the session alive for this long.
    pub fn run_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(Some(until));
        }
    }

    /// Ends the session at the server: its ephemerals go.
    pub fn close(mut self) {
        let now = self.now_ms();
        self.session.close(now);
        self.effects();
        while !self.session.has_ended() {
            self.turn(None);
        }
    }

    /// Cuts the connection without a word, as a failing network would; the session goes on with the next call.
    pub fn cut(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.lost(socket.link, Some("cut on purpose".into()));
        }
    }

    pub(crate) fn submit_auth(&mut self, scheme: &str, auth: &[u8]) -> Result<RequestId, ClientError> {
        let now = self.now_ms();
        let id = self.session.add_auth(now, scheme, auth)?;
        self.effects();
        Ok(id)
    }

    pub(crate) fn inside(&self, outside: String) -> String {
        match self.chroot.inside(&outside) {
            same if same.len() == outside.len() => outside,
            shorter => shorter.into(),
        }
    }

    fn wait_connected(&mut self, wait: Duration) -> Result<(), ClientError> {
        let mut last = String::from("no attempt was finished");
        self.effects();
        loop {
            while let Some(state) = self.states.pop_front() {
                match state {
                    SessionState::Connected { .. } => return Ok(()),
                    SessionState::Suspended(cause) => last = cause.to_string(),
                    ended => last = format!("{ended:?}"),
                }
            }
            let waited = self.started.elapsed();
            if waited >= wait || self.session.has_ended() {
                return Err(ClientError::NotConnected { waited, last });
            }
            self.turn(Some(self.started + wait));
        }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Moves bytes once in both directions, waiting for some at most until the next deadline, then ticks.
    fn turn(&mut self, until: Option<Instant>) {
        let deadline = self.session.next_deadline_ms().map(|ms| self.started + Duration::from_millis(ms));
        let until = [until, deadline].into_iter().flatten().min();
        let wait = until.map_or(WRITE_RETRY, |until| until.saturating_duration_since(Instant::now()));
        match self.socket.as_mut().map(|socket| socket.exchange(wait)) {
            None => std::thread::sleep(wait.min(Duration::from_millis(10))),
            Some(Ok(bytes)) => {
                let link = self.socket.as_ref().expect("just used").link;
                let now = self.now_ms();
                self.session.received(now, link, &bytes);
            }
            Some(Err(why)) => {
                let link = self.socket.take().expect("just used").link;
                self.lost(link, why);
            }
        }
        let now = self.now_ms();
        self.session.tick(now);
        self.effects();
    }

    fn lost(&mut self, link: LinkId, why: Option<String>) {
        let now = self.now_ms();
        self.session.link_down(now, link, why);
        self.effects();
    }

    fn effects(&mut self) {
        while let Some(effect) = self.session.take_effect() {
            match effect {
                Effect::Connect { link, server } => self.dial(link, server),
                Effect::Send { link, bytes } => {
                    if let Some(socket) = self.socket.as_mut().filter(|socket| socket.link == link) {
                        socket.output.extend(bytes);
                        // A failure shows in the next read.
                        let _ = socket.flush();
                    }
                }
                Effect::Disconnect { link } => {
                    if let Some(socket) = self.socket.take_if(|socket| socket.link == link) {
                        let _ = socket.stream.shutdown(Shutdown::Both);
                    }
                }
                Effect::Probe { server } => {
                    let can_write = ask_what_it_is(&self.hosts[server]).is_ok_and(|answer| &answer == b"rw");
                    let now = self.now_ms();
                    self.session.probed(now, server, can_write);
                }
                Effect::Reply { id, op, result } => {
                    self.answers.insert(id, result.map(|raw: RawReply| Answer { op, raw }));
                }
                Effect::Event(mut event) => {
                    event.path = self.inside(event.path);
                    self.events.push_back(event);
                }
                Effect::State(state) => self.states.push_back(state),
            }
        }
    }

    fn dial(&mut self, link: LinkId, server: usize) {
        let deadline = self.session.next_deadline_ms().unwrap_or(0);
        let wait = Duration::from_millis(deadline.saturating_sub(self.now_ms()).max(1));
        match open(&self.hosts[server], wait) {
            Ok(stream) => {
                self.socket = Some(Socket { link, stream, output: VecDeque::new() });
                let now = self.now_ms();
                self.session.connected(now, link);
            }
            Err(error) => {
                let Host { name, port } = &self.hosts[server];
                let why = format!("cannot connect to {name}:{port}: {error}");
                let now = self.now_ms();
                self.session.link_down(now, link, Some(why));
            }
        }
    }
}

fn ask_what_it_is(host: &Host) -> std::io::Result<[u8; 2]> {
    let mut stream = open(host, PROBE_WAIT)?;
    stream.set_read_timeout(Some(PROBE_WAIT))?;
    stream.write_all(b"isro")?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn open(host: &Host, wait: Duration) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host.name.as_str(), host.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, wait) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Socket {
    /// Writes what the socket takes, then reads what is there, waiting for it at most `wait`. An error says why the
    /// connection is gone: `None` if the server closed it.
    fn exchange(&mut self, wait: Duration) -> Result<Vec<u8>, Option<String>> {
        let words = |error: std::io::Error| Some(error.to_string());
        self.flush().map_err(words)?;
        let wait = if self.output.is_empty() { wait } else { wait.min(WRITE_RETRY) };
        // A time-out of zero means "none" to the socket.
        self.stream.set_read_timeout(Some(wait.max(Duration::from_micros(100)))).map_err(words)?;
        let mut bytes = vec![0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(None),
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(words(error)),
        }
    }

    /// Writes without waiting: a server that waits for us to read must not keep us from it.
    fn flush(&mut self) -> std::io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.stream.set_nonblocking(true)?;
        let result = loop {
            match self.stream.write(self.output.make_contiguous()) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.output.is_empty() {
                break Ok(());
            }
        };
        self.stream.set_nonblocking(false)?;
        result
    }
}
