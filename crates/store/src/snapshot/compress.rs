//! The three forms of a snapshot file (storage.md section 4.3), chosen when writing, told by the name when reading.

use flate2::write::GzEncoder;
use std::io::{self, Write};

/// First bytes of a gzip stream.
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// First bytes of snappy in xerial's framing.
pub(super) const SNAPPY_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Version and lowest compatible version behind it.
const SNAPPY_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Length of both.
pub(super) const SNAPPY_HEADER_BYTES: usize = 16;
/// Input of one snappy block.
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

/// `zookeeper.snapshot.compression.method`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
}

impl Compression {
    /// What stands behind the zxid in the name of the file.
    pub const fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }

    /// As told by the last extension of a file's name, in any case.
    pub fn of_name(name: &str) -> Compression {
        let extension = name.rsplit('.').next().unwrap_or_default();
        if extension.eq_ignore_ascii_case("gz") {
            Compression::Gzip
        } else if extension.eq_ignore_ascii_case("snappy") {
            Compression::Snappy
        } else {
            Compression::None
        }
    }
}

/// Turns the stream of a snapshot into the bytes of its file.
#[derive(Debug)]
pub(super) enum Encoder {
    None(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    /// Input of the next block, and output.
    Snappy(Vec<u8>, Vec<u8>),
}

impl Encoder {
    pub(super) fn new(compression: Compression) -> Encoder {
        match compression {
            Compression::None => Encoder::None(Vec::new()),
            Compression::Gzip => Encoder::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()))),
            Compression::Snappy => Encoder::Snappy(Vec::new(), [&SNAPPY_MAGIC[..], &SNAPPY_VERSIONS].concat()),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::None(out) => out.extend_from_slice(bytes),
            Encoder::Gzip(encoder) => encoder.write_all(bytes)?,
            Encoder::Snappy(block, out) => {
                let mut bytes = bytes;
                while !bytes.is_empty() {
                    let (now, later) = bytes.split_at(bytes.len().min(SNAPPY_BLOCK_BYTES - block.len()));
                    block.extend_from_slice(now);
                    bytes = later;
                    if block.len() == SNAPPY_BLOCK_BYTES {
                        flush_block(block, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// No more input: the output is complete afterwards.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Encoder::None(_) => Ok(()),
            Encoder::Gzip(encoder) => encoder.try_finish(),
            Encoder::Snappy(block, out) => flush_block(block, out),
        }
    }

    /// What came out so far; the caller takes it away by clearing it.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::None(out) | Encoder::Snappy(_, out) => out,
            Encoder::Gzip(encoder) => encoder.get_mut(),
        }
    }
}

fn flush_block(block: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
    if block.is_empty() {
        return Ok(());
    }
    let compressed = snap::raw::Encoder::new().compress_vec(block).map_err(io::Error::other)?;
    let len = i32::try_from(compressed.len()).expect("a block of 32 KiB stays small");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&compressed);
    block.clear();
    Ok(())
}
