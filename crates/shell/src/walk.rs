//! A subtree, znode by znode in order, with many requests under way.
//!
//! What is visited comes in the order of paths, depth first and children sorted, as if one request were made after the other;
//! a bounded number of those that come next is asked for ahead. Memory is bounded by the children of the znodes on one path
//! from the root, not by the subtree.

use crate::error::CommandError;
use ostler_client::aio::{Call, Client, ErrorCode, Stat};

/// Requests under way at a time.
pub const REQUESTS_MAX: usize = 64;

/// Whether a znode comes before or after what is below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// For listing and copying.
    ParentsFirst,
    /// For deleting.
    ChildrenFirst,
}

/// A znode of the subtree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visited {
    /// Its path.
    pub path: String,
    /// 0 for the root of the walk.
    pub depth: usize,
    /// Its Stat when its children were read.
    pub stat: Stat,
    /// No other child of its parent comes behind it, as far as the parent knew.
    pub is_last: bool,
}

type Children = Call<(Vec<String>, Stat)>;

#[derive(Debug)]
enum Step {
    /// To be read; its request may be under way.
    Read { path: String, depth: usize, is_last: bool, call: Option<Children> },
    /// Read before, and all below it was visited.
    Leave(Visited),
}

/// A walk over a subtree.
#[derive(Debug)]
pub struct Walk {
    client: Client,
    order: Order,
    depth_max: usize,
    /// What comes next is last.
    steps: Vec<Step>,
    under_way: usize,
}

impl Walk {
    /// A walk that begins at this path.
    pub fn new(client: &Client, root: &str, order: Order) -> Walk {
        let first = Step::Read { path: root.to_owned(), depth: 0, is_last: true, call: None };
        Walk { client: client.clone(), order, depth_max: usize::MAX, steps: vec![first], under_way: 0 }
    }

    /// Goes no deeper than this below the root.
    pub fn depth_max(mut self, depth: usize) -> Walk {
        self.depth_max = depth;
        self
    }

    /// The next znode; `None` behind the last one. Those that vanish meanwhile are left out, but for the root.
    ///
    /// # Errors
    /// A znode cannot be read.
    pub async fn next(&mut self) -> Result<Option<Visited>, CommandError> {
        loop {
            self.ask_ahead();
            let (path, depth, is_last, call) = match self.steps.pop() {
                None => return Ok(None),
                Some(Step::Leave(visited)) => return Ok(Some(visited)),
                Some(Step::Read { path, depth, is_last, call }) => (path, depth, is_last, call),
            };
            let call = match call {
                Some(call) => {
                    self.under_way -= 1;
                    call
                }
                None => self.client.get_children(&path),
            };
            let (mut names, stat) = match call.await {
                Err(error) if depth > 0 && error.code() == Some(ErrorCode::NoNode) => continue,
                other => other?,
            };
            let visited = Visited { path, depth, stat, is_last };
            if depth >= self.depth_max {
                names.clear();
            }
            names.sort_unstable();
            let below = names.iter().rev().enumerate().map(|(behind, name)| Step::Read {
                path: child(&visited.path, name),
                depth: depth + 1,
                is_last: behind == 0,
                call: None,
            });
            match self.order {
                Order::ParentsFirst => {
                    self.steps.extend(below);
                    return Ok(Some(visited));
                }
                Order::ChildrenFirst => {
                    let below: Vec<Step> = below.collect();
                    self.steps.push(Step::Leave(visited));
                    self.steps.extend(below);
                }
            }
        }
    }

    /// Makes the requests of what comes next.
    fn ask_ahead(&mut self) {
        for step in self.steps.iter_mut().rev().take(REQUESTS_MAX) {
            if self.under_way == REQUESTS_MAX {
                return;
            }
            if let Step::Read { path, call: call @ None, .. } = step {
                *call = Some(self.client.get_children(path));
                self.under_way += 1;
            }
        }
    }
}

/// The path of a child.
pub fn child(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}
