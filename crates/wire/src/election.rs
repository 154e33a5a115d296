//! What servers say to each other on their election ports (ensemble.md sections 2 and 3).
//!
//! Whoever dials opens with a [`Handshake`]; from then on both sides send frames ([`split_frame`]) that hold one
//! [`Notification`] each. A malformed handshake or frame ends the connection; a malformed notification is skipped.

mod handshake;
mod notification;

pub use handshake::Handshake;
pub use notification::{NOTIFICATION_VERSION, Notification};

use crate::jute::{DecodeError, Reader};
use ostler_model::limits::NOTIFICATION_BYTES_MAX;

/// Takes the frame at the front of `bytes`: its content, and its length with the prefix; `None` while it is not
/// complete.
///
/// # Errors
/// The length is not between 1 and [`NOTIFICATION_BYTES_MAX`].
pub fn split_frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, DecodeError> {
    let mut r = Reader::of_server(bytes, NOTIFICATION_BYTES_MAX);
    match r.buffer() {
        Ok(Some(content)) if !content.is_empty() => Ok(Some((content, 4 + content.len()))),
        Ok(content) => Err(DecodeError::BadLength(content.map_or(-1, |_| 0))),
        Err(DecodeError::Truncated) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_bounds() {
        assert_eq!(split_frame(&[0, 0, 0]), Ok(None));
        assert_eq!(split_frame(&[0, 0, 0, 2, 7]), Ok(None));
        assert_eq!(split_frame(&[0, 0, 0, 2, 7, 8, 9]), Ok(Some((&[7, 8][..], 6))));
        assert_eq!(split_frame(&[0, 8, 0, 0]), Ok(None), "524288 is the greatest length");
        for length in [0, -1, -2, i32::MIN, i32::MAX, 524_289] {
            assert_eq!(split_frame(&length.to_be_bytes()), Err(DecodeError::BadLength(length)));
        }
    }
}
