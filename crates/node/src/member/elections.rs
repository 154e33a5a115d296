//! Connections of the election port: handshakes, frames, and what [`Links`] decides about them (E§2, E§3).

use super::{Member, Order, Parts, Port};
use ostler_model::{Endpoint, Ensemble, ServerId};
use ostler_wire::election::{self, Handshake, split_frame};
use ostler_zab::{ConnId, LinkAction, LinkEvent};
use ostler_zab::{Event, LinkId, Notification, Vote};
use std::sync::Arc;

/// One connection of the election port.
#[derive(Debug, Default)]
pub(super) struct ElectionLink {
    /// The other end, once it is known.
    pub(super) server: Option<ServerId>,
    /// It was dialled, and does not stand yet.
    pub(super) dialling: bool,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    /// A message was put into `output`, and [`LinkEvent::Written`] is owed for it.
    pub(super) writing: bool,
    pub(super) ending: bool,
    pub(super) dirty: bool,
}

impl Member {
    /// Hands an event to the transport rules and does what they want.
    pub(super) fn links_step(&mut self, parts: &Parts<'_>, event: LinkEvent) {
        let mut actions = Vec::new();
        self.links.step(parts.now.mono_ms, event, &mut actions);
        for action in actions {
            self.link_action(action);
        }
    }

    fn link_action(&mut self, action: LinkAction) {
        match action {
            LinkAction::Dial { peer, address } => {
                let link = self.new_link();
                let conn = ElectionLink { server: Some(peer), dialling: true, ..ElectionLink::default() };
                self.elections.insert(link, conn);
                self.orders.push(Order::Dial { link, server: peer, port: Port::Election, address });
            }
            LinkAction::Handshake { conn } => {
                let handshake = self.handshake();
                self.election_output(LinkId(conn.0), |out| handshake.encode(out));
            }
            LinkAction::Send { conn, notification } => {
                let bytes = self.notification_bytes(&notification);
                let link = LinkId(conn.0);
                self.election_output(link, |out| out.extend_from_slice(&bytes));
                if let Some(conn) = self.elections.get_mut(&link) {
                    conn.writing = true;
                }
            }
            LinkAction::Close { conn, why: _ } => {
                let link = LinkId(conn.0);
                if let Some(conn) = self.elections.get_mut(&link) {
                    conn.ending = true;
                }
                self.election_output(link, |_| {});
            }
            LinkAction::Up { peer } => self.events.push_back(Event::ElectionUp { peer }),
            LinkAction::Down { peer } => self.events.push_back(Event::ElectionDown { peer }),
        }
    }

    fn election_output(&mut self, link: LinkId, put: impl FnOnce(&mut Vec<u8>)) {
        if let Some(conn) = self.elections.get_mut(&link) {
            put(&mut conn.output);
            if !std::mem::replace(&mut conn.dirty, true) {
                self.dirty.push(link);
            }
        }
    }

    /// Our opening message: names, not addresses, so that the other side resolves them anew. A server that was removed goes
    /// on naming the address it had: who has a greater number hangs up and must dial it (E§2.3), and has no other one.
    fn handshake(&self) -> Handshake {
        match self.own_address.clone() {
            Some(address) => Handshake::new(self.me, address),
            None => Handshake::Legacy { server: self.me },
        }
    }

    /// Notes where this server takes votes, if one of its ensembles says so.
    pub(super) fn note_own_address(&mut self) {
        let own = |ensemble: &Ensemble| ensemble.member(self.me).map(|member| member.addresses()[0].election());
        if let Some(address) = own(&self.committed).or_else(|| own(&self.last_seen)) {
            self.own_address = Some(address);
        }
    }

    fn notification_bytes(&self, notification: &Notification) -> Vec<u8> {
        let text = self.committed.to_string();
        let wire = election::Notification {
            state: notification.state,
            leader: notification.vote.leader,
            zxid: notification.vote.zxid,
            round: notification.round,
            peer_epoch: notification.vote.peer_epoch,
            version: election::NOTIFICATION_VERSION,
            config: Some(text.as_str().into()),
        };
        let mut out = Vec::with_capacity(64 + text.len());
        wire.encode(&mut out);
        out
    }

    /// Bytes of an election connection. False: they cannot be, the connection is to be closed.
    pub(super) fn election_input(&mut self, parts: &Parts<'_>, link: LinkId) -> bool {
        loop {
            let Some(conn) = self.elections.get_mut(&link) else { return true };
            if conn.ending {
                // Closed by the transport rules: whatever came along with that is nobody's word any more.
                conn.input.clear();
                return true;
            }
            let Some(server) = conn.server else {
                match Handshake::decode(&conn.input) {
                    Ok(None) => return true,
                    Err(_) => return false,
                    Ok(Some((handshake, length))) => {
                        let server = handshake.server();
                        conn.input.drain(..length);
                        conn.server = Some(server);
                        let address = handshake.dialable().next().map(|address: &Endpoint| address.to_string());
                        let address = address.map(Arc::from);
                        self.links_step(parts, LinkEvent::Accepted { peer: server, conn: ConnId(link.0), address });
                        continue;
                    }
                }
            };
            let (content, length) = match split_frame(&conn.input) {
                Ok(None) => return true,
                Err(_) => return false,
                Ok(Some((content, length))) => (content.to_vec(), length),
            };
            conn.input.drain(..length);
            self.links_step(parts, LinkEvent::Heard { conn: ConnId(link.0) });
            // A malformed notification is skipped; the connection goes on (E§3).
            if let Ok(notification) = election::Notification::decode(&content) {
                if let Some(ensemble) = heard_ensemble(&notification)
                    && ensemble.version() > self.committed.version()
                {
                    self.events.push_back(Event::Gossip { ensemble: Box::new(ensemble) });
                }
                let notification = own_notification(&notification);
                self.events.push_back(Event::Notified { from: server, notification });
            }
        }
    }
}

