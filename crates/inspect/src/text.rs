//! Values, access lists and transactions in words.

use ostler_model::{Acl, CreateOp, Txn, perms};
use serde_json::{Value, json};
use std::fmt::Write;

/// Characters of a value that are shown on a line.
const VALUE_CHARS_MAX: usize = 80;
/// Bytes of a value without text that are shown on a line.
const VALUE_HEX_MAX: usize = 24;

/// A value on one line: length, and what it is: text in quotes, or the first bytes in hexadecimal.
pub(crate) fn value(data: Option<&[u8]>) -> String {
    let Some(data) = data else { return "no data".to_owned() };
    if data.is_empty() {
        return "empty".to_owned();
    }
    let mut out = format!("{} bytes ", data.len());
    match std::str::from_utf8(data) {
        Ok(text) if text.chars().all(|c| !c.is_control() || c.is_whitespace()) => {
            let shown: String = text.chars().take(VALUE_CHARS_MAX).collect();
            let more = if shown.len() < text.len() { "..." } else { "" };
            let _ = write!(out, "{shown:?}{more}");
        }
        _ => {
            out.push_str(if data.starts_with(&[0x1f, 0x8b]) { "gzip 0x" } else { "0x" });
            out.push_str(&hex(&data[..data.len().min(VALUE_HEX_MAX)]));
            if data.len() > VALUE_HEX_MAX {
                out.push_str("...");
            }
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A value for programs: text, or hexadecimal under another key.
pub(crate) fn value_json(data: Option<&[u8]>) -> Value {
    match data {
        None => Value::Null,
        Some(data) => std::str::from_utf8(data).map_or_else(|_| json!({ "hex": hex(data) }), |text| json!(text)),
    }
}

/// `world:anyone:cdrwa, ip:10.0.0.0/8:r`, as zkCli writes them.
pub(crate) fn acl(list: &[Acl]) -> String {
    let letters =
        [(perms::CREATE, 'c'), (perms::DELETE, 'd'), (perms::READ, 'r'), (perms::WRITE, 'w'), (perms::ADMIN, 'a')];
    let entry = |acl: &Acl| {
        let bits: String = letters.iter().filter(|(bit, _)| acl.perms & bit != 0).map(|(_, letter)| letter).collect();
        format!("{}:{}:{bits}", acl.scheme, acl.id)
    };
    list.iter().map(entry).collect::<Vec<_>>().join(", ")
}

/// The name that the protocol has for what a transaction does.
pub(crate) fn name(txn: &Txn) -> &'static str {
    match txn {
        Txn::Create(create) => match create.op {
            CreateOp::Create => "create",
            CreateOp::Create2 => "create2",
            CreateOp::Container => "createContainer",
            CreateOp::Ttl => "createTTL",
        },
        Txn::Delete { .. } => "delete",
        Txn::DeleteContainer { .. } => "deleteContainer",
        Txn::SetData { .. } => "setData",
        Txn::Reconfig { .. } => "reconfig",
        Txn::SetAcl { .. } => "setACL",
        Txn::Check { .. } => "check",
        Txn::CreateSession { .. } => "createSession",
        Txn::CloseSession { .. } => "closeSession",
        Txn::Error(_) | Txn::UnknownError(_) => "error",
        Txn::Multi(_) => "multi",
    }
}

/// What a transaction does, on one line.
pub(crate) fn txn(txn: &Txn) -> String {
    let name = name(txn);
    match txn {
        Txn::Create(create) => {
            let mut out = format!("{name} {} ({}) {}", create.path, value(create.data.as_deref()), acl(&create.acl));
            if create.ephemeral {
                out.push_str(" ephemeral");
            }
            if create.op == CreateOp::Ttl {
                let _ = write!(out, " ttl {} ms", create.ttl);
            }
            out
        }
        Txn::Delete { path } | Txn::DeleteContainer { path } => format!("{name} {path}"),
        Txn::SetData { path, data, version } => {
            format!("{name} {path} ({}) version {version}", value(data.as_deref()))
        }
        Txn::Reconfig { path, data, .. } => format!("{name} {path} ({})", value(data.as_deref())),
        Txn::SetAcl { path, acl: list, version } => format!("{name} {path} {} version {version}", acl(list)),
        Txn::Check { path, version } => format!("{name} {path} version {version}"),
        Txn::CreateSession { timeout_ms } => format!("{name} time-out {timeout_ms} ms"),
        Txn::CloseSession { paths: None } => name.to_owned(),
        Txn::CloseSession { paths: Some(paths) } => format!("{name} {} ephemerals {}", paths.len(), paths.join(" ")),
        Txn::Error(code) => format!("{name} {} ({code:?})", code.code()),
        Txn::UnknownError(code) => format!("{name} {code}"),
        Txn::Multi(parts) => {
            format!("{name} [{}]", parts.iter().map(self::txn).collect::<Vec<_>>().join("; "))
        }
    }
}

/// The same for programs.
pub(crate) fn txn_json(txn: &Txn) -> Value {
    let mut out = json!({ "type": name(txn) });
    let mut put = |key: &str, value: Value| out[key] = value;
    match txn {
        Txn::Create(create) => {
            put("path", json!(create.path));
            put("data", value_json(create.data.as_deref()));
            put("acl", json!(acl(&create.acl)));
            put("ephemeral", json!(create.ephemeral));
            if create.op == CreateOp::Ttl {
                put("ttl_ms", json!(create.ttl));
            }
        }
        Txn::Delete { path } | Txn::DeleteContainer { path } => put("path", json!(path)),
        Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
            put("path", json!(path));
            put("data", value_json(data.as_deref()));
            put("version", json!(version));
        }
        Txn::SetAcl { path, acl: list, version } => {
            put("path", json!(path));
            put("acl", json!(acl(list)));
            put("version", json!(version));
        }
        Txn::Check { path, version } => {
            put("path", json!(path));
            put("version", json!(version));
        }
        Txn::CreateSession { timeout_ms } => put("timeout_ms", json!(timeout_ms)),
        Txn::CloseSession { paths } => put("paths", json!(paths)),
        Txn::Error(code) => put("error", json!(code.code())),
        Txn::UnknownError(code) => put("error", json!(code)),
        Txn::Multi(parts) => put("parts", parts.iter().map(txn_json).collect()),
    }
    out
}

/// The paths that a transaction touches, those of a multi's parts too.
pub(crate) fn paths<'t>(txn: &'t Txn, visit: &mut impl FnMut(&'t str)) {
    match txn {
        Txn::Create(create) => visit(&create.path),
        Txn::Delete { path }
        | Txn::DeleteContainer { path }
        | Txn::SetData { path, .. }
        | Txn::Reconfig { path, .. }
        | Txn::SetAcl { path, .. }
        | Txn::Check { path, .. } => visit(path),
        Txn::CloseSession { paths: Some(paths) } => paths.iter().for_each(|path| visit(path)),
        Txn::Multi(parts) => parts.iter().for_each(|part| paths(part, visit)),
        Txn::CloseSession { paths: None } | Txn::CreateSession { .. } | Txn::Error(_) | Txn::UnknownError(_) => {}
    }
}

/// Whether `path` is `root` or lies below it.
pub(crate) fn is_below(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_where_they_are_text() {
        assert_eq!(value(None), "no data");
        assert_eq!(value(Some(b"")), "empty");
        assert_eq!(value(Some("a\n\u{e5}".as_bytes())), "4 bytes \"a\\n\u{e5}\"");
        assert_eq!(value(Some(&[0, 255])), "2 bytes 0x00ff");
        assert_eq!(value(Some(&[0x1f, 0x8b, 8])), "3 bytes gzip 0x1f8b08");
        assert!(value(Some(&[b'x'; 500])).ends_with("x\"..."));
    }

    #[test]
    fn below_is_by_whole_names() {
        assert!(is_below("/a", "/a") && is_below("/a/b", "/a/") && is_below("/a", "/"));
        assert!(!is_below("/ab", "/a") && !is_below("/", "/a"));
    }
}
