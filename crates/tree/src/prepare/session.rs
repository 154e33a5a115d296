//! Sessions: which requests of which session still count, and what the end of a session deletes
//! (client-protocol.md section 4, rules.md 4.3).

use super::Check;
use crate::Store;
use ostler_model::{ErrorCode, SessionId, Txn};

impl Check<'_> {
    /// -112 once the end of the header's session is prepared, or if it never began. The server's own requests have
    /// no session. (Apache's standalone tracker says -12 for an unknown id, which no client can see.)
    pub(super) fn open_session(&self) -> Result<(), ErrorCode> {
        let session = self.header.session;
        if session == SessionId::NONE || self.view.session_is_open(session) {
            Ok(())
        } else {
            Err(ErrorCode::SessionExpired)
        }
    }

    /// Never refused: expiry asks for it too, and a second end deletes nothing.
    pub(super) fn close_session(&self) -> Txn {
        let paths = self.policy.close_session_paths.then(|| self.view.ephemerals(self.header.session));
        Txn::CloseSession { paths }
    }
}
