//! Watchers: streams of what happens to a znode. Dropping one takes its watch away from the server, if no other watcher of
//! this client needs it.

use crate::aio::mailbox::Mailbox;
use crate::aio::shared::Shared;
use crate::effect::WatchEvent;
use futures_core::Stream;
use ostler_model::{EventType, WatcherType};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Notices kept for a watcher that does not take them. When there are more they become one [`Notice::Missed`].
pub const NOTICES_MAX: usize = 1_024;

/// Kinds of watches as servers tell them apart when they are removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Data,
    Child,
    Persistent,
    Recursive,
}

impl Kind {
    pub fn is_one_shot(self) -> bool {
        matches!(self, Kind::Data | Kind::Child)
    }

    pub fn wire(self) -> WatcherType {
        match self {
            Kind::Data => WatcherType::Data,
            Kind::Child => WatcherType::Children,
            Kind::Persistent => WatcherType::Persistent,
            Kind::Recursive => WatcherType::PersistentRecursive,
        }
    }

    /// Whether a watch of this kind at a path is fired by an event of the same path.
    pub fn fits(self, event: EventType) -> bool {
        match self {
            Kind::Data => event != EventType::NodeChildrenChanged,
            Kind::Child => matches!(event, EventType::NodeDeleted | EventType::NodeChildrenChanged),
            Kind::Persistent => true,
            Kind::Recursive => event != EventType::NodeChildrenChanged,
        }
    }
}

/// What a persistent watcher tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Something changed.
    Event(WatchEvent),
    /// Something may have changed of which no event tells: the connection was lost and is there again, or notices were not
    /// taken in time ([`NOTICES_MAX`]). Read again what you need to know; changes after that have events.
    Missed,
}

/// Leaves the driver's list when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    path: String,
    kind: Kind,
    mailbox: Mailbox<Notice>,
}

impl Seat {
    pub fn new(shared: Arc<Shared>, path: String, kind: Kind, mailbox: Mailbox<Notice>) -> Seat {
        Seat { shared, path, kind, mailbox }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.mailbox.leave();
        self.shared.watcher_left(std::mem::take(&mut self.path), self.kind);
    }
}

/// A one-shot watch that goes with data, an existence or a list of children that was read: one event tells that it is no
/// longer true. Await it, or use it as a stream of at most one event. What happened while no server held the session is
/// told after the reconnect. `None`: the session ended first.
#[derive(Debug)]
#[must_use = "dropping it takes the watch away"]
pub struct WatchOnce {
    seat: Option<Seat>,
}

impl WatchOnce {
    pub(crate) fn new(seat: Seat) -> WatchOnce {
        WatchOnce { seat: Some(seat) }
    }
}

impl Future for WatchOnce {
    type Output = Option<WatchEvent>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(seat) = &self.seat else { return Poll::Ready(None) };
        let result = match seat.mailbox.poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Notice::Event(event))) => Some(event),
            Poll::Ready(Some(Notice::Missed) | None) => None,
        };
        self.seat = None;
        Poll::Ready(result)
    }
}

impl Stream for WatchOnce {
    type Item = WatchEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.poll(context)
    }
}

/// A persistent watch: a stream of notices that ends with the session. It is set again after every reconnect.
#[derive(Debug)]
#[must_use = "dropping it takes the watch away"]
pub struct Watcher {
    seat: Seat,
}

impl Watcher {
    pub(crate) fn new(seat: Seat) -> Watcher {
        Watcher { seat }
    }

    /// The next notice; `None` when the session has ended.
    pub async fn next(&mut self) -> Option<Notice> {
        std::future::poll_fn(|context| self.seat.mailbox.poll_next(context)).await
    }
}

impl Stream for Watcher {
    type Item = Notice;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.seat.mailbox.poll_next(context)
    }
}
