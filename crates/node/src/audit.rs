//! The audit log (`audit.enable`, operations.md section 6): one record for every write that was carried out or refused,
//! with who asked. The shell prints them.

use ostler_model::{SessionId, WireAcl, perms};
use std::fmt::Write;

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRecord {
    /// Whose; [`SessionId::NONE`] is not printed.
    pub session: SessionId,
    /// The names that the connection has proved; `None` = the server itself.
    pub user: Option<String>,
    /// Address of the client.
    pub ip: Option<String>,
    /// Apache's name of it.
    pub operation: &'static str,
    /// The node.
    pub znode: Option<String>,
    /// Of a create: `persistent`, `ephemeral_sequential`, ...
    pub znode_type: Option<&'static str>,
    /// Of a setACL: `world:anyone:cdrwa,...`.
    pub acl: Option<String>,
    /// `success`, `failure` or `invoked`.
    pub result: &'static str,
}

impl AuditRecord {
    /// What the server itself does.
    pub fn of_server(operation: &'static str, result: &'static str) -> AuditRecord {
        AuditRecord {
            session: SessionId::NONE,
            user: None,
            ip: None,
            operation,
            znode: None,
            znode_type: None,
            acl: None,
            result,
        }
    }

    /// Apache's line: `name=value` pairs with tabs between them, those without a value left out. Control characters of
    /// a client cannot make lines of their own.
    pub fn line(&self, server_user: &str) -> String {
        let session = (self.session != SessionId::NONE).then(|| self.session.to_string());
        let fields = [
            ("session", session.as_deref()),
            ("user", Some(self.user.as_deref().unwrap_or(server_user))),
            ("ip", self.ip.as_deref()),
            ("operation", Some(self.operation)),
            ("znode", self.znode.as_deref()),
            ("znode_type", self.znode_type),
            ("acl", self.acl.as_deref()),
            ("result", Some(self.result)),
        ];
        let mut line = String::new();
        for (name, value) in fields {
            let Some(value) = value else { continue };
            if !line.is_empty() {
                line.push('\t');
            }
            let _ = write!(line, "{name}=");
            for c in value.chars() {
                if c.is_control() {
                    let _ = write!(line, "{}", c.escape_default());
                } else {
                    line.push(c);
                }
            }
        }
        line
    }
}

/// An ACL list as a client sent it, in words.
pub(crate) fn acl_text(acl: &[WireAcl<'_>]) -> String {
    let entry = |acl: &WireAcl<'_>| {
        let (scheme, id) = (acl.scheme.as_deref().unwrap_or("null"), acl.id.as_deref().unwrap_or("null"));
        let bits =
            [(perms::CREATE, 'c'), (perms::DELETE, 'd'), (perms::READ, 'r'), (perms::WRITE, 'w'), (perms::ADMIN, 'a')];
        let letters: String = bits.iter().filter(|(bit, _)| acl.perms & bit != 0).map(|(_, letter)| letter).collect();
        format!("{scheme}:{id}:{letters}")
    };
    acl.iter().map(entry).collect::<Vec<_>>().join(",")
}
