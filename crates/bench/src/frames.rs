//! The requests of a run, encoded once: sending one is a copy and a patched xid.

use crate::args::{Args, Workload};
use crate::kind::{Kind, Mix};
use ostler_client::CreateMode;
use ostler_model::{Delete, MultiOp, Request, SetData, open_acl};
use ostler_wire::peer;

/// Digits of a node's number in its name.
const DIGITS: usize = 10;
const XID_AT: usize = 4;
/// Different multis that a connection chooses from.
const MULTIS_MAX: usize = 1_000;

/// Makes the frames of one connection's requests.
pub(crate) struct Frames {
    mix: Mix,
    gets: Vec<Vec<u8>>,
    sets: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    multis: Vec<Vec<u8>>,
    create: Numbered,
    delete: Numbered,
    created: u64,
    deleted: u64,
    /// Deletes have nodes that were made before the run; when they are used up it ends.
    only_deletes: bool,
    random: u64,
}

/// A frame with a node's number in its path.
struct Numbered {
    frame: Vec<u8>,
    digits_at: usize,
}

impl Numbered {
    fn new(path: &str, request: &Request<'_>) -> Numbered {
        // Behind length, xid, operation and the path's own length.
        Numbered { frame: encode(request), digits_at: 16 + path.len() - DIGITS }
    }

    fn with(&mut self, number: u64) -> &[u8] {
        put_digits(&mut self.frame[self.digits_at..][..DIGITS], number);
        &self.frame
    }
}

/// The path of a key.
pub(crate) fn key_path(root: &str, key: usize) -> String {
    format!("{root}/k{key:0DIGITS$}")
}

/// The path of a parent of the children workload.
pub(crate) fn parent_path(root: &str, key: usize) -> String {
    format!("{root}/p{key:0DIGITS$}")
}

/// The path of a node that a connection creates or deletes.
pub(crate) fn own_path(root: &str, connection: usize, number: u64) -> String {
    format!("{root}/c{connection:04}-{number:0DIGITS$}")
}

/// How many nodes of the delete workload belong to a connection.
pub(crate) fn nodes_of(args: &Args, connection: usize) -> u64 {
    let (nodes, clients) = (args.nodes(), args.clients);
    (nodes / clients + usize::from(connection < nodes % clients)) as u64
}

/// The data that the run writes.
pub(crate) fn data(size: usize) -> Vec<u8> {
    (0..size).map(|at| b'a' + (at % 26) as u8).collect()
}

impl Frames {
    /// `connection` distinguishes the nodes that a connection creates, and seeds its choice of keys.
    pub(crate) fn new(args: &Args, connection: usize) -> Frames {
        let mix = args.mix();
        let data = data(args.size);
        let key = |key: usize| key_path(&args.root, key % args.keys);
        let get = |path: String| encode(&Request::GetData { path: Some(path.into()), watch: false });
        let list = |path: String| encode(&Request::GetChildren2 { path: Some(path.into()), watch: false });
        let set_data = |path: String| SetData { path: Some(path.into()), data: Some(&data), version: -1 };
        let multi = |number: usize| {
            let keys = (0..args.batch).map(|at| key(number * args.batch + at));
            encode(&Request::Multi(keys.map(|path| MultiOp::SetData(set_data(path))).collect()))
        };
        let own = own_path(&args.root, connection, 0);
        let acl = open_acl();
        let mut create = CreateMode::Persistent.request(&own, &data, &acl);
        create.op = ostler_model::CreateOp::Create;
        let delete = Request::Delete(Delete { path: Some(own.as_str().into()), version: -1 });
        let only_deletes = args.workload == Workload::Delete;
        let all = |kind, count: usize, frame: &dyn Fn(usize) -> Vec<u8>| -> Vec<Vec<u8>> {
            if mix.has(kind) { (0..count).map(frame).collect() } else { Vec::new() }
        };
        Frames {
            gets: all(Kind::Get, args.keys, &|number| get(key(number))),
            sets: all(Kind::Set, args.keys, &|number| encode(&Request::SetData(set_data(key(number))))),
            lists: all(Kind::Children, args.keys, &|number| list(parent_path(&args.root, number))),
            multis: all(Kind::Multi, args.keys.min(MULTIS_MAX), &multi),
            create: Numbered::new(&own, &Request::Create(create)),
            delete: Numbered::new(&own, &delete),
            created: if only_deletes { nodes_of(args, connection) } else { 0 },
            deleted: 0,
            only_deletes,
            random: connection as u64 + 1,
            mix,
        }
    }

    /// Appends the next request and says what it is; `None` when there is nothing left to delete.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, xid: i32) -> Option<Kind> {
        let start = out.len();
        let mut kind = self.mix.pick((next(&mut self.random) % 100) as u32);
        if kind == Kind::Delete && self.deleted == self.created {
            if self.only_deletes {
                return None;
            }
            kind = Kind::Create;
        }
        match kind {
            Kind::Get => out.extend_from_slice(pick(&self.gets, next(&mut self.random))),
            Kind::Set => out.extend_from_slice(pick(&self.sets, next(&mut self.random))),
            Kind::Children => out.extend_from_slice(pick(&self.lists, next(&mut self.random))),
            Kind::Multi => out.extend_from_slice(pick(&self.multis, next(&mut self.random))),
            Kind::Create => {
                out.extend_from_slice(self.create.with(self.created));
                self.created += 1;
            }
            Kind::Delete => {
                out.extend_from_slice(self.delete.with(self.deleted));
                self.deleted += 1;
            }
        }
        out[start + XID_AT..start + XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
        Some(kind)
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
                    Request::Delete(delete) => (2, delete.path.map(std::borrow::Cow::into_owned)),
                    Request::GetChildren2 { path, .. } => (12, path.map(std::borrow::Cow::into_owned)),
                    Request::Multi(ops) => (ops.len() as i32 * 100, None),
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

    #[test]
    fn deletes_end_with_the_nodes_that_were_made() {
        let args = Line::parse_from(["bench", "-w", "delete", "--nodes", "23", "-c", "10"]).args;
        assert_eq!(
            (0..10).map(|connection| nodes_of(&args, connection)).collect::<Vec<_>>(),
            [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
        );
        let mut frames = Frames::new(&args, 3);
        let mut out = Vec::new();
        assert_eq!((0..4).filter_map(|xid| frames.append(&mut out, xid)).count(), 2);
    }

    #[test]
    fn a_mix_deletes_only_what_it_has_created() {
        let made =
            requests(&["-w", "mixed", "--mix", "create=40,delete=40,children=10,multi=10", "--batch", "7"], 1_000);
        let mut there = std::collections::BTreeSet::new();
        for (op, path) in &made {
            match op {
                1 => assert!(there.insert(path.clone())),
                2 => assert!(there.remove(path), "{path:?}"),
                _ => (),
            }
        }
        let count = |op| made.iter().filter(|(other, _)| *other == op).count();
        assert_eq!(count(1) + count(2) + count(12) + count(700), 1_000);
        assert!(count(2) > 300 && count(12) > 60 && count(700) > 60);
    }
}
