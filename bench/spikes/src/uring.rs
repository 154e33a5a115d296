//! The floor with io_uring: receive and send of all ready sockets in one system call.

use crate::{REPLY, REQUEST};
use io_uring::{IoUring, opcode, squeue::Entry, types::Fd};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// Marks the completion of a send.
const SENT: u64 = 1 << 32;
const CLIENTS: usize = 128;

pub fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    println!("{}", listener.local_addr().expect("address").port());
    let conns: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let (stream, _) = listener.accept().expect("accept");
            stream.set_nodelay(true).expect("nodelay");
            stream
        })
        .collect();
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .build(512)
        .expect("this kernel has no io_uring");
    let mut buffers = vec![[0_u8; 256]; CLIENTS];
    let mut reply = [0_u8; REPLY];
    reply[..4].copy_from_slice(&(REPLY as u32 - 4).to_be_bytes());
    let mut queue: Vec<Entry> = Vec::new();
    for index in 0..CLIENTS {
        queue.push(receive(&conns[index], &mut buffers[index], index));
    }
    let mut done = Vec::new();
    loop {
        for entry in queue.drain(..) {
            // SAFETY: sockets, buffers and the reply live as long as the ring, and never move.
            unsafe { ring.submission().push(&entry).expect("two entries for each client fit") };
        }
        ring.submit_and_wait(1).expect("enter");
        done.extend(ring.completion().map(|completion| (completion.user_data(), completion.result())));
        for (data, result) in done.drain(..) {
            if data & SENT != 0 || result <= 0 {
                continue;
            }
            assert_eq!(result as usize, REQUEST, "the floor is that of depth 1");
            let index = data as usize;
            let send = opcode::Send::new(Fd(conns[index].as_raw_fd()), reply.as_ptr(), REPLY as u32);
            queue.push(send.build().user_data(SENT | data));
            queue.push(receive(&conns[index], &mut buffers[index], index));
        }
    }
}

fn receive(conn: &TcpStream, buffer: &mut [u8; 256], index: usize) -> Entry {
    opcode::Recv::new(Fd(conn.as_raw_fd()), buffer.as_mut_ptr(), 256).build().user_data(index as u64)
}
