//! Why a call failed, what that means for what was asked, and what to do.

use crate::address::AddressError;
use crate::effect::{Cause, RequestError};
use crate::texts;
use ostler_model::{ErrorCode, OpCode};
use std::time::Duration;

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection string is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Certificates, keys or names for TLS that cannot be used.
    #[error(
        "TLS: {what}: {why}\nhint: certificates and keys are PEM: -----BEGIN CERTIFICATE-----, -----BEGIN PRIVATE KEY-----"
    )]
    Tls {
        /// What, with its file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No server took the session in time.
    #[error("{}", texts::not_connected(*.waited, .last))]
    NotConnected {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt met, in words.
        last: String,
    },
    /// The connection was lost before the answer came. The session goes on with another server.
    #[error("{}", texts::loss(*.sent, .why))]
    ConnectionLoss {
        /// True if the request may have reached a server.
        sent: bool,
        /// Why the connection was lost.
        why: Cause,
    },
    /// The servers do not know the session any more; its ephemerals are gone.
    #[error("{}", texts::EXPIRED)]
    SessionExpired,
    /// The server refused the identity of an auth packet, which ends the session.
    #[error("{}", texts::AUTH_FAILED)]
    AuthFailed {
        /// True if the request may have reached a server before.
        sent: bool,
    },
    /// The session was closed by this client.
    #[error("the session is closed\nhint: open a new one")]
    Closed {
        /// True if the request may have reached a server before.
        sent: bool,
    },
    /// The server has no quorum and can only be read.
    #[error("{}", texts::READ_ONLY)]
    ReadOnly,
    /// The request is larger than servers take (`jute.maxbuffer`); it was not sent.
    #[error(
        "a request of {bytes} bytes, at most {bytes_max} are taken\nhint: znodes are for small data; or raise jute.maxbuffer of the servers and request_bytes_max of this client"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The client's limit.
        bytes_max: usize,
    },
    /// The server refused it.
    #[error("{op:?} of {path:?}: the server answered with error {err} ({})", name(*.err))]
    Server {
        /// What was asked.
        op: OpCode,
        /// Of which znode; empty for what has none.
        path: String,
        /// The server's error code.
        err: i32,
    },
    /// One operation of a multi was refused, so that nothing of it happened.
    #[error("operation {index} of a multi: the server answered with error {err} ({}); nothing was changed", name(*.err))]
    Multi {
        /// Which one, from 0.
        index: usize,
        /// The server's error code.
        err: i32,
    },
    /// The server's reply could not be understood. What was asked has happened all the same.
    #[error("the server's reply to {op:?} is malformed: {why}")]
    Malformed {
        /// What was asked.
        op: OpCode,
        /// What is wrong with it.
        why: String,
    },
}

fn name(err: i32) -> &'static str {
    ErrorCode::from_i32(err).map_or("unknown", ErrorCode::name)
}

impl Error {
    /// The server's error code, if it is one.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// use ostler_client::aio::{Client, ErrorCode};
    /// let client = Client::connect(&server.address()).await?;
    /// let error = client.get_data("/nothing").await.unwrap_err();
    /// assert_eq!(error.code(), Some(ErrorCode::NoNode));
    /// assert!(!error.may_have_happened());
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Server { err, .. } | Error::Multi { err, .. } => ErrorCode::from_i32(*err),
            _ => None,
        }
    }

    /// True if what was asked may have taken effect in spite of the error. A write is then to be checked by reading before
    /// it is repeated.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Error::ConnectionLoss { sent, .. } | Error::AuthFailed { sent } | Error::Closed { sent } => *sent,
            Error::Malformed { .. } => true,
            Error::Server { .. } => {
                matches!(self.code(), Some(ErrorCode::RequestTimeout | ErrorCode::OperationTimeout))
            }
            Error::Address(_)
            | Error::Tls { .. }
            | Error::NotConnected { .. }
            | Error::SessionExpired
            | Error::ReadOnly
            | Error::TooLarge { .. }
            | Error::Multi { .. } => false,
        }
    }

    /// True if the same call of the same session may succeed later. Whether it may be repeated is another question: see
    /// [`Error::may_have_happened`].
    pub fn is_transient(&self) -> bool {
        match self {
            Error::ConnectionLoss { .. } | Error::ReadOnly => true,
            _ => matches!(
                self.code(),
                Some(ErrorCode::ThrottledOp | ErrorCode::RequestTimeout | ErrorCode::OperationTimeout)
            ),
        }
    }

    /// True if the session is over and a new one has to be opened.
    pub fn is_final(&self) -> bool {
        matches!(self, Error::SessionExpired | Error::AuthFailed { .. } | Error::Closed { .. })
    }

    /// `sent`: it was handed to the session, which may have sent it.
    pub(crate) fn of(error: RequestError, handed_over: bool) -> Error {
        match error {
            RequestError::ConnectionLoss { sent, why } => Error::ConnectionLoss { sent, why },
            RequestError::SessionExpired => Error::SessionExpired,
            RequestError::AuthFailed => Error::AuthFailed { sent: handed_over },
            RequestError::Closed => Error::Closed { sent: handed_over },
            RequestError::ReadOnly => Error::ReadOnly,
        }
    }
}
