//! Requests that a shard answers itself: reads of the tree, and what concerns only the connection.

use super::conn::State;
use super::ephemerals::Ephemerals;
use super::figures::Answered;
use super::long::Long;
use super::multi_read::MultiRead;
use super::set_watches::SetWatches;
use super::turn::Step;
use super::{Shard, scan::Scan};
use crate::reads::{ListingMax, ReadOutcome, Reader, ephemerals_prefix};
use crate::replica::watched_path;
use crate::watches::NULL_PATH;
use crate::{CloseReason, NodeConfig};
use ostler_model::{ErrorCode, OpCode, Request, Text, WatchMode, Zxid, limits};
use ostler_tree::Tree;
use ostler_wire::client::{FrameWriter, ReplyHeader, RequestHeader, decode_request, encode_error, who_am_i_user};

/// What a local operation leads to besides its reply.
enum After {
    Stay,
    Close(CloseReason),
}

/// A listing beyond this is answered in pages.
pub(super) const ONE_HOLD: ListingMax =
    ListingMax { children: limits::LISTING_CHILDREN_MAX, bytes: limits::HOLD_OUTPUT_BYTES_MAX };

/// A session with more ephemerals is told of them here, in pages, and not by the replica behind a write.
const EPHEMERALS_AWAY_MAX: usize = 128;

