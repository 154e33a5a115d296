//! The network: connections as two FIFO streams of bytes, as TCP gives them.
//!
//! Bytes are cut into pieces at random places and travel with random delays, never overtaking one another. A blocked
//! direction between two hosts stalls what is under way until it is opened again (TCP repeats what was lost); a
//! connection can be reset with any part of its bytes undelivered, or go black: one side believes in it and nobody
//! answers. A host without power answers nothing; a host without the process refuses. Buffers are bounded: a sender
//! whose peer does not read is told to wait.

use crate::frames::Frames;
use crate::heap::Micros;
use ostler_model::Dice;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A machine.
pub type Host = usize;
/// What a host listens on.
pub type Port = u16;

/// One side of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct End {
    /// Which connection; never reused.
    pub link: usize,
    /// 0 = the side that dialled.
    pub side: usize,
}

/// What a side knows of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Dialled, not answered yet.
    Opening,
    /// Bytes can be exchanged.
    Open,
    /// The other side closed, and everything it sent was read.
    Ended,
    /// Refused or reset.
    Reset,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    Dial,
    Answer,
    Data(Vec<u8>),
    Fin,
    Reset,
}

/// From one side to the other.
#[derive(Debug, Default)]
struct Pipe {
    queue: VecDeque<(Micros, Segment)>,
    /// Bytes sent and not read: under way or in the inbox.
    unread: usize,
    inbox: VecDeque<u8>,
    last_arrival: Micros,
    /// An event for the head of the queue is planned.
    planned: bool,
    /// The sender was refused room.
    starved: bool,
    /// Swallows everything.
    black: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// The accepting side before the dial arrives.
    Unborn,
    Opening,
    Open,
    Reset,
    /// Its process has forgotten it.
    Gone,
}

#[derive(Debug)]
struct Side {
    host: Host,
    life: Life,
    fin: bool,
    /// When a frame was last complete in the host's buffers, read by the process or not.
    heard_at: Micros,
    frames: Frames,
}

#[derive(Debug)]
struct Link {
    port: Port,
    sides: [Side; 2],
    /// `pipes[0]` leads from side 0 to side 1.
    pipes: [Pipe; 2],
}

/// How the network behaves in this run.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Usual one-way delay.
    pub delay_us: u64,
    /// Pieces are at most about this long.
    pub piece_bytes: usize,
    /// Bytes sent and not read that one direction holds.
    pub buffer_bytes: usize,
}

/// All connections.
#[derive(Debug)]
pub struct Net {
    dice: Dice,
    /// How it behaves.
    pub weather: Weather,
    links: Vec<Link>,
    powered: BTreeMap<Host, bool>,
    listening: BTreeSet<(Host, Port)>,
    accepts: BTreeMap<(Host, Port), VecDeque<End>>,
    blocked: BTreeSet<(Host, Host)>,
    /// Extra delay of a direction.
    slow: BTreeMap<(Host, Host), u64>,
    plans: Vec<(Micros, usize, usize)>,
    wakes: BTreeSet<Host>,
}

impl Net {
    /// No hosts, no connections.
    pub fn new(dice: Dice, weather: Weather) -> Net {
        Net {
            dice,
            weather,
            links: Vec::new(),
            powered: BTreeMap::new(),
            listening: BTreeSet::new(),
            accepts: BTreeMap::new(),
            blocked: BTreeSet::new(),
            slow: BTreeMap::new(),
            plans: Vec::new(),
            wakes: BTreeSet::new(),
        }
    }

    /// Arrivals to be planned: (when, link, direction) for [`Net::arrive`].
    pub fn take_plans(&mut self) -> Vec<(Micros, usize, usize)> {
        std::mem::take(&mut self.plans)
    }

    /// Hosts whose process has something to look at.
    pub fn take_wakes(&mut self) -> BTreeSet<Host> {
        std::mem::take(&mut self.wakes)
    }

    /// Connections that somebody still knows.
    pub fn live_links(&self) -> Vec<usize> {
        let lives = |link: &Link| link.sides.iter().all(|side| matches!(side.life, Life::Open | Life::Opening));
        (0..self.links.len()).filter(|index| lives(&self.links[*index])).collect()
    }

    /// Starts or stops listening; what was not accepted is reset.
    pub fn listen(&mut self, now: Micros, host: Host, port: Port, on: bool) {
        if on {
            self.listening.insert((host, port));
        } else {
            self.listening.remove(&(host, port));
            for end in self.accepts.remove(&(host, port)).unwrap_or_default() {
                self.abort(now, end);
            }
        }
    }

