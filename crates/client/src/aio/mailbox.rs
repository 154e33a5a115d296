//! A bounded queue from the driver to one consumer that never makes the driver wait: when it is full, something known and
//! told happens (an old state is left out, events become one [`crate::aio::Notice::Missed`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    waker: Option<Waker>,
    /// Nothing more comes.
    ended: bool,
    /// Nobody listens.
    deaf: bool,
}

/// Both ends of the queue.
#[derive(Debug)]
pub struct Mailbox<T> {
    state: Arc<Mutex<State<T>>>,
    most: usize,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox { state: Arc::clone(&self.state), most: self.most }
    }
}

impl<T> Mailbox<T> {
    pub fn new(most: usize) -> Mailbox<T> {
        let state = State { items: VecDeque::new(), waker: None, ended: false, deaf: false };
        Mailbox { state: Arc::new(Mutex::new(state)), most }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nothing panics while it holds a mailbox")
    }

    /// Puts an item in. `full` sees the items when there is no room for it and has to make some.
    pub fn push(&self, item: T, full: impl FnOnce(&mut VecDeque<T>)) {
        let mut state = self.state();
        if state.ended || state.deaf {
            return;
        }
        if state.items.len() >= self.most {
            full(&mut state.items);
        }
        state.items.push_back(item);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nothing more comes; what is there can still be taken.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nobody listens any more.
    pub fn leave(&self) {
        let mut state = self.state();
        state.deaf = true;
        state.items = VecDeque::new();
    }

    pub fn is_deaf(&self) -> bool {
        self.state().deaf
    }

    /// The next item; `None` at the end.
    pub fn poll_next(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.state();
        match state.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(mailbox: &Mailbox<u32>) -> Poll<Option<u32>> {
        mailbox.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_one_makes_room_as_it_is_told() {
        let mailbox = Mailbox::new(2);
        for item in 0..4 {
            mailbox.push(item, |items| _ = items.pop_front());
        }
        mailbox.end();
        mailbox.push(9, |_| ());
        assert_eq!([take(&mailbox), take(&mailbox), take(&mailbox)], [Some(2), Some(3), None].map(Poll::Ready));
    }

    #[test]
    fn nothing_is_kept_for_one_who_left() {
        let mailbox = Mailbox::new(2);
        mailbox.push(1, |_| ());
        mailbox.clone().leave();
        mailbox.push(2, |_| ());
        assert!(mailbox.is_deaf());
        assert_eq!(take(&mailbox), Poll::Pending);
    }
}
