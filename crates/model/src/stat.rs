//! What a znode remembers about itself, as stored and as clients see it (client-protocol.md sections 6 and 12).

use crate::Zxid;

/// The Stat a client sees: 68 bytes on the wire, fields in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(
    missing_docs,
    reason = "the fields carry the protocol's own names; section 12 of client-protocol.md defines each"
)]
pub struct Stat {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: Zxid,
}

/// The Stat as snapshots and digests carry it: `cversion` counts creations of children only and
/// `ephemeral_owner` is raw (see [`crate::Owner`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "as in Stat; storage.md section 4.1")]
pub struct StoredStat {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub pzxid: Zxid,
}

impl StoredStat {
    /// What clients see of it: `cversion` counts creations and deletions, the owner only if it is a session.
    pub fn visible(&self, data_length: usize, num_children: usize) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(num_children as i32),
            aversion: self.aversion,
            ephemeral_owner: crate::Owner::from_raw(self.ephemeral_owner).session().0,
            data_length: data_length as i32,
            num_children: num_children as i32,
            pzxid: self.pzxid,
        }
    }
}
