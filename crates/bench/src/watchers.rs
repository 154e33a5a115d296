//! Watch fan-out: every client watches one node (a persistent watch), another connection sets it. An operation is one
//! notification; its latency counts from when the write was due or sent until the client has read the event.

use crate::args::{Args, Workload};
use crate::connection::{Connection, Heard};
use crate::error::BenchError;
use crate::frames::{Frames, key_path};
use crate::kind::Kind;
use crate::meter::Meter;
use crate::traffic::{Traffic, exchange, greet, open, register, standing};
use mio::Registry;
use ostler_model::Request;
use ostler_wire::client::ReplyHeader;
use ostler_wire::peer;
use std::collections::VecDeque;

pub(crate) struct Watchers {
    depth: usize,
    watchers: Vec<Watcher>,
    writer: Connection,
    /// Writes of which not everybody was told, oldest first.
    writes: VecDeque<Write>,
    /// Writes of which everybody was told.
    finished: u64,
    /// Writes that are due and wait for room.
    overdue_ns: VecDeque<u64>,
}

struct Watcher {
    connection: Connection,
    /// Events that it has got: one for each write, in their order.
    told: u64,
}

struct Write {
    since_ns: u64,
    untold: usize,
}

impl Watchers {
    /// Connects everybody and sets the watches.
    pub(crate) fn new(args: &Args, registry: &Registry) -> Result<Watchers, BenchError> {
        let of_writer = Args { workload: Workload::Set, keys: 1, ..args.clone() };
        let mut add_watch = Vec::new();
        let path = key_path(&args.root, 0);
        peer::encode_request(&mut add_watch, 1, &Request::AddWatch { path: Some(path.into()), recursive: false });
        let mut watchers = Vec::new();
        for (number, address) in (0..args.clients).zip(args.address.split(',').cycle()) {
            let mut stream = greet(address)?;
            let reply = exchange(&mut stream, &add_watch).map_err(BenchError::Lost)?;
            match ReplyHeader::split(&reply) {
                Ok((header, _)) if header.err == 0 => (),
                Ok((header, _)) => return Err(BenchError::Refused(header.err)),
                Err(_) => return Err(BenchError::Malformed(reply.len() as i32)),
            }
            let mut stream = standing(stream)?;
            register(registry, &mut stream, number)?;
            // It asks for nothing; its frames are never used.
            watchers.push(Watcher { connection: Connection::new(stream, Frames::new(&of_writer, number)), told: 0 });
        }
        let mut stream = open(args.address.split(',').next().unwrap_or_default())?;
        register(registry, &mut stream, args.clients)?;
        let writer = Connection::new(stream, Frames::new(&of_writer, args.clients));
        let (writes, overdue_ns) = (VecDeque::new(), VecDeque::new());
        Ok(Watchers { depth: args.depth, watchers, writer, writes, finished: 0, overdue_ns })
    }

    fn write(&mut self, since_ns: u64) {
        self.writer.ask(since_ns);
        self.writes.push_back(Write { since_ns, untold: self.watchers.len() });
    }

    /// Sends what there is room for.
    fn write_more(&mut self, meter: &Meter) -> Result<(), BenchError> {
        while self.writes.len() < self.depth {
            let Some(since_ns) = self.overdue_ns.pop_front().or_else(|| meter.refills.then(|| meter.now_ns())) else {
                break;
            };
            self.write(since_ns);
        }
        self.writer.flush()
    }

    fn hear(&mut self, number: usize, buffer: &mut [u8], meter: &mut Meter) -> Result<(), BenchError> {
        let Watchers { watchers, writes, finished, .. } = self;
        let Watcher { connection, told } = &mut watchers[number];
        let mut surplus = false;
        connection.read(buffer, |heard| {
            let Heard::Event = heard else { return };
            match writes.get_mut((*told - *finished) as usize) {
                Some(write) => {
                    *told += 1;
                    write.untold -= 1;
                    meter.done(write.since_ns, meter.now_ns(), Kind::Set);
                }
                None => surplus = true,
            }
        })?;
        if surplus {
            return Err(BenchError::Surplus);
        }
        while writes.front().is_some_and(|write| write.untold == 0) {
            writes.pop_front();
            *finished += 1;
        }
        Ok(())
    }
}

impl Traffic for Watchers {
    fn begin(&mut self, meter: &mut Meter) -> Result<(), BenchError> {
        self.write_more(meter)
    }

    fn due(&mut self, _: u64, due_ns: u64, meter: &mut Meter) -> Result<(), BenchError> {
        self.overdue_ns.push_back(due_ns);
        self.write_more(meter)
    }

    fn ready(
        &mut self,
        number: usize,
        is_readable: bool,
        buffer: &mut [u8],
        meter: &mut Meter,
    ) -> Result<(), BenchError> {
        if number == self.watchers.len() {
            if is_readable {
                self.writer.read(buffer, |_| ())?;
            }
            return self.writer.flush();
        }
        if is_readable {
            self.hear(number, buffer, meter)?;
            self.write_more(meter)?;
        }
        self.watchers[number].connection.flush()
    }

    fn ping(&mut self) -> Result<(), BenchError> {
        let watchers = self.watchers.iter_mut().map(|watcher| &mut watcher.connection);
        for connection in watchers.chain([&mut self.writer]) {
            connection.ping();
            connection.flush()?;
        }
        Ok(())
    }

    fn unanswered(&self) -> usize {
        let untold: usize = self.writes.iter().map(|write| write.untold).sum();
        untold + self.overdue_ns.len() * self.watchers.len()
    }
}
