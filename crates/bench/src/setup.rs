//! Nodes that a run needs, made and removed with the blocking client.

use crate::args::{Args, Workload};
use crate::error::BenchError;
use crate::frames::{data, key_path, nodes_of, own_path, parent_path};
use crate::kind::Kind;
use ostler_client::{Client, CreateMode, RequestId};
use ostler_model::{Delete, ErrorCode, Request, open_acl};
use std::collections::VecDeque;
use std::time::Duration;

/// Requests unanswered while nodes are made; servers stop reading at a thousand.
const PIPELINE: usize = 800;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the last part of a filled node's path.
const FILL_NAME_BYTES: usize = 24;

pub(crate) fn client(args: &Args) -> Result<Client, BenchError> {
    Ok(Client::connect(&args.address, TIMEOUT)?)
}

/// Requests on their way, with the error codes that do not matter.
struct Pipeline<'a> {
    client: &'a mut Client,
    waiting: VecDeque<RequestId>,
    tolerated: Option<ErrorCode>,
}

impl<'a> Pipeline<'a> {
    fn new(client: &'a mut Client, tolerated: Option<ErrorCode>) -> Self {
        Pipeline { client, waiting: VecDeque::new(), tolerated }
    }

    fn submit(&mut self, request: &Request<'_>) -> Result<(), BenchError> {
        if self.waiting.len() >= PIPELINE {
            self.drain(PIPELINE / 2)?;
        }
        self.waiting.push_back(self.client.submit(request)?);
        Ok(())
    }

    fn drain(&mut self, to: usize) -> Result<(), BenchError> {
        while self.waiting.len() > to {
            let id = self.waiting.pop_front().expect("longer than something");
            let err = self.client.wait(id)?.raw.err;
            if err != 0 && self.tolerated.map(ErrorCode::code) != Some(err) {
                return Err(BenchError::Refused(err));
            }
        }
        Ok(())
    }
}

/// Makes the root and the nodes that the run needs, with their data.
pub(crate) fn make_nodes(args: &Args) -> Result<(), BenchError> {
    let mut client = client(args)?;
    let (acl, data) = (open_acl(), data(args.size));
    let mut pipeline = Pipeline::new(&mut client, Some(ErrorCode::NodeExists));
    let mut make =
        |path: &str, data: &[u8]| pipeline.submit(&Request::Create(CreateMode::Persistent.request(path, data, &acl)));
    make(&args.root, b"")?;
    let mix = args.mix();
    let keys = match args.workload {
        Workload::Session => 0,
        Workload::Watch => 1,
        // With creates only, as before, so that nodes are made beside others.
        _ if [Kind::Get, Kind::Set, Kind::Multi, Kind::Create].into_iter().any(|kind| mix.has(kind)) => args.keys,
        _ => 0,
    };
    for key in 0..keys {
        make(&key_path(&args.root, key), &data)?;
    }
    if mix.has(Kind::Children) {
        for parent in (0..args.keys).map(|key| parent_path(&args.root, key)) {
            make(&parent, b"")?;
            for child in 0..args.fan_out() {
                make(&format!("{parent}/c{child:06}"), &data)?;
            }
        }
    }
    if args.workload == Workload::Delete {
        for connection in 0..args.clients {
            for number in 0..nodes_of(args, connection) {
                make(&own_path(&args.root, connection, number), &data)?;
            }
        }
    }
    pipeline.drain(0)?;
    client.close();
    Ok(())
}

/// Whether a run leaves more than the nodes it has chosen from; then its root is cleared.
pub(crate) fn leaves_much(args: &Args) -> bool {
    let mix = args.mix();
    mix.has(Kind::Create) || mix.has(Kind::Delete)
}

/// The fill workload: numbered nodes in the order of their numbers, so that parents come first. Returns their count.
pub(crate) fn fill(args: &Args) -> Result<u64, BenchError> {
    let mut client = client(args)?;
    let (acl, data) = (open_acl(), data(args.size));
    let mut pipeline = Pipeline::new(&mut client, None);
    pipeline.submit(&Request::Create(CreateMode::Persistent.request(&args.root, b"", &acl)))?;
    for number in 1..=args.nodes() {
        let path = fill_path(&args.root, args.fan_out(), number);
        pipeline.submit(&Request::Create(CreateMode::Persistent.request(&path, &data, &acl)))?;
    }
    pipeline.drain(0)?;
    client.close();
    Ok(args.nodes() as u64)
}

/// Node 1 to `fan_out` are children of the root, the next ones children of node 1, and so on; 0 = all of the root.
fn fill_path(root: &str, fan_out: usize, mut number: usize) -> String {
    let name = |number: usize| format!("/{number:0FILL_NAME_BYTES$}");
    let mut parts = vec![name(number)];
    while fan_out > 0 && number > fan_out {
        number = (number - 1) / fan_out;
        parts.push(name(number));
    }
    parts.push(root.into());
    parts.reverse();
    parts.concat()
}

/// Deletes the root and everything below it. Returns how many nodes that were.
pub(crate) fn clear(args: &Args) -> Result<u64, BenchError> {
    let mut client = client(args)?;
    if client.exists(&args.root, false)?.is_none() {
        client.close();
        return Ok(0);
    }
    let mut paths = vec![args.root.clone()];
    let mut next = 0;
    while next < paths.len() {
        // Listings are pipelined too: a tree may have a million small directories.
        let batch: Vec<String> = paths[next..paths.len().min(next + PIPELINE)].to_vec();
        next += batch.len();
        let list = |path: &String| Request::GetChildren { path: Some(path.clone().into()), watch: false };
        let ids: Vec<_> = batch.iter().map(|path| client.submit(&list(path))).collect::<Result<_, _>>()?;
        for (path, id) in batch.iter().zip(ids) {
            let answer = client.wait(id)?;
            if let Ok(ostler_wire::peer::Reply::Names(Some(names))) = answer.reply() {
                paths.extend(names.iter().flatten().map(|name| format!("{path}/{name}")));
            }
        }
    }
    let mut pipeline = Pipeline::new(&mut client, Some(ErrorCode::NoNode));
    for path in paths.iter().rev() {
        pipeline.submit(&Request::Delete(Delete { path: Some(path.into()), version: -1 }))?;
    }
    pipeline.drain(0)?;
    client.close();
    Ok(paths.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_children() {
        let mut made = vec![String::from("/r")];
        for number in 1..=1_000 {
            let path = fill_path("/r", 10, number);
            let (parent, name) = path.rsplit_once('/').expect("absolute");
            assert_eq!(name.len(), FILL_NAME_BYTES);
            assert!(made.iter().any(|path| path == parent), "{path}");
            made.push(path);
        }
        let children =
            |parent: &str| made.iter().filter(|path| path.rsplit_once('/').is_some_and(|(at, _)| at == parent)).count();
        assert_eq!((children("/r"), children(&made[1]), children(&made[50])), (10, 10, 10));
        assert_eq!(fill_path("/r", 0, 7), "/r/000000000000000000000007");
    }
}
