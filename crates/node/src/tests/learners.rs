//! A leader's replica and the sessions of its learners, one call at a time.

use super::cluster::PACKET_MAX;
use crate::{ConnId, Forward, NodeConfig, Now, Origin, Outbound, Replica, Stream, Submit, SubmitItem};
use ostler_model::{ErrorCode, OpCode, SessionId, Txn};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::txn::decode;
use ostler_zab::{LinkId, ServingRole};
use std::sync::Arc;

const NOW: Now = Now { mono_ms: 1_000_000, wall_ms: 1_000_000 };
const SESSION: SessionId = SessionId(77);
const FIRST: LinkId = LinkId(1);
const SECOND: LinkId = LinkId(2);

struct Leader {
    tree: Tree,
    replica: Replica,
    streams: Vec<Stream>,
}

impl Leader {
    /// One that leads epoch 1, with a session of the learner behind [`FIRST`].
    fn new() -> Leader {
        let config = Arc::new(NodeConfig { server_id: 3, ..NodeConfig::default() });
        let mut tree = Tree::new(TreeConfig { seed: 0, digest: true });
        let mut streams = vec![Stream::new()];
        let mut replica = Replica::member(config, &tree, NOW);
        replica.serve(NOW, ServingRole::Leader, 1, &mut tree, &mut streams);
        let mut leader = Leader { tree, replica, streams };
        leader.request(FIRST, OpCode::CreateSession, &10_000_i32.to_be_bytes());
        leader.commit();
        leader
    }

    /// A learner's request; returns what it becomes.
    fn request(&mut self, link: LinkId, op: OpCode, body: &[u8]) -> Txn {
        let request = Forward { session: SESSION, cxid: 1, op, body: body.to_vec(), ids: None };
        self.replica.learner_request(NOW, &self.tree, &mut self.streams, link, request);
        match self.replica.take_outbound().pop() {
            Some(Outbound::Propose { record, .. }) => decode(&record, PACKET_MAX).unwrap().txn,
            other => panic!("a learner's request becomes a proposal, not {other:?}"),
        }
    }

    fn commit(&mut self) {
        self.replica.commit(self.replica.last_proposed());
        self.replica.apply(NOW, &mut self.tree, &mut self.streams);
    }

    fn submit(&mut self, seq: u64, item: SubmitItem) {
        let submit = Submit { origin: Origin { conn: ConnId::new(1, 0, 0), seq }, item };
        self.replica.receive(NOW, &self.tree, &mut self.streams, submit);
    }
}

/// The body of a delete of any version.
fn delete(path: &str) -> Vec<u8> {
    let length = (path.len() as i32).to_be_bytes();
    [&length[..], path.as_bytes(), &(-1_i32).to_be_bytes()].concat()
}

#[test]
fn what_a_client_sent_through_a_learner_does_not_overtake_what_it_sent_to_the_leader() {
    let mut leader = Leader::new();
    assert_eq!(leader.request(FIRST, OpCode::Delete, &delete("/none")), Txn::Error(ErrorCode::NoNode));
    leader.submit(0, SubmitItem::Connect { session: SESSION, password_ok: true, timeout_ms: 10_000 });
    assert!(leader.replica.session_conn(SESSION).is_some(), "it moved to the leader");
    leader.submit(0, SubmitItem::Gone);
    assert_eq!(leader.replica.session_conn(SESSION), None);
    let late = leader.request(FIRST, OpCode::Delete, &delete("/none"));
    assert_eq!(late, Txn::Error(ErrorCode::SessionMoved), "it left the leader, and still belongs there");
    let valid = leader.replica.revalidate_for(NOW, &mut leader.streams, SECOND, SESSION, 10_000);
    assert_eq!(valid, Some(true), "until the client says where it went");
    assert_eq!(leader.request(FIRST, OpCode::Delete, &delete("/none")), Txn::Error(ErrorCode::SessionMoved));
    assert_eq!(leader.request(SECOND, OpCode::Delete, &delete("/none")), Txn::Error(ErrorCode::NoNode));
}

#[test]
fn a_session_whose_end_is_proposed_is_refused_when_that_is_committed() {
    let mut leader = Leader::new();
    assert!(matches!(leader.request(FIRST, OpCode::CloseSession, &[]), Txn::CloseSession { .. }));
    let answer = leader.replica.revalidate_for(NOW, &mut leader.streams, SECOND, SESSION, 10_000);
    assert_eq!(answer, None, "a leader that dies now leaves a session that lives");
    assert_eq!(leader.replica.take_outbound(), []);
    leader.commit();
    assert_eq!(leader.replica.take_outbound(), [Outbound::Ended { link: SECOND, session: SESSION }]);
    let answer = leader.replica.revalidate_for(NOW, &mut leader.streams, SECOND, SESSION, 10_000);
    assert_eq!(answer, Some(false), "it is over");
}
