//! An ensemble on threads of this process.

use crate::door::Door;
use crate::member::Member;
use ostler_model::SessionId;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How long an election may take; much longer than it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// An ensemble of servers, numbered from 0.
///
/// ```
/// let mut cluster = ostler_test::TestCluster::start(3);
/// let old = cluster.kill_leader();
/// assert_ne!(cluster.wait_for_leader(), old);
/// cluster.restart(old);
/// ```
#[derive(Debug)]
pub struct TestCluster {
    members: Vec<Member>,
}

impl TestCluster {
    /// Starts this many servers and waits until all of them serve.
    ///
    /// # Panics
    /// They cannot start, or form no ensemble.
    pub fn start(servers: u16) -> TestCluster {
        TestCluster::with(servers, &[])
    }

    /// The same, with settings of zoo.cfg.
    ///
    /// # Panics
    /// They cannot start, or form no ensemble.
    pub fn with(servers: u16, settings: &[(&str, &str)]) -> TestCluster {
        // Held until all are chosen, so that no port is chosen twice.
        let free: Vec<TcpListener> =
            (0..2 * servers).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port")).collect();
        let port = |index: u16| free[usize::from(index)].local_addr().expect("a bound socket has an address").port();
        let mut lines = String::new();
        for number in 0..servers {
            let (quorum, election) = (port(2 * number), port(2 * number + 1));
            lines.push_str(&format!("server.{}=127.0.0.1:{quorum}:{election}\n", number + 1));
        }
        if servers == 1 {
            lines.push_str("standaloneEnabled=false\n");
        }
        drop(free);
        let cluster =
            TestCluster { members: (1..=servers).map(|number| Member::start(number, settings, &lines)).collect() };
        for index in 0..cluster.members.len() {
            cluster.wait_until_serving(index);
        }
        cluster
    }

    /// A connection string with all servers.
    pub fn address(&self) -> String {
        self.members.iter().map(|member| member.door.address()).collect::<Vec<_>>().join(",")
    }

    /// The address of one server.
    pub fn address_of(&self, server: usize) -> String {
        self.members[server].door.address()
    }

    /// The network between clients and one server.
    pub fn door(&self, server: usize) -> &Door {
        &self.members[server].door
    }

    /// Waits until there is a leader, and returns its number.
    ///
    /// # Panics
    /// None is elected.
    pub fn wait_for_leader(&self) -> usize {
        wait(|| {
            let is_leader = |member: &Member| member.mode().as_deref() == Some("leader");
            self.members.iter().position(is_leader)
        })
    }

    /// Waits until this server serves clients.
    ///
    /// # Panics
    /// It does not.
    pub fn wait_until_serving(&self, server: usize) {
        wait(|| self.members[server].mode());
    }

    /// What this server says it is (`leader`, `follower`, `read-only`, ...); `None`: it serves nobody.
    pub fn mode(&self, server: usize) -> Option<String> {
        self.members[server].mode()
    }

    /// Stops a server. Its data stays.
    pub fn kill(&mut self, server: usize) {
        self.members[server].stop();
    }

    /// Stops the leader and returns its number.
    ///
    /// # Panics
    /// There is none.
    pub fn kill_leader(&mut self) -> usize {
        let leader = self.wait_for_leader();
        self.kill(leader);
        leader
    }

    /// Starts a stopped server again, with its data and at the same address.
    ///
    /// # Panics
    /// It cannot start.
    pub fn restart(&mut self, server: usize) {
        self.members[server].restart();
    }

    /// Ends a session now, as if its time were up.
    ///
    /// # Panics
    /// The leader does not answer.
    pub fn expire(&self, session: SessionId) {
        self.members[self.wait_for_leader()].expire(session);
    }
}

fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK);
    }
}
