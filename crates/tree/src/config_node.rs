//! The text of the ensemble in force, as /zookeeper/config shows it (storage.md section 4.2, E§16.7).

use crate::{Tree, apply};
use ostler_model::{SessionId, Txn, TxnHeader, Zxid, path};

impl Tree {
    /// Shows `text`, the ensemble of this version. That is no transaction: it is not logged, every member does it by
    /// itself when it begins to serve, and neither the tree's zxid nor its digest tells of it. Nobody watches then.
    pub fn write_config(&mut self, text: &str, version: i64, time_ms: i64) {
        let zxid = Zxid(version);
        let is_same = |node: crate::NodeRef<'_>| node.data() == Some(text.as_bytes()) && node.stat().mzxid == zxid;
        if self.node(path::CONFIG).is_some_and(is_same) {
            return;
        }
        let (stands_at, digest) = (self.zxid(), self.digest());
        let header = TxnHeader { session: SessionId::NONE, cxid: 0, zxid, time_ms };
        let txn = Txn::Reconfig { path: path::CONFIG.to_owned(), data: Some(text.as_bytes().to_vec()), version: -1 };
        apply(self, &header, &txn, &mut Vec::new());
        assert_eq!((self.zxid(), self.digest()), (stands_at, digest), "the configuration is none of the history");
    }
}
