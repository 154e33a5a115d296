//! What the transport does at each event.

use super::{
    Conn, ConnId, Dial, LinkAction, LinkClose, Links, PATIENCE_MAX_MS, PATIENCE_MIN_MS, Peer, RETRY_IDLE_MAX_MS,
    RETRY_LOOKING_MAX_MS, RETRY_MIN_MS, STABLE_MS, STRANGERS_MAX, UNANSWERED_MAX, WAKE_MS,
};
use crate::Notification;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostler_model::ServerId;

impl Peer {
    pub(super) fn heard(&mut self, now_ms: u64) {
        self.patience_ms = PATIENCE_MIN_MS;
        if let Some(conn) = &mut self.conn {
            conn.unanswered = 0;
            conn.heard_at_ms = now_ms;
        }
    }

    /// The pause before the next dial.
    fn pause_ms(&self, looking: bool) -> u64 {
        let longest = if looking { RETRY_LOOKING_MAX_MS } else { RETRY_IDLE_MAX_MS };
        match self.failures {
            0 => 0,
            failures => (RETRY_MIN_MS << (failures - 1).min(16)).min(longest),
        }
    }

    /// When the silence on this connection has lasted too long, unless something is heard.
    fn silent_at_ms(&self) -> Option<u64> {
        let conn = self.conn.as_ref()?;
        let patience = self.patience_ms.max(PATIENCE_MIN_MS);
        (conn.unanswered >= UNANSWERED_MAX).then(|| conn.heard_at_ms.saturating_add(patience))
    }

    fn report(&mut self, id: ServerId, up: bool, actions: &mut Vec<LinkAction>) {
        if up || self.reported != Some(false) {
            actions.push(if up { LinkAction::Up { peer: id } } else { LinkAction::Down { peer: id } });
        }
        self.reported = Some(up);
    }

    /// Closes the connection, if there is one.
    fn close(&mut self, why: LinkClose, actions: &mut Vec<LinkAction>) {
        if let Some(conn) = self.conn.take() {
            actions.push(LinkAction::Close { conn: conn.id, why });
        }
    }

    /// Takes this connection for the one to this server. What waited is older than what `Up` will ask for (DEV-3).
    fn install(&mut self, now_ms: u64, id: ServerId, conn: ConnId, actions: &mut Vec<LinkAction>) {
        self.close(LinkClose::Replaced, actions);
        self.mailbox = None;
        self.conn = Some(Conn { id: conn, since_ms: now_ms, busy: false, unanswered: 0, heard_at_ms: now_ms });
        self.report(id, true, actions);
    }
}

impl Links {
    fn is_member(&self, id: ServerId) -> bool {
        self.voters.contains(&id) || self.observers.contains(&id)
    }

    pub(super) fn find(&mut self, conn: ConnId) -> Option<(ServerId, &mut Peer)> {
        let mut peers = self.peers.iter_mut();
        peers.find(|(_, peer)| peer.conn.is_some_and(|own| own.id == conn)).map(|(id, peer)| (*id, peer))
    }

    /// When this server is to be dialled: there is no connection and there should be one, or there is one that is
    /// silent while every vote is needed.
    pub(super) fn due(&self, id: ServerId, peer: &Peer) -> Option<u64> {
        if peer.dial.is_some() {
            return None;
        }
        let voter = self.voters.contains(&id);
        if peer.conn.is_some() {
            let at = if self.looking && voter { peer.silent_at_ms() } else { None };
            return at.map(|at| at.max(peer.dial_at_ms).max(peer.woken_until_ms));
        }
        let kept = voter && (self.looking || self.voters.contains(&self.me));
        let reachable = self.is_member(id) || peer.address.is_some();
        (reachable && (kept || peer.mailbox.is_some())).then_some(peer.dial_at_ms.max(peer.woken_until_ms))
    }

