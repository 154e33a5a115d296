//! The one message of elections: what the sender is doing and whom it votes for (ensemble.md section 3).

use crate::jute::{self, DecodeError, Reader};
use crate::utf8;
use ostler_model::limits::NOTIFICATION_BYTES_MAX;
use ostler_model::{PeerState, ServerId, Text, Zxid};

/// The version of the message that is sent: 2, with a configuration.
pub const NOTIFICATION_VERSION: i32 = 2;

/// Length of a message without the epoch of the vote (before 3.3.2).
const WITHOUT_EPOCH_BYTES: usize = 28;
/// Length of a message whose version Apache does not read.
const WITHOUT_VERSION_BYTES: usize = 40;

/// The longest configuration that the rest of a message leaves room for.
const CONFIG_BYTES_MAX: usize = NOTIFICATION_BYTES_MAX - WITHOUT_VERSION_BYTES - 4;

/// A vote, or the answer to one. Who sent it is known from the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification<'a> {
    /// What the sender is doing.
    pub state: PeerState,
    /// The server voted for; [`ServerId::NONE`] from observers.
    pub leader: ServerId,
    /// The last transaction of that server, as far as the voter knows.
    pub zxid: Zxid,
    /// The round of the election.
    pub round: i64,
    /// The epoch of the history of the server voted for.
    pub peer_epoch: i64,
    /// [`NOTIFICATION_VERSION`] since 3.5, 1 before, 0 if the message does not tell.
    pub version: i32,
    /// The text of the configuration that the sender has in force.
    pub config: Text<'a>,
}

impl<'a> Notification<'a> {
    /// Decodes the content of a frame.
    ///
    /// # Errors
    /// The message makes no sense and is to be skipped; the connection is as good as before.
    pub fn decode(content: &'a [u8]) -> Result<Notification<'a>, DecodeError> {
        let r = &mut Reader::of_server(content, content.len());
        let mut notification = Notification {
            state: state(r.int()?)?,
            leader: ServerId(r.long()?),
            zxid: Zxid(r.long()?),
            round: r.long()?,
            peer_epoch: 0,
            version: 0,
            config: None,
        };
        if content.len() == WITHOUT_EPOCH_BYTES {
            notification.peer_epoch = notification.zxid.0 >> 32;
            return Ok(notification);
        }
        notification.peer_epoch = r.long()?;
        if content.len() != WITHOUT_VERSION_BYTES {
            notification.version = r.int()?;
        }
        if notification.version > 1 {
            let config = r.buffer()?.ok_or(DecodeError::BadLength(-1))?;
            notification.config = Some(config).filter(|text| !text.is_empty()).map(|text| utf8::decode(text, true));
        }
        Ok(notification)
    }

    /// Appends the message as a frame, always in [`NOTIFICATION_VERSION`]. A configuration that has no room in a frame
    /// is left out: the vote counts without it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let config = self.config.as_deref().filter(|text| text.len() <= CONFIG_BYTES_MAX).unwrap_or_default();
        jute::put_sized(out, |out| {
            jute::put_int(out, self.state as i32);
            jute::put_long(out, self.leader.0);
            jute::put_long(out, self.zxid.0);
            jute::put_long(out, self.round);
            jute::put_long(out, self.peer_epoch);
            jute::put_int(out, NOTIFICATION_VERSION);
            jute::put_text(out, Some(config));
        });
    }
}

fn state(code: i32) -> Result<PeerState, DecodeError> {
    PeerState::from_code(code).ok_or(DecodeError::BadValue(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOTE: Notification<'_> = Notification {
        state: PeerState::Following,
        leader: ServerId(3),
        zxid: Zxid(0x5_0000_0007),
        round: 9,
        peer_epoch: 6,
        version: NOTIFICATION_VERSION,
        config: None,
    };

    fn content(config: Option<&'static str>) -> Vec<u8> {
        let mut out = Vec::new();
        Notification { config: config.map(Into::into), ..VOTE }.encode(&mut out);
        let length = i32::from_be_bytes(out[..4].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), out.len() - 4);
        out.split_off(4)
    }

    #[test]
    fn todays_form() {
        let bytes = content(Some("version=0"));
        assert_eq!(bytes.len(), 44 + 9);
        let expected = Notification { config: Some("version=0".into()), ..VOTE };
        assert_eq!(Notification::decode(&bytes), Ok(expected));
        assert_eq!(Notification::decode(&content(None)), Ok(VOTE));
        let longer = [&bytes[..], b"more"].concat();
        assert!(Notification::decode(&longer).is_ok(), "bytes behind the last field are nobody's business");
    }

    #[test]
    fn a_configuration_without_room_is_left_out() {
        let encoded = |length: usize| {
            let mut out = Vec::new();
            Notification { config: Some("x".repeat(length).into()), ..VOTE }.encode(&mut out);
            out
        };
        let longest = encoded(NOTIFICATION_BYTES_MAX - 44);
        let (content, length) = crate::election::split_frame(&longest).unwrap().unwrap();
        assert_eq!((content.len(), length), (NOTIFICATION_BYTES_MAX, longest.len()));
        assert_eq!(Notification::decode(&encoded(NOTIFICATION_BYTES_MAX - 43)[4..]), Ok(VOTE));
    }

    #[test]
    fn older_forms() {
        let bytes = content(None);
        let vote = Notification { version: 0, ..VOTE };
        assert_eq!(Notification::decode(&bytes[..28]), Ok(Notification { peer_epoch: 5, ..vote.clone() }));
        // The version stands there and is not read: so does Apache.
        assert_eq!(Notification::decode(&bytes[..40]), Ok(vote));
        let mut version_1 = bytes.clone();
        version_1[36..40].copy_from_slice(&1_i32.to_be_bytes());
        assert_eq!(Notification::decode(&version_1), Ok(Notification { version: 1, ..VOTE }));
        version_1[40..44].copy_from_slice(&(-7_i32).to_be_bytes());
        assert!(Notification::decode(&version_1).is_ok(), "version 1 has no configuration");
        version_1[36..40].copy_from_slice(&(-1_i32).to_be_bytes());
        assert_eq!(Notification::decode(&version_1), Ok(Notification { version: -1, ..VOTE }));
    }

    #[test]
    fn messages_to_skip() {
        let bytes = content(Some("version=0"));
        for length in (0..bytes.len()).filter(|length| ![28, 40].contains(length)) {
            assert_eq!(Notification::decode(&bytes[..length]), Err(DecodeError::Truncated), "{length}");
        }
        for state in [-1, 4, i32::MAX] {
            let mut bytes = bytes.clone();
            bytes[..4].copy_from_slice(&state.to_be_bytes());
            assert_eq!(Notification::decode(&bytes), Err(DecodeError::BadValue(state)));
        }
        for length in [-1, -2, i32::MAX, 54] {
            let mut bytes = bytes.clone();
            bytes[40..44].copy_from_slice(&length.to_be_bytes());
            assert_eq!(Notification::decode(&bytes), Err(DecodeError::BadLength(length)));
        }
    }
}
