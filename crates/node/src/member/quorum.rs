//! Connections between a learner and its leader: the one place where zab's messages meet Apache's packets.

use super::pipe::Pipe;
use ostler_model::{Ensemble, OpCode, SessionId, Zxid};
use ostler_wire::jute::DecodeError;
use ostler_wire::quorum::{LearnerInfo, PROTOCOL_VERSION, ToLeader, ToLearner, Touch};
use ostler_wire::txn::{TxnRecord, decode};
use ostler_zab::{Message, Payload};
use std::sync::Arc;

/// Who speaks on the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// It connected here: a learner.
    Learner,
    /// It was dialled: the leader.
    Leader,
}

/// What the bytes that arrive mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Packets,
    /// A tree, until the shell says that it is whole.
    Tree {
        label: Zxid,
    },
}

/// One connection.
#[derive(Debug)]
pub(super) struct QuorumLink {
    pub(super) side: Side,
    pub(super) mode: Mode,
    pub(super) input: Vec<u8>,
    pub(super) pipe: Pipe,
    /// `PipeFull` was told.
    pub(super) full: bool,
    pub(super) dirty: bool,
}

impl QuorumLink {
    pub(super) fn new(side: Side) -> QuorumLink {
        let (input, pipe) = (Vec::new(), Pipe::default());
        QuorumLink { side, mode: Mode::Packets, input, pipe, full: false, dirty: false }
    }
}

/// A packet, as far as this server is concerned.
#[derive(Debug)]
pub(super) enum Arrived {
    /// For zab. A transaction comes with its record, which was decoded to see that it can be.
    Zab(Message, Option<TxnRecord>),
    /// The leader's history is complete; what is wrong with the configuration that came with that.
    NewLeader(Message, Option<String>),
    /// A learner's answer to a PING, with the sessions it heard of.
    Touches(Zxid, Vec<Touch>),
    /// The leader's word about a session.
    Revalidated(SessionId, bool),
    /// The leader's answer to the oldest sync.
    SyncAnswered,
}

/// A learner's packet that zab hands back in order ([`ostler_zab::Effect::Deliver`]).
#[derive(Debug)]
pub(super) enum Asked {
    Request(crate::Forward),
    Revalidate(SessionId, i32),
}

/// The first packet in `bytes` and its length; `None`: it is not whole yet.
pub(super) fn take(side: Side, bytes: &[u8], data_max: usize) -> Result<Option<(Arrived, usize)>, DecodeError> {
    match side {
        Side::Learner => {
            let Some((packet, length)) = ToLeader::decode(bytes, data_max)? else { return Ok(None) };
            Ok(Some((from_learner(packet, &bytes[..length]), length)))
        }
        Side::Leader => {
            let Some((packet, length)) = ToLearner::decode(bytes, data_max)? else { return Ok(None) };
            Ok(Some((from_leader(packet, data_max)?, length)))
        }
    }
}

fn from_learner(packet: ToLeader<'_>, bytes: &[u8]) -> Arrived {
    let message = match packet {
        ToLeader::Info { observer, accepted_epoch, learner } => match learner.current() {
            Some((server, config_version)) => Message::LearnerInfo { server, observer, accepted_epoch, config_version },
            // Before 3.4: there are none of those in ensembles of 3.8 and 3.9 (DEV-15).
            None => Message::Unknown,
        },
        ToLeader::AckEpoch { last_zxid, current_epoch } => Message::AckEpoch { last: last_zxid, current_epoch },
        ToLeader::Ack { zxid } => Message::Ack { zxid },
        ToLeader::Request { .. } | ToLeader::Revalidate { .. } => Message::App { bytes: Payload::from(bytes) },
        ToLeader::Ping { zxid, touched } => return Arrived::Touches(zxid, touched),
        ToLeader::Unknown { .. } => Message::Unknown,
    };
    Arrived::Zab(message, None)
}

/// What zab delivered. It was decoded once already.
pub(super) fn asked(bytes: &[u8]) -> Option<Asked> {
    match ToLeader::decode(bytes, bytes.len()) {
        Ok(Some((ToLeader::Request { session, cxid, op, body, auth }, _))) => {
            let op = OpCode::from_i32(op).unwrap_or(OpCode::Error);
            let ids = Some(auth);
            Some(Asked::Request(crate::Forward { session, cxid, op, body: body.to_vec(), ids }))
        }
        Ok(Some((ToLeader::Revalidate { session, timeout_ms }, _))) => Some(Asked::Revalidate(session, timeout_ms)),
        _ => None,
    }
}

fn from_leader(packet: ToLearner<'_>, data_max: usize) -> Result<Arrived, DecodeError> {
    let message = match packet {
        ToLearner::LeaderInfo { epoch, .. } => Message::LeaderInfo { epoch },
        ToLearner::Diff { zxid } => Message::Diff { zxid },
        ToLearner::Trunc { zxid } => Message::Trunc { zxid },
        ToLearner::Snap { zxid } => Message::Snap { zxid },
        ToLearner::NewLeader { zxid, config } => {
            let (config, trouble) = match config.map(|text| Ensemble::parse(&text)) {
                None => (None, None),
                Some(Ok(ensemble)) => (Some(Box::new(ensemble)), None),
                // Perhaps a newer version's, with something that this one does not know: the ensemble stays as it is here.
                Some(Err(error)) => (None, Some(format!("the configuration that comes with NEWLEADER: {error}"))),
            };
            return Ok(Arrived::NewLeader(Message::NewLeader { epoch: zxid.epoch(), config }, trouble));
        }
        ToLearner::UpToDate => Message::UpToDate,
        ToLearner::Proposal { zxid, txn } => {
            let (record, reconfig) = transaction(zxid, txn, data_max)?;
            let message = Message::Proposal { zxid, payload: Payload::from(txn), reconfig };
            return Ok(Arrived::Zab(message, Some(record)));
        }
        ToLearner::Inform { zxid, txn } => {
            let (record, _) = transaction(zxid, txn, data_max)?;
            return Ok(Arrived::Zab(Message::Inform { zxid, payload: Payload::from(txn) }, Some(record)));
        }
        ToLearner::InformAndActivate { zxid, designated, txn } => {
            let (record, reconfig) = transaction(zxid, txn, data_max)?;
            let message = Message::InformAndActivate { zxid, designated, payload: Payload::from(txn), reconfig };
            return Ok(Arrived::Zab(message, Some(record)));
        }
        ToLearner::Commit { zxid } => Message::Commit { zxid },
        ToLearner::CommitAndActivate { zxid, designated } => Message::CommitAndActivate { zxid, designated },
        ToLearner::Ping { zxid } => Message::Ping { zxid },
        ToLearner::Revalidate { session, valid } => return Ok(Arrived::Revalidated(session, valid)),
        ToLearner::Sync => return Ok(Arrived::SyncAnswered),
        ToLearner::Unknown { .. } => Message::Unknown,
    };
    Ok(Arrived::Zab(message, None))
}

