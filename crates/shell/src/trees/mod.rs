//! Subtrees as values that can be read, compared and written, wherever they are: at the session's servers, at those of another
//! cluster, in a JSON file, in a folder.
//!
//! A tree is a stream of [`Node`]s whose paths are relative to its root ("" is the root), in the order of a walk: parents first,
//! children sorted. Two trees in this order are compared by one pass ([`plan`]).

pub mod folder;
pub mod json;
pub mod live;
pub mod place;
pub mod plan;
pub mod target;

use crate::error::CommandError;
use ostler_client::aio::Acl;
use std::cmp::Ordering;

/// A znode of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Relative to the root: "" or "/a/b".
    pub path: String,
    /// `None`: null, which is not the same as empty.
    pub data: Option<Vec<u8>>,
    /// `None`: not known, or not wanted.
    pub acl: Option<Vec<Acl>>,
}

/// The order of a walk: names are compared one by one, so that what is below a node comes directly behind it.
pub fn order(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

/// A stream of nodes in the order of a walk.
#[derive(Debug)]
pub enum Nodes {
    /// From servers.
    Live(live::Live),
    /// From memory.
    Read(std::vec::IntoIter<Node>),
}

impl Nodes {
    /// Sorts them first; paths that occur twice, or have no parent, are refused.
    ///
    /// # Errors
    /// The nodes are no tree; the text names `place`.
    pub fn read(mut nodes: Vec<Node>, place: &str) -> Result<Nodes, CommandError> {
        nodes.sort_by(|a, b| order(&a.path, &b.path));
        let wrong = |what: &str, path: &str| {
            let path = if path.is_empty() { "/" } else { path };
            Err(CommandError::Failed(format!("{place}: {what}: {path}\nhint: was it written by `ostler cp`?")))
        };
        let mut open: Vec<&str> = Vec::new();
        for node in &nodes {
            while open
                .last()
                .is_some_and(|last| !node.path.starts_with(last) || node.path[last.len()..].starts_with(|c| c != '/'))
            {
                open.pop();
            }
            match open.last() {
                None if node.path.is_empty() => (),
                Some(last) if *last == node.path => return wrong("it is there twice", &node.path),
                Some(last) if node.path[last.len()..].rfind('/') == Some(0) => (),
                _ => return wrong("its parent is missing", &node.path),
            }
            open.push(&node.path);
        }
        Ok(Nodes::Read(nodes.into_iter()))
    }

    /// The next node; `None` behind the last one.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn next(&mut self) -> Result<Option<Node>, CommandError> {
        match self {
            Nodes::Live(live) => live.next().await,
            Nodes::Read(nodes) => Ok(nodes.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str) -> Node {
        Node { path: path.into(), data: None, acl: None }
    }

    #[test]
    fn below_comes_directly_behind() {
        let mut paths = ["/b", "/a/c", "/a-b", "", "/a", "/a/c/d"];
        paths.sort_by(|a, b| order(a, b));
        assert_eq!(paths, ["", "/a", "/a/c", "/a/c/d", "/a-b", "/b"]);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let read = |paths: &[&str]| Nodes::read(paths.iter().map(|path| node(path)).collect(), "x.json").map(|_| ());
        assert!(read(&["/a/b", "/a", "", "/ab"]).is_ok());
        for (paths, part) in
            [(&["", "/a/b"][..], "parent is missing: /a/b"), (&["", "/a", "/a"], "twice: /a"), (&["/a"], "missing: /a")]
        {
            let error = read(paths).expect_err("no tree").to_string();
            assert!(error.contains(part) && error.starts_with("x.json: "), "{error}");
        }
    }
}
