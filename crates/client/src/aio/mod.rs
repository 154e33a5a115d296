//! The asynchronous library: what applications use.
//!
//! [`Client`] is a cheap handle to one session: clone it, share it, call it from any task. A task behind it holds the
//! connection, pings, moves to another server when one is lost, repeats the identities and sets the watches again.
//!
//! * **Order.** A call is made when its method is called; awaiting the [`Call`] only waits for the answer. What is called
//!   first takes effect first, so calls can be sent one behind the other without waiting.
//! * **Failure.** An [`Error`] says whether what was asked may have happened ([`Error::may_have_happened`]) and what to do.
//!   A lost connection fails all that waited for it; the session goes on. [`Retry`] repeats what can be repeated.
//! * **Watches.** Reads with `_and_watch` return a [`WatchOnce`]; [`Client::watch`] and [`Client::watch_recursive`] return a
//!   [`Watcher`]. Both are streams; dropping them takes the watch away.
//! * **Memory.** Requests that wait belong to the futures that wait for them, and the task has at most
//!   [`Builder::pending_max`] requests and a bounded output at a time; what more is called waits for its turn. A watcher
//!   that does not listen is told that it missed something instead of growing.
//!
//! ```
//! use ostler_client::aio::{Client, CreateMode};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let server = ostler_test::TestServer::start();
//! # let address = server.address();
//! let client = Client::connect(&address).await?;
//! client.create("/greeting", b"hello", CreateMode::Persistent).await?;
//! let (data, stat, changed) = client.get_data_and_watch("/greeting").await?;
//! assert_eq!((data.as_slice(), stat.version), (&b"hello"[..], 0));
//! // Sent one behind the other, in this order.
//! let (set, get) = (client.set_data("/greeting", b"good morning", 0), client.get_data("/greeting"));
//! set.await?;
//! assert_eq!(get.await?.0, b"good morning");
//! assert_eq!(changed.await.expect("the session lives").path, "/greeting");
//! client.close().await;
//! # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
//! ```

mod builder;
mod call;
mod calls;
mod client;
mod driver;
mod error;
mod listeners;
pub(crate) mod mailbox;
mod multi;
mod nullable;
mod reads;
mod retry;
mod shared;
mod socket;
mod states;
mod tls;
mod waiting;
mod watcher;

pub use crate::address::AddressError;
pub use crate::calls::CreateMode;
pub use crate::effect::{Cause, SessionState, WatchEvent};
pub use builder::Builder;
pub use call::Call;
pub use client::Client;
pub use error::Error;
pub use multi::{Multi, MultiRead, MultiResult, ReadResult};
pub use ostler_model::{Acl, AuthId, ErrorCode, EventType, SessionId, Stat, Zxid, perms};
pub use retry::Retry;
pub use states::States;
pub use tls::Tls;
pub use watcher::{NOTICES_MAX, Notice, WatchOnce, Watcher};
