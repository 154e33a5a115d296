//! The network between clients and a server: a port that hands frames on, until the test says otherwise.
//!
//! Two threads carry one connection, one for each direction, frame by frame. They end with the connection; the thread
//! that accepts ends with the door.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The largest frame that is carried; larger ones cut the connection.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// Where a connection is cut. Requests and replies of the application are counted from the call of [`Door::cut_at`] on;
/// handshakes, pings, auth packets, watches set again and events are not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Before this request reaches the server (1 = the next one): it does not happen.
    Request(u32),
    /// Before this reply reaches the client (1 = the next one): what it answers has happened.
    Reply(u32),
}

/// The port in front of a server.
#[derive(Debug)]
pub struct Door {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A cut that was planned has happened.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    target: Option<u16>,
    shut: bool,
    ended: bool,
    plan: Option<Cut>,
    connections: Vec<(u64, [TcpStream; 2])>,
    next: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the door")
    }
}

impl State {
    fn cut_all(&mut self) {
        for (_, sides) in self.connections.drain(..) {
            for side in sides {
                // It may be gone already.
                let _ = side.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Door {
    pub(crate) fn new() -> Door {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if inside.state().ended {
                    return;
                }
                // A server that is not there closes the connection, as a refused one would be.
                let _ = carry(&inside, client);
            }
        });
        Door { shared, port }
    }

    /// A door to any server of this machine, of Ostler or not.
    ///
    /// ```
    /// let server = ostler_test::TestServer::start();
    /// let port = server.address().rsplit(':').next().unwrap().parse().unwrap();
    /// let door = ostler_test::Door::to(port);
    /// assert_ne!(door.address(), server.address());
    /// ```
    ///
    /// # Panics
    /// No port is free.
    pub fn to(port: u16) -> Door {
        let door = Door::new();
        door.lead_to(port);
        door
    }

    /// Where clients connect.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn lead_to(&self, port: u16) {
        self.shared.state().target = Some(port);
    }

    pub(crate) fn lead_nowhere(&self) {
        let mut state = self.shared.state();
        state.target = None;
        state.cut_all();
    }

    /// Cuts every connection now. Clients may come again at once.
    pub fn cut(&self) {
        self.shared.state().cut_all();
    }

    /// Cuts every connection and lets nobody in until [`Door::open`].
    pub fn shut(&self) {
        let mut state = self.shared.state();
        state.shut = true;
        state.cut_all();
    }

    /// Lets clients in again.
    pub fn open(&self) {
        self.shared.state().shut = false;
    }

    /// Plans one cut of every connection at exactly one request or reply.
    pub fn cut_at(&self, cut: Cut) {
        self.shared.state().plan = Some(cut);
    }

    /// True until a planned cut has happened.
    pub fn is_cut_planned(&self) -> bool {
        self.shared.state().plan.is_some()
    }

    /// Waits until a planned cut has happened.
    pub fn wait_for_cut(&self) {
        let mut state = self.shared.state();
        while state.plan.is_some() {
            state = self.shared.changed.wait(state).expect("no thread panics while it holds the door");
        }
    }

    /// Connections that are carried now.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        state.cut_all();
        drop(state);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn carry(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let mut state = shared.state();
    let Some(port) = state.target.filter(|_| !state.shut) else { return Ok(()) };
    let server = TcpStream::connect(("127.0.0.1", port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let number = state.next;
    state.next += 1;
    state.connections.push((number, [client.try_clone()?, server.try_clone()?]));
    drop(state);
    for (mut from, mut to, is_request) in [(client.try_clone()?, server.try_clone()?, true), (server, client, false)] {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // However it ends, the connection ends with it.
            let _ = one_way(&shared, &mut from, &mut to, is_request);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            shared.state().connections.retain(|(other, _)| *other != number);
        });
    }
    Ok(())
}

fn one_way(shared: &Shared, from: &mut TcpStream, to: &mut TcpStream, is_request: bool) -> io::Result<()> {
    let mut handshake = true;
    let mut frame = vec![0; 4];
    loop {
        frame.resize(4, 0);
        let filled = fill(from, &mut frame)?;
        if filled < 4 {
            // All of the answer to a four-letter word, or nothing.
            return if handshake { to.write_all(&frame[..filled]) } else { Ok(()) };
        }
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        if length > FRAME_BYTES_MAX && handshake {
            // A four-letter word, or the answer to one.
            to.write_all(&frame)?;
            return io::copy(from, to).map(|_| ());
        }
        if length > FRAME_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        frame.resize(4 + length, 0);
        from.read_exact(&mut frame[4..])?;
        let counted =
            !handshake && frame.get(4..8).is_some_and(|xid| i32::from_be_bytes([xid[0], xid[1], xid[2], xid[3]]) > 0);
        handshake = false;
        if counted && must_cut(shared, is_request) {
            return Ok(());
        }
        to.write_all(&frame)?;
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(from: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            bytes => filled += bytes,
        }
    }
    Ok(filled)
}

/// Counts one frame; true if it is the one where everything is cut.
fn must_cut(shared: &Shared, is_request: bool) -> bool {
    let mut state = shared.state();
    let left = match (&mut state.plan, is_request) {
        (Some(Cut::Request(left)), true) | (Some(Cut::Reply(left)), false) => left,
        _ => return false,
    };
    *left = left.saturating_sub(1);
    if *left > 0 {
        return false;
    }
    state.plan = None;
    state.cut_all();
    shared.changed.notify_all();
    true
}
