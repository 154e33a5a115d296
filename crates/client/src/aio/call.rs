//! One request on its way: the future that a call returns, and the slot it shares with the driver.

use crate::address::Chroot;
use crate::aio::error::Error;
use crate::aio::shared::Shared;
use crate::calls::Answer;
use crate::prepared::Prepared;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// Where a request is.
#[derive(Debug)]
enum Stage {
    /// In the queue; its bytes belong to the caller's future.
    Waiting(Prepared),
    /// The session has it.
    Taken,
    Done(Result<Answer, Error>),
    /// Nobody wants the answer.
    Abandoned,
}

/// Shared by the future and the driver.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Mutex<(Stage, Option<Waker>)>,
    /// What was asked about, as the caller named it.
    path: Box<str>,
}

impl Slot {
    pub(crate) fn new(request: Prepared, path: &str) -> Slot {
        Slot { state: Mutex::new((Stage::Waiting(request), None)), path: path.into() }
    }

    /// For what the session encodes itself.
    pub(crate) fn taken() -> Slot {
        Slot { state: Mutex::new((Stage::Taken, None)), path: "".into() }
    }

    fn lock(&self) -> MutexGuard<'_, (Stage, Option<Waker>)> {
        self.state.lock().expect("nothing panics while it holds a slot")
    }

    /// The request, for the session. `None`: the caller does not want it any more.
    pub(crate) fn take(&self) -> Option<Prepared> {
        let stage = &mut self.lock().0;
        match std::mem::replace(stage, Stage::Taken) {
            Stage::Waiting(request) => Some(request),
            other => {
                *stage = other;
                None
            }
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self.lock().0, Stage::Abandoned)
    }

    pub(crate) fn finish(&self, result: Result<Answer, Error>) {
        let mut slot = self.lock();
        if matches!(slot.0, Stage::Abandoned) {
            return;
        }
        slot.0 = Stage::Done(result);
        let waker = slot.1.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<Answer, Error>> {
        let mut slot = self.lock();
        match std::mem::replace(&mut slot.0, Stage::Taken) {
            Stage::Done(result) => {
                slot.0 = Stage::Abandoned;
                Poll::Ready(result)
            }
            other => {
                slot.0 = other;
                slot.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// True if it was still in the queue: it will not be sent.
    fn abandon(&self) -> bool {
        matches!(std::mem::replace(&mut self.lock().0, Stage::Abandoned), Stage::Waiting(_))
    }
}

/// What a reply is understood with: the path that the caller named, and the chroot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub path: &'a str,
    pub chroot: &'a Chroot,
}

/// Closures that carry nothing need no memory here; what they have to know is in [`Asked`].
type Decode<T> = Box<dyn FnOnce(Answer, Asked<'_>) -> Result<T, Error> + Send>;

/// A call under way. It was made when the method was called, not when this is first awaited: calls of all clones of a
/// [`Client`](crate::aio::Client) take effect in the order of the method calls.
///
/// Dropping it before it is ready gives up the answer. What was asked may have happened or not, as after the loss of a
/// connection; if it was still waiting for its turn it is not sent.
#[must_use = "dropping it may recall the request"]
pub struct Call<T> {
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    decode: Option<Decode<T>>,
}

impl<T> Call<T> {
    pub(crate) fn new(
        slot: Arc<Slot>,
        shared: Arc<Shared>,
        decode: impl FnOnce(Answer, Asked<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Call<T> {
        Call { slot, shared, decode: Some(Box::new(decode)) }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match self.slot.poll(context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return Poll::Pending,
        };
        let decode = self.decode.take().expect("a future is not polled again after it was ready");
        let asked = Asked { path: &self.slot.path, chroot: &self.shared.chroot };
        Poll::Ready(answer.and_then(|answer| decode(answer, asked)))
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if self.slot.abandon() {
            self.shared.note_abandoned();
        }
    }
}
