//! Who may do what: ACL checks and the canonical form of a client's ACL list (client-protocol.md section 13).

use ostler_model::{Acl, AclList, AuthId, ErrorCode, WireAcl};

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
}

/// The settings that decide how requests are checked.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named after Apache's settings, operations.md section 2.2")]
pub struct Policy {
    pub skip_acl: bool,
    pub extended_types: bool,
    pub enforce_quota: bool,
    pub reconfig_enabled: bool,
    /// No ensemble: reconfig answers -6.
    pub standalone: bool,
    pub schemes: Schemes,
}

impl Policy {
    /// True if a connection with `ids` has one of the bits `needed` under `acl` (section 13.1).
    pub fn allows(&self, _acl: &[Acl], _needed: i32, _ids: &[AuthId]) -> bool {
        todo!()
    }

    /// The list to store for what a client sent: duplicates dropped, `auth` expanded, ids validated (section 13.2).
    ///
    /// # Errors
    /// -114, or -5 for a null id.
    pub fn canonical_acl(&self, _acl: Option<&[WireAcl<'_>]>, _ids: &[AuthId]) -> Result<AclList, ErrorCode> {
        todo!()
    }
}
