//! Where this member is found: its own line of the ensemble in force, and what changes when that line does.

use crate::config::Listen;
use ostler_model::{Endpoint, Ensemble, Member, PeerAddress, ServerId};

/// Connections that wait on a port of other members; there are never many.
const BACKLOG: i32 = 128;

/// See the module.
pub struct Home {
    me: ServerId,
    /// `quorumListenOnAllIPs`.
    on_all_addresses: bool,
    address: PeerAddress,
    clients: Option<Endpoint>,
    /// Clients are to be found elsewhere; taken by the loop, whose port that is.
    moved_clients: Option<Endpoint>,
}

impl Home {
    /// At this member's own line.
    pub fn new(own: &Member, on_all_addresses: bool) -> Home {
        Home {
            me: own.id,
            on_all_addresses,
            address: own.addresses()[0].clone(),
            clients: clients_of(own),
            moved_clients: None,
        }
    }

    /// This server.
    pub fn me(&self) -> ServerId {
        self.me
    }

    /// The addresses of the election port and of the quorum port.
    pub fn ports(&self) -> [Listen; 2] {
        let host = &self.address.host;
        let host = (!self.on_all_addresses && !host.is_wildcard()).then(|| host.as_str().to_owned());
        [self.address.election_port, self.address.quorum_port].map(|port| Listen {
            host: host.clone(),
            port,
            backlog: BACKLOG,
            is_fixed: false,
        })
    }

    /// This ensemble is in force. True: the ports for the other members are elsewhere. A server that it does not name stays
    /// where it is, and so do clients whose address it does not name.
    pub fn moved(&mut self, ensemble: &Ensemble) -> bool {
        let Some(own) = ensemble.member(self.me) else { return false };
        let clients = clients_of(own);
        if clients.is_some() && clients != self.clients {
            self.clients.clone_from(&clients);
            self.moved_clients = clients;
        }
        let address = own.addresses()[0].clone();
        std::mem::replace(&mut self.address, address.clone()) != address
    }

    /// Where clients connect from now on, if that changed.
    pub fn take_moved_clients(&mut self) -> Option<Endpoint> {
        self.moved_clients.take()
    }
}

fn clients_of(member: &Member) -> Option<Endpoint> {
    member.client.as_ref().map(|client| client.endpoint.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensemble(own: &str) -> Ensemble {
        Ensemble::parse(&format!("server.1=a:1:2;3\n{own}\nversion=5")).unwrap()
    }

    #[test]
    fn what_moves_with_the_own_line() {
        let own = Member::parse(ServerId(2), "b:21:22;23").unwrap();
        let mut home = Home::new(&own, false);
        let ports = |home: &Home| home.ports().map(|listen| (listen.host.unwrap_or_default(), listen.port));
        assert_eq!(ports(&home), [("b".to_owned(), 22), ("b".to_owned(), 21)]);
        for (line, moved, clients) in [
            ("server.2=b:21:22:observer;23", false, None),
            ("server.3=b:31:32;33", false, None),
            ("server.2=b:21:22", false, None),
            ("server.2=b:21:22;24", false, Some("0.0.0.0:24")),
            ("server.2=b:21:25;24", true, None),
            ("server.2=0.0.0.0:21:25;c:24", true, Some("c:24")),
        ] {
            assert_eq!(home.moved(&ensemble(line)), moved, "{line}");
            assert_eq!(home.take_moved_clients().map(|it| it.to_string()).as_deref(), clients, "{line}");
        }
        assert_eq!(ports(&home), [(String::new(), 25), (String::new(), 21)], "the wildcard");
        let all = Home::new(&own, true);
        assert_eq!(ports(&all), [(String::new(), 22), (String::new(), 21)]);
    }
}
