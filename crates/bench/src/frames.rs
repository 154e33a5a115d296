//! The requests of a run, encoded once: sending one is a copy and a patched xid.

use crate::args::{Args, Workload};
use ostler_client::CreateMode;
use ostler_model::{Request, SetData, open_acl};
use ostler_wire::peer;

/// Digits of a node's number in its name.
const DIGITS: usize = 10;
const XID_AT: usize = 4;

/// Makes the frames of one connection's requests.
pub(crate) struct Frames {
    workload: Workload,
    reads: u64,
    gets: Vec<Vec<u8>>,
    sets: Vec<Vec<u8>>,
    create: Vec<u8>,
    create_digits_at: usize,
    created: u64,
    random: u64,
}

/// The path of a key.
pub(crate) fn key_path(root: &str, key: usize) -> String {
    format!("{root}/k{key:0DIGITS$}")
}

/// The data that the run writes.
pub(crate) fn data(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + (at % 26) as u8).collect()
}

impl Frames {
    /// `connection` distinguishes the nodes that a connection creates, and seeds its choice of keys.
    pub(crate) fn new(args: &Args, connection: usize) -> Frames {
        let data = data(args.size);
        let keys = || (0..args.keys).map(|key| key_path(&args.root, key));
        let get = |path: String| encode(&Request::GetData { path: Some(path.into()), watch: false });
        let set = |path: String| {
            encode(&Request::SetData(SetData { path: Some(path.into()), data: Some(&data), version: -1 }))
        };
        let create_path = format!("{}/c{connection:04}-{:0DIGITS$}", args.root, 0);
        let acl = open_acl();
        let mut create = CreateMode::Persistent.request(&create_path, &data, &acl);
        create.op = ostler_model::CreateOp::Create;
        let reads_all = matches!(args.workload, Workload::Get | Workload::Mixed);
        let writes_all = matches!(args.workload, Workload::Set | Workload::Mixed);
        Frames {
            workload: args.workload,
            reads: u64::from(args.reads),
            gets: if reads_all { keys().map(get).collect() } else { Vec::new() },
            sets: if writes_all { keys().map(set).collect() } else { Vec::new() },
            create: encode(&Request::Create(create)),
            // Behind length, xid, operation and the path's own length.
            create_digits_at: 16 + create_path.len() - DIGITS,
            created: 0,
            random: connection as u64 + 1,
        }
    }

    /// Appends the next request.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, xid: i32) {
        let start = out.len();
        match self.workload {
            Workload::Get => out.extend_from_slice(pick(&self.gets, next(&mut self.random))),
            Workload::Set => out.extend_from_slice(pick(&self.sets, next(&mut self.random))),
            Workload::Mixed => {
                let reads = next(&mut self.random) % 100 < self.reads;
                let frames = if reads { &self.gets } else { &self.sets };
                out.extend_from_slice(pick(frames, next(&mut self.random)));
            }
            Workload::Create => {
                let digits = &mut self.create[self.create_digits_at..][..DIGITS];
                put_digits(digits, self.created);
                self.created += 1;
                out.extend_from_slice(&self.create);
            }
            Workload::Fill | Workload::Clear => unreachable!("not loads"),
        }
        out[start + XID_AT..start + XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
    }
}

fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    peer::encode_request(&mut out, 0, request);
    out
}

fn pick(frames: &[Vec<u8>], random: u64) -> &[u8] {
    &frames[(random % frames.len() as u64) as usize]
}

fn put_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A number that is random enough to choose a key (xorshift64*).
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use ostler_model::OpCode;
    use ostler_wire::client::{RequestHeader, decode_request};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn requests(words: &[&str], count: i32) -> Vec<(i32, Option<String>)> {
        let args = Line::parse_from([&["bench"], words].concat()).args;
        let mut frames = Frames::new(&args, 3);
        let mut out = Vec::new();
        (0..count)
            .map(|xid| {
                out.clear();
                frames.append(&mut out, xid);
                let (header, body) = RequestHeader::split(&out[4..]).expect("a frame");
                assert_eq!(
                    (header.xid, out.len() as i32 - 4),
                    (xid, i32::from_be_bytes([out[0], out[1], out[2], out[3]]))
                );
                let op = OpCode::from_i32(header.op).expect("known");
                match decode_request(op, body, 1 << 20).expect("well-formed") {
                    Request::GetData { path, .. } => (4, path.map(std::borrow::Cow::into_owned)),
                    Request::SetData(set) => (5, set.path.map(std::borrow::Cow::into_owned)),
                    Request::Create(create) => (1, create.path.map(std::borrow::Cow::into_owned)),
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    }

    #[test]
    fn creates_count_up() {
        let made = requests(&["--workload", "create", "--root", "/r"], 12);
        assert_eq!(made[0], (1, Some("/r/c0003-0000000000".into())));
        assert_eq!(made[11], (1, Some("/r/c0003-0000000011".into())));
    }

    #[test]
    fn mixed_keeps_its_percentage_and_uses_all_keys() {
        let made = requests(&["--workload", "mixed", "--reads", "30", "--keys", "8"], 10_000);
        let gets = made.iter().filter(|(op, _)| *op == 4).count();
        assert!((2_800..3_200).contains(&gets), "{gets}");
        let mut paths: Vec<_> = made.into_iter().map(|(_, path)| path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), 8);
    }
}
