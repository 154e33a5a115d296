//! The transport rules one by one. The mesh of several servers is in `mesh.rs`.

mod mesh;

use super::*;
use crate::{PeerState, Vote};
use alloc::vec;
use ostler_model::Zxid;

fn server(id: i64) -> ServerId {
    ServerId(id)
}

fn message(round: i64) -> Notification {
    let vote = Vote { leader: server(2), zxid: Zxid::ZERO, peer_epoch: 0 };
    Notification { state: PeerState::Looking, vote, round, version: 2, config_version: 0 }
}

fn members(voters: &[i64], observers: &[i64]) -> LinkEvent {
    LinkEvent::Members {
        voters: voters.iter().copied().map(ServerId).collect(),
        observers: observers.iter().copied().map(ServerId).collect(),
    }
}

/// Server 2 with its clock.
struct Two {
    links: Links,
    now_ms: u64,
}

impl Two {
    /// Before anything: it knows nobody.
    fn new() -> Two {
        Two { links: Links::new(server(2)), now_ms: 1_000 }
    }

    /// Of three voters, with the first dials asked for.
    fn of_three() -> Two {
        let mut two = Two::new();
        assert_eq!(two.step(members(&[1, 2, 3], &[])), [dial(1), dial(3)]);
        two
    }

    fn step(&mut self, event: LinkEvent) -> Vec<LinkAction> {
        let mut actions = Vec::new();
        self.links.step(self.now_ms, event, &mut actions);
        actions
    }

    /// Time passes until something is due.
    fn due(&mut self) -> (u64, Vec<LinkAction>) {
        let at = self.links.next_deadline().expect("something is due");
        let waited = at.saturating_sub(self.now_ms);
        self.now_ms = self.now_ms.max(at);
        (waited, self.step(LinkEvent::Tick))
    }

    fn notify(&mut self, to: i64, round: i64) -> Vec<LinkAction> {
        self.step(LinkEvent::Notify { to: server(to), notification: message(round) })
    }

    fn accepted(&mut self, peer: i64, conn: u64) -> Vec<LinkAction> {
        self.step(LinkEvent::Accepted { peer: server(peer), conn: ConnId(conn), address: None })
    }

    fn dialled(&mut self, peer: i64, conn: u64) -> Vec<LinkAction> {
        self.step(LinkEvent::Dialled { peer: server(peer), conn: ConnId(conn) })
    }

    fn failed(&mut self, peer: i64) -> Vec<LinkAction> {
        self.step(LinkEvent::DialFailed { peer: server(peer) })
    }

    fn lost(&mut self, conn: u64) -> Vec<LinkAction> {
        self.step(LinkEvent::Down { conn: ConnId(conn) })
    }
}

fn dial(peer: i64) -> LinkAction {
    LinkAction::Dial { peer: server(peer), address: None }
}

fn up(peer: i64) -> LinkAction {
    LinkAction::Up { peer: server(peer) }
}

fn gone(peer: i64) -> LinkAction {
    LinkAction::Down { peer: server(peer) }
}

fn close(conn: u64, why: LinkClose) -> LinkAction {
    LinkAction::Close { conn: ConnId(conn), why }
}

fn shake(conn: u64) -> LinkAction {
    LinkAction::Handshake { conn: ConnId(conn) }
}

fn send(conn: u64, round: i64) -> LinkAction {
    LinkAction::Send { conn: ConnId(conn), notification: message(round) }
}

#[test]
fn the_greater_id_makes_the_connection() {
    let mut two = Two::of_three();
    assert_eq!(two.dialled(1, 10), [shake(10), up(1)]);
    assert_eq!(two.dialled(3, 11), [shake(11), close(11, LinkClose::WokeUp)], "it will connect back");
    assert!(two.links.is_up(server(1)) && !two.links.is_up(server(3)));
    assert_eq!(two.accepted(3, 12), [up(3)]);
    assert_eq!(two.notify(3, 1), [send(12, 1)]);
}

#[test]
fn a_smaller_id_is_called_back() {
    let mut two = Two::of_three();
    assert_eq!(two.dialled(1, 10), [shake(10), up(1)]);
    two.now_ms += 5_000;
    let actions = two.accepted(1, 11);
    let expected = [close(11, LinkClose::Woken), close(10, LinkClose::Replaced), dial(1)];
    assert_eq!(actions, expected, "it woke us because it has no connection");
    assert_eq!(two.accepted(1, 12), [close(12, LinkClose::Woken)], "one dial at a time");
    assert_eq!(two.dialled(1, 13), [shake(13), up(1)]);
    assert_eq!(two.lost(10), [], "the old one is forgotten");
}

