//! Snapshots: show, statistics, compare, verify, convert.
//!
//! A snapshot alone may be fuzzy: nodes changed while it was written may be older or newer than its zxid says. The
//! log behind it repairs that; what is shown here is what the file holds.

use crate::{InspectError, text};
use ostler_model::{AclList, Owner, StoredStat, Zxid, date};
use ostler_store::{
    Compression, Disk, LoadedSnapshot, RealDisk, read_snapshot_file, recompress_snapshot, snapshot_zxid,
};
use ostler_tree::{NodeRef, Tree, TreeConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Reads and checks a snapshot, whatever its compression.
///
/// # Errors
/// Not named as a snapshot, not readable, not whole.
pub fn load(file: &Path, length_max: usize) -> Result<(Zxid, LoadedSnapshot), InspectError> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let zxid = snapshot_zxid(&name).ok_or_else(|| InspectError::Name { file: file.to_owned(), kind: "snapshot" })?;
    RealDisk.open(file).map_err(InspectError::io("open", file))?;
    let config = TreeConfig { seed: 0, digest: true };
    let loaded = read_snapshot_file(&RealDisk, file, config, zxid, length_max)
        .map_err(|why| InspectError::Snapshot { file: file.to_owned(), why })?;
    Ok((zxid, loaded))
}

/// Visits `path` and what lies below it, parents first, names in order.
fn walk(
    tree: &Tree,
    path: &str,
    depth_max: usize,
    visit: &mut dyn FnMut(&str, usize, &NodeRef<'_>) -> Result<(), InspectError>,
) -> Result<(), InspectError> {
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let Some(node) = tree.node(&path) else { continue };
        visit(if path.is_empty() { "/" } else { &path }, depth, &node)?;
        if depth == depth_max {
            continue;
        }
        let mut names: Vec<&str> = Vec::with_capacity(node.num_children());
        node.list(&mut Default::default(), |name| {
            names.push(name);
            true
        });
        names.sort_unstable_by(|a, b| b.cmp(a));
        open.extend(names.into_iter().map(|name| (format!("{path}/{name}"), depth + 1)));
    }
    Ok(())
}

/// What is shown of a tree.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Only this node and what lies below it.
    pub path: Option<String>,
    /// So many levels below it.
    pub depth: Option<usize>,
    /// Stat and ACL of each node too.
    pub long: bool,
    /// One JSON object a line.
    pub json: bool,
}

/// Prints the nodes of a snapshot.
///
/// # Errors
/// As [`load`]; no such node; the output fails.
pub fn show(file: &Path, shown: &Shown, length_max: usize, out: &mut dyn Write) -> Result<(), InspectError> {
    let (_, loaded) = load(file, length_max)?;
    let root = shown.path.as_deref().unwrap_or("/").trim_end_matches('/');
    if loaded.tree.node(root).is_none() {
        return Err(InspectError::NoNode { file: file.to_owned(), path: root.to_owned() });
    }
    walk(&loaded.tree, root, shown.depth.unwrap_or(usize::MAX), &mut |path, depth, node| {
        if shown.json {
            writeln!(out, "{}", node_json(path, node))?;
            return Ok(());
        }
        let name = if depth == 0 { path } else { node.name() };
        write!(out, "{:indent$}{name}  {}", "", text::value(node.data()), indent = 2 * depth)?;
        write!(out, "{}", kind(node.owner()))?;
        if shown.long {
            let stat = node.stored();
            let (ctime, mtime) = (date::rfc3339(stat.ctime), date::rfc3339(stat.mtime));
            write!(out, "  czxid {} {ctime} mzxid {} {mtime} pzxid {}", stat.czxid, stat.mzxid, stat.pzxid)?;
            write!(out, " version {} cversion {} aversion {}", stat.version, stat.cversion, stat.aversion)?;
            write!(out, " acl {}", text::acl(node.acl()))?;
        }
        writeln!(out)?;
        Ok(())
    })
}

fn kind(owner: Owner) -> String {
    match owner {
        Owner::Persistent => String::new(),
        Owner::Session(session) => format!("  ephemeral of {session}"),
        Owner::Container => "  container".to_owned(),
        Owner::Ttl(ms) => format!("  ttl {ms} ms"),
    }
}

fn node_json(path: &str, node: &NodeRef<'_>) -> Value {
    let stat = node.stored();
    json!({
        "path": path,
        "data": text::value_json(node.data()),
        "acl": text::acl(node.acl()),
        "czxid": stat.czxid.to_string(), "mzxid": stat.mzxid.to_string(), "pzxid": stat.pzxid.to_string(),
        "ctime_ms": stat.ctime, "mtime_ms": stat.mtime,
        "version": stat.version, "cversion": stat.cversion, "aversion": stat.aversion,
        "ephemeralOwner": stat.ephemeral_owner, "children": node.num_children(),
    })
}

