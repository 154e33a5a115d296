//! Trees in JSON: an array with an object for each node, one a line: `{"path":"/a","text":"..."}`.
//!
//! Data stands as `text`, or as `base64` if it is no UTF-8; neither means null. `acl` is a list of `scheme:id:perms`.

use crate::error::CommandError;
use crate::show;
use crate::trees::Node;
use serde_json::{Map, Value};
use std::io::{self, Read, Write};
use std::path::Path;

/// One node, without the line's end.
pub fn object(node: &Node) -> Value {
    let mut object = Map::new();
    object.insert("path".into(), if node.path.is_empty() { "/" } else { &node.path }.into());
    if let Some(data) = &node.data {
        let (key, value) = match std::str::from_utf8(data) {
            Ok(text) => ("text", text.into()),
            Err(_) => ("base64", show::value::base64(data)),
        };
        object.insert(key.into(), Value::String(value));
    }
    if let Some(acl) = &node.acl {
        object.insert("acl".into(), acl.iter().map(show::acl::text).collect());
    }
    Value::Object(object)
}

fn node(value: &Value) -> Result<Node, String> {
    let text = |key: &str| match value.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("{key} is no text")),
    };
    let path = text("path")?.ok_or("a node has no path")?;
    if !ostler_model::path::is_valid(path) {
        return Err(format!("{path:?} is no path"));
    }
    let data = match (text("text")?, text("base64")?) {
        (Some(_), Some(_)) => return Err(format!("{path} has text and base64")),
        (Some(text), None) => Some(text.as_bytes().to_vec()),
        (None, Some(base64)) => {
            Some(show::value::from_base64(base64).map_err(|error| format!("base64 of {path}: {error}"))?)
        }
        (None, None) => None,
    };
    let acl = match value.get("acl") {
        None => None,
        Some(Value::Array(items)) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            let items = items.ok_or_else(|| format!("the ACL of {path} is no list of texts"))?;
            Some(show::acl::parse(&items.join(",")).map_err(|error| format!("the ACL of {path}: {error}"))?)
        }
        Some(_) => return Err(format!("the ACL of {path} is no list")),
    };
    Ok(Node { path: if path == "/" { String::new() } else { path.to_owned() }, data, acl })
}

/// All nodes of a file.
///
/// # Errors
/// It cannot be read, or is something else.
pub fn read(file: &Path) -> Result<Vec<Node>, CommandError> {
    let place = file.display().to_string();
    let mut text = String::new();
    if place == "-" {
        io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|all| text = all)
    }
    .map_err(|error| CommandError::io(place.clone(), error))?;
    let wrong = |what: String| {
        CommandError::Failed(format!("{place}: {what}\nhint: a list of nodes as `ostler cp /path file.json` writes it"))
    };
    match serde_json::from_str(&text) {
        Ok(Value::Array(nodes)) => nodes.iter().map(node).collect::<Result<_, _>>().map_err(wrong),
        Ok(_) => Err(wrong("it is no list".into())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Writes nodes as they come. A file appears when it is complete.
pub struct Writer {
    out: Box<dyn Write>,
    count: u64,
}

impl Writer {
    /// Begins the list.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(mut out: Box<dyn Write>) -> io::Result<Writer> {
        out.write_all(b"[")?;
        Ok(Writer { out, count: 0 })
    }

    /// One more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn node(&mut self, node: &Node) -> io::Result<()> {
        let comma = if self.count == 0 { "\n" } else { ",\n" };
        self.count += 1;
        write!(self.out, "{comma}{}", object(node))
    }

    /// Ends the list.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]\n")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_comes_back() {
        let acl = Some(show::acl::parse("world:anyone:r,digest:u:h=:cdrwa").unwrap());
        for node in [
            Node { path: String::new(), data: None, acl: None },
            Node { path: "/a".into(), data: Some(Vec::new()), acl: acl.clone() },
            Node { path: "/a/b \"".into(), data: Some("z\u{e4}hler\n".into()), acl: None },
            Node { path: "/c".into(), data: Some(vec![0xff, 0]), acl },
        ] {
            assert_eq!(super::node(&object(&node)), Ok(node));
        }
        for text in [
            r#"{"path":"a"}"#,
            "{}",
            r#"{"path":"/a","text":1}"#,
            r#"{"path":"/a","text":"","base64":""}"#,
            r#"{"path":"/a","acl":["x"]}"#,
        ] {
            assert!(super::node(&serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
    }
}
