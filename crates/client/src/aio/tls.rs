//! TLS to servers that have a `secureClientPort`: whom to trust, and who this client is, in PEM.

use crate::aio::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// How connections are encrypted; see [`Builder::tls`](crate::aio::Builder::tls). TLS 1.2 and 1.3. The server must prove that
/// it is the host of the connection string, by a name or an address in its certificate.
///
/// ```no_run
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use ostler_client::aio::{Client, Tls};
/// let tls = Tls::files("ca.pem", Some(("client.pem", "client.key")))?;
/// let client = Client::builder("zk1:2281,zk2:2281").tls(tls).connect().await?;
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the certificates of a PEM file; shows the servers, if they ask for it, a certificate (with those that sign it) and
    /// proves it with a key, each in a PEM file.
    ///
    /// # Errors
    /// [`Error::Tls`]: a file cannot be read or is no PEM, or the key does not belong to the certificate.
    pub fn files(
        authorities: impl AsRef<Path>,
        identity: Option<(impl AsRef<Path>, impl AsRef<Path>)>,
    ) -> Result<Tls, Error> {
        let read = |file: &Path| std::fs::read(file).map_err(|error| wrong(&file.display().to_string(), error));
        let authorities = read(authorities.as_ref())?;
        let Some((certificate, key)) = identity else { return Tls::pem(&authorities, None) };
        let (certificate, key) = (read(certificate.as_ref())?, read(key.as_ref())?);
        Tls::pem(&authorities, Some((&certificate, &key)))
    }

    /// The same from memory.
    ///
    /// # Errors
    /// [`Error::Tls`]: something is no PEM, or the key does not belong to the certificate.
    pub fn pem(authorities: &[u8], identity: Option<(&[u8], &[u8])>) -> Result<Tls, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("the trusted certificates", authorities)? {
            roots.add(certificate).map_err(|error| wrong("the trusted certificates", error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS", error))?
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificates = certificates("the client's certificate", certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("the client's key", error))?;
                config
                    .with_client_auth_cert(certificates, key)
                    .map_err(|error| wrong("the client's certificate and key", error))?
            }
        };
        Ok(Tls { config: Arc::new(config), name: None })
    }

    /// The name that every server's certificate must have, instead of its host of the connection string.
    ///
    /// # Errors
    /// [`Error::Tls`]: it is neither a DNS name nor an address.
    pub fn server_name(mut self, name: &str) -> Result<Tls, Error> {
        self.name = Some(server_name(name)?);
        Ok(self)
    }

    /// Shakes hands over a connection to this host.
    pub(crate) async fn connect<S>(&self, host: &str, stream: S) -> Result<tokio_rustls::client::TlsStream<S>, String>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(|error| error.to_string())?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await.map_err(|error| format!("the TLS handshake failed: {error}"))
    }
}

fn wrong(what: &str, error: impl fmt::Display) -> Error {
    Error::Tls { what: what.to_owned(), why: error.to_string() }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(wrong(what, "there is none")),
        Ok(all) => Ok(all),
        Err(error) => Err(wrong(what, error)),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned()).map_err(|error| wrong(&format!("the server's name {name:?}"), error))
}