    /// Dials; watch [`Net::status`].
    pub fn dial(&mut self, now: Micros, from: Host, to: Host, port: Port) -> End {
        let side = |host, life| Side { host, life, fin: false, heard_at: now, frames: Frames::default() };
        self.links.push(Link {
            port,
            sides: [side(from, Life::Opening), side(to, Life::Unborn)],
            pipes: [Pipe::default(), Pipe::default()],
        });
        let end = End { link: self.links.len() - 1, side: 0 };
        self.put(now, end, Segment::Dial);
        end
    }

    /// The next connection that arrived at a port.
    pub fn accept(&mut self, host: Host, port: Port) -> Option<End> {
        self.accepts.get_mut(&(host, port))?.pop_front()
    }

    /// The host at the other side.
    pub fn peer(&self, end: End) -> Host {
        self.links[end.link].sides[1 - end.side].host
    }

    /// What this side knows.
    pub fn status(&self, end: End) -> Status {
        let link = &self.links[end.link];
        match link.sides[end.side].life {
            Life::Unborn | Life::Opening => Status::Opening,
            Life::Open if link.sides[end.side].fin && link.pipes[1 - end.side].inbox.is_empty() => Status::Ended,
            Life::Open => Status::Open,
            Life::Reset | Life::Gone => Status::Reset,
        }
    }

    /// When a whole frame last reached this side's host.
    pub fn heard_at(&self, end: End) -> Micros {
        self.links[end.link].sides[end.side].heard_at
    }

    /// Bytes that wait for this side.
    pub fn readable(&self, end: End) -> usize {
        self.links[end.link].pipes[1 - end.side].inbox.len()
    }

    /// Takes up to `most` of them.
    pub fn read(&mut self, end: End, most: usize) -> Vec<u8> {
        let link = &mut self.links[end.link];
        let pipe = &mut link.pipes[1 - end.side];
        let count = most.min(pipe.inbox.len());
        let bytes: Vec<u8> = pipe.inbox.drain(..count).collect();
        pipe.unread -= count;
        if count > 0 && std::mem::take(&mut pipe.starved) {
            self.wakes.insert(link.sides[1 - end.side].host);
        }
        bytes
    }

