//! The replicated state: the znode table, what transactions do to it, and which transactions requests become.
//!
//! [`Tree`] holds the committed state. [`Overlay`] shows the tree as it will be once everything proposed is
//! applied; [`Overlay::prepare`] checks a request against it and turns it into a transaction with the very function
//! that later applies it (rules.md section 4). Nothing here reads clocks, files or sockets.
#![forbid(unsafe_code)]

mod access;
mod apply;
mod config_node;
mod digest;
mod load;
mod overlay;
mod prepare;
mod quota;
mod store;
mod sweep;
mod table;
mod walk;

pub use access::{Policy, Schemes};
pub use apply::{Change, ChangeKind, TxnResult, apply};
pub use digest::{content_crc, in_digest, node_digest};
pub use load::{LoadError, Loader};
pub use overlay::Overlay;
pub use prepare::{Caller, Prepared};
pub use quota::{Quota, limits_path, stats_path};
pub use store::{NewNode, Store};
pub use sweep::SweepCursor;
pub use table::{ChildCursor, EphemeralCursor, Found, NodeRef, Tree, TreeConfig};
pub use walk::{NodeImage, Walk};
