//! The handle.

use crate::address::Chroot;
use crate::aio::builder::Builder;
use crate::aio::call::{Asked, Call, Slot};
use crate::aio::error::Error;
use crate::aio::mailbox::Mailbox;
use crate::aio::shared::{Item, Registration, Shared};
use crate::aio::states::States;
use crate::aio::watcher::{Kind, NOTICES_MAX, Seat};
use crate::calls::Answer;
use crate::chroot;
use crate::effect::SessionState;
use crate::prepared::Prepared;
use ostler_model::{Request, SessionId};
use ostler_wire::peer::Reply;
use std::fmt;
use std::sync::Arc;

/// A handle to a session; see [the module](crate::aio). Clones share the session. Dropping the last one closes it.
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub shared: Arc<Shared>,
    request_bytes_max: usize,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("session", &self.session_id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, request_bytes_max: usize) -> Client {
        Client { core: Arc::new(Core { shared, request_bytes_max }) }
    }

    /// Opens a session with usual settings; [`Client::builder`] has more.
    ///
    /// # Errors
    /// As [`Builder::connect`].
    pub async fn connect(address: &str) -> Result<Client, Error> {
        Builder::new(address).connect().await
    }

    /// Settings for a session with `host:port,host:port/chroot`.
    pub fn builder(address: &str) -> Builder {
        Builder::new(address)
    }

    /// The session's id.
    pub fn session_id(&self) -> SessionId {
        self.core.shared.session()
    }

    /// The session's present state.
    pub fn state(&self) -> Option<SessionState> {
        self.core.shared.state()
    }

    /// The session's states from now on, beginning with the present one.
    pub fn states(&self) -> States {
        States::new(self.core.shared.listen())
    }

    /// Ends the session behind all calls made before: its ephemerals go. Later calls of all clones fail with
    /// [`Error::Closed`]. While no server holds the session it ends here only, and expires at the servers.
    pub async fn close(&self) {
        let mut states = self.states();
        self.core.shared.close();
        while states.next().await.is_some() {}
    }

    /// Proves an identity, now and after every reconnect. Calls made after it have it. A refusal ends the session.
    pub fn add_auth(&self, scheme: &str, auth: &[u8]) -> Call<()> {
        let slot = Arc::new(Slot::taken());
        let (scheme, auth) = (scheme.to_owned(), auth.to_vec());
        let call = Call::new(Arc::clone(&slot), Arc::clone(&self.core.shared), |answer, _| {
            if answer.raw.err == 0 { Ok(()) } else { Err(Error::AuthFailed { sent: false }) }
        });
        self.core.shared.push(Item::Auth { slot, scheme, auth });
        call
    }

    /// Sends a request; `decode` makes the result of a good reply.
    pub(crate) fn ask<T>(
        &self,
        request: &Request<'_>,
        decode: impl FnOnce(Reply<'_>, &Chroot) -> Option<T> + Send + 'static,
    ) -> Call<T> {
        self.ask_and(request, None, decode)
    }

    pub(crate) fn ask_and<T>(
        &self,
        request: &Request<'_>,
        watch: Option<Registration>,
        decode: impl FnOnce(Reply<'_>, &Chroot) -> Option<T> + Send + 'static,
    ) -> Call<T> {
        self.ask_answer(request, watch, move |answer, asked| {
            let reply = good_reply(&answer, asked.path)?;
            decode(reply, asked.chroot).ok_or_else(|| other_shape(&answer))
        })
    }

    /// The same, for who looks at the answer itself.
    pub(crate) fn ask_answer<T>(
        &self,
        request: &Request<'_>,
        watch: Option<Registration>,
        decode: impl FnOnce(Answer, Asked<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Call<T> {
        let outside = chroot::outside(&self.core.shared.chroot, request);
        self.ask_raw(&outside, chroot::first(request), watch, decode)
    }

    /// Sends a request whose paths are the server's; `path` is what messages name.
    pub(crate) fn ask_raw<T>(
        &self,
        request: &Request<'_>,
        path: &str,
        watch: Option<Registration>,
        decode: impl FnOnce(Answer, Asked<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Call<T> {
        let prepared = Prepared::new(request);
        let (bytes, bytes_max) = (prepared.bytes(), self.core.request_bytes_max);
        let slot = Arc::new(Slot::new(prepared, path));
        let call = Call::new(Arc::clone(&slot), Arc::clone(&self.core.shared), decode);
        if bytes > bytes_max {
            slot.finish(Err(Error::TooLarge { bytes, bytes_max }));
        } else {
            self.core.shared.push(Item::Ask { slot, watch });
        }
        call
    }

    /// A watch for a request about this path, and the seat of its watcher.
    pub(crate) fn registration(&self, path: &str, kind: Kind) -> (Registration, Seat) {
        let path = self.core.shared.chroot.outside(path);
        let mailbox = Mailbox::new(NOTICES_MAX);
        let seat = Seat::new(Arc::clone(&self.core.shared), path.clone(), kind, mailbox.clone());
        (Registration { path, kind, mailbox }, seat)
    }
}

/// The reply's body, or the server's refusal.
pub(crate) fn good_reply<'a>(answer: &'a Answer, path: &str) -> Result<Reply<'a>, Error> {
    match answer.raw.err {
        0 => answer.reply().map_err(|error| Error::Malformed { op: answer.op, why: format!("{error:?}") }),
        err => Err(Error::Server { op: answer.op, path: path.to_owned(), err }),
    }
}

pub(crate) fn other_shape(answer: &Answer) -> Error {
    Error::Malformed { op: answer.op, why: "it has another operation's shape".into() }
}
