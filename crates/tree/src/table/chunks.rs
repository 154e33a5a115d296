//! Arrays that grow without moving: chunks of 4,096 elements, so that no append copies what is there (rules.md 1.9).

const CHUNK_LEN: usize = 4_096;

/// A growing array of `T`, indexed by u32. Only the list of chunks moves when it grows: 8 bytes for 4,096 elements.
#[derive(Debug)]
pub struct Chunks<T> {
    chunks: Vec<Box<[T; CHUNK_LEN]>>,
    len: u32,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Default> Chunks<T> {
    /// Elements so far, all of them initialised.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Adds an element with its default value and returns its index.
    pub fn grow(&mut self) -> u32 {
        let index = self.len;
        assert!(index < u32::MAX, "more than 2^32 - 2 elements");
        if index as usize / CHUNK_LEN == self.chunks.len() {
            let chunk: Box<[T]> = core::iter::repeat_with(T::default).take(CHUNK_LEN).collect();
            self.chunks.push(chunk.try_into().ok().expect("the chunk was made with this length"));
        }
        self.len += 1;
        index
    }

    /// The element at `index`, which [`Chunks::grow`] returned.
    pub fn at(&self, index: u32) -> &T {
        &self.chunks[index as usize / CHUNK_LEN][index as usize % CHUNK_LEN]
    }

    /// As [`Chunks::at`].
    pub fn at_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[index as usize / CHUNK_LEN][index as usize % CHUNK_LEN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_place_while_the_array_grows() {
        let mut chunks = Chunks::<u32>::default();
        for i in 0..10_000 {
            let index = chunks.grow();
            assert_eq!(index, i);
            *chunks.at_mut(index) = i * 3;
        }
        assert!((0..10_000).all(|i| *chunks.at(i) == i * 3));
        assert_eq!(chunks.len(), 10_000);
    }
}
