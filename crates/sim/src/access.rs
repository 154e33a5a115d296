//! Who may see what, as far as the simulated clients use ACLs: `world:anyone`, `digest` ids, and `auth` in requests
//! (client-protocol.md section 13).

use ostler_model::{Acl, AclList, AuthId, ErrorCode, WireAcl};

/// True if these identities have one of the `needed` permissions.
pub fn allows(acl: &[Acl], needed: i32, ids: &[AuthId]) -> bool {
    ids.iter().any(|id| id.scheme == "super")
        || acl.iter().any(|entry| {
            let applies = match entry.scheme.as_str() {
                "world" => entry.id == "anyone",
                scheme => ids.iter().any(|id| id.scheme == scheme && id.id == entry.id),
            };
            applies && entry.perms & needed != 0
        })
}

/// What is stored for a list that a client sent.
pub fn stored(sent: &[WireAcl<'_>], ids: &[AuthId]) -> Result<AclList, ErrorCode> {
    let mut list: Vec<Acl> = Vec::new();
    for entry in sent {
        let (scheme, id) = (entry.scheme.as_deref().unwrap_or_default(), entry.id.as_deref().unwrap_or_default());
        if scheme == "auth" {
            let proved: Vec<&AuthId> = ids.iter().filter(|id| id.scheme == "digest").collect();
            if proved.is_empty() {
                return Err(ErrorCode::InvalidAcl);
            }
            let acl = |id: &&AuthId| Acl { perms: entry.perms, scheme: id.scheme.clone(), id: id.id.clone() };
            list.extend(proved.iter().map(acl));
        } else {
            list.push(Acl { perms: entry.perms, scheme: scheme.into(), id: id.into() });
        }
    }
    Ok(list.into())
}

/// The same list as a client without ADMIN sees it: passwords are not shown (section 10.6).
pub fn readable(acl: &AclList, ids: &[AuthId]) -> Vec<Acl> {
    let admin = allows(acl, ostler_model::perms::ADMIN, ids);
    let hide = |entry: &Acl| match entry.id.split_once(':') {
        Some((user, _)) if entry.scheme == "digest" && !admin => Acl { id: format!("{user}:x"), ..entry.clone() },
        _ => entry.clone(),
    };
    acl.iter().map(hide).collect()
}
