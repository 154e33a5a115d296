//! From requests to transactions: the exact checks in the exact order (client-protocol.md sections 9, 10, 15, 16, 17).

use ostler_model::{AuthId, Txn};

/// On whose behalf a request is checked.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The identities the request was received under.
    pub ids: &'a [AuthId],
}

/// What a request became.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// To be proposed under the header given to prepare.
    pub txn: Txn,
    /// The tree's digest once it is applied; `None` for error transactions or with digests off.
    pub digest: Option<i64>,
}
