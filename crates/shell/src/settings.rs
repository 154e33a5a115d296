//! What every command takes: servers, session, identity, and the shape of output.

use crate::error::CommandError;
use crate::output::{Mode, Output, wants_colours};
use clap::{Args, ValueEnum};
use ostler_client::aio::{self, Client, Tls};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach the servers, and as whom.
#[derive(Args, Clone, Debug)]
pub struct Connection {
    /// The servers: HOST:PORT,HOST:PORT/CHROOT.
    #[arg(long, short = 'S', env = "OSTLER_SERVER", default_value = "localhost:2181", value_name = "SERVERS", help_heading = HEADING)]
    pub server: String,
    /// Session time-out, milliseconds; also how long is tried to connect.
    #[arg(long, env = "OSTLER_TIMEOUT", default_value_t = 10_000, value_name = "MS", help_heading = HEADING)]
    pub timeout: u32,
    /// Prove an identity first: SCHEME:CREDENTIALS, for example digest:user:password. May be repeated.
    #[arg(long, env = "OSTLER_AUTH", value_name = "SCHEME:AUTH", hide_env_values = true, value_parser = identity, help_heading = HEADING)]
    pub auth: Vec<Identity>,
    /// Encrypt connections and trust servers whose certificates these sign: a PEM file. Their port is the secureClientPort.
    #[arg(long, env = "OSTLER_TLS_CA", value_name = "FILE", help_heading = HEADING)]
    pub tls_ca: Option<PathBuf>,
    /// With --tls-ca: the certificate to show the servers, in PEM.
    #[arg(long, env = "OSTLER_TLS_CERT", value_name = "FILE", requires_all = ["tls_ca", "tls_key"], help_heading = HEADING)]
    pub tls_cert: Option<PathBuf>,
    /// With --tls-cert: its private key, in PEM.
    #[arg(long, env = "OSTLER_TLS_KEY", value_name = "FILE", requires = "tls_cert", help_heading = HEADING)]
    pub tls_key: Option<PathBuf>,
    /// With --tls-ca: the name that the servers' certificates have, instead of their host in --server.
    #[arg(long, env = "OSTLER_TLS_NAME", value_name = "NAME", requires = "tls_ca", help_heading = HEADING)]
    pub tls_name: Option<String>,
    /// Take a server without a quorum too: it can only be read.
    #[arg(long, help_heading = HEADING)]
    pub read_only: bool,
}

/// The shape of output.
#[derive(Args, Clone, Debug)]
pub struct Shape {
    /// One JSON value a line, for programs.
    #[arg(long, help_heading = HEADING)]
    pub json: bool,
    /// Colours; NO_COLOR is respected.
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = HEADING)]
    pub color: Color,
}

/// The heading of these options in help.
const HEADING: &str = "Connection and output";

/// A scheme and its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// `digest`, for example.
    pub scheme: String,
    /// `user:password`, for example.
    pub auth: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:...", self.scheme)
    }
}

fn identity(text: &str) -> Result<Identity, String> {
    let (scheme, auth) =
        text.split_once(':').ok_or("it has no scheme; hint: write SCHEME:AUTH, for example digest:user:password")?;
    Ok(Identity { scheme: scheme.into(), auth: auth.into() })
}

/// When to use colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Color {
    /// On terminals, unless NO_COLOR says no.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Connection {
    /// Usual settings, without TLS and identities.
    pub fn plain(server: &str) -> Connection {
        Connection {
            server: server.into(),
            timeout: 10_000,
            auth: Vec::new(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            tls_name: None,
            read_only: false,
        }
    }

    /// Another connection string, the rest as before.
    pub fn at(&self, server: &str) -> Connection {
        Connection { server: server.into(), ..self.clone() }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// No server takes it.
    pub async fn open(&self) -> Result<Client, CommandError> {
        let timeout = Duration::from_millis(u64::from(self.timeout));
        let mut builder = Client::builder(&self.server)
            .session_timeout(timeout)
            .connect_timeout(timeout)
            .read_only_allowed(self.read_only);
        for Identity { scheme, auth } in &self.auth {
            builder = builder.auth(scheme, auth.as_bytes());
        }
        if let Some(authorities) = &self.tls_ca {
            let mut tls = Tls::files(authorities, self.tls_cert.as_ref().zip(self.tls_key.as_ref()))?;
            if let Some(name) = &self.tls_name {
                tls = tls.server_name(name)?;
            }
            builder = builder.tls(tls);
        }
        builder.connect().await.map_err(|error| match error {
            aio::Error::NotConnected { waited, last } => {
                CommandError::Client(aio::Error::NotConnected { waited, last: format!("{}: {last}", self.server) })
            }
            other => other.into(),
        })
    }
}

impl Shape {
    /// The process's streams in this shape.
    pub fn output(&self) -> Output {
        let choice = match self.color {
            Color::Auto => None,
            Color::Always => Some(true),
            Color::Never => Some(false),
        };
        let mode = if self.json { Mode::Json } else { Mode::People };
        let colours = !self.json && wants_colours(choice, std::io::stdout().is_terminal());
        Output::standard(mode, colours)
    }
}
