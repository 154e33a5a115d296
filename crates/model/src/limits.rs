//! The bounds of everything: one place, units last. Settings that an operator can change have their default here.

/// `jute.maxbuffer`: the largest client frame, bytes.
pub const FRAME_BYTES_MAX: usize = 0xf_ffff;
/// Requests decoded and waiting on one connection before its socket is no longer read.
pub const CONN_QUEUE_MAX: usize = 1_000;
/// Bytes of decoded requests waiting on one connection before its socket is no longer read (one frame may exceed it).
pub const CONN_QUEUE_BYTES_MAX: usize = 2 << 20;
/// Bytes of requests waiting on all connections together before no socket is read.
pub const QUEUE_BYTES_MAX: usize = 256 << 20;
/// Output waiting on one connection above which its requests are not read.
pub const OUTPUT_SOFT_MAX: usize = 1 << 20;
/// Output waiting on one connection above which it is closed; a single reply may exceed it alone.
pub const OUTPUT_HARD_MAX: usize = 16 << 20;
/// Requests of one connection that are handled in one turn, so that a deep pipeline does not starve the others.
pub const TURN_REQUESTS_MAX: usize = 128;
/// Transactions applied in one hold of the tree.
pub const APPLY_BATCH_MAX: usize = 64;
/// Work that one hold of the tree applies, in units of about 3 us: together 200 us (rules.md 1.10). A single transaction
/// may exceed it alone. (The deciding crates read no clock; measured with `fill`: 2 us for a create, and the copy and CRC
/// of [`APPLY_WORK_BYTES`] of data take as long.)
pub const APPLY_WORK_MAX: usize = 64;
/// Bytes of data that are one more unit of work.
pub const APPLY_WORK_BYTES: usize = 8 << 10;
/// Parts of a path that can be created: what a change costs grows with the depth of its path. (Deeper nodes that another
/// server has written are served.)
pub const PATH_PARTS_MAX: usize = 1_024;
/// Output produced in one hold of the tree before it is let go, bytes.
pub const HOLD_OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Paths of one setWatches handled in one hold of the tree.
pub const SET_WATCHES_PER_HOLD_MAX: usize = 1_024;
/// Transactions proposed and not yet durable; above it a shard's submissions wait (Apache's globalOutstandingLimit).
pub const OUTSTANDING_MAX: usize = 1_000;
/// Bytes of records handed to the log and not yet durable.
pub const OUTSTANDING_BYTES_MAX: usize = 64 << 20;
/// Batches in one shard's stream before the replica stops applying.
pub const STREAM_BATCHES_MAX: usize = 1_024;
/// Ephemerals that one closeSession transaction deletes; a session with more is emptied by delete transactions first.
pub const CLOSE_SESSION_PATHS_MAX: usize = 10_000;
/// Nodes that one step of a snapshot walk writes.
pub const SNAPSHOT_STEP_NODES_MAX: usize = 256;
/// `maxClientCnxns`: connections of one remote address.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 60;
/// Milliseconds after which a connection without a session is closed (`nio.sessionlessCnxnTimeout`).
pub const SESSIONLESS_TIMEOUT_MS: u64 = 10_000;
/// Entries of an ACL list after `auth` was replaced by the connection's ids; above it the list is invalid.
pub const ACL_EXPANDED_ENTRIES_MAX: usize = 16_384;
/// Bytes of the ids put in for `auth`; above it the list is invalid.
pub const ACL_EXPANDED_BYTES_MAX: usize = 1 << 20;
/// The largest record in the log, header and digest included: `jute.maxbuffer` + `jute.maxbuffer.extrasize`.
pub const TXN_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
/// Bytes of paths that one closeSession transaction deletes, for the same reason.
pub const CLOSE_SESSION_BYTES_MAX: usize = 1 << 20;
/// Input waiting on one connection, beyond a first unfinished frame, before its socket is no longer read, bytes.
pub const CONN_INPUT_MAX: usize = 64 << 10;
/// Identities that one connection can prove.
pub const CONN_AUTH_IDS_MAX: usize = 1_024;
/// Children that a listing answers in one hold of the tree; a longer one is answered in pages (rules.md 1.10).
pub const LISTING_CHILDREN_MAX: usize = 1_024;
/// Children that a listing in pages visits in one hold of the tree.
pub const LISTING_PAGE_CHILDREN_MAX: usize = 512;
/// Output given to one connection's socket in one turn, bytes (rounded up to a piece of at most 64 KiB, or one reply).
pub const WRITE_BYTES_PER_TURN_MAX: usize = 256 << 10;
/// A multiRead whose answer grows beyond this closes its connection, bytes.
pub const MULTI_READ_BYTES_MAX: usize = 16 << 20;
/// Milliseconds that a connection gets to take its last output before it is closed all the same.
pub const FLUSH_TIMEOUT_MS: u64 = 10_000;
/// Members of an ensemble: their session ids begin with a byte of the server's id.
pub const ENSEMBLE_MEMBERS_MAX: usize = 255;
/// Addresses of one member.
pub const MEMBER_ADDRESSES_MAX: usize = 16;
/// A message on the election port, bytes (Apache's `PACKETMAXSIZE`).
pub const NOTIFICATION_BYTES_MAX: usize = 512 << 10;
/// The addresses in a handshake of the election port, bytes of text.
pub const HANDSHAKE_ADDRESSES_BYTES_MAX: usize = 2_048;
/// Identities that a request forwarded by a learner can carry. More than a client of ours can have; Apache has no bound.
pub const QUORUM_AUTH_IDS_MAX: usize = 16_384;
/// Bytes of the identities of one forwarded request.
pub const QUORUM_AUTH_BYTES_MAX: usize = 2 << 20;
/// Empty buffers that a shard keeps for its connections.
pub const POOLED_BUFFERS_MAX: usize = 256;
/// Capacity above which an emptied buffer is given back to the allocator, bytes.
pub const POOLED_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Output waiting on a quorum connection above which nothing more of a history or a tree is produced for it, bytes.
pub const PEER_PORTION_BYTES_MAX: usize = 1 << 20;
/// Messages waiting on a quorum connection above which it is closed: its server resynchronises, bytes.
pub const PEER_OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Sessions that one answer to a leader's PING names; 12 bytes each, far below what Apache takes in one packet.
pub const PING_TOUCHES_MAX: usize = 10_000;
