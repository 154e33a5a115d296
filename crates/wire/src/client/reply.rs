//! Frames that a server sends without asking anybody: events and errors (client-protocol.md sections 5, 13.6, 14).

use super::{FrameWriter, ReplyHeader};
use ostler_model::{AuthId, ErrorCode, EventType, KEEPER_STATE_SYNC_CONNECTED, Zxid};

/// Appends a whole watch event frame.
pub fn encode_event(out: &mut Vec<u8>, zxid: Zxid, event: EventType, path: &str) {
    let mut frame = FrameWriter::reply(out, ReplyHeader { xid: ReplyHeader::EVENT_XID, zxid, err: 0 });
    frame.int(event as i32);
    frame.int(KEEPER_STATE_SYNC_CONNECTED);
    frame.text(Some(path));
    frame.finish();
}

/// Appends a whole reply frame without a body; `None` is success.
pub fn encode_error(out: &mut Vec<u8>, xid: i32, zxid: Zxid, err: Option<ErrorCode>) {
    FrameWriter::reply(out, ReplyHeader { xid, zxid, err: err.map_or(0, ErrorCode::code) }).finish();
}

/// What whoAmI shows of an identity: the user of a `digest` id, nothing of a `super` id, any other id whole.
pub fn who_am_i_user(id: &AuthId) -> &str {
    match id.scheme.as_str() {
        "digest" => id.id.split(':').next().unwrap_or_default(),
        "super" => "",
        _ => &id.id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_am_i_hides_passwords() {
        let user = |scheme: &str, id: &str| who_am_i_user(&AuthId { scheme: scheme.into(), id: id.into() }).to_owned();
        assert_eq!(user("digest", "bob:hash="), "bob");
        assert_eq!(user("digest", "bob"), "bob");
        assert_eq!(user("super", "x"), "");
        assert_eq!(user("ip", "10.0.0.1"), "10.0.0.1");
        assert_eq!(user("sasl", "a:b"), "a:b");
    }
}
