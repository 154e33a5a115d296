//! A decoder allocates no more than a small multiple of its input, whatever lengths and counts the input claims, and
//! whether or not it decodes in the end. One test alone in this file: the counters are those of the whole process.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use ostler_model::OpCode;
use ostler_wire::client::{ConnectRequest, ReplyHeader, RequestHeader, decode_request};
use ostler_wire::election::{Handshake, Notification, split_frame};
use ostler_wire::quorum::{ToLeader, ToLearner};
use ostler_wire::{peer, txn};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LENGTH_MAX: usize = 0xf_ffff;
/// Bytes allocated per byte of input: the largest element (an ACL entry, 56 bytes) from the fewest bytes (a claimed
/// count is believed only up to the bytes that are left), and a vector's growth.
const FACTOR: usize = 128;
const CLAIMS: [i32; 8] = [i32::MAX, 0x00ff_ffff, 0x000f_ffff, 0xffff, 0xff, 64, 3, -1];

fn decode(target: &str, bytes: &[u8]) {
    match target {
        "connect" => drop(ConnectRequest::decode(bytes, LENGTH_MAX)),
        "request" => {
            if let Ok((header, body)) = RequestHeader::split(bytes)
                && let Some(op) = OpCode::from_i32(header.op)
            {
                drop(decode_request(op, body, LENGTH_MAX));
            }
        }
        "multi" => {
            drop(decode_request(OpCode::Multi, bytes, LENGTH_MAX));
            drop(decode_request(OpCode::MultiRead, bytes, LENGTH_MAX));
        }
        "reply" => {
            if let Some((op, payload)) = bytes.split_first_chunk::<4>()
                && let Some(op) = OpCode::from_i32(i32::from_be_bytes(*op))
                && let Ok((header, body)) = ReplyHeader::split(payload)
            {
                drop(peer::decode_reply(op, &header, body));
            }
        }
        "txn_record" => drop(txn::decode(bytes, LENGTH_MAX)),
        "to_leader" => drop(ToLeader::decode(bytes, LENGTH_MAX)),
        "to_learner" => drop(ToLearner::decode(bytes, LENGTH_MAX)),
        "handshake" => drop(Handshake::decode(bytes)),
        "notification" => {
            if let Ok(Some((content, _))) = split_frame(bytes) {
                drop(Notification::decode(content));
            }
            drop(bytes.get(4..).map(Notification::decode));
        }
        other => panic!("no decoder for {other}"),
    }
}

#[test]
fn claims_are_not_believed() {
    let mut decoded = 0;
    let client = ["connect", "request", "multi", "reply", "txn_record"];
    let servers = ["to_leader", "to_learner", "handshake", "notification"];
    for target in client.into_iter().chain(servers) {
        for seed in ostler_garbage::corpus(target) {
            for at in 0..seed.len().saturating_sub(3) {
                for claim in CLAIMS {
                    let mut bytes = seed.clone();
                    bytes[at..at + 4].copy_from_slice(&claim.to_be_bytes());
                    let region = Region::new(ALLOCATOR);
                    decode(target, &bytes);
                    let change = region.change();
                    let allocated = change.bytes_allocated + change.bytes_reallocated.max(0) as usize;
                    assert!(allocated <= FACTOR * bytes.len(), "{target}: {allocated} bytes for {bytes:02x?}");
                    decoded += 1;
                }
            }
        }
    }
    assert!(decoded > 50_000, "{decoded}");
}
