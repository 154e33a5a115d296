//! A port that is listened on, and that a reconfiguration may move while the server runs.
//!
//! The old address is closed before the new one is opened: it may be the one that another port moves to. An address that
//! cannot be opened yet is tried again; connections that were accepted before stay.

use crate::config::Listen;
use crate::error::ServerError;
use crate::listener;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use std::io;
use tracing::{info, warn};

/// Between two attempts to open an address.
const AGAIN_MS: u64 = 1_000;

/// See the module.
pub struct OpenPort {
    /// Who connects there, for messages.
    who: &'static str,
    token: Token,
    listen: Listen,
    listener: Option<TcpListener>,
    /// Without a listener: when the next attempt is due.
    again_ms: u64,
}

impl OpenPort {
    /// Watches a port that is open.
    ///
    /// # Errors
    /// It cannot be registered.
    pub fn new(
        who: &'static str,
        token: Token,
        listen: Listen,
        mut listener: TcpListener,
        registry: &Registry,
    ) -> io::Result<OpenPort> {
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(OpenPort { who, token, listen, listener: Some(listener), again_ms: 0 })
    }

    /// One that was not open before: [`OpenPort::retry`] opens it.
    pub fn closed(who: &'static str, token: Token, listen: Listen) -> OpenPort {
        OpenPort { who, token, listen, listener: None, again_ms: 0 }
    }

    /// Closes the address if it is another one. [`OpenPort::retry`] opens the new one.
    pub fn move_to(&mut self, registry: &Registry, listen: Listen) {
        if self.listen == listen {
            return;
        }
        self.listen = listen;
        self.again_ms = 0;
        if let Some(mut listener) = self.listener.take() {
            // Fails only if it is closed already.
            let _ = registry.deregister(&mut listener);
        }
    }

    /// Opens the address if it is not open and an attempt is due. True: it is open now.
    pub fn retry(&mut self, registry: &Registry, now_ms: u64) -> bool {
        if self.listener.is_some() || now_ms < self.again_ms {
            return false;
        }
        match self.open(registry) {
            Ok(()) => {
                let address = self.local_port().map_or_else(String::new, |port| self.address(port));
                info!("a reconfiguration moved this server: listening for {} on {address}", self.who);
                true
            }
            Err(error) => {
                if self.again_ms == 0 {
                    warn!("a reconfiguration moved this server, but for {}: {error}; it is tried again", self.who);
                }
                self.again_ms = now_ms + AGAIN_MS;
                false
            }
        }
    }

    fn open(&mut self, registry: &Registry) -> Result<(), ServerError> {
        let mut listener = listener::open(&self.listen)?;
        let registered = registry.register(&mut listener, self.token, Interest::READABLE);
        registered.map_err(ServerError::system("watch a port"))?;
        self.listener = Some(listener);
        Ok(())
    }

    /// When [`OpenPort::retry`] has something to do.
    pub fn next_deadline(&self) -> Option<u64> {
        self.listener.is_none().then_some(self.again_ms)
    }

    /// Open at the moment.
    pub fn listener(&self) -> Option<&TcpListener> {
        self.listener.as_ref()
    }

    /// The port that the system gave, if it is open.
    pub fn local_port(&self) -> Option<u16> {
        self.listener.as_ref()?.local_addr().ok().map(|address| address.port())
    }

    fn address(&self, port: u16) -> String {
        format!("{}:{port}", self.listen.host.as_deref().unwrap_or("0.0.0.0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::net::TcpStream;

    fn listen(port: u16) -> Listen {
        Listen { host: Some("127.0.0.1".to_owned()), port, backlog: -1, is_fixed: false }
    }

    fn connects(port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    }

    #[test]
    fn two_ports_change_places() {
        let poll = Poll::new().unwrap();
        let open = |token| {
            let listener = listener::open(&listen(0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            (OpenPort::new("tests", Token(token), listen(port), listener, poll.registry()).unwrap(), port)
        };
        let ((mut one, first), (mut other, second)) = (open(1), open(2));
        one.move_to(poll.registry(), listen(second));
        other.move_to(poll.registry(), listen(first));
        assert!(one.retry(poll.registry(), 5) && other.retry(poll.registry(), 5));
        assert_eq!((one.local_port(), other.local_port()), (Some(second), Some(first)));
        assert!(connects(first) && connects(second) && one.next_deadline().is_none());
        one.move_to(poll.registry(), listen(second));
        assert!(one.listener().is_some(), "the same address stays open");
    }

    #[test]
    fn an_address_in_use_is_tried_again() {
        let poll = Poll::new().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut moved = OpenPort::closed("tests", Token(1), listen(port));
        assert!(!moved.retry(poll.registry(), 100));
        drop(taken);
        assert!(!moved.retry(poll.registry(), 1_099), "not due yet");
        assert_eq!(moved.next_deadline(), Some(1_100));
        assert!(moved.retry(poll.registry(), 1_100) && connects(port));
    }
}
