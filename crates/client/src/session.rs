//! The session core: everything a client does with its servers, without a socket, a clock or a random source.
//!
//! The shell tells it what happened (`connected`, `received`, `link_down`, `tick`, `submit`) and carries out the
//! [`Effect`]s that it takes out afterwards. One session lives over many connections: a lost one is replaced by
//! another server's, with the same id and password, auth packets and watches set again before any request
//! (client-protocol.md sections 3 to 5 and 14.3). Requests that waited when a connection was lost fail, so that
//! nothing asked before a loss takes effect after it; what is asked while disconnected waits for the next server.

mod read_only;

use crate::effect::{
    Cause, Config, Effect, LinkId, RawReply, RequestError, RequestId, SessionState, SubmitError, WatchEvent,
};
use crate::order::ServerOrder;
use crate::prepared::Prepared;
use crate::watches::{WatchIntent, Watches};
use ostler_model::{Dice, EventType, OpCode, Request, SessionId, Zxid};
use ostler_wire::client::{ConnectRequest, ConnectResponse, ReplyHeader};
use ostler_wire::peer::{self, WatcherEvent};
use read_only::Search;
use std::collections::VecDeque;

/// xid of auth packets.
const AUTH_XID: i32 = -4;
/// xid of setWatches packets.
const SET_WATCHES_XID: i32 = -8;

/// The longest wait before the next server after all of them failed, ms; the wait is random up to it.
pub const RETRY_WAIT_MAX_MS: u64 = 1_000;
/// A ping at least this often, ms, however long the session's time-out.
pub const PING_INTERVAL_MAX_MS: u64 = 10_000;

/// A session with an ensemble.
#[derive(Debug)]
pub struct Session {
    config: Config,
    random: Dice,
    order: ServerOrder,
    phase: Phase,
    links: u64,
    id: SessionId,
    password: [u8; 16],
    timeout_ms: u64,
    read_only: bool,
    /// A server with a quorum has held the session.
    is_lasting: bool,
    /// At a server without one.
    search: Option<Search>,
    /// The newest zxid a reply or an event named: a server behind it must not hold this session.
    seen: Zxid,
    watches: Watches,
    /// Watches are known to be complete up to here: where the catch-up of the next setWatches begins. Stands still
    /// from the loss of a connection until the last packet of setWatches is answered.
    watched: Zxid,
    /// setWatches packets sent on this connection and not answered.
    resets: usize,
    auths: Vec<Auth>,
    /// Auth packets sent on this connection and not answered, as indexes into `auths`.
    auths_sent: VecDeque<usize>,
    /// Sent on this connection, not answered: in the order of their replies.
    in_flight: VecDeque<Pending>,
    /// Not sent yet.
    waiting: VecDeque<(Pending, Vec<u8>)>,
    waiting_bytes: usize,
    next_xid: i32,
    next_request: u64,
    /// The beginning of a frame whose rest has not come yet.
    partial: Vec<u8>,
    heard_ms: u64,
    sent_ms: u64,
    /// closeSession is on its way; nothing more is taken.
    closing: bool,
    effects: VecDeque<Effect>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// No connection until this time.
    Idle {
        until_ms: u64,
    },
    /// The shell connects; handshake not sent.
    Connecting {
        link: LinkId,
        since_ms: u64,
    },
    /// Handshake sent.
    Greeting {
        link: LinkId,
        since_ms: u64,
    },
    Connected {
        link: LinkId,
    },
    /// Final.
    Ended,
}

#[derive(Debug)]
struct Auth {
    scheme: String,
    auth: Vec<u8>,
    /// Whom to tell about the first answer.
    caller: Option<RequestId>,
}

#[derive(Debug)]
struct Pending {
    xid: i32,
    op: OpCode,
    /// `None`: setWatches, the core's own.
    id: Option<RequestId>,
    watch: Option<WatchIntent>,
}

