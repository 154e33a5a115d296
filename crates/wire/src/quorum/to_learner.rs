//! What a leader (or an observer master) says to a learner.

use super::packet::{self, NO_ZXID, Packet, kind};
use crate::jute::{self, DecodeError};
use crate::utf8;
use ostler_model::{ServerId, SessionId, Text, Zxid};

/// A packet from a leader to a learner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToLearner<'a> {
    /// LEADERINFO: the epoch that a quorum is asked to promise.
    LeaderInfo {
        /// The new epoch.
        epoch: u32,
        /// [`super::PROTOCOL_VERSION`].
        protocol_version: i32,
    },
    /// DIFF: the learner's history is a prefix of the leader's, what is missing follows.
    Diff {
        /// The leader's last committed transaction. For the log only: it is nobody's state.
        zxid: Zxid,
    },
    /// TRUNC: the learner drops everything behind this transaction.
    Trunc {
        /// The last one that stays.
        zxid: Zxid,
    },
    /// SNAP: the learner drops everything. The bytes of a snapshot follow, without a length.
    Snap {
        /// The transaction that the snapshot is complete up to.
        zxid: Zxid,
    },
    /// NEWLEADER: the end of the history that belongs to the new epoch.
    NewLeader {
        /// `epoch << 32`.
        zxid: Zxid,
        /// The text of the configuration that the leader has seen last; null for learners older than 3.5.
        config: Text<'a>,
    },
    /// UPTODATE: a quorum has the history, clients may be served.
    UpToDate,
    /// PROPOSAL.
    Proposal {
        /// The transaction's.
        zxid: Zxid,
        /// Header, transaction, digest: the payload of a log record ([`crate::txn`]).
        txn: &'a [u8],
    },
    /// COMMIT.
    Commit {
        /// Of the oldest proposal that is not committed yet.
        zxid: Zxid,
    },
    /// COMMITANDACTIVATE: the same for a reconfiguration, which is in force from here on.
    CommitAndActivate {
        /// The transaction's.
        zxid: Zxid,
        /// The leader under the new configuration.
        designated: ServerId,
    },
    /// INFORM, to observers: proposed and committed.
    Inform {
        /// The transaction's.
        zxid: Zxid,
        /// As in a PROPOSAL.
        txn: &'a [u8],
    },
    /// INFORMANDACTIVATE: the same for a reconfiguration.
    InformAndActivate {
        /// The transaction's.
        zxid: Zxid,
        /// The leader under the new configuration.
        designated: ServerId,
        /// As in a PROPOSAL.
        txn: &'a [u8],
    },
    /// PING: answer at once.
    Ping {
        /// The last transaction that was proposed; the answer repeats it.
        zxid: Zxid,
    },
    /// The answer to a REVALIDATE.
    Revalidate {
        /// Which session.
        session: SessionId,
        /// False: it has expired.
        valid: bool,
    },
    /// SYNC: the answer to the learner's oldest sync that has none yet.
    Sync,
    /// Any other kind: to be ignored, but for the first packet after ACKEPOCH.
    Unknown {
        /// Its number.
        kind: i32,
    },
}

impl<'a> ToLearner<'a> {
    /// Decodes the packet at the front of `bytes` and says how long it is; `None` while it is not complete.
    /// Buffers above `data_max` bytes are refused as soon as their length is known. Behind [`ToLearner::Snap`] the
    /// next bytes are no packet.
    ///
    /// # Errors
    /// The packet is malformed: the connection is of no use any more.
    pub fn decode(bytes: &'a [u8], data_max: usize) -> Result<Option<(ToLearner<'a>, usize)>, DecodeError> {
        let Some((packet, length)) = Packet::split(bytes, data_max)? else { return Ok(None) };
        Ok(Some((ToLearner::from_packet(&packet)?, length)))
    }

