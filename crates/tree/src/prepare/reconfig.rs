//! reconfig (client-protocol.md section 10.7).

use super::Check;
use ostler_model::{ErrorCode, Txn, path, perms};

impl Check<'_> {
    /// -123 unless it is enabled, then the session, then what the ensemble says; a standalone server has no members to
    /// change: -6. Who may write the node may reconfigure: with the ACL that it has at first, the superuser.
    pub(super) fn reconfig(&mut self) -> Result<Txn, ErrorCode> {
        if !self.policy.reconfig_enabled {
            return Err(ErrorCode::ReconfigDisabled);
        }
        self.open_session()?;
        let text = self.caller.next_ensemble.unwrap_or(Err(ErrorCode::Unimplemented))?;
        let node = self.find(path::CONFIG)?;
        self.allow(node, perms::WRITE)?;
        self.view.pin(node);
        Ok(Txn::Reconfig { path: path::CONFIG.to_owned(), data: Some(text.as_bytes().to_vec()), version: -1 })
    }
}
