//! The sockets between members: two listeners, connections in both directions, names resolved anew at each attempt.

use crate::config::Listen;
use crate::doorbell::Doorbell;
use crate::open_port::OpenPort;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token, event::Event};
use ostler_node::Port;
use ostler_zab::LinkId;
use socket2::{SockRef, TcpKeepalive};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tracing::warn;

/// Tokens from here on are those of members' sockets; clients' are far below.
pub const FIRST_TOKEN: usize = 1 << 32;
/// The token of the election port.
pub const ELECTION: Token = Token(FIRST_TOKEN);
/// The token of the quorum port.
pub const QUORUM: Token = Token(FIRST_TOKEN + 1);
const FIRST_LINK: usize = FIRST_TOKEN + 2;
/// Connections that may be there at once: far more than an ensemble has, far less than would hurt.
const SOCKETS_MAX: usize = 1_024;
/// A peer that vanished without a word is noticed after about this long, also where the protocol is silent and nothing waits to be
/// acknowledged (DEV-13).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// One connection's reads in one turn.
const READS_PER_TURN: usize = 16;

/// How long connections may take, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To be made (`cnxTimeout`).
    pub connect_ms: u64,
    /// To acknowledge what was sent on the election port (DEV-13). Nothing else there tells that a server that is still
    /// heard hears nothing: it would be elected as long as its votes arrive.
    pub election_ms: u64,
    /// The same on the quorum port, where a learner that reads no more is meant, too.
    pub quorum_ms: u64,
}

struct Socket {
    stream: TcpStream,
    /// An attempt under way: when it is given up, and the addresses to be tried next.
    connecting: Option<(u64, Vec<SocketAddr>)>,
    readable: bool,
    /// The peer closed its side: a short read does not mean that all was read.
    peer_closed: bool,
    blocked: bool,
}

/// What happened to a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Happened {
    /// An ordered connection stands.
    Connected,
    /// It takes output (again).
    Writable,
    /// Bytes arrived.
    Bytes(Vec<u8>),
    /// It is over.
    Ended,
}

/// All sockets of a member.
pub struct PeerSockets {
    election: OpenPort,
    quorum: OpenPort,
    sockets: BTreeMap<LinkId, Socket>,
    accepting: Vec<Port>,
    readable: Vec<LinkId>,
    writable: Vec<LinkId>,
    /// Connections that stand, or ended, without having been asked.
    news: Vec<(LinkId, Happened)>,
    resolved: Receiver<(LinkId, io::Result<Vec<SocketAddr>>)>,
    resolver: Sender<(LinkId, io::Result<Vec<SocketAddr>>)>,
    doorbell: Arc<Doorbell>,
    patience: Patience,
    /// Which ports the connections that were ordered go to, while their names are looked up or their addresses tried.
    dialled: BTreeMap<LinkId, Port>,
}

impl PeerSockets {
    /// Takes over the two ports, which are watched under [`ELECTION`] and [`QUORUM`].
    pub fn new(election: OpenPort, quorum: OpenPort, doorbell: Arc<Doorbell>, patience: Patience) -> PeerSockets {
        let (resolver, resolved) = channel();
        PeerSockets {
            election,
            quorum,
            sockets: BTreeMap::new(),
            accepting: vec![Port::Election, Port::Quorum],
            readable: Vec::new(),
            writable: Vec::new(),
            news: Vec::new(),
            resolved,
            resolver,
            doorbell,
            patience,
            dialled: BTreeMap::new(),
        }
    }

    /// Both ports are elsewhere from now on. Both are closed first: they may change places.
    pub fn move_ports(&mut self, registry: &Registry, [election, quorum]: [Listen; 2]) {
        self.election.move_to(registry, election);
        self.quorum.move_to(registry, quorum);
    }

