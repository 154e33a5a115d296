//! What simulated clients ask for: registers with versions, a set of unique names, sequential names, ephemerals,
//! containers and TTL nodes, ACLs, multis that succeed and fail, reads and watches of every kind, sync.
//!
//! Few paths and many clients, so that they meet; every value is unique, so that a lost or doubled write shows.

use ostler_client::CreateMode;
use ostler_model::Dice;
use ostler_model::{
    Acl, CheckVersion, Delete, MultiOp, Request, SetAcl, SetData, WatcherType, WireAcl, open_acl, perms,
};

/// Parents that everybody works under; made again by whoever finds them missing.
pub const PARENTS: [&str; 4] = ["/set", "/queue", "/live", "/box"];
/// How many of 100 requests of an operator change the ensemble.
const CHANGES_PERCENT: u64 = 15;
const REGISTERS: u64 = 6;
const GUARDED: u64 = 3;

/// One client's source of requests.
#[derive(Debug)]
pub struct Workload {
    client: usize,
    counter: u64,
    /// How many of 100 requests are reads.
    read_percent: u64,
    user: bool,
    /// An operator's means.
    changes: Vec<Ask>,
}

/// An owned request, so that it can be made in one place and sent in another.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum Ask {
    Create { path: String, data: Vec<u8>, mode: CreateMode, acl: Vec<Acl> },
    Delete { path: String, version: i32 },
    Set { path: String, data: Vec<u8>, version: i32 },
    SetAcl { path: String, acl: Vec<Acl>, version: i32 },
    Multi(Vec<Ask>),
    Check { path: String, version: i32 },
    Get { path: String, watch: bool },
    Exists { path: String, watch: bool },
    Children { path: String, watch: bool, with_stat: bool },
    Acl { path: String },
    Count { path: String },
    Ephemerals { prefix: String },
    MultiRead(Vec<Ask>),
    Sync,
    WhoAmI,
    AddWatch { path: String, recursive: bool },
    RemoveWatches { path: String, kind: WatcherType },
    CheckWatches { path: String, kind: WatcherType },
    Reconfig { joining: Option<String>, leaving: Option<String> },
}

fn wire(acl: &[Acl]) -> Vec<WireAcl<'_>> {
    let entry = |entry: &Acl| WireAcl {
        perms: entry.perms,
        scheme: Some(entry.scheme.clone().into()),
        id: Some(entry.id.clone().into()),
    };
    acl.iter().map(entry).collect()
}

impl Ask {
    /// As the client's core takes it.
    pub fn request(&self) -> Request<'_> {
        let text = |path: &str| Some(path.to_owned().into());
        match self {
            Ask::Create { path, data, mode, acl } => Request::Create(mode.request(path, data, acl)),
            Ask::Delete { path, version } => Request::Delete(Delete { path: text(path), version: *version }),
            Ask::Set { path, data, version } => {
                Request::SetData(SetData { path: text(path), data: Some(data), version: *version })
            }
            Ask::SetAcl { path, acl, version } => {
                Request::SetAcl(SetAcl { path: text(path), acl: Some(wire(acl)), version: *version })
            }
            Ask::Multi(parts) => Request::Multi(parts.iter().map(Ask::part).collect()),
            Ask::Get { path, watch } => Request::GetData { path: text(path), watch: *watch },
            Ask::Exists { path, watch } => Request::Exists { path: text(path), watch: *watch },
            Ask::Children { path, watch, with_stat: false } => Request::GetChildren { path: text(path), watch: *watch },
            Ask::Children { path, watch, with_stat: true } => Request::GetChildren2 { path: text(path), watch: *watch },
            Ask::Acl { path } => Request::GetAcl { path: text(path) },
            Ask::Count { path } => Request::GetAllChildrenNumber { path: text(path) },
            Ask::Ephemerals { prefix } => Request::GetEphemerals { prefix: text(prefix) },
            Ask::MultiRead(parts) => Request::MultiRead(parts.iter().map(Ask::request).collect()),
            Ask::Sync => Request::Sync { path: text("/") },
            Ask::WhoAmI => Request::WhoAmI,
            Ask::AddWatch { path, recursive } => Request::AddWatch { path: text(path), recursive: *recursive },
            Ask::RemoveWatches { path, kind } => Request::RemoveWatches { path: text(path), kind: *kind },
            Ask::CheckWatches { path, kind } => Request::CheckWatches { path: text(path), kind: *kind },
            Ask::Reconfig { joining, leaving } => Request::Reconfig {
                joining: joining.as_deref().map(Into::into),
                leaving: leaving.as_deref().map(Into::into),
                new_members: None,
                config_id: -1,
            },
            Ask::Check { .. } => unreachable!("a check stands in a multi only"),
        }
    }

    fn part(&self) -> MultiOp<'_> {
        match self {
            Ask::Check { path, version } => {
                MultiOp::Check(CheckVersion { path: Some(path.to_owned().into()), version: *version })
            }
            other => match other.request() {
                Request::Create(create) => MultiOp::Create(create),
                Request::Delete(delete) => MultiOp::Delete(delete),
                Request::SetData(set) => MultiOp::SetData(set),
                request => unreachable!("no part of a multi: {request:?}"),
            },
        }
    }
}

