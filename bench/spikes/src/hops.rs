//! Four hops: a network thread (reads, gets, writes), a replica thread, the log thread, and back the same way.

use crate::log::Log;
use crate::merged::set;
use crate::{REQUEST, SET, answer, table};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, RwLock};

type Request = (usize, [u8; REQUEST]);

enum ToReplica {
    Submit(Vec<Request>),
    Synced(u64),
}

pub fn serve() {
    let mut poll = Poll::new().expect("poll");
    let waker = Waker::new(poll.registry(), Token(1)).expect("waker");
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).expect("register");
    println!("{}", listener.local_addr().expect("address").port());
    let shared = Arc::new(RwLock::new(table()));
    let (to_replica, inbox) = channel();
    let (to_network, applied) = channel();
    let log = {
        let to_replica = to_replica.clone();
        Log::start(move |total| drop(to_replica.send(ToReplica::Synced(total))))
    };
    {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || replica(&inbox, &log, &shared, &to_network, &waker));
    }
    let mut conns: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let mut dirty = Vec::new();
    loop {
        poll.poll(&mut events, None).expect("poll");
        let mut sets = Vec::new();
        let table = shared.read().expect("lock");
        for event in &events {
            match event.token() {
                Token(0) => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.set_nodelay(true).expect("nodelay");
                        let token = Token(conns.len() + 2);
                        poll.registry().register(&mut stream, token, Interest::READABLE).expect("register");
                        conns.push((stream, Vec::new()));
                    }
                }
                Token(1) => {}
                Token(token) => {
                    let index = token - 2;
                    let (stream, out) = &mut conns[index];
                    let Ok(bytes) = stream.read(&mut buffer) else { continue };
                    for request in buffer[..bytes].chunks_exact(REQUEST) {
                        if request[11] == SET {
                            sets.push((index, request.try_into().expect("whole")));
                        } else {
                            answer(&table, request, out);
                            dirty.push(index);
                        }
                    }
                }
            }
        }
        while let Ok(batch) = applied.try_recv() {
            let batch: Vec<Request> = batch;
            for (index, request) in batch {
                answer(&table, &request, &mut conns[index].1);
                dirty.push(index);
            }
        }
        drop(table);
        if !sets.is_empty() {
            to_replica.send(ToReplica::Submit(sets)).expect("replica");
        }
        for index in dirty.drain(..) {
            let (stream, out) = &mut conns[index];
            if !out.is_empty() {
                let _ = stream.write(out);
                out.clear();
            }
        }
    }
}

fn replica(
    inbox: &Receiver<ToReplica>,
    log: &Log,
    shared: &RwLock<crate::Table>,
    to_network: &Sender<Vec<Request>>,
    waker: &Waker,
) {
    let mut window: std::collections::VecDeque<Request> = std::collections::VecDeque::new();
    let mut applied = 0;
    while let Ok(message) = inbox.recv() {
        match message {
            ToReplica::Submit(requests) => {
                log.push(requests.len() as u64);
                window.extend(requests);
            }
            ToReplica::Synced(total) => {
                let batch: Vec<Request> = window.drain(..(total - applied) as usize).collect();
                applied = total;
                let mut table = shared.write().expect("lock");
                for (_, request) in &batch {
                    set(&mut table, request);
                }
                drop(table);
                to_network.send(batch).expect("network");
                waker.wake().expect("wake");
            }
        }
    }
}
