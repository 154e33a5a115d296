//! Replies come in the order of the requests, name zxids that never go back, not even over reconnects, and only of what
//! is committed; a write's reply is that of its own transaction (zab-invariants.md INV-30, INV-32, INV-40).

use super::reads::stat;
use super::{Entry, Referee, Verdict, broken};
use ostler_model::{SessionId, Txn, Zxid};
use ostler_wire::client::ReplyHeader;
use ostler_wire::peer::{MultiResult, Reply};

const CHECK: &str = "fifo";

/// What a session has been told, over all its connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The newest zxid.
    pub zxid: Zxid,
    /// That of the last reply.
    pub replied: Zxid,
}

impl Told {
    /// A reply or event names this zxid.
    pub fn hears(&mut self, referee: &Referee, who: &str, zxid: Zxid) -> Verdict {
        if zxid > referee.last_zxid() && zxid.counter() != 0 {
            return Err(broken(CHECK, format!("{who} is told {zxid}, committed is {}", referee.last_zxid())));
        }
        if zxid < self.zxid {
            return Err(broken(CHECK, format!("INV-32: {who} is told {zxid} after {}", self.zxid)));
        }
        self.zxid = zxid;
        Ok(())
    }

    /// The answer to a write: whatever was answered before it was sent before it and must not have seen it.
    pub fn write_follows(&self, who: &str, zxid: Zxid) -> Verdict {
        if zxid <= self.replied {
            return Err(broken(
                CHECK,
                format!("INV-30: {who}: write {zxid} was sent behind a request that was answered at {}", self.replied),
            ));
        }
        Ok(())
    }
}

impl Referee {
    /// The answer to a write is the result of the transaction it names.
    pub fn answer_to_write(&self, session: SessionId, header: &ReplyHeader, reply: &Reply<'_>) -> Verdict {
        let ReplyHeader { xid, zxid, err } = *header;
        let Some(entry) = self.entry(zxid).filter(|entry| entry.header.session == session && entry.header.cxid == xid)
        else {
            return Err(broken(
                CHECK,
                format!("request {xid} of {session} is answered with {zxid}, which is not its own"),
            ));
        };
        let right = match &entry.txn {
            Txn::Error(code) => err == code.code(),
            Txn::UnknownError(code) => err == *code,
            txn => err == 0 && self.shows(entry, txn, reply),
        };
        if right {
            return Ok(());
        }
        Err(broken(
            CHECK,
            format!(
                "request {xid} of {session} is answered {err} {reply:?}, its transaction {zxid} is {:?}",
                entry.txn
            ),
        ))
    }

    fn shows(&self, entry: &Entry, txn: &Txn, reply: &Reply<'_>) -> bool {
        let now = |path: &str| self.versions.at(path, entry.zxid).map(|node| stat(node));
        match (txn, reply) {
            (Txn::Create(create), Reply::Path(path)) => path.as_deref() == Some(&create.path),
            (Txn::Create(create), Reply::Created { path, stat }) => {
                path.as_deref() == Some(&create.path) && now(&create.path) == Some(*stat)
            }
            (Txn::SetData { path, .. } | Txn::SetAcl { path, .. }, Reply::Stat(stat)) => now(path) == Some(*stat),
            (Txn::Reconfig { path, data, .. }, Reply::Data { data: shown, stat }) => {
                data.as_deref() == *shown && now(path) == Some(*stat)
            }
            (Txn::Delete { .. } | Txn::CloseSession { .. }, Reply::Empty) => true,
            (Txn::Multi(parts), Reply::Multi(results)) => {
                let failed = parts.iter().any(Txn::is_error);
                parts.len() == results.len()
                    && parts.iter().zip(results).all(|(part, result)| shows_part(failed, part, result))
            }
            _ => false,
        }
    }
}

fn shows_part(failed: bool, part: &Txn, result: &MultiResult<'_>) -> bool {
    match (part, result) {
        (Txn::Error(code), MultiResult::Error(err)) => code.code() == *err,
        (Txn::UnknownError(code), MultiResult::Error(err)) => code == err,
        (_, MultiResult::Error(err)) => failed && *err == 0,
        (Txn::Create(create), MultiResult::Create { path } | MultiResult::Create2 { path, .. }) => {
            !failed && path.as_deref() == Some(&create.path)
        }
        (Txn::Delete { .. }, MultiResult::Delete) | (Txn::Check { .. }, MultiResult::Check) => !failed,
        (Txn::SetData { version, .. }, MultiResult::SetData { stat }) => !failed && stat.version == *version,
        _ => false,
    }
}