impl Workload {
    /// A client's. `user`: it has proved an identity.
    pub fn new(dice: &mut Dice, client: usize, user: bool, changes: Vec<Ask>) -> Workload {
        Workload { client, counter: 0, read_percent: dice.between(20, 70), user, changes }
    }

    fn value(&mut self) -> Vec<u8> {
        self.counter += 1;
        format!("{}.{}", self.client, self.counter).into_bytes()
    }

    fn name(&mut self) -> String {
        self.counter += 1;
        format!("{}-{}", self.client, self.counter)
    }

    fn path(dice: &mut Dice, client: usize) -> String {
        match dice.below(12) {
            0..=4 => format!("/r{}", dice.below(REGISTERS)),
            5 => format!("/guarded{}", dice.below(GUARDED)),
            6..=8 => dice.pick(&PARENTS).to_owned(),
            9 => format!("/live/{}", dice.below(client as u64 + 3)),
            10 => format!("/box/c{}", dice.below(3)),
            _ => "/".to_owned(),
        }
    }

    /// The next request.
    pub fn next(&mut self, dice: &mut Dice) -> Ask {
        if !self.changes.is_empty() && dice.percent(CHANGES_PERCENT) {
            return dice.pick(&self.changes);
        }
        if dice.percent(self.read_percent) { self.read(dice) } else { self.write(dice) }
    }

    fn read(&mut self, dice: &mut Dice) -> Ask {
        let path = Self::path(dice, self.client);
        let watch = dice.percent(40);
        let kinds = [
            WatcherType::Children,
            WatcherType::Data,
            WatcherType::Any,
            WatcherType::Persistent,
            WatcherType::PersistentRecursive,
        ];
        match dice.below(40) {
            0..=12 => Ask::Get { path, watch },
            13..=18 => Ask::Exists { path, watch },
            19..=25 => Ask::Children { path, watch, with_stat: dice.percent(50) },
            26 | 27 => Ask::Acl { path },
            28 => Ask::Count { path },
            29 => Ask::Ephemerals { prefix: dice.pick(&["/", "/live", "/live/1"]).to_owned() },
            30 | 31 => {
                let part = |dice: &mut Dice| {
                    let path = Self::path(dice, self.client);
                    let get = dice.percent(50);
                    if get {
                        Ask::Get { path, watch: false }
                    } else {
                        Ask::Children { path, watch: false, with_stat: false }
                    }
                };
                Ask::MultiRead((0..dice.below(4)).map(|_| part(dice)).collect())
            }
            32..=34 => Ask::Sync,
            35 => Ask::WhoAmI,
            36 | 37 => Ask::AddWatch { path, recursive: dice.percent(50) },
            38 => Ask::RemoveWatches { path, kind: dice.pick(&kinds) },
            _ => Ask::CheckWatches { path, kind: dice.pick(&kinds) },
        }
    }

    fn version(dice: &mut Dice) -> i32 {
        if dice.percent(60) { -1 } else { dice.below(12) as i32 }
    }

