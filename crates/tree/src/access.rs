//! Who may do what: ACL checks and the canonical form of a client's ACL list (client-protocol.md section 13).
//!
//! A [`Policy`] is a value: it holds which schemes have a provider and how requests are checked. Nothing here knows
//! how a connection proved its ids (digest hashes, SASL, TLS): it only compares ids with ACL entries. An ACL id is
//! validated when it is stored, so a check compares strings; only `ip` entries are parsed again, because they are
//! prefixes.

mod id_syntax;
#[cfg(test)]
mod tests;

use ostler_model::{Acl, AclList, AuthId, ErrorCode, WireAcl, limits, open_acl, perms};
use std::collections::BTreeSet;

/// Which schemes have a provider installed, and how they compare ids.
#[derive(Clone, Debug)]
pub struct Schemes {
    /// `ip` (always).
    pub ip: bool,
    /// `digest` (unless switched off).
    pub digest: bool,
    /// `sasl`, once configured.
    pub sasl: bool,
    /// `x509`, once configured.
    pub x509: bool,
    /// `ensemble`, once configured; never valid in an ACL.
    pub ensemble: bool,
    /// `letAnySaslUserDoX`: this `sasl` id in an ACL stands for every SASL user.
    pub sasl_any_user: Option<String>,
    /// `X509AuthenticationProvider.superUser`: this subject matches every `x509` entry.
    pub x509_super_user: Option<String>,
}

impl Default for Schemes {
    /// What Apache installs by itself: `ip` and `digest`.
    fn default() -> Schemes {
        Schemes {
            ip: true,
            digest: true,
            sasl: false,
            x509: false,
            ensemble: false,
            sasl_any_user: None,
            x509_super_user: None,
        }
    }
}

/// The settings that decide how requests are checked.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named after Apache's settings, operations.md section 2.2")]
pub struct Policy {
    pub skip_acl: bool,
    pub extended_types: bool,
    pub enforce_quota: bool,
    pub reconfig_enabled: bool,
    /// The end of a session names the nodes it deletes (`closeSessionTxn.enabled`).
    pub close_session_paths: bool,
    /// A container that never had a child is deleted after this time (`znode.container.maxNeverUsedIntervalMs`); 0: never.
    pub container_max_never_used_ms: i64,
    /// No ensemble: reconfig answers -6.
    pub standalone: bool,
    pub schemes: Schemes,
    /// The largest record in the log that every reader takes: `jute.maxbuffer` + `jute.maxbuffer.extrasize`.
    pub txn_bytes_max: usize,
}

impl Default for Policy {
    /// A standalone server without any of the options.
    fn default() -> Policy {
        Policy {
            skip_acl: false,
            extended_types: false,
            enforce_quota: false,
            reconfig_enabled: false,
            close_session_paths: true,
            container_max_never_used_ms: 0,
            standalone: true,
            schemes: Schemes::default(),
            txn_bytes_max: limits::TXN_BYTES_MAX,
        }
    }
}

impl Policy {
    /// True if a connection with `ids` has one of the bits `needed` under `acl` (section 13.1).
    pub fn allows(&self, acl: &[Acl], needed: i32, ids: &[AuthId]) -> bool {
        if self.skip_acl || acl.is_empty() {
            return true;
        }
        // The bits first: nearly every list is one entry, world:anyone, and is decided right here.
        let grants = |entry: &Acl| entry.perms & needed != 0 && (is_world(entry) || self.names_one_of(entry, ids));
        acl.iter().any(grants) || ids.iter().any(|id| id.scheme == "super")
    }

    /// True if `entry`, whose scheme needs a provider, stands for one of `ids`.
    fn names_one_of(&self, entry: &Acl, ids: &[AuthId]) -> bool {
        let mut same_scheme = ids.iter().filter(|id| id.scheme == entry.scheme);
        match entry.scheme.as_str() {
            "ip" if self.schemes.ip => same_scheme.any(|id| id_syntax::ip_matches(&entry.id, &id.id)),
            "digest" if self.schemes.digest => same_scheme.any(|id| id.id == entry.id),
            "sasl" if self.schemes.sasl => same_scheme.any(|id| {
                id.id == entry.id || id.id == "super" || self.schemes.sasl_any_user.as_ref() == Some(&entry.id)
            }),
            "x509" if self.schemes.x509 => {
                same_scheme.any(|id| id.id == entry.id || self.schemes.x509_super_user.as_ref() == Some(&id.id))
            }
            _ => false,
        }
    }

