//! Histories and trees on their way to learners, and the tree that comes from a leader.
//!
//! All in portions: a turn of the loop adds to each connection what its pipe has room for, so that a learner that is far
//! behind keeps nobody waiting. (Records are read on the loop's thread: they are mostly in the page cache, and a portion
//! is bounded.)

use ostler_model::{Zxid, limits};
use ostler_node::{Member, Parts};
use ostler_store::{
    DataDirs, HistoryReader, RealDisk, RecoverOptions, StoreError, TreePart, TreeStream, encode_node, encode_tree_end,
    encode_tree_start_part,
};
use ostler_tree::{LoadError, Loader, Walk};
use ostler_zab::LinkId;
use std::collections::BTreeMap;
use tracing::{info, warn};

/// Records of one connection in one turn.
const RECORDS_PER_TURN: usize = 256;
/// Steps of the walk for one connection in one turn.
const STEPS_PER_TURN: usize = 4;

struct TreeSend {
    walk: Walk,
    stage: TreeStage,
    label: Zxid,
    nodes: u64,
}

/// How far a tree is. Every stage is a matter of many small steps (invariant 12).
#[derive(Clone, Copy)]
enum TreeStage {
    /// Sessions and ACLs are being copied.
    Gathering,
    /// They are being encoded, from this row on.
    Starting(usize),
    /// Nodes.
    Walking,
}

struct TreeReceive {
    label: Zxid,
    stream: TreeStream,
    loader: Loader,
}

/// See the module.
pub struct Transfers {
    dirs: DataDirs,
    options: RecoverOptions,
    histories: BTreeMap<LinkId, HistoryReader<RealDisk>>,
    trees: BTreeMap<LinkId, TreeSend>,
    receiving: Option<(LinkId, TreeReceive)>,
    /// Connections that have something to come and take nothing, since when (milliseconds of the loop).
    stalled: BTreeMap<LinkId, u64>,
}

impl Transfers {
    /// Nothing under way.
    pub fn new(dirs: DataDirs, options: RecoverOptions) -> Transfers {
        Transfers {
            dirs,
            options,
            histories: BTreeMap::new(),
            trees: BTreeMap::new(),
            receiving: None,
            stalled: BTreeMap::new(),
        }
    }

    /// Begins to send records.
    pub fn send_history(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId, after: Zxid, upto: Zxid) {
        match HistoryReader::new(&RealDisk, &self.dirs, after, upto, self.options.length_max) {
            Ok(reader) => {
                self.histories.insert(link, reader);
            }
            Err(error) => unreadable(member, parts, link, &error),
        }
    }

    /// Begins to send the tree.
    pub fn send_tree(&mut self, member: &mut Member, parts: &Parts<'_>, link: LinkId, at_least: Zxid) {
        let walk = parts.tree.begin_walk();
        let label = member.begin_tree(link, walk.zxid, at_least);
        self.trees.insert(link, TreeSend { walk, stage: TreeStage::Gathering, label, nodes: 0 });
    }

    /// Bytes of the leader's tree. The first ones take the place of whatever was being received.
    pub fn tree_bytes(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId, label: Zxid, bytes: &[u8]) {
        if self.receiving.as_ref().is_none_or(|(from, _)| *from != link) {
            let stream = TreeStream::new(self.options.length_max);
            let loader = Loader::new(self.options.tree, label);
            self.receiving = Some((link, TreeReceive { label, stream, loader }));
        }
        let Some((_, receive)) = &mut self.receiving else { return };
        let TreeReceive { stream, loader, .. } = receive;
        let pushed = stream.push(bytes, &mut |part| load(loader, part));
        match pushed {
            Ok(pushed) if !pushed.complete => {}
            Ok(pushed) => {
                if let Some((_, receive)) = self.receiving.take() {
                    info!(zxid = %receive.label, nodes = receive.stream.nodes(), "received the leader's tree");
                    *parts.tree = receive.loader.finish();
                }
                member.tree_received(parts, link, Some(bytes[pushed.used..].to_vec()));
            }
            Err(error) => {
                warn!("the tree that the leader sends cannot be read: {error}");
                self.receiving = None;
                member.tree_received(parts, link, None);
            }
        }
    }

