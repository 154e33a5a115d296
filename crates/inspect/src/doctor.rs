//! `ostler doctor`: what is in a data directory, what is damaged, what a server would do with it, and what to do.
//!
//! The diagnosis is the server's own recovery, run over a [`DryDisk`]: nothing on the disk changes. The treatment
//! (`--write`) copies both directories first, then runs the same recovery on the real disk and writes a fresh snapshot, so that
//! the next start, of Ostler or Apache, needs nothing of what was damaged.

use crate::dry::DryDisk;
use crate::{InspectError, log, snapshot};
use ostler_model::Zxid;
use ostler_store::{
    DataDirs, DirLock, Disk, RealDisk, RecoverOptions, Recovered, RecoveryFacts, SnapshotFormat, StoreError, log_zxid,
    recover, snapshot_zxid, write_snapshot,
};
use ostler_tree::TreeConfig;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the doctor is asked.
#[derive(Clone, Debug)]
pub struct Visit {
    /// `dataDir`.
    pub data_dir: PathBuf,
    /// `dataLogDir`, if the logs have a directory of their own.
    pub log_dir: Option<PathBuf>,
    /// Join histories over holes, as `serve --accept-gap` does.
    pub accept_gap: bool,
    /// Repair: `Some` names the directory for the copy of everything.
    pub backup: Option<PathBuf>,
    /// See [`crate::LENGTH_MAX`].
    pub length_max: usize,
}

/// How the patient is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// A server starts and loses nothing.
    Sound,
    /// A server starts; something should be known or done.
    Remarks,
    /// No server starts without help.
    Ill,
}

/// Looks at the files one by one, then at the whole, and prints both.
///
/// # Errors
/// A directory that cannot be read at all; a failed repair; the output fails. What is wrong with the data is printed.
pub fn visit(visit: &Visit, out: &mut dyn Write) -> Result<Health, InspectError> {
    let dirs = DataDirs::new(&visit.data_dir, visit.log_dir.clone());
    let mut remarks = files(&dirs, visit.length_max, out)?;
    let dry = DryDisk::default();
    writeln!(out, "\nwhat a start would do")?;
    match dirs.prepare(&dry, true).and_then(|()| recovered(&dry, &dirs, visit)) {
        Ok(Recovered { tree, facts }) => {
            remarks |= tell(&facts, out)?;
            writeln!(
                out,
                "  {} nodes, {} sessions, {} bytes of data",
                tree.node_count(),
                tree.sessions().count(),
                tree.approximate_data_size()
            )?;
            for change in dry.changes() {
                writeln!(out, "  it would {change}")?;
            }
        }
        Err(error) => {
            writeln!(out, "  it would refuse: {}", indented(&error))?;
            advise(&error, visit, &dirs, out)?;
            return Ok(Health::Ill);
        }
    }
    if let Some(backup) = &visit.backup {
        repair(visit, &dirs, backup, out)?;
    }
    writeln!(out, "\n{}", if remarks { "a server starts; read the remarks above" } else { "all is well" })?;
    Ok(if remarks { Health::Remarks } else { Health::Sound })
}

fn recovered<D: Disk>(disk: &D, dirs: &DataDirs, visit: &Visit) -> Result<Recovered, StoreError> {
    let options = RecoverOptions {
        accept_gap: visit.accept_gap,
        length_max: visit.length_max,
        ..RecoverOptions::new(TreeConfig { seed: 0, digest: true })
    };
    recover(disk, dirs, &options, &mut |_| {})
}

fn indented(error: &dyn std::error::Error) -> String {
    error.to_string().replace('\n', "\n  ")
}

/// One line a file, problems below it. True if there were any.
fn files(dirs: &DataDirs, length_max: usize, out: &mut dyn Write) -> Result<bool, InspectError> {
    let mut remarks = false;
    writeln!(out, "snapshots in {}", dirs.snapshots().display())?;
    for (_, path) in named(&dirs.snapshots(), snapshot_zxid)? {
        match snapshot::verify(&path, length_max) {
            Ok(line) => writeln!(out, "  {}: {line}", file_name(&path))?,
            Err(error) => {
                remarks = true;
                writeln!(out, "  {}: DAMAGED: {}", file_name(&path), indented(&error))?;
            }
        }
    }
    writeln!(out, "transaction logs in {}", dirs.logs().display())?;
    let mut last: Option<Zxid> = None;
    for (_, path) in named(&dirs.logs(), log_zxid)? {
        let summary = match log::verify(&path, length_max) {
            Ok(summary) => summary,
            Err(error) => {
                remarks = true;
                writeln!(out, "  {}: DAMAGED: {}", file_name(&path), indented(&error))?;
                continue;
            }
        };
        let range = summary
            .range
            .map_or("no records".to_owned(), |(first, last)| format!("{first} to {last}, {} records", summary.records));
        writeln!(out, "  {}: {range}, {} of {} bytes used", file_name(&path), summary.end, summary.length)?;
        for problem in &summary.problems {
            remarks = true;
            writeln!(out, "    {}", problem.replace('\n', "\n    "))?;
        }
        if let (Some(before), Some((first, _))) = (last, summary.range)
            && first > before
            && !before.is_followed_by(first)
        {
            remarks = true;
            writeln!(out, "    transactions are missing between {before} and {first}")?;
        }
        last = last.max(summary.range.map(|(_, last)| last));
    }
    Ok(remarks)
}