    /// The list to store for what a client sent: duplicates dropped, `auth` expanded, ids validated (section 13.2).
    /// Permission bits are kept as they are, nonsense included.
    ///
    /// # Errors
    /// -114 for a null or empty list, an unknown scheme, an invalid id, or `auth` on a connection that proved
    /// nothing (or so much that the list would pass [`limits::ACL_EXPANDED_ENTRIES_MAX`] or [`limits::ACL_EXPANDED_BYTES_MAX`]); -5 for a null id.
    pub fn canonical_acl(&self, acl: Option<&[WireAcl<'_>]>, ids: &[AuthId]) -> Result<AclList, ErrorCode> {
        let sent = acl.unwrap_or_default();
        match sent {
            [] => return Err(ErrorCode::InvalidAcl),
            [WireAcl { perms: perms::ALL, scheme: Some(scheme), id: Some(id) }]
                if scheme == "world" && id == "anyone" =>
            {
                return Ok(open_acl());
            }
            _ => {}
        }
        let mut seen = Seen::new(sent.len());
        let (mut stored, mut expanded) = (Vec::with_capacity(sent.len()), 0);
        for (index, entry) in sent.iter().enumerate() {
            if seen.is_repeated(&sent[..index], entry) {
                continue;
            }
            match entry.scheme.as_deref() {
                None => return Err(ErrorCode::InvalidAcl),
                Some("auth") => self.expand_auth(entry.perms, ids, &mut stored, &mut expanded)?,
                Some(scheme) => {
                    let id = self.valid_id(scheme, entry.id.as_deref())?;
                    stored.push(Acl { perms: entry.perms, scheme: scheme.to_owned(), id: id.to_owned() });
                }
            }
        }
        Ok(stored.into())
    }

    /// `auth` stands for the ids that the connection has proved: not its address, and not `super`, which is no
    /// scheme of an ACL.
    /// `bytes` counts the ids that were put in for it.
    fn expand_auth(
        &self,
        perms: i32,
        ids: &[AuthId],
        stored: &mut Vec<Acl>,
        bytes: &mut usize,
    ) -> Result<(), ErrorCode> {
        let before = stored.len();
        for id in ids.iter().filter(|id| self.is_proved(&id.scheme)) {
            // A frame bounds what a client sends, but not (entries x ids), and each id is as long as a frame allows.
            *bytes += id.id.len();
            if stored.len() >= limits::ACL_EXPANDED_ENTRIES_MAX || *bytes > limits::ACL_EXPANDED_BYTES_MAX {
                return Err(ErrorCode::InvalidAcl);
            }
            stored.push(Acl { perms, scheme: id.scheme.clone(), id: id.id.clone() });
        }
        if stored.len() == before { Err(ErrorCode::InvalidAcl) } else { Ok(()) }
    }

    fn is_proved(&self, scheme: &str) -> bool {
        match scheme {
            "digest" => self.schemes.digest,
            "sasl" => self.schemes.sasl,
            "x509" => self.schemes.x509,
            _ => false,
        }
    }

    fn valid_id<'a>(&self, scheme: &str, id: Option<&'a str>) -> Result<&'a str, ErrorCode> {
        let is_valid: fn(&str) -> bool = match scheme {
            "world" => |id| id == "anyone",
            "ip" if self.schemes.ip => id_syntax::is_ip,
            "digest" if self.schemes.digest => id_syntax::is_digest,
            "sasl" if self.schemes.sasl => id_syntax::is_sasl,
            "x509" if self.schemes.x509 => id_syntax::is_x509,
            _ => return Err(ErrorCode::InvalidAcl),
        };
        let id = id.ok_or(ErrorCode::MarshallingError)?;
        if is_valid(id) { Ok(id) } else { Err(ErrorCode::InvalidAcl) }
    }

    /// The list that getACL answers to a connection with `ids`; `None` without READ and ADMIN (-102). Who may not
    /// administer the node does not see the hashes of `digest` ids (section 10.6).
    pub fn readable_acl(&self, acl: &AclList, ids: &[AuthId]) -> Option<AclList> {
        if !self.allows(acl, perms::READ | perms::ADMIN, ids) {
            return None;
        }
        let secret = |entry: &Acl| entry.scheme == "digest" && entry.id.contains(':');
        if !acl.iter().any(secret) || self.allows(acl, perms::ADMIN, ids) {
            return Some(acl.clone());
        }
        Some(acl.iter().map(redacted).collect())
    }
}

fn is_world(entry: &Acl) -> bool {
    entry.scheme == "world" && entry.id == "anyone"
}

fn redacted(entry: &Acl) -> Acl {
    let mut entry = entry.clone();
    if entry.scheme == "digest"
        && let Some((user, _)) = entry.id.split_once(':')
    {
        entry.id = format!("{user}:x");
    }
    entry
}

/// Which entries of a list came before: short lists are compared one by one, long ones through a set, so that a
/// list as large as a frame costs no quadratic time.
enum Seen<'a> {
    Short,
    Long(BTreeSet<(i32, Option<&'a str>, Option<&'a str>)>),
}

impl<'a> Seen<'a> {
    const SHORT: usize = 8;

    fn new(entries: usize) -> Seen<'a> {
        if entries <= Self::SHORT { Seen::Short } else { Seen::Long(BTreeSet::new()) }
    }

    /// True if `entry` equals one of those `before` it; each entry is asked for once, in order.
    fn is_repeated(&mut self, before: &[WireAcl<'_>], entry: &'a WireAcl<'_>) -> bool {
        match self {
            Seen::Short => before.contains(entry),
            Seen::Long(seen) => !seen.insert((entry.perms, entry.scheme.as_deref(), entry.id.as_deref())),
        }
    }
}
