//! reconfig (client-protocol.md section 10.7), as far as a standalone server goes.

use super::Check;
use ostler_model::{ErrorCode, Txn};

impl Check<'_> {
    /// -123 unless it is enabled, then the session, then -6: a standalone server has no members to change. An
    /// ensemble answers the same until it can change its own.
    pub(super) fn reconfig(&self) -> Result<Txn, ErrorCode> {
        if !self.policy.reconfig_enabled {
            return Err(ErrorCode::ReconfigDisabled);
        }
        self.open_session()?;
        Err(ErrorCode::Unimplemented)
    }
}
