//! Quotas: the text of their nodes, which of them are active, and the usage kept in their stats nodes
//! (client-protocol.md section 17, storage.md section 5).
//!
//! The quota of `/a/b` lives in `/zookeeper/quota/a/b/zookeeper_limits` and `.../zookeeper_stats`. There is none on
//! the root: a limits or stats node right under /zookeeper/quota, or outside of it, is a plain node.

use crate::{Store, Tree};
use ostler_model::path;
use std::collections::BTreeMap;

/// The text of a limits or stats node. A number that is not set is -1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Nodes, the root of the quota included.
    pub count: i64,
    /// Bytes of data.
    pub bytes: i64,
    /// `countHardLimit`, `byteHardLimit` and whatever else was in the text.
    pub others: BTreeMap<String, i64>,
}

impl Quota {
    /// Reads `count=1,bytes=2=;byteHardLimit=3;countHardLimit=4`. `None` if a pair has no
    /// value or one that is not a number (tried on Apache 3.9.3, where that refuses every write below).
    pub fn parse(text: &[u8]) -> Option<Quota> {
        // Malformed UTF-8 is no reason to refuse: it may stand in a key that nobody asks for (tried on Apache 3.9.3).
        let text = String::from_utf8_lossy(text);
        let mut quota = Quota { count: -1, bytes: -1, others: BTreeMap::new() };
        let text = text.trim_end_matches([',', ';']);
        for (i, pair) in text.split([',', ';']).enumerate() {
            // A run of separators is one; before the first pair there is none.
            if pair.is_empty() && (i > 0 || text.is_empty()) {
                continue;
            }
            // What follows a second '=' does not count: Apache's own limits have "bytes=-1=;byteHardLimit=10".
            let (key, value) = pair.trim_end_matches('=').split_once('=')?;
            let value = match value.split('=').next().unwrap_or_default() {
                "" => -1,
                value => value.parse().ok()?,
            };
            match key {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                _ => {
                    quota.others.insert(key.into(), value);
                }
            }
        }
        Some(quota)
    }

    /// The text of it.
    pub fn to_text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        for (i, (key, value)) in self.others.iter().enumerate() {
            text.push_str(if i == 0 { "=;" } else { ";" });
            text.push_str(&format!("{key}={value}"));
        }
        text
    }

    /// The count that may not be exceeded, -1 = none.
    pub fn hard_count(&self) -> i64 {
        self.others.get("countHardLimit").copied().unwrap_or(-1)
    }

    /// The bytes that may not be exceeded, -1 = none.
    pub fn hard_bytes(&self) -> i64 {
        self.others.get("byteHardLimit").copied().unwrap_or(-1)
    }
}

/// The path of the limits node for the quota of `root`.
pub fn limits_path(root: &str) -> String {
    format!("{}{root}/{}", path::QUOTA, path::QUOTA_LIMITS)
}

/// The path of the stats node for the quota of `root`.
pub fn stats_path(root: &str) -> String {
    format!("{}{root}/{}", path::QUOTA, path::QUOTA_STATS)
}

/// The root of the quota that a node called `name` at `path` belongs to.
fn root_of<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let root = path.strip_prefix(path::QUOTA)?.strip_suffix(name)?.strip_suffix('/')?;
    (root.len() > 1 && root.starts_with('/')).then_some(root)
}