/// Counts of a snapshot, for [`stats`].
#[derive(Debug, Default)]
struct Stats {
    nodes: u64,
    data_bytes: u64,
    ephemerals: u64,
    containers: u64,
    ttls: u64,
    depth_max: usize,
    by_owner: BTreeMap<String, u64>,
    biggest: Vec<(u64, String)>,
    most_children: Vec<(u64, String)>,
    most_below: Vec<(u64, String)>,
}

/// Keeps the `most` greatest, equal ones by path.
fn keep(list: &mut Vec<(u64, String)>, most: usize, value: u64, path: &str) {
    if value == 0 || (list.len() == most && list.last().is_some_and(|(least, _)| *least >= value)) {
        return;
    }
    let at = list.partition_point(|(other, name)| (*other, path) > (value, name.as_str()));
    list.insert(at, (value, path.to_owned()));
    list.truncate(most);
}

fn count(tree: &Tree, top: usize) -> Result<Stats, InspectError> {
    let mut stats = Stats::default();
    walk(tree, "", usize::MAX, &mut |path, depth, node| {
        stats.nodes += 1;
        stats.data_bytes += node.data_length() as u64;
        stats.depth_max = stats.depth_max.max(depth);
        match node.owner() {
            Owner::Persistent => {}
            Owner::Session(session) => {
                stats.ephemerals += 1;
                *stats.by_owner.entry(session.to_string()).or_default() += 1;
            }
            Owner::Container => stats.containers += 1,
            Owner::Ttl(_) => stats.ttls += 1,
        }
        keep(&mut stats.biggest, top, node.data_length() as u64, path);
        keep(&mut stats.most_children, top, node.num_children() as u64, path);
        if depth > 0 {
            keep(&mut stats.most_below, top, node.bytes_below(), path);
        }
        Ok(())
    })?;
    Ok(stats)
}

/// Prints what a snapshot consists of: counts, sessions, the greatest nodes, the fullest parents.
///
/// # Errors
/// As [`load`]; the output fails.
pub fn stats(file: &Path, top: usize, json: bool, length_max: usize, out: &mut dyn Write) -> Result<(), InspectError> {
    let (zxid, loaded) = load(file, length_max)?;
    let stats = count(&loaded.tree, top)?;
    let sessions: Vec<_> = loaded.tree.sessions().collect();
    if json {
        let list = |list: &[(u64, String)]| {
            list.iter().map(|(n, path)| json!({ "path": path, "value": n })).collect::<Value>()
        };
        let sessions: Value =
            sessions.iter().map(|(id, ms)| json!({ "id": id.to_string(), "timeout_ms": ms })).collect();
        writeln!(
            out,
            "{}",
            json!({
                "zxid": zxid.to_string(), "nodes": stats.nodes, "data_bytes": stats.data_bytes, "depth": stats.depth_max,
                "ephemerals": stats.ephemerals, "containers": stats.containers, "ttl_nodes": stats.ttls, "sessions": sessions,
                "ephemerals_by_owner": stats.by_owner, "biggest": list(&stats.biggest),
                "most_children": list(&stats.most_children), "most_bytes_below": list(&stats.most_below),
            })
        )?;
        return Ok(());
    }
    writeln!(out, "zxid         {zxid}")?;
    writeln!(
        out,
        "nodes        {} ({} ephemeral, {} containers, {} with a TTL), {} levels deep",
        stats.nodes, stats.ephemerals, stats.containers, stats.ttls, stats.depth_max
    )?;
    writeln!(out, "data         {} bytes", stats.data_bytes)?;
    writeln!(out, "sessions     {}", sessions.len())?;
    for (session, timeout_ms) in &sessions {
        let owned = stats.by_owner.get(&session.to_string()).copied().unwrap_or(0);
        writeln!(out, "  {session}  time-out {timeout_ms} ms, {owned} ephemerals")?;
    }
    for (title, unit, list) in [
        ("biggest nodes", "bytes", &stats.biggest),
        ("most children", "children", &stats.most_children),
        ("most below them", "bytes", &stats.most_below),
    ] {
        writeln!(out, "{title}")?;
        for (value, path) in list {
            writeln!(out, "  {value:>10} {unit}  {path}")?;
        }
    }
    Ok(())
}

/// A node, to be compared.
#[derive(PartialEq)]
struct Compared {
    data: Option<Vec<u8>>,
    acl: AclList,
    stat: StoredStat,
}

