//! Every frame recorded from Apache 3.9.3 (`testdata/wire-samples.jsonl`): requests decode, or fail exactly where
//! Apache refused them; replies and events decode and encode again to the same bytes.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use ostler_model::OpCode;
use ostler_wire::client::{ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, decode_request, encode_event};
use ostler_wire::jute::DecodeError;
use ostler_wire::peer::{WatcherEvent, decode_reply, encode_reply, encode_request};
use std::collections::{BTreeMap, HashMap};

const FRAME_BYTES_MAX: usize = 0xf_ffff;

struct Sample {
    name: String,
    /// Frames with their length prefix; a first one that is not a frame (four-letter word) included.
    requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

/// One token may hold several frames that were sent at once; what is no frame stays whole.
fn split_frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let end = u32::from_be_bytes(*length) as usize;
        if end >= rest.len() {
            break;
        }
        frames.push(bytes[..4 + end].to_vec());
        bytes = &rest[end..];
    }
    if !bytes.is_empty() {
        frames.push(bytes.to_vec());
    }
    frames
}

fn samples() -> Vec<Sample> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/wire-samples.jsonl");
    let text = std::fs::read_to_string(path).expect("testdata is part of the repository");
    let frames = |value: &serde_json::Value| -> Vec<Vec<u8>> {
        // The other tokens (EOF, NONE, "B:") say where frames arrived, which does not matter here.
        value.as_str().unwrap().split(' ').filter_map(unhex).flat_map(|bytes| split_frames(&bytes)).collect()
    };
    text.lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            Sample {
                name: json["name"].as_str().unwrap().to_owned(),
                requests: frames(&json["request_hex"]),
                replies: frames(&json["reply_hex"]),
            }
        })
        .collect()
}

/// The payload, if the bytes are one whole frame of legal length.
fn payload(frame: &[u8]) -> Option<&[u8]> {
    let (length, payload) = frame.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*length) as usize == payload.len()).then_some(payload)
}

/// A connect request can only be told from a request by its place; the recorder sent them in these cases.
fn is_connect(sample: &Sample, index: usize, payload: &[u8]) -> bool {
    index == 0 && (sample.name.starts_with("connect/") || payload.starts_with(&[0; 8])) && payload.len() >= 8
}

#[test]
fn requests_decode_or_fail_where_apache_refused_them() {
    let mut refused = BTreeMap::new();
    let (mut connects, mut requests) = (0, 0);
    for sample in samples() {
        for (index, frame) in sample.requests.iter().enumerate() {
            let Some(payload) = payload(frame) else { continue };
            if is_connect(&sample, index, payload) {
                connects += 1;
                if let Err(error) = ConnectRequest::decode(payload, FRAME_BYTES_MAX) {
                    refused.insert(sample.name.clone(), error);
                }
                continue;
            }
            requests += 1;
            let result = RequestHeader::split(payload).and_then(|(header, body)| {
                let op = OpCode::from_i32(header.op).ok_or(DecodeError::UnknownOp(header.op))?;
                decode_request(op, body, FRAME_BYTES_MAX).map(|_| ())
            });
            if let Err(error) = result {
                refused.insert(sample.name.clone(), error);
            }
        }
    }
    let refused: Vec<_> = refused.iter().map(|(name, error)| format!("{name}: {error:?}")).collect();
    let text = refused.join("\n");
    assert_eq!(text, include_str!("refused_samples.txt").trim_end(), "left: decoded now, right: as recorded\n{text}");
    assert!(connects > 25 && requests > 300, "{connects} {requests}");
}

/// Requests without anything odd in them encode to the bytes they came from.
#[test]
fn requests_survive_a_round_trip() {
    let (mut same, mut other) = (0, Vec::new());
    for sample in samples() {
        for (index, frame) in sample.requests.iter().enumerate() {
            let Some(payload) = payload(frame).filter(|payload| payload.len() >= 8) else { continue };
            let mut again = Vec::new();
            if is_connect(&sample, index, payload) {
                let Ok(request) = ConnectRequest::decode(payload, FRAME_BYTES_MAX) else { continue };
                request.encode(&mut again);
            } else {
                let (header, body) = RequestHeader::split(payload).unwrap();
                let Some(op) = OpCode::from_i32(header.op) else { continue };
                let Ok(request) = decode_request(op, body, FRAME_BYTES_MAX) else { continue };
                encode_request(&mut again, header.xid, &request);
            }
            if again == *frame {
                same += 1;
            } else {
                other.push(sample.name.clone());
            }
        }
    }
    other.dedup();
    let text = other.join("\n");
    assert_eq!(text, include_str!("rewritten_samples.txt").trim_end(), "left: changed now, right: expected\n{text}");
    assert!(same > 300, "{same}");
}

#[test]
fn replies_and_events_survive_a_round_trip() {
    let (mut replies, mut events, mut responses) = (0, 0, 0);
    for sample in samples() {
        // By xid; two connections of one sample may have used the same one.
        let mut ops: HashMap<i32, Vec<OpCode>> = HashMap::new();
        for frame in &sample.requests {
            if let Some((header, _)) = payload(frame).and_then(|payload| RequestHeader::split(payload).ok()) {
                let op = OpCode::from_i32(header.op);
                let xid = if op == Some(OpCode::Ping) { ReplyHeader::PING_XID } else { header.xid };
                // A reply to an operation that the protocol does not know has no body, as that to a ping.
                ops.entry(xid).or_default().push(op.unwrap_or(OpCode::Ping));
            }
        }
        for frame in &sample.replies {
            let Some(payload) = payload(frame) else {
                assert!(sample.name.starts_with("connect/4lw"), "{}: not a frame", sample.name);
                continue;
            };
            let mut again = Vec::new();
            let at = format!("{}: {frame:02x?}", sample.name);
            if payload.starts_with(&[0; 4]) && matches!(payload.len(), 36 | 37) {
                // No reply with a body looks so: its xid would be 0.
                ConnectResponse::decode(payload).expect(&at).encode(&mut again);
                responses += 1;
                assert_eq!(again, *frame, "{at}");
                continue;
            }
            let (header, body) = ReplyHeader::split(payload).expect("a reply has a header");
            if header.xid == ReplyHeader::EVENT_XID {
                let event = WatcherEvent::decode(body).expect(&at);
                let kind = match event.kind {
                    1 => ostler_model::EventType::NodeCreated,
                    2 => ostler_model::EventType::NodeDeleted,
                    3 => ostler_model::EventType::NodeDataChanged,
                    4 => ostler_model::EventType::NodeChildrenChanged,
                    other => panic!("{at}: event type {other}"),
                };
                encode_event(&mut again, header.zxid, kind, &event.path.unwrap());
                events += 1;
            } else {
                let ops = ops.get(&header.xid).map_or(&[OpCode::Ping][..], Vec::as_slice);
                let encoded = ops.iter().filter_map(|op| {
                    let reply = decode_reply(*op, &header, body).ok()?;
                    let mut bytes = Vec::new();
                    encode_reply(&mut bytes, header, &reply);
                    Some(bytes)
                });
                again = encoded.into_iter().find(|bytes| bytes == frame).unwrap_or_default();
                replies += 1;
            }
            assert_eq!(again, *frame, "{at}");
        }
    }
    assert!(replies > 300 && events > 50 && responses > 15, "{replies} {events} {responses}");
}
