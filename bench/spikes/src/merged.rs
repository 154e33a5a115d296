//! Everything on one turn loop over mio, the log thread beside it.

use crate::log::Log;
use crate::{REQUEST, SET, Table, answer, key, table};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Conn {
    stream: TcpStream,
    out: Vec<u8>,
    dirty: bool,
}

pub fn serve() {
    let mut poll = Poll::new().expect("poll");
    let waker = Waker::new(poll.registry(), Token(1)).expect("waker");
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).expect("register");
    println!("{}", listener.local_addr().expect("address").port());
    let durable = Arc::new(AtomicU64::new(0));
    let asleep = Arc::new(AtomicBool::new(false));
    let log = {
        let (durable, asleep) = (Arc::clone(&durable), Arc::clone(&asleep));
        Log::start(move |total| {
            durable.store(total, Ordering::SeqCst);
            if asleep.swap(false, Ordering::SeqCst) {
                waker.wake().expect("wake");
            }
        })
    };
    let mut conns: Vec<Conn> = Vec::new();
    let mut waiting: VecDeque<(usize, [u8; REQUEST])> = VecDeque::new();
    let (mut applied, mut dirty) = (0, Vec::new());
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let mut table = table();
    loop {
        asleep.store(true, Ordering::SeqCst);
        let now = (durable.load(Ordering::SeqCst) > applied).then_some(std::time::Duration::ZERO);
        poll.poll(&mut events, now).expect("poll");
        asleep.store(false, Ordering::SeqCst);
        let mut sets = 0;
        for event in &events {
            match event.token() {
                Token(0) => accept(&poll, &listener, &mut conns),
                Token(1) => {}
                Token(token) => {
                    let index = token - 2;
                    let conn = &mut conns[index];
                    let Ok(bytes) = conn.stream.read(&mut buffer) else { continue };
                    for request in buffer[..bytes].chunks_exact(REQUEST) {
                        if request[11] == SET {
                            sets += 1;
                            waiting.push_back((index, request.try_into().expect("whole")));
                        } else {
                            answer(&table, request, &mut conn.out);
                            mark(conn, index, &mut dirty);
                        }
                    }
                }
            }
        }
        log.push(sets);
        let synced = durable.load(Ordering::SeqCst);
        while applied < synced {
            let (index, request) = waiting.pop_front().expect("logged");
            set(&mut table, &request);
            answer(&table, &request, &mut conns[index].out);
            mark(&mut conns[index], index, &mut dirty);
            applied += 1;
        }
        for index in dirty.drain(..) {
            let conn = &mut conns[index];
            conn.dirty = false;
            let _ = conn.stream.write(&conn.out);
            conn.out.clear();
        }
    }
}

pub fn set(table: &mut Table, request: &[u8]) {
    if let Some(data) = table.get_mut(&key(request)) {
        data[0] = data[0].wrapping_add(1);
    }
}

fn mark(conn: &mut Conn, index: usize, dirty: &mut Vec<usize>) {
    if !conn.dirty {
        conn.dirty = true;
        dirty.push(index);
    }
}

fn accept(poll: &Poll, listener: &TcpListener, conns: &mut Vec<Conn>) {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true).expect("nodelay");
        let token = Token(conns.len() + 2);
        poll.registry().register(&mut stream, token, Interest::READABLE).expect("register");
        conns.push(Conn { stream, out: Vec::new(), dirty: false });
    }
}
