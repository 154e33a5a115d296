//! From requests to transactions: the exact checks in the exact order (client-protocol.md sections 9, 10, 15, 16, 17).
//!
//! One file per family of operations. Each check function looks at the state as it will be and either names the error
//! or builds the transaction; it changes nothing. The transaction is then applied to the overlay by the same `apply`
//! that changes the table later, so that whatever comes next sees its effect.

mod create;
mod delete;
mod multi;
mod quota;
mod reconfig;
mod session;
mod set;
mod size;

use crate::overlay::{View, key};
use crate::{Found, Overlay, Policy, Store, Tree, TxnResult, apply};
use ostler_model::{AuthId, ErrorCode, Request, Txn, TxnHeader};

/// On whose behalf a request is checked.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The identities the request was received under.
    pub ids: &'a [AuthId],
    /// What a reconfig request becomes, as far as the members of an ensemble decide: the text of the next one.
    pub next_ensemble: Option<Result<&'a str, ErrorCode>>,
}

impl<'a> Caller<'a> {
    /// With these identities; nobody who reconfigures an ensemble.
    pub fn new(ids: &'a [AuthId]) -> Caller<'a> {
        Caller { ids, next_ensemble: None }
    }
}

/// What a request became.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// To be proposed under the header given to prepare.
    pub txn: Txn,
    /// The tree's digest once it is applied; `None` for error transactions or with digests off.
    pub digest: Option<i64>,
    /// For [`Tree::apply_prepared`](crate::Tree::apply_prepared), if everything that was prepared before is applied before it.
    pub found: Option<Found>,
}

/// Everything the checks of one request look at.
struct Check<'a> {
    view: View<'a>,
    policy: &'a Policy,
    caller: &'a Caller<'a>,
    header: &'a TxnHeader,
    /// Of the record that the transaction becomes, as far as it is built.
    record_bytes: usize,
}

/// A node as the checks see it.
type Node<'a, 'p> = <View<'a> as Store>::Node<'p>;

impl Overlay {
    /// Checks `request` against the pending state and turns it into a transaction, which is then pending too.
    /// `header` carries the zxid it will have, the session, the xid and the wall clock; a header without session
    /// ([`SessionId::NONE`](ostler_model::SessionId::NONE)) is the server's own request and needs none. A refused request becomes an error
    /// transaction. The caller must propose exactly what it gets, in the order of the calls.
    ///
    /// Reads, sync and whatever else is no write become -6; records that do not decode never come here (see
    /// [`Prepared::malformed`]).
    pub fn prepare(
        &mut self,
        tree: &Tree,
        policy: &Policy,
        caller: &Caller<'_>,
        header: TxnHeader,
        request: &Request<'_>,
    ) -> Prepared {
        let mut check = Check { view: self.view(tree, header.zxid), policy, caller, header: &header, record_bytes: 0 };
        let txn = match request {
            Request::Multi(operations) => check.multi(operations),
            single => check.single(single).and_then(|txn| check.accept(txn)).unwrap_or_else(Txn::Error),
        };
        let digest = if txn.is_error() { None } else { check.view.digest() };
        let found = if matches!(txn, Txn::SetData { .. }) { check.view.found() } else { None };
        Prepared { txn, digest, found }
    }
}

impl Prepared {
    /// What a multi becomes whose body does not decode: it takes a zxid, unlike other undecodable requests (section
    /// 20; the one exception is a null ACL vector, which is answered like those). Nothing becomes pending.
    pub fn malformed() -> Prepared {
        Prepared::refused(ErrorCode::MarshallingError)
    }

    /// What becomes of a request that is refused without a look at the tree.
    pub fn refused(code: ErrorCode) -> Prepared {
        Prepared { txn: Txn::Error(code), digest: None, found: None }
    }
}

impl Check<'_> {
    fn single(&mut self, request: &Request<'_>) -> Result<Txn, ErrorCode> {
        match request {
            Request::Create(request) => self.create(request),
            Request::Delete(request) => self.delete(request),
            Request::DeleteContainer { path } => self.delete_container(path.as_deref()),
            Request::SetData(request) => self.set_data(request),
            Request::SetAcl(request) => self.set_acl(request),
            Request::Reconfig { .. } => self.reconfig(),
            Request::CreateSession { timeout_ms } => Ok(Txn::CreateSession { timeout_ms: *timeout_ms }),
            Request::CloseSession => Ok(self.close_session()),
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    /// Makes a checked transaction, or part of a multi, pending, if there is room for it in a record.
    fn accept(&mut self, txn: Txn) -> Result<Txn, ErrorCode> {
        self.weigh(&txn)?;
        let result = apply(&mut self.view, self.header, &txn, &mut Vec::new());
        assert!(!matches!(result, TxnResult::Error(_)), "prepare let pass what apply refuses: {txn:?} gave {result:?}");
        Ok(txn)
    }

    fn find<'p>(&self, path: &'p str) -> Result<Node<'_, 'p>, ErrorCode> {
        self.view.find(key(path)).ok_or(ErrorCode::NoNode)
    }

    /// -102 unless the caller has one of the bits `needed` on `node`.
    fn allow(&self, node: Node<'_, '_>, needed: i32) -> Result<(), ErrorCode> {
        if self.policy.allows(&self.view.acl(node), needed, self.caller.ids) { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }
}

/// The version that follows `current`, if the client expects `current` or anything (-1). Versions wrap.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == -1 || expected == current { Ok(current.wrapping_add(1)) } else { Err(ErrorCode::BadVersion) }
}

/// The parent of a path that is about to be created or deleted: the text before the last '/', not validated further.
fn parent_of(path: &str) -> Result<&str, ErrorCode> {
    match ostler_model::path::split(path) {
        Some((parent, _)) if !path.contains('\0') => Ok(parent),
        _ => Err(ErrorCode::BadArguments),
    }
}

/// -8 unless `path` may name a node; null may not.
fn valid_path(path: Option<&str>) -> Result<&str, ErrorCode> {
    path.filter(|path| ostler_model::path::is_valid(path)).ok_or(ErrorCode::BadArguments)
}
