//! setData, setACL, and check inside a multi (client-protocol.md sections 10.3 to 10.5).

use super::{Check, next_version, quota, valid_path};
use crate::Store;
use ostler_model::{CheckVersion, ErrorCode, SetAcl, SetData, Txn, perms};

impl Check<'_> {
    pub(super) fn set_data(&mut self, request: &SetData<'_>) -> Result<Txn, ErrorCode> {
        self.open_session()?;
        let path = valid_path(request.path.as_deref())?;
        let node = self.find(path)?;
        self.allow(node, perms::WRITE)?;
        quota::check_set_data(self, path, self.view.data_length(node), request.data)?;
        let version = next_version(self.view.stat(node).version, request.version)?;
        self.view.pin(node);
        Ok(Txn::SetData { path: path.to_owned(), data: request.data.map(<[u8]>::to_vec), version })
    }

    pub(super) fn set_acl(&mut self, request: &SetAcl<'_>) -> Result<Txn, ErrorCode> {
        self.open_session()?;
        let path = valid_path(request.path.as_deref())?;
        let acl = self.policy.canonical_acl(request.acl.as_deref(), self.caller.ids)?;
        let node = self.find(path)?;
        self.allow(node, perms::ADMIN)?;
        let version = next_version(self.view.stat(node).aversion, request.version)?;
        self.view.pin(node);
        Ok(Txn::SetAcl { path: path.to_owned(), acl, version })
    }

    /// The log names the version that a write would have made, as Apache's does.
    pub(super) fn check_version(&self, request: &CheckVersion<'_>) -> Result<Txn, ErrorCode> {
        self.open_session()?;
        let path = valid_path(request.path.as_deref())?;
        let node = self.find(path)?;
        self.allow(node, perms::READ)?;
        let version = next_version(self.view.stat(node).version, request.version)?;
        Ok(Txn::Check { path: path.to_owned(), version })
    }
}
