//! A server without a quorum: who is let in, and what is refused (client-protocol.md section 18).

use super::Shard;
use super::figures::Answered;
use super::turn::Step;
use crate::{CloseReason, Outbox};
use ostler_model::{ErrorCode, OpCode, SessionId};
use ostler_tree::Tree;
use ostler_wire::client::{ConnectRequest, RequestHeader, encode_error};

impl Shard {
    /// Why a read-only server closes a connection in place of an answer to its handshake.
    pub(super) fn refuses_read_only(&self, request: &ConnectRequest, tree: &Tree) -> Option<CloseReason> {
        if !self.read_only {
            return None;
        }
        if request.read_only != Some(true) {
            return Some(CloseReason::ReadOnlyServer);
        }
        let is_global = request.session != SessionId::NONE && tree.session_timeout_ms(request.session).is_some();
        is_global.then_some(CloseReason::GlobalSession)
    }

    /// True for what a read-only server refuses: all writes, sync, and the end of a session that it did not make.
    pub(super) fn is_beyond_reading(&self, slot: usize, op: i32) -> bool {
        use OpCode::{
            Check, CloseSession, Create, Create2, CreateContainer, CreateTtl, Delete, DeleteContainer, Multi, Reconfig,
            SetAcl, SetData, Sync,
        };
        match OpCode::from_i32(op) {
            Some(
                Create | Create2 | CreateContainer | CreateTtl | Delete | DeleteContainer | SetData | SetAcl | Multi
                | Reconfig | Check | Sync,
            ) => true,
            Some(CloseSession) => self.conn(slot).foreign,
            _ => false,
        }
    }

    /// Answers the request at the front of the input with -119. (In its place: Apache's refusals may overtake replies
    /// to reads, which no client relies on and the Java client cannot bear.)
    pub(super) fn refuse_beyond_reading(
        &mut self,
        slot: usize,
        header: RequestHeader,
        length: usize,
        outbox: &mut Outbox,
    ) -> Step {
        assert!(self.conn(slot).away.is_empty(), "only the end of a session is away, and nothing is read behind that");
        self.received(slot, 0);
        self.touch(slot, outbox);
        self.consume(slot, 4 + length);
        let (now, zxid, RequestHeader { op, xid }) = (self.now, self.handled, header);
        let out = self.output_of(slot);
        let before = out.len();
        encode_error(out, xid, zxid, Some(ErrorCode::NotReadOnly));
        let bytes = out.len() - before;
        let Shard { conns, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        conn.count_reply(stats, now, &Answered { op, xid, zxid, received_ms: now.mono_ms, bytes, update: false });
        self.mark_dirty(slot);
        Step::Ran
    }
}