impl Session {
    /// A session that starts to connect at once.
    pub fn new(now_ms: u64, config: Config) -> Session {
        let mut random = Dice::new(config.seed);
        let order = ServerOrder::new(config.servers, &mut random);
        let mut session = Session {
            timeout_ms: u64::from(config.session_timeout_ms),
            config,
            random,
            order,
            phase: Phase::Idle { until_ms: now_ms },
            links: 0,
            id: SessionId::NONE,
            password: [0; 16],
            read_only: false,
            is_lasting: false,
            search: None,
            seen: Zxid::ZERO,
            watches: Watches::default(),
            watched: Zxid::ZERO,
            resets: 0,
            auths: Vec::new(),
            auths_sent: VecDeque::new(),
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_xid: 1,
            next_request: 1,
            partial: Vec::new(),
            heard_ms: now_ms,
            sent_ms: now_ms,
            closing: false,
            effects: VecDeque::new(),
        };
        session.tick(now_ms);
        session
    }

    /// The next thing for the shell to do.
    pub fn take_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The session's id; [`SessionId::NONE`] before the first handshake.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The newest zxid that a reply or an event named.
    pub fn zxid_seen(&self) -> Zxid {
        self.seen
    }

    /// The watches believed to be set.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Requests that wait for their answer.
    pub fn pending(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    /// True once the session has expired, failed to authenticate or was closed.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The shell has connected `link`.
    pub fn connected(&mut self, now_ms: u64, link: LinkId) {
        let Phase::Connecting { link: expected, since_ms } = self.phase else { return };
        if link != expected {
            return;
        }
        self.phase = Phase::Greeting { link, since_ms };
        let timeout_ms = i32::try_from(self.config.session_timeout_ms).unwrap_or(i32::MAX);
        let mut bytes = Vec::new();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms,
            session: self.lasting_id(),
            password: self.password.to_vec(),
            read_only: Some(self.config.read_only_allowed),
        }
        .encode(&mut bytes);
        self.send(now_ms, link, bytes);
    }

    /// `link` is gone: refused, reset, or closed by the server (`why` = `None`).
    pub fn link_down(&mut self, now_ms: u64, link: LinkId, why: Option<String>) {
        if self.link() != Some(link) {
            return;
        }
        let cause = match (why, self.phase) {
            (Some(why), _) => Cause::Link(why),
            (None, Phase::Greeting { .. }) => Cause::Refused(self.seen),
            (None, _) => Cause::ClosedByServer,
        };
        self.lose(now_ms, cause, false);
    }

    /// Bytes came from the server, cut anywhere.
    pub fn received(&mut self, now_ms: u64, link: LinkId, bytes: &[u8]) {
        if self.link() != Some(link) {
            return;
        }
        self.heard_ms = now_ms;
        let mut rest = bytes;
        let mut joined = std::mem::take(&mut self.partial);
        if !joined.is_empty() {
            // Only the frame that began before is joined; those behind it are read where they are.
            let missing = missing_bytes(&joined).min(rest.len());
            let (head, behind) = rest.split_at(missing);
            joined.extend_from_slice(head);
            let missing = missing_bytes(&joined).min(behind.len());
            let (body, behind) = behind.split_at(missing);
            joined.extend_from_slice(body);
            rest = behind;
            let used = self.frames(now_ms, link, &joined);
            if used < joined.len() {
                assert!(rest.is_empty(), "a frame is incomplete only if everything was taken");
                joined.drain(..used);
                self.partial = joined;
                return;
            }
        }
        if self.link() == Some(link) {
            let used = self.frames(now_ms, link, rest);
            self.partial.extend_from_slice(&rest[used..]);
        }
    }

    /// Handles all whole frames of `bytes`; returns how many bytes they were. A connection that is lost meanwhile
    /// uses up everything.
    fn frames(&mut self, now_ms: u64, link: LinkId, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while self.link() == Some(link) {
            match split_frame(rest, self.config.reply_bytes_max) {
                Ok(Some((payload, behind))) => {
                    rest = behind;
                    self.frame(now_ms, link, payload);
                }
                Ok(None) => return bytes.len() - rest.len(),
                Err(length) => self.protocol_error(now_ms, format!("a frame of {length} bytes")),
            }
        }
        bytes.len()
    }

