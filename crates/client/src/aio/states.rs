//! The states of a session as a stream.

use crate::aio::mailbox::Mailbox;
use crate::effect::SessionState;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream of the session's states, each loss and failed attempt with its cause in words. It begins with the present
/// state and ends with the session. If it is not read, the oldest states are left out.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// use ostler_client::aio::{Client, SessionState};
/// let client = Client::connect(&server.address()).await?;
/// let mut states = client.states();
/// assert!(matches!(states.next().await, Some(SessionState::Connected { again: false, .. })));
/// server.door().cut();
/// let Some(SessionState::Suspended(cause)) = states.next().await else { panic!("it was cut") };
/// assert_eq!(cause.to_string(), "the server closed the connection");
/// assert!(matches!(states.next().await, Some(SessionState::Connected { again: true, .. })));
/// server.expire(client.session_id());
/// while states.next().await != Some(SessionState::Expired) {}
/// assert_eq!(states.next().await, None);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct States {
    mailbox: Mailbox<SessionState>,
}

impl States {
    pub(crate) fn new(mailbox: Mailbox<SessionState>) -> States {
        States { mailbox }
    }

    /// The next state; `None` behind the last one.
    pub async fn next(&mut self) -> Option<SessionState> {
        std::future::poll_fn(|context| self.mailbox.poll_next(context)).await
    }
}

impl Stream for States {
    type Item = SessionState;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SessionState>> {
        self.mailbox.poll_next(context)
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.mailbox.leave();
    }
}
