//! A multiRead that takes more than one hold of the tree: one operation after the other, huge listings in pages.
//! The protocol does not promise that its parts are of one moment (client-protocol.md section 15).

use super::requests::ONE_HOLD;
use super::scan::Scan;
use crate::reads::{Reader, is_multi_read, multi_read_code, put_multi_read_error};
use ostler_model::{OpCode, Request, limits, perms};
use ostler_wire::client::{FrameWriter, ReplyHeader, RequestHeader, decode_request};

/// One under way.
#[derive(Debug)]
pub(super) struct MultiRead {
    pub(super) header: RequestHeader,
    body: Vec<u8>,
    /// Of the hash tables of its listings.
    seed: u64,
    /// Operations done.
    done: usize,
    /// Their results.
    results: Vec<u8>,
    /// The operation under way, if it is a huge listing.
    pub(super) scan: Option<Scan>,
}

/// How a part of it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    More,
    Done,
    /// The answer is beyond its bound.
    TooLong,
}

impl MultiRead {
    pub(super) fn new(header: RequestHeader, body: &[u8], seed: u64) -> MultiRead {
        MultiRead { header, body: body.to_vec(), seed, done: 0, results: Vec::new(), scan: None }
    }

    /// One more part, in one hold; how many bytes it made. The reply is appended to `out` when all is done.
    pub(super) fn part(&mut self, reader: &Reader<'_>, length_max: usize, out: &mut Vec<u8>) -> (Progress, usize) {
        let body = std::mem::take(&mut self.body);
        let Ok(Request::MultiRead(ops)) = decode_request(OpCode::MultiRead, &body, length_max) else {
            unreachable!("it was decoded when it began")
        };
        let before = self.results.len();
        let progress = self.advance(reader, &ops);
        if progress == Progress::Done {
            let (xid, zxid) = (self.header.xid, reader.zxid);
            let mut frame = FrameWriter::reply(out, ReplyHeader { xid, zxid, err: multi_read_code(&ops) });
            frame.raw(&self.results);
            frame.multi_header(-1, true, -1);
            frame.finish();
        }
        self.body = body;
        (progress, (self.results.len() - before).max(1))
    }

    fn advance(&mut self, reader: &Reader<'_>, ops: &[Request<'_>]) -> Progress {
        let start = self.results.len();
        while let Some(op) = ops.get(self.done).filter(|op| is_multi_read(op)) {
            let listed = self.scan.as_ref().map_or(0, Scan::bytes);
            if self.results.len() + listed > limits::MULTI_READ_BYTES_MAX {
                return Progress::TooLong;
            }
            if self.results.len() - start > ONE_HOLD.bytes || !self.one(reader, op) {
                return Progress::More;
            }
            self.done += 1;
        }
        Progress::Done
    }

    /// One operation; false if it is a listing that goes on.
    fn one(&mut self, reader: &Reader<'_>, op: &Request<'_>) -> bool {
        let mut result = Vec::new();
        let mut frame = FrameWriter::bare(&mut result);
        let finished = match &mut self.scan {
            None => {
                let finished = reader.multi_read_one(op, ONE_HOLD, &mut frame);
                if !finished {
                    self.scan = Some(Scan::new(self.header, op, self.seed));
                }
                finished
            }
            Some(scan) => match scan.check(reader, perms::READ) {
                Err(code) => {
                    put_multi_read_error(&mut frame, code);
                    true
                }
                Ok(node) => {
                    let (_, finished) = scan.page(node);
                    if finished {
                        frame.multi_header(OpCode::GetChildren.code(), false, 0);
                        scan.put(&mut frame, node);
                    }
                    finished
                }
            },
        };
        frame.finish();
        if finished {
            self.scan = None;
            // Without the length prefix: this is no frame of its own.
            self.results.extend_from_slice(&result[4..]);
        }
        finished
    }
}
