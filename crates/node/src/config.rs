//! The settings of a node (operations.md section 2); parsed once by the shell and shared by replica and shards.

use crate::{ConnectionThrottle, DigestAlgorithm, LargeRequests, RequestThrottle};
use ostler_model::limits;
use ostler_tree::Policy;

/// What replica and shards need to know. Fields are named after Apache's settings.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// 1 for a standalone server; the top byte of the session ids made here.
    pub server_id: u8,
    /// `tickTime`: width of an expiry bucket.
    pub tick_time_ms: u64,
    /// Lower bound of a session's time-out.
    pub min_session_timeout_ms: i32,
    /// Upper bound of a session's time-out.
    pub max_session_timeout_ms: i32,
    /// `jute.maxbuffer`: the largest frame a client may send, without its length prefix.
    pub frame_bytes_max: usize,
    /// How requests are checked.
    pub policy: Policy,
    /// `standaloneEnabled`: an ensemble never shrinks to one voter.
    pub standalone_enabled: bool,
    /// `readonlymode.enabled`: a member without a quorum serves clients that are content with reading.
    pub read_only_mode: bool,
    /// `localSessionsEnabled`. All sessions are global but for those of read-only mode; there it decides what becomes
    /// of sessions that nobody here knows (client-protocol.md section 18).
    pub local_sessions: bool,
    /// Records carry the tree's digest (`digest.enabled`).
    pub digest: bool,
    /// Hash of `digest` ids.
    pub digest_algorithm: DigestAlgorithm,
    /// `DigestAuthenticationProvider.superDigest`: a connection that proves it becomes `super`.
    pub super_digest: Option<String>,
    /// `enforce.auth.schemes`, if `enforce.auth.enabled`; empty = nobody is forced.
    pub enforced_schemes: Vec<String>,
    /// `ensembleAuthName`; looked at only if the policy has the scheme installed.
    pub ensemble_names: Vec<String>,
    /// `znode.container.checkIntervalMs`.
    pub container_check_interval_ms: u64,
    /// `znode.container.maxPerMinute`.
    pub container_max_per_minute: u32,
    /// `globalOutstandingLimit`: requests that may be away at the replica, over all shards.
    pub outstanding_max: usize,
    /// `audit.enable`: writes are told to the shell as [`NodeEvent::Audit`](crate::NodeEvent::Audit).
    pub audit: bool,
    /// `request_throttle_*`, `throttled_op_wait_time`.
    pub request_throttle: RequestThrottle,
    /// `connection_throttle_*`. Counted per shard.
    pub connection_throttle: ConnectionThrottle,
    /// `largeRequestThreshold`, `largeRequestMaxBytes`. Counted per shard.
    pub large_requests: LargeRequests,
    /// `maxClientCnxns`, 0 = no limit. Counted per shard.
    pub connections_per_address_max: usize,
    /// `maxCnxns`, 0 = no limit. Counted per shard.
    pub connections_max: usize,
    /// `nio.sessionlessCnxnTimeout`: how long a handshake may take.
    pub sessionless_timeout_ms: u64,
    /// Stream items that one turn handles before it serves its sockets.
    pub stream_items_per_turn_max: usize,
    /// Batches waiting in one shard's stream above which nothing is applied.
    pub stream_batches_max: usize,
    /// How many shards there are.
    pub shards: usize,
    /// Seed of all hash tables; random in production, fixed in simulations.
    pub seed: u64,
    /// A rule broken on purpose, for tests that must notice.
    #[cfg(any(test, feature = "mutants"))]
    pub mutant: Option<Mutant>,
}

/// Rules of the read path that can be broken one at a time (`read_path_model.py`): the property test catches each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mutant {
    /// Entries reach the streams some time after the tree shows them.
    PublishLater,
    /// A shard reads the tree without handling the entries it contains first.
    NoDrain,
    /// Pings carry the tree's zxid instead of the shard's.
    PingTreeZxid,
    /// Reads behind a write wait in the shard and run when the entry of that write is handled.
    ReadAtEntry,
    /// Reads run although a write of the same connection is away.
    IgnoreAway,
    /// A shard that cannot submit, and a replica that cannot apply, wait for room.
    Blocking,
    /// Reads are collected and run together later, while writes behind them go ahead.
    Collect,
}

impl NodeConfig {
    /// True if this rule is to be broken.
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn is_broken(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Never, outside of tests.
    #[cfg(not(any(test, feature = "mutants")))]
    pub(crate) fn is_broken(&self, _mutant: Mutant) -> bool {
        false
    }
}

impl Default for NodeConfig {
    /// Apache's defaults for a standalone server with tickTime 2000 and extended types on.
    fn default() -> Self {
        NodeConfig {
            server_id: 1,
            tick_time_ms: 2_000,
            min_session_timeout_ms: 4_000,
            max_session_timeout_ms: 40_000,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            policy: Policy { extended_types: true, ..Policy::default() },
            standalone_enabled: true,
            read_only_mode: false,
            local_sessions: false,
            digest: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            super_digest: None,
            enforced_schemes: Vec::new(),
            ensemble_names: Vec::new(),
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            outstanding_max: limits::OUTSTANDING_MAX,
            audit: false,
            request_throttle: RequestThrottle::default(),
            connection_throttle: ConnectionThrottle::default(),
            large_requests: LargeRequests::default(),
            connections_per_address_max: limits::CONNECTIONS_PER_ADDRESS_MAX,
            connections_max: 0,
            sessionless_timeout_ms: limits::SESSIONLESS_TIMEOUT_MS,
            stream_items_per_turn_max: limits::STREAM_BATCHES_MAX,
            stream_batches_max: limits::STREAM_BATCHES_MAX,
            shards: 1,
            seed: 0,
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}
