//! The client port: opening it and accepting connections, also when the process runs out of file descriptors.

use crate::config::Listen;
use crate::error::ServerError;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Apache's backlog for -1.
const DEFAULT_BACKLOG: i32 = 50;
/// Connections accepted in one turn, so that a flood does not keep the others waiting.
pub const ACCEPTS_PER_TURN: usize = 64;
/// After an accept failed for want of descriptors, how long not to try again.
pub const ACCEPT_PAUSE_MS: u64 = 100;

/// What an accept brought.
#[derive(Debug)]
pub enum Accepted {
    /// A connection.
    Connection(TcpStream, SocketAddr),
    /// Nobody is waiting.
    Nobody,
    /// It failed: pause, the backlog keeps those who wait.
    Failed(io::Error),
}

/// Opens the port. Without a host: all addresses, IPv6 and IPv4 (only IPv4 if the machine has no IPv6).
///
/// # Errors
/// The address is in use, forbidden or unknown.
pub fn open(listen: &Listen) -> Result<TcpListener, ServerError> {
    let failed = |address: String| move |source| ServerError::Listen { address, source };
    match &listen.host {
        Some(host) => {
            let text = format!("{host}:{}", listen.port);
            let address = resolve(host, listen.port).map_err(failed(text.clone()))?;
            bind(address, listen.backlog, true).map_err(failed(text))
        }
        None => {
            let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), listen.port);
            match bind(v6, listen.backlog, false) {
                Ok(listener) => Ok(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    Err(failed(format!("0.0.0.0:{}", listen.port))(error))
                }
                Err(_) => {
                    let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), listen.port);
                    bind(v4, listen.backlog, true).map_err(failed(v4.to_string()))
                }
            }
        }
    }
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, port).to_socket_addrs()?.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

fn bind(address: SocketAddr, backlog: i32, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(if backlog < 0 { DEFAULT_BACKLOG } else { backlog })?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Accepts one connection and sets its options.
pub fn accept(listener: &TcpListener, keep_alive: bool) -> Accepted {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                // Options of a connection that is dead already: its first read will tell.
                let _ = stream.set_nodelay(true);
                if keep_alive {
                    let _ = SockRef::from(&stream).set_keepalive(true);
                }
                return Accepted::Connection(stream, plain(peer));
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Accepted::Nobody,
                // The peer gave up while it waited.
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
                _ => return Accepted::Failed(error),
            },
        }
    }
}

/// An IPv4 peer of an IPv6 socket, as the IPv4 address that it is: limits, ACLs and `cons` name it so.
fn plain(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn accepted_connections_have_the_options_asked_for() {
        for keep_alive in [false, true] {
            let listen = Listen { host: Some("127.0.0.1".to_owned()), port: 0, backlog: -1, is_fixed: false };
            let listener = open(&listen).unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let end = Instant::now() + Duration::from_secs(30);
            let (stream, peer) = loop {
                match accept(&listener, keep_alive) {
                    Accepted::Connection(stream, peer) => break (stream, peer),
                    Accepted::Nobody if Instant::now() < end => std::thread::yield_now(),
                    other => panic!("{other:?}"),
                }
            };
            assert!(peer.ip().is_loopback() && stream.nodelay().unwrap());
            assert_eq!(SockRef::from(&stream).keepalive().unwrap(), keep_alive);
        }
    }

    #[test]
    fn an_address_in_use_is_told_from_one_that_is_not_there() {
        let listen = |host: &str, port| Listen { host: Some(host.to_owned()), port, backlog: 1, is_fixed: false };
        let first = open(&listen("127.0.0.1", 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let text = open(&listen("127.0.0.1", port)).unwrap_err().to_string();
        assert!(
            text.contains(&format!("127.0.0.1:{port}")) && text.contains("another process listens there"),
            "{text}"
        );
        // Reserved for documentation, so no machine has it.
        let text = open(&listen("192.0.2.1", 0)).unwrap_err().to_string();
        assert!(text.contains("does not have that address"), "{text}");
    }
}