/// Prints what differs between two snapshots: `+ path`, `- path`, `~ path: what`. Returns how many nodes differ.
///
/// # Errors
/// As [`load`]; the output fails.
pub fn diff(left: &Path, right: &Path, length_max: usize, out: &mut dyn Write) -> Result<u64, InspectError> {
    let (_, left) = load(left, length_max)?;
    let (_, right) = load(right, length_max)?;
    let mut differences = 0;
    let compared = |node: &NodeRef<'_>| Compared {
        data: node.data().map(<[u8]>::to_vec),
        acl: node.acl().clone(),
        stat: node.stored(),
    };
    walk(&left.tree, "", usize::MAX, &mut |path, _, node| {
        let other = right.tree.node(if path == "/" { "" } else { path });
        let line = match other {
            None => format!("- {path}  {}", text::value(node.data())),
            Some(other) => match changes(&compared(node), &compared(&other)) {
                Some(changes) => format!("~ {path}  {changes}"),
                None => return Ok(()),
            },
        };
        differences += 1;
        writeln!(out, "{line}")?;
        Ok(())
    })?;
    walk(&right.tree, "", usize::MAX, &mut |path, _, node| {
        if left.tree.node(if path == "/" { "" } else { path }).is_none() {
            differences += 1;
            writeln!(out, "+ {path}  {}", text::value(node.data()))?;
        }
        Ok(())
    })?;
    Ok(differences)
}

fn changes(left: &Compared, right: &Compared) -> Option<String> {
    let mut changes = Vec::new();
    if left.data != right.data {
        changes.push(format!("data {} -> {}", text::value(left.data.as_deref()), text::value(right.data.as_deref())));
    }
    if left.acl != right.acl {
        changes.push(format!("acl {} -> {}", text::acl(&left.acl), text::acl(&right.acl)));
    }
    let (a, b) = (&left.stat, &right.stat);
    for (name, a, b) in [
        ("czxid", a.czxid.0, b.czxid.0),
        ("mzxid", a.mzxid.0, b.mzxid.0),
        ("pzxid", a.pzxid.0, b.pzxid.0),
        ("version", a.version.into(), b.version.into()),
        ("cversion", a.cversion.into(), b.cversion.into()),
        ("aversion", a.aversion.into(), b.aversion.into()),
        ("ephemeralOwner", a.ephemeral_owner, b.ephemeral_owner),
        ("ctime", a.ctime, b.ctime),
        ("mtime", a.mtime, b.mtime),
    ] {
        if a != b {
            changes.push(if name.ends_with("zxid") || name == "ephemeralOwner" {
                format!("{name} {a:#x} -> {b:#x}")
            } else {
                format!("{name} {a} -> {b}")
            });
        }
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// Reads a snapshot to its end: seals, structure, and the digest if the file is not fuzzy. Returns a line about it.
///
/// # Errors
/// As [`load`].
pub fn verify(file: &Path, length_max: usize) -> Result<String, InspectError> {
    let (zxid, loaded) = load(file, length_max)?;
    let sessions = loaded.tree.sessions().count();
    let digest = match loaded.digest {
        None => "without a digest".to_owned(),
        Some((at, _)) if at.0 == 0 => "no digest: nothing was written since the server's start".to_owned(),
        Some((at, _)) if at > zxid => format!("fuzzy: the log up to {at} belongs to it"),
        Some((_, digest)) if digest.tree_digest == loaded.tree.digest() => "the digest matches".to_owned(),
        Some((_, digest)) => {
            format!("THE DIGEST DIFFERS: {} in the file, {} of its nodes", digest.tree_digest, loaded.tree.digest())
        }
    };
    Ok(format!("zxid {zxid}, {} nodes, {sessions} sessions, {digest}", loaded.nodes))
}

/// Writes a snapshot anew with another compression, into the same directory or another. The zxid stays.
///
/// # Errors
/// As [`load`]; the target exists; a disk error.
pub fn convert(file: &Path, to: Compression, dir: Option<&Path>, length_max: usize) -> Result<PathBuf, InspectError> {
    // Not a damaged one under a new name; and then byte by byte, so that a fuzzy one stays what it is.
    let (zxid, _) = load(file, length_max)?;
    let dir = dir.or_else(|| file.parent()).unwrap_or_else(|| Path::new("."));
    let target = dir.join(format!("snapshot.{:x}{}", zxid.0, to.suffix()));
    if target.exists() {
        return Err(InspectError::Exists(target));
    }
    recompress_snapshot(&RealDisk, file, &target)?;
    Ok(target)
}
