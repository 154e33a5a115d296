//! The small world the requests are about: few enough names that requests meet, and everything that is on the edge
//! of what is legal.

use ostler_model::Dice;
use ostler_wire::client::FrameWriter;

/// The subtree of most requests.
pub const ROOT: &str = "/d";
/// A subtree that nobody changes: reads of it may run beside writes.
pub const STILL_NODES: [&str; 4] = ["/still", "/still/a", "/still/a/b", "/still/c"];
/// Paths that have quotas now and then.
const QUOTA_OF: [&str; 3] = ["/d", "/d/a", "/d/b/c"];

/// A string as it goes on the wire: null, or bytes, which need not be UTF-8.
pub type Raw = Option<Vec<u8>>;

fn raw(text: &str) -> Raw {
    Some(text.as_bytes().to_vec())
}

/// A path below [`ROOT`], one to three parts of three names each: 39 nodes.
pub fn node(rng: &mut Dice) -> String {
    let mut path = ROOT.to_owned();
    for _ in 0..=rng.index(3) {
        path.push('/');
        path.push_str(rng.pick(&["a", "b", "c"]));
    }
    path
}

/// The root of the quota nodes of one of the paths that have them.
pub fn quota(rng: &mut Dice) -> String {
    format!("/zookeeper/quota{}", rng.pick(&QUOTA_OF))
}

/// Mostly a node that may exist, else something special or malformed. `extra` are nodes with generated names; nodes of
/// quotas only with `quotas`.
pub fn path(rng: &mut Dice, extra: &[String], quotas: bool) -> Raw {
    match rng.index(100) {
        0..=74 => raw(&node(rng)),
        75..=80 if !extra.is_empty() => raw(&extra[rng.index(extra.len())]),
        75..=88 => raw(rng.pick(&[
            "/",
            "/d",
            "/d",
            "/zookeeper",
            "/zookeeper/config",
            "/zookeeper/quota",
            "/still",
            "",
            "/d/none",
            "/none/x",
        ])),
        89..=90 if quotas => {
            raw(&format!("{}{}", quota(rng), rng.pick(&["", "/zookeeper_limits", "/zookeeper_stats"])))
        }
        _ => malformed_path(rng),
    }
}

fn malformed_path(rng: &mut Dice) -> Raw {
    let parent = node(rng);
    match rng.index(24) {
        0..=2 => None,
        3 => raw(&parent[1..]),
        4 | 5 => raw(&format!("{parent}/")),
        6 => raw(&format!("{parent}//a")),
        7 => raw(&format!("{parent}/.")),
        8 => raw(&format!("{parent}/../a")),
        9 | 10 => raw(&format!("{parent}/x\0y")),
        11 => raw(&format!("{parent}/\u{1}")),
        12 => raw(&format!("{parent}/\u{7f}")),
        13 => raw(&format!("{parent}/\u{e000}")),
        14 => raw(&format!("{parent}/\u{fff0}")),
        15 => raw(&format!("{parent}/\u{1f600}")),
        16 => raw("//"),
        17 => raw(" "),
        18 => Some([parent.as_bytes(), b"/\xff\xc3"].concat()),
        19 => Some([parent.as_bytes(), b"/\xed\xa0\xbd\xed\xb8\x80"].concat()),
        // Legal, if unusual.
        20 => raw(&format!("{parent}/\u{e9}\u{2028}")),
        21 => raw(&format!("{parent}/..x")),
        22 => raw(&format!("{parent}/{}", "long".repeat(200))),
        _ => raw("/d/x/y/z/w/v"),
    }
}

/// Data of a node: null, empty, small, and now and then large.
pub fn data(rng: &mut Dice) -> Option<Vec<u8>> {
    match rng.index(40) {
        0..=2 => None,
        3..=8 => Some(Vec::new()),
        39 => Some(vec![b'L'; 1 + rng.index(4_000)]),
        _ => Some(rng.number().to_be_bytes()[..1 + rng.index(8)].to_vec()),
    }
}

