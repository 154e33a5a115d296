//! Requests on standing connections, a fixed number of them unanswered on each.

use crate::args::Args;
use crate::connection::{Connection, Heard};
use crate::error::BenchError;
use crate::frames::Frames;
use crate::lister::Lister;
use crate::meter::Meter;
use crate::traffic::{Traffic, open, register};
use mio::Registry;

pub(crate) struct Requests {
    depth: usize,
    connections: Vec<Connection>,
    lister: Option<Lister>,
    used_up: bool,
}

impl Requests {
    /// Connects everybody.
    pub(crate) fn new(args: &Args, registry: &Registry) -> Result<Requests, BenchError> {
        let mut connections = Vec::new();
        for (number, address) in (0..args.clients).zip(args.address.split(',').cycle()) {
            let mut stream = open(address)?;
            register(registry, &mut stream, number)?;
            connections.push(Connection::new(stream, Frames::new(args, number)));
        }
        let mut lister = args.list.as_deref().map(|path| Lister::new(args, path)).transpose()?;
        if let Some(lister) = &mut lister {
            register(registry, &mut lister.stream, args.clients)?;
        }
        Ok(Requests { depth: args.depth, connections, lister, used_up: false })
    }

    /// Listings finished and the bytes of the last, with --list.
    pub(crate) fn listings(&self) -> Option<(u64, u64)> {
        self.lister.as_ref().map(|lister| (lister.count, lister.bytes))
    }

    fn read(&mut self, number: usize, buffer: &mut [u8], meter: &mut Meter) -> Result<(), BenchError> {
        let mut now_ns = 0;
        self.connections[number].read(buffer, |heard| {
            let Heard::Reply(sent) = heard else { return };
            if now_ns == 0 {
                now_ns = meter.now_ns();
            }
            meter.done(sent.since_ns, now_ns, sent.kind);
        })
    }

    /// Closed loop: every connection keeps its depth.
    fn refill(&mut self, number: usize, meter: &Meter) -> Result<(), BenchError> {
        let connection = &mut self.connections[number];
        if connection.unanswered.len() >= self.depth || self.used_up {
            return Ok(());
        }
        let now_ns = meter.now_ns();
        while connection.unanswered.len() < self.depth {
            if !connection.ask(now_ns) {
                self.used_up = true;
                break;
            }
        }
        connection.flush()
    }

    /// Open loop: what was due while the depth was reached goes as soon as there is room.
    fn send_overdue(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        while connection.unanswered.len() < self.depth
            && let Some(due_ns) = connection.overdue_ns.pop_front()
        {
            if !connection.ask(due_ns) {
                self.used_up = true;
                connection.overdue_ns.clear();
            }
        }
    }
}

impl Traffic for Requests {
    fn begin(&mut self, meter: &mut Meter) -> Result<(), BenchError> {
        (0..self.connections.len()).try_for_each(|number| self.refill(number, meter))
    }

    fn due(&mut self, number: u64, due_ns: u64, _: &mut Meter) -> Result<(), BenchError> {
        let number = (number % self.connections.len() as u64) as usize;
        self.connections[number].overdue_ns.push_back(due_ns);
        self.send_overdue(number);
        self.connections[number].flush()
    }

    fn ready(
        &mut self,
        number: usize,
        is_readable: bool,
        buffer: &mut [u8],
        meter: &mut Meter,
    ) -> Result<(), BenchError> {
        if number == self.connections.len() {
            return self.lister.as_mut().map_or(Ok(()), |lister| lister.read(buffer));
        }
        if is_readable {
            self.read(number, buffer, meter)?;
            if meter.refills {
                self.refill(number, meter)?;
            } else {
                self.send_overdue(number);
            }
        }
        self.connections[number].flush()
    }

    fn ping(&mut self) -> Result<(), BenchError> {
        for connection in &mut self.connections {
            connection.ping();
            connection.flush()?;
        }
        Ok(())
    }

    fn unanswered(&self) -> usize {
        let of = |connection: &Connection| connection.unanswered.len() + connection.overdue_ns.len();
        self.connections.iter().map(of).sum()
    }

    fn is_used_up(&self) -> bool {
        self.used_up
    }
}
