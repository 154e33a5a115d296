//! The task behind a client: one session core, one socket, and everything that waits, in one `select`.

use crate::address::Host;
use crate::aio::error::Error;
use crate::aio::listeners::Listeners;
use crate::aio::shared::{Item, Shared};
use crate::aio::socket::{Happening, Probe, Socket};
use crate::aio::tls::Tls;
use crate::aio::waiting::Waiting;
use crate::aio::watcher::Kind;
use crate::calls::Answer;
use crate::effect::{Cause, Effect, RawReply, RequestError, RequestId, SessionState};
use crate::prepared::Prepared;
use crate::session::Session;
use ostler_model::{ErrorCode, OpCode, Request};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes to write before no more requests are taken from the queue.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// The longest sleep; the session core has earlier deadlines while it lives.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// Everything the task owns.
#[derive(Debug)]
pub(crate) struct Driver {
    session: Session,
    hosts: Vec<Host>,
    tls: Option<Tls>,
    shared: Arc<Shared>,
    started: Instant,
    socket: Socket,
    probe: Probe,
    asked: Waiting,
    removing: HashMap<RequestId, (String, Kind)>,
    /// Watches to remove when there is room for the request.
    unneeded: BTreeSet<(String, Kind)>,
    listeners: Listeners,
    was_connected: bool,
}

impl Driver {
    /// `session` was made at `started` (its time 0).
    pub fn new(session: Session, started: Instant, hosts: Vec<Host>, tls: Option<Tls>, shared: Arc<Shared>) -> Driver {
        Driver {
            session,
            hosts,
            tls,
            shared,
            started,
            socket: Socket::default(),
            probe: Probe::default(),
            asked: Waiting::default(),
            removing: HashMap::new(),
            unneeded: BTreeSet::new(),
            listeners: Listeners::default(),
            was_connected: false,
        }
    }

