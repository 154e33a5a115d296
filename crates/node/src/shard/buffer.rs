//! Bytes on their way in or out of a connection, and the pool that empty buffers go back to: an idle connection
//! keeps none.

use ostler_model::limits;
use std::collections::VecDeque;

/// A FIFO of bytes: appended at the end, consumed from the front. All in one vector, unless whole pieces were appended.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Before `bytes`; none is empty.
    pieces: VecDeque<Vec<u8>>,
    pieces_bytes: usize,
    bytes: Vec<u8>,
    /// Bytes consumed of the first piece, or of `bytes` if there are no pieces.
    start: usize,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.pieces_bytes + self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is not consumed yet: all of it, or the first piece. Empty only if nothing is left.
    pub(super) fn filled(&self) -> &[u8] {
        &self.pieces.front().unwrap_or(&self.bytes)[self.start..]
    }

    /// The vector to append to; nothing before its end may be touched.
    pub(super) fn tail(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        // Consumed bytes are moved away only when they are the larger part: amortised, each byte moves once.
        if self.pieces.is_empty() && self.start > 4_096 && self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// Appends a piece as it is, without copying it.
    pub(super) fn append(&mut self, piece: Vec<u8>) {
        for piece in [std::mem::take(&mut self.bytes), piece] {
            if !piece.is_empty() {
                self.pieces_bytes += piece.len();
                self.pieces.push_back(piece);
            }
        }
    }

    /// Drops the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize, pool: &mut Pool) {
        assert!(count <= self.len(), "consumed {count} of {} bytes", self.len());
        self.start += count;
        while let Some(first) = self.pieces.front().map(Vec::len).filter(|first| *first <= self.start) {
            self.pieces.pop_front();
            self.start -= first;
            self.pieces_bytes -= first;
        }
        if self.is_empty() {
            self.release(pool);
        }
    }

    /// Drops everything and gives the memory back.
    pub(super) fn release(&mut self, pool: &mut Pool) {
        (self.start, self.pieces_bytes) = (0, 0);
        self.pieces = VecDeque::new();
        pool.give(std::mem::take(&mut self.bytes));
    }
}

/// Empty buffers for reuse.
#[derive(Debug, Default)]
pub(super) struct Pool {
    empty: Vec<Vec<u8>>,
}

impl Pool {
    fn take(&mut self) -> Vec<u8> {
        self.empty.pop().unwrap_or_else(|| Vec::with_capacity(512))
    }

    fn give(&mut self, mut bytes: Vec<u8>) {
        let fits = 1..=limits::POOLED_BUFFER_BYTES_MAX;
        if fits.contains(&bytes.capacity()) && self.empty.len() < limits::POOLED_BUFFERS_MAX {
            bytes.clear();
            self.empty.push(bytes);
        }
    }
}

/// What stands at the front of a connection's input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    /// Not even a length.
    Nothing,
    /// A legal length, but not all of its bytes.
    Part,
    /// A whole frame with a payload of this many bytes.
    Frame(usize),
    /// A length outside the limits.
    Bad(i32),
}

/// Looks at the front of `input`; payloads may have `least..=most` bytes.
pub(super) fn front(input: &[u8], least: usize, most: usize) -> Front {
    let Some((prefix, rest)) = input.split_first_chunk::<4>() else { return Front::Nothing };
    let claimed = i32::from_be_bytes(*prefix);
    match usize::try_from(claimed) {
        Ok(length) if (least..=most).contains(&length) => {
            if rest.len() >= length {
                Front::Frame(length)
            } else {
                Front::Part
            }
        }
        _ => Front::Bad(claimed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_and_bytes_come_out_in_order(steps in proptest::collection::vec((0..3_u8, 0..9_000_usize), 1..60)) {
            let (mut pool, mut buffer, mut model) = (Pool::default(), Buffer::default(), Vec::new());
            let mut next = 0_u8;
            for (step, size) in steps {
                let mut fresh = || { next = next.wrapping_add(1); vec![next; size] };
                match step {
                    0 => {
                        let bytes = fresh();
                        model.extend_from_slice(&bytes);
                        buffer.tail(&mut pool).extend_from_slice(&bytes);
                    }
                    1 => {
                        let piece = fresh();
                        model.extend_from_slice(&piece);
                        buffer.append(piece);
                    }
                    _ => {
                        let count = size.min(buffer.len());
                        model.drain(..count);
                        buffer.consume(count, &mut pool);
                    }
                }
                prop_assert_eq!(buffer.len(), model.len());
                prop_assert_eq!(buffer.filled().is_empty(), model.is_empty());
                prop_assert!(model.starts_with(buffer.filled()));
            }
            while !buffer.is_empty() {
                let front = buffer.filled().to_vec();
                prop_assert!(model.starts_with(&front));
                model.drain(..front.len());
                buffer.consume(front.len(), &mut pool);
            }
            prop_assert!(model.is_empty());
        }
    }

    #[test]
    fn lengths_are_judged_before_anything_else() {
        assert_eq!(front(&[0, 0, 0], 0, 10), Front::Nothing);
        assert_eq!(front(&[0xff, 0xff, 0xff, 0xff], 0, 10), Front::Bad(-1));
        assert_eq!(front(&[0, 0, 0, 11], 0, 10), Front::Bad(11));
        assert_eq!(front(&[0, 0, 0, 7], 8, 10), Front::Bad(7));
        assert_eq!(front(&[0, 0, 0, 2, 1], 0, 10), Front::Part);
        assert_eq!(front(&[0, 0, 0, 2, 1, 2, 3], 0, 10), Front::Frame(2));
    }

    #[test]
    fn a_buffer_is_a_fifo() {
        let mut pool = Pool::default();
        let mut buffer = Buffer::default();
        buffer.tail(&mut pool).extend_from_slice(&[7; 10_000]);
        buffer.consume(9_999, &mut pool);
        buffer.tail(&mut pool).extend_from_slice(b"ab");
        assert_eq!(buffer.filled(), &[7, b'a', b'b']);
        buffer.consume(3, &mut pool);
        assert!(buffer.is_empty() && buffer.bytes.capacity() == 0);
        assert_eq!(pool.empty.len(), 1);
    }
}
