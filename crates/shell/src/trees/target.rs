//! Where changes are carried out: at servers, in a JSON file, or in a folder.

use crate::error::CommandError;
use crate::show;
use crate::trees::place::Place;
use crate::trees::{Node, folder, json};
use crate::walk::child;
use ostler_client::aio::{Acl, Client, CreateMode, Error};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::pin::Pin;

/// Writes under way at a time, and bytes of their data.
const WRITES_MAX: usize = 64;
const WRITE_BYTES_MAX: usize = 8 << 20;

type Write1 = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A place that is written to.
pub enum Target {
    /// Znodes below a path.
    Znodes(Znodes),
    /// A JSON file: a whole tree, with nothing that was there before.
    Json(json::Writer, Option<(PathBuf, PathBuf)>),
    /// A folder.
    Folder(PathBuf),
}

/// Znodes being written. What is asked first takes effect first, so that parents are there before their children.
pub struct Znodes {
    client: Client,
    root: String,
    under_way: VecDeque<(usize, Write1)>,
    bytes: usize,
}

impl Target {
    /// Opens a place for writing.
    ///
    /// # Errors
    /// A file cannot be made.
    pub fn open(place: &Place, client: Option<&Client>) -> Result<Target, CommandError> {
        Ok(match (place, client) {
            (Place::Znode { path, .. }, Some(client)) => Target::Znodes(Znodes {
                client: client.clone(),
                root: path.clone(),
                under_way: VecDeque::new(),
                bytes: 0,
            }),
            (Place::Znode { .. }, None) => return Err(CommandError::NotConnected),
            (Place::Json(file), _) => {
                let failed = |error| CommandError::io(file.display().to_string(), error);
                let (out, files): (Box<dyn Write>, _) = if file.as_os_str() == "-" {
                    (Box::new(io::stdout()), None)
                } else {
                    let new = file.with_extension("json.new");
                    let out = BufWriter::new(File::create(&new).map_err(failed)?);
                    (Box::new(out), Some((new, file.clone())))
                };
                Target::Json(json::Writer::new(out).map_err(failed)?, files)
            }
            (Place::Folder(folder), _) => Target::Folder(folder.clone()),
        })
    }

    /// Whether it takes the whole tree instead of differences.
    pub fn is_whole(&self) -> bool {
        matches!(self, Target::Json(..))
    }

    /// Adds a node that is not there.
    ///
    /// # Errors
    /// It, or one before it, cannot be written.
    pub async fn add(&mut self, node: &Node) -> Result<(), CommandError> {
        match self {
            Target::Znodes(znodes) => {
                let open = show::acl::open();
                let acl: &[Acl] = node.acl.as_deref().unwrap_or(&open);
                let path = znodes.path(&node.path);
                let data = node.data.as_deref();
                let call = znodes.client.create_nullable(&path, data, CreateMode::Persistent, acl);
                znodes.send(data.map_or(0, <[u8]>::len), Box::pin(async { call.await.map(|_| ()) })).await
            }
            Target::Json(writer, _) => writer.node(node).map_err(|error| CommandError::io("the file", error)),
            Target::Folder(root) => folder::write(root, node),
        }
    }

    /// Gives a node that is there its data, and its ACL if that is known and differs.
    ///
    /// # Errors
    /// It, or one before it, cannot be written.
    pub async fn alter(&mut self, wanted: &Node, found: &Node) -> Result<(), CommandError> {
        let Target::Znodes(znodes) = self else { return self.add(wanted).await };
        let path = znodes.path(&wanted.path);
        if wanted.data != found.data {
            let data = wanted.data.as_deref().unwrap_or_default();
            let call = znodes.client.set_data(&path, data, -1);
            znodes.send(data.len(), Box::pin(async { call.await.map(|_| ()) })).await?;
        }
        if let Some(acl) = wanted.acl.as_ref().filter(|acl| found.acl.as_ref() != Some(acl)) {
            let call = znodes.client.set_acl(&path, acl, -1);
            znodes.send(0, Box::pin(async { call.await.map(|_| ()) })).await?;
        }
        Ok(())
    }

    /// Removes a node; those below it went before.
    ///
    /// # Errors
    /// It, or one before it, cannot be removed.
    pub async fn remove(&mut self, path: &str) -> Result<(), CommandError> {
        match self {
            Target::Znodes(znodes) => {
                let call = znodes.client.delete(&znodes.path(path), -1);
                znodes.send(0, Box::pin(call)).await
            }
            Target::Json(..) => Ok(()),
            Target::Folder(root) => folder::remove(root, path),
        }
    }

    /// Waits until everything is done.
    ///
    /// # Errors
    /// Something cannot be written.
    pub async fn end(self) -> Result<(), CommandError> {
        match self {
            Target::Znodes(mut znodes) => znodes.settle(0, 0).await,
            Target::Json(writer, files) => {
                writer.end().map_err(|error| CommandError::io("the file", error))?;
                let Some((new, file)) = files else { return Ok(()) };
                std::fs::rename(new, &file).map_err(|error| CommandError::io(file.display().to_string(), error))
            }
            Target::Folder(_) => Ok(()),
        }
    }
}

impl Znodes {
    fn path(&self, relative: &str) -> String {
        match relative.strip_prefix('/') {
            None => self.root.clone(),
            Some(below) => child(&self.root, below),
        }
    }

    async fn send(&mut self, bytes: usize, call: Write1) -> Result<(), CommandError> {
        self.bytes += bytes;
        self.under_way.push_back((bytes, call));
        self.settle(WRITES_MAX, WRITE_BYTES_MAX).await
    }

    async fn settle(&mut self, calls_max: usize, bytes_max: usize) -> Result<(), CommandError> {
        while self.under_way.len() > calls_max
            || self.bytes > bytes_max
            || (calls_max == 0 && !self.under_way.is_empty())
        {
            let Some((bytes, call)) = self.under_way.pop_front() else { break };
            self.bytes -= bytes;
            call.await?;
        }
        Ok(())
    }
}
