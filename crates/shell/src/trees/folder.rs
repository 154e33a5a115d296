//! Trees in folders: a folder for each znode, with its data in a file `.data` (none: null) and its ACL in a file `.acl`.
//!
//! Names that would collide with those, or that no file can have, are written with `%XX`.

use crate::error::CommandError;
use crate::show;
use crate::trees::Node;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const DATA: &str = ".data";
const ACL: &str = ".acl";
/// Names of files have 255 bytes at most.
const NAME_BYTES_MAX: usize = 255;

/// The folder of a node below `root`. `None` if a name is too long for a file.
fn folder(root: &Path, path: &str) -> Option<PathBuf> {
    let mut folder = root.to_path_buf();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let mut escaped = String::new();
        for (at, c) in name.char_indices() {
            if c == '%' || (c == '.' && at == 0) {
                let _ = write!(escaped, "%{:02X}", c as u32);
            } else {
                escaped.push(c);
            }
        }
        if escaped.len() > NAME_BYTES_MAX {
            return None;
        }
        folder.push(escaped);
    }
    Some(folder)
}

fn name(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
        name.push(char::from(code));
        name.push_str(&part[2..]);
    }
    Some(name)
}

/// All nodes of a folder, its own first.
///
/// # Errors
/// Something in it cannot be read or is no part of a tree.
pub fn read(root: &Path) -> Result<Vec<Node>, CommandError> {
    let mut nodes = Vec::new();
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, path)) = folders.pop() {
        let failed = |place: &Path, error: io::Error| CommandError::io(place.display().to_string(), error);
        let mut node = Node { path, data: None, acl: None };
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let entry = entry.map_err(|error| failed(&folder, error))?;
            let (file, place) = (entry.file_name(), entry.path());
            let foreign = |what: &str| {
                Err(CommandError::Failed(format!(
                    "{}: {what}\nhint: only folders that `ostler cp` or `mirror` wrote are trees",
                    place.display()
                )))
            };
            match file.to_str() {
                Some(DATA) => node.data = Some(fs::read(&place).map_err(|error| failed(&place, error))?),
                Some(ACL) => {
                    let text = fs::read_to_string(&place).map_err(|error| failed(&place, error))?;
                    let items: Vec<&str> = text.lines().collect();
                    match show::acl::parse(&items.join(",")) {
                        Ok(acl) => node.acl = Some(acl),
                        Err(error) => return foreign(&error),
                    }
                }
                Some(other) if place.is_dir() => {
                    let Some(name) = name(other).filter(|name| ostler_model::path::is_valid(&format!("/{name}")))
                    else {
                        return foreign("no znode has this name");
                    };
                    folders.push((place, format!("{}/{name}", node.path)));
                }
                _ => return foreign("no part of a tree"),
            }
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// Writes a node into its folder, which is made.
///
/// # Errors
/// It cannot be written.
pub fn write(root: &Path, node: &Node) -> Result<(), CommandError> {
    let Some(folder) = folder(root, &node.path) else {
        return Err(CommandError::Failed(format!(
            "{}: a name is too long for a folder\nhint: a JSON file takes every name",
            node.path
        )));
    };
    let failed = |error| CommandError::io(folder.display().to_string(), error);
    fs::create_dir_all(&folder).map_err(failed)?;
    let acl = node.acl.as_ref().map(|acl| acl.iter().map(|one| show::acl::text(one) + "\n").collect::<String>());
    for (file, content) in [(DATA, node.data.as_deref()), (ACL, acl.as_deref().map(str::as_bytes))] {
        let file = folder.join(file);
        match content {
            Some(content) => fs::write(&file, content).map_err(failed)?,
            None if file.exists() => fs::remove_file(&file).map_err(failed)?,
            None => (),
        }
    }
    Ok(())
}

/// Removes a node and all below it.
///
/// # Errors
/// It cannot be removed.
pub fn remove(root: &Path, path: &str) -> Result<(), CommandError> {
    let Some(folder) = folder(root, path) else { return Ok(()) };
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CommandError::io(folder.display().to_string(), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_whatever_they_are() {
        for path in ["", "/a", "/.data/.acl", "/100%/b", "/...", "/a/z\u{e4}hler x"] {
            let folder = folder(Path::new("/r"), path).expect("short");
            let names: Option<Vec<String>> =
                folder.strip_prefix("/r").expect("below").iter().map(|part| name(part.to_str()?)).collect();
            let back: String = names.expect("readable").iter().map(|name| format!("/{name}")).collect();
            assert_eq!(back, path);
        }
        assert_eq!(folder(Path::new("/r"), &format!("/{}", "x".repeat(256))), None);
        assert_eq!(name("%ZZ"), None);
    }
}
