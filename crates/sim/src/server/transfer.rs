//! Histories and trees on their way to learners, and the tree that comes from a leader, as the real shell does it
//! (`ostler_server::peers`), in small random portions.

use super::disk::RECORD_BYTES_MAX;
use ostler_model::Dice;
use ostler_model::Zxid;
use ostler_node::{Member, Parts};
use ostler_store::faulty::FaultyDisk;
use ostler_store::{
    DataDirs, HistoryReader, RecoverOptions, TreePart, TreeStream, encode_node, encode_tree_end, encode_tree_start,
};
use ostler_tree::{LoadError, Loader, Walk};
use ostler_zab::LinkId;
use std::collections::BTreeMap;

struct TreeSend {
    walk: Walk,
    label: Zxid,
}

struct TreeReceive {
    stream: TreeStream,
    loader: Loader,
}

/// What is under way.
pub struct Transfers {
    disk: FaultyDisk,
    dirs: DataDirs,
    options: RecoverOptions,
    histories: BTreeMap<LinkId, HistoryReader<FaultyDisk>>,
    trees: BTreeMap<LinkId, TreeSend>,
    receiving: Option<(LinkId, TreeReceive)>,
}

impl Transfers {
    /// Nothing.
    pub fn new(disk: FaultyDisk, dirs: DataDirs, options: RecoverOptions) -> Transfers {
        let (histories, trees) = (BTreeMap::new(), BTreeMap::new());
        Transfers { disk, dirs, options, histories, trees, receiving: None }
    }

    /// Begins to send records.
    pub fn send_history(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId, after: Zxid, upto: Zxid) {
        match HistoryReader::new(&self.disk, &self.dirs, after, upto, RECORD_BYTES_MAX) {
            Ok(reader) => {
                self.histories.insert(link, reader);
            }
            Err(_) => member.history_sent(parts, link, false),
        }
    }

    /// Begins to send the tree.
    pub fn send_tree(&mut self, member: &mut Member, parts: &Parts<'_>, link: LinkId, at_least: Zxid) {
        let walk = parts.tree.walk();
        let label = member.begin_tree(link, walk.zxid, at_least);
        let mut start = Vec::new();
        encode_tree_start(&mut start, &walk);
        member.send_tree(link, &start);
        self.trees.insert(link, TreeSend { walk, label });
    }

    /// Bytes of the leader's tree.
    pub fn tree_bytes(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId, label: Zxid, bytes: &[u8]) {
        if self.receiving.as_ref().is_none_or(|(from, _)| *from != link) {
            let stream = TreeStream::new(self.options.length_max);
            let loader = Loader::new(self.options.tree, label);
            self.receiving = Some((link, TreeReceive { stream, loader }));
        }
        let Some((_, TreeReceive { stream, loader })) = &mut self.receiving else { return };
        match stream.push(bytes, &mut |part| load(loader, part)) {
            Ok(pushed) if !pushed.complete => {}
            Ok(pushed) => {
                if let Some((_, receive)) = self.receiving.take() {
                    *parts.tree = receive.loader.finish();
                }
                member.tree_received(parts, link, Some(bytes[pushed.used..].to_vec()));
            }
            Err(_) => {
                self.receiving = None;
                member.tree_received(parts, link, None);
            }
        }
    }

    /// The connection is gone.
    pub fn forget(&mut self, link: LinkId) {
        self.histories.remove(&link);
        self.trees.remove(&link);
        if self.receiving.as_ref().is_some_and(|(from, _)| *from == link) {
            self.receiving = None;
        }
    }

    /// A portion of everything. True: there is more to do.
    pub fn step(&mut self, member: &mut Member, parts: &mut Parts<'_>, dice: &mut Dice) -> bool {
        let links: Vec<LinkId> = self.histories.keys().chain(self.trees.keys()).copied().collect();
        for link in links {
            if member.has_room(link) {
                self.step_history(member, parts, link, dice.between(1, 64));
                self.step_tree(member, parts, link, dice.between(1, 60) as usize);
            }
        }
        self.histories.keys().chain(self.trees.keys()).any(|link| member.has_room(*link))
    }

    fn step_history(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId, records: u64) {
        let Some(reader) = self.histories.get_mut(&link) else { return };
        for _ in 0..records {
            match reader.next_record() {
                Ok(Some(record)) => member.send_record(link, record.zxid, record.payload),
                result => {
                    let complete = result.is_ok();
                    self.histories.remove(&link);
                    return member.history_sent(parts, link, complete);
                }
            }
        }
    }

    fn step_tree(&mut self, member: &mut Member, parts: &mut Parts<'_>, link: LinkId, nodes: usize) {
        let Some(send) = self.trees.get_mut(&link) else { return };
        let mut chunk = Vec::new();
        let last = send.walk.step(parts.tree, nodes, |node| encode_node(&mut chunk, &node));
        if !last {
            return member.send_tree(link, &chunk);
        }
        encode_tree_end(&mut chunk);
        member.send_tree(link, &chunk);
        let (label, from) = (send.label, send.walk.zxid);
        self.trees.remove(&link);
        member.tree_sent(parts, link, label, from);
    }
}

fn load(loader: &mut Loader, part: TreePart<'_>) -> Result<(), LoadError> {
    match part {
        TreePart::Session(session, timeout_ms) => loader.session(session, timeout_ms),
        TreePart::Acl(id, acl) => loader.acl(id, acl),
        TreePart::Nodes(nodes) => loader.nodes(nodes)?,
    }
    Ok(())
}
