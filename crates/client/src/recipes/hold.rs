//! How sure a holder can be that it still holds: told at once when the connection is lost, when the session is over, and
//! when somebody deletes the znode.

use crate::aio::{Call, Client, Error, EventType, SessionState, Stat, States, WatchEvent, WatchOnce};
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How sure a holder of a lock, a lease or a leadership can be.
///
/// The servers end a session when they have heard nothing of it for its time-out; the client calls it unsure when it has
/// heard nothing for two thirds of that. A holder that stops at [`Hold::Unsure`] within the last third is done before
/// another one can hold, as long as its process is not paused and its clock does not run slow. Where that is not enough,
/// and it is not enough for what must never happen twice, the resource has to refuse old fencing tokens.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::{Hold, Lock};
/// let guard = Lock::new(&client, "/lock").acquire().await?;
/// let mut holds = guard.holds();
/// assert_eq!(holds.next().await, Some(Hold::Sure));
/// server.door().cut();
/// assert_eq!(holds.next().await, Some(Hold::Unsure));
/// assert_eq!(holds.next().await, Some(Hold::Sure));
/// server.expire(client.session_id());
/// while holds.next().await != Some(Hold::Lost) {}
/// assert_eq!(holds.next().await, None);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// A server holds the session, and nobody has deleted the znode.
    Sure,
    /// The connection is lost. The session may be over at the servers, and another may hold: stop, or rely on the
    /// fencing token. It is [`Hold::Sure`] again when a server takes the session back.
    Unsure,
    /// The session is over or the znode is gone: another may hold. Final.
    Lost,
}

/// A stream of [`Hold`]s: begins with the present one, tells each change, ends behind [`Hold::Lost`].
///
/// It has an example at [`Hold`]. Dropping it takes its watch away; what is held is not touched.
#[derive(Debug)]
pub struct Holds {
    client: Client,
    path: String,
    states: States,
    look: Look,
    told: Option<Hold>,
}

/// Whether the znode is there.
#[derive(Debug)]
enum Look {
    No,
    Asked(Call<(Option<Stat>, WatchOnce)>),
    Watched(WatchOnce),
}

impl Holds {
    pub(crate) fn new(client: &Client, path: &str) -> Holds {
        let states = client.states();
        Holds { client: client.clone(), path: path.to_owned(), states, look: Look::No, told: None }
    }

    /// The next change; `None` behind [`Hold::Lost`].
    pub async fn next(&mut self) -> Option<Hold> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Hold>> {
        if self.told == Some(Hold::Lost) {
            return Poll::Ready(None);
        }
        while let Poll::Ready(state) = Pin::new(&mut self.states).poll_next(context) {
            let hold = match state {
                Some(SessionState::Connected { .. }) => Hold::Sure,
                Some(SessionState::Suspended(_)) => Hold::Unsure,
                Some(SessionState::Expired | SessionState::AuthFailed | SessionState::Closed) | None => Hold::Lost,
            };
            if let Some(hold) = self.tell(hold) {
                return Poll::Ready(Some(hold));
            }
        }
        self.poll_znode(context)
    }

    fn poll_znode(&mut self, context: &mut Context<'_>) -> Poll<Option<Hold>> {
        loop {
            match &mut self.look {
                Look::No => self.look = Look::Asked(self.client.exists_and_watch(&self.path)),
                Look::Asked(call) => match Pin::new(call).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok((Some(_), watch))) => self.look = Look::Watched(watch),
                    Poll::Ready(Ok((None, _))) => return Poll::Ready(self.tell(Hold::Lost)),
                    // The call waits by itself while there is no connection; an end of the session is told as a state.
                    Poll::Ready(Err(error)) if error.is_transient() => self.look = Look::No,
                    Poll::Ready(Err(Error::Server { .. })) => return Poll::Ready(self.tell(Hold::Lost)),
                    Poll::Ready(Err(_)) => return Poll::Pending,
                },
                Look::Watched(watch) => match Pin::new(watch).poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(WatchEvent { kind: EventType::NodeDeleted, .. })) => {
                        return Poll::Ready(self.tell(Hold::Lost));
                    }
                    Poll::Ready(Some(_)) => self.look = Look::No,
                    // The session is over, as its states tell.
                    Poll::Ready(None) => return Poll::Pending,
                },
            }
        }
    }

    fn tell(&mut self, hold: Hold) -> Option<Hold> {
        (self.told.replace(hold) != Some(hold)).then_some(hold)
    }
}

/// What can be said without waiting.
pub(crate) fn hold_now(client: &Client) -> Hold {
    match client.state() {
        Some(SessionState::Connected { .. }) => Hold::Sure,
        Some(SessionState::Suspended(_)) => Hold::Unsure,
        Some(SessionState::Expired | SessionState::AuthFailed | SessionState::Closed) | None => Hold::Lost,
    }
}