    fn from_packet(packet: &Packet<'a>) -> Result<ToLearner<'a>, DecodeError> {
        let zxid = packet.zxid;
        let mut r = packet.fields();
        Ok(match packet.kind {
            kind::LEADER_INFO => ToLearner::LeaderInfo { epoch: packet.epoch()?, protocol_version: r.int()? },
            kind::DIFF => ToLearner::Diff { zxid },
            kind::TRUNC => ToLearner::Trunc { zxid },
            kind::SNAP => ToLearner::Snap { zxid },
            kind::NEW_LEADER => {
                let text = Some(packet.bytes()).filter(|bytes| !bytes.is_empty());
                ToLearner::NewLeader { zxid, config: text.map(|bytes| utf8::decode(bytes, true)) }
            }
            kind::UP_TO_DATE => ToLearner::UpToDate,
            kind::PROPOSAL => ToLearner::Proposal { zxid, txn: packet.data.ok_or(DecodeError::Null)? },
            kind::COMMIT => ToLearner::Commit { zxid },
            kind::COMMIT_AND_ACTIVATE => ToLearner::CommitAndActivate { zxid, designated: ServerId(r.long()?) },
            kind::INFORM => ToLearner::Inform { zxid, txn: packet.data.ok_or(DecodeError::Null)? },
            kind::INFORM_AND_ACTIVATE => {
                ToLearner::InformAndActivate { zxid, designated: ServerId(r.long()?), txn: r.rest() }
            }
            kind::PING => ToLearner::Ping { zxid },
            kind::REVALIDATE => ToLearner::Revalidate { session: SessionId(r.long()?), valid: r.bool()? },
            kind::SYNC => ToLearner::Sync,
            kind => ToLearner::Unknown { kind },
        })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToLearner::LeaderInfo { epoch, protocol_version } => {
                let zxid = Zxid::new(*epoch, 0);
                packet::put(out, kind::LEADER_INFO, zxid, Some(&protocol_version.to_be_bytes()));
            }
            ToLearner::Diff { zxid } => packet::put(out, kind::DIFF, *zxid, None),
            ToLearner::Trunc { zxid } => packet::put(out, kind::TRUNC, *zxid, None),
            ToLearner::Snap { zxid } => packet::put(out, kind::SNAP, *zxid, None),
            ToLearner::NewLeader { zxid, config } => {
                packet::put(out, kind::NEW_LEADER, *zxid, config.as_ref().map(|text| text.as_bytes()));
            }
            ToLearner::UpToDate => packet::put(out, kind::UP_TO_DATE, NO_ZXID, None),
            ToLearner::Proposal { zxid, txn } => packet::put(out, kind::PROPOSAL, *zxid, Some(txn)),
            ToLearner::Commit { zxid } => packet::put(out, kind::COMMIT, *zxid, None),
            ToLearner::CommitAndActivate { zxid, designated } => {
                packet::put(out, kind::COMMIT_AND_ACTIVATE, *zxid, Some(&designated.0.to_be_bytes()));
            }
            ToLearner::Inform { zxid, txn } => packet::put(out, kind::INFORM, *zxid, Some(txn)),
            ToLearner::InformAndActivate { zxid, designated, txn } => {
                packet::put_with(out, kind::INFORM_AND_ACTIVATE, *zxid, &[], |out| {
                    jute::put_long(out, designated.0);
                    out.extend_from_slice(txn);
                });
            }
            ToLearner::Ping { zxid } => packet::put(out, kind::PING, *zxid, None),
            ToLearner::Revalidate { session, valid } => {
                packet::put_with(out, kind::REVALIDATE, NO_ZXID, &[], |out| {
                    jute::put_long(out, session.0);
                    jute::put_bool(out, *valid);
                });
            }
            ToLearner::Sync => packet::put(out, kind::SYNC, Zxid::ZERO, None),
            ToLearner::Unknown { kind } => packet::put(out, *kind, NO_ZXID, None),
        }
    }
}
