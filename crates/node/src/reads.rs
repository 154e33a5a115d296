//! Executing reads of the tree straight into an output buffer (client-protocol.md sections 10.6 and 15).
//!
//! Used by shards for their connections and by the replica for reads that stand behind a write.

use crate::watches::Table;
use ostler_model::properties::trim;
use ostler_model::{AuthId, ErrorCode, OpCode, Request, SessionId, Text, Zxid, perms};
use ostler_tree::{ChildCursor, EphemeralCursor, NodeRef, Policy, Tree};
use ostler_wire::client::{FrameWriter, ReplyHeader, encode_error};

/// What a read is executed against, and on whose behalf.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) policy: &'a Policy,
    pub(crate) ids: &'a [AuthId],
    pub(crate) session: SessionId,
    pub(crate) xid: i32,
    /// For the reply's header: the tree's zxid, which the connection's shard has handled.
    pub(crate) zxid: Zxid,
}

/// What a read leaves to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadOutcome {
    /// Answered.
    Answered,
    /// Answered, and if the request asked for a watch, it is to be registered in this table.
    Watchable(Table),
    /// Nothing was written: the listing is too long for one hold of the tree (rules.md 1.10).
    TooLong,
}

/// Bounds of a listing that is answered in one go.
#[derive(Clone, Copy)]
pub(crate) struct ListingMax {
    pub(crate) children: usize,
    pub(crate) bytes: usize,
}

impl ListingMax {
    /// No bound.
    pub(crate) const NONE: ListingMax = ListingMax { children: usize::MAX, bytes: usize::MAX };
}

