//! create, create2, createContainer, createTTL (client-protocol.md section 10.1).

use super::{Check, parent_of, quota};
use crate::{Policy, Store};
use ostler_model::{Create, CreateOp, CreateTxn, ErrorCode, MAX_TTL_MS, Owner, Txn, limits, path, perms};

/// The flags of a create request.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mode {
    ephemeral: bool,
    sequential: bool,
    ttl: bool,
}

impl Mode {
    fn from_flags(flags: i32) -> Option<Mode> {
        let mode = |ephemeral, sequential, ttl| Some(Mode { ephemeral, sequential, ttl });
        match flags {
            // 4 asks for a container, but only the operation decides about that (and multi's decoder).
            0 | 4 => mode(false, false, false),
            1 => mode(true, false, false),
            2 => mode(false, true, false),
            3 => mode(true, true, false),
            5 => mode(false, false, true),
            6 => mode(false, true, true),
            _ => None,
        }
    }
}

/// Flags and time to live. createTTL without a TTL mode kills Apache; here it is a bad argument whatever its ttl
/// (section 20, row 2).
fn mode(policy: &Policy, request: &Create<'_>) -> Result<Mode, ErrorCode> {
    let mode = Mode::from_flags(request.flags).ok_or(ErrorCode::BadArguments)?;
    if mode.ttl && !policy.extended_types {
        return Err(ErrorCode::Unimplemented);
    }
    let ttl_fits = if mode.ttl {
        request.op == CreateOp::Ttl && (1..=MAX_TTL_MS).contains(&request.ttl)
    } else {
        request.op != CreateOp::Ttl
    };
    if ttl_fits { Ok(mode) } else { Err(ErrorCode::BadArguments) }
}

impl Check<'_> {
    pub(super) fn create(&mut self, request: &Create<'_>) -> Result<Txn, ErrorCode> {
        let mode = mode(self.policy, request)?;
        self.open_session()?;
        let asked = request.path.as_deref().ok_or(ErrorCode::MarshallingError)?;
        let parent_path = parent_of(asked)?;
        let acl = self.policy.canonical_acl(request.acl.as_deref(), self.caller.ids)?;
        let parent = self.find(parent_path)?;
        self.allow(parent, perms::CREATE)?;
        let parent_stat = self.view.stat(parent);
        let path = if mode.sequential { format!("{asked}{:010}", parent_stat.cversion) } else { asked.to_owned() };
        if !path::is_valid(&path) || path::parts(&path) > limits::PATH_PARTS_MAX {
            return Err(ErrorCode::BadArguments);
        }
        if path == "/" || self.view.find_child(parent, &path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if Owner::from_raw(parent_stat.ephemeral_owner).is_ephemeral() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        quota::check_create(self, &path, request.data)?;
        self.view.pin(parent);
        Ok(Txn::Create(CreateTxn {
            op: request.op,
            path,
            data: request.data.map(<[u8]>::to_vec),
            acl,
            // A container or TTL node is that whatever the flags say.
            ephemeral: mode.ephemeral && matches!(request.op, CreateOp::Create | CreateOp::Create2),
            parent_cversion: parent_stat.cversion.wrapping_add(1),
            ttl: request.ttl,
        }))
    }
}
