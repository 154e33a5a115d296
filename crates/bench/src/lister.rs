//! A connection beside the measured ones that lists the children of a path again and again.

use crate::args::Args;
use crate::error::BenchError;
use crate::traffic::open;
use mio::net::TcpStream;
use ostler_model::Request;
use ostler_wire::peer;
use std::io::{Read, Write};

/// Length, xid, zxid and error code of a reply.
const HEAD_BYTES: usize = 20;

/// The connection that lists the children of a path again and again.
pub(crate) struct Lister {
    pub(crate) stream: TcpStream,
    request: Vec<u8>,
    head: Vec<u8>,
    left: u64,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl Lister {
    pub(crate) fn new(args: &Args, path: &str) -> Result<Lister, BenchError> {
        let mut request = Vec::new();
        peer::encode_request(&mut request, 1, &Request::GetChildren { path: Some(path.into()), watch: false });
        let stream = open(args.address.split(',').next().unwrap_or_default())?;
        let mut lister = Lister { stream, request, head: Vec::new(), left: 0, count: 0, bytes: 0 };
        lister.ask()?;
        Ok(lister)
    }

    fn ask(&mut self) -> Result<(), BenchError> {
        self.stream.write_all(&self.request).map_err(BenchError::Lost)
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<(), BenchError> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(BenchError::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(BenchError::Lost(error)),
            };
            self.take(&buffer[..count])?;
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), BenchError> {
        while !bytes.is_empty() {
            let head = (HEAD_BYTES - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..head]);
            bytes = &bytes[head..];
            if head > 0 && self.head.len() == HEAD_BYTES {
                let int = |at: usize| i32::from_be_bytes([0, 1, 2, 3].map(|byte| self.head[at + byte]));
                if int(16) != 0 {
                    return Err(BenchError::Refused(int(16)));
                }
                self.bytes = int(0) as u64;
                self.left = (self.bytes + 4).saturating_sub(HEAD_BYTES as u64);
            }
            let taken = self.left.min(bytes.len() as u64);
            self.left -= taken;
            bytes = &bytes[taken as usize..];
            if self.left == 0 && self.head.len() == HEAD_BYTES {
                self.head.clear();
                self.count += 1;
                self.ask()?;
            }
        }
        Ok(())
    }
}
