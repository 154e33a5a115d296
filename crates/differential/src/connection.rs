//! A raw client connection: bytes out, frames in, nothing interpreted but lengths.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take for anything before it counts as silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Room for one read.
const READ_BYTES: usize = 256 << 10;

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// A frame's payload.
    Frame(Vec<u8>),
    /// The server closed the connection.
    Closed,
    /// Nothing within [`SILENCE`].
    Silence,
}

/// A connection to one of the servers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    closed: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The server does not accept.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, SILENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(Connection { stream, buffer: Vec::with_capacity(READ_BYTES), start: 0, closed: false })
    }

    /// Sends bytes; a connection that the server has closed is noticed when reading.
    pub fn send(&mut self, bytes: &[u8]) {
        // An error here is a closed connection, which the next read reports.
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame.
    pub fn receive(&mut self) -> Arrival {
        loop {
            if let Some((length, rest)) = self.buffer[self.start..].split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if let Some(payload) = rest.get(..length) {
                    let payload = payload.to_vec();
                    self.start += 4 + length;
                    return Arrival::Frame(payload);
                }
            }
            if self.closed {
                return Arrival::Closed;
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            let end = self.buffer.len();
            self.buffer.resize(end + READ_BYTES, 0);
            let read = self.stream.read(&mut self.buffer[end..]);
            self.buffer.truncate(end + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.closed = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Arrival::Silence;
                }
                Err(_) => self.closed = true,
            }
        }
    }
}
