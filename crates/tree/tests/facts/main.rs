//! The facts of client-protocol.md about writes, one by one: what each request answers and what it leaves behind.
//!
//! `prepare_against_model.rs` covers the combinations; here stands what was seen on the wire of Apache's server, in
//! the order of the specification, so that a reader can lay the two side by side.

#![allow(clippy::unwrap_used, reason = "a test that is wrong may panic")]

mod acl;
mod create;
mod delete;
mod multi;
mod quota;
mod session;
mod set;
mod sweep;
mod tree;

use ostler_model::{
    AclList, AuthId, CheckVersion, Create, CreateOp, Delete, ErrorCode, MultiOp, Request, SessionId, SetAcl, SetData,
    Stat, Text, Txn, TxnHeader, WireAcl, Zxid, perms,
};
use ostler_tree::{Caller, Change, Overlay, Policy, Prepared, Tree, TreeConfig, TxnResult};

const SESSION: SessionId = SessionId(0x0100_0000_0000_0001);
const OTHER: SessionId = SessionId(0x0100_0000_0000_0002);

/// A standalone server without sockets: every request is prepared and, with `ask`, applied at once.
struct Server {
    tree: Tree,
    overlay: Overlay,
    policy: Policy,
    ids: Vec<AuthId>,
    session: SessionId,
    zxid: i64,
    time_ms: i64,
    changes: Vec<Change>,
}

impl Server {
    /// With two sessions and the node /wire, which everybody may do everything with.
    fn new() -> Server {
        let mut server = Server {
            tree: Tree::new(TreeConfig { seed: 1, digest: true }),
            overlay: Overlay::new(2),
            policy: Policy::default(),
            ids: vec![id("ip", "127.0.0.1")],
            session: SESSION,
            zxid: 0,
            time_ms: 1_000,
            changes: Vec::new(),
        };
        for session in [OTHER, SESSION] {
            server.session = session;
            server.ask(&Request::CreateSession { timeout_ms: 4_000 });
        }
        server.make("/wire");
        server
    }

    fn extended() -> Server {
        let mut server = Server::new();
        server.policy.extended_types = true;
        server
    }

    /// Prepares under the next zxid, without applying.
    fn prepare(&mut self, request: &Request<'_>) -> (TxnHeader, Prepared) {
        self.zxid += 1;
        let header = TxnHeader { session: self.session, cxid: 1, zxid: Zxid(self.zxid), time_ms: self.time_ms };
        let caller = Caller::new(&self.ids);
        (header, self.overlay.prepare(&self.tree, &self.policy, &caller, header, request))
    }

    fn apply(&mut self, header: &TxnHeader, prepared: &Prepared) -> TxnResult {
        self.changes.clear();
        let result = self.tree.apply_prepared(header, &prepared.txn, prepared.found, &mut self.changes);
        self.overlay.applied(header.zxid);
        result
    }

    fn ask(&mut self, request: &Request<'_>) -> TxnResult {
        let (header, prepared) = self.prepare(request);
        self.apply(&header, &prepared)
    }

    /// 0 or the error.
    fn code(&mut self, request: &Request<'_>) -> i32 {
        match self.ask(request) {
            TxnResult::Error(code) => code,
            _ => 0,
        }
    }

    /// The path of the node it made, or the error.
    fn create(&mut self, create: Create<'_>) -> Result<String, i32> {
        match self.ask(&Request::Create(create)) {
            TxnResult::Created { path, .. } => Ok(path.to_string()),
            TxnResult::Error(code) => Err(code),
            other => panic!("a create gave {other:?}"),
        }
    }

    fn make(&mut self, path: &str) {
        assert_eq!(self.create(node(path)), Ok(path.to_owned()));
    }

    fn make_with(&mut self, path: &str, data: &str) {
        assert_eq!(self.create(Create { data: Some(data.as_bytes()), ..node(path) }), Ok(path.to_owned()));
    }

    fn delete(&mut self, path: &str) -> i32 {
        self.code(&delete(path, -1))
    }

    fn set(&mut self, path: &str, data: &str) -> i32 {
        self.code(&set_data(path, Some(data.as_bytes()), -1))
    }

    fn stat(&self, path: &str) -> Stat {
        self.tree.node(path).unwrap_or_else(|| panic!("{path} is not there")).stat()
    }

    fn has(&self, path: &str) -> bool {
        self.tree.node(path).is_some()
    }

    fn text(&self, path: &str) -> String {
        let data = self.tree.node(path).unwrap_or_else(|| panic!("{path} is not there")).data();
        String::from_utf8(data.expect("it has data").to_vec()).unwrap()
    }

    fn acl(&self, path: &str) -> AclList {
        self.tree.node(path).unwrap().acl().clone()
    }

    /// The codes of a refused multi.
    fn refused(&mut self, operations: Vec<MultiOp<'_>>) -> Vec<i32> {
        match self.ask(&Request::Multi(operations)) {
            TxnResult::MultiFailed(codes) => codes,
            other => panic!("not a refused multi: {other:?}"),
        }
    }
}

fn id(scheme: &str, id: &str) -> AuthId {
    AuthId { scheme: scheme.into(), id: id.into() }
}

fn entry<'a>(perms: i32, scheme: &'a str, id: &'a str) -> WireAcl<'a> {
    WireAcl { perms, scheme: Some(scheme.into()), id: Some(id.into()) }
}

fn world(perms: i32) -> Option<Vec<WireAcl<'static>>> {
    Some(vec![entry(perms, "world", "anyone")])
}

/// world:r and all for digest u:p, as the recorder's restricted nodes.
fn restricted() -> Option<Vec<WireAcl<'static>>> {
    Some(vec![entry(perms::READ, "world", "anyone"), entry(perms::ALL, "digest", "u:p")])
}

fn text(path: &str) -> Text<'_> {
    Some(path.into())
}

/// create2 of an open, empty, persistent node.
fn node(path: &str) -> Create<'_> {
    Create { op: CreateOp::Create2, path: text(path), data: Some(b""), acl: world(perms::ALL), flags: 0, ttl: -1 }
}

fn flagged(path: &str, flags: i32) -> Create<'_> {
    Create { flags, ..node(path) }
}

fn ttl(path: &str, flags: i32, ttl: i64) -> Create<'_> {
    Create { op: CreateOp::Ttl, flags, ttl, ..node(path) }
}

fn delete(path: &str, version: i32) -> Request<'_> {
    Request::Delete(Delete { path: text(path), version })
}

fn set_data<'a>(path: &'a str, data: Option<&'a [u8]>, version: i32) -> Request<'a> {
    Request::SetData(SetData { path: text(path), data, version })
}

fn set_acl<'a>(path: &'a str, acl: Option<Vec<WireAcl<'a>>>, version: i32) -> Request<'a> {
    Request::SetAcl(SetAcl { path: text(path), acl, version })
}

fn check(path: &str, version: i32) -> MultiOp<'_> {
    MultiOp::Check(CheckVersion { path: text(path), version })
}
