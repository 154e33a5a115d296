//! Writes are linearizable, and a sync catches up with what was acknowledged before it (zab-invariants.md INV-33,
//! INV-34).

use super::{Referee, Verdict, broken};
use ostler_model::{SessionId, Zxid};

const CHECK: &str = "realtime";

impl Referee {
    /// What a request that is sent now must come behind: the newest write acknowledged to anybody.
    pub fn floor(&self) -> Zxid {
        self.acknowledged.values().copied().max().unwrap_or_default()
    }

    /// The same for a sync: a leader that was replaced and does not know it yet answers with what it committed itself
    /// (BUG-47), so that only its own epoch and those before count.
    pub fn floors(&self) -> Vec<(u32, Zxid)> {
        self.acknowledged.iter().map(|(epoch, zxid)| (*epoch, *zxid)).collect()
    }

    /// A client is told of its write.
    pub fn write_acknowledged(&mut self, session: SessionId, zxid: Zxid, floor: Zxid) -> Verdict {
        if zxid <= floor {
            return Err(broken(
                CHECK,
                format!("INV-33: a write of {session} is {zxid}, but {floor} was acknowledged before it was sent"),
            ));
        }
        let newest = self.acknowledged.entry(zxid.epoch()).or_default();
        *newest = (*newest).max(zxid);
        self.acknowledged_count += 1;
        Ok(())
    }

    /// A client is told that its sync is done.
    pub fn synced(&self, session: SessionId, zxid: Zxid, floors: &[(u32, Zxid)]) -> Verdict {
        let floor = floors.iter().filter(|(epoch, _)| *epoch <= zxid.epoch()).map(|(_, zxid)| *zxid).max();
        match floor {
            Some(floor) if zxid < floor => Err(broken(
                CHECK,
                format!("INV-34: a sync of {session} ends at {zxid}, but {floor} was acknowledged before it was sent"),
            )),
            _ => Ok(()),
        }
    }
}
