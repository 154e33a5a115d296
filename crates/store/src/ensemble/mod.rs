//! The files of a dynamic ensemble beside zoo.cfg, as Apache writes them (ensemble.md section 16.3).
//!
//! * `<cfg>.bak`: zoo.cfg as it was when it still named the servers itself.
//! * `<cfg>.dynamic.<version>`: the servers of a configuration that was in force; old ones stay. zoo.cfg points at one.
//! * `<cfg>.dynamic.next`: a proposed configuration. It is durable before its transaction is acknowledged, because whoever
//!   acknowledges a change counts quorums in both configurations from then on (INV-24).
//!
//! Each file is written beside its name, synced and renamed, and its directory synced: after a crash zoo.cfg points at a
//! configuration that is there, the old one or the new one. The pointer moves before `.next` goes: a server that knew of a
//! change never starts without knowing of it.

mod rewrite;
#[cfg(test)]
mod tests;

use crate::{Disk, StoreError, atomic};
use ostler_model::properties::BadEscape;
use ostler_model::{Ensemble, ServerId};
use rewrite::rewritten;
use std::path::PathBuf;

/// A longer zoo.cfg or `.next` is none.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Writes them. Every call is durable when it returns, and may be repeated.
#[derive(Debug)]
pub struct EnsembleFiles<D: Disk> {
    disk: D,
    dir: PathBuf,
    /// The name of zoo.cfg in it.
    name: String,
    me: ServerId,
    /// The version that zoo.cfg stands for; 0 as long as it names the servers itself.
    in_force: i64,
}

impl<D: Disk> EnsembleFiles<D> {
    /// Beside the zoo.cfg of this name in `dir`, which is written into zoo.cfg as it stands here. `in_force` is the version
    /// of the configuration that was read from it.
    pub fn new(disk: D, dir: PathBuf, name: String, me: ServerId, in_force: i64) -> EnsembleFiles<D> {
        EnsembleFiles { disk, dir, name, me, in_force }
    }

    /// The configuration that was proposed when the server stopped, if one was.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is no configuration.
    pub fn proposed(&self) -> Result<Option<Ensemble>, StoreError> {
        let path = self.dir.join(self.next());
        let Some(bytes) = atomic::read(&self.disk, &path, FILE_BYTES_MAX)? else { return Ok(None) };
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let read = Ensemble::parse(&text).map_err(|error| StoreError::ConfigFile {
            file: path,
            why: error.to_string(),
            hint: "it holds the servers of a reconfiguration that was under way; restore it, or take over those of another \
                   server; without it this server could help to elect a leader that the others would not accept",
        })?;
        Ok(Some(read))
    }

    /// Shows that the files can be written, before anything depends on it. A zoo.cfg that names the servers itself is
    /// copied to `.bak`.
    ///
    /// # Errors
    /// A failed disk call; zoo.cfg cannot be read.
    pub fn prepare(&self, is_static: bool) -> Result<(), StoreError> {
        let old = self.config()?;
        rewritten(&old, "", false).map_err(|error| self.malformed(error))?;
        if is_static {
            return self.write(&format!("{}.bak", self.name), &old);
        }
        let probe = atomic::temporary(&self.dir, &self.next());
        self.disk.create(&probe).map_err(StoreError::io("create", &probe))?;
        atomic::remove(&self.disk, &probe)?;
        // What is in force needs no proposal any more.
        if self.proposed()?.is_some_and(|next| next.version() <= self.in_force) {
            atomic::remove(&self.disk, &self.dir.join(self.next()))?;
        }
        atomic::sync_dir(&self.disk, &self.dir)
    }

    /// Makes a proposed configuration, or one that is in force, durable.
    ///
    /// # Errors
    /// A failed disk call; zoo.cfg cannot be read.
    pub fn save(&mut self, ensemble: &Ensemble, committed: bool) -> Result<(), StoreError> {
        if !committed {
            return self.write(&self.next(), ensemble.file_text(true).as_bytes());
        }
        let version = ensemble.version();
        // One that is in force already comes again when a proposal was cut from the log: then only that goes.
        if version != self.in_force {
            let name = format!("{}.dynamic.{version:x}", self.name);
            self.write(&name, ensemble.file_text(false).as_bytes())?;
            self.point_at(&name, ensemble)?;
            self.in_force = version;
        }
        if atomic::remove(&self.disk, &self.dir.join(self.next()))? {
            atomic::sync_dir(&self.disk, &self.dir)?;
        }
        Ok(())
    }

    /// Rewrites zoo.cfg. It is read each time: the operator may have changed it since.
    fn point_at(&self, name: &str, ensemble: &Ensemble) -> Result<(), StoreError> {
        let pointer = self.dir.join(name);
        let pointer =
            pointer.to_str().ok_or_else(|| self.unusable("the path of its directory is no text".to_owned()))?;
        let own = ensemble.member(self.me).and_then(|member| member.client.as_ref());
        let names_client = own.is_some_and(|client| !client.from_static);
        let new = rewritten(&self.config()?, pointer, names_client);
        self.write(&self.name, new.map_err(|error| self.malformed(error))?.as_bytes())
    }

    fn config(&self) -> Result<Vec<u8>, StoreError> {
        match atomic::read(&self.disk, &self.dir.join(&self.name), FILE_BYTES_MAX + 1)? {
            Some(bytes) if bytes.len() <= FILE_BYTES_MAX => Ok(bytes),
            Some(_) => Err(self.unusable(format!("it has more than {FILE_BYTES_MAX} bytes"))),
            None => Err(self.unusable("the file is missing".to_owned())),
        }
    }

    fn unusable(&self, why: String) -> StoreError {
        let hint =
            "the server rewrites this file when the ensemble changes (reconfigEnabled=true): put it back as it was";
        StoreError::ConfigFile { file: self.dir.join(&self.name), why, hint }
    }

    fn malformed(&self, error: BadEscape) -> StoreError {
        self.unusable(format!("{error} in line {}", error.line))
    }

    fn next(&self) -> String {
        format!("{}.dynamic.next", self.name)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        atomic::write_like(&self.disk, &self.dir, name, content, &self.dir.join(&self.name))
    }
}