    /// How long connections may take.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// An event of the poll with one of our tokens.
    pub fn ready(&mut self, event: &Event) {
        match event.token() {
            ELECTION => self.accepting.push(Port::Election),
            QUORUM => self.accepting.push(Port::Quorum),
            Token(token) => {
                let link = LinkId((token - FIRST_LINK) as u64);
                let Some(socket) = self.sockets.get_mut(&link) else { return };
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    socket.readable = true;
                    socket.peer_closed |= event.is_read_closed() || event.is_error();
                    self.readable.push(link);
                }
                if event.is_writable() || event.is_error() || event.is_write_closed() {
                    socket.blocked = false;
                    self.writable.push(link);
                }
            }
        }
    }

    /// True if there is something to do without waiting.
    pub fn has_work(&self) -> bool {
        !self.accepting.is_empty() || !self.readable.is_empty() || !self.writable.is_empty() || !self.news.is_empty()
    }

    /// When an attempt to connect is given up, or one to open a port is due.
    pub fn next_deadline(&self) -> Option<u64> {
        let attempts = self.sockets.values().filter_map(|socket| socket.connecting.as_ref().map(|(until, _)| *until));
        attempts.chain(self.election.next_deadline()).chain(self.quorum.next_deadline()).min()
    }

    /// Accepts what waits; `name` gives out the name of a connection.
    pub fn accept(&mut self, registry: &Registry, now_ms: u64, mut name: impl FnMut(Port) -> LinkId) {
        for (port, open) in [(Port::Election, &mut self.election), (Port::Quorum, &mut self.quorum)] {
            if open.retry(registry, now_ms) {
                self.accepting.push(port);
            }
        }
        let mut ports = std::mem::take(&mut self.accepting);
        ports.dedup();
        for port in ports {
            loop {
                let open = if port == Port::Election { &self.election } else { &self.quorum };
                let Some(listener) = open.listener() else { break };
                match listener.accept() {
                    Ok((stream, peer)) if self.sockets.len() >= SOCKETS_MAX => {
                        warn!(%peer, "too many connections of other servers: this one is closed; hint: what connects there?");
                        drop(stream);
                    }
                    Ok((stream, _)) => {
                        let link = name(port);
                        self.add(registry, link, port, stream, None);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        warn!("cannot accept a connection of another server: {error}");
                        break;
                    }
                }
            }
        }
    }

    fn add(
        &mut self,
        registry: &Registry,
        link: LinkId,
        port: Port,
        mut stream: TcpStream,
        connecting: Option<(u64, Vec<SocketAddr>)>,
    ) {
        let token = Token(FIRST_LINK + link.0 as usize);
        if let Err(error) = registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE) {
            warn!("cannot watch a connection of another server: {error}; it is closed");
            self.news.push((link, Happened::Ended));
            return;
        }
        // Options of a connection that is dead already: its first read will tell.
        let _ = stream.set_nodelay(true);
        let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 3);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keep_alive);
        let unheard_ms = if port == Port::Election { self.patience.election_ms } else { self.patience.quorum_ms };
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(Duration::from_millis(unheard_ms)));
        self.sockets.insert(link, Socket { stream, connecting, readable: false, peer_closed: false, blocked: false });
    }

    /// Begins to connect. A name is resolved on a thread of its own, because that may take long.
    pub fn dial(&mut self, registry: &Registry, now_ms: u64, (link, kind): (LinkId, Port), host: &str, port: u16) {
        self.dialled.insert(link, kind);
        if let Ok(address) = host.parse::<IpAddr>() {
            self.connect(registry, now_ms, link, vec![SocketAddr::new(address, port)]);
            return;
        }
        let (name, resolver, doorbell) = (host.to_owned(), self.resolver.clone(), Arc::clone(&self.doorbell));
        let resolve = move || {
            let addresses = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
            // Nobody listens only when the server stops.
            let _ = resolver.send((link, addresses));
            doorbell.ring();
        };
        if let Err(error) = std::thread::Builder::new().name("resolver".to_owned()).spawn(resolve) {
            warn!("cannot start a thread to look up {host}: {error}");
            self.news.push((link, Happened::Ended));
        }
    }

    fn connect(&mut self, registry: &Registry, now_ms: u64, link: LinkId, mut addresses: Vec<SocketAddr>) {
        let kind = self.dialled.get(&link).copied().unwrap_or(Port::Quorum);
        while !addresses.is_empty() {
            let address = addresses.remove(0);
            match TcpStream::connect(address) {
                Ok(stream) => {
                    let until = now_ms + self.patience.connect_ms;
                    self.add(registry, link, kind, stream, Some((until, addresses)));
                    return;
                }
                Err(error) => warn!(%address, "cannot connect to another server at {address}: {error}"),
            }
        }
        self.dialled.remove(&link);
        self.news.push((link, Happened::Ended));
    }

    /// Everything that happened to connections, in order for each of them.
    pub fn take(&mut self, registry: &Registry, now_ms: u64, buffer: &mut [u8]) -> Vec<(LinkId, Happened)> {
        while let Ok((link, addresses)) = self.resolved.try_recv() {
            // A name that is not known (yet): containers come and go, so this is no error of ours.
            self.connect(registry, now_ms, link, addresses.unwrap_or_default());
        }
        let overdue = |socket: &Socket| socket.connecting.as_ref().is_some_and(|(until, _)| *until <= now_ms);
        let late: Vec<LinkId> = self.sockets.iter().filter(|(_, socket)| overdue(socket)).map(|(l, _)| *l).collect();
        for link in late {
            self.next_address(registry, now_ms, link);
        }
        for link in std::mem::take(&mut self.writable) {
            self.finish_connect(registry, now_ms, link);
        }
        let mut readable = std::mem::take(&mut self.readable);
        readable.sort_unstable();
        readable.dedup();
        for link in readable {
            self.read(link, buffer);
        }
        std::mem::take(&mut self.news)
    }

    fn finish_connect(&mut self, registry: &Registry, now_ms: u64, link: LinkId) {
        let Some(socket) = self.sockets.get_mut(&link) else { return };
        if socket.connecting.is_none() {
            self.news.push((link, Happened::Writable));
            return;
        }
        match socket.stream.peer_addr() {
            Ok(_) => {
                socket.connecting = None;
                self.dialled.remove(&link);
                self.news.push((link, Happened::Connected));
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected && !has_failed(&socket.stream) => {}
            Err(_) => self.next_address(registry, now_ms, link),
        }
    }

    fn next_address(&mut self, registry: &Registry, now_ms: u64, link: LinkId) {
        let Some(mut socket) = self.sockets.remove(&link) else { return };
        let _ = registry.deregister(&mut socket.stream);
        let rest = socket.connecting.map(|(_, rest)| rest).unwrap_or_default();
        self.connect(registry, now_ms, link, rest);
    }

    fn read(&mut self, link: LinkId, buffer: &mut [u8]) {
        let Some(socket) = self.sockets.get_mut(&link) else { return };
        if socket.connecting.is_some() {
            return;
        }
        let mut bytes = Vec::new();
        let mut ended = false;
        for _ in 0..READS_PER_TURN {
            match socket.stream.read(buffer) {
                Ok(0) => ended = true,
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..count]);
                    // A short read has emptied the socket, and the next bytes make an edge; the end of the stream
                    // made its edge already.
                    if count == buffer.len() || socket.peer_closed {
                        continue;
                    }
                    socket.readable = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => ended = true,
            }
            break;
        }
        if !bytes.is_empty() {
            self.news.push((link, Happened::Bytes(bytes)));
        }
        if ended {
            self.news.push((link, Happened::Ended));
        } else if self.sockets.get(&link).is_some_and(|socket| socket.readable) {
            self.readable.push(link);
        }
    }

    /// True if the connection takes no output at the moment.
    pub fn is_blocked(&self, link: LinkId) -> bool {
        self.sockets.get(&link).is_none_or(|socket| socket.blocked || socket.connecting.is_some())
    }

    /// Writes what the socket takes; `None`: it failed.
    pub fn write(&mut self, link: LinkId, bytes: &[u8]) -> Option<usize> {
        let socket = self.sockets.get_mut(&link)?;
        loop {
            match socket.stream.write(bytes) {
                Ok(count) => {
                    socket.blocked = count < bytes.len();
                    return Some(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.blocked = true;
                    return Some(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, registry: &Registry, link: LinkId) {
        self.dialled.remove(&link);
        if let Some(mut socket) = self.sockets.remove(&link) {
            // Fails only if the socket is dead already.
            let _ = registry.deregister(&mut socket.stream);
        }
    }
}

fn has_failed(stream: &TcpStream) -> bool {
    !matches!(stream.take_error(), Ok(None))
}