    /// Time has come to `now_ms`: time-outs, pings, the next attempt.
    pub fn tick(&mut self, now_ms: u64) {
        match self.phase {
            Phase::Idle { until_ms } if now_ms >= until_ms => self.dial(now_ms),
            Phase::Connecting { since_ms, .. } | Phase::Greeting { since_ms, .. }
                if now_ms >= since_ms + self.connect_timeout_ms() =>
            {
                self.lose(now_ms, Cause::ConnectTimeout(now_ms - since_ms), true);
            }
            Phase::Connected { .. } if now_ms >= self.heard_ms + self.read_timeout_ms() => {
                self.lose(now_ms, Cause::ReadTimeout(now_ms - self.heard_ms), true);
            }
            Phase::Connected { link } if now_ms >= self.sent_ms + self.ping_interval_ms() => {
                let mut bytes = Vec::new();
                peer::encode_request(&mut bytes, ReplyHeader::PING_XID, &Request::Ping);
                self.send(now_ms, link, bytes);
            }
            _ => (),
        }
        self.probe_due(now_ms);
    }

    /// When `tick` has to be called at the latest; `None` when the session has ended.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Idle { until_ms } => Some(until_ms),
            Phase::Connecting { since_ms, .. } | Phase::Greeting { since_ms, .. } => {
                Some(since_ms + self.connect_timeout_ms())
            }
            Phase::Connected { .. } => {
                let ping_ms = (self.heard_ms + self.read_timeout_ms()).min(self.sent_ms + self.ping_interval_ms());
                Some(self.next_probe_ms().map_or(ping_ms, |probe_ms| probe_ms.min(ping_ms)))
            }
            Phase::Ended => None,
        }
    }

    /// Asks the server for something; the answer comes as [`Effect::Reply`]. Paths are the server's. Watches that
    /// the request registers or removes are noted when it is answered.
    ///
    /// # Errors
    /// Too many requests wait, or the session has ended.
    pub fn submit(&mut self, now_ms: u64, request: &Request<'_>) -> Result<RequestId, SubmitError> {
        self.check_room()?;
        self.submit_prepared(now_ms, Prepared::new(request))
    }

    /// [`Session::submit`] for a request that was encoded before.
    ///
    /// # Errors
    /// Too many requests wait, or the session has ended.
    pub fn submit_prepared(&mut self, now_ms: u64, request: Prepared) -> Result<RequestId, SubmitError> {
        self.check_room()?;
        let id = self.take_request_id();
        self.enqueue(request, Some(id));
        self.send_waiting(now_ms);
        Ok(id)
    }

    /// Whether a request would be taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_room(&self) -> Result<(), SubmitError> {
        if self.closing || self.has_ended() {
            return Err(SubmitError::Ended);
        }
        if self.pending() >= self.config.pending_max || self.waiting_bytes >= self.config.pending_bytes_max {
            return Err(SubmitError::Full);
        }
        Ok(())
    }

    /// True while a server holds the session.
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected { .. })
    }

    /// Proves an identity, now and after every reconnect.
    ///
    /// # Errors
    /// The session has ended.
    pub fn add_auth(&mut self, now_ms: u64, scheme: &str, auth: &[u8]) -> Result<RequestId, SubmitError> {
        if self.closing || self.has_ended() {
            return Err(SubmitError::Ended);
        }
        let id = self.take_request_id();
        self.auths.push(Auth { scheme: scheme.into(), auth: auth.into(), caller: Some(id) });
        if let Phase::Connected { link } = self.phase {
            self.send_auth(now_ms, link, self.auths.len() - 1);
        }
        Ok(id)
    }

    /// Ends the session: its ephemerals go. Without a connection it ends here only, and expires at the server.
    pub fn close(&mut self, now_ms: u64) {
        match self.phase {
            Phase::Connected { .. } if self.closing => (),
            Phase::Connected { .. } => {
                self.closing = true;
                // Beyond every bound: a full queue must not keep a session from being closed.
                self.enqueue(Prepared::new(&Request::CloseSession), None);
                self.send_waiting(now_ms);
            }
            _ => {
                if let Some(link) = self.link() {
                    self.effects.push_back(Effect::Disconnect { link });
                }
                self.end(SessionState::Closed, &RequestError::Closed);
            }
        }
    }

    fn link(&self) -> Option<LinkId> {
        match self.phase {
            Phase::Connecting { link, .. } | Phase::Greeting { link, .. } | Phase::Connected { link } => Some(link),
            Phase::Idle { .. } | Phase::Ended => None,
        }
    }

    fn take_request_id(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        id
    }

    fn enqueue(&mut self, request: Prepared, id: Option<RequestId>) {
        let xid = self.next_xid;
        self.next_xid = if xid == i32::MAX { 1 } else { xid + 1 };
        let Prepared { op, watch, .. } = request;
        let bytes = request.frame.with_xid(xid);
        self.waiting_bytes += bytes.len();
        let pending = Pending { xid, op, id, watch };
        self.waiting.push_back((pending, bytes));
    }

    fn read_timeout_ms(&self) -> u64 {
        self.timeout_ms * 2 / 3
    }

    fn connect_timeout_ms(&self) -> u64 {
        (self.timeout_ms / self.config.servers as u64).max(1)
    }

    fn ping_interval_ms(&self) -> u64 {
        (self.timeout_ms / 3).clamp(1, PING_INTERVAL_MAX_MS)
    }

    fn dial(&mut self, now_ms: u64) {
        self.links += 1;
        let link = LinkId(self.links);
        let server = self.order.take_next();
        self.phase = Phase::Connecting { link, since_ms: now_ms };
        self.effects.push_back(Effect::Connect { link, server });
    }

    fn send(&mut self, now_ms: u64, link: LinkId, mut frame: Vec<u8>) {
        self.sent_ms = now_ms;
        match self.effects.back_mut() {
            Some(Effect::Send { link: last, bytes }) if *last == link => bytes.append(&mut frame),
            _ => self.effects.push_back(Effect::Send { link, bytes: frame }),
        }
    }

    fn send_waiting(&mut self, now_ms: u64) {
        let Phase::Connected { link } = self.phase else { return };
        if self.is_moving() && !self.closing {
            return;
        }
        while let Some((pending, bytes)) = self.waiting.pop_front() {
            self.waiting_bytes -= bytes.len();
            if self.read_only && !read_only::is_allowed(pending.op) {
                self.answer(&pending, Err(RequestError::ReadOnly));
                continue;
            }
            self.in_flight.push_back(pending);
            self.send(now_ms, link, bytes);
        }
    }

    fn send_auth(&mut self, now_ms: u64, link: LinkId, index: usize) {
        let mut bytes = Vec::new();
        let Auth { scheme, auth, .. } = &self.auths[index];
        let request = Request::Auth { scheme: Some(scheme.into()), auth: Some(auth) };
        peer::encode_request(&mut bytes, AUTH_XID, &request);
        self.auths_sent.push_back(index);
        self.send(now_ms, link, bytes);
    }

    fn frame(&mut self, now_ms: u64, link: LinkId, payload: &[u8]) {
        if let Phase::Greeting { .. } = self.phase {
            return self.welcomed(now_ms, link, payload);
        }
        let Ok((header, body)) = ReplyHeader::split(payload) else {
            return self.protocol_error(now_ms, format!("a reply of {} bytes", payload.len()));
        };
        let ReplyHeader { xid, zxid, err } = header;
        match xid {
            ReplyHeader::EVENT_XID => self.event(now_ms, zxid, body),
            ReplyHeader::PING_XID => (),
            AUTH_XID => self.auth_answered(now_ms, zxid, err),
            _ => self.answered(now_ms, xid, RawReply { zxid, err, body: body.to_vec() }),
        }
    }

    fn welcomed(&mut self, now_ms: u64, link: LinkId, payload: &[u8]) {
        let Ok(welcome) = ConnectResponse::decode(payload) else {
            return self.protocol_error(now_ms, "its answer to the handshake is malformed".into());
        };
        let Ok(timeout_ms @ 1..) = u32::try_from(welcome.timeout_ms) else {
            self.effects.push_back(Effect::Disconnect { link });
            return self.end(SessionState::Expired, &RequestError::SessionExpired);
        };
        let again = self.id != SessionId::NONE;
        self.id = welcome.session;
        self.password = welcome.password;
        self.timeout_ms = u64::from(timeout_ms);
        self.read_only = welcome.read_only.unwrap_or(false);
        self.is_lasting |= !self.read_only;
        self.begin_search(now_ms);
        self.phase = Phase::Connected { link };
        self.order.succeeded();
        let state = SessionState::Connected { session: self.id, timeout_ms, read_only: self.read_only, again };
        self.effects.push_back(Effect::State(state));
        for index in 0..self.auths.len() {
            self.send_auth(now_ms, link, index);
        }
        self.set_watches_again(now_ms, link);
        self.send_waiting(now_ms);
    }

    fn set_watches_again(&mut self, now_ms: u64, link: LinkId) {
        let mut bytes = Vec::new();
        for lists in self.watches.packets(self.config.set_watches_bytes_max) {
            let [data, exist, child, persistent, recursive] =
                lists.map(|list| Some(list.into_iter().map(|path| Some(path.into())).collect()));
            let relative_zxid = self.watched.0;
            let request = Request::SetWatches { relative_zxid, data, exist, child, persistent, recursive };
            peer::encode_request(&mut bytes, SET_WATCHES_XID, &request);
            let op = peer::op_code(&request);
            self.in_flight.push_back(Pending { xid: SET_WATCHES_XID, op, id: None, watch: None });
            self.resets += 1;
        }
        if !bytes.is_empty() {
            self.send(now_ms, link, bytes);
        }
    }

    fn event(&mut self, now_ms: u64, zxid: Zxid, body: &[u8]) {
        if zxid.0 > 0 {
            self.seen = self.seen.max(zxid);
        }
        let Some((kind, path)) = decode_event(body) else {
            return self.protocol_error(now_ms, "a malformed watch event".into());
        };
        if self.watches.fire(&path, kind) {
            self.effects.push_back(Effect::Event(WatchEvent { zxid, kind, path }));
        }
    }

    fn auth_answered(&mut self, now_ms: u64, zxid: Zxid, err: i32) {
        let Some(index) = self.auths_sent.pop_front() else {
            return self.protocol_error(now_ms, "an answer to an auth packet that was not sent".into());
        };
        if let Some(id) = self.auths[index].caller.take() {
            let result = Ok(RawReply { zxid, err, body: Vec::new() });
            self.effects.push_back(Effect::Reply { id, op: OpCode::Auth, result });
        }
        if err != 0 {
            let link = self.link().expect("an answer came from a connection");
            self.effects.push_back(Effect::Disconnect { link });
            self.end(SessionState::AuthFailed, &RequestError::AuthFailed);
        } else {
            self.move_if_idle(now_ms);
        }
    }

    fn answered(&mut self, now_ms: u64, xid: i32, reply: RawReply) {
        let expected = self.in_flight.front().map(|pending| pending.xid);
        if expected != Some(xid) {
            return self.protocol_error(now_ms, format!("a reply with xid {xid} where {expected:?} was due"));
        }
        let pending = self.in_flight.pop_front().expect("its xid was just compared");
        if reply.zxid.0 > 0 {
            self.seen = self.seen.max(reply.zxid);
        }
        if xid == SET_WATCHES_XID {
            if reply.err != 0 {
                return self.protocol_error(now_ms, format!("it refused to set watches again (error {})", reply.err));
            }
            self.resets -= 1;
        }
        if self.resets == 0 {
            self.watched = self.seen;
        }
        if let Some(intent) = &pending.watch {
            self.watches.answered(intent, reply.err);
        }
        let closed = pending.op == OpCode::CloseSession;
        self.answer(&pending, Ok(reply));
        if closed {
            let link = self.link().expect("an answer came from a connection");
            self.effects.push_back(Effect::Disconnect { link });
            self.end(SessionState::Closed, &RequestError::Closed);
        } else {
            self.move_if_idle(now_ms);
        }
    }

    fn answer(&mut self, pending: &Pending, result: Result<RawReply, RequestError>) {
        if let Some(id) = pending.id {
            self.effects.push_back(Effect::Reply { id, op: pending.op, result });
        }
    }

    fn protocol_error(&mut self, now_ms: u64, what: String) {
        self.lose(now_ms, Cause::Protocol(what), true);
    }

    /// The connection is of no use any more: everything that waited for it fails, and the next one is planned.
    fn lose(&mut self, now_ms: u64, cause: Cause, disconnect: bool) {
        let link = self.link().expect("only a connection can be lost");
        if disconnect {
            self.effects.push_back(Effect::Disconnect { link });
        }
        let was_connected = matches!(self.phase, Phase::Connected { .. });
        if self.closing {
            return self.end(SessionState::Closed, &RequestError::Closed);
        }
        self.search = None;
        self.phase = Phase::Idle { until_ms: now_ms + self.wait_before_next(was_connected) };
        self.partial = Vec::new();
        self.resets = 0;
        self.auths_sent.clear();
        if was_connected {
            self.fail_all(&|sent| RequestError::ConnectionLoss { sent, why: cause.clone() });
        }
        self.effects.push_back(Effect::State(SessionState::Suspended(cause)));
    }

    /// After a loss the next server is tried soon, spread a little so that the clients of a dead server do not
    /// come all at once; after a whole round of failures there is a pause.
    fn wait_before_next(&mut self, was_connected: bool) -> u64 {
        let most = match (was_connected, self.order.all_failed()) {
            (true, _) => RETRY_WAIT_MAX_MS / 10,
            (false, true) => RETRY_WAIT_MAX_MS,
            (false, false) => 0,
        };
        self.random.below(most.min(self.timeout_ms / 10))
    }

    fn fail_all(&mut self, error: &dyn Fn(bool) -> RequestError) {
        for pending in std::mem::take(&mut self.in_flight) {
            self.answer(&pending, Err(error(true)));
        }
        for (pending, _) in std::mem::take(&mut self.waiting) {
            self.answer(&pending, Err(error(false)));
        }
        self.waiting_bytes = 0;
    }

    fn end(&mut self, state: SessionState, error: &RequestError) {
        self.phase = Phase::Ended;
        self.search = None;
        self.partial = Vec::new();
        self.fail_all(&|_| error.clone());
        for id in std::mem::take(&mut self.auths).into_iter().filter_map(|auth| auth.caller) {
            self.effects.push_back(Effect::Reply { id, op: OpCode::Auth, result: Err(error.clone()) });
        }
        self.effects.push_back(Effect::State(state));
    }
}

/// `None` if the event is malformed or of a type that servers do not send.
fn decode_event(body: &[u8]) -> Option<(EventType, String)> {
    let event = WatcherEvent::decode(body).ok()?;
    let kind = match event.kind {
        1 => EventType::NodeCreated,
        2 => EventType::NodeDeleted,
        3 => EventType::NodeDataChanged,
        4 => EventType::NodeChildrenChanged,
        _ => return None,
    };
    Some((kind, event.path?.into_owned()))
}

/// How many bytes the length of a frame lacks, or, if it is there, the frame. A length out of bounds lacks nothing.
fn missing_bytes(begun: &[u8]) -> usize {
    let Some((length, payload)) = begun.split_first_chunk::<4>() else { return 4 - begun.len() };
    usize::try_from(i32::from_be_bytes(*length)).map_or(0, |length| length.saturating_sub(payload.len()))
}

/// A frame's payload and what is behind it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Splits the first whole frame off. `Err` carries a length out of bounds.
fn split_frame(bytes: &[u8], length_max: usize) -> Result<Option<Split<'_>>, i32> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(size) if size <= length_max => Ok(rest.split_at_checked(size)),
        _ => Err(length),
    }
}
