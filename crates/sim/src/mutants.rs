//! Rules broken on purpose: what shows that the checks see anything at all. docs/simulation.md lists them.

/// A broken rule and the seed that finds it.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// For `--mutant`.
    pub name: &'static str,
    /// What is broken.
    pub what: &'static str,
    /// How many servers the world has.
    pub servers: usize,
    /// It is found here, or, since seeds move with every change of the code, within the next [`SEEDS_MAX`].
    pub seed: u64,
    /// The check that finds it, or several of which one does; "assertion" is one of the server's own.
    pub found_by: &'static str,
}

const fn mutant(name: &'static str, servers: usize, seed: u64, found_by: &'static str, what: &'static str) -> Mutant {
    Mutant { name, what, servers, seed, found_by }
}

/// So many seeds may be needed.
pub const SEEDS_MAX: u64 = 100;

/// All of them.
pub const ALL: &[Mutant] = &[
    mutant("fsync-lies", 1, 0, "survival", "the log's sync does nothing"),
    mutant("dir-syncs-lie", 1, 0, "survival", "syncs of directories do nothing"),
    mutant("reply-before-sync", 1, 0, "survival", "writes are applied and answered before they are durable"),
    mutant("two-holders", 1, 2, "locks", "a lock lets two hold it"),
    mutant("never-restart", 1, 0, "liveness", "a server that died stays down"),
    mutant("lose-an-event", 1, 0, "watches", "a server loses one of its watch events"),
    mutant("old-read", 1, 0, "reads", "a server answers one read with another node's data"),
    mutant("two-answers", 1, 0, "watches", "a server answers a request twice"),
    mutant("epoch-files-lie", 3, 0, "survival", "the epoch files are not written"),
    mutant("commit-without-quorum", 3, 0, "ensemble", "INV-15: a leader commits at once"),
    mutant("leader-acks-unsynced", 3, 0, "ensemble", "INV-15: the leader counts itself before its own fsync"),
    mutant("learner-acks-unsynced", 3, 0, "ensemble", "INV-18: a learner acknowledges before its fsync"),
    mutant("ack-before-sync", 3, 4, "ensemble", "BUG-7: NEWLEADER is acknowledged before the history is durable"),
    mutant("epoch-before-history", 3, 9, "ensemble", "BUG-6: the current epoch is saved before the history is durable"),
    mutant("diff-unknown-zxid", 3, 0, "digest", "BUG-22: DIFF where TRUNC was due"),
    mutant("skip-ahead-check", 3, 0, "order", "INV-4: a leader does not look at the histories of voters"),
    mutant("commit-out-of-order", 3, 45, "fifo", "INV-16: commits out of order"),
    mutant("truncate-one-less", 3, 18, "ensemble", "BUG-2: TRUNC keeps the first transaction behind the point"),
    mutant("skip-fence", 3, 4, "assertion", "BUG-14: a role ends without waiting for its log"),
];

/// The node's switch of this name.
#[cfg(feature = "mutants")]
pub fn of_node(name: &str) -> Option<ostler_node::Mutant> {
    use ostler_node::Mutant;
    Some(match name {
        "publish-later" => Mutant::PublishLater,
        "no-drain" => Mutant::NoDrain,
        "ping-tree-zxid" => Mutant::PingTreeZxid,
        "read-at-entry" => Mutant::ReadAtEntry,
        "ignore-away" => Mutant::IgnoreAway,
        "collect" => Mutant::Collect,
        _ => return None,
    })
}

/// zab's switch of this name.
pub fn quirks(name: Option<&str>) -> ostler_zab::Quirks {
    let mut quirks = ostler_zab::Quirks::default();
    match name {
        Some("epoch-before-history") => quirks.epoch_before_history = true,
        Some("ack-before-sync") => quirks.ack_before_sync = true,
        Some("vote-applied") => quirks.vote_applied = true,
        Some("truncate-one-less") => quirks.truncate_one_less = true,
        Some("epoch-from-zxid") => quirks.epoch_from_zxid = true,
        Some("diff-unknown-zxid") => quirks.diff_unknown_zxid = true,
        Some("commit-without-quorum") => quirks.commit_without_quorum = true,
        Some("leader-acks-unsynced") => quirks.leader_acks_unsynced = true,
        Some("learner-acks-unsynced") => quirks.learner_acks_unsynced = true,
        Some("skip-ahead-check") => quirks.skip_ahead_check = true,
        Some("skip-fence") => quirks.skip_fence = true,
        Some("commit-out-of-order") => quirks.commit_out_of_order = true,
        Some("only-old-quorum") => quirks.only_old_quorum = true,
        Some("only-new-quorum") => quirks.only_new_quorum = true,
        Some("keep-cut-ensemble") => quirks.keep_cut_ensemble = true,
        Some("count-observers") => quirks.count_observers = true,
        _ => {}
    }
    quirks
}
