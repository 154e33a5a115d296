//! What must hold for any text that stands for something: paths, ACL ids, quotas. The fuzz target `texts` (`fuzz/`) and the
//! tests run the same function.

use ostler_model::{AuthId, ErrorCode, WireAcl, path};
use ostler_tree::{Policy, Quota, Schemes};

/// Every syntax reads the same bytes; an ACL entry is `scheme:id`.
pub fn texts(bytes: &[u8]) {
    quota(bytes);
    let text = String::from_utf8_lossy(bytes);
    znode_path(&text);
    if let Some((scheme, id)) = text.split_once(':') {
        acl(scheme, id);
    }
}

/// What was read is written so that it reads the same.
fn quota(bytes: &[u8]) {
    if let Some(quota) = Quota::parse(bytes) {
        let text = quota.to_text();
        // A key that holds '=' or nothing is none that Apache's own tools write; it need not survive.
        if quota.others.keys().all(|key| !key.is_empty() && !key.contains('=')) {
            assert_eq!(Quota::parse(text.as_bytes()), Some(quota), "{text:?}");
        }
    }
}

/// A valid path has valid parents up to the root, and its own text in parts.
fn znode_path(text: &str) {
    if !path::is_valid(text) {
        return;
    }
    let mut at = text;
    while at != "/" {
        let parent = path::parent(at).expect("it has a slash");
        assert!(path::is_valid(parent) && parent.len() < at.len(), "{parent:?} of {at:?}");
        let (_, name) = path::split(at).expect("it has a slash");
        assert!(!name.is_empty() && name != "." && name != "..", "{at:?}");
        at = parent;
    }
}

/// A list that was taken is taken again as it is, and gives its own id what it grants.
fn acl(scheme: &str, id: &str) {
    let everything = Schemes { ip: true, digest: true, sasl: true, x509: true, ..Schemes::default() };
    let policy = Policy { schemes: everything, ..Policy::default() };
    let entry = |scheme: &str, id: &str| WireAcl {
        perms: 1,
        scheme: Some(scheme.to_owned().into()),
        id: Some(id.to_owned().into()),
    };
    let own = [AuthId { scheme: scheme.to_owned(), id: id.to_owned() }];
    match policy.canonical_acl(Some(&[entry(scheme, id)]), &own) {
        Ok(list) => {
            let again: Vec<WireAcl<'_>> = list.iter().map(|acl| entry(&acl.scheme, &acl.id)).collect();
            assert_eq!(policy.canonical_acl(Some(&again), &[]), Ok(list.clone()));
            let _ = policy.allows(&list, 1, &own);
            let _ = policy.allows(&list, 1, &[AuthId { scheme: "ip".into(), id: "127.0.0.1".into() }]);
            assert!(policy.allows(&list, 1, &[AuthId { scheme: "super".into(), id: String::new() }]));
        }
        Err(code) => assert_eq!(code, ErrorCode::InvalidAcl),
    }
}