#[test]
fn a_newer_connection_takes_the_place_of_the_older() {
    let mut two = Two::of_three();
    assert_eq!(two.accepted(3, 10), [up(3)]);
    assert_eq!(two.accepted(3, 11), [close(10, LinkClose::Replaced), up(3)]);
    assert_eq!(two.lost(10), []);
    assert!(two.links.is_up(server(3)));
    assert_eq!(two.lost(11), [gone(3)]);
}

#[test]
fn a_mailbox_holds_one_message() {
    let mut two = Two::of_three();
    two.dialled(1, 10);
    assert_eq!(two.notify(1, 1), [send(10, 1)]);
    assert_eq!(two.notify(1, 2), []);
    assert_eq!(two.notify(1, 3), [], "takes the place of the second");
    let written = LinkEvent::Written { conn: ConnId(10) };
    assert_eq!(two.step(written.clone()), [send(10, 3)]);
    assert_eq!(two.step(written), []);
    assert_eq!(two.notify(1, 4), [send(10, 4)]);
}

#[test]
fn what_waited_for_a_connection_is_not_sent_on_it() {
    let mut two = Two::of_three();
    assert_eq!(two.notify(1, 1), [], "a dial is under way");
    assert_eq!(two.dialled(1, 10), [shake(10), up(1)], "whoever hears of Up sends a fresh one (DEV-3)");
    assert_eq!(two.notify(1, 2), [send(10, 2)]);
    assert_eq!(two.step(LinkEvent::Written { conn: ConnId(10) }), []);
    assert_eq!(two.lost(10), [gone(1)]);
}

#[test]
fn failed_dials_are_repeated_at_a_bounded_pace() {
    let mut two = Two::of_three();
    two.accepted(3, 9);
    two.step(LinkEvent::Looking(true));
    let mut pauses = Vec::new();
    for attempt in 0..8 {
        assert_eq!(two.failed(1), if attempt == 0 { vec![gone(1)] } else { vec![] }, "reported once");
        let (waited, actions) = two.due();
        assert_eq!(actions, [dial(1)]);
        pauses.push(waited);
    }
    assert_eq!(pauses, [20, 40, 80, 160, 320, 320, 320, 320]);
    // Not looking: less often.
    two.step(LinkEvent::Looking(false));
    two.failed(1);
    assert!(two.due().0 > 320);
    for _ in 0..10 {
        two.failed(1);
        two.due();
    }
    two.failed(1);
    assert_eq!(two.due().0, 5_000);
    // Looking again: at once.
    two.failed(1);
    assert_eq!(two.step(LinkEvent::Looking(true)), [dial(1)]);
}

#[test]
fn a_lost_connection_is_made_again() {
    let mut two = Two::of_three();
    two.dialled(1, 10);
    two.now_ms += 60_000;
    assert_eq!(two.lost(10), [gone(1), dial(1)], "it was a good one: at once");
    // The next does not last: two servers with one id would go on like this without end.
    let mut waited = 0;
    for conn in 11..16 {
        assert_eq!(two.dialled(1, conn), [shake(conn), up(1)]);
        assert_eq!(two.lost(conn), [gone(1)]);
        let (pause, actions) = two.due();
        assert!(pause > waited, "{pause}");
        assert_eq!(actions, [dial(1)]);
        waited = pause;
    }
}

#[test]
fn who_was_woken_has_time_to_connect_back() {
    let mut two = Two::of_three();
    two.dialled(1, 9);
    two.dialled(3, 10);
    assert_eq!(two.notify(3, 1), [], "a message is no reason to wake it again");
    assert_eq!(two.step(LinkEvent::Looking(true)), []);
    assert_eq!(two.due(), (250, vec![dial(3)]));
}

#[test]
fn silence_of_a_voter_is_not_borne_while_looking() {
    let mut two = Two::of_three();
    two.dialled(1, 10);
    two.accepted(3, 11);
    two.step(LinkEvent::Looking(true));
    for conn in [10, 11] {
        for round in 1..=3 {
            two.notify(if conn == 10 { 1 } else { 3 }, round);
            two.step(LinkEvent::Written { conn: ConnId(conn) });
        }
    }
    two.step(LinkEvent::Heard { conn: ConnId(11) });
    assert_eq!(two.due(), (1_000, vec![dial(1)]), "3 was heard of");
    // The old connection stays until the new one stands.
    assert_eq!(two.notify(1, 4), [send(10, 4)]);
    let replaced = [shake(12), close(10, LinkClose::Replaced), up(1)];
    assert_eq!(two.dialled(1, 12), replaced);
    // Still nothing: more patience, and then the server is gone.
    for round in 1..=3 {
        two.notify(1, round);
    }
    assert_eq!(two.due(), (2_000, vec![dial(1)]));
    assert_eq!(two.failed(1), [close(12, LinkClose::Silent), gone(1)]);
    // Nobody looks: no answer is waited for.
    let mut two = Two::of_three();
    two.dialled(1, 10);
    two.accepted(3, 11);
    two.dialled(3, 12);
    for round in 1..=5 {
        two.notify(1, round);
    }
    assert_eq!(two.links.next_deadline(), None);
}

