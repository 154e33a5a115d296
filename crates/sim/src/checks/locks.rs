//! Never two holders of a lock whose znodes are both there, and fencing tokens grow from holder to holder. A holder whose
//! znode is gone may not know it yet: that is what tokens are for. (docs/recipes.md)

use crate::checks::{Verdict, broken};
use crate::model::State;
use ostler_model::Zxid;
use std::collections::BTreeMap;

/// The clients that believe they hold the lock.
#[derive(Debug, Default)]
pub struct Locks {
    holders: BTreeMap<usize, (String, Zxid)>,
    last: Zxid,
    /// Turns at the lock.
    pub turns: u64,
}

impl Locks {
    /// A client came to hold the lock with this znode.
    ///
    /// # Errors
    /// Another one holds it, or a later one has.
    pub fn held(&mut self, state: &State, client: usize, path: &str, token: Zxid) -> Verdict {
        let is_there = |path: &str, token: Zxid| state.node(path).is_some_and(|node| node.stat.czxid == token);
        if !is_there(path, token) {
            // What it was told is old; its session is over.
            return Ok(());
        }
        for (other, (theirs, older)) in &self.holders {
            if *other != client && is_there(theirs, *older) {
                let words =
                    format!("client {client} holds {path} ({token}) beside client {other} with {theirs} ({older})");
                return Err(broken("locks", words));
            }
        }
        if token <= self.last {
            let last = self.last;
            return Err(broken("locks", format!("client {client} holds {path} with token {token} after token {last}")));
        }
        self.last = token;
        self.turns += 1;
        self.holders.insert(client, (path.to_owned(), token));
        Ok(())
    }

    /// A client gave it up, or its session is over.
    pub fn left(&mut self, client: usize) {
        self.holders.remove(&client);
    }
}
