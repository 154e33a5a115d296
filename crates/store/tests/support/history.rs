//! A random history of transactions, the tree they make, and how trees are compared.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

use ostler_model::Dice;
use ostler_model::{
    Acl, CreateOp, CreateTxn, ErrorCode, SessionId, StoredStat, Txn, TxnHeader, Zxid, open_acl, read_only_acl,
};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::txn::{DIGEST_VERSION, TxnDigest, decode, encode};

/// Random transactions, some of which fail, and the tree after them. The same seed makes the same history.
pub struct Model {
    rng: Dice,
    config: TreeConfig,
    tree: Tree,
    /// All transactions in order.
    records: Vec<(Zxid, Vec<u8>)>,
    /// The zxid of the next one.
    next: Zxid,
    sessions: Vec<SessionId>,
}

impl Model {
    /// Nothing happened yet.
    pub fn new(seed: u64, config: TreeConfig) -> Model {
        Model {
            rng: Dice::new(seed),
            config,
            tree: Tree::new(config),
            records: Vec::new(),
            next: Zxid(1),
            sessions: Vec::new(),
        }
    }

    /// The tree after everything so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The payload of a record.
    pub fn record(&self, zxid: Zxid) -> &[u8] {
        &self.records[self.records.binary_search_by_key(&zxid, |(zxid, _)| *zxid).unwrap()].1
    }

    /// Forgets what came after `zxid`: it was lost, and something else will happen.
    pub fn truncate(&mut self, zxid: Zxid) {
        if zxid == self.tree.zxid() {
            return;
        }
        self.records.truncate(self.records.partition_point(|(of, _)| *of <= zxid));
        self.next = Zxid(self.last().0 + 1);
        let mut tree = Tree::new(self.config);
        self.replay_onto(&mut tree);
        self.sessions = tree.sessions().map(|(id, _)| id).collect();
        self.tree = tree;
    }

