//! What one connection carried, seen at the client's end: requests as they leave, replies and events as they arrive. Each
//! frame is handed to the checks at once, so that a run stops at the first thing that is wrong.

use crate::checks::fifo::Told;
use crate::checks::reads::Read;
use crate::checks::watches::WatchModel;
use crate::checks::{Asked, Referee, Verdict, broken};
use ostler_model::Dice;
use ostler_model::{AuthId, AuthIds, OpCode, SessionId, Zxid};
use ostler_wire::client::{ConnectResponse, ReplyHeader, RequestHeader, decode_request};
use ostler_wire::peer::{WatcherEvent, decode_reply};
use std::collections::VecDeque;
use std::sync::Arc;

const CHECK: &str = "fifo";

#[derive(Debug)]
struct Sent {
    xid: i32,
    op: OpCode,
    body: Vec<u8>,
    /// The newest zxid acknowledged to anybody when this was sent.
    floor: Zxid,
    floors: Vec<(u32, Zxid)>,
}

/// One connection.
#[derive(Debug)]
pub struct Tap {
    who: String,
    ids: AuthIds,
    session: SessionId,
    greeted: bool,
    unanswered: VecDeque<Sent>,
    auths: usize,
    partial: Vec<u8>,
    watches: WatchModel,
    mutant: Option<String>,
}

/// A broken server shows itself in every so many frames.
const MUTANT_EVERY: u64 = 40;

/// Figures.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct Counted {
    pub frames: u64,
    pub replies: u64,
    pub events: u64,
}

impl Tap {
    /// A connection of a client.
    pub fn new(who: String, mutant: Option<&str>) -> Tap {
        Tap {
            mutant: mutant.map(str::to_owned),
            who,
            ids: Arc::from([]),
            session: SessionId::NONE,
            greeted: false,
            unanswered: VecDeque::new(),
            auths: 0,
            partial: Vec::new(),
            watches: WatchModel::default(),
        }
    }

    /// The session that this connection holds, once the server said so.
    pub fn session(&self) -> Option<SessionId> {
        self.greeted.then_some(self.session).filter(|session| *session != SessionId::NONE)
    }

