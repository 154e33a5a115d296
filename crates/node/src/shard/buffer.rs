//! Bytes on their way in or out of a connection, and the pool that empty buffers go back to: an idle connection
//! keeps none.

use ostler_model::limits;

/// A FIFO of bytes in one vector: appended at the end, consumed from the front.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is not consumed yet.
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The vector to append to; nothing before its end may be touched.
    pub(super) fn tail(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        }
        // Consumed bytes are moved away only when they are the larger part: amortised, each byte moves once.
        if self.start > 4_096 && self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// Drops the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize, pool: &mut Pool) {
        assert!(count <= self.len(), "consumed {count} of {} bytes", self.len());
        self.start += count;
        if self.is_empty() {
            self.release(pool);
        }
    }

    /// Drops everything and gives the memory back.
    pub(super) fn release(&mut self, pool: &mut Pool) {
        self.start = 0;
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
