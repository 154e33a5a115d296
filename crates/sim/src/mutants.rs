//! Rules broken on purpose: what shows that the checks see anything at all. docs/simulation.md lists them.

/// A broken rule and the checks that may find it.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// For `--mutant`.
    pub name: &'static str,
    /// What is broken.
    pub what: &'static str,
    /// The check that must find it; a panic of the server's own assertions is "assertion".
    pub found_by: &'static [&'static str],
    /// It needs the package's feature `mutants`.
    pub in_node: bool,
}

/// All of them.
pub const ALL: &[Mutant] = &[
    Mutant {
        name: "fsync-lies",
        what: "the log's sync does nothing (forceSync=no)",
        found_by: &["survival"],
        in_node: false,
    },
    Mutant {
        name: "dir-syncs-lie",
        what: "syncs of directories do nothing",
        found_by: &["survival"],
        in_node: false,
    },
    Mutant {
        name: "reply-before-sync",
        what: "writes are applied and answered before they are durable",
        found_by: &["survival"],
        in_node: false,
    },
    Mutant {
        name: "deaf-after-pause",
        what: "turns of shards do not always read the sockets before sessions expire (rules.md 1.8)",
        found_by: &["expiry"],
        in_node: false,
    },
    Mutant {
        name: "never-restart",
        what: "a server that died stays down",
        found_by: &["liveness"],
        in_node: false,
    },
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
        _ => {}
    }
    quirks
}
