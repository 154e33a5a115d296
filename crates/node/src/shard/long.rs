//! Requests that take more than one hold of the tree: listings of huge directories and long setWatches (rules.md
//! 1.10). Their connection waits; all others go on.

use super::Shard;
use super::ephemerals::Ephemerals;
use super::figures::Answered;
use super::multi_read::{self, MultiRead};
use super::scan::Scan;
use super::set_watches::{Progress, SetWatches};
use super::turn::Step;
use crate::CloseReason;
use crate::reads::Reader;
use ostler_model::{WatchMode, perms};
use ostler_tree::{Change, Tree};
use ostler_wire::client::{ReplyHeader, RequestHeader, encode_error};

#[derive(Debug)]
pub(super) enum Long {
    Scan(Scan),
    Ephemerals(Ephemerals),
    MultiRead(MultiRead),
    SetWatches(SetWatches),
}

impl Shard {
    /// Begins one and does its first part; the shard has handled what the tree contains.
    pub(super) fn begin_long(&mut self, slot: usize, long: Long, tree: &Tree) -> Step {
        if matches!(long, Long::Scan(_) | Long::Ephemerals(_) | Long::MultiRead(_)) {
            self.scans.push(slot as u32);
        }
        self.conn_mut(slot).long = Some(Box::new(long));
        self.step_long(slot, tree)
    }

    /// One more part of it, in one hold.
    pub(super) fn step_long(&mut self, slot: usize, tree: &Tree) -> Step {
        let Some(mut long) = self.conn_mut(slot).long.take() else { return Step::Ran };
        let before = self.conn(slot).output.len();
        let (header, done) = match &mut *long {
            Long::Scan(scan) => (scan.header, self.step_scan(slot, scan, tree)),
            Long::Ephemerals(request) => (request.header, self.step_ephemerals(slot, request, tree)),
            Long::MultiRead(request) => match self.step_multi_read(slot, request, tree) {
                multi_read::Progress::TooLong => {
                    self.close(slot, CloseReason::AnswerTooLong);
                    return Step::Idle;
                }
                progress => (request.header, progress == multi_read::Progress::Done),
            },
            Long::SetWatches(request) => (request.header, self.step_set_watches(slot, request, tree)),
        };
        if !done {
            self.conn_mut(slot).long = Some(long);
            return Step::Yield;
        }
        self.scans.retain(|scanning| *scanning != slot as u32);
        self.count_long(slot, header, before);
        Step::Ran
    }

    /// The last part made the reply, and with setWatches the last of the events before it.
    fn count_long(&mut self, slot: usize, header: RequestHeader, before: usize) {
        let (now, handled) = (self.now, self.handled);
        let Shard { conns, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let RequestHeader { op, xid } = header;
        let (zxid, received_ms, bytes) = (handled, now.mono_ms, conn.output.len() - before);
        conn.count_reply(stats, now, &Answered { op, xid, zxid, received_ms, bytes, update: false });
        self.mark_dirty(slot);
    }

    fn step_scan(&mut self, slot: usize, scan: &mut Scan, tree: &Tree) -> bool {
        let handled = self.handled;
        let Shard { conns, pool, config, watches, held_bytes, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let RequestHeader { xid, .. } = scan.header;
        let reader = Reader { tree, policy: &config.policy, ids: &conn.ids, session: conn.session, xid, zxid: handled };
        let node = match scan.check(&reader, perms::READ) {
            Ok(node) => node,
            Err(code) => {
                encode_error(conn.output.tail(pool), xid, handled, Some(code));
                return true;
            }
        };
        let (bytes, done) = scan.page(node);
        *held_bytes += bytes;
        if done {
            scan.reply(handled, node).into_iter().for_each(|piece| conn.output.append(piece));
            if let Some((path, table)) = scan.watch() {
                watches.add(slot as u32, path, table, WatchMode::Standard);
            }
        }
        done
    }

    fn step_ephemerals(&mut self, slot: usize, request: &mut Ephemerals, tree: &Tree) -> bool {
        let handled = self.handled;
        let conn = self.conn_mut(slot);
        let (bytes, done) = request.page(tree, conn.session);
        if done {
            let header = ReplyHeader { xid: request.header.xid, zxid: handled, err: 0 };
            request.reply(header).into_iter().for_each(|piece| conn.output.append(piece));
        }
        self.held_bytes += bytes;
        done
    }

    fn step_multi_read(&mut self, slot: usize, request: &mut MultiRead, tree: &Tree) -> multi_read::Progress {
        let handled = self.handled;
        let Shard { conns, pool, config, held_bytes, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let reader = Reader {
            tree,
            policy: &config.policy,
            ids: &conn.ids,
            session: conn.session,
            xid: request.header.xid,
            zxid: handled,
        };
        let (progress, bytes) = request.part(&reader, config.frame_bytes_max, conn.output.tail(pool));
        *held_bytes += bytes;
        progress
    }

    fn step_set_watches(&mut self, slot: usize, request: &mut SetWatches, tree: &Tree) -> bool {
        let handled = self.handled;
        let Shard { conns, pool, config, watches, held_bytes, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let before = conn.output.len();
        let out = conn.output.tail(pool);
        let (progress, events) = request.slice(config.frame_bytes_max, tree, watches, slot as u32, out);
        conn.figures.sent += events;
        stats.plain.packets_sent += events;
        match progress {
            Progress::More => {}
            Progress::Done(err) => encode_error(out, request.header.xid, handled, err),
        }
        *held_bytes += conn.output.len() - before;
        self.mark_dirty(slot);
        matches!(progress, Progress::Done(_))
    }

    /// Listings under way correct themselves by what happens to their parent.
    pub(super) fn note_in_listings(&mut self, change: &Change) {
        for slot in &self.scans {
            match self.conns[*slot as usize].as_deref_mut().and_then(|conn| conn.long.as_deref_mut()) {
                Some(Long::Scan(scan) | Long::MultiRead(MultiRead { scan: Some(scan), .. })) => scan.note(change),
                Some(Long::Ephemerals(request)) => request.note(change),
                _ => {}
            }
        }
    }
}
