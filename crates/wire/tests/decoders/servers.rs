//! The same for what servers say to each other: packets of the quorum port, handshakes and notifications of the
//! election port, the text of a configuration.

use super::{GROWTH_MAX, LENGTH_MAX};
use ostler_model::{AuthId, Endpoint, Ensemble, limits};
use ostler_wire::election::{Handshake, NOTIFICATION_VERSION, Notification, split_frame};
use ostler_wire::jute::DecodeError;
use ostler_wire::quorum::{ToLeader, ToLearner, Touch};
use std::mem::size_of;

/// Decodes message after message. `decode` gives the length of the one at the front, or `None` if it is not complete.
fn all(mut bytes: &[u8], mut decode: impl FnMut(&[u8]) -> Result<Option<usize>, DecodeError>) {
    while let Ok(Some(length)) = decode(bytes) {
        assert!(0 < length && length <= bytes.len(), "{length} of {} bytes", bytes.len());
        assert_eq!(decode(&bytes[..length]), Ok(Some(length)), "it depends on what follows");
        // Every cut of a short one, some of a long one.
        for end in (0..length).step_by(1 + length / 64).chain([length - 1]) {
            assert_eq!(decode(&bytes[..end]), Ok(None), "not incomplete at {end} of {length} bytes");
        }
        bytes = &bytes[length..];
    }
}

/// What a learner sends.
pub fn to_leader(bytes: &[u8]) {
    all(bytes, |bytes| {
        let Some((packet, length)) = ToLeader::decode(bytes, LENGTH_MAX)? else { return Ok(None) };
        let weight = match &packet {
            ToLeader::Request { auth, .. } => {
                auth.iter().map(|id| size_of::<AuthId>() + id.scheme.capacity() + id.id.capacity()).sum()
            }
            ToLeader::Ping { touched, .. } => touched.capacity() * size_of::<Touch>(),
            _ => 0,
        };
        assert!(weight <= GROWTH_MAX * length, "{packet:?}");
        let mut again = Vec::new();
        packet.encode(&mut again);
        // Replacement characters may be longer than what they replace.
        assert_eq!(ToLeader::decode(&again, 4 * LENGTH_MAX), Ok(Some((packet, again.len()))));
        Ok(Some(length))
    });
}

/// What a leader sends, but for the bytes of snapshots.
pub fn to_learner(bytes: &[u8]) {
    all(bytes, |bytes| {
        let Some((packet, length)) = ToLearner::decode(bytes, LENGTH_MAX)? else { return Ok(None) };
        let mut again = Vec::new();
        packet.encode(&mut again);
        assert_eq!(ToLearner::decode(&again, 4 * LENGTH_MAX), Ok(Some((packet, again.len()))));
        Ok(Some(length))
    });
}

/// The first bytes on an election port.
pub fn handshake(bytes: &[u8]) {
    let Ok(Some((handshake, length))) = Handshake::decode(bytes) else { return };
    assert_eq!(Handshake::decode(&bytes[..length]), Ok(Some((handshake.clone(), length))));
    for end in 0..length {
        assert_eq!(Handshake::decode(&bytes[..end]), Ok(None), "complete at {end} of {length} bytes");
    }
    let addresses = |handshake: &Handshake| match handshake {
        Handshake::Legacy { .. } => Vec::new(),
        Handshake::V1 { addresses, .. } | Handshake::V2 { addresses, .. } => addresses.clone(),
    };
    let decoded = addresses(&handshake);
    assert!(decoded.capacity() * size_of::<Endpoint>() <= GROWTH_MAX * length, "{handshake:?}");
    let mut again = Vec::new();
    handshake.encode(&mut again);
    let (read, read_length) = Handshake::decode(&again).expect("just written").expect("whole");
    assert_eq!((read.server(), read_length), (handshake.server(), again.len()));
    // Addresses are written in their longest form: some of very many may not fit any more.
    let kept = addresses(&read);
    assert!(decoded.starts_with(&kept), "{handshake:?} became {read:?}");
    assert!(kept.len() == decoded.len() || again.len() > limits::HANDSHAKE_ADDRESSES_BYTES_MAX / 2, "{read:?}");
}

/// What follows it: frames with a notification each.
pub fn notification(bytes: &[u8]) {
    all(bytes, |bytes| {
        let Some((content, length)) = split_frame(bytes)? else { return Ok(None) };
        if let Ok(mut notification) = Notification::decode(content) {
            let mut again = Vec::new();
            notification.encode(&mut again);
            notification.version = NOTIFICATION_VERSION;
            // Replacement characters may be longer than what they replace.
            if notification.config.as_ref().is_some_and(|text| text.len() > limits::NOTIFICATION_BYTES_MAX / 2) {
                notification.config = None;
            }
            let (content, _) = split_frame(&again).expect("legal").expect("whole");
            let read = Notification::decode(content).expect("just written");
            assert_eq!(Notification { config: notification.config.clone(), ..read.clone() }, notification);
            assert!(read.config == notification.config || notification.config.is_none(), "{read:?}");
        }
        Ok(Some(length))
    });
}

/// The text of a configuration, from a peer or a client.
pub fn ensemble(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(ensemble) = Ensemble::parse(&text) {
        assert!(ensemble.members().len() <= limits::ENSEMBLE_MEMBERS_MAX);
        assert_eq!(Ensemble::parse(&ensemble.to_string()), Ok(ensemble.clone()));
        assert_eq!(Ensemble::parse_file(&ensemble.file_text(false), ensemble.version()), Ok(ensemble.clone()));
        if let Ok(next) = ensemble.apply_incremental(Some(&text), None) {
            assert_eq!(Ensemble::parse(&next.to_string()), Ok(next));
        }
    }
    let three =
        Ensemble::parse("server.1=a:1:2;3\nserver.2=b:1:2;3\nserver.3=c:1:2;3\nversion=7").expect("three lines");
    let changed = [three.apply_incremental(Some(&text), Some("2")), three.apply_incremental(None, Some(&text))];
    for next in changed.into_iter().flatten() {
        assert_eq!(Ensemble::parse(&next.to_string()), Ok(next));
    }
    if let Ok(next) = Ensemble::apply_full(&text) {
        assert_eq!(Ensemble::parse(&next.to_string()), Ok(next));
    }
}
