//! Requests and answers in words, for the report of a mismatch.

use crate::coverage;
use crate::generate::Made;
use crate::side::{Key, Seen};
use ostler_model::OpCode;
use ostler_wire::client::{ReplyHeader, RequestHeader, decode_request};
use ostler_wire::peer::decode_reply;
use std::fmt;

/// Characters of one line.
const LINE_MAX: usize = 1_200;

/// A difference, with all that is needed to look into it.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Its place among all requests.
    pub request: u64,
    /// On which connection the answers came.
    pub connection: usize,
    /// The request, unless the difference is in events alone.
    pub asked: Option<String>,
    /// A's answer.
    pub a: String,
    /// B's answer.
    pub b: String,
    /// The requests before it.
    pub history: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.history {
            writeln!(f, "    {line}")?;
        }
        let asked = self.asked.as_deref().unwrap_or("(no request of its own: events or a connection)");
        writeln!(f, "request {} on connection {}: {asked}", self.request, self.connection)?;
        writeln!(f, "  A: {}", self.a)?;
        writeln!(f, "  B: {}", self.b)
    }
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(LINE_MAX) {
        text.truncate(at);
        text.push_str(" ...");
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request in words.
pub fn request(connection: usize, made: &Made) -> String {
    let Ok((header, body)) = RequestHeader::split(made.frame.get(4..).unwrap_or_default()) else {
        return format!("[{connection}] bytes {}", hex(&made.frame));
    };
    let text = match OpCode::from_i32(header.op) {
        Some(op) => match decode_request(op, body, usize::MAX) {
            Ok(request) => format!("{op:?}: {request:?}"),
            Err(error) => format!("{op:?}: {error:?} {}", hex(body)),
        },
        None => format!("opcode {}", header.op),
    };
    cut(format!("[{connection}] xid {} {text}", header.xid))
}

/// Something received, in words.
pub fn seen(seen: &Seen) -> String {
    if !matches!(seen.key, Key::Reply(_)) {
        return format!("{:?}", seen.key);
    }
    let Ok((header, body)) = ReplyHeader::split(&seen.raw) else { return format!("bytes {}", hex(&seen.raw)) };
    let body = match seen.op.map(|op| decode_reply(op, &header, body)) {
        Some(Ok(reply)) => format!("{reply:?}"),
        _ => hex(body),
    };
    cut(format!("xid {} zxid {} {} {body}", header.xid, header.zxid, coverage::name(header.err)))
}
