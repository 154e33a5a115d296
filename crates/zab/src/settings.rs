//! The settings of the protocol, parsed once by the shell (E§11.1, E§22).

use ostler_model::ServerId;

/// What zab needs to know. Names are Apache's where Apache has the setting.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// `myid`.
    pub me: ServerId,
    /// `tickTime`, milliseconds.
    pub tick_ms: u64,
    /// `initLimit`, ticks: each wait of discovery and synchronisation.
    pub init_limit: u64,
    /// `syncLimit`, ticks: how long a peer may be silent.
    pub sync_limit: u64,
    /// `connectToLearnerMasterLimit`, ticks; 0 = `init_limit`.
    pub connect_limit: u64,
    /// `fastleader.minNotificationInterval`, milliseconds.
    pub notification_min_ms: u64,
    /// The longest pause between two rounds of notifications. Apache's default is a minute; we stay at a few seconds
    /// (DEV-4).
    pub notification_max_ms: u64,
    /// How long a quorum waits for a better vote (E§4.1).
    pub finalize_ms: u64,
    /// Skip that wait when nobody is left who could send one (DEV-19).
    pub finalize_early: bool,
    /// `commitLogCount`: committed transactions kept in memory for learners that fall behind.
    pub window_txns_max: usize,
    /// The same, bytes of payload.
    pub window_bytes_max: usize,
    /// `forceSnapshotSync`.
    pub force_snapshot_sync: bool,
    /// The last counter of an epoch; the leader then makes room for a new one. Lower in tests of the roll-over.
    pub counter_max: u32,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// Behaviours of other implementations and broken rules, for simulations and tests that must notice.
    pub quirks: Quirks,
}

impl Settings {
    /// Apache's defaults.
    pub fn new(me: ServerId) -> Settings {
        Settings {
            me,
            tick_ms: 2_000,
            init_limit: 10,
            sync_limit: 5,
            connect_limit: 0,
            notification_min_ms: 200,
            notification_max_ms: 3_000,
            finalize_ms: 200,
            finalize_early: true,
            window_txns_max: 500,
            window_bytes_max: 16 << 20,
            force_snapshot_sync: false,
            counter_max: u32::MAX - 1,
            reconfig_enabled: false,
            quirks: Quirks::default(),
        }
    }
}

/// Rules that can be broken one at a time. All off in production: the shell has no way to set them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quirks {
    /// BUG-6: the current epoch is saved before the history is durable.
    pub epoch_before_history: bool,
    /// BUG-7: NEWLEADER is acknowledged before the history is durable.
    pub ack_before_sync: bool,
    /// BUG-15: votes name the last applied transaction instead of the last logged one.
    pub vote_applied: bool,
    /// BUG-2: TRUNC keeps the first transaction behind the point.
    pub truncate_one_less: bool,
    /// BUG-21: a new epoch is the last zxid's plus one; nothing is promised.
    pub epoch_from_zxid: bool,
    /// BUG-22: a transaction that is not in the leader's history is taken for one of it.
    pub diff_unknown_zxid: bool,
    /// INV-15: a leader commits without waiting for a quorum.
    pub commit_without_quorum: bool,
    /// INV-15: the leader's own acknowledgement counts before its fsync.
    pub leader_acks_unsynced: bool,
    /// INV-18: a learner acknowledges before its fsync.
    pub learner_acks_unsynced: bool,
    /// INV-4: a leader does not look at the histories that voters report.
    pub skip_ahead_check: bool,
    /// INV-23: observers count in quorums.
    pub count_observers: bool,
    /// BUG-14: a role ends without waiting for its log.
    pub skip_fence: bool,
    /// INV-16: COMMIT is sent as soon as a later transaction has its quorum.
    pub commit_out_of_order: bool,
    /// BUG-31: the stored vote keeps the epoch of its election.
    pub vote_keeps_old_epoch: bool,
    /// BUG-33: a leader that confirmed itself in another round counts as confirmed in this one.
    pub leader_confirmed_elsewhere: bool,
    /// E§4.4: followers alone make a newcomer join a leader, who may be dead.
    pub leader_unconfirmed: bool,
    /// BUG-38: the first vote of a server in a round stays, later ones are ignored.
    pub first_vote_stays: bool,
    /// BUG-23: a server that lost its disk counts in the quorum that promises an epoch.
    pub count_untrusted: bool,
    /// DEV-9: a learner whose tree differs from the leader's goes on from its own log.
    pub trust_diverged: bool,
    /// BUG-32: nobody gives up before the time is over.
    pub wait_for_deserters: bool,
    /// INV-24: while the ensemble changes, a quorum of the one in force is enough.
    pub only_old_quorum: bool,
    /// INV-24: while the ensemble changes, a quorum of the next one is enough.
    pub only_new_quorum: bool,
    /// INV-24: what was proposed behind a reconfiguration needs the next ensemble alone as soon as that is in force.
    pub forget_old_quorum: bool,
    /// A proposed ensemble is not forgotten when its proposal is cut from the log.
    pub keep_cut_ensemble: bool,
}
