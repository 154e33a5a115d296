//! Transaction logs, one file at a time: dump, verify, chop.

use crate::{InspectError, text};
use ostler_model::{SessionId, Zxid, date};
use ostler_store::{Disk, DiskFile, End, LogReader, RealDisk, StoreError, log_zxid};
use ostler_wire::txn::{TxnRecord, decode};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which records of a log are shown.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// From this zxid on.
    pub from: Option<Zxid>,
    /// Up to this zxid.
    pub upto: Option<Zxid>,
    /// Only what touches this node or one below it.
    pub path: Option<String>,
    /// Only of this session.
    pub session: Option<SessionId>,
}

impl Filter {
    fn takes(&self, record: &TxnRecord) -> bool {
        let zxid = record.header.zxid;
        let mut touched = self.path.is_none();
        if let Some(root) = &self.path {
            text::paths(&record.txn, &mut |path| touched |= text::is_below(path, root));
        }
        touched
            && self.from.is_none_or(|from| zxid >= from)
            && self.upto.is_none_or(|upto| zxid <= upto)
            && self.session.is_none_or(|session| session == record.header.session)
    }
}

/// What a file turned out to hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Records that are whole.
    pub records: u64,
    /// The first and the last of them.
    pub range: Option<(Zxid, Zxid)>,
    /// Where the records end, bytes.
    pub end: u64,
    /// The file's length, bytes.
    pub length: u64,
    /// What is wrong, in words; empty: nothing.
    pub problems: Vec<String>,
}

/// Takes the offset and the payload of a record.
type Visit<'v> = &'v mut dyn FnMut(u64, &[u8]) -> Result<(), InspectError>;

/// Reads a whole file and hands over each record. What is wrong behind the readable part is told in the summary.
///
/// # Errors
/// It cannot be opened, or is no log at all; errors of `visit`.
fn read(file: &Path, length_max: usize, visit: Visit<'_>) -> Result<Summary, InspectError> {
    let handle = RealDisk.open(file).map_err(InspectError::io("open", file))?;
    let length = DiskFile::len(&handle).map_err(InspectError::io("read", file))?;
    let mut reader = LogReader::open(handle, file, length_max)?;
    let mut summary = Summary { length, ..Summary::default() };
    loop {
        match reader.next_record() {
            Ok(Some(record)) => visit(record.offset, record.payload)?,
            Ok(None) => break,
            Err(error @ StoreError::Corrupt { .. }) => {
                summary.problems.push(error.to_string());
                summary.end = reader.offset();
                return Ok(summary);
            }
            Err(error) => return Err(error.into()),
        }
        summary.records += 1;
    }
    summary.end = reader.offset();
    if let Some(why) = torn(reader.end()) {
        summary.problems.push(format!("the record at offset {} is not whole: {why}", summary.end));
    }
    if let Some(at) = reader.bytes_behind_end()? {
        summary.problems.push(format!("behind the end of the records, at offset {at}, lie bytes that are not zero"));
    }
    Ok(summary)
}

fn torn(end: End) -> Option<&'static str> {
    match end {
        End::Clean | End::Padding => None,
        End::Truncated => Some("the file ends inside it, as after a crash"),
        End::NoEndMark => Some("its end mark is missing, as after a crash"),
        End::LostSector => Some("a sector of it holds zeros, as after a power cut"),
    }
}

fn decoded(file: &Path, offset: u64, payload: &[u8], length_max: usize) -> Result<TxnRecord, InspectError> {
    decode(payload, length_max).map_err(|why| InspectError::Record {
        file: file.to_owned(),
        offset,
        why: why.to_string(),
    })
}

