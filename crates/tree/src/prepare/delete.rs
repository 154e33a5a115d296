//! delete (client-protocol.md section 10.2) and the sweeper's deleteContainer (section 16).

use super::{Check, next_version, parent_of};
use crate::Store;
use crate::sweep::is_due;
use ostler_model::{Delete, ErrorCode, Txn, path, perms};

/// The path of a node to delete and its parent's.
fn deletable(path: Option<&str>) -> Result<(&str, &str), ErrorCode> {
    let path = path.ok_or(ErrorCode::MarshallingError)?;
    let parent = parent_of(path)?;
    if path::PROTECTED.contains(&path) { Err(ErrorCode::BadArguments) } else { Ok((path, parent)) }
}

impl Check<'_> {
    pub(super) fn delete(&mut self, request: &Delete<'_>) -> Result<Txn, ErrorCode> {
        self.open_session()?;
        let (path, parent_path) = deletable(request.path.as_deref())?;
        let parent = self.find(parent_path)?;
        self.allow(parent, perms::DELETE)?;
        // "//a" has the root for its parent, but is not "/a".
        let is_child = parent_path != "/";
        let node = self.view.find_child(parent, path).filter(|_| is_child).ok_or(ErrorCode::NoNode)?;
        next_version(self.view.stat(node).version, request.version)?;
        if self.view.num_children(node) > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.view.pin(parent);
        Ok(Txn::Delete { path: path.to_owned() })
    }

    /// The sweeper decided on committed state; what is pending may have changed the node's mind. Stricter than
    /// Apache, whose operation also deletes persistent leaves, TTL nodes that were just written to, and containers that were just
    /// created.
    pub(super) fn delete_container(&self, path: Option<&str>) -> Result<Txn, ErrorCode> {
        let (path, parent_path) = deletable(path)?;
        let node = self.find(path)?;
        if self.view.num_children(node) > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if !is_due(&self.view.stat(node), self.header.time_ms, self.policy.container_max_never_used_ms) {
            return Err(ErrorCode::BadVersion);
        }
        self.find(parent_path)?;
        Ok(Txn::DeleteContainer { path: path.to_owned() })
    }
}
