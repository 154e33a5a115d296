//! From a checked request to a transaction with a zxid, a record for the log and a place in the window.

use super::{Append, Outbound, ProposalBytes, Proposed, Replica, Role, ensemble_in};
use crate::{Now, Origin};
use ostler_model::{AuthIds, Request, SessionId, Txn, TxnHeader, Zxid};
use ostler_tree::{Caller, Prepared, Tree};
use ostler_wire::txn::{DIGEST_VERSION, TxnDigest, encode};

impl Replica {
    /// The zxid that the next proposal will have; only proposing consumes it.
    fn next_zxid(&self) -> Zxid {
        // Alone, nobody can be elected instead when the counter is used up: a new epoch begins by itself.
        self.last_proposed.next().unwrap_or_else(|| Zxid::new(self.last_proposed.epoch() + 1, 1))
    }

    pub(super) fn next_header(&self, now: Now, session: SessionId, cxid: i32) -> TxnHeader {
        TxnHeader { session, cxid, zxid: self.next_zxid(), time_ms: now.wall_ms }
    }

    /// Checks `request` against everything proposed so far and proposes what becomes of it.
    pub(super) fn propose(
        &mut self,
        now: Now,
        tree: &Tree,
        (session, cxid): (SessionId, i32),
        ids: &AuthIds,
        request: &Request<'_>,
        origin: Option<Origin>,
    ) {
        let header = self.next_header(now, session, cxid);
        let next = self.next_ensemble(request, header.zxid);
        let text = next.as_ref().map(|next| next.as_ref().map(ToString::to_string).map_err(|code| *code));
        let next_ensemble = text.as_ref().map(|text| text.as_ref().map(String::as_str).map_err(|code| *code));
        let caller = Caller { ids, next_ensemble };
        let prepared = self.overlay.prepare(tree, &self.config.policy, &caller, header, request);
        if let (Some(Ok(next)), Txn::Reconfig { .. }) = (next, &prepared.txn) {
            self.note_reconfig(next);
        }
        self.push(header, prepared, origin);
    }

    /// Proposes what a multi becomes that does not decode.
    pub(super) fn propose_malformed(&mut self, now: Now, (session, cxid): (SessionId, i32), origin: Origin) {
        let header = self.next_header(now, session, cxid);
        let prepared = Prepared::malformed();
        self.push(header, prepared, Some(origin));
    }

    pub(super) fn push(&mut self, header: TxnHeader, prepared: Prepared, origin: Option<Origin>) {
        let Prepared { txn, digest, found } = prepared;
        assert!(self.role.orders_writes(), "{}: only who orders writes takes a zxid (BUG-18)", header.zxid);
        // Behind a closeSession without its list Apache would take a digest for the list.
        let listless = matches!(txn, Txn::CloseSession { paths: None });
        let in_record =
            digest.filter(|_| !listless).map(|tree_digest| TxnDigest { version: DIGEST_VERSION, tree_digest });
        let mut record = Vec::with_capacity(256);
        encode(&mut record, &header, &txn, in_record);
        self.last_proposed = header.zxid;
        self.stats.proposed += 1;
        match self.role {
            Role::Leader => {
                let last = record.len() as u64;
                let (min, max) = self.stats.proposal_bytes.map_or((last, last), |before| (before.min, before.max));
                self.stats.proposal_bytes = Some(ProposalBytes { last, min: min.min(last), max: max.max(last) });
                self.outbound.push(Outbound::Propose { zxid: header.zxid, record, reconfig: ensemble_in(&txn) });
            }
            _ => self.appends.push(Append { zxid: header.zxid, record }),
        }
        self.window.push_back(Proposed { header, txn, digest, found, origin });
    }
}
