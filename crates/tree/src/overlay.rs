//! The tree as it will be: everything proposed and not yet applied, laid over the table (rules.md section 4).

use crate::{Caller, Policy, Prepared, Tree};
use ostler_model::{Request, TxnHeader, Zxid};

/// Pending state over a [`Tree`].
#[derive(Debug, Default)]
pub struct Overlay {}

impl Overlay {
    /// Nothing pending.
    pub fn new() -> Overlay {
        Overlay::default()
    }

    /// Checks `request` against the pending state and turns it into a transaction, which is then pending too.
    /// `header` carries the zxid it will have, the session, the xid and the wall clock. A refused request becomes
    /// an error transaction. The caller must propose exactly what it gets, in the order of the calls.
    pub fn prepare(
        &mut self,
        _tree: &Tree,
        _policy: &Policy,
        _caller: &Caller<'_>,
        _header: TxnHeader,
        _request: &Request<'_>,
    ) -> Prepared {
        todo!()
    }

    /// Forgets what was pending up to `zxid`, because the tree contains it now.
    pub fn applied(&mut self, _zxid: Zxid) {
        todo!()
    }
}
