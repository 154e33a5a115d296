//! Recipes on the asynchronous library: what applications build from znodes, done once and right.
//!
//! Paths, names and data of the znodes are Curator's, or kazoo's where Curator has none, so that programs of both can
//! take part. How each looks, and how safe it is: `docs/recipes.md`.

mod barrier;
mod cache;
mod candidate;
mod configuration;
pub mod contender;
mod counter;
mod discovery;
mod group;
mod hold;
mod instance;
mod latch;
mod lock;
mod mirror;
mod names;
mod once;
mod persistent;
mod place;
mod queue;
mod rwlock;
mod semaphore;

pub use barrier::{Barrier, DoubleBarrier, Inside};
pub use cache::{CACHE_EVENTS_MAX, Cache, CacheBuilder, CacheError, CacheEvent};
pub use candidate::{Candidate, Standing};
pub use configuration::{Configuration, Subscription};
pub use counter::{Counter, Format};
pub use discovery::{Discovery, Registration, Service};
pub use group::{Group, Members};
pub use hold::{Hold, Holds};
pub use instance::{MalformedInstance, ServiceInstance, ServiceKind};
pub use latch::{LeaderLatch, Leadership};
pub use lock::{Lock, LockGuard};
pub use mirror::Entry;
pub use persistent::{PersistentNode, Presence};
pub use place::Participant;
pub use queue::{Element, Queue};
pub use rwlock::ReadWriteLock;
pub use semaphore::Semaphore;
