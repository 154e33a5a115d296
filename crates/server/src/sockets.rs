//! The sockets of the connections, and which of them are to be read or written.
//!
//! Sockets are registered once, edge-triggered, for both directions: the lists here remember an edge until the socket
//! said that it has no more. A connection retains no buffer; all are read into one.

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use ostler_node::ConnId;
use std::io::{self, Read, Write};
use std::net::Shutdown;

/// Bytes of one read.
pub const READ_BYTES: usize = 64 << 10;

/// Connections use the tokens from here on, by slot.
pub const FIRST_TOKEN: usize = 2;

#[derive(Debug)]
struct Socket {
    conn: ConnId,
    stream: TcpStream,
    /// The kernel may have bytes for us.
    readable: bool,
    /// The peer closed its side: a short read does not mean that all was read.
    peer_closed: bool,
    /// It is in the list of sockets to be read.
    listed: bool,
    /// Output waits for the kernel.
    blocked: bool,
}

/// What a read brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadResult {
    /// So many bytes, in the buffer.
    Bytes(usize),
    /// Nothing at present.
    Nothing,
    /// The peer closed its side.
    End,
    /// The socket failed.
    Broken,
}

/// All sockets of a shard, by slot.
#[derive(Debug, Default)]
pub struct Sockets {
    slots: Vec<Option<Socket>>,
    to_read: Vec<ConnId>,
}

impl Sockets {
    /// Takes over an accepted socket.
    ///
    /// # Errors
    /// It cannot be registered; it is dropped then.
    pub fn insert(&mut self, registry: &Registry, conn: ConnId, mut stream: TcpStream) -> io::Result<()> {
        let slot = conn.slot();
        registry.register(&mut stream, Token(FIRST_TOKEN + slot), Interest::READABLE | Interest::WRITABLE)?;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        let socket = Socket { conn, stream, readable: false, peer_closed: false, listed: false, blocked: false };
        let old = self.slots[slot].replace(socket);
        assert!(old.is_none(), "{conn:?} given out while its slot is in use");
        Ok(())
    }

    fn get(&mut self, conn: ConnId) -> Option<&mut Socket> {
        self.slots.get_mut(conn.slot())?.as_mut().filter(|socket| socket.conn == conn)
    }

    /// An event of the poll. Returns the connection if its output was waiting and can go on.
    pub fn ready(&mut self, event: &mio::event::Event) -> Option<ConnId> {
        let slot = event.token().0.checked_sub(FIRST_TOKEN)?;
        let socket = self.slots.get_mut(slot)?.as_mut()?;
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            socket.readable = true;
            socket.peer_closed |= event.is_read_closed() || event.is_error();
            if !socket.listed {
                socket.listed = true;
                self.to_read.push(socket.conn);
            }
        }
        if event.is_writable() && socket.blocked {
            socket.blocked = false;
            return Some(socket.conn);
        }
        None
    }

    /// The shard wants to read a connection again: lists it if the kernel may have something.
    pub fn resume(&mut self, conn: ConnId) {
        let Some(socket) = self.get(conn) else { return };
        if socket.readable && !socket.listed {
            socket.listed = true;
            self.to_read.push(conn);
        }
    }

    /// The connections to be read now. Give the buffer back with [`Sockets::recycle`].
    pub fn take_to_read(&mut self) -> Vec<ConnId> {
        let list = std::mem::take(&mut self.to_read);
        for &conn in &list {
            if let Some(socket) = self.get(conn) {
                socket.listed = false;
            }
        }
        list
    }

    /// Keeps the buffer of a list that was worked off.
    pub fn recycle(&mut self, mut list: Vec<ConnId>) {
        list.clear();
        if self.to_read.is_empty() {
            self.to_read = list;
        }
    }

    /// True if a connection is to be read.
    pub fn has_to_read(&self) -> bool {
        !self.to_read.is_empty()
    }

    /// One read. If the socket may have more, it is listed again.
    pub fn read(&mut self, conn: ConnId, buffer: &mut [u8]) -> ReadResult {
        let Some(socket) = self.get(conn) else { return ReadResult::Nothing };
        loop {
            return match socket.stream.read(buffer) {
                Ok(0) => {
                    socket.readable = false;
                    ReadResult::End
                }
                Ok(bytes) => {
                    // A short read of a stream means that the kernel's buffer is empty, and the next bytes make an
                    // edge; but the end of the stream made its edge already.
                    socket.readable = bytes == buffer.len() || socket.peer_closed;
                    if socket.readable && !socket.listed {
                        socket.listed = true;
                        self.to_read.push(conn);
                    }
                    ReadResult::Bytes(bytes)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.readable = false;
                    ReadResult::Nothing
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => ReadResult::Broken,
            };
        }
    }

    /// One write. `Ok(n)` with `n` short of the whole: the rest waits for the kernel.
    ///
    /// # Errors
    /// The socket failed.
    pub fn write(&mut self, conn: ConnId, bytes: &[u8]) -> io::Result<usize> {
        let Some(socket) = self.get(conn) else { return Ok(0) };
        if socket.blocked || bytes.is_empty() {
            return Ok(0);
        }
        loop {
            match socket.stream.write(bytes) {
                Ok(written) => {
                    socket.blocked = written < bytes.len();
                    return Ok(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.blocked = true;
                    return Ok(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes a socket whose output was written. What the peer still sent is read away first (one buffer's worth):
    /// closing with unread input would make the kernel reset the connection and drop output on its way.
    pub fn close(&mut self, registry: &Registry, conn: ConnId, buffer: &mut [u8]) {
        if self.get(conn).is_none() {
            return;
        }
        if let Some(mut socket) = self.slots[conn.slot()].take() {
            // All of these fail only if the socket is dead already.
            let _ = socket.stream.shutdown(Shutdown::Write);
            let _ = socket.stream.read(buffer);
            let _ = registry.deregister(&mut socket.stream);
        }
    }
}
