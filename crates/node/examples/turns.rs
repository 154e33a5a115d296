//! CPU time per operation of replica, shard and tree alone: no sockets, no disk (`cargo run --release --example turns
//! --features harness`). What a real server needs more than this is system calls.

#![allow(clippy::print_stdout, reason = "a measuring program")]
#![allow(clippy::unwrap_used, reason = "a measuring program")]

use ostler_model::{OpCode, SessionId, Zxid};
use ostler_node::harness::Harness;
use ostler_node::{ConnId, NodeConfig};
use ostler_wire::client::{ConnectRequest, FrameWriter, RequestHeader};

fn frame(xid: i32, op: OpCode, body: impl FnOnce(&mut FrameWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frame = FrameWriter::request(&mut out, RequestHeader { xid, op: op.code() });
    body(&mut frame);
    frame.finish();
    out
}

fn path(at: usize) -> String {
    format!("/bench-directory/a-name-of-24-chars-{at:04}")
}

fn get(at: usize) -> Vec<u8> {
    frame(1, OpCode::GetData, |frame| {
        frame.text(Some(&path(at)));
        frame.bool(false);
    })
}

fn set(at: usize) -> Vec<u8> {
    frame(1, OpCode::SetData, |frame| {
        frame.text(Some(&path(at)));
        frame.buffer(Some(&[7; 46]));
        frame.int(-1);
    })
}

fn create(path: &str) -> Vec<u8> {
    frame(1, OpCode::Create, |frame| {
        frame.text(Some(path));
        frame.buffer(Some(&[7; 46]));
        frame.int(1);
        frame.acl_entry(31, Some("world"), Some("anyone"));
        frame.int(0);
    })
}

fn server(clients: usize) -> (Harness, Vec<ConnId>) {
    let config = NodeConfig { connections_per_address_max: 0, ..NodeConfig::default() };
    let mut harness = Harness::new(config);
    let mut hello = Vec::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 40_000,
        session: SessionId::NONE,
        password: vec![0; 16],
        read_only: Some(false),
    };
    request.encode(&mut hello);
    let conns: Vec<ConnId> = (0..clients).map(|_| harness.open(0)).collect();
    for conn in &conns {
        harness.send(*conn, &hello);
    }
    harness.run();
    harness.send(conns[0], &create("/bench-directory"));
    for at in 0..1_000 {
        harness.send(conns[0], &create(&path(at)));
    }
    harness.run();
    (harness, conns)
}

/// CPU time of this thread so far (Linux).
fn cpu_ns() -> u64 {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    figures.split(' ').next().unwrap().parse().unwrap()
}

/// One round: every client sends `depth` requests, the loop runs until all are answered.
fn measure(name: &str, clients: usize, depth: usize, request: fn(usize) -> Vec<u8>) {
    let (mut harness, conns) = server(clients);
    let inputs: Vec<Vec<u8>> =
        (0..clients).map(|client| (0..depth).flat_map(|at| request((client * depth + at) % 1_000)).collect()).collect();
    let rounds = 400_000 / (clients * depth);
    let start_ns = cpu_ns();
    for _ in 0..rounds {
        for (conn, input) in conns.iter().zip(&inputs) {
            harness.send(*conn, input);
        }
        harness.run();
        harness.log.clear();
        for conn in &conns {
            std::hint::black_box(harness.receive(*conn));
        }
    }
    let operations = rounds * clients * depth;
    println!("{name} {clients:4} x {depth:3}: {:6.0} ns", (cpu_ns() - start_ns) as f64 / operations as f64);
}

fn main() {
    for (clients, depth) in [(128, 1), (10, 100)] {
        measure("get", clients, depth, get);
        measure("set", clients, depth, set);
    }
}
