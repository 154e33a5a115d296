//! Where a tree is, as it is written on a command line: `/path` at the session's servers, `zk://SERVERS/path` at others,
//! `FILE.json`, or a folder.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::trees::{Nodes, folder, json, live::Live};
use ostler_client::aio::{Client, ErrorCode};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What `--help` says about places.
pub const PLACES: &str = "\
A tree is written as
  /app                            a znode of the servers of --server
  zk://host:2181,host:2181/app    a znode of other servers
  app.json                        a JSON file; - is stdin or stdout
  file:/some/where, ./folder      anything else is a folder, with a folder for each znode";

/// Where a tree is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A znode of these servers; `None`: the session's.
    Znode {
        /// A connection string without a chroot.
        servers: Option<String>,
        /// Its path.
        path: String,
    },
    /// A JSON file.
    Json(PathBuf),
    /// A folder.
    Folder(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let znode = |servers, path: &str| match check_path(path) {
            Ok(()) => Ok(Place::Znode { servers, path: path.to_owned() }),
            Err(error) => Err(error.to_string()),
        };
        if let Some(rest) = text.strip_prefix("zk://") {
            let (servers, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
            if servers.is_empty() {
                return Err("it names no server; hint: zk://HOST:PORT/PATH".into());
            }
            return znode(Some(servers.to_owned()), path);
        }
        if text.starts_with('/') {
            return znode(None, text);
        }
        let file = text.strip_prefix("file:").unwrap_or(text);
        if file.is_empty() {
            return Err("it is empty".into());
        }
        let is_json = file == "-" || file.ends_with(".json");
        Ok(if is_json { Place::Json(file.into()) } else { Place::Folder(file.into()) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Znode { servers: None, path } => write!(f, "{path}"),
            Place::Znode { servers: Some(servers), path } => write!(f, "zk://{servers}{path}"),
            Place::Json(file) | Place::Folder(file) => write!(f, "{}", file.display()),
        }
    }
}

/// How a place is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// ACLs too.
    pub acls: bool,
    /// Ephemerals too.
    pub ephemerals: bool,
}

impl Place {
    /// The session behind a znode; `None` for files.
    ///
    /// # Errors
    /// No server takes it.
    pub async fn client(&self, context: &mut Context) -> Result<Option<Client>, CommandError> {
        Ok(match self {
            Place::Znode { servers: None, .. } => Some(context.client().await?),
            Place::Znode { servers: Some(servers), .. } => Some(context.connection.at(servers).open().await?),
            Place::Json(_) | Place::Folder(_) => None,
        })
    }

    /// The nodes.
    ///
    /// # Errors
    /// A file cannot be read or is no tree.
    pub fn nodes(&self, client: Option<&Client>, reading: Reading) -> Result<Nodes, CommandError> {
        match (self, client) {
            (Place::Znode { path, .. }, Some(client)) => {
                Ok(Nodes::Live(Live::new(client, path, reading.acls, reading.ephemerals)))
            }
            (Place::Znode { .. }, None) => Err(CommandError::NotConnected),
            (Place::Json(file), _) => Nodes::read(json::read(file)?, &self.to_string()),
            (Place::Folder(folder), _) => Nodes::read(folder::read(folder)?, &self.to_string()),
        }
    }

    /// The nodes, or none if nothing is there.
    ///
    /// # Errors
    /// As [`Place::nodes`].
    pub async fn nodes_if_there(&self, client: Option<&Client>, reading: Reading) -> Result<Nodes, CommandError> {
        let is_there = match (self, client) {
            (Place::Znode { path, .. }, Some(client)) => match client.exists(path).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => false,
                other => other?.is_some(),
            },
            (Place::Znode { .. }, None) => false,
            (Place::Json(file), _) => file.exists(),
            (Place::Folder(folder), _) => folder.exists(),
        };
        if is_there { self.nodes(client, reading) } else { Ok(Nodes::Read(Vec::new().into_iter())) }
    }

    /// How many nodes there are, if that is known without reading all.
    pub async fn count(&self, client: Option<&Client>) -> Option<u64> {
        let (Place::Znode { path, .. }, Some(client)) = (self, client) else { return None };
        // Only the progress bar needs it.
        client.all_children_number(path).await.ok().and_then(|below| u64::try_from(below).ok()).map(|below| below + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["/", "/a/b", "zk://h:1,h:2/a", "zk://h/", "a.json", "-", "some/folder"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert_eq!("file:/x.json".parse(), Ok(Place::Json("/x.json".into())));
        assert_eq!("zk://h".parse(), Ok(Place::Znode { servers: Some("h".into()), path: "/".into() }));
        for text in ["/a/", "zk:///a", "", "zk://h//"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
