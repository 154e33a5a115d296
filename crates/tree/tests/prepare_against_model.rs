//! prepare and apply together against the naive model, at once and with a lag between them.

mod model;

use model::requests::{self, SESSIONS};
use model::{Event, Model, Settings, compare};
use ostler_model::{AuthId, CreateOp, CreateTxn, Dice, Request, SessionId, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{Caller, Overlay, Policy, Prepared, Tree, TreeConfig, TxnResult};
use proptest::prelude::*;
use std::collections::VecDeque;

/// What is prepared and not yet applied, with what must come of it.
struct Pending {
    header: TxnHeader,
    prepared: Prepared,
    result: TxnResult,
    events: Vec<Event>,
    closes_session: bool,
    after: Model,
}

struct Case {
    tree: Tree,
    overlay: Overlay,
    policy: Policy,
    /// With everything that was prepared.
    model: Model,
    /// With everything that was applied.
    committed: Model,
    pending: VecDeque<Pending>,
    zxid: i64,
    time_ms: i64,
    changes: Vec<ostler_tree::Change>,
}

impl Case {
    fn new(dice: &mut Dice) -> Case {
        let settings = Settings {
            extended_types: dice.percent(60),
            enforce_quota: dice.percent(50),
            reconfig_enabled: dice.percent(50),
            skip_acl: dice.percent(5),
        };
        let policy = Policy {
            skip_acl: settings.skip_acl,
            extended_types: settings.extended_types,
            enforce_quota: settings.enforce_quota,
            reconfig_enabled: settings.reconfig_enabled,
            ..Policy::default()
        };
        let mut case = Case {
            tree: Tree::new(TreeConfig { seed: dice.number(), digest: true }),
            overlay: Overlay::new(dice.number()),
            policy,
            model: Model::new(settings),
            committed: Model::new(settings),
            pending: VecDeque::new(),
            zxid: 0,
            time_ms: 1_700_000_000_000,
            changes: Vec::new(),
        };
        case.set_the_scene();
        case
    }

    /// Sessions, a node at the end of its counters, and a quota.
    fn set_the_scene(&mut self) {
        for session in SESSIONS[..3].iter().copied().map(SessionId) {
            self.zxid += 1;
            let header = TxnHeader { session, cxid: 0, zxid: Zxid(self.zxid), time_ms: 4 };
            self.ask(header, &[], &Request::CreateSession { timeout_ms: 4_000 });
        }
        self.apply_all();
        let path = "/max".to_owned();
        let create_with = |path: &str, parent_cversion, data: &[u8]| {
            let (op, path, data, acl) = (CreateOp::Create, path.to_owned(), Some(data.to_vec()), open_acl());
            Txn::Create(CreateTxn { op, path, data, acl, ephemeral: false, parent_cversion, ttl: -1 })
        };
        let create = |path: &str, parent_cversion| create_with(path, parent_cversion, b"");
        let limits = b"count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=6";
        let txns = [
            create("/max", 1),
            create("/max/child", i32::MAX - 1),
            create("/zookeeper/quota/a", 1),
            create_with("/zookeeper/quota/a/zookeeper_limits", 1, limits),
            create("/zookeeper/quota/a/zookeeper_stats", 2),
            Txn::SetData { path: path.clone(), data: None, version: i32::MAX - 1 },
            Txn::SetAcl { path, acl: open_acl(), version: i32::MAX },
            create("/a", 2),
        ];
        for txn in txns {
            self.zxid += 1;
            let header = TxnHeader { zxid: Zxid(self.zxid), time_ms: 5, ..TxnHeader::default() };
            self.tree.apply(&header, &txn, &mut Vec::new());
        }
        // The model takes these over: they are not what is tested.
        let paths = ["/", "/max", "/max/child", "/a", "/zookeeper/quota", "/zookeeper/quota/a"].map(str::to_owned);
        let quota = [model::LIMITS, model::STATS].map(|name| format!("/zookeeper/quota/a/{name}"));
        for path in paths.into_iter().chain(quota) {
            let node = self.tree.node(&path).expect("just created");
            let copy =
                model::Node { data: node.data().map(<[u8]>::to_vec), acl: node.acl().to_vec(), stat: node.stored() };
            self.model.nodes.insert(path, copy);
        }
        self.committed = self.model.clone();
        compare::assert_tree(&self.tree, &self.model);
    }

    /// Draws a request and prepares it.
    fn step(&mut self, dice: &mut Dice) {
        self.zxid += 1 + i64::from(dice.percent(30));
        let (header, ids, request) = requests::request(dice, &self.model, self.zxid, &mut self.time_ms);
        self.ask(header, &ids, &request);
    }

    /// Prepares a request, and lets the model say what must come of it.
    fn ask(&mut self, header: TxnHeader, ids: &[AuthId], request: &Request<'_>) {
        let prepared = self.overlay.prepare(&self.tree, &self.policy, &Caller::new(ids), header, request);
        let (result, events) = self.model.execute(&self.committed, ids, &header, request);
        let expected_digest = if matches!(result, TxnResult::Error(_)) { None } else { Some(self.model.digest()) };
        assert_eq!(prepared.digest, expected_digest, "{request:?}");
        let closes_session = matches!(request, Request::CloseSession);
        let after = self.model.clone();
        self.pending.push_back(Pending { header, prepared, result, events, closes_session, after });
    }

    fn apply_next(&mut self) {
        let Some(next) = self.pending.pop_front() else { return };
        self.changes.clear();
        let result = self.tree.apply_prepared(&next.header, &next.prepared.txn, next.prepared.found, &mut self.changes);
        self.overlay.applied(next.header.zxid);
        assert_eq!(result, next.result, "{:?}", next.prepared.txn);
        compare::assert_events(&self.changes, next.events, next.closes_session);
        compare::assert_tree(&self.tree, &next.after);
        if let Some(digest) = next.prepared.digest {
            assert_eq!(digest, self.tree.digest());
        }
        assert_eq!(self.tree.zxid(), next.header.zxid);
        self.committed = next.after;
    }

    fn apply_all(&mut self) {
        while !self.pending.is_empty() {
            self.apply_next();
        }
        assert!(self.overlay.is_empty());
    }

    fn check_view(&self) {
        compare::assert_view(&self.overlay, &self.tree, &self.model, self.committed.nodes.keys());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Each transaction is applied before the next request comes.
    #[test]
    fn at_once(seed: u64, steps in prop::collection::vec(any::<u64>(), 1..150)) {
        let mut case = Case::new(&mut Dice::new(seed));
        for step in steps {
            let mut dice = Dice::new(step);
            case.step(&mut dice);
            case.check_view();
            case.apply_all();
            case.check_view();
        }
    }

    /// Requests come while others are pending: whatever the lag, the results are those of the model, and the overlay
    /// shows the tree as it will be.
    #[test]
    fn pipelined(seed: u64, steps in prop::collection::vec(any::<u64>(), 1..150)) {
        let mut case = Case::new(&mut Dice::new(seed));
        let lag = Dice::new(seed).below(30);
        for step in steps {
            let mut dice = Dice::new(step);
            case.step(&mut dice);
            case.check_view();
            if dice.below(lag + 1) == 0 {
                for _ in 0..=dice.below(lag + 2) {
                    case.apply_next();
                    case.check_view();
                }
            }
        }
        case.apply_all();
        case.check_view();
    }
}

/// A generator that asks only for what is granted tests nothing, and one that is always refused neither.
#[test]
fn the_generator_asks_for_good_and_bad() {
    let (mut good, mut bad, mut multis, mut failed_multis) = (0, 0, 0, 0);
    let mut codes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut case = Case::new(&mut Dice::new(seed));
        for step in 0..150 {
            case.step(&mut Dice::new(seed * 1_000 + step));
            match &case.pending.back().expect("just asked").result {
                TxnResult::Error(code) => {
                    bad += 1;
                    codes.insert(*code);
                }
                TxnResult::MultiFailed(list) => {
                    failed_multis += 1;
                    codes.extend(list);
                }
                TxnResult::Multi(_) => multis += 1,
                _ => good += 1,
            }
            case.apply_all();
        }
    }
    println!("good {good}, refused {bad}, multis {multis}, failed multis {failed_multis}, codes {codes:?}");
    let all = good + bad + multis + failed_multis;
    assert!(bad * 100 > 30 * all && good * 100 > 20 * all, "{good} good, {bad} refused of {all}");
    assert!(multis > 100 && failed_multis > 60);
    let expected = [-125, -123, -114, -112, -111, -110, -108, -103, -102, -101, -8, -6, -5, -2, 0];
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), expected);
}