    fn plain(&mut self, dice: &mut Dice) -> Ask {
        let acl = open_acl().to_vec();
        let register = format!("/r{}", dice.below(REGISTERS));
        match dice.below(20) {
            0..=7 => Ask::Set { path: register, data: self.value(), version: Self::version(dice) },
            8 | 9 => Ask::Create { path: register, data: self.value(), mode: CreateMode::Persistent, acl },
            10 => Ask::Delete { path: register, version: Self::version(dice) },
            11..=13 => {
                let path = format!("/set/{}", self.name());
                Ask::Create { path, data: Vec::new(), mode: CreateMode::Persistent, acl }
            }
            14 => Ask::Delete { path: format!("/set/{}-{}", self.client, dice.below(self.counter + 1)), version: -1 },
            15 | 16 => {
                let mode = dice.pick(&[CreateMode::PersistentSequential, CreateMode::EphemeralSequential]);
                Ask::Create { path: "/queue/n-".into(), data: self.value(), mode, acl }
            }
            _ => {
                let path = format!("/live/{}", dice.below(self.client as u64 + 3));
                if dice.percent(70) {
                    Ask::Create { path, data: self.value(), mode: CreateMode::Ephemeral, acl }
                } else {
                    Ask::Delete { path, version: -1 }
                }
            }
        }
    }

    fn write(&mut self, dice: &mut Dice) -> Ask {
        let acl = open_acl().to_vec();
        match dice.below(40) {
            0..=26 => self.plain(dice),
            27..=31 => {
                let parts = dice.between(0, 4);
                let part = |this: &mut Self, dice: &mut Dice| match dice.below(4) {
                    0 => Ask::Check { path: format!("/r{}", dice.below(REGISTERS)), version: Self::version(dice) },
                    _ => this.plain(dice),
                };
                Ask::Multi((0..parts).map(|_| part(self, dice)).collect())
            }
            32 => {
                let path = format!("/guarded{}", dice.below(GUARDED));
                Ask::Create { path, data: self.value(), mode: CreateMode::Persistent, acl: self.guard(dice) }
            }
            33 => Ask::SetAcl {
                path: format!("/guarded{}", dice.below(GUARDED)),
                acl: self.guard(dice),
                version: Self::version(dice),
            },
            34 => Ask::Set {
                path: format!("/guarded{}", dice.below(GUARDED)),
                data: self.value(),
                version: Self::version(dice),
            },
            35 => {
                let path = dice.pick(&PARENTS).to_owned();
                Ask::Create { path, data: Vec::new(), mode: CreateMode::Persistent, acl }
            }
            36 => {
                let path = format!("/box/c{}", dice.below(3));
                Ask::Create { path, data: self.value(), mode: CreateMode::Container, acl }
            }
            37 => {
                let path = format!("/box/c{}/{}", dice.below(3), self.name());
                let mode = dice.pick(&[CreateMode::Ephemeral, CreateMode::Persistent, CreateMode::Ttl(500)]);
                Ask::Create { path, data: self.value(), mode, acl }
            }
            38 => {
                let path = format!("/box/{}", self.name());
                Ask::Create { path, data: self.value(), mode: CreateMode::Ttl(dice.between(100, 4_000) as i64), acl }
            }
            _ => Ask::Delete {
                path: format!("/box/c{}/{}-{}", dice.below(3), self.client, dice.below(self.counter + 1)),
                version: -1,
            },
        }
    }

    fn guard(&self, dice: &mut Dice) -> Vec<Acl> {
        let entry = |perms, scheme: &str, id: &str| Acl { perms, scheme: scheme.into(), id: id.into() };
        match dice.below(if self.user { 5 } else { 3 }) {
            0 => vec![entry(perms::ALL, "world", "anyone")],
            1 => vec![entry(perms::READ | perms::ADMIN, "world", "anyone")],
            2 => vec![entry(perms::ADMIN | perms::WRITE, "world", "anyone")],
            3 => vec![entry(perms::ALL, "auth", "")],
            _ => vec![entry(perms::ADMIN, "world", "anyone"), entry(perms::READ | perms::WRITE, "auth", "")],
        }
    }
}