fn named(dir: &Path, zxid_of: fn(&str) -> Option<Zxid>) -> Result<Vec<(Zxid, PathBuf)>, InspectError> {
    let entries = RealDisk.list(dir).map_err(InspectError::io("list the directory", dir))?;
    let mut files: Vec<(Zxid, PathBuf)> =
        entries.into_iter().filter_map(|entry| Some((zxid_of(&entry.name)?, dir.join(entry.name)))).collect();
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What recovery found. True if something is remarkable.
fn tell(facts: &RecoveryFacts, out: &mut dyn Write) -> Result<bool, InspectError> {
    let from = facts.snapshot.clone().unwrap_or_else(|| "an empty tree".to_owned());
    writeln!(
        out,
        "  it would begin with {from} and replay {} records of {} logs, up to {}",
        facts.records, facts.log_files, facts.zxid
    )?;
    let mut remarks = Vec::new();
    for (name, why) in facts.invalid_snapshots.iter().chain(&facts.rejected_snapshots) {
        remarks.push(format!("{name} would be passed over: {why}"));
    }
    if let Some((name, offset)) = &facts.torn_tail {
        remarks.push(format!("{name} ends at offset {offset} in a record that was being written when the server died: it was never acknowledged"));
    }
    if let Some(zxid) = facts.first_mismatch {
        remarks.push(format!("{} digests do not match, the first at {zxid}: the tree differs from its writer's (one, at a fuzzy snapshot of Apache, is a known race of its writer)", facts.digest_mismatches));
    }
    if !facts.orphans_removed.is_empty() {
        remarks.push(format!(
            "{} ephemerals have no session and would be removed, {} first",
            facts.orphans_removed.len(),
            facts.orphans_removed[0]
        ));
    }
    remarks.extend(facts.warnings.iter().cloned());
    for remark in &remarks {
        writeln!(out, "  remark: {}", remark.replace('\n', "\n  "))?;
    }
    Ok(!remarks.is_empty())
}

/// What would be lost if the hole were accepted, so that nobody has to try it out.
fn advise(error: &StoreError, visit: &Visit, dirs: &DataDirs, out: &mut dyn Write) -> Result<(), InspectError> {
    if visit.accept_gap || !matches!(error, StoreError::Gap { .. } | StoreError::BytesBehindEnd { .. }) {
        return Ok(());
    }
    let accepting = Visit { accept_gap: true, ..visit.clone() };
    writeln!(out, "\nif the hole is accepted (--accept-gap)")?;
    match recovered(&DryDisk::default(), dirs, &accepting) {
        Ok(recovered) => {
            tell(&recovered.facts, out)?;
            writeln!(out, "  {} nodes would be there", recovered.tree.node_count())?;
            writeln!(
                out,
                "  hint: `ostler doctor --accept-gap --write {}` does that, after a backup",
                visit.data_dir.display()
            )?;
        }
        Err(error) => writeln!(out, "  it would refuse all the same: {}", indented(&error))?,
    }
    Ok(())
}

/// Copies everything, recovers for real, and writes a snapshot of the result.
fn repair(visit: &Visit, dirs: &DataDirs, backup: &Path, out: &mut dyn Write) -> Result<(), InspectError> {
    let _lock = DirLock::acquire(dirs)?;
    if backup.exists() {
        return Err(InspectError::Exists(backup.to_owned()));
    }
    let mut copied = vec![(dirs.snapshots(), backup.join("data"))];
    if dirs.are_split() {
        copied.push((dirs.logs(), backup.join("log")));
    }
    writeln!(out, "\nrepair")?;
    for (from, to) in copied {
        std::fs::create_dir_all(&to).map_err(InspectError::io("create the directory", &to))?;
        for entry in RealDisk.list(&from).map_err(InspectError::io("list the directory", &from))? {
            let target = to.join(&entry.name);
            std::fs::copy(from.join(&entry.name), &target)
                .and_then(|_| std::fs::File::open(&target)?.sync_all())
                .map_err(InspectError::io("copy to", &target))?;
        }
        writeln!(out, "  {} is copied to {}", from.display(), to.display())?;
    }
    let recovered = recovered(&RealDisk, dirs, visit)?;
    let path = write_snapshot(&RealDisk, dirs, &recovered.tree, SnapshotFormat::default())?;
    writeln!(out, "  {} is written: any server starts from it", path.display())?;
    Ok(())
}