impl Reader<'_> {
    fn header(&self, err: i32) -> ReplyHeader {
        ReplyHeader { xid: self.xid, zxid: self.zxid, err }
    }

    fn refuse(&self, out: &mut Vec<u8>, code: ErrorCode) -> ReadOutcome {
        encode_error(out, self.xid, self.zxid, Some(code));
        ReadOutcome::Answered
    }

    /// The node at `path`, readable with one of the bits `needed`.
    pub(crate) fn node(&self, path: &Text<'_>, needed: i32) -> Result<NodeRef<'_>, ErrorCode> {
        let path = path.as_deref().ok_or(ErrorCode::MarshallingError)?;
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        if self.policy.allows(node.acl(), needed, self.ids) { Ok(node) } else { Err(ErrorCode::NoAuth) }
    }

    /// Executes one read and appends its reply. Anything but a read of the tree is answered with -5.
    pub(crate) fn run(&self, request: &Request<'_>, listing: ListingMax, out: &mut Vec<u8>) -> ReadOutcome {
        match request {
            Request::GetData { path, .. } => self.get_data(path, out),
            Request::Exists { path, .. } => self.exists(path, out),
            Request::GetChildren { path, .. } => self.get_children(path, false, listing, out),
            Request::GetChildren2 { path, .. } => self.get_children(path, true, listing, out),
            Request::GetAcl { path } => self.get_acl(path, out),
            Request::GetAllChildrenNumber { path } => self.get_all_children_number(path, out),
            Request::GetEphemerals { prefix } => self.get_ephemerals(prefix, listing, out),
            _ => self.refuse(out, ErrorCode::MarshallingError),
        }
    }

    fn get_data(&self, path: &Text<'_>, out: &mut Vec<u8>) -> ReadOutcome {
        match self.node(path, perms::READ) {
            Ok(node) => {
                let mut frame = FrameWriter::reply(out, self.header(0));
                frame.buffer(node.data());
                frame.stat(&node.stat());
                frame.finish();
                ReadOutcome::Watchable(Table::Data)
            }
            Err(code) => self.refuse(out, code),
        }
    }

    fn exists(&self, path: &Text<'_>, out: &mut Vec<u8>) -> ReadOutcome {
        if path.as_deref().is_some_and(|path| path.contains('\0')) {
            return self.refuse(out, ErrorCode::BadArguments);
        }
        match self.node(path, perms::READ) {
            Ok(node) => {
                let mut frame = FrameWriter::reply(out, self.header(0));
                frame.stat(&node.stat());
                frame.finish();
                ReadOutcome::Watchable(Table::Data)
            }
            Err(code) => {
                self.refuse(out, code);
                // A watch for the node's creation is what exists is for.
                if code == ErrorCode::NoNode { ReadOutcome::Watchable(Table::Data) } else { ReadOutcome::Answered }
            }
        }
    }

    fn get_children(&self, path: &Text<'_>, stat: bool, listing: ListingMax, out: &mut Vec<u8>) -> ReadOutcome {
        let node = match self.node(path, perms::READ) {
            Ok(node) => node,
            Err(code) => return self.refuse(out, code),
        };
        let start = out.len();
        let mut frame = FrameWriter::reply(out, self.header(0));
        if !put_children(&mut frame, node, listing) {
            out.truncate(start);
            return ReadOutcome::TooLong;
        }
        if stat {
            frame.stat(&node.stat());
        }
        frame.finish();
        ReadOutcome::Watchable(Table::Child)
    }

    fn get_acl(&self, path: &Text<'_>, out: &mut Vec<u8>) -> ReadOutcome {
        match self.node(path, perms::READ | perms::ADMIN) {
            Ok(node) => match self.policy.readable_acl(node.acl(), self.ids) {
                Some(acl) => {
                    let mut frame = FrameWriter::reply(out, self.header(0));
                    frame.acl(&acl);
                    frame.stat(&node.stat());
                    frame.finish();
                    ReadOutcome::Answered
                }
                None => self.refuse(out, ErrorCode::NoAuth),
            },
            Err(code) => self.refuse(out, code),
        }
    }

    fn get_all_children_number(&self, path: &Text<'_>, out: &mut Vec<u8>) -> ReadOutcome {
        match self.node(path, perms::READ) {
            Ok(node) => {
                // Apache counts the paths that start with path + "/": for "" that includes "/" itself.
                let below = node.descendants() + u64::from(path.as_deref() == Some(""));
                let mut frame = FrameWriter::reply(out, self.header(0));
                frame.int(i32::try_from(below).unwrap_or(i32::MAX));
                frame.finish();
                ReadOutcome::Answered
            }
            Err(code) => self.refuse(out, code),
        }
    }

    fn get_ephemerals(&self, prefix: &Text<'_>, listing: ListingMax, out: &mut Vec<u8>) -> ReadOutcome {
        let prefix = ephemerals_prefix(prefix);
        let start = out.len();
        let mut frame = FrameWriter::reply(out, self.header(0));
        let count_at = frame.reserve_int();
        let (mut count, mut looked_at, mut bytes) = (0, 0, 0);
        let done = self.tree.list_ephemerals(self.session, &mut EphemeralCursor::default(), |path| {
            if path.starts_with(prefix) {
                frame.text(Some(&path));
                count += 1;
            }
            (looked_at, bytes) = (looked_at + 1, bytes + path.len());
            looked_at < listing.children && bytes < listing.bytes
        });
        frame.set_int(count_at, count);
        frame.finish();
        if !done {
            out.truncate(start);
            return ReadOutcome::TooLong;
        }
        ReadOutcome::Answered
    }

    /// multiRead in one hold: results so far and -5 if an operation is none that may be read; false (and nothing
    /// written) if that takes more than one hold.
    pub(crate) fn multi_read(&self, ops: &[Request<'_>], one_hold: ListingMax, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let mut frame = FrameWriter::reply(out, self.header(multi_read_code(ops)));
        for op in ops.iter().take_while(|op| is_multi_read(op)) {
            if !self.multi_read_one(op, one_hold, &mut frame) || frame.frame_bytes() > one_hold.bytes {
                out.truncate(start);
                return false;
            }
        }
        frame.multi_header(-1, true, -1);
        frame.finish();
        true
    }

    /// The result of one operation; false (and the frame spoilt) if it is a listing beyond `listing`.
    pub(crate) fn multi_read_one(&self, op: &Request<'_>, listing: ListingMax, frame: &mut FrameWriter<'_>) -> bool {
        let (Request::GetData { path, .. } | Request::GetChildren { path, .. }) = op else { return true };
        match (self.node(path, perms::READ), op) {
            (Err(code), _) => {
                put_multi_read_error(frame, code);
                true
            }
            (Ok(node), Request::GetData { .. }) => {
                frame.multi_header(OpCode::GetData.code(), false, 0);
                frame.buffer(node.data());
                frame.stat(&node.stat());
                true
            }
            (Ok(node), _) => {
                frame.multi_header(OpCode::GetChildren.code(), false, 0);
                put_children(frame, node, listing)
            }
        }
    }
}

/// What getEphemerals asks for: paths that begin with this.
pub(crate) fn ephemerals_prefix<'a>(prefix: &'a Text<'_>) -> &'a str {
    prefix.as_deref().filter(|prefix| !matches!(trim(prefix), "" | "/")).unwrap_or_default()
}

/// True for an operation that a multiRead executes.
pub(crate) fn is_multi_read(op: &Request<'_>) -> bool {
    matches!(op, Request::GetData { path: Some(_), .. } | Request::GetChildren { path: Some(_), .. })
}

/// The code in the header of a multiRead's reply: -5 if there is an operation that it does not execute.
pub(crate) fn multi_read_code(ops: &[Request<'_>]) -> i32 {
    if ops.iter().all(is_multi_read) { 0 } else { ErrorCode::MarshallingError.code() }
}

/// The result of an operation of a multiRead that failed.
pub(crate) fn put_multi_read_error(frame: &mut FrameWriter<'_>, code: ErrorCode) {
    frame.multi_header(-1, false, code.code());
    frame.int(code.code());
}

/// Appends the vector of a node's children; false if it passes the bounds (the frame is then spoilt).
fn put_children(frame: &mut FrameWriter<'_>, node: NodeRef<'_>, listing: ListingMax) -> bool {
    if node.num_children() > listing.children {
        return false;
    }
    let count_at = frame.reserve_int();
    let start = frame.frame_bytes();
    let mut count = 0;
    node.list(&mut ChildCursor::default(), |name| {
        frame.text(Some(name));
        count += 1;
        frame.frame_bytes() - start <= listing.bytes
    });
    if frame.frame_bytes() - start > listing.bytes {
        return false;
    }
    frame.set_int(count_at, count);
    true
}
