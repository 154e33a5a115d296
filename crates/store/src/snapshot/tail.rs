//! The end of a snapshot's stream: which transaction was the last that it may contain parts of.

use super::{Compression, DIGEST_SECTION_BYTES, LAST_ZXID_SECTION_BYTES, SEAL_BYTES, TERMINATOR, open};
use crate::{Disk, DiskFile, StoreError};
use ostler_model::Zxid;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

/// The longest end: terminator, seal, digest section, seal, lastZxid section, seal.
const TAIL_BYTES: usize =
    TERMINATOR.len() + SEAL_BYTES + DIGEST_SECTION_BYTES + SEAL_BYTES + LAST_ZXID_SECTION_BYTES + SEAL_BYTES;

/// The zxid of the tree when writing ended, from the sections behind the first seal; `None` if there are none, or the file is
/// damaged. It is not below the zxid in the name, or zero (Apache: nothing was applied since the start).
///
/// Sections are recognised by where seals end; a file without any could have a last node whose pzxid looks like one. That errs
/// to the safe side: a snapshot that is not believed is fetched again.
pub(crate) fn end_zxid<D: Disk>(disk: &D, path: &Path) -> Result<Option<Zxid>, StoreError> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let file = disk.open(path).map_err(StoreError::io("open", path))?;
    let tail = match Compression::of_name(&name) {
        Compression::None => {
            let len = file.len().map_err(StoreError::io("read", path))?;
            read_end(&file, len.saturating_sub(TAIL_BYTES as u64)).map_err(StoreError::io("read", path))?
        }
        _ => match last_bytes(&mut open(&file, &name, Rc::default())) {
            Ok(tail) => tail,
            // Not to be decompressed: no recovery will take it.
            Err(error) if is_damage(&error) => return Ok(None),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        },
    };
    Ok(end_in(&tail))
}

fn end_in(tail: &[u8]) -> Option<Zxid> {
    let ends_seal = |behind: usize| {
        let end = tail.len().checked_sub(behind)?;
        tail[..end].ends_with(&TERMINATOR).then_some(())
    };
    let zxid_at = |behind: usize| {
        let start = tail.len().checked_sub(behind)?;
        Some(Zxid(i64::from_be_bytes(tail[start..start + 8].try_into().ok()?)))
    };
    let last_zxid = LAST_ZXID_SECTION_BYTES + SEAL_BYTES;
    let digest = DIGEST_SECTION_BYTES + SEAL_BYTES;
    if ends_seal(last_zxid).is_some() {
        return zxid_at(last_zxid);
    }
    ends_seal(digest)?;
    zxid_at(digest)
}

fn read_end<F: DiskFile>(file: &F, from: u64) -> io::Result<Vec<u8>> {
    let mut tail = vec![0; TAIL_BYTES];
    let mut filled = 0;
    while filled < tail.len() {
        let got = file.read_at(from + filled as u64, &mut tail[filled..])?;
        if got == 0 {
            break;
        }
        filled += got;
    }
    tail.truncate(filled);
    Ok(tail)
}

/// The last bytes of a stream that has no end to begin with.
fn last_bytes(stream: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; 64 << 10];
    let mut tail: Vec<u8> = Vec::new();
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(tail),
            Ok(got) => {
                tail.extend_from_slice(&chunk[..got]);
                tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
}