/// Data of a `zookeeper_limits` node, seldom unparsable.
pub fn limits(rng: &mut Dice) -> Option<Vec<u8>> {
    let text = match rng.index(12) {
        0 => "count=-1,bytes=-1".to_owned(),
        1 => "count=2,bytes=5".to_owned(),
        2 => "count=9".to_owned(),
        3 => ";;count=3,,bytes=".to_owned(),
        4 => format!("count=-1,bytes=-1=;byteHardLimit={}", rng.index(200)),
        5 => format!("count=-1,bytes=-1=;byteHardLimit={};countHardLimit={}", rng.index(100), rng.index(12)),
        6 => "countHardLimit=0".to_owned(),
        7 => "count=x".to_owned(),
        _ => format!("count=-1,bytes=-1=;countHardLimit={}", rng.index(12)),
    };
    Some(text.into_bytes())
}

/// Data of a `zookeeper_stats` node: always parsable, because Apache dies of others.
pub fn stats(rng: &mut Dice) -> Option<Vec<u8>> {
    Some(format!("count={},bytes={}", rng.index(10), rng.index(300)).into_bytes())
}

/// Expected versions: mostly any.
pub fn version(rng: &mut Dice) -> i32 {
    rng.weighted(&[(60, -1), (18, 0), (8, 1), (4, 2), (4, -2), (3, i32::MAX), (3, i32::MIN)])
}

/// `user:base64(sha1(user:password))` of the users that connections may authenticate as.
pub const DIGEST_IDS: [&str; 2] = ["ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=", "bob:fyVmFCwVbTJYrznoSu1koqYEYF0="];
/// What the users send in an auth packet.
pub const CREDENTIALS: [&str; 2] = ["ann:secret", "bob:secret"];

/// Appends a whole ACL vector, legal or not.
pub fn put_acl(f: &mut FrameWriter<'_>, rng: &mut Dice) {
    match rng.index(100) {
        0..=71 => put_entries(f, &[(31, Some("world"), Some("anyone"))]),
        72..=76 => {
            let perms = rng.pick(&[1, 3, 5, 15, 23, 27, 30, 0, 255, -1]);
            put_entries(f, &[(perms, Some("world"), Some("anyone"))]);
        }
        77..=81 => put_entries(f, &[(31, Some("digest"), Some(rng.pick(&DIGEST_IDS)))]),
        82..=84 => put_entries(f, &[(31, Some("auth"), Some(""))]),
        85 => put_entries(f, &[(31, Some("ip"), Some("127.0.0.1"))]),
        86 => {
            put_entries(f, &[(31, Some("ip"), Some(rng.pick(&["10.0.0.0/8", "127.0.0.0/8", "0.0.0.0/0", "1.2.3.4"])))]);
        }
        87 => {
            let twice = (rng.index(32) as i32, Some("world"), Some("anyone"));
            put_entries(f, &[twice, (1, Some("digest"), Some(DIGEST_IDS[0])), twice, (16, Some("auth"), None)]);
        }
        88 | 89 => put_entries(f, &[]),
        90 | 91 => f.int(-1),
        92 => f.int(-7),
        _ => {
            let bad: &[(i32, Option<&str>, Option<&str>)] = &[
                (31, Some("world"), Some("everyone")),
                (31, Some("world"), None),
                (31, None, Some("anyone")),
                (31, None, None),
                (31, Some("super"), Some("x")),
                (31, Some("nothing"), Some("x")),
                (31, Some(""), Some("")),
                (31, Some("digest"), Some("nocolon")),
                (31, Some("digest"), Some("a:b:c")),
                (31, Some("digest"), Some("a:b:")),
                (31, Some("digest"), Some(":b")),
                (31, Some("digest"), Some("a:")),
                (31, Some("digest"), Some("")),
                (31, Some("digest"), None),
                (31, Some("ip"), Some("1.2.3")),
                (31, Some("ip"), Some("1.2.3.256")),
                (31, Some("ip"), Some("1.2.3.4/33")),
                (31, Some("ip"), Some("1.2.3.4/-1")),
                (31, Some("ip"), Some("1.2.3.4/")),
                (31, Some("ip"), Some("1.2.3.4/8/8")),
                (31, Some("ip"), Some("01.2.3.4")),
                (31, Some("ip"), None),
                (31, Some("sasl"), Some("bob")),
                (31, Some("x509"), Some("CN=a")),
            ];
            put_entries(f, &[rng.pick(bad), (31, Some("world"), Some("anyone"))]);
        }
    }
}

fn put_entries(f: &mut FrameWriter<'_>, entries: &[(i32, Option<&str>, Option<&str>)]) {
    f.vector(Some(entries), |f, (perms, scheme, id)| f.acl_entry(*perms, *scheme, *id));
}
