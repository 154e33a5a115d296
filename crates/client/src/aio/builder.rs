//! How a session is opened.

use crate::address::{ConnectString, Host};
use crate::aio::client::Client;
use crate::aio::driver::Driver;
use crate::aio::error::Error;
use crate::aio::shared::Shared;
use crate::aio::states::States;
use crate::aio::tls::Tls;
use crate::effect::{Config, SessionState};
use crate::session::Session;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// `jute.maxbuffer` of a server without settings.
const REQUEST_BYTES_MAX: usize = 0xf_ffff;

/// Settings of a session, and the way to open it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let address = server.address();
/// use ostler_client::aio::Client;
/// use std::time::Duration;
/// let client = Client::builder(&address)
///     .session_timeout(Duration::from_secs(30))
///     .connect_timeout(Duration::from_secs(5))
///     .auth("digest", b"user:secret")
///     .connect()
///     .await?;
/// assert!(client.who_am_i().await?.iter().any(|id| id.id == "user"));
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens before connect()"]
pub struct Builder {
    address: String,
    session_timeout: Duration,
    connect_timeout: Option<Duration>,
    read_only_allowed: bool,
    pending_max: usize,
    request_bytes_max: usize,
    reply_bytes_max: usize,
    auths: Vec<(String, Vec<u8>)>,
    tls: Option<Tls>,
}

impl Builder {
    /// Usual settings: a session time-out of 10 s, only servers with a quorum. The connection string is
    /// `host:port,host:port/chroot`; names are resolved again at each attempt, servers are tried in a random order.
    pub fn new(address: &str) -> Builder {
        Builder {
            address: address.to_owned(),
            session_timeout: Duration::from_secs(10),
            connect_timeout: None,
            read_only_allowed: false,
            pending_max: 4_096,
            request_bytes_max: REQUEST_BYTES_MAX,
            reply_bytes_max: 256 << 20,
            auths: Vec::new(),
            tls: None,
        }
    }

    /// The session time-out to ask for. The servers choose within their bounds; the granted one is in
    /// [`SessionState::Connected`].
    pub fn session_timeout(mut self, timeout: Duration) -> Builder {
        self.session_timeout = timeout;
        self
    }

    /// How long [`Builder::connect`] tries; the session time-out unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Takes a server without a quorum, too: it can only be read, and writes fail with [`Error::ReadOnly`].
    pub fn read_only_allowed(mut self, allowed: bool) -> Builder {
        self.read_only_allowed = allowed;
        self
    }

    /// Requests that wait for the server at a time; what more is called waits for its turn.
    pub fn pending_max(mut self, requests: usize) -> Builder {
        self.pending_max = requests.max(1);
        self
    }

    /// The largest request that is sent, bytes: the servers' `jute.maxbuffer`. They would close the connection at a
    /// larger one.
    pub fn request_bytes_max(mut self, bytes: usize) -> Builder {
        self.request_bytes_max = bytes;
        self
    }

    /// The largest reply that is taken, bytes. A larger one closes the connection.
    pub fn reply_bytes_max(mut self, bytes: usize) -> Builder {
        self.reply_bytes_max = bytes;
        self
    }

    /// Proves an identity at each connection, before anything else. May be called again for more. A refusal ends the
    /// session.
    pub fn auth(mut self, scheme: &str, auth: &[u8]) -> Builder {
        self.auths.push((scheme.to_owned(), auth.to_vec()));
        self
    }

    /// Encrypts every connection, and lets the servers prove who they are. Their port is then the `secureClientPort`.
    pub fn tls(mut self, tls: Tls) -> Builder {
        self.tls = Some(tls);
        self
    }

    /// Opens the session and waits until a server holds it. The task behind it runs on the present tokio runtime.
    ///
    /// # Errors
    /// The connection string is wrong, no server took the session in time, or an identity was refused.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O enabled.
    pub async fn connect(self) -> Result<Client, Error> {
        let ConnectString { hosts, chroot } = ConnectString::parse(&self.address)?;
        let wait = self.connect_timeout.unwrap_or(self.session_timeout);
        let started = Instant::now();
        let (session, shared) = (self.session(&hosts), Arc::new(Shared::new(chroot)));
        let states = States::new(shared.listen());
        tokio::spawn(Driver::new(session, started, hosts, self.tls, Arc::clone(&shared)).run());
        // From here on dropping the handle ends the task, also when this future is dropped.
        let client = Client::new(shared, self.request_bytes_max);
        let mut last = String::from("no attempt was finished");
        match tokio::time::timeout(wait, connected(states, &mut last)).await {
            Ok(result) => result.map(|()| client),
            Err(_) => Err(Error::NotConnected { waited: started.elapsed(), last }),
        }
    }

    fn session(&self, hosts: &[Host]) -> Session {
        let timeout_ms = u32::try_from(self.session_timeout.as_millis()).unwrap_or(u32::MAX);
        let mut config = Config::new(timeout_ms, hosts.len(), RandomState::new().hash_one(timeout_ms));
        config.read_only_allowed = self.read_only_allowed;
        config.pending_max = self.pending_max;
        config.reply_bytes_max = self.reply_bytes_max;
        let mut session = Session::new(0, config);
        for (scheme, auth) in &self.auths {
            session.add_auth(0, scheme, auth).expect("a new session has not ended");
        }
        session
    }
}

async fn connected(mut states: States, last: &mut String) -> Result<(), Error> {
    while let Some(state) = states.next().await {
        match state {
            SessionState::Connected { .. } => return Ok(()),
            SessionState::Suspended(cause) => *last = cause.to_string(),
            SessionState::Expired => return Err(Error::SessionExpired),
            SessionState::AuthFailed => return Err(Error::AuthFailed { sent: false }),
            SessionState::Closed => return Err(Error::Closed { sent: false }),
        }
    }
    Err(Error::Closed { sent: false })
}
