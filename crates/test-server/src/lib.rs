//! A server for tests, in one line: `let server = TestServer::start();`.
//!
//! Servers run on threads of the test's process, on free ports, in folders that go with them. Clients reach them through
//! a [`Door`], so that a test decides what the network does: cut it, shut it, cut at exactly one request or reply.
//! [`TestServer::expire`] ends a session as if its time were up; [`TestServer::new_door`] is for one client that is cut off alone. [`TestCluster`] is an ensemble of three with a leader to
//! lose. What cannot start panics with the reason: these are for tests.
//!
//! ```
//! let server = ostler_test::TestServer::start();
//! assert!(server.word("srvr").contains("Mode: standalone"));
//! ```
#![forbid(unsafe_code)]

mod cluster;
mod door;
mod member;

pub use cluster::TestCluster;
pub use door::{Cut, Door};
pub use ostler_model::SessionId;

use member::Member;

/// A standalone server of its own.
#[derive(Debug)]
pub struct TestServer {
    member: Member,
}

impl TestServer {
    /// Starts a server on a free port, with TTL nodes enabled.
    ///
    /// # Panics
    /// It cannot start.
    pub fn start() -> TestServer {
        TestServer::with(&[])
    }

    /// The same, with settings of zoo.cfg.
    ///
    /// ```
    /// let server = ostler_test::TestServer::with(&[("enforceQuota", "true")]);
    /// ```
    ///
    /// # Panics
    /// It cannot start.
    pub fn with(settings: &[(&str, &str)]) -> TestServer {
        TestServer { member: Member::start(1, settings, "") }
    }

    /// Where clients connect: a connection string.
    pub fn address(&self) -> String {
        self.member.door.address()
    }

    /// The network between clients and this server.
    pub fn door(&self) -> &Door {
        &self.member.door
    }

    /// A door of its own for one client, so that a test cuts off that client and no other. It stands before [`TestServer::door`],
    /// whose cuts it feels too, and stays good over restarts.
    ///
    /// ```
    /// use std::net::TcpStream;
    /// let server = ostler_test::TestServer::start();
    /// let (mine, theirs) = (server.new_door(), server.new_door());
    /// mine.shut();
    /// assert_ne!(mine.address(), theirs.address());
    /// assert!(TcpStream::connect(theirs.address()).is_ok());
    /// mine.open();
    /// ```
    ///
    /// # Panics
    /// No port is free.
    pub fn new_door(&self) -> Door {
        Door::to(self.door().port())
    }

    /// Ends a session now, as if its time were up. Its client learns of it when it reconnects, which is at once: its
    /// connection is closed.
    ///
    /// # Panics
    /// The server does not answer.
    pub fn expire(&self, session: SessionId) {
        self.member.expire(session);
    }

    /// The answer to a four-letter word.
    ///
    /// # Panics
    /// The server does not answer.
    pub fn word(&self, word: &str) -> String {
        self.member.word(word).expect("the server answers")
    }

    /// Stops the server; its data stays until this value is dropped.
    pub fn stop(&mut self) {
        self.member.stop();
    }

    /// Starts a stopped server again, with its data and at the same address; stops it first if it runs.
    ///
    /// # Panics
    /// It cannot start.
    pub fn restart(&mut self) {
        self.member.restart();
    }
}