#[test]
fn a_silent_server_with_a_greater_id_is_woken() {
    let mut two = Two::of_three();
    two.dialled(1, 9);
    two.accepted(3, 10);
    two.failed(3);
    two.step(LinkEvent::Looking(true));
    for round in 1..=3 {
        two.notify(3, round);
    }
    assert_eq!(two.due(), (1_000, vec![dial(3)]));
    assert_eq!(two.dialled(3, 11), [shake(11), close(11, LinkClose::WokeUp)]);
    assert_eq!(two.accepted(3, 12), [close(10, LinkClose::Replaced), up(3)]);
}

#[test]
fn strangers() {
    let mut two = Two::of_three();
    assert_eq!(two.accepted(77, 10), [up(77)], "greater ids are heard, whoever they are");
    assert_eq!(two.notify(77, 1), [send(10, 1)]);
    assert_eq!(two.lost(10), [gone(77)]);
    assert_eq!(two.notify(77, 2), [], "nobody knows where it is");
    // A smaller one is called back where it says it is.
    let address: Arc<str> = Arc::from("joiner:3888");
    let wake = |conn| LinkEvent::Accepted { peer: server(0), conn: ConnId(conn), address: Some(address.clone()) };
    let call = LinkAction::Dial { peer: server(0), address: Some(address.clone()) };
    assert_eq!(two.step(wake(11)), [close(11, LinkClose::Woken), call]);
    assert_eq!(two.failed(0), [gone(0)]);
    assert!(!two.links.peers.contains_key(&server(0)), "forgotten");
    // Without an address there is nowhere to call.
    assert_eq!(two.accepted(0, 12), [close(12, LinkClose::Woken)]);
}

#[test]
fn an_address_in_a_handshake_is_tried_once_for_a_member() {
    let mut two = Two::of_three();
    two.accepted(3, 9);
    two.dialled(3, 8);
    two.failed(1);
    let address: Arc<str> = Arc::from("moved:3888");
    let wake = LinkEvent::Accepted { peer: server(1), conn: ConnId(10), address: Some(address.clone()) };
    let call = LinkAction::Dial { peer: server(1), address: Some(address) };
    assert_eq!(two.step(wake), [close(10, LinkClose::Woken), call]);
    two.failed(1);
    assert_eq!(two.due().1, [dial(1)], "then where the ensemble says");
}

#[test]
fn ids_that_cannot_be() {
    let mut two = Two::of_three();
    assert_eq!(two.accepted(2, 10), [close(10, LinkClose::OwnId)]);
    for id in [-1, i64::MIN, i64::MAX] {
        assert_eq!(two.accepted(id, 11), [close(11, LinkClose::BadId)]);
    }
    assert_eq!(two.notify(2, 1), []);
    for id in 0..64 {
        two.accepted(1_000 + id, 100 + u64::try_from(id).unwrap());
    }
    assert_eq!(two.accepted(5_000, 12), [close(12, LinkClose::Strangers)]);
    assert_eq!(two.accepted(1_000, 13).len(), 2, "one that is connected may connect anew");
    assert_eq!(two.accepted(3, 14), [up(3)], "members always");
    assert_eq!(two.dialled(9, 15), [close(15, LinkClose::Unwanted)]);
}

#[test]
fn an_observer_connects_when_it_asks() {
    let mut four = Two { links: Links::new(server(4)), now_ms: 0 };
    assert_eq!(four.step(members(&[1, 2], &[4])), []);
    assert_eq!(four.step(LinkEvent::Looking(true)), [dial(1), dial(2)]);
    four.dialled(1, 10);
    four.dialled(2, 11);
    four.step(LinkEvent::Looking(false));
    assert_eq!(four.lost(10), [gone(1)]);
    assert_eq!(four.links.next_deadline(), None, "it needs nobody now");
    // Voters do not call observers, but answer them.
    let mut two = Two::new();
    assert_eq!(two.step(members(&[1, 2], &[4])), [dial(1)]);
    assert_eq!(two.accepted(4, 12), [up(4)]);
    assert_eq!(two.notify(4, 1), [send(12, 1)]);
}

#[test]
fn members_come_and_go() {
    let mut two = Two::of_three();
    two.dialled(1, 10);
    two.accepted(3, 11);
    two.dialled(3, 12);
    assert_eq!(two.step(members(&[1, 2, 4], &[])), [dial(4)]);
    assert_eq!(two.notify(3, 1), [send(11, 1)], "still answered");
    assert_eq!(two.lost(11), [gone(3)]);
    assert_eq!(two.links.peers.len(), 2);
    assert_eq!(two.accepted(3, 13), [up(3)], "as a stranger");
}
