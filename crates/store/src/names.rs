//! File names (storage.md section 1): `log.<hex>`, `snapshot.<hex>[.gz|.snappy]`, and which names Apache takes for them.

use crate::Compression;
use ostler_model::Zxid;

/// The zxid in the name of a log, `None` if Apache would not take it for one. Anything may follow a second dot.
pub fn log_zxid(name: &str) -> Option<Zxid> {
    zxid_of(name, "log")
}

/// The zxid in the name of a snapshot, `None` if Apache would not take it for one.
pub fn snapshot_zxid(name: &str) -> Option<Zxid> {
    zxid_of(name, "snapshot")
}

/// Signed hex as Java parses it: digits of either case, one optional sign. Negative ones are not ours.
fn zxid_of(name: &str, prefix: &str) -> Option<Zxid> {
    let mut parts = name.split('.');
    if parts.next() != Some(prefix) {
        return None;
    }
    let zxid = i64::from_str_radix(parts.next()?, 16).ok()?;
    (zxid >= 0).then_some(Zxid(zxid))
}

/// The name of a new log whose first record is `first`.
pub(crate) fn log_name(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// The name of a snapshot taken at `zxid`.
pub(crate) fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("snapshot.{:x}{}", zxid.0, compression.suffix())
}

/// The name of a file that is being written and will be called `name`: one that neither Apache nor recovery takes for a
/// log or a snapshot (`snapshot.1.tmp` would be a candidate).
pub(crate) fn unfinished_name(name: &str) -> String {
    format!("{UNFINISHED_PREFIX}{name}{UNFINISHED_SUFFIX}")
}

/// True for a name made by [`unfinished_name`].
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED_PREFIX) && name.ends_with(UNFINISHED_SUFFIX)
}

const UNFINISHED_PREFIX: &str = "new.";
const UNFINISHED_SUFFIX: &str = ".tmp";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_apache_takes_for_its_own() {
        for (name, zxid) in [
            ("log.1", 1),
            ("log.1.fixed", 1),
            ("log.1.chopped5", 1),
            ("log.1.", 1),
            ("log.FF", 255),
            ("log.0010", 16),
            ("log.100000001", 0x1_0000_0001),
            ("log.7fffffffffffffff", i64::MAX),
        ] {
            assert_eq!(log_zxid(name), Some(Zxid(zxid)), "{name}");
        }
        for name in
            ["log", "log.", "log.x", "log.-1", "log.ffffffffffffffff", "log.0x1", "logs.1", "snapshot.1", "a.log.1"]
        {
            assert_eq!(log_zxid(name), None, "{name}");
        }
        assert_eq!(snapshot_zxid("snapshot.3e.tmp"), Some(Zxid(0x3e)));
        assert_eq!(snapshot_zxid("snapshot.3e.gz"), Some(Zxid(0x3e)));
        assert_eq!(snapshot_zxid("new.snapshot.3e.tmp"), None);
    }
}
