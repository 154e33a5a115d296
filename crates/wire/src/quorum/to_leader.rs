//! What a learner says to its leader.

use super::PROTOCOL_VERSION;
use super::packet::{self, NO_ZXID, Packet, kind};
use crate::jute::{self, DecodeError, Reader};
use ostler_model::{AuthIds, ServerId, SessionId, Zxid};

/// A packet from a learner to its leader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToLeader<'a> {
    /// FOLLOWERINFO or OBSERVERINFO, the first packet.
    Info {
        /// OBSERVERINFO: it wants INFORM and never acknowledges transactions.
        observer: bool,
        /// The newest epoch it has promised to follow.
        accepted_epoch: u32,
        /// Who it is.
        learner: LearnerInfo,
    },
    /// ACKEPOCH: it follows the epoch of LEADERINFO.
    AckEpoch {
        /// The last transaction in its log, committed or not.
        last_zxid: Zxid,
        /// The epoch of the leader that its history is from; `None`: it had accepted this epoch before, and must not
        /// be counted twice.
        current_epoch: Option<u32>,
    },
    /// ACK: it has this transaction, or the whole history of a NEWLEADER, on disk.
    Ack {
        /// Which.
        zxid: Zxid,
    },
    /// REQUEST: a client's write or sync, or the opening or end of its session.
    Request {
        /// Whose.
        session: SessionId,
        /// The client's xid.
        cxid: i32,
        /// The opcode.
        op: i32,
        /// The record of that opcode, as the client sent it.
        body: &'a [u8],
        /// The identities of the connection.
        auth: AuthIds,
    },
    /// The answer to a PING.
    Ping {
        /// The one of the PING.
        zxid: Zxid,
        /// Sessions that were active since the last answer.
        touched: Vec<Touch>,
    },
    /// REVALIDATE: a client wants to go on with this session at the learner.
    Revalidate {
        /// Which session.
        session: SessionId,
        /// Its time-out.
        timeout_ms: i32,
    },
    /// Any other kind: to be ignored.
    Unknown {
        /// Its number.
        kind: i32,
    },
}

/// A session that was active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the words say it")]
pub struct Touch {
    pub session: SessionId,
    pub timeout_ms: i32,
}

/// What a learner tells about itself. Older servers told less: a missing field means that those behind it are missing
/// too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnerInfo {
    /// Its id.
    pub server: Option<ServerId>,
    /// [`PROTOCOL_VERSION`] since 3.4.
    pub protocol_version: Option<i32>,
    /// The version of the configuration that it has in force; since 3.5.
    pub config_version: Option<i64>,
}

impl LearnerInfo {
    /// What servers of today say.
    pub const fn new(server: ServerId, config_version: i64) -> LearnerInfo {
        LearnerInfo {
            server: Some(server),
            protocol_version: Some(PROTOCOL_VERSION),
            config_version: Some(config_version),
        }
    }

    /// Id and configuration version of a learner that speaks the protocol of today; `None` for older ones, with
    /// which no epoch could be agreed on. Servers without dynamic configurations have version 0.
    pub fn current(&self) -> Option<(ServerId, i64)> {
        let server = self.server?;
        (self.protocol_version? >= PROTOCOL_VERSION).then(|| (server, self.config_version.unwrap_or(0)))
    }

    fn read(mut r: Reader<'_>) -> LearnerInfo {
        let server = r.long().ok().map(ServerId);
        let protocol_version = server.and_then(|_| r.int().ok());
        let config_version = protocol_version.and_then(|_| r.long().ok());
        LearnerInfo { server, protocol_version, config_version }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let Some(server) = self.server else { return };
        jute::put_long(out, server.0);
        let Some(protocol_version) = self.protocol_version else { return };
        jute::put_int(out, protocol_version);
        if let Some(config_version) = self.config_version {
            jute::put_long(out, config_version);
        }
    }
}

impl<'a> ToLeader<'a> {
    /// Decodes the packet at the front of `bytes` and says how long it is; `None` while it is not complete.
    /// Buffers above `data_max` bytes are refused as soon as their length is known.
    ///
    /// # Errors
    /// The packet is malformed: the connection is of no use any more.
    pub fn decode(bytes: &'a [u8], data_max: usize) -> Result<Option<(ToLeader<'a>, usize)>, DecodeError> {
        let Some((packet, length)) = Packet::split(bytes, data_max)? else { return Ok(None) };
        Ok(Some((ToLeader::from_packet(&packet)?, length)))
    }