impl Tree {
    /// The root of the deepest quota that `path` is under, as in `/zookeeper/quota<root>/zookeeper_limits`.
    pub fn quota_root<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.quotas.is_empty() {
            return None;
        }
        let mut at = path;
        while !at.is_empty() {
            if self.quotas.contains(at) {
                return Some(at);
            }
            at = path::split(at)?.0;
        }
        None
    }

    pub(crate) fn account_created(&mut self, path: &str, bytes: usize) {
        if let Some(root) = root_of(path, path::QUOTA_LIMITS) {
            self.quotas.insert(root.into());
        }
        if let Some(root) = root_of(path, path::QUOTA_STATS) {
            self.recount(root);
        }
        self.account(path, 1, bytes as i64);
    }

    pub(crate) fn account_deleted(&mut self, path: &str, bytes: usize) {
        if let Some(root) = root_of(path, path::QUOTA_LIMITS) {
            self.quotas.remove(root);
        }
        self.account(path, -1, -(bytes as i64));
    }

    /// Adds to the usage of the deepest quota that `path` is under. Only the data of the stats node changes.
    pub(crate) fn account(&mut self, path: &str, nodes: i64, bytes: i64) {
        if nodes == 0 && bytes == 0 {
            return;
        }
        let Some(root) = self.quota_root(path) else { return };
        let stats = stats_path(root);
        let Some(node) = self.find(&stats) else { return };
        match self.node_ref(node).data().and_then(Quota::parse) {
            Some(mut usage) => {
                usage.count = usage.count.saturating_add(nodes);
                usage.bytes = usage.bytes.saturating_add(bytes);
                self.set_usage(&stats, &usage);
            }
            // Apache's server dies of such a text, and again at every start; the tree itself knows the usage.
            None => self.recount(root),
        }
    }

    /// Writes the usage below `root` as it is now into its stats node, if there is one.
    fn recount(&mut self, root: &str) {
        let (count, bytes) = match self.node(root) {
            Some(node) => (node.descendants() + 1, node.bytes_below() + node.data_length() as u64),
            None => (0, 0),
        };
        let usage = Quota { count: count as i64, bytes: bytes as i64, others: BTreeMap::new() };
        self.set_usage(&stats_path(root), &usage);
    }

    fn set_usage(&mut self, stats: &str, usage: &Quota) {
        if let Some(node) = self.find(stats) {
            let text = usage.to_text();
            let crc = crate::content_crc(stats, Some(text.as_bytes()));
            self.set_data(node, Some(text.as_bytes()), crc);
        }
    }

    /// Registers all quotas found under /zookeeper/quota and counts their usage, after a snapshot was loaded.
    pub(crate) fn find_quotas(&mut self) {
        let mut open: Vec<String> = vec![path::QUOTA.into()];
        while let Some(dir) = open.pop() {
            let Some(node) = self.node(&dir) else { continue };
            node.list(&mut crate::ChildCursor::default(), |name| {
                open.push(format!("{dir}/{name}"));
                true
            });
            if let Some(root) = root_of(&dir, path::QUOTA_LIMITS) {
                self.quotas.insert(root.into());
            }
        }
        for root in self.quotas.clone() {
            self.recount(&root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_command_line_and_of_apache_survive() {
        for text in ["count=1,bytes=2", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3", "count=0,bytes=0=;x=1"]
        {
            assert_eq!(Quota::parse(text.as_bytes()).unwrap().to_text(), text);
        }
        let quota = Quota::parse(b"count=5,bytes=-1=;byteHardLimit==9;countHardLimit=7=8").unwrap();
        assert_eq!((quota.count, quota.hard_count(), quota.hard_bytes()), (5, 7, -1));
        assert_eq!(Quota::parse(b"").unwrap().to_text(), "count=-1,bytes=-1");
        // Found by 455,871 requests of the differential test.
        assert_eq!(Quota::parse(b"count=3,bytes=4=;co\xff\xffardLimit=0").unwrap().bytes, 4);
        for empty in [&b","[..], b"=5", b"count=-1;", b";,;"] {
            assert_eq!(Quota::parse(empty).map(|quota| quota.count), Some(-1));
        }
        for bad in [
            &b"count=x,bytes=2"[..],
            b"junk",
            b"\xff",
            b"count=1.5",
            b"count=",
            b"count==",
            b"=",
            b",count=5",
            b"count= 1",
        ] {
            assert_eq!(Quota::parse(bad), None);
        }
    }

    #[test]
    fn only_nodes_below_a_path_under_the_quota_root_are_quotas() {
        assert_eq!(root_of("/zookeeper/quota/a/b/zookeeper_limits", "zookeeper_limits"), Some("/a/b"));
        for path in [
            "/zookeeper/quota/zookeeper_limits",
            "/zookeeper/zookeeper_limits",
            "/zookeeper/quotas/a/zookeeper_limits",
            "/a/zookeeper_limits",
            "/zookeeper/quota/a/xzookeeper_limits",
            "/zookeeper_limits",
        ] {
            assert_eq!(root_of(path, "zookeeper_limits"), None, "{path}");
        }
    }
}
