//! One connection of the load generator: a socket that never blocks, what waits to be written, what is unanswered.

use crate::error::BenchError;
use crate::frames::Frames;
use crate::kind::Kind;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};

/// Length, xid, zxid and error code of a reply.
const HEADER_BYTES: usize = 20;
const EVENT_XID: i32 = -1;
const PING_XID: i32 = -2;
const PING: [u8; 12] = [0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11];

/// A request that is not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// When it was due (open loop) or sent, ns since the start of the run.
    pub(crate) since_ns: u64,
    pub(crate) kind: Kind,
}

/// What came from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    Reply(Sent),
    /// A watch fired.
    Event,
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    frames: Frames,
    output: Vec<u8>,
    written: usize,
    /// The beginning of a reply's header that was cut.
    header: Vec<u8>,
    /// Bytes of a reply's body that are still to come and not looked at.
    skip: usize,
    next_xid: i32,
    answered_xid: i32,
    pub(crate) unanswered: VecDeque<Sent>,
    /// Due and not sent because the depth was reached: when they were due.
    pub(crate) overdue_ns: VecDeque<u64>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, frames: Frames) -> Connection {
        Connection {
            stream,
            frames,
            output: Vec::new(),
            written: 0,
            header: Vec::new(),
            skip: 0,
            next_xid: 1,
            answered_xid: 1,
            unanswered: VecDeque::new(),
            overdue_ns: VecDeque::new(),
        }
    }

    /// Adds a request to the output; `flush` sends it. False if there is nothing left to ask.
    pub(crate) fn ask(&mut self, since_ns: u64) -> bool {
        let Some(kind) = self.frames.append(&mut self.output, self.next_xid) else { return false };
        self.next_xid = following(self.next_xid);
        self.unanswered.push_back(Sent { since_ns, kind });
        true
    }

    /// Keeps the session of an idle connection.
    pub(crate) fn ping(&mut self) {
        self.output.extend_from_slice(&PING);
    }

    /// Writes what the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), BenchError> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(BenchError::Lost(error)),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads all there is and tells it to `heard`. `buffer` is scratch space.
    pub(crate) fn read(&mut self, buffer: &mut [u8], mut heard: impl FnMut(Heard)) -> Result<(), BenchError> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(BenchError::Closed),
                Ok(count) => {
                    self.replies(&buffer[..count], &mut heard)?;
                    // Edge-triggered, but a short read has emptied the socket: what comes later is a new edge.
                    if count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(BenchError::Lost(error)),
            }
        }
    }

    fn replies(&mut self, mut bytes: &[u8], heard: &mut impl FnMut(Heard)) -> Result<(), BenchError> {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Ok(());
            }
            if self.header.is_empty()
                && let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>()
            {
                self.reply(header, heard)?;
                bytes = rest;
                continue;
            }
            let missing = (HEADER_BYTES - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if let Ok(header) = <[u8; HEADER_BYTES]>::try_from(&self.header[..]) {
                self.header.clear();
                self.reply(&header, heard)?;
            }
        }
    }

    fn reply(&mut self, header: &[u8; HEADER_BYTES], heard: &mut impl FnMut(Heard)) -> Result<(), BenchError> {
        let int = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (length, xid, err) = (int(0), int(4), int(16));
        self.skip = usize::try_from(length)
            .ok()
            .and_then(|length| (length + 4).checked_sub(HEADER_BYTES))
            .ok_or(BenchError::Malformed(length))?;
        if xid == PING_XID {
            return Ok(());
        }
        if xid == EVENT_XID {
            heard(Heard::Event);
            return Ok(());
        }
        if err != 0 {
            return Err(BenchError::Refused(err));
        }
        if xid != self.answered_xid {
            return Err(BenchError::OutOfOrder { expected: self.answered_xid, got: xid });
        }
        self.answered_xid = following(xid);
        heard(Heard::Reply(self.unanswered.pop_front().ok_or(BenchError::OutOfOrder { expected: 0, got: xid })?));
        Ok(())
    }
}

const fn following(xid: i32) -> i32 {
    if xid == i32::MAX { 1 } else { xid + 1 }
}
