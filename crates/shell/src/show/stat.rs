//! Stats: Apache's eleven lines, which everybody can read, and an object.

use crate::output::{Output, Paint};
use ostler_client::aio::Stat;
use ostler_model::date::{java_date, rfc3339};
use serde_json::{Value, json};

/// Name and text of each field, in Apache's order.
fn fields(stat: &Stat) -> [(&'static str, String); 11] {
    let hex = |number: i64| format!("0x{number:x}");
    [
        ("cZxid", hex(stat.czxid.0)),
        ("ctime", java_date(stat.ctime)),
        ("mZxid", hex(stat.mzxid.0)),
        ("mtime", java_date(stat.mtime)),
        ("pZxid", hex(stat.pzxid.0)),
        ("cversion", stat.cversion.to_string()),
        ("dataVersion", stat.version.to_string()),
        ("aclVersion", stat.aversion.to_string()),
        ("ephemeralOwner", hex(stat.ephemeral_owner)),
        ("dataLength", stat.data_length.to_string()),
        ("numChildren", stat.num_children.to_string()),
    ]
}

/// The lines, the names dimmed where there are colours.
pub fn lines(stat: &Stat, out: &Output) -> String {
    let line = |(name, text): (&str, String)| format!("{} = {text}", out.paint(Paint::Dim, name));
    fields(stat).map(line).join("\n")
}

/// For programs: numbers as numbers, times as RFC 3339.
pub fn object(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.0,
        "mzxid": stat.mzxid.0,
        "pzxid": stat.pzxid.0,
        "ctime": rfc3339(stat.ctime),
        "mtime": rfc3339(stat.mtime),
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "ephemeralOwner": stat.ephemeral_owner,
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
    })
}
