//! The client port follows the ensemble: a reconfiguration may name another one (ensemble.md section 16.6).

use crate::config::Listen;
use crate::open_port::OpenPort;
use crate::turn::{LISTENER, Order, Turns};
use ostler_model::Endpoint;
use ostler_node::Now;
use tracing::warn;

/// For messages.
pub const CLIENTS: &str = "clients";

impl Turns {
    /// Opens and closes what has to be. True: somebody may be waiting on a new port. Connections that stand, stay.
    pub(crate) fn move_clients(&mut self, now: Now) -> bool {
        let Order::Member(peers) = &mut self.order else { return false };
        if let Some(endpoint) = peers.take_moved_clients() {
            self.clients_move_to(&endpoint);
        }
        let Some(clients) = &mut self.clients else { return false };
        if !clients.retry(self.poll.registry(), now.mono_ms) {
            return false;
        }
        self.client_port = clients.local_port().map_or(-1, i32::from);
        true
    }

    fn clients_move_to(&mut self, endpoint: &Endpoint) {
        let old = self.config.listen.as_ref();
        if old.is_some_and(|old| old.is_fixed) {
            warn!(
                "a reconfiguration says that clients connect to {endpoint}, but a flag named the port: it stays; hint: \
                 start without --port and clientPort settings"
            );
            return;
        }
        let host = (!endpoint.host.is_wildcard()).then(|| endpoint.host.as_str().to_owned());
        let backlog = old.map_or(-1, |old| old.backlog);
        let listen = Listen { host, port: endpoint.port, backlog, is_fixed: false };
        self.config.listen = Some(listen.clone());
        match &mut self.clients {
            Some(clients) => clients.move_to(self.poll.registry(), listen),
            None => self.clients = Some(OpenPort::closed(CLIENTS, LISTENER, listen)),
        }
    }
}
