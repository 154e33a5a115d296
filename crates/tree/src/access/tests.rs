//! One test per stated fact of client-protocol.md section 13.

use super::*;
use std::borrow::Cow;

fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl { perms, scheme: scheme.into(), id: id.into() }
}

fn wire(perms: i32, scheme: &'static str, id: &'static str) -> WireAcl<'static> {
    WireAcl { perms, scheme: Some(Cow::Borrowed(scheme)), id: Some(Cow::Borrowed(id)) }
}

fn id(scheme: &str, id: &str) -> AuthId {
    AuthId { scheme: scheme.into(), id: id.into() }
}

fn all_schemes() -> Policy {
    Policy { schemes: Schemes { sasl: true, x509: true, ensemble: true, ..Schemes::default() }, ..Policy::default() }
}

fn canonical(sent: &[WireAcl<'_>], ids: &[AuthId]) -> Result<Vec<Acl>, i32> {
    let policy = Policy::default();
    policy.canonical_acl(Some(sent), ids).map(|list| list.to_vec()).map_err(ErrorCode::code)
}

#[test]
fn granted_by_one_common_bit() {
    let policy = Policy::default();
    let list = [acl(perms::READ, "world", "anyone")];
    assert!(policy.allows(&list, perms::READ, &[]));
    assert!(policy.allows(&list, perms::READ | perms::ADMIN, &[]));
    assert!(!policy.allows(&list, perms::WRITE, &[]));
    assert!(policy.allows(&[], perms::WRITE, &[]), "an empty list is open");
    let list = [acl(perms::READ, "world", "anyone"), acl(perms::WRITE, "digest", "u:h")];
    assert!(policy.allows(&list, perms::WRITE, &[id("digest", "u:h")]));
    assert!(!policy.allows(&list, perms::WRITE, &[id("digest", "u:g"), id("ip", "u:h")]));
}

#[test]
fn super_and_skip_acl_pass_everything() {
    let list = [acl(0, "world", "anyone")];
    assert!(!Policy::default().allows(&list, perms::ALL, &[id("ip", "1.2.3.4")]));
    assert!(Policy::default().allows(&list, perms::DELETE, &[id("ip", "1.2.3.4"), id("super", "")]));
    assert!(Policy { skip_acl: true, ..Policy::default() }.allows(&list, perms::DELETE, &[]));
}

#[test]
fn a_scheme_without_provider_grants_nothing() {
    let mut policy = Policy::default();
    let (list, ids) = ([acl(perms::ALL, "digest", "u:h")], [id("digest", "u:h")]);
    assert!(policy.allows(&list, perms::READ, &ids));
    policy.schemes.digest = false;
    assert!(!policy.allows(&list, perms::READ, &ids));
    for scheme in ["sasl", "x509", "ensemble", "nonsense"] {
        assert!(!policy.allows(&[acl(perms::ALL, scheme, "a")], perms::READ, &[id(scheme, "a")]), "{scheme}");
    }
    for scheme in ["sasl", "x509"] {
        assert!(all_schemes().allows(&[acl(perms::ALL, scheme, "a")], perms::READ, &[id(scheme, "a")]), "{scheme}");
    }
}

#[test]
fn sasl_and_x509_have_their_own_supers() {
    let mut policy = all_schemes();
    let sasl = [acl(perms::ALL, "sasl", "alice")];
    assert!(policy.allows(&sasl, perms::READ, &[id("sasl", "super")]));
    assert!(!policy.allows(&sasl, perms::READ, &[id("sasl", "bob")]));
    policy.schemes.sasl_any_user = Some("alice".into());
    assert!(policy.allows(&sasl, perms::READ, &[id("sasl", "bob")]));
    let x509 = [acl(perms::ALL, "x509", "CN=a")];
    assert!(!policy.allows(&x509, perms::READ, &[id("x509", "CN=root")]));
    policy.schemes.x509_super_user = Some("CN=root".into());
    assert!(policy.allows(&x509, perms::READ, &[id("x509", "CN=root")]));
}

#[test]
fn addresses_match_by_prefix() {
    for (acl_id, address, expected) in [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.1.2.3/24", "10.1.2.99", true),
        ("10.1.2.3/24", "10.1.3.3", false),
        ("10.1.2.3/0", "99.9.9.9", true),
        ("10.1.2.3/32", "10.1.2.3", true),
        ("10.1.2.3/31", "10.1.2.2", true),
        ("10.1.2.3", "::ffff:10.1.2.3", true),
        ("::1", "::1", true),
        ("::1", "0:0:0:0:0:0:0:1", true),
        ("::1", "::2", false),
        ("fe80::/10", "fe80::1234", true),
        ("fe80::/10", "fec0::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "1.2.3.4", false),
        ("0.0.0.0/0", "::1", false),
        ("10.1.2.3", "not an address", false),
    ] {
        let list = [acl(perms::READ, "ip", acl_id)];
        let granted = Policy::default().allows(&list, perms::READ, &[id("ip", address)]);
        assert_eq!(granted, expected, "{acl_id} {address}");
    }
}

#[test]
fn ip_ids() {
    // The odd ones tried on Apache 3.9.3.
    for good in ["+1.2.3.4", "01.2.3.4", "1.2.3.-0", "1.2.3.4/08", "1.2.3.4/+8"] {
        assert!(id_syntax::is_ip(good), "{good}");
    }
    for good in ["1.2.3.4", "0.0.0.0/0", "255.255.255.255/32", "::1", "fe80::/10", "::/128", "1:2:3:4:5:6:7:8"] {
        assert!(id_syntax::is_ip(good), "{good}");
    }
    for bad in [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.-1",
        "1.2.3.x",
        "1.2.3.4/33",
        "1.2.3.4/-1",
        "1.2.3.4/",
        "1.2.3.4/8/8",
        "::1/129",
        "::ffff:1.2.3.4",
        "1:2:3:4:5:6:7",
        "localhost",
        "/8",
        "1..2.3",
    ] {
        assert!(!id_syntax::is_ip(bad), "{bad}");
    }
}

#[test]
fn digest_ids() {
    for good in ["a:b", ":b", "a:b:", "a:b::", " : "] {
        assert!(id_syntax::is_digest(good), "{good}");
    }
    for bad in ["a:", "a", "a:b:c", "", ":", "::", "a::b", "::b"] {
        assert!(!id_syntax::is_digest(bad), "{bad}");
    }
}

#[test]
fn sasl_ids() {
    for good in ["", "alice", "a/b/c", "alice@R", "alice/host@R", "@", "/@R"] {
        assert!(id_syntax::is_sasl(good), "{good}");
    }
    for bad in ["a@R@S", "a/b/c@R", "a@R/x"] {
        assert!(!id_syntax::is_sasl(bad), "{bad}");
    }
}

#[test]
fn x509_ids() {
    for good in ["", "CN=a", "CN=a,O=b+OU=c; C=d", "CN=\"a,b\",O=c", "CN=a\\,b", "1.2.3=x", "CN="] {
        assert!(id_syntax::is_x509(good), "{good}");
    }
    for bad in ["a", "CN=a,b", "=a", "CN=\"a", "CN=a\\", "C_N=a", "CN=a,"] {
        assert!(!id_syntax::is_x509(bad), "{bad}");
    }
}

#[test]
fn null_and_empty_lists_are_invalid() {
    assert_eq!(Policy::default().canonical_acl(None, &[]), Err(ErrorCode::InvalidAcl));
    assert_eq!(canonical(&[], &[]), Err(-114));
}

#[test]
fn duplicates_go_and_order_stays() {
    let sent = [wire(1, "world", "anyone"), wire(2, "world", "anyone"), wire(1, "world", "anyone")];
    assert_eq!(canonical(&sent, &[]), Ok(vec![acl(1, "world", "anyone"), acl(2, "world", "anyone")]));
    let long: Vec<_> = (0..40).map(|n| wire(n % 20, "world", "anyone")).collect();
    let expected: Vec<_> = (0..20).map(|n| acl(n, "world", "anyone")).collect();
    assert_eq!(canonical(&long, &[]), Ok(expected));
}

#[test]
fn permission_bits_are_not_validated() {
    for bits in [0, 255, -1, 31] {
        assert_eq!(canonical(&[wire(bits, "world", "anyone")], &[]), Ok(vec![acl(bits, "world", "anyone")]));
    }
}

#[test]
fn nulls_in_entries() {
    let null_scheme = WireAcl { perms: 1, scheme: None, id: Some("anyone".into()) };
    assert_eq!(canonical(&[null_scheme], &[]), Err(-114));
    for (scheme, code) in [("world", -5), ("ip", -5), ("digest", -5), ("super", -114), ("sasl", -114), ("x", -114)] {
        let entry = WireAcl { perms: 1, scheme: Some(scheme.into()), id: None };
        assert_eq!(canonical(&[entry], &[]), Err(code), "{scheme}");
    }
}

#[test]
fn invalid_ids_and_schemes() {
    for (scheme, id) in
        [("world", "other"), ("world", ""), ("super", ""), ("ensemble", "a"), ("ip", "x"), ("digest", "a"), ("", "")]
    {
        let sent = [WireAcl { perms: 1, scheme: Some(scheme.into()), id: Some(id.into()) }];
        assert_eq!(all_schemes().canonical_acl(Some(&sent), &[]), Err(ErrorCode::InvalidAcl), "{scheme}:{id}");
    }
    assert_eq!(canonical(&[wire(1, "world", "anyone"), wire(1, "digest", "a")], &[]), Err(-114), "one bad spoils all");
}

#[test]
fn auth_becomes_what_the_connection_proved() {
    let ids = [id("ip", "1.2.3.4"), id("super", ""), id("digest", "u:h"), id("digest", "v:g"), id("sasl", "alice")];
    let sent = [wire(7, "auth", "ignored")];
    assert_eq!(canonical(&sent, &ids), Ok(vec![acl(7, "digest", "u:h"), acl(7, "digest", "v:g")]));
    assert_eq!(canonical(&sent, &ids[..2]), Err(-114), "neither the address nor super");
    let null_id = [WireAcl { perms: 7, scheme: Some("auth".into()), id: None }];
    assert_eq!(canonical(&null_id, &ids[..3]), Ok(vec![acl(7, "digest", "u:h")]));
    let twice = [wire(7, "auth", ""), wire(7, "digest", "u:h")];
    let expected = vec![acl(7, "digest", "u:h"), acl(7, "digest", "u:h")];
    assert_eq!(canonical(&twice, &ids[..3]), Ok(expected), "no de-duplication after the expansion");
    let with_sasl = all_schemes().canonical_acl(Some(&sent), &ids).unwrap();
    assert_eq!(with_sasl.len(), 3);
}

#[test]
fn an_expansion_is_bounded() {
    let ids: Vec<_> = (0..1_000).map(|n| id("digest", &format!("u{n}:h"))).collect();
    let sent: Vec<_> = (0..1_000).map(|n| wire(n, "auth", "")).collect();
    assert_eq!(canonical(&sent, &ids), Err(-114));
    assert_eq!(canonical(&sent[..10], &ids).map(|list| list.len()), Ok(10_000));
    let long = [id("digest", &"u".repeat(300_000))];
    assert_eq!(canonical(&sent[..3], &long).map(|list| list.len()), Ok(3));
    assert_eq!(canonical(&sent[..4], &long), Err(-114));
}

#[test]
fn get_acl_hides_hashes_from_those_who_may_not_administer() {
    let policy = Policy::default();
    let list: AclList =
        vec![acl(1, "world", "anyone"), acl(31, "digest", "u:h"), acl(1, "digest", "a:b:c"), acl(1, "ip", "1.2.3.4")]
            .into();
    let seen = policy.readable_acl(&list, &[]).unwrap();
    let expected =
        [acl(1, "world", "anyone"), acl(31, "digest", "u:x"), acl(1, "digest", "a:x"), acl(1, "ip", "1.2.3.4")];
    assert_eq!(*seen, expected);
    assert_eq!(policy.readable_acl(&list, &[id("digest", "u:h")]), Some(list.clone()), "an administrator sees all");
    let closed: AclList = vec![acl(perms::WRITE, "world", "anyone"), acl(31, "digest", "u:h")].into();
    assert_eq!(policy.readable_acl(&closed, &[]), None);
    let admin_only: AclList = vec![acl(perms::ADMIN, "world", "anyone"), acl(1, "digest", "u:h")].into();
    assert_eq!(policy.readable_acl(&admin_only, &[]), Some(admin_only.clone()), "ADMIN without READ is enough");
}
