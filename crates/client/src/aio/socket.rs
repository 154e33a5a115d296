//! The one connection of the driver: dialled, open, or none.

use crate::address::Host;
use crate::aio::tls::Tls;
use crate::effect::LinkId;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that does not say by then what it is, is not asked any longer.
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// What the driver hears of its connection.
#[derive(Debug)]
pub(crate) enum Happening {
    Nothing,
    Connected(LinkId),
    /// This many bytes are in the buffer.
    Read(LinkId, usize),
    /// `None`: the server closed it.
    Lost(LinkId, Option<String>),
    /// Whether a server that was asked can write.
    Probed(usize, bool),
}

type Dial = Pin<Box<dyn Future<Output = Result<Stream, String>> + Send>>;

/// A connection, encrypted or not.
pub(crate) trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Both for S {}

type Stream = Box<dyn Both>;

#[derive(Default)]
pub(crate) enum Socket {
    #[default]
    None,
    Dialling(LinkId, Dial),
    Open(Open),
}

pub(crate) struct Open {
    link: LinkId,
    stream: Stream,
    output: Vec<u8>,
    /// Bytes of `output` that are written.
    written: usize,
    /// What was written may still be on this side: TLS makes records of it.
    is_flushed: bool,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Socket::None => write!(f, "None"),
            Socket::Dialling(link, _) => write!(f, "Dialling({link:?})"),
            Socket::Open(open) => write!(f, "Open({:?})", open.link),
        }
    }
}

impl Socket {
    /// Begins to connect, with names resolved anew.
    pub fn dial(&mut self, link: LinkId, host: Host, tls: Option<Tls>) {
        *self = Socket::Dialling(link, Box::pin(connect(host, tls)));
    }

    pub fn send(&mut self, to: LinkId, mut bytes: Vec<u8>) {
        if let Socket::Open(open) = self
            && open.link == to
        {
            if open.written == open.output.len() {
                open.output = bytes;
                open.written = 0;
            } else {
                open.output.append(&mut bytes);
            }
        }
    }

    pub fn close(&mut self, which: LinkId) {
        if matches!(self, Socket::Dialling(link, _) | Socket::Open(Open { link, .. }) if *link == which) {
            *self = Socket::None;
        }
    }

    pub fn unwritten(&self) -> usize {
        match self {
            Socket::Open(open) => open.output.len() - open.written,
            Socket::None | Socket::Dialling(..) => 0,
        }
    }

    /// Moves bytes until something happens. Safe to drop before: nothing is lost.
    pub async fn next(&mut self, buffer: &mut [u8]) -> Happening {
        match self {
            Socket::None => std::future::pending().await,
            Socket::Dialling(link, dial) => {
                let link = *link;
                match dial.as_mut().await {
                    Ok(stream) => {
                        *self = Socket::Open(Open { link, stream, output: Vec::new(), written: 0, is_flushed: true });
                        Happening::Connected(link)
                    }
                    Err(why) => self.lost(link, Some(why)),
                }
            }
            Socket::Open(open) => {
                let link = open.link;
                match open.exchange(buffer).await {
                    Ok(Some(0)) => self.lost(link, None),
                    Ok(Some(bytes)) => Happening::Read(link, bytes),
                    Ok(None) => Happening::Nothing,
                    Err(error) => self.lost(link, Some(error.to_string())),
                }
            }
        }
    }

    fn lost(&mut self, link: LinkId, why: Option<String>) -> Happening {
        *self = Socket::None;
        Happening::Lost(link, why)
    }
}

impl Open {
    /// Reads (`Some`) or writes (`None`), whatever can be done first: a server that waits for this side to read must not
    /// keep it from reading.
    async fn exchange(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        std::future::poll_fn(|context| self.poll_exchange(context, buffer)).await
    }

    fn poll_exchange(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let Open { stream, output, written, is_flushed, .. } = self;
        let mut read = ReadBuf::new(buffer);
        if let Poll::Ready(result) = Pin::new(&mut *stream).poll_read(context, &mut read) {
            return Poll::Ready(result.map(|()| Some(read.filled().len())));
        }
        if *written < output.len()
            && let Poll::Ready(bytes) = Pin::new(&mut *stream).poll_write(context, &output[*written..])
        {
            *written += bytes?;
            *is_flushed = false;
            return Poll::Ready(Ok(None));
        }
        if !*is_flushed && let Poll::Ready(result) = Pin::new(&mut *stream).poll_flush(context) {
            result?;
            *is_flushed = true;
        }
        Poll::Pending
    }
}

/// The question to another server what it is, over a connection of its own.
#[derive(Default)]
pub(crate) struct Probe(Option<(usize, Asking)>);

type Asking = Pin<Box<dyn Future<Output = bool> + Send>>;

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({:?})", self.0.as_ref().map(|(server, _)| server))
    }
}

impl Probe {
    pub fn begin(&mut self, server: usize, host: Host, tls: Option<Tls>) {
        self.0 = Some((server, Box::pin(can_write(host, tls))));
    }

    /// Waits for the answer. Safe to drop before: nothing is lost.
    pub async fn next(&mut self) -> Happening {
        let Some((server, asking)) = &mut self.0 else { return std::future::pending().await };
        let happening = Happening::Probed(*server, asking.as_mut().await);
        self.0 = None;
        happening
    }
}

async fn can_write(host: Host, tls: Option<Tls>) -> bool {
    let ask = async {
        let mut stream = connect(host, tls).await.ok()?;
        stream.write_all(b"isro").await.ok()?;
        stream.flush().await.ok()?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.ok()?;
        Some(&answer == b"rw")
    };
    timeout(PROBE_TIME_MAX, ask).await.ok().flatten().unwrap_or(false)
}

/// Connects and, if it is wanted, makes it a TLS connection.
async fn connect(host: Host, tls: Option<Tls>) -> Result<Stream, String> {
    let Host { name, port } = host.clone();
    let stream = connect_tcp(host).await?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    match tls.connect(&name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(why) => Err(format!("{name}:{port}: {why}")),
    }
}

/// Resolves the name and tries its addresses, beginning anywhere, so that clients of one name spread over its servers.
async fn connect_tcp(host: Host) -> Result<TcpStream, String> {
    let Host { name, port } = host;
    let failed = |error: io::Error| format!("cannot connect to {name}:{port}: {error}");
    let mut addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), port)).await.map_err(failed)?.collect();
    let first = RandomState::new().hash_one(port) as usize % addresses.len().max(1);
    addresses.rotate_left(first);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}