    /// The client sends whole frames. `proves`: the identities that its auth packets prove.
    pub fn sent(&mut self, referee: &mut Referee, bytes: &[u8], proves: &[AuthId]) {
        let mut rest = bytes;
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let (frame, behind) = behind.split_at(i32::from_be_bytes(*length) as usize);
            rest = behind;
            // The handshake is the only frame before the server's answer to it.
            if self.greeted {
                self.sent_frame(referee, frame, proves);
            }
        }
    }

    fn sent_frame(&mut self, referee: &mut Referee, frame: &[u8], proves: &[AuthId]) {
        let (RequestHeader { xid, op }, body) = RequestHeader::split(frame).expect("the client sends headers");
        let op = OpCode::from_i32(op).expect("the client knows its operations");
        if op == OpCode::Auth {
            self.auths += 1;
            self.ids = proves.into();
            return;
        }
        if is_write(op) {
            let asked = Asked { op, body: body.to_vec(), ids: self.ids.clone(), done: None };
            let before = referee.asked.insert((self.session, xid), asked);
            assert!(before.is_none(), "{}: xid {xid} is used again", self.who);
        }
        let floors = if op == OpCode::Sync { referee.floors() } else { Vec::new() };
        self.unanswered.push_back(Sent { xid, op, body: body.to_vec(), floor: referee.floor(), floors });
    }

    /// Bytes reach the client.
    pub fn received(&mut self, referee: &mut Referee, told: &mut Told, counted: &mut Counted, bytes: &[u8]) -> Verdict {
        self.partial.extend_from_slice(bytes);
        let joined = std::mem::take(&mut self.partial);
        let mut rest = &joined[..];
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*length) as usize;
            if behind.len() < length {
                break;
            }
            let (frame, behind) = behind.split_at(length);
            rest = behind;
            self.received_frame(referee, told, counted, frame)?;
        }
        self.partial = rest.to_vec();
        Ok(())
    }

    /// As a broken server would have sent it, if this run has one.
    fn received_frame(
        &mut self,
        referee: &mut Referee,
        told: &mut Told,
        counted: &mut Counted,
        frame: &[u8],
    ) -> Verdict {
        counted.frames += 1;
        let strikes = self.greeted && counted.frames.is_multiple_of(MUTANT_EVERY);
        let is_event = frame.starts_with(&[0xff; 4]);
        match self.mutant.as_deref() {
            Some("lose-an-event") if self.greeted && is_event && counted.frames.is_multiple_of(3) => return Ok(()),
            Some("two-answers") if strikes => self.whole_frame(referee, told, counted, frame)?,
            Some("old-read") if self.unanswered.front().is_some_and(|sent| sent.op == OpCode::Exists) && !is_event => {
                let mut changed = frame.to_vec();
                // A byte of the Stat's mzxid.
                if let Some(byte) = changed.get_mut(16 + 15) {
                    *byte ^= 1;
                }
                return self.whole_frame(referee, told, counted, &changed);
            }
            _ => {}
        }
        self.whole_frame(referee, told, counted, frame)
    }

    fn whole_frame(&mut self, referee: &mut Referee, told: &mut Told, counted: &mut Counted, frame: &[u8]) -> Verdict {
        if !self.greeted {
            let welcome = ConnectResponse::decode(frame)
                .map_err(|error| broken(CHECK, format!("{}: the handshake's answer: {error}", self.who)))?;
            self.greeted = true;
            self.session = welcome.session;
            return Ok(());
        }
        let (header, body) = ReplyHeader::split(frame)
            .map_err(|error| broken(CHECK, format!("{}: a reply without header: {error}", self.who)))?;
        match header.xid {
            ReplyHeader::EVENT_XID => {
                counted.events += 1;
                let event = WatcherEvent::decode(body)
                    .map_err(|error| broken(CHECK, format!("{}: an event: {error}", self.who)))?;
                let path = event.path.unwrap_or_default().into_owned();
                if header.zxid.0 != -1 {
                    told.hears(referee, &self.who, header.zxid)?;
                }
                self.watches.event(referee, &self.who, (header.zxid, event.kind, path), &self.ids)
            }
            -4 => {
                self.auths = self.auths.checked_sub(1).ok_or_else(|| broken(CHECK, "an answer to no auth packet"))?;
                Ok(())
            }
            _ => {
                counted.replies += 1;
                self.reply(referee, told, header, body)
            }
        }
    }

    fn reply(&mut self, referee: &mut Referee, told: &mut Told, header: ReplyHeader, body: &[u8]) -> Verdict {
        let ReplyHeader { xid, zxid, err } = header;
        let sent = match self.unanswered.pop_front() {
            Some(sent) if sent.xid == xid => sent,
            other => {
                let due = other.map_or("nothing".to_owned(), |sent| format!("{} ({:?})", sent.xid, sent.op));
                let what = format!("INV-30: {} is sent reply {xid} ({err}) at {zxid}, due was {due}", self.who);
                return Err(broken(CHECK, what));
            }
        };
        told.hears(referee, &self.who, zxid)?;
        self.watches.reply(referee, &self.who, zxid, &self.ids)?;
        let request = decode_request(sent.op, &sent.body, usize::MAX).expect("the client's own bytes");
        let reply = decode_reply(sent.op, &header, body)
            .map_err(|error| broken(CHECK, format!("{}: the answer to {request:?}: {error}", self.who)))?;
        if is_write(sent.op) {
            told.write_follows(&self.who, zxid)?;
        }
        told.replied = zxid;
        if is_write(sent.op) {
            referee.answer_to_write(self.session, &header, &reply)?;
            return referee.write_acknowledged(self.session, zxid, sent.floor);
        }
        if sent.op == OpCode::Sync {
            return referee.synced(self.session, zxid, &sent.floors);
        }
        let (session, ids) = (self.session, &self.ids[..]);
        referee.explain(&Read { session, ids, request: &request, zxid, err, reply: &reply })?;
        self.watches.answered(referee, &self.who, &request, zxid, err)
    }
}

/// True for operations that become transactions.
pub fn is_write(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
            | OpCode::CloseSession
    )
}

/// Identities that simulated clients prove: what they send, and what it stands for (SHA-1 as section 13.1 says).
pub const USERS: [(&str, &str); 3] = [
    ("ann:red", "ann:qz7xEHs7NbW6OqJy4aHj2a71378="),
    ("bob:blue", "bob:aorUY5+djkYos0j5QtTw2C8iSGo="),
    ("eve:green", "eve:yIEr9Gmwhin1/Yjy81BiglYp8ZE="),
];

/// The operator, and the digest that makes it the superuser.
pub const OPERATOR: (&str, &str) = ("ops:key", "ops:y1OP6TwzhGZiTBctga9SwDFNes4=");

/// What the operator's auth packet and identities are.
pub fn operator() -> (&'static str, Vec<AuthId>) {
    let id = |scheme: &str, id: &str| AuthId { scheme: scheme.into(), id: id.into() };
    (OPERATOR.0, vec![id("super", ""), id("digest", OPERATOR.1)])
}

/// What a user's auth packet and identity are.
pub fn user(dice: &mut Dice) -> (&'static str, Vec<AuthId>) {
    let (packet, id) = dice.pick(&USERS);
    (packet, vec![AuthId { scheme: "digest".into(), id: id.into() }])
}
