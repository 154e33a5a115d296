//! The floor with epoll: one read and one write for each request, nothing else. No parsing, no table, no log.

use crate::{REPLY, REQUEST};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{Read, Write};

pub fn serve() {
    let mut poll = Poll::new().expect("poll");
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).expect("register");
    println!("{}", listener.local_addr().expect("address").port());
    let mut conns: Vec<TcpStream> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let mut replies = vec![0; REPLY];
    replies[..4].copy_from_slice(&(REPLY as u32 - 4).to_be_bytes());
    loop {
        poll.poll(&mut events, None).expect("poll");
        for event in &events {
            let Some(index) = event.token().0.checked_sub(1) else {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true).expect("nodelay");
                    let token = Token(conns.len() + 1);
                    poll.registry().register(&mut stream, token, Interest::READABLE).expect("register");
                    conns.push(stream);
                }
                continue;
            };
            let Ok(bytes) = conns[index].read(&mut buffer) else { continue };
            assert!(bytes % REQUEST == 0 && bytes <= REQUEST, "the floor is that of depth 1");
            if bytes > 0 {
                let _ = conns[index].write(&replies);
            }
        }
    }
}