    /// Sends; returns how many bytes were taken. The rest has to wait until the host is woken.
    pub fn write(&mut self, now: Micros, end: End, bytes: &[u8]) -> usize {
        let room_max = self.weather.buffer_bytes;
        let link = &mut self.links[end.link];
        if link.sides[end.side].life != Life::Open {
            return bytes.len();
        }
        let pipe = &mut link.pipes[end.side];
        let taken = bytes.len().min(room_max.saturating_sub(pipe.unread));
        pipe.starved |= taken < bytes.len();
        pipe.unread += taken;
        if pipe.black {
            return taken;
        }
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let most = if self.dice.percent(10) { 8 } else { self.weather.piece_bytes };
            let (piece, behind) = rest.split_at(self.dice.between(1, most as u64).min(rest.len() as u64) as usize);
            self.put(now, end, Segment::Data(piece.to_vec()));
            rest = behind;
        }
        taken
    }

    /// Closes in order: what was sent arrives.
    pub fn close(&mut self, now: Micros, end: End) {
        self.leave(now, end, Segment::Fin);
    }

    /// Resets: what was sent may be lost from any byte on.
    pub fn abort(&mut self, now: Micros, end: End) {
        self.lose_some(end);
        self.leave(now, end, Segment::Reset);
    }

    fn leave(&mut self, now: Micros, end: End, last: Segment) {
        let before = std::mem::replace(&mut self.links[end.link].sides[end.side].life, Life::Gone);
        let pipe = &mut self.links[end.link].pipes[1 - end.side];
        pipe.inbox.clear();
        if matches!(before, Life::Open | Life::Opening) && !self.links[end.link].pipes[end.side].black {
            self.put(now, end, last);
        }
    }

    /// The network loses a connection: both sides are reset, or only `told`, and the other one goes black.
    pub fn cut(&mut self, now: Micros, link: usize, told: Option<usize>) {
        for side in 0..2 {
            let end = End { link, side };
            self.lose_some(end);
            let other = 1 - side;
            if told.is_none_or(|told| told == other) {
                self.put(now, end, Segment::Reset);
            } else {
                self.links[link].pipes[side].queue.clear();
            }
            self.links[link].pipes[side].black = true;
        }
    }

    /// The process of a host died: the operating system resets or closes its connections.
    pub fn process_died(&mut self, now: Micros, host: Host) {
        self.stop_listening(now, host);
        for end in self.ends_of(host) {
            if self.dice.percent(50) {
                self.close(now, end);
            } else {
                self.abort(now, end);
            }
        }
    }

    /// The host lost power: nobody is told, what was under way to it is lost.
    pub fn power_off(&mut self, now: Micros, host: Host) {
        self.powered.insert(host, false);
        let ends = self.ends_of(host);
        for end in ends {
            let link = &mut self.links[end.link];
            link.sides[end.side].life = Life::Gone;
            link.pipes[1 - end.side].inbox.clear();
        }
        self.stop_listening(now, host);
    }

    /// It runs again, with nothing listening.
    pub fn power_on(&mut self, host: Host) {
        self.powered.insert(host, true);
    }

    fn stop_listening(&mut self, now: Micros, host: Host) {
        let ports: Vec<Port> = self.listening.iter().filter(|(at, _)| *at == host).map(|(_, port)| *port).collect();
        for port in ports {
            self.listen(now, host, port, false);
        }
    }

    fn ends_of(&self, host: Host) -> Vec<End> {
        let mut ends = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            for (side, state) in link.sides.iter().enumerate() {
                if state.host == host && !matches!(state.life, Life::Gone | Life::Unborn) {
                    ends.push(End { link: index, side });
                }
            }
        }
        ends
    }

    /// From now on bytes travel at least this fast, and no connection holds fewer of them.
    pub fn calm_down(&mut self, delay_us: u64, buffer_bytes: usize) {
        self.weather.delay_us = self.weather.delay_us.min(delay_us);
        self.weather.buffer_bytes = self.weather.buffer_bytes.max(buffer_bytes);
    }

    /// Blocks a direction.
    pub fn block(&mut self, from: Host, to: Host) {
        self.blocked.insert((from, to));
    }

    /// Delays a direction by this much more.
    pub fn slow_down(&mut self, from: Host, to: Host, extra_us: u64) {
        self.slow.insert((from, to), extra_us);
    }

    /// Everything gets through again, in time; what is black stays black until its side gives up.
    pub fn heal(&mut self, now: Micros) {
        self.slow.clear();
        self.unblock(now, |_, _| true);
    }

    /// Opens the directions for which `which` says so.
    pub fn unblock(&mut self, now: Micros, which: impl Fn(Host, Host) -> bool) {
        self.blocked.retain(|(from, to)| !which(*from, *to));
        for index in 0..self.links.len() {
            for side in 0..2 {
                let pipe = &self.links[index].pipes[side];
                if !pipe.planned && !pipe.queue.is_empty() {
                    self.plan(now + 1, index, side);
                }
            }
        }
    }

    fn is_powered(&self, host: Host) -> bool {
        self.powered.get(&host).copied().unwrap_or(true)
    }

    /// Drops a random part of what is under way from this side: a prefix of the bytes still arrives.
    fn lose_some(&mut self, end: End) {
        let pipe = &mut self.links[end.link].pipes[end.side];
        let keep = self.dice.index(pipe.queue.len() + 1);
        pipe.queue.truncate(keep);
    }

    fn put(&mut self, now: Micros, from: End, segment: Segment) {
        let link = &mut self.links[from.link];
        let hosts = (link.sides[from.side].host, link.sides[1 - from.side].host);
        let pipe = &mut link.pipes[from.side];
        if pipe.black {
            return;
        }
        let extra_us = self.slow.get(&hosts).copied().unwrap_or(0);
        let delay_us = self.dice.long_tailed(self.weather.delay_us, self.weather.delay_us * 50) + extra_us;
        let arrival = (now + delay_us).max(pipe.last_arrival);
        pipe.last_arrival = arrival;
        pipe.queue.push_back((arrival, segment));
        if !pipe.planned && pipe.queue.len() == 1 {
            self.plan(arrival, from.link, from.side);
        }
    }

    fn plan(&mut self, at: Micros, link: usize, side: usize) {
        self.links[link].pipes[side].planned = true;
        self.plans.push((at, link, side));
    }

    /// The head of a direction's queue arrives.
    pub fn arrive(&mut self, now: Micros, index: usize, side: usize) {
        let link = &mut self.links[index];
        let hosts = (link.sides[side].host, link.sides[1 - side].host);
        let pipe = &mut link.pipes[side];
        pipe.planned = false;
        let Some((arrival, _)) = pipe.queue.front() else { return };
        if *arrival > now {
            let at = *arrival;
            return self.plan(at, index, side);
        }
        if self.blocked.contains(&hosts) {
            return;
        }
        let (_, segment) = pipe.queue.pop_front().expect("just seen");
        if let Some((next, _)) = pipe.queue.front() {
            let at = (*next).max(now);
            self.plan(at, index, side);
        }
        if self.is_powered(hosts.1) {
            self.take(now, End { link: index, side: 1 - side }, segment);
        }
    }

    /// A segment reaches its side.
    fn take(&mut self, now: Micros, end: End, segment: Segment) {
        let link = &mut self.links[end.link];
        let port = link.port;
        let side = &mut link.sides[end.side];
        let host = side.host;
        match (segment, side.life) {
            (Segment::Dial, Life::Unborn) => {
                if self.listening.contains(&(host, port)) {
                    side.life = Life::Open;
                    side.heard_at = now;
                    self.accepts.entry((host, port)).or_default().push_back(end);
                    self.put(now, end, Segment::Answer);
                } else {
                    side.life = Life::Gone;
                    return self.put(now, end, Segment::Reset);
                }
            }
            (Segment::Answer, Life::Opening) => side.life = Life::Open,
            (Segment::Data(bytes), Life::Open) => {
                if side.frames.end_in(&bytes) {
                    side.heard_at = now;
                }
                link.pipes[1 - end.side].inbox.extend(bytes);
            }
            (Segment::Fin, Life::Open) => side.fin = true,
            (Segment::Reset, Life::Open | Life::Opening) => {
                // What arrived before can still be read, as on Linux.
                side.life = Life::Reset;
            }
            (Segment::Data(_) | Segment::Fin, Life::Gone) => {
                // A host that does not know the connection (any more).
                return self.put(now, end, Segment::Reset);
            }
            _ => return,
        }
        self.wakes.insert(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net() -> Net {
        let weather = Weather { delay_us: 100, piece_bytes: 5, buffer_bytes: 64 };
        let mut net = Net::new(Dice::new(1), weather);
        net.listen(0, 1, 80, true);
        net
    }

    /// Lets everything arrive.
    fn settle(net: &mut Net, now: &mut Micros) {
        loop {
            let mut plans = net.take_plans();
            plans.sort_unstable();
            if plans.is_empty() {
                return;
            }
            for (at, link, side) in plans {
                *now = at.max(*now);
                net.arrive(*now, link, side);
            }
        }
    }

    fn pair(net: &mut Net, now: &mut Micros) -> (End, End) {
        let client = net.dial(*now, 0, 1, 80);
        settle(net, now);
        let server = net.accept(1, 80).unwrap();
        assert_eq!((net.status(client), net.status(server)), (Status::Open, Status::Open));
        (client, server)
    }

    #[test]
    fn bytes_arrive_in_order_within_the_buffer() {
        let (mut net, mut now) = (net(), 0);
        let (client, server) = pair(&mut net, &mut now);
        let sent: Vec<u8> = (0..100).collect();
        let first = net.write(now, client, &sent);
        assert_eq!(first, 64);
        settle(&mut net, &mut now);
        net.take_wakes();
        let mut got = net.read(server, 1_000);
        assert!(net.take_wakes().contains(&0), "the sender learns that there is room");
        net.write(now, client, &sent[first..]);
        net.close(now, client);
        settle(&mut net, &mut now);
        assert_eq!(net.status(server), Status::Open);
        got.extend(net.read(server, 1_000));
        assert_eq!((got, net.status(server)), (sent, Status::Ended));
    }

    #[test]
    fn blocked_directions_stall_and_go_on() {
        let (mut net, mut now) = (net(), 0);
        let (client, server) = pair(&mut net, &mut now);
        net.block(0, 1);
        net.write(now, client, b"hello");
        net.write(now, server, b"world");
        settle(&mut net, &mut now);
        assert_eq!((net.readable(server), net.readable(client)), (0, 5));
        net.heal(now);
        settle(&mut net, &mut now);
        assert_eq!(net.read(server, 9), b"hello");
    }

    #[test]
    fn nobody_listens_or_nobody_is_there() {
        let (mut net, mut now) = (net(), 0);
        let refused = net.dial(now, 0, 1, 81);
        settle(&mut net, &mut now);
        assert_eq!(net.status(refused), Status::Reset);
        let (client, _) = pair(&mut net, &mut now);
        net.power_off(now, 1);
        let hanging = net.dial(now, 0, 1, 80);
        net.write(now, client, b"x");
        settle(&mut net, &mut now);
        assert_eq!((net.status(hanging), net.status(client)), (Status::Opening, Status::Open));
        net.power_on(1);
        net.write(now, client, b"x");
        settle(&mut net, &mut now);
        assert_eq!(net.status(client), Status::Reset, "the restarted host does not know the connection");
    }

    #[test]
    fn a_cut_loses_a_tail_and_may_leave_one_side_in_the_dark() {
        for seed in 0..50 {
            let (mut net, mut now) = (net(), 0);
            net.dice = Dice::new(seed);
            let (client, server) = pair(&mut net, &mut now);
            net.write(now, client, b"0123456789");
            net.cut(now, client.link, Some(0));
            settle(&mut net, &mut now);
            assert_eq!((net.status(client), net.status(server)), (Status::Reset, Status::Open));
            net.write(now, server, b"anybody?");
            settle(&mut net, &mut now);
            assert_eq!(net.status(server), Status::Open);
        }
    }
}
