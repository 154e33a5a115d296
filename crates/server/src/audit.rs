//! Where the records of the audit log go: lines of the log, failures as errors, as Apache's `Slf4jAuditLogger` does.

use ostler_node::AuditRecord;
use std::os::unix::fs::MetadataExt;
use tracing::{error, info};

/// Prints records.
#[derive(Clone, Debug)]
pub struct AuditLog {
    user: String,
}

impl AuditLog {
    /// For the user that runs this process.
    pub fn new() -> AuditLog {
        AuditLog { user: process_user() }
    }

    /// One line.
    pub fn write(&self, record: &AuditRecord) {
        let line = record.line(&self.user);
        if record.result == "failure" {
            error!(target: "audit", "{line}");
        } else {
            info!(target: "audit", "{line}");
        }
    }
}

/// The name of the user that owns this process, or its number.
fn process_user() -> String {
    let Ok(meta) = std::fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    user_name(&users, meta.uid()).unwrap_or_else(|| meta.uid().to_string())
}

fn user_name(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbad line\nzoo:x:1001:1002::/home/zoo:\n";
        assert_eq!(user_name(users, 0).as_deref(), Some("root"));
        assert_eq!(user_name(users, 1001).as_deref(), Some("zoo"));
        assert_eq!((user_name(users, 7), user_name(users, 1002)), (None, None));
        assert!(!process_user().is_empty());
    }
}