/// The record in a proposal, and the ensemble it would put into force. A record that does not decode, or whose header
/// names another zxid, must not reach the log (BUG-25).
pub(super) fn transaction(
    zxid: Zxid,
    payload: &[u8],
    data_max: usize,
) -> Result<(TxnRecord, Option<Box<Ensemble>>), DecodeError> {
    let record = decode(payload, data_max)?;
    if record.header.zxid != zxid {
        return Err(DecodeError::BadValue(record.header.zxid.0 as i32));
    }
    let reconfig = crate::replica::ensemble_in(&record.txn);
    Ok((record, reconfig))
}

/// Appends the packet of a message.
pub(super) fn encode(out: &mut Vec<u8>, message: &Message) {
    match message {
        Message::LearnerInfo { server, observer, accepted_epoch, config_version } => {
            let learner = LearnerInfo::new(*server, *config_version);
            ToLeader::Info { observer: *observer, accepted_epoch: *accepted_epoch, learner }.encode(out);
        }
        Message::AckEpoch { last, current_epoch } => {
            ToLeader::AckEpoch { last_zxid: *last, current_epoch: *current_epoch }.encode(out);
        }
        Message::Ack { zxid } => ToLeader::Ack { zxid: *zxid }.encode(out),
        Message::App { bytes } => out.extend_from_slice(bytes),
        Message::LeaderInfo { epoch } => {
            ToLearner::LeaderInfo { epoch: *epoch, protocol_version: PROTOCOL_VERSION }.encode(out);
        }
        Message::Diff { zxid } => ToLearner::Diff { zxid: *zxid }.encode(out),
        Message::Trunc { zxid } => ToLearner::Trunc { zxid: *zxid }.encode(out),
        Message::Snap { zxid } => ToLearner::Snap { zxid: *zxid }.encode(out),
        Message::NewLeader { epoch, config } => {
            let config = config.as_ref().map(|config| config.to_string().into());
            ToLearner::NewLeader { zxid: Zxid::new(*epoch, 0), config }.encode(out);
        }
        Message::UpToDate => ToLearner::UpToDate.encode(out),
        Message::Proposal { zxid, payload, .. } => ToLearner::Proposal { zxid: *zxid, txn: payload }.encode(out),
        Message::Commit { zxid } => ToLearner::Commit { zxid: *zxid }.encode(out),
        Message::CommitAndActivate { zxid, designated } => {
            ToLearner::CommitAndActivate { zxid: *zxid, designated: *designated }.encode(out);
        }
        Message::Inform { zxid, payload } => ToLearner::Inform { zxid: *zxid, txn: payload }.encode(out),
        Message::InformAndActivate { zxid, designated, payload, .. } => {
            ToLearner::InformAndActivate { zxid: *zxid, designated: *designated, txn: payload }.encode(out);
        }
        Message::Ping { zxid } => ToLearner::Ping { zxid: *zxid }.encode(out),
        Message::Unknown => unreachable!("nobody sends what nobody knows"),
    }
}

/// The packet of a learner's request.
pub(super) fn request(forward: &crate::Forward) -> Payload {
    let crate::Forward { session, cxid, op, body, ids } = forward;
    let auth = ids.clone().unwrap_or_else(|| Arc::from([]));
    let mut out = Vec::with_capacity(64 + body.len());
    ToLeader::Request { session: *session, cxid: *cxid, op: op.code(), body, auth }.encode(&mut out);
    Payload::from(out)
}

/// The packet of a learner's question about a session.
pub(super) fn revalidate(session: SessionId, timeout_ms: i32) -> Payload {
    let mut out = Vec::with_capacity(40);
    ToLeader::Revalidate { session, timeout_ms }.encode(&mut out);
    Payload::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_leader(config: Option<&str>) -> (Option<Ensemble>, Option<String>) {
        let packet = ToLearner::NewLeader { zxid: Zxid::new(3, 0), config: config.map(Into::into) };
        match from_leader(packet, 1 << 20) {
            Ok(Arrived::NewLeader(Message::NewLeader { epoch: 3, config }, what)) => (config.map(|it| *it), what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_told() {
        assert_eq!(new_leader(None), (None, None));
        let (ensemble, what) = new_leader(Some("server.1=a:1:2\nversion=5"));
        assert_eq!((ensemble.map(|it| it.version()), what), (Some(5), None));
        let (ensemble, what) = new_leader(Some("server.1=a:1:2\nversion=often"));
        assert!(ensemble.is_none() && what.is_some_and(|what| what.contains("NEWLEADER")));
    }
}
