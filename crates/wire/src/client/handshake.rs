//! The first frame in each direction (client-protocol.md section 3).

use super::FrameWriter;
use crate::jute::{DecodeError, Reader};
use ostler_model::{SessionId, Zxid};

/// The first frame of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ConnectRequest {
    pub protocol_version: i32,
    pub last_zxid_seen: Zxid,
    pub timeout_ms: i32,
    pub session: SessionId,
    /// Null is read as empty: neither is any session's password.
    pub password: Vec<u8>,
    /// `None`: the client is too old to send the byte, and must not be answered with one.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Decodes a frame's payload; bytes behind the last field are ignored.
    ///
    /// # Errors
    /// Anything malformed: close the connection.
    pub fn decode(payload: &[u8], length_max: usize) -> Result<ConnectRequest, DecodeError> {
        let mut reader = Reader::new(payload, length_max);
        Ok(ConnectRequest {
            protocol_version: reader.int()?,
            last_zxid_seen: Zxid(reader.long()?),
            timeout_ms: reader.int()?,
            session: SessionId(reader.long()?),
            password: reader.buffer()?.unwrap_or_default().to_vec(),
            read_only: reader.bool().ok(),
        })
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut frame = FrameWriter::bare(out);
        frame.int(self.protocol_version);
        frame.long(self.last_zxid_seen.0);
        frame.int(self.timeout_ms);
        frame.long(self.session.0);
        frame.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            frame.bool(read_only);
        }
        frame.finish();
    }
}

/// The first frame of a server. A refused or expired session is answered with time-out 0, id 0 and 16 zero bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ConnectResponse {
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: [u8; 16],
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// Decodes a frame's payload.
    ///
    /// # Errors
    /// Anything malformed, a password that is not 16 bytes long included.
    pub fn decode(payload: &[u8]) -> Result<ConnectResponse, DecodeError> {
        let mut reader = Reader::of_server(payload, payload.len());
        let _protocol_version = reader.int()?;
        let timeout_ms = reader.int()?;
        let session = SessionId(reader.long()?);
        let password = reader.buffer()?.unwrap_or_default();
        let password = password.try_into().map_err(|_| DecodeError::BadLength(password.len() as i32))?;
        Ok(ConnectResponse { timeout_ms, session, password, read_only: reader.bool().ok() })
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut frame = FrameWriter::bare(out);
        frame.int(0);
        frame.int(self.timeout_ms);
        frame.long(self.session.0);
        frame.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            frame.bool(read_only);
        }
        frame.finish();
    }
}