    pub(super) fn dial_what_is_due(&mut self, now_ms: u64, actions: &mut Vec<LinkAction>) {
        let due: Vec<ServerId> = self
            .peers
            .iter()
            .filter(|(id, peer)| self.due(**id, peer).is_some_and(|at| at <= now_ms))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.dial(id, actions);
        }
    }

    fn dial(&mut self, id: ServerId, actions: &mut Vec<LinkAction>) {
        let member = self.is_member(id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let instead_of = peer.conn.map(|conn| conn.id);
        if instead_of.is_some() {
            peer.patience_ms = (peer.patience_ms.max(PATIENCE_MIN_MS) * 2).min(PATIENCE_MAX_MS);
        }
        peer.dial = Some(Dial { instead_of });
        let address = if member { peer.address.take() } else { peer.address.clone() };
        actions.push(LinkAction::Dial { peer: id, address });
    }

    pub(super) fn set_looking(&mut self, now_ms: u64, looking: bool) {
        if looking && !self.looking {
            // Old failures say little about now, and every vote counts. What was unanswered needed no answer.
            for peer in self.peers.values_mut() {
                peer.failures = 0;
                peer.dial_at_ms = peer.dial_at_ms.min(now_ms);
                peer.patience_ms = PATIENCE_MIN_MS;
                if let Some(conn) = &mut peer.conn {
                    conn.unanswered = 0;
                    conn.heard_at_ms = now_ms;
                }
            }
        }
        self.looking = looking;
    }

    pub(super) fn notify(&mut self, to: ServerId, notification: Notification, actions: &mut Vec<LinkAction>) {
        let known = self.is_member(to) || self.peers.contains_key(&to);
        if to == self.me || !known {
            return;
        }
        let peer = self.peers.entry(to).or_default();
        match &mut peer.conn {
            Some(conn) if !conn.busy => {
                conn.busy = true;
                conn.unanswered = conn.unanswered.saturating_add(1);
                actions.push(LinkAction::Send { conn: conn.id, notification });
            }
            Some(conn) => {
                conn.unanswered = conn.unanswered.saturating_add(1);
                peer.mailbox = Some(notification);
            }
            None => peer.mailbox = Some(notification),
        }
    }

    pub(super) fn written(&mut self, conn: ConnId, actions: &mut Vec<LinkAction>) {
        let Some((_, peer)) = self.find(conn) else { return };
        let next = peer.mailbox.take();
        if let Some(own) = &mut peer.conn {
            own.busy = next.is_some();
        }
        actions.extend(next.map(|notification| LinkAction::Send { conn, notification }));
    }

    pub(super) fn dialled(&mut self, now_ms: u64, id: ServerId, conn: ConnId, actions: &mut Vec<LinkAction>) {
        let (me, looking) = (self.me, self.looking);
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.dial.is_some()) else {
            actions.push(LinkAction::Close { conn, why: LinkClose::Unwanted });
            return;
        };
        peer.dial = None;
        actions.push(LinkAction::Handshake { conn });
        if id > me {
            // It connects back. Waking it again too early would make it give up the very connection it is making.
            actions.push(LinkAction::Close { conn, why: LinkClose::WokeUp });
            peer.failures = peer.failures.saturating_add(1);
            peer.dial_at_ms = now_ms.saturating_add(peer.pause_ms(looking));
            peer.woken_until_ms = now_ms.saturating_add(WAKE_MS);
        } else {
            peer.install(now_ms, id, conn, actions);
        }
    }

    pub(super) fn dial_failed(&mut self, now_ms: u64, id: ServerId, actions: &mut Vec<LinkAction>) {
        let looking = self.looking;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(dial) = peer.dial.take() else { return };
        peer.failures = peer.failures.saturating_add(1);
        peer.dial_at_ms = now_ms.saturating_add(peer.pause_ms(looking));
        if peer.conn.is_some_and(|conn| dial.instead_of == Some(conn.id)) {
            peer.close(LinkClose::Silent, actions);
        }
        if peer.conn.is_none() {
            peer.mailbox = None;
            peer.report(id, false, actions);
        }
    }

    pub(super) fn accepted(
        &mut self,
        now_ms: u64,
        id: ServerId,
        conn: ConnId,
        address: Option<Arc<str>>,
        actions: &mut Vec<LinkAction>,
    ) {
        let strangers = self.peers.keys().filter(|id| !self.is_member(**id)).count();
        let refused = if id == self.me {
            Some(LinkClose::OwnId)
        } else if !id.is_legal() {
            Some(LinkClose::BadId)
        } else if !self.is_member(id) && !self.peers.contains_key(&id) && strangers >= STRANGERS_MAX {
            Some(LinkClose::Strangers)
        } else {
            None
        };
        if let Some(why) = refused {
            actions.push(LinkAction::Close { conn, why });
            return;
        }
        let me = self.me;
        let peer = self.peers.entry(id).or_default();
        peer.address = address;
        if id > me {
            peer.install(now_ms, id, conn, actions);
            return;
        }
        // It has something to say and no connection of ours: the one that we think of is gone.
        actions.push(LinkAction::Close { conn, why: LinkClose::Woken });
        peer.close(LinkClose::Replaced, actions);
        if peer.dial.is_none() && (self.is_member(id) || self.peers[&id].address.is_some()) {
            self.dial(id, actions);
        }
    }

    pub(super) fn down(&mut self, now_ms: u64, conn: ConnId, actions: &mut Vec<LinkAction>) {
        let looking = self.looking;
        let Some((id, peer)) = self.find(conn) else { return };
        let Some(lost) = peer.conn.take() else { return };
        peer.mailbox = None;
        peer.failures =
            if now_ms >= lost.since_ms.saturating_add(STABLE_MS) { 0 } else { peer.failures.saturating_add(1) };
        peer.dial_at_ms = peer.dial_at_ms.max(now_ms.saturating_add(peer.pause_ms(looking)));
        peer.report(id, false, actions);
    }

    /// Drops what is known about servers that are no members, once they are neither connected nor to be.
    pub(super) fn forget_strangers(&mut self) {
        let (voters, observers) = (&self.voters, &self.observers);
        self.peers.retain(|id, peer| {
            let member = voters.contains(id) || observers.contains(id);
            member || peer.conn.is_some() || peer.dial.is_some()
        });
    }
}