    fn from_packet(packet: &Packet<'a>) -> Result<ToLeader<'a>, DecodeError> {
        let mut r = packet.fields();
        Ok(match packet.kind {
            kind::FOLLOWER_INFO | kind::OBSERVER_INFO => ToLeader::Info {
                observer: packet.kind == kind::OBSERVER_INFO,
                accepted_epoch: packet.epoch()?,
                learner: LearnerInfo::read(r),
            },
            kind::ACK_EPOCH => {
                let epoch = r.int()?;
                let current_epoch = if epoch == -1 {
                    None
                } else {
                    Some(u32::try_from(epoch).map_err(|_| DecodeError::BadValue(epoch))?)
                };
                ToLeader::AckEpoch { last_zxid: packet.zxid, current_epoch }
            }
            kind::ACK => ToLeader::Ack { zxid: packet.zxid },
            kind::REQUEST => ToLeader::Request {
                session: SessionId(r.long()?),
                cxid: r.int()?,
                op: r.int()?,
                body: r.rest(),
                auth: packet.auth()?,
            },
            kind::PING => ToLeader::Ping { zxid: packet.zxid, touched: touched(packet.bytes())? },
            kind::REVALIDATE => ToLeader::Revalidate { session: SessionId(r.long()?), timeout_ms: r.int()? },
            kind => ToLeader::Unknown { kind },
        })
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToLeader::Info { observer, accepted_epoch, learner } => {
                let kind = if *observer { kind::OBSERVER_INFO } else { kind::FOLLOWER_INFO };
                let zxid = Zxid::new(*accepted_epoch, 0);
                if learner.server.is_none() {
                    packet::put(out, kind, zxid, None);
                } else {
                    packet::put_with(out, kind, zxid, &[], |out| learner.put(out));
                }
            }
            ToLeader::AckEpoch { last_zxid, current_epoch } => {
                let epoch = current_epoch.map_or(-1, |epoch| i32::try_from(epoch).expect("epochs are below 2^31"));
                packet::put(out, kind::ACK_EPOCH, *last_zxid, Some(&epoch.to_be_bytes()));
            }
            ToLeader::Ack { zxid } => packet::put(out, kind::ACK, *zxid, None),
            ToLeader::Request { session, cxid, op, body, auth } => {
                packet::put_with(out, kind::REQUEST, NO_ZXID, auth, |out| {
                    jute::put_long(out, session.0);
                    jute::put_int(out, *cxid);
                    jute::put_int(out, *op);
                    out.extend_from_slice(body);
                });
            }
            ToLeader::Ping { zxid, touched } => packet::put_with(out, kind::PING, *zxid, &[], |out| {
                for touch in touched {
                    jute::put_long(out, touch.session.0);
                    jute::put_int(out, touch.timeout_ms);
                }
            }),
            ToLeader::Revalidate { session, timeout_ms } => {
                packet::put_with(out, kind::REVALIDATE, NO_ZXID, &[], |out| {
                    jute::put_long(out, session.0);
                    jute::put_int(out, *timeout_ms);
                });
            }
            ToLeader::Unknown { kind } => packet::put(out, *kind, NO_ZXID, None),
        }
    }
}

/// The table has no count: it ends with the buffer.
fn touched(bytes: &[u8]) -> Result<Vec<Touch>, DecodeError> {
    let (entries, rest) = bytes.as_chunks::<{ Touch::BYTES }>();
    if !rest.is_empty() {
        return Err(DecodeError::Truncated);
    }
    entries
        .iter()
        .map(|entry| {
            let mut r = Reader::of_server(entry, 0);
            Ok(Touch { session: SessionId(r.long()?), timeout_ms: r.int()? })
        })
        .collect()
}

impl Touch {
    /// Length of an entry. A PING answer with more entries than `data_max` has room for is refused by the leader:
    /// whoever has more sends several answers.
    pub const BYTES: usize = 12;
}
