//! Which answers were seen: operation by error code, and which of the reachable ones never came.

use crate::side::{Key, Seen};
use ostler_model::{ErrorCode, OpCode};
use ostler_wire::client::ReplyHeader;
use ostler_wire::peer::{MultiResult, Reply, decode_reply};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What answered: an operation, an operation inside a multi or multiRead, or something the protocol does not know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// A single request.
    Op(OpCode),
    /// One of the results of a multi or multiRead.
    Inside(OpCode),
    /// An unknown opcode.
    Unknown,
}

/// How often each pair was seen.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    seen: BTreeMap<(Source, i32), u64>,
    /// Watch events by type.
    events: BTreeMap<i32, u64>,
    /// Connections closed by the server.
    pub closed: u64,
}

/// Every pair that a standalone server with the settings of profile `ext` can produce (client-protocol.md section 7;
/// -6 of createTTL and -120, -13, -14, -123 need other settings, -112 and -119 another role).
const REACHABLE: [(Source, &[i32]); 34] = {
    use OpCode::{
        AddWatch, Auth, CheckWatches, CloseSession, Create, Create2, CreateContainer, CreateTtl, Delete, Exists,
        GetAcl, GetAllChildrenNumber, GetChildren, GetChildren2, GetData, GetEphemerals, Multi, MultiRead, Ping,
        Reconfig, RemoveWatches, Sasl, SetAcl, SetData, SetWatches, SetWatches2, Sync, WhoAmI,
    };
    use Source::{Inside, Op};
    const CREATE: &[i32] = &[0, -5, -8, -101, -102, -108, -110, -114, -125];
    const READ: &[i32] = &[0, -5, -101, -102];
    [
        (Op(Create), CREATE),
        (Op(Create2), CREATE),
        (Op(CreateContainer), CREATE),
        (Op(CreateTtl), CREATE),
        (Op(Delete), &[0, -5, -8, -101, -102, -103, -111]),
        (Op(Exists), &[0, -5, -8, -101, -102]),
        (Op(GetData), READ),
        (Op(SetData), &[0, -5, -8, -101, -102, -103, -125]),
        (Op(GetAcl), READ),
        (Op(SetAcl), &[0, -5, -8, -101, -102, -103, -114]),
        (Op(GetChildren), READ),
        (Op(Sync), &[0, -5]),
        (Op(Ping), &[0]),
        (Op(GetChildren2), READ),
        (Op(Multi), &[0, -5]),
        // In a failed multi the operations before the failing one answer 0 and those behind it -2.
        (Inside(Multi), &[0, -2, -8, -101, -102, -103, -108, -110, -111, -114, -125]),
        (Inside(Create), &[0]),
        (Inside(Create2), &[0]),
        (Inside(Delete), &[0]),
        (Inside(SetData), &[0]),
        (Op(Reconfig), &[-5, -6]),
        (Op(CheckWatches), &[0, -5, -121]),
        (Op(RemoveWatches), &[0, -5, -121]),
        (Op(MultiRead), &[0, -5]),
        (Inside(MultiRead), &[-101, -102]),
        (Op(Auth), &[0, -115]),
        (Op(SetWatches), &[0, -5]),
        (Op(Sasl), &[0]),
        (Op(GetEphemerals), &[0, -5]),
        (Op(GetAllChildrenNumber), READ),
        (Op(SetWatches2), &[0, -5]),
        (Op(AddWatch), &[0, -5]),
        (Op(WhoAmI), &[0]),
        (Op(CloseSession), &[0]),
    ]
};

impl Coverage {
    /// Counts something that a connection received.
    pub fn count(&mut self, seen: &Seen) {
        match &seen.key {
            Key::Event { kind, .. } => *self.events.entry(*kind).or_default() += 1,
            Key::Closed => self.closed += 1,
            Key::Connected { .. } | Key::Silence => {}
            Key::Reply(_) => {
                let Ok((header, body)) = ReplyHeader::split(&seen.raw) else { return };
                let source = seen.op.map_or(Source::Unknown, Source::Op);
                *self.seen.entry((source, header.err)).or_default() += 1;
                let Some(op) = seen.op else { return };
                if let Ok(Reply::Multi(results)) = decode_reply(op, &header, body) {
                    for result in results {
                        *self.seen.entry(inside(op, &result)).or_default() += 1;
                    }
                }
            }
        }
    }

    /// Requests that were answered with an error, of all.
    pub fn refused(&self) -> (u64, u64) {
        let single = || self.seen.iter().filter(|((source, _), _)| !matches!(source, Source::Inside(_)));
        (
            single().filter(|((_, err), _)| *err != 0).map(|(_, count)| count).sum(),
            single().map(|(_, count)| count).sum(),
        )
    }

    /// The reachable pairs that were never seen.
    pub fn missing(&self) -> Vec<String> {
        let all = REACHABLE.iter().flat_map(|(source, errs)| errs.iter().map(move |err| (*source, *err)));
        all.filter(|pair| !self.seen.contains_key(pair)).map(|(source, err)| format!("{source:?} {err}")).collect()
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for ((source, err), count) in &self.seen {
            if last != Some(*source) {
                let _ = write!(text, "\n{:28}", format!("{source:?}"));
                last = Some(*source);
            }
            let _ = write!(text, "  {err}: {count}");
        }
        let _ = write!(
            text,
            "\nwatch events by type          {:?}\nclosed by the server          {}\n",
            self.events, self.closed
        );
        text
    }
}

fn inside(op: OpCode, result: &MultiResult<'_>) -> (Source, i32) {
    let of = |op| (Source::Inside(op), 0);
    match result {
        MultiResult::Create { .. } => of(OpCode::Create),
        MultiResult::Create2 { .. } => of(OpCode::Create2),
        MultiResult::Delete => of(OpCode::Delete),
        MultiResult::Check => of(OpCode::Check),
        MultiResult::SetData { .. } => of(OpCode::SetData),
        MultiResult::GetData { .. } => of(OpCode::GetData),
        MultiResult::GetChildren { .. } => of(OpCode::GetChildren),
        MultiResult::Error(err) => (Source::Inside(op), *err),
    }
}

/// An error code with its name.
pub fn name(err: i32) -> String {
    ErrorCode::from_i32(err).map_or_else(|| err.to_string(), |code| format!("{} ({err})", code.name()))
}
