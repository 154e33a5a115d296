//! The load generator: one thread, all clients non-blocking, each with a fixed number of requests under way.

use crate::{KEYS, REPLY, REQUEST, SET};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

struct Client {
    stream: TcpStream,
    sent: VecDeque<Instant>,
    partial: usize,
}

pub struct Load {
    poll: Poll,
    clients: Vec<Client>,
    depth: usize,
    set: bool,
    next: u64,
}

#[derive(Default)]
pub struct Outcome {
    pub operations: u64,
    latencies_us: Vec<u32>,
}

impl Outcome {
    pub fn percentile_us(&self, percent: f64) -> u32 {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        sorted.get((sorted.len() as f64 * percent / 100.0) as usize).copied().unwrap_or(0)
    }
}

impl Load {
    pub fn connect(port: u16, clients: usize, depth: usize, set: bool) -> Load {
        let poll = Poll::new().expect("poll");
        let clients = (0..clients)
            .map(|index| {
                let plain = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connect");
                plain.set_nodelay(true).expect("nodelay");
                plain.set_nonblocking(true).expect("nonblocking");
                let mut stream = TcpStream::from_std(plain);
                poll.registry().register(&mut stream, Token(index), Interest::READABLE).expect("register");
                Client { stream, sent: VecDeque::new(), partial: 0 }
            })
            .collect();
        let mut load = Load { poll, clients, depth, set, next: 0 };
        for index in 0..load.clients.len() {
            load.send(index, depth);
        }
        load
    }

    fn send(&mut self, index: usize, count: usize) {
        let mut bytes = Vec::with_capacity(count * REQUEST);
        for _ in 0..count {
            self.next += 1;
            bytes.extend((REQUEST as u32 - 4).to_be_bytes());
            bytes.extend((self.next as u32).to_be_bytes());
            bytes.extend(u32::from(if self.set { SET } else { 4 }).to_be_bytes());
            bytes.extend((self.next.wrapping_mul(7919) % KEYS).to_be_bytes());
        }
        let now = Instant::now();
        let client = &mut self.clients[index];
        client.sent.extend(std::iter::repeat_n(now, count));
        // A pipeline of this depth always fits the socket's buffer.
        client.stream.write_all(&bytes).expect("send");
    }

    pub fn run(&mut self, time: Duration) -> Outcome {
        let mut outcome = Outcome::default();
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 256 << 10];
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).expect("poll");
            let ready: Vec<usize> = events.iter().map(|event| event.token().0).collect();
            for index in ready {
                let mut done = 0;
                loop {
                    let client = &mut self.clients[index];
                    match client.stream.read(&mut buffer) {
                        Ok(0) => panic!("server closed"),
                        Ok(bytes) => {
                            client.partial += bytes;
                            while client.partial >= REPLY {
                                client.partial -= REPLY;
                                done += 1;
                                let sent = client.sent.pop_front().expect("a reply has a request");
                                outcome.latencies_us.push(sent.elapsed().as_micros() as u32);
                            }
                            if bytes < buffer.len() {
                                break;
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                outcome.operations += done as u64;
                if done > 0 {
                    self.send(index, done.min(self.depth));
                }
            }
        }
        outcome
    }
}
