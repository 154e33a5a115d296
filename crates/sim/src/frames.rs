//! Where the frames of a client's stream end: only a whole request is a sign of life.

/// Counts the frames in a stream of bytes, each a length of four bytes and so many more.
#[derive(Debug, Default)]
pub struct Frames {
    /// Of a length that is not complete yet.
    length: Vec<u8>,
    /// Bytes that the frame under way still lacks.
    lacks: usize,
}

impl Frames {
    /// More bytes; true if a frame ends in them.
    pub fn end_in(&mut self, bytes: &[u8]) -> bool {
        let mut ended = false;
        for byte in bytes {
            if self.lacks > 0 {
                self.lacks -= 1;
                ended |= self.lacks == 0;
                continue;
            }
            self.length.push(*byte);
            if let Ok(length) = <[u8; 4]>::try_from(&self.length[..]) {
                self.length.clear();
                self.lacks = u32::from_be_bytes(length) as usize;
                ended |= self.lacks == 0;
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_wherever_the_stream_is_cut() {
        let stream = [&[0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0], &[0, 0, 0, 1], b"d"].concat();
        let mut frames = Frames::default();
        let ends: Vec<usize> = (0..stream.len()).filter(|at| frames.end_in(&stream[*at..=*at])).collect();
        assert_eq!(ends, [6, 10, 15]);
        assert!(Frames::default().end_in(&stream[..12]));
        assert!(!Frames::default().end_in(&stream[..6]));
    }
}
