//! What must hold for any bytes that a connection brings. The fuzz target `connection` (`fuzz/`) and the tests run the
//! same function: frames, handshake, four-letter words, decoding, execution, watches and the log, with a bystander who must
//! not notice.

use ostler_model::{OpCode, SessionId, Zxid};
use ostler_node::harness::Harness;
use ostler_node::{ConnId, NodeConfig};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::client::{ConnectRequest, FrameWriter, ReplyHeader, RequestHeader};

/// Small, so that the limit is met.
const FRAME_BYTES_MAX: usize = 4_096;

/// The first byte says how the others arrive: bit 0 after a handshake, bit 1 with a client that stays, the rest in pieces of
/// how many bytes (0 = all at once).
pub(crate) fn connection(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let mut server = Server::start();
    let conn = server.harness.open(0);
    let mut replies = Vec::new();
    if how & 1 != 0 {
        server.harness.send(conn, &handshake());
        server.harness.run();
        assert_eq!(server.harness.receive(conn).len(), 41, "the answer to the handshake");
    }
    let piece = usize::from(how >> 2);
    for part in bytes.chunks(if piece == 0 { usize::MAX } else { piece }) {
        if !server.harness.is_closed(conn) {
            server.harness.send(conn, part);
            server.harness.run();
            replies.extend(server.harness.receive(conn));
        }
    }
    server.check_replies(&replies, how & 1 == 0);
    if how & 2 == 0 {
        server.harness.hang_up(conn);
    }
    // Longer than any session's time-out: its ephemerals go.
    server.outlive();
    server.check_log();
}

struct Server {
    harness: Harness,
    bystander: ConnId,
    xid: i32,
}

impl Server {
    /// A server with a few nodes, and a bystander who watches everything.
    fn start() -> Server {
        let mut config = NodeConfig { frame_bytes_max: FRAME_BYTES_MAX, ..NodeConfig::default() };
        config.policy.enforce_quota = true;
        let mut harness = Harness::new(config);
        let bystander = harness.open(0);
        harness.send(bystander, &handshake());
        let mut server = Server { harness, bystander, xid: 0 };
        server.harness.run();
        server.harness.receive(server.bystander);
        for (path, flags) in [("/a", 0), ("/a/b", 0), ("/c", 4), ("/e", 1)] {
            let created = server.ask(OpCode::Create2, |frame| {
                frame.text(Some(path));
                frame.buffer(Some(b"data"));
                frame.int(1);
                frame.acl_entry(31, Some("world"), Some("anyone"));
                frame.int(flags);
            });
            assert_eq!(created, 0, "{path}");
        }
        let watched = server.ask(OpCode::AddWatch, |frame| {
            frame.text(Some("/"));
            frame.int(1);
        });
        assert_eq!(watched, 0);
        server
    }

    /// The bystander asks; the error code of the answer. Events before it are passed over.
    fn ask(&mut self, op: OpCode, body: impl FnOnce(&mut FrameWriter<'_>)) -> i32 {
        self.xid += 1;
        let mut out = Vec::new();
        let mut frame = FrameWriter::request(&mut out, RequestHeader { xid: self.xid, op: op.code() });
        body(&mut frame);
        frame.finish();
        self.harness.send(self.bystander, &out);
        self.harness.run();
        assert!(!self.harness.is_closed(self.bystander), "the bystander was closed");
        let received = self.harness.receive(self.bystander);
        let mut answers =
            payloads(&received).into_iter().map(|payload| ReplyHeader::split(payload).expect("a reply").0);
        let answer = answers.find(|header| header.xid == self.xid).expect("an answer");
        assert!(answer.zxid <= self.harness.tree.zxid(), "{answer:?}");
        answer.err
    }

    /// Whole frames, and none names a zxid that is not there.
    fn check_replies(&self, bytes: &[u8], handshake: bool) {
        for payload in payloads(bytes).into_iter().skip(usize::from(handshake)) {
            let (header, _) = ReplyHeader::split(payload).expect("a reply has a header");
            assert!(header.zxid <= self.harness.tree.zxid(), "{header:?}");
        }
    }

    /// Every other session ends; the bystander is served all the time.
    fn outlive(&mut self) {
        for _ in 0..12 {
            self.harness.advance(4_000);
            let exists = self.ask(OpCode::Exists, |frame| {
                frame.text(Some("/"));
                frame.bool(false);
            });
            assert_eq!(exists, 0);
        }
        let owners = self.harness.tree.ephemeral_owners();
        let sessions: Vec<SessionId> = self.harness.tree.sessions().map(|(session, _)| session).collect();
        assert!(owners.iter().all(|owner| sessions.contains(owner)), "{owners:?} of {sessions:?}");
        // A client that stays, but is silent, is gone too.
        assert_eq!(sessions.len(), 1, "{sessions:?}");
    }

    /// What was appended to the log makes the same tree again.
    fn check_log(&self) {
        let mut again = Tree::new(TreeConfig { seed: 7, digest: true });
        for append in &self.harness.log {
            let record = ostler_wire::txn::decode(&append.record, 1 << 20).expect("our own record");
            assert_eq!(record.header.zxid, append.zxid);
            again.apply(&record.header, &record.txn, &mut Vec::new());
            assert!(record.digest.is_none_or(|digest| digest.tree_digest == again.digest()), "at {:?}", append.zxid);
        }
        let tree = &self.harness.tree;
        assert_eq!(
            (again.zxid(), again.digest(), again.node_count(), again.approximate_data_size()),
            (tree.zxid(), tree.digest(), tree.node_count(), tree.approximate_data_size())
        );
    }
}

fn handshake() -> Vec<u8> {
    let mut out = Vec::new();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 10_000,
        session: SessionId::NONE,
        password: vec![0; 16],
        read_only: Some(false),
    }
    .encode(&mut out);
    out
}

fn payloads(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).expect("our own length");
        payloads.push(&rest[..length]);
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "half a length");
    payloads
}
