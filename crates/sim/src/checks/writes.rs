//! Every transaction is what a client asked for, judged against the state just before it, at most once and in the order
//! of its session (zab-invariants.md INV-30, INV-33, INV-40); sessions begin and end by transactions only, and nothing
//! of a session happens behind its end (INV-36, INV-37).

use super::{Referee, Verdict, broken};
use crate::judge::{Caller, agrees, verdict};
use crate::model::{State, members_in};
use ostler_model::{ErrorCode, Owner, Request, SessionId, Txn, TxnHeader, Zxid};
use ostler_wire::client::decode_request;

const CHECK: &str = "writes";

impl Referee {
    /// Looks at a transaction that is about to extend the order.
    pub(super) fn judge_txn(&mut self, header: &TxnHeader, txn: &Txn) -> Verdict {
        let TxnHeader { session, cxid, zxid, .. } = *header;
        if session == SessionId::NONE || cxid == 0 {
            return judge_own(&self.state, header, txn).map_err(|words| broken(CHECK, format!("{zxid}: {words}")));
        }
        let Some(asked) = self.asked.get_mut(&(session, cxid)) else {
            return Err(broken(
                CHECK,
                format!("INV-8: {zxid} is request {cxid} of {session}, which nobody sent: {txn:?}"),
            ));
        };
        if let Some(done) = asked.done.replace(zxid) {
            return Err(broken(CHECK, format!("INV-40: request {cxid} of {session} became {done} and again {zxid}")));
        }
        if refuses_session(txn) {
            // Sent through a server that the session has left, or behind its end: refused whatever it is.
            return Ok(());
        }
        let last = self.last_cxid.entry(session).or_default();
        if *last >= cxid {
            return Err(broken(CHECK, format!("INV-30: {zxid} is request {cxid} of {session}, behind its {last}")));
        }
        *last = cxid;
        let request = decode_request(asked.op, &asked.body, usize::MAX)
            .map_err(|error| broken(CHECK, format!("a simulated client sent what does not decode: {error}")))?;
        if let Request::Reconfig { joining, leaving, .. } = &request {
            return reconfigured(&self.state, zxid, (joining.as_deref(), leaving.as_deref()), txn)
                .map_err(|words| broken(CHECK, format!("INV-33: {zxid}, {request:?}: {words}")));
        }
        let caller = Caller { session, ids: &asked.ids };
        let expected = verdict(&self.state, caller, &request).unwrap_or_else(Txn::Error);
        if !agrees(&expected, txn) {
            return Err(broken(
                CHECK,
                format!(
                    "INV-33: {zxid}, request {cxid} of {session}: {request:?} became {txn:?}, should be {expected:?}"
                ),
            ));
        }
        // A close that crossed with the expiry of its session is answered by a transaction without effect, as Apache does.
        if !self.state.sessions.contains_key(&session) && !matches!(txn, Txn::CloseSession { .. }) {
            return Err(broken(CHECK, format!("INV-36: {zxid} is of session {session}, which has ended: {txn:?}")));
        }
        Ok(())
    }
}

/// What a reconfiguration becomes. Whether one is under way and who is synchronised is not known here: so it may always
/// be refused for that.
fn reconfigured(state: &State, zxid: Zxid, asked: (Option<&str>, Option<&str>), txn: &Txn) -> Result<(), String> {
    let mut members = state.members.clone();
    let left = asked.1.unwrap_or_default().split(',').filter_map(|id| id.parse::<i64>().ok());
    left.for_each(|id| drop(members.remove(&id)));
    members.extend(members_in(asked.0.unwrap_or_default()));
    let voters = members.values().filter(|line| line.contains(":participant;")).count();
    let lines: String = members.values().map(|line| format!("{line}\n")).collect();
    let expected = format!("{lines}version={:x}", zxid.0);
    match txn {
        Txn::Error(ErrorCode::ReconfigInProgress | ErrorCode::NewConfigNoQuorum) => Ok(()),
        Txn::Error(ErrorCode::BadArguments) if voters < 2 => Ok(()),
        Txn::Reconfig { data, .. } if data.as_deref() == Some(expected.as_bytes()) && voters >= 2 => Ok(()),
        other => Err(format!("became {other:?}, should be {expected}")),
    }
}

fn refuses_session(txn: &Txn) -> bool {
    matches!(txn, Txn::Error(ErrorCode::SessionExpired | ErrorCode::SessionMoved))
}

/// What servers do by themselves: sessions begin, expire; containers and TTL nodes go.
fn judge_own(state: &State, header: &TxnHeader, txn: &Txn) -> Result<(), String> {
    let session = header.session;
    match txn {
        Txn::CreateSession { .. } if session != SessionId::NONE => Ok(()),
        Txn::CloseSession { .. } => {
            if !state.sessions.contains_key(&session) {
                return Err(format!("INV-36: session {session} expires and has ended before"));
            }
            let expected = Txn::CloseSession { paths: Some(state.ephemerals(session)) };
            if agrees(&expected, txn) {
                Ok(())
            } else {
                Err(format!("INV-37: session {session} expires with {txn:?}, should be {expected:?}"))
            }
        }
        Txn::DeleteContainer { path } => {
            let node = state.node(path).ok_or_else(|| format!("{path} is swept and does not exist"))?;
            let idle_ms = header.time_ms - node.stat.mtime;
            match Owner::from_raw(node.stat.ephemeral_owner) {
                Owner::Container if node.stat.cversion > 0 => Ok(()),
                Owner::Ttl(ttl_ms) if idle_ms > ttl_ms => Ok(()),
                owner => Err(format!("{path} of kind {owner:?} is swept, {idle_ms} ms after its last change")),
            }
        }
        Txn::Error(_) if refuses_session(txn) => Ok(()),
        // A candidate that changed between the sweep and its turn.
        Txn::Error(_) if session == SessionId::NONE => Ok(()),
        other => Err(format!("session {session} without a request: {other:?}")),
    }
}
