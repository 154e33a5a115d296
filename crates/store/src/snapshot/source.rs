//! The way from a snapshot's file to its uncompressed stream, and the quick check before it (storage.md section 4.4).

use super::compress::{GZIP_MAGIC, SNAPPY_HEADER_BYTES, SNAPPY_MAGIC};
use super::{Compression, TERMINATOR};
use crate::DiskFile;
use flate2::bufread::MultiGzDecoder;
use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

/// Shorter files are no snapshots.
const PLAIN_BYTES_MIN: u64 = 10;
/// Bytes read at once from a compressed file.
const READ_BYTES: usize = 256 << 10;
/// A snappy block is 32 KiB of input as Apache writes it; anything near this is not one.
const SNAPPY_BLOCK_BYTES_MAX: usize = 16 << 20;

/// Looks at the first or last bytes only; `Err` says what is wrong.
pub(crate) fn check<F: DiskFile>(file: &F, name: &str) -> io::Result<Result<(), String>> {
    let len = file.len()?;
    let (from, expected) = match Compression::of_name(name) {
        Compression::None if len < PLAIN_BYTES_MIN => {
            return Ok(Err(format!("{len} bytes are too few")));
        }
        Compression::None => (len - TERMINATOR.len() as u64, &TERMINATOR[..]),
        Compression::Gzip => (0, &GZIP_MAGIC[..]),
        Compression::Snappy => (0, &SNAPPY_MAGIC[..]),
    };
    let mut bytes = Vec::new();
    FileSource { file, offset: from, read: Rc::default() }.take(expected.len() as u64).read_to_end(&mut bytes)?;
    if bytes == expected {
        return Ok(Ok(()));
    }
    let place = if from > 0 { "ends" } else { "begins" };
    Ok(Err(format!("it {place} with {bytes:02x?}, not with {expected:02x?}")))
}

/// The uncompressed stream of a snapshot, by the extension of its name. `read` counts the bytes taken from the file.
pub(crate) fn open<'f, F: DiskFile>(file: &'f F, name: &str, read: Rc<Cell<u64>>) -> Box<dyn Read + 'f> {
    let source = FileSource { file, offset: 0, read };
    match Compression::of_name(name) {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, source))),
        Compression::Snappy => Box::new(SnappyReader::new(BufReader::with_capacity(READ_BYTES, source))),
    }
}

struct FileSource<'f, F> {
    file: &'f F,
    offset: u64,
    read: Rc<Cell<u64>>,
}

impl<F: DiskFile> Read for FileSource<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(self.offset, buffer)?;
        self.offset += got as u64;
        self.read.set(self.offset);
        Ok(got)
    }
}

/// Xerial's framing: a header, then blocks of {length, raw snappy}.
pub(super) struct SnappyReader<R> {
    inner: R,
    begun: bool,
    compressed: Vec<u8>,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyReader<R> {
    pub(super) fn new(inner: R) -> SnappyReader<R> {
        SnappyReader { inner, begun: false, compressed: Vec::new(), block: Vec::new(), at: 0 }
    }

    /// Decompresses the next block; false at the end of the file.
    fn next_block(&mut self) -> io::Result<bool> {
        if !self.begun {
            let mut header = [0; SNAPPY_HEADER_BYTES];
            self.inner.read_exact(&mut header)?;
            if header[..SNAPPY_MAGIC.len()] != SNAPPY_MAGIC {
                return Err(invalid("no snappy header"));
            }
            self.begun = true;
        }
        let mut len = Vec::new();
        self.inner.by_ref().take(4).read_to_end(&mut len)?;
        if len.is_empty() {
            return Ok(false);
        }
        let len: [u8; 4] = len[..].try_into().map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let len = u32::from_be_bytes(len) as usize;
        if len > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid(format!("a snappy block of {len} bytes")));
        }
        self.compressed.clear();
        self.inner.by_ref().take(len as u64).read_to_end(&mut self.compressed)?;
        if self.compressed.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let plain = snap::raw::decompress_len(&self.compressed).map_err(invalid)?;
        if plain > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid(format!("a snappy block of {plain} bytes")));
        }
        self.block.resize(plain, 0);
        let plain = snap::raw::Decoder::new().decompress(&self.compressed, &mut self.block).map_err(invalid)?;
        self.block.truncate(plain);
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let len = buffer.len().min(self.block.len() - self.at);
        buffer[..len].copy_from_slice(&self.block[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