impl Shard {
    /// Executes the read at the front of the input straight into the output. This is the path that nearly every
    /// request of a busy server takes: nothing is copied or allocated on it.
    pub(super) fn run_read(
        &mut self,
        slot: usize,
        header: RequestHeader,
        length: usize,
        tree: &Tree,
        zxid: Zxid,
    ) -> Step {
        let op = OpCode::from_i32(header.op).expect("a read has an opcode");
        let now = self.now;
        let Shard { conns, pool, watches, config, stats, held_bytes, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let before = conn.output.len();
        let out = conn.output.tail(pool);
        let xid = header.xid;
        let body = &conn.input.filled()[12..4 + length];
        let mut long = None;
        match decode_request(op, body, config.frame_bytes_max) {
            Err(_) => encode_error(out, xid, zxid, Some(ErrorCode::MarshallingError)),
            Ok(Request::SetWatches { .. }) => long = Some(Long::SetWatches(SetWatches::new(header, body))),
            Ok(Request::MultiRead(ops)) => {
                let reader = Reader { tree, policy: &config.policy, ids: &conn.ids, session: conn.session, xid, zxid };
                if !reader.multi_read(&ops, ONE_HOLD, out) {
                    long = Some(Long::MultiRead(MultiRead::new(header, body, config.seed)));
                }
            }
            Ok(request) => {
                let reader = Reader { tree, policy: &config.policy, ids: &conn.ids, session: conn.session, xid, zxid };
                match (reader.run(&request, ONE_HOLD, out), watched_path(&request)) {
                    (ReadOutcome::Watchable(table), Some(path)) => {
                        watches.add(slot as u32, path, table, WatchMode::Standard);
                    }
                    (ReadOutcome::TooLong, _) => {
                        long = Some(match &request {
                            Request::GetEphemerals { prefix } => {
                                Long::Ephemerals(Ephemerals::new(header, ephemerals_prefix(prefix), config.seed))
                            }
                            listing => Long::Scan(Scan::new(header, listing, config.seed)),
                        });
                    }
                    _ => {}
                }
            }
        }
        let bytes = conn.output.len() - before;
        *held_bytes += bytes;
        if long.is_none() {
            let (op, received_ms) = (header.op, now.mono_ms);
            conn.count_reply(stats, now, &Answered { op, xid, zxid, received_ms, bytes, update: false });
        }
        self.consume(slot, 4 + length);
        match long {
            None => {
                self.mark_dirty(slot);
                Step::Ran
            }
            Some(long) => self.begin_long(slot, long, tree),
        }
    }

    /// Executes something that needs no tree, `zxid` being what the shard has handled.
    pub(super) fn run_local(&mut self, slot: usize, (op, xid): (i32, i32), body: &[u8], zxid: Zxid, received_ms: u64) {
        if self.overflows(slot) {
            return;
        }
        let now = self.now;
        let Shard { conns, pool, watches, config, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let before = conn.output.len();
        let out = conn.output.tail(pool);
        let mut after = After::Stay;
        match OpCode::from_i32(op) {
            Some(OpCode::Ping) => encode_error(out, ReplyHeader::PING_XID, zxid, None),
            Some(OpCode::WhoAmI) => {
                let mut frame = FrameWriter::reply(out, ReplyHeader { xid, zxid, err: 0 });
                frame.vector(Some(&conn.ids), |frame, id| {
                    frame.text(Some(&id.scheme));
                    frame.text(Some(who_am_i_user(id)));
                });
                frame.finish();
            }
            Some(op @ (OpCode::Sync | OpCode::AddWatch | OpCode::CheckWatches | OpCode::RemoveWatches)) => {
                match local_answer(config, watches, slot, op, body) {
                    Ok(answer) => {
                        let mut frame = FrameWriter::reply(out, ReplyHeader { xid, zxid, err: 0 });
                        match answer {
                            Answer::Nothing => {}
                            Answer::Zero => frame.int(0),
                            Answer::Path(path) => frame.text(path.as_deref()),
                        }
                        frame.finish();
                    }
                    Err(code) => encode_error(out, xid, zxid, Some(code)),
                }
            }
            // Of a session that only this server knows (read-only mode); others end by a transaction.
            Some(OpCode::CloseSession) => {
                encode_error(out, xid, zxid, None);
                after = After::Close(CloseReason::Client);
            }
            // Internal; Apache 3.9.6 closes without an answer, 3.9.3 deletes the node of anybody.
            Some(OpCode::DeleteContainer) => after = After::Close(CloseReason::BadOperation(op)),
            _ => {
                encode_error(out, xid, Zxid(-1), Some(ErrorCode::Unimplemented));
                after = After::Close(CloseReason::BadOperation(op));
            }
        }
        let bytes = conn.output.len() - before;
        conn.count_reply(stats, now, &Answered { op, xid, zxid, received_ms, bytes, update: false });
        self.mark_dirty(slot);
        if let After::Close(reason) = after {
            self.close(slot, reason);
        }
    }

    /// True if a read that would have to go away may take more than one hold of the tree: it waits until nothing is
    /// away and then runs here, in pages.
    pub(super) fn is_long(&self, slot: usize, op: i32, length: usize, tree: &Tree) -> bool {
        let conn = self.conn(slot);
        debug_assert_eq!(conn.state, State::Open);
        match OpCode::from_i32(op) {
            Some(op @ (OpCode::GetChildren | OpCode::GetChildren2)) => {
                // Only a guess, so the tree may be ahead of what was handled.
                match decode_request(op, &conn.input.filled()[12..4 + length], self.config.frame_bytes_max) {
                    Ok(
                        Request::GetChildren { path: Some(path), .. } | Request::GetChildren2 { path: Some(path), .. },
                    ) => tree.node(&path).is_some_and(|node| node.num_children() > ONE_HOLD.children),
                    _ => false,
                }
            }
            Some(OpCode::GetEphemerals) => tree.has_more_ephemerals(conn.session, EPHEMERALS_AWAY_MAX),
            Some(OpCode::SetWatches | OpCode::SetWatches2 | OpCode::MultiRead) => true,
            _ => false,
        }
    }
}

enum Answer<'a> {
    Nothing,
    Zero,
    Path(Text<'a>),
}

fn local_answer<'a>(
    config: &NodeConfig,
    watches: &mut crate::watches::WatchTables,
    slot: usize,
    op: OpCode,
    body: &'a [u8],
) -> Result<Answer<'a>, ErrorCode> {
    let request = decode_request(op, body, config.frame_bytes_max).map_err(|_| ErrorCode::MarshallingError)?;
    let slot = slot as u32;
    let found = match &request {
        Request::Sync { .. } => true,
        Request::AddWatch { path, recursive } => {
            watches.add_persistent(slot, path.as_deref().unwrap_or(NULL_PATH), *recursive);
            true
        }
        Request::CheckWatches { path, kind } => watches.check(slot, path.as_deref().unwrap_or(NULL_PATH), *kind),
        Request::RemoveWatches { path, kind } => watches.remove(slot, path.as_deref().unwrap_or(NULL_PATH), *kind),
        _ => false,
    };
    match request {
        _ if !found => Err(ErrorCode::NoWatcher),
        Request::Sync { path } => Ok(Answer::Path(path)),
        Request::AddWatch { .. } => Ok(Answer::Zero),
        _ => Ok(Answer::Nothing),
    }
}