    /// The zxid of the last transaction.
    pub fn last(&self) -> Zxid {
        self.records.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid)
    }

    /// All transactions.
    pub fn history(&self) -> &[(Zxid, Vec<u8>)] {
        &self.records
    }

    /// The next transaction is the first of this epoch.
    pub fn begin_epoch(&mut self, epoch: u32) {
        assert!(epoch > self.last().epoch());
        self.next = Zxid::new(epoch, 1);
    }

    /// Takes over one transaction.
    pub fn push(&mut self, zxid: Zxid, payload: &[u8]) {
        self.records.push((zxid, payload.to_vec()));
        self.next = Zxid(zxid.0 + 1);
        let record = decode(payload, 1 << 20).unwrap();
        self.tree.apply(&record.header, &record.txn, &mut Vec::new());
        self.sessions = self.tree.sessions().map(|(id, _)| id).collect();
    }

    /// Forgets everything and takes over another history.
    pub fn take_over(&mut self, records: &[(Zxid, Vec<u8>)]) {
        self.records = records.to_vec();
        self.next = Zxid(self.last().0 + 1);
        let mut tree = Tree::new(self.config);
        self.replay_onto(&mut tree);
        self.sessions = tree.sessions().map(|(id, _)| id).collect();
        self.tree = tree;
    }

    /// The tree at `zxid`.
    pub fn tree_at(&self, zxid: Zxid) -> Tree {
        let mut tree = Tree::new(self.config);
        self.replay_until(&mut tree, zxid);
        tree
    }

    /// Makes the next transaction.
    pub fn step(&mut self) -> Zxid {
        let zxid = self.next;
        let (session, txn) = self.random_txn();
        let header = TxnHeader { session, cxid: zxid.0 as i32, zxid, time_ms: 1_700_000_000_000 + zxid.0 };
        self.tree.apply(&header, &txn, &mut Vec::new());
        let digest = TxnDigest { version: DIGEST_VERSION, tree_digest: self.tree.digest() };
        let mut payload = Vec::new();
        encode(&mut payload, &header, &txn, Some(digest));
        self.records.push((zxid, payload));
        self.next = Zxid(zxid.0 + 1);
        zxid
    }

    /// Applies what `tree` is missing.
    pub fn replay_onto(&self, tree: &mut Tree) {
        self.replay_until(tree, self.last());
    }

    /// Applies what `tree` is missing up to `last`.
    pub fn replay_until(&self, tree: &mut Tree, last: Zxid) {
        let missing = |zxid: Zxid| tree.zxid() < zxid && zxid <= last;
        let missing: Vec<_> = self.records.iter().filter(|(zxid, _)| missing(*zxid)).collect();
        for (_, payload) in missing {
            let record = decode(payload, 1 << 20).unwrap();
            tree.apply(&record.header, &record.txn, &mut Vec::new());
        }
    }

    fn random_txn(&mut self) -> (SessionId, Txn) {
        let session = match self.rng.below(self.sessions.len() as u64 + 1) as usize {
            0 => SessionId::NONE,
            i => self.sessions[i - 1],
        };
        let txn = match self.rng.below(12) {
            0 => {
                let id = SessionId(0x100 + self.records.len() as i64);
                self.sessions.push(id);
                return (id, Txn::CreateSession { timeout_ms: 4000 });
            }
            1 if session != SessionId::NONE => {
                self.sessions.retain(|id| *id != session);
                Txn::CloseSession { paths: Some(self.tree.ephemerals(session)) }
            }
            2 | 3 => self.delete(),
            4 => Txn::Error(ErrorCode::NoNode),
            5 => self.multi(session),
            6 => self.set_acl(),
            7 => self.set_data(),
            _ => self.create(session),
        };
        (session, txn)
    }

    /// An existing path, the root included, or one that may exist.
    fn path(&mut self) -> String {
        (0..self.rng.below(4)).map(|_| format!("/n{}", self.rng.below(6))).collect()
    }

    /// Transactions in a log fit the tree: prepare made sure. What does not fit becomes an error.
    fn create(&mut self, session: SessionId) -> Txn {
        let parent = self.path();
        let path = format!("{parent}/n{}", self.rng.below(6));
        let (Some(node), None) = (self.tree.node(&parent), self.tree.node(&path)) else {
            return Txn::Error(ErrorCode::NodeExists);
        };
        if node.owner().is_ephemeral() {
            return Txn::Error(ErrorCode::NoChildrenForEphemerals);
        }
        let parent_cversion = node.stored().cversion + 1;
        let op = [CreateOp::Create, CreateOp::Create2, CreateOp::Container, CreateOp::Ttl][self.rng.below(4) as usize];
        let plain = matches!(op, CreateOp::Create | CreateOp::Create2);
        let ephemeral = plain && session != SessionId::NONE && self.rng.below(2) == 0;
        let acl = match self.rng.below(4) {
            0 => read_only_acl(),
            // Seldom the same twice: the ACL table changes while a snapshot is written.
            1 => vec![Acl { perms: 31, scheme: "ip".into(), id: format!("10.0.0.{}", self.rng.below(200)) }].into(),
            _ => open_acl(),
        };
        Txn::Create(CreateTxn { op, path, data: self.data(), acl, ephemeral, parent_cversion, ttl: 1000 })
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.rng.below(8) {
            0 => None,
            1 => Some(vec![0; self.rng.below(6000) as usize]),
            n => Some(vec![n as u8; self.rng.below(100) as usize]),
        }
    }

    fn delete(&mut self) -> Txn {
        let path = self.path();
        match self.tree.node(&path) {
            Some(node) if !path.is_empty() && node.num_children() == 0 => Txn::Delete { path },
            Some(_) => Txn::Error(ErrorCode::NotEmpty),
            None => Txn::Error(ErrorCode::NoNode),
        }
    }

    fn set_data(&mut self) -> Txn {
        let path = self.path();
        let Some(version) = self.tree.node(&path).map(|node| node.stored().version + 1) else {
            return Txn::Error(ErrorCode::NoNode);
        };
        let data = self.data();
        Txn::SetData { path: rooted(path), data, version }
    }

    fn set_acl(&mut self) -> Txn {
        let path = self.path();
        let Some(version) = self.tree.node(&path).map(|node| node.stored().aversion + 1) else {
            return Txn::Error(ErrorCode::NoNode);
        };
        let acl = vec![Acl { perms: 1, scheme: "digest".into(), id: format!("u{}:x", self.rng.below(50)) }];
        Txn::SetAcl { path: rooted(path), acl: acl.into(), version }
    }

    /// A create and a setData of the same node, or a failed one.
    fn multi(&mut self, session: SessionId) -> Txn {
        match self.create(session) {
            Txn::Create(create) => {
                let set = Txn::SetData { path: create.path.clone(), data: self.data(), version: 1 };
                Txn::Multi(vec![Txn::Create(create), set])
            }
            _ => {
                let create = Txn::Delete { path: "/n1".into() };
                Txn::Multi(vec![create, Txn::Error(ErrorCode::NoNode), Txn::Error(ErrorCode::RuntimeInconsistency)])
            }
        }
    }
}

fn rooted(path: String) -> String {
    if path.is_empty() { "/".into() } else { path }
}

/// A node as it stands in [`listing`].
pub type Listed = (String, Option<Vec<u8>>, Vec<Acl>, StoredStat);

/// Everything in a tree, sorted: nodes, then sessions.
pub fn listing(tree: &Tree) -> (Vec<Listed>, Vec<(SessionId, i32)>) {
    let mut nodes = Vec::new();
    let mut walk = tree.walk();
    while !walk.step(tree, 1000, |image| {
        let acl = tree.node(image.path).unwrap().acl().to_vec();
        nodes.push((image.path.to_owned(), image.data.map(<[u8]>::to_vec), acl, image.stat));
    }) {}
    nodes.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sessions: Vec<_> = tree.sessions().collect();
    sessions.sort();
    (nodes, sessions)
}
