//! What handles, calls and watchers share with the driver: the queue of requests, and the session as it was last seen.

use crate::address::Chroot;
use crate::aio::call::Slot;
use crate::aio::error::Error;
use crate::aio::mailbox::Mailbox;
use crate::aio::watcher::{Kind, Notice};
use crate::effect::SessionState;
use ostler_model::SessionId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// States kept for one listener that does not take them; the oldest are left out, because the newest is what is true.
pub(crate) const STATES_MAX: usize = 64;
/// Abandoned requests in the queue, before it is looked through for them.
const ABANDONED_MAX: usize = 1_000;

/// Something for the session to do, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Ask { slot: Arc<Slot>, watch: Option<Registration> },
    Auth { slot: Arc<Slot>, scheme: String, auth: Vec<u8> },
    Close,
}

/// A watcher that begins when its request is answered.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// The server's path.
    pub path: String,
    pub kind: Kind,
    pub mailbox: Mailbox<Notice>,
}

#[derive(Debug)]
struct Inbox {
    items: VecDeque<Item>,
    abandoned: usize,
    /// Watchers that were dropped: path and kind.
    left: Vec<(String, Kind)>,
    closing: bool,
    ended: Option<Error>,
    session: SessionId,
    state: Option<SessionState>,
    listeners: Vec<Mailbox<SessionState>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    pub wake: Notify,
    pub chroot: Chroot,
}

impl Shared {
    pub fn new(chroot: Chroot) -> Shared {
        let inbox = Inbox {
            items: VecDeque::new(),
            abandoned: 0,
            left: Vec::new(),
            closing: false,
            ended: None,
            session: SessionId::NONE,
            state: None,
            listeners: Vec::new(),
        };
        Shared { inbox: Mutex::new(inbox), wake: Notify::new(), chroot }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("nothing panics while it holds the inbox")
    }

    /// Puts it at the end of the queue; an ended session answers at once.
    pub fn push(&self, item: Item) {
        let mut inbox = self.inbox();
        let refusal = match (&inbox.ended, inbox.closing) {
            (Some(error), _) => Some(error.clone()),
            (None, true) => Some(Error::Closed { sent: false }),
            (None, false) => None,
        };
        match refusal {
            None => {
                inbox.items.push_back(item);
                drop(inbox);
                self.wake.notify_one();
            }
            Some(error) => {
                drop(inbox);
                refuse(&item, &error);
            }
        }
    }

    pub fn pop(&self) -> Option<Item> {
        self.inbox().items.pop_front()
    }

    pub fn close(&self) {
        let mut inbox = self.inbox();
        if !inbox.closing {
            inbox.closing = true;
            inbox.items.push_back(Item::Close);
            drop(inbox);
            self.wake.notify_one();
        }
    }

    pub fn is_closing(&self) -> bool {
        self.inbox().closing
    }

    /// A request in the queue lost its caller. Now and then those are taken out, so that they need no memory.
    pub fn note_abandoned(&self) {
        let mut inbox = self.inbox();
        inbox.abandoned += 1;
        if inbox.abandoned > ABANDONED_MAX.max(inbox.items.len() / 2) {
            inbox.abandoned = 0;
            inbox.items.retain(|item| !matches!(item, Item::Ask { slot, .. } if slot.is_abandoned()));
        }
    }

    pub fn watcher_left(&self, path: String, kind: Kind) {
        let mut inbox = self.inbox();
        if inbox.ended.is_none() {
            inbox.left.push((path, kind));
            drop(inbox);
            self.wake.notify_one();
        }
    }

    pub fn take_left(&self) -> Vec<(String, Kind)> {
        std::mem::take(&mut self.inbox().left)
    }

    /// Everything that waits fails; what comes later goes on.
    pub fn fail_waiting(&self, error: &Error) {
        let mut inbox = self.inbox();
        inbox.abandoned = 0;
        // A wish to close and identities outlive a connection.
        let items = std::mem::take(&mut inbox.items).into_iter();
        let (asks, others): (Vec<_>, Vec<_>) = items.partition(|item| matches!(item, Item::Ask { .. }));
        inbox.items = others.into();
        drop(inbox);
        asks.iter().for_each(|item| refuse(item, error));
    }

    /// The session is over: all that waits fails, and all that comes.
    pub fn end(&self, error: &Error) {
        let mut inbox = self.inbox();
        inbox.ended = Some(error.clone());
        inbox.left = Vec::new();
        let items = std::mem::take(&mut inbox.items);
        let listeners = std::mem::take(&mut inbox.listeners);
        drop(inbox);
        items.iter().for_each(|item| refuse(item, error));
        listeners.iter().for_each(Mailbox::end);
    }

    pub fn session(&self) -> SessionId {
        self.inbox().session
    }

    pub fn state(&self) -> Option<SessionState> {
        self.inbox().state.clone()
    }

    pub fn publish(&self, state: &SessionState) {
        let mut inbox = self.inbox();
        if let SessionState::Connected { session, .. } = state {
            inbox.session = *session;
        }
        inbox.state = Some(state.clone());
        inbox.listeners.retain(|listener| !listener.is_deaf());
        for listener in &inbox.listeners {
            listener.push(state.clone(), |states| drop(states.pop_front()));
        }
    }

    /// A listener to the session's states, which begins with the present one.
    pub fn listen(&self) -> Mailbox<SessionState> {
        let mut inbox = self.inbox();
        let listener = Mailbox::new(STATES_MAX);
        if let Some(state) = &inbox.state {
            listener.push(state.clone(), |_| ());
        }
        if inbox.ended.is_some() {
            listener.end();
        } else {
            inbox.listeners.retain(|listener| !listener.is_deaf());
            inbox.listeners.push(listener.clone());
        }
        listener
    }
}

fn refuse(item: &Item, error: &Error) {
    match item {
        Item::Ask { slot, .. } | Item::Auth { slot, .. } => slot.finish(Err(error.clone())),
        Item::Close => (),
    }
}