/// One that does not parse is none; the vote counts all the same (E§3).
fn heard_ensemble(wire: &election::Notification<'_>) -> Option<Ensemble> {
    wire.config.as_ref().and_then(|text| Ensemble::parse(text).ok())
}

/// The ensemble in it is not needed to count votes, only its version (E§4.3).
fn own_notification(wire: &election::Notification<'_>) -> Notification {
    let config = heard_ensemble(wire);
    Notification {
        state: wire.state,
        vote: Vote { leader: wire.leader, zxid: wire.zxid, peer_epoch: wire.peer_epoch },
        round: wire.round,
        version: u32::try_from(wire.version).unwrap_or(0),
        config_version: config.map_or(0, |config| config.version()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeConfig, Now, Replica, Stream};
    use ostler_model::{PeerState, Zxid};
    use ostler_tree::{Tree, TreeConfig};
    use ostler_zab::{Boot, Epochs, History, Settings};

    const ENSEMBLE: &str = "server.1=h:11:12:participant;13\nserver.2=h:21:22:participant;23\nversion=";

    fn ensemble(version: i64) -> Ensemble {
        Ensemble::parse(&format!("{ENSEMBLE}{version:x}")).unwrap()
    }

    /// A vote of server 1, with its handshake.
    fn vote_of_one(config: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        Handshake::Legacy { server: ServerId(1) }.encode(&mut bytes);
        let wire = election::Notification {
            state: PeerState::Looking,
            leader: ServerId(1),
            zxid: Zxid::ZERO,
            round: 1,
            peer_epoch: 0,
            version: election::NOTIFICATION_VERSION,
            config: config.map(Into::into),
        };
        wire.encode(&mut bytes);
        bytes
    }

    /// What zab is told when server `me` accepts a connection that carries these bytes; and if it hangs up.
    fn heard(me: i64, bytes: Vec<u8>) -> (Vec<Event>, bool) {
        let now = Now { mono_ms: 1_000, wall_ms: 1_000 };
        let mut tree = Tree::new(TreeConfig { seed: 0, digest: true });
        let mut replica = Replica::member(Arc::new(NodeConfig::default()), &tree, now);
        let mut streams = vec![Stream::new()];
        let mut parts = Parts { now, tree: &mut tree, replica: &mut replica, streams: &mut streams };
        let history = History { trusted: true, ..History::default() };
        let boot = Boot { epochs: Epochs::default(), history, committed: ensemble(1), last_seen: ensemble(1) };
        let mut member = Member::new(Settings::new(ServerId(me)), boot, 1 << 20, &mut parts);
        let link = member.accepted(&mut parts, Port::Election);
        member.elections.get_mut(&link).unwrap().input = bytes;
        member.events.clear();
        assert!(member.election_input(&parts, link));
        assert!(member.elections[&link].input.is_empty());
        (member.events.iter().cloned().collect(), member.elections[&link].ending)
    }

    #[test]
    fn nothing_is_heard_of_a_connection_that_is_being_closed() {
        // The smaller id: it is hung up on, and dialled (E§2.3).
        let (events, ending) = heard(2, vote_of_one(Some(&ensemble(2).to_string())));
        assert!(ending);
        let words = |event: &Event| matches!(event, Event::Notified { .. } | Event::Gossip { .. });
        assert!(!events.iter().any(words), "{events:?}");
    }

    /// The vote is to be counted among those who vote in the ensemble that it came with: who learns of that ensemble
    /// by this message looks anew first.
    #[test]
    fn a_newer_ensemble_is_heard_of_before_the_vote_that_brought_it() {
        let said = |version: i64| {
            let (events, ending) = heard(0, vote_of_one(Some(&ensemble(version).to_string())));
            assert!(!ending);
            let words = events.into_iter().filter_map(|event| match event {
                Event::Gossip { ensemble } => Some(("ensemble", ensemble.version())),
                Event::Notified { notification, .. } => Some(("vote", notification.config_version)),
                _ => None,
            });
            words.collect::<Vec<_>>()
        };
        assert_eq!(said(0x20), [("ensemble", 0x20), ("vote", 0x20)]);
        assert_eq!(said(1), [("vote", 1)], "known already");
        assert_eq!(said(0), [("vote", 0)], "older");
        let (events, _) = heard(0, vote_of_one(Some("server.1=nonsense")));
        assert!(!events.iter().any(|event| matches!(event, Event::Gossip { .. })), "{events:?}");
        assert!(events.iter().any(|event| matches!(event, Event::Notified { .. })), "it counts all the same");
    }

    #[test]
    fn who_was_removed_says_where_it_can_be_dialled() {
        let now = Now { mono_ms: 1_000, wall_ms: 1_000 };
        let mut tree = Tree::new(TreeConfig { seed: 0, digest: true });
        let mut replica = Replica::member(Arc::new(NodeConfig::default()), &tree, now);
        let mut streams = vec![Stream::new()];
        let mut parts = Parts { now, tree: &mut tree, replica: &mut replica, streams: &mut streams };
        let history = History { trusted: true, ..History::default() };
        let boot = Boot { epochs: Epochs::default(), history, committed: ensemble(1), last_seen: ensemble(1) };
        let mut member = Member::new(Settings::new(ServerId(1)), boot, 1 << 20, &mut parts);
        let before = member.handshake();
        assert_eq!(before.dialable().next().map(|address| address.port), Some(12));
        let without = Ensemble::parse("server.2=h:21:22:participant;23\nversion=2").unwrap();
        (member.committed, member.last_seen) = (without.clone(), without);
        member.note_own_address();
        assert_eq!(member.handshake(), before);
    }
}
