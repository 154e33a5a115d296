//! Session churn: connections that come, shake hands, create an ephemeral node, close their session and go. An operation
//! is all of that; its latency counts from when it was due or begun until the server has closed the session.

use crate::args::Args;
use crate::error::BenchError;
use crate::frames::{data, own_path};
use crate::kind::Kind;
use crate::meter::Meter;
use crate::traffic::{Traffic, greeting, is_welcome, register};
use mio::Registry;
use mio::net::TcpStream;
use ostler_client::CreateMode;
use ostler_model::{Request, open_acl};
use ostler_wire::client::ReplyHeader;
use ostler_wire::peer;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};

pub(crate) struct Visitors {
    registry: Registry,
    addresses: Vec<SocketAddr>,
    visitors: Vec<Visitor>,
    /// Visitors that are at home.
    idle: Vec<usize>,
    /// Visits that are due and wait for one.
    overdue_ns: VecDeque<u64>,
    begun: u64,
}

/// One place for a connection at a time.
struct Visitor {
    visit: Option<Visit>,
    /// The ephemeral node and the goodbye, encoded once.
    requests: Vec<u8>,
}

struct Visit {
    stream: TcpStream,
    since_ns: u64,
    output: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    /// Frames that the server has sent: the welcome and two replies.
    answers: usize,
}

impl Visitors {
    pub(crate) fn new(args: &Args, registry: &Registry) -> Result<Visitors, BenchError> {
        let mut addresses = Vec::new();
        for address in args.address.split(',') {
            let failed = |source| BenchError::Connect { address: address.into(), source };
            let none = || std::io::Error::other("the name has no address");
            addresses.push(address.to_socket_addrs().and_then(|mut all| all.next().ok_or_else(none)).map_err(failed)?);
        }
        let (data, acl) = (data(args.size), open_acl());
        let visitor = |number| {
            let mut requests = Vec::new();
            let path = own_path(&args.root, number, 0);
            let create = CreateMode::Ephemeral.request(&path, &data, &acl);
            peer::encode_request(&mut requests, 1, &Request::Create(create));
            peer::encode_request(&mut requests, 2, &Request::CloseSession);
            Visitor { visit: None, requests }
        };
        Ok(Visitors {
            registry: registry.try_clone().map_err(BenchError::System)?,
            addresses,
            visitors: (0..args.clients).map(visitor).collect(),
            idle: (0..args.clients).rev().collect(),
            overdue_ns: VecDeque::new(),
            begun: 0,
        })
    }

    /// Sends visitors off while there is something to do.
    fn go(&mut self, meter: &Meter) -> Result<(), BenchError> {
        while let Some(&number) = self.idle.last() {
            let now = || meter.refills.then(|| meter.now_ns());
            let Some(since_ns) = self.overdue_ns.pop_front().or_else(now) else { return Ok(()) };
            self.idle.pop();
            let address = self.addresses[(self.begun % self.addresses.len() as u64) as usize];
            self.begun += 1;
            let failed = |source| BenchError::Connect { address: address.to_string(), source };
            let mut stream = TcpStream::connect(address).map_err(failed)?;
            register(&self.registry, &mut stream, number)?;
            let visitor = &mut self.visitors[number];
            visitor.visit =
                Some(Visit { stream, since_ns, output: greeting(), written: 0, input: Vec::new(), answers: 0 });
        }
        Ok(())
    }
}

impl Visit {
    fn flush(&mut self) -> Result<(), BenchError> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                // Not connected yet: the edge comes.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(BenchError::Lost(error)),
            }
        }
        Ok(())
    }

    /// Reads what there is; true when everything is answered.
    fn read(&mut self, buffer: &mut [u8], requests: &[u8]) -> Result<bool, BenchError> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) if self.answers == 0 => return Err(BenchError::NoSession),
                Ok(0) => return Err(BenchError::Closed),
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(BenchError::Lost(error)),
            }
            while let Some(frame) = take_frame(&mut self.input) {
                self.answers += 1;
                if self.answers == 1 {
                    if !is_welcome(&frame) {
                        return Err(BenchError::NoSession);
                    }
                    self.output.extend_from_slice(requests);
                    continue;
                }
                match ReplyHeader::split(&frame) {
                    Ok((header, _)) if header.err == 0 => (),
                    Ok((header, _)) => return Err(BenchError::Refused(header.err)),
                    Err(_) => return Err(BenchError::Malformed(frame.len() as i32)),
                }
                if self.answers == 3 {
                    return Ok(true);
                }
            }
            self.flush()?;
        }
    }
}

fn take_frame(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*input.first_chunk::<4>()?) as usize;
    let frame = input.get(4..)?.get(..length)?.to_vec();
    input.drain(..4 + length);
    Some(frame)
}

impl Traffic for Visitors {
    fn begin(&mut self, meter: &mut Meter) -> Result<(), BenchError> {
        self.go(meter)
    }

    fn due(&mut self, _: u64, due_ns: u64, meter: &mut Meter) -> Result<(), BenchError> {
        self.overdue_ns.push_back(due_ns);
        self.go(meter)
    }

    fn ready(
        &mut self,
        number: usize,
        is_readable: bool,
        buffer: &mut [u8],
        meter: &mut Meter,
    ) -> Result<(), BenchError> {
        let Visitor { visit, requests } = &mut self.visitors[number];
        // An edge of a connection that is gone.
        let Some(current) = visit else { return Ok(()) };
        if let Some(error) = current.stream.take_error().map_err(BenchError::System)? {
            return Err(BenchError::Lost(error));
        }
        current.flush()?;
        if !is_readable || !current.read(buffer, requests)? {
            return Ok(());
        }
        meter.done(current.since_ns, meter.now_ns(), Kind::Create);
        *visit = None;
        self.idle.push(number);
        self.go(meter)
    }

    fn ping(&mut self) -> Result<(), BenchError> {
        Ok(())
    }

    fn unanswered(&self) -> usize {
        self.visitors.len() - self.idle.len() + self.overdue_ns.len()
    }
}
