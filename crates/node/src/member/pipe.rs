//! What is to be sent on one quorum connection: messages, ranges of history and whole trees, one after the other.
//!
//! Messages are bytes at once. History and trees are produced by the shell while the connection takes them, in
//! portions; what stands behind them waits.

use ostler_model::{Zxid, limits};
use std::collections::VecDeque;

/// Something that the shell produces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// PROPOSAL and COMMIT of every record behind `after` up to `upto`.
    History { after: Zxid, upto: Zxid },
    /// SNAP and the whole tree.
    Tree { at_least: Zxid },
}

#[derive(Debug)]
enum Waiting {
    Bytes(Vec<u8>),
    Source(Source),
}

/// One connection's output.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    out: Vec<u8>,
    /// How much of `out` the socket has taken.
    taken: usize,
    /// What is being produced; everything else waits behind it.
    source: Option<Source>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Nothing more is accepted; the connection is closed when `out` is empty.
    ending: bool,
}

impl Pipe {
    /// Sends an encoded message.
    pub(super) fn send(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.source.is_none() {
            encode(&mut self.out);
            return;
        }
        if !matches!(self.waiting.back(), Some(Waiting::Bytes(_))) {
            self.waiting.push_back(Waiting::Bytes(Vec::new()));
        }
        if let Some(Waiting::Bytes(bytes)) = self.waiting.back_mut() {
            let before = bytes.len();
            encode(bytes);
            self.waiting_bytes += bytes.len() - before;
        }
    }

    /// Sends something that is produced bit by bit; true: now is its turn.
    pub(super) fn begin(&mut self, source: Source) -> bool {
        if self.source.is_some() {
            self.waiting.push_back(Waiting::Source(source));
            return false;
        }
        self.source = Some(source);
        true
    }

    /// What is being produced.
    pub(super) fn source(&self) -> Option<Source> {
        self.source
    }

    /// A portion of what is being produced.
    pub(super) fn portion(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        assert!(self.source.is_some(), "portions belong to a source");
        encode(&mut self.out);
    }

    /// The source is exhausted: what waited behind it follows. Another source whose turn it is now is returned.
    pub(super) fn end(&mut self) -> Option<Source> {
        assert!(self.source.take().is_some(), "a source ends once");
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting {
                Waiting::Bytes(bytes) => {
                    self.waiting_bytes -= bytes.len();
                    self.out.extend_from_slice(&bytes);
                }
                Waiting::Source(source) => {
                    self.source = Some(source);
                    return Some(source);
                }
            }
        }
        None
    }

    /// True if the source may add another portion.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.taken < limits::PEER_PORTION_BYTES_MAX
    }

    /// True if the other side is too slow for what it is sent.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() - self.taken + self.waiting_bytes > limits::PEER_OUTPUT_BYTES_MAX
    }

    /// Bytes for the socket.
    pub(super) fn output(&self) -> &[u8] {
        &self.out[self.taken..]
    }

    /// The socket took this many.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.taken += bytes;
        assert!(self.taken <= self.out.len(), "no more than there was");
        if self.taken == self.out.len() {
            self.out.clear();
            self.taken = 0;
            self.out.shrink_to(limits::PEER_PORTION_BYTES_MAX);
        } else if self.taken > limits::PEER_PORTION_BYTES_MAX {
            self.out.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Nothing follows what is in `output` now.
    pub(super) fn finish(&mut self) {
        self.ending = true;
        self.source = None;
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// True after `finish`.
    pub(super) fn is_ending(&self) -> bool {
        self.ending
    }

    /// True once everything before `finish` is sent.
    pub(super) fn is_finished(&self) -> bool {
        self.ending && self.output().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &'static str) -> impl FnOnce(&mut Vec<u8>) {
        |out| out.extend_from_slice(text.as_bytes())
    }

    #[test]
    fn messages_wait_behind_what_is_produced() {
        let tree = Source::Tree { at_least: Zxid::ZERO };
        let history = Source::History { after: Zxid(1), upto: Zxid(2) };
        let mut pipe = Pipe::default();
        pipe.send(put("a"));
        assert!(pipe.begin(tree));
        pipe.send(put("d"));
        assert!(!pipe.begin(history));
        pipe.send(put("f"));
        pipe.portion(put("b"));
        pipe.portion(put("c"));
        assert_eq!(pipe.output(), b"abc");
        assert_eq!(pipe.end(), Some(history));
        pipe.portion(put("e"));
        assert_eq!(pipe.end(), None);
        assert_eq!(pipe.output(), b"abcdef");
        pipe.wrote(5);
        assert_eq!(pipe.output(), b"f");
        pipe.finish();
        assert!(!pipe.is_finished());
        pipe.wrote(1);
        assert!(pipe.is_finished());
    }

    #[test]
    fn what_waits_counts() {
        let mut pipe = Pipe::default();
        assert!(pipe.begin(Source::Tree { at_least: Zxid::ZERO }));
        pipe.send(|out| out.resize(limits::PEER_OUTPUT_BYTES_MAX, 0));
        assert!(!pipe.is_full());
        pipe.send(put("x"));
        assert!(pipe.is_full());
    }
}