/// Prints the records of a log, one a line; with `json` one object a line.
///
/// # Errors
/// Unreadable, damaged in the middle of what was asked for, or the output fails.
pub fn dump(
    file: &Path,
    filter: &Filter,
    json: bool,
    length_max: usize,
    out: &mut dyn Write,
) -> Result<Summary, InspectError> {
    let mut range: Option<(Zxid, Zxid)> = None;
    let mut summary = read(file, length_max, &mut |offset, payload| {
        let record = decoded(file, offset, payload, length_max)?;
        let header = record.header;
        range = Some((range.map_or(header.zxid, |(first, _)| first), header.zxid));
        if !filter.takes(&record) {
            return Ok(());
        }
        if json {
            let mut line = text::txn_json(&record.txn);
            line["zxid"] = json!(header.zxid.to_string());
            line["time_ms"] = json!(header.time_ms);
            line["session"] = json!(header.session.to_string());
            line["cxid"] = json!(header.cxid);
            line["offset"] = json!(offset);
            line["digest"] = record.digest.map_or(serde_json::Value::Null, |digest| json!(digest.tree_digest));
            writeln!(out, "{line}")?;
        } else {
            let (time, what) = (date::rfc3339(header.time_ms), text::txn(&record.txn));
            writeln!(out, "{} {time} session {} cxid {} {what}", header.zxid, header.session, header.cxid)?;
        }
        Ok(())
    })?;
    summary.range = range;
    Ok(summary)
}

/// Reads a log to its end: checksums, every record decoded, zxids in order and without holes inside the file.
///
/// # Errors
/// It cannot be opened, or is no log at all. Damage is told in the summary.
pub fn verify(file: &Path, length_max: usize) -> Result<Summary, InspectError> {
    let mut problems = Vec::new();
    let mut range: Option<(Zxid, Zxid)> = None;
    let mut summary = read(file, length_max, &mut |offset, payload| {
        match decoded(file, offset, payload, length_max) {
            Err(error) => problems.push(error.to_string()),
            Ok(record) => {
                let zxid = record.header.zxid;
                if let Some((_, last)) = range.filter(|(_, last)| !last.is_followed_by(zxid)) {
                    problems.push(format!(
                        "{zxid} at offset {offset} does not follow {last}: transactions are missing or repeated"
                    ));
                }
                range = Some((range.map_or(zxid, |(first, _)| first), zxid));
            }
        }
        Ok(())
    })?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match (log_zxid(&name), range) {
        (Some(named), Some((first, _))) if named != first => {
            problems.push(format!("it is named for {named} and begins with {first}"));
        }
        _ => {}
    }
    problems.append(&mut summary.problems);
    Ok(Summary { range, problems, ..summary })
}

/// Copies the records up to and including `upto` to a new file, which ends there: the way back to a moment before a
/// mistake. Returns what was written and where.
///
/// # Errors
/// The target exists, nothing would be left, damage in front of `upto`, or a disk error.
pub fn chop(
    file: &Path,
    upto: Zxid,
    output: Option<PathBuf>,
    length_max: usize,
) -> Result<(PathBuf, Summary), InspectError> {
    let output = output.unwrap_or_else(|| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".chopped{}", upto.0));
        PathBuf::from(name)
    });
    let mut kept = Summary::default();
    let mut end = 0;
    let mut first = None;
    let mut beyond = false;
    let summary = read(file, length_max, &mut |offset, payload| {
        let zxid = decoded(file, offset, payload, length_max)?.header.zxid;
        first = first.or(Some(zxid));
        beyond |= zxid > upto;
        if !beyond {
            kept.records += 1;
            kept.range = Some((kept.range.map_or(zxid, |(first, _)| first), zxid));
        } else if end == 0 {
            end = offset;
        }
        Ok(())
    })?;
    if !beyond {
        // The damage, if there is any, lies where records were asked for.
        if let Some(problem) = summary.problems.into_iter().next() {
            return Err(InspectError::Record { file: file.to_owned(), offset: summary.end, why: problem });
        }
        end = summary.end;
    }
    if let (0, Some(first)) = (kept.records, first) {
        return Err(InspectError::NothingLeft { file: file.to_owned(), zxid: upto, first });
    }
    let source = std::fs::File::open(file).map_err(InspectError::io("open", file))?;
    let mut target =
        std::fs::OpenOptions::new().write(true).create_new(true).open(&output).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => InspectError::Exists(output.clone()),
            _ => InspectError::io("create", &output)(error),
        })?;
    std::io::copy(&mut std::io::Read::take(source, end), &mut target)
        .and_then(|_| target.sync_all())
        .map_err(InspectError::io("write", &output))?;
    (kept.end, kept.length) = (end, end);
    Ok((output, kept))
}
