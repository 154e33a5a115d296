//! multi: all or nothing, under one zxid (client-protocol.md section 15, storage.md section 3.2).

use super::Check;
use ostler_model::{Create, CreateOp, ErrorCode, MultiOp, Txn};

/// True if Apache cannot even read the operation: the whole multi is -5 then, not this operation alone. A null ACL
/// gets here from a createTTL only (the decoder refuses the others) and is refused when its turn comes.
fn is_malformed(operation: &MultiOp<'_>) -> bool {
    match operation {
        MultiOp::Create(create) => create.path.is_none() || !has_readable_flags(create),
        MultiOp::Delete(delete) => delete.path.is_none(),
        MultiOp::SetData(set) => set.path.is_none(),
        MultiOp::Check(check) => check.path.is_none(),
        MultiOp::Refused(_) => false,
    }
}

fn has_readable_flags(create: &Create<'_>) -> bool {
    create.op == CreateOp::Ttl || (0..=4).contains(&create.flags)
}

impl Check<'_> {
    /// A multi with a failing operation stays a multi: what would have happened before it, its error, and -2 for all
    /// behind it, which are not looked at. Nothing of it becomes pending.
    pub(super) fn multi(&mut self, operations: &[MultiOp<'_>]) -> Txn {
        if operations.iter().any(is_malformed) {
            return Txn::Error(ErrorCode::MarshallingError);
        }
        let savepoint = self.view.savepoint();
        let mut parts = Vec::with_capacity(operations.len());
        for operation in operations {
            match self.part(operation).and_then(|txn| self.accept(txn)) {
                Ok(txn) => parts.push(txn),
                Err(code) => {
                    self.view.roll_back(&savepoint);
                    // Inside Apache this is an exception that nobody expected: it ends the whole request (tried on 3.9.3).
                    if code == ErrorCode::MarshallingError {
                        return Txn::Error(code);
                    }
                    parts.push(Txn::Error(code));
                    parts.resize(operations.len(), Txn::Error(ErrorCode::RuntimeInconsistency));
                    return Txn::Multi(parts);
                }
            }
        }
        self.view.release(&savepoint);
        Txn::Multi(parts)
    }

    fn part(&mut self, operation: &MultiOp<'_>) -> Result<Txn, ErrorCode> {
        match operation {
            MultiOp::Create(request) => self.create(request),
            MultiOp::Delete(request) => self.delete(request),
            MultiOp::SetData(request) => self.set_data(request),
            MultiOp::Check(request) => self.check_version(request),
            MultiOp::Refused(code) => Err(*code),
        }
    }
}