    /// Runs until the session has ended.
    pub async fn run(mut self) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.take_items();
            self.effects();
            if self.session.has_ended() {
                return;
            }
            let deadline = self.session.next_deadline_ms().map(|ms| self.started + Duration::from_millis(ms));
            let deadline = deadline.unwrap_or_else(|| Instant::now() + SLEEP_MAX);
            let happening = tokio::select! {
                happening = self.socket.next(&mut buffer) => happening,
                happening = self.probe.next() => happening,
                () = self.shared.wake.notified() => {
                    // Whoever else is ready to ask does so first: one write for all of them instead of one for the first.
                    tokio::task::yield_now().await;
                    Happening::Nothing
                }
                () = tokio::time::sleep_until(deadline) => Happening::Nothing,
            };
            let now = self.now_ms();
            match happening {
                Happening::Nothing => (),
                Happening::Connected(link) => self.session.connected(now, link),
                Happening::Read(link, bytes) => self.session.received(now, link, &buffer[..bytes]),
                Happening::Lost(link, why) => self.session.link_down(now, link, why),
                Happening::Probed(server, can_write) => self.session.probed(now, server, can_write),
            }
            self.session.tick(now);
            self.effects();
        }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Takes from the queue what the session has room for.
    fn take_items(&mut self) {
        let now = self.now_ms();
        for (path, kind) in self.shared.take_left() {
            self.listeners.left(path, kind);
        }
        self.remove_unneeded(now);
        if self.shared.is_closing() && !self.session.is_connected() {
            self.session.close(now);
        }
        while self.socket.unwritten() < OUTPUT_BYTES_MAX && self.session.check_room().is_ok() {
            match self.shared.pop() {
                None => break,
                Some(Item::Close) => self.session.close(now),
                Some(Item::Auth { slot, scheme, auth }) => {
                    let id = self.session.add_auth(now, &scheme, &auth).expect("there is room");
                    self.asked.insert(id, slot, None);
                }
                Some(Item::Ask { slot, watch }) => {
                    let Some(request) = slot.take() else { continue };
                    if let Some(watch) = &watch {
                        self.listeners.coming(watch);
                    }
                    let id = self.session.submit_prepared(now, request).expect("there is room");
                    self.asked.insert(id, slot, watch);
                }
            }
            // Its bytes go where the loop counts them.
            self.effects();
        }
    }

    fn remove_unneeded(&mut self, now: u64) {
        self.unneeded.extend(self.listeners.take_unneeded(self.session.watches()));
        while self.session.check_room().is_ok() {
            let Some((path, kind)) = self.unneeded.pop_first() else { return };
            // It may be needed again by now, or be on its way.
            self.listeners.left(path.clone(), kind);
            if self.listeners.take_unneeded(self.session.watches()).is_empty()
                || self.removing.values().any(|(other, same)| *other == path && *same == kind)
            {
                continue;
            }
            let request = Request::RemoveWatches { path: Some(path.as_str().into()), kind: kind.wire() };
            let id = self.session.submit_prepared(now, Prepared::new(&request)).expect("there is room");
            self.removing.insert(id, (path, kind));
        }
    }

    fn effects(&mut self) {
        while let Some(effect) = self.session.take_effect() {
            match effect {
                Effect::Connect { link, server } => {
                    self.socket.dial(link, self.hosts[server].clone(), self.tls.clone());
                }
                Effect::Send { link, bytes } => self.socket.send(link, bytes),
                Effect::Disconnect { link } => self.socket.close(link),
                Effect::Probe { server } => self.probe.begin(server, self.hosts[server].clone(), self.tls.clone()),
                Effect::Reply { id, op, result } => self.reply(id, op, result),
                Effect::Event(event) => {
                    let chroot = &self.shared.chroot;
                    self.listeners.event(&event, |path| chroot.inside(path).to_owned());
                }
                Effect::State(state) => self.state(&state),
            }
        }
    }

    fn reply(&mut self, id: RequestId, op: OpCode, result: Result<RawReply, RequestError>) {
        if !self.removing.is_empty()
            && let Some((path, kind)) = self.removing.remove(&id)
        {
            // Lost on the way, or refused: looked at again.
            if result.is_err() {
                self.listeners.left(path, kind);
            }
            return;
        }
        let Some((slot, watch)) = self.asked.remove(id) else { return };
        if let Some(watch) = watch {
            let err = result.as_ref().map(|reply| reply.err);
            let is_absent = op == OpCode::Exists && err == Ok(ErrorCode::NoNode.code());
            self.listeners.arrived(watch, err == Ok(0) || is_absent);
        }
        slot.finish(result.map(|raw| Answer { op, raw }).map_err(|error| Error::of(error, true)));
    }

    fn state(&mut self, state: &SessionState) {
        match state {
            SessionState::Connected { again, .. } => {
                self.was_connected = true;
                if *again {
                    self.listeners.missed();
                }
            }
            SessionState::Suspended(cause) => {
                // Nothing asked before a loss takes effect after it; a move loses nothing.
                if std::mem::take(&mut self.was_connected) && *cause != Cause::Moving {
                    self.shared.fail_waiting(&Error::ConnectionLoss { sent: false, why: cause.clone() });
                }
            }
            SessionState::Expired | SessionState::AuthFailed | SessionState::Closed => (),
        }
        self.shared.publish(state);
        let end = match state {
            SessionState::Expired => Error::SessionExpired,
            SessionState::AuthFailed => Error::AuthFailed { sent: false },
            SessionState::Closed => Error::Closed { sent: false },
            SessionState::Connected { .. } | SessionState::Suspended(_) => return,
        };
        self.listeners.end();
        self.shared.end(&end);
    }
}

impl Drop for Driver {
    /// Also when the runtime goes: nobody waits for a task that is no more.
    fn drop(&mut self) {
        self.listeners.end();
        for slot in self.asked.drain() {
            slot.finish(Err(Error::Closed { sent: true }));
        }
        if !self.session.has_ended() {
            self.shared.publish(&SessionState::Closed);
            self.shared.end(&Error::Closed { sent: false });
        }
    }
}
