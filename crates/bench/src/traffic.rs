//! What the loop of [`crate::load`] drives: connections that ask and hear. There are three kinds: requests on standing
//! connections ([`crate::requests`]), watchers of one node ([`crate::watchers`]), and connections that come and go
//! ([`crate::visitors`]).

use crate::error::BenchError;
use crate::meter::Meter;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use ostler_model::{SessionId, Zxid};
use ostler_wire::client::{ConnectRequest, ConnectResponse};
use std::io::{Read, Write};

const SESSION_TIMEOUT_MS: i32 = 30_000;
/// Handshakes and empty replies are smaller.
const FRAME_BYTES_MAX: u32 = 1_024;

/// One way to load a server.
pub(crate) trait Traffic {
    /// Closed loop: everything that may be sent at once is.
    fn begin(&mut self, meter: &mut Meter) -> Result<(), BenchError>;
    /// Open loop: operation `number` is due since `due_ns`.
    fn due(&mut self, number: u64, due_ns: u64, meter: &mut Meter) -> Result<(), BenchError>;
    /// The socket of this number can be read or written.
    fn ready(
        &mut self,
        number: usize,
        is_readable: bool,
        buffer: &mut [u8],
        meter: &mut Meter,
    ) -> Result<(), BenchError>;
    /// Keeps idle sessions.
    fn ping(&mut self) -> Result<(), BenchError>;
    /// Operations that were due or sent and have no answer.
    fn unanswered(&self) -> usize;
    /// There is nothing left to ask.
    fn is_used_up(&self) -> bool {
        false
    }
}

/// Interest in everything, by its edges.
pub(crate) fn register(registry: &Registry, stream: &mut TcpStream, number: usize) -> Result<(), BenchError> {
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(stream, Token(number), both).map_err(BenchError::System)
}

/// The handshake of a new session.
pub(crate) fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: SESSION_TIMEOUT_MS,
        session: SessionId::NONE,
        password: vec![0; 16],
        read_only: Some(false),
    }
    .encode(&mut bytes);
    bytes
}

/// Whether the server took the session.
pub(crate) fn is_welcome(payload: &[u8]) -> bool {
    matches!(ConnectResponse::decode(payload), Ok(response) if response.timeout_ms > 0)
}

/// Connects and shakes hands; the stream does not block.
pub(crate) fn open(address: &str) -> Result<TcpStream, BenchError> {
    standing(greet(address)?)
}

/// A blocking stream for the loop.
pub(crate) fn standing(stream: std::net::TcpStream) -> Result<TcpStream, BenchError> {
    stream.set_nonblocking(true).map_err(BenchError::System)?;
    Ok(TcpStream::from_std(stream))
}

/// Connects and shakes hands, blocking.
pub(crate) fn greet(address: &str) -> Result<std::net::TcpStream, BenchError> {
    let failed = |source| BenchError::Connect { address: address.into(), source };
    let mut stream = std::net::TcpStream::connect(address).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let welcome = exchange(&mut stream, &greeting()).map_err(|_| BenchError::NoSession)?;
    if !is_welcome(&welcome) {
        return Err(BenchError::NoSession);
    }
    Ok(stream)
}

/// Sends a frame and reads one, blocking.
pub(crate) fn exchange(stream: &mut std::net::TcpStream, frame: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(frame)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut payload = vec![0; u32::from_be_bytes(length).min(FRAME_BYTES_MAX) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}