    /// The connection is gone, or what was sent on it is no longer wanted.
    pub fn forget(&mut self, link: LinkId) {
        self.histories.remove(&link);
        self.trees.remove(&link);
        self.stalled.remove(&link);
        if self.receiving.as_ref().is_some_and(|(from, _)| *from == link) {
            self.receiving = None;
        }
    }

    /// A portion of everything that is being sent. Returned are the connections that took nothing for `patience_ms`: a learner
    /// that reads no further would be waited for without end (BUG-36), and the history it needs be kept for it.
    pub fn step(&mut self, member: &mut Member, parts: &mut Parts<'_>, patience_ms: u64) -> Vec<LinkId> {
        let now_ms = parts.now.mono_ms;
        let links: Vec<LinkId> = self.histories.keys().chain(self.trees.keys()).copied().collect();
        let mut given_up = Vec::new();
        for link in links {
            if member.has_room(link) {
                self.stalled.remove(&link);
                self.step_history(member, parts, link);
                self.step_tree(member, parts, link);
            } else if *self.stalled.entry(link).or_insert(now_ms) + patience_ms <= now_ms {
                given_up.push(link);
            }
        }
        given_up
    }

    /// True if something can be sent at once.
    pub fn has_more(&self, member: &Member) -> bool {
        self.histories.keys().chain(self.trees.keys()).any(|link| member.has_room(*link))
    }

    /// When the first connection is given up that takes nothing.
    pub fn next_deadline(&self, patience_ms: u64) -> Option<u64> {
        self.stalled.values().min().map(|since_ms| since_ms + patience_ms)
    }

    fn step_history(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId) {
        let Some(reader) = self.histories.get_mut(&link) else { return };
        for _ in 0..RECORDS_PER_TURN {
            match reader.next_record() {
                Ok(Some(record)) => member.send_record(link, record.zxid, record.payload),
                Ok(None) => {
                    self.histories.remove(&link);
                    member.history_sent(parts, link, true);
                    return;
                }
                Err(error) => {
                    self.histories.remove(&link);
                    unreadable(member, parts, link, &error);
                    return;
                }
            }
        }
    }

    fn step_tree(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId) {
        let Some(send) = self.trees.get_mut(&link) else { return };
        let mut chunk = Vec::new();
        for _ in 0..STEPS_PER_TURN {
            let most = limits::SNAPSHOT_STEP_NODES_MAX;
            let last = match send.stage {
                TreeStage::Gathering => {
                    if send.walk.gather(parts.tree, most) {
                        send.stage = TreeStage::Starting(0);
                    }
                    false
                }
                TreeStage::Starting(row) => {
                    let next = encode_tree_start_part(&mut chunk, &send.walk, row, most);
                    send.stage = next.map_or(TreeStage::Walking, TreeStage::Starting);
                    false
                }
                TreeStage::Walking => send.walk.step(parts.tree, most, |node| {
                    encode_node(&mut chunk, &node);
                    send.nodes += 1;
                }),
            };
            if last {
                encode_tree_end(&mut chunk);
                member.send_tree(link, &chunk);
                let (label, from, nodes) = (send.label, send.walk.zxid, send.nodes);
                self.trees.remove(&link);
                info!(zxid = %label, nodes, "the whole tree is sent to a server");
                member.tree_sent(parts, link, label, from);
                return;
            }
        }
        member.send_tree(link, &chunk);
    }
}

fn unreadable(member: &mut Member, parts: &mut Parts<'_>, link: LinkId, error: &StoreError) {
    warn!("the log cannot be read for a server that needs it: {error}");
    member.history_sent(parts, link, false);
}

fn load(loader: &mut Loader, part: TreePart<'_>) -> Result<(), LoadError> {
    match part {
        TreePart::Session(session, timeout_ms) => loader.session(session, timeout_ms),
        TreePart::Acl(id, acl) => loader.acl(id, acl),
        TreePart::Nodes(nodes) => loader.nodes(nodes)?,
    }
    Ok(())
}
