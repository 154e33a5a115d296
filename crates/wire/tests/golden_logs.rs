//! Every record of every transaction log that Apache wrote (`testdata/golden/*/data*/version-2/log.*`) decodes and
//! encodes again to the same bytes. The file layout around the records is read by hand here (storage.md section 3.1);
//! what is damaged on purpose is named.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use ostler_model::{CreateOp, Txn};
use ostler_wire::txn;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LENGTH_MAX: usize = 2 << 20;
const FILE_HEADER_BYTES: usize = 16;

/// Case and what is wrong with a log in it. Their whole records must decode like all others.
const DAMAGED: [(&str, &str); 8] = [
    ("log_bad_length", "a record claims a negative or huge length"),
    ("log_bad_magic", "the file header is not a log's"),
    ("log_corrupt_last", "flipped bits in the last record"),
    ("log_corrupt_middle", "flipped bits in a record"),
    ("log_empty_tail_file", "the newest log has no byte"),
    ("log_torn_header_only", "the newest log has half a file header"),
    ("log_torn_tail", "half a last record"),
    ("log_torn_tail_zeros", "half a last record, then zeros"),
];

/// The log of this case was rewritten with creates as they were before 3.4, without the last field, which we write.
const V0: &str = "old_create_v0";

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// The payloads of whole records, and whether the file ended as a healthy one does.
fn records(file: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut payloads = Vec::new();
    if file.len() < FILE_HEADER_BYTES || !file.starts_with(b"ZKLG\0\0\0\x02") {
        return (payloads, false);
    }
    let mut rest = &file[FILE_HEADER_BYTES..];
    loop {
        let Some((checksum, after)) = rest.split_first_chunk::<8>() else { return (payloads, rest.is_empty()) };
        let Some((length, after)) = after.split_first_chunk::<4>() else { return (payloads, false) };
        let length = i32::from_be_bytes(*length);
        if length == 0 {
            return (payloads, rest.iter().all(|byte| *byte == 0));
        }
        let Some((payload, after)) = usize::try_from(length).ok().and_then(|length| after.split_at_checked(length))
        else {
            return (payloads, false);
        };
        if after.first() != Some(&b'B') || u64::from_be_bytes(*checksum) != u64::from(adler32(payload)) {
            return (payloads, false);
        }
        payloads.push(payload);
        rest = &after[1..];
    }
}

fn logs() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    let mut logs = Vec::new();
    for case in std::fs::read_dir(root).expect("testdata is part of the repository") {
        let case = case.unwrap();
        let name = case.file_name().into_string().unwrap();
        for folder in ["data/version-2", "datalog/version-2"] {
            for file in std::fs::read_dir(case.path().join(folder)).into_iter().flatten() {
                let path = file.unwrap().path();
                if path.file_name().unwrap().to_str().unwrap().starts_with("log.") {
                    logs.push((name.clone(), path));
                }
            }
        }
    }
    logs.sort();
    logs
}

#[test]
fn records_survive_a_round_trip() {
    let mut types = BTreeMap::new();
    let (mut files, mut digests, mut v0) = (0, 0, 0);
    for (case, path) in logs() {
        let file = std::fs::read(&path).unwrap();
        let (payloads, healthy) = records(&file);
        let damaged = DAMAGED.iter().any(|(name, _)| *name == case) || case == "log_zero_length_middle";
        assert!(healthy || damaged, "{}: not a whole log", path.display());
        files += 1;
        for payload in payloads {
            let at = format!("{} {payload:02x?}", path.display());
            let record = txn::decode(payload, LENGTH_MAX).unwrap_or_else(|error| panic!("{at}: {error}"));
            *types.entry(record.txn.type_code()).or_insert(0) += 1;
            digests += usize::from(record.digest.is_some());
            let mut again = Vec::new();
            txn::encode(&mut again, &record.header, &record.txn, record.digest);
            if case == V0 && matches!(&record.txn, Txn::Create(create) if create.parent_cversion == -1) {
                assert_eq!(again, [payload, &[0xff; 4]].concat(), "{at}");
                v0 += 1;
                continue;
            }
            assert_eq!(again, payload, "{at}\n{record:?}");
        }
    }
    let missing: Vec<_> = [-11, -10, -1, 1, 2, 5, 7, 14, 15, 16, 19, 20, 21]
        .into_iter()
        .filter(|code| !types.contains_key(code))
        .collect();
    assert!(missing.is_empty(), "no record of types {missing:?}, only of {types:?}");
    assert!(files > 30 && digests > 500 && v0 >= 5, "{files} {digests} {v0}");
}

#[test]
fn the_first_record_of_the_specification() {
    let payload = [
        &[0x01, 0x00, 0x00, 0x0f, 0x2e, 0x2e, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
        &[0x00, 0x00, 0x01, 0xa1, 0xff, 0xb0, 0x19, 0xb9, 0xff, 0xff, 0xff, 0xf6, 0x00, 0x00, 0x4e, 0x20],
        &[0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x51, 0xc6, 0xd6, 0x60],
    ]
    .concat();
    let record = txn::decode(&payload, LENGTH_MAX).unwrap();
    assert_eq!(record.header.session.0, 0x0100_000f_2e2e_0000);
    assert_eq!((record.header.cxid, record.header.zxid.0, record.header.time_ms), (0, 1, 0x01a1_ffb0_19b9));
    assert_eq!(record.txn, Txn::CreateSession { timeout_ms: 20_000 });
    assert_eq!(record.digest.map(|digest| (digest.version, digest.tree_digest)), Some((2, 1_371_985_504)));
}

fn payload(code: i32, body: &[u8]) -> Vec<u8> {
    [&[0; 28][..], &code.to_be_bytes(), body].concat()
}

const DIGEST: &[u8] = b"\0\0\0\x02\0\0\0\0\0\0\0\x07";

#[test]
fn close_session_without_a_list() {
    let decoded = |body: &[u8]| {
        let record = txn::decode(&payload(-11, body), LENGTH_MAX).unwrap();
        (record.txn, record.digest.map(|digest| digest.tree_digest))
    };
    let paths = |paths: Option<&[&str]>| Txn::CloseSession {
        paths: paths.map(|paths| paths.iter().map(|&path| path.into()).collect()),
    };
    assert_eq!(decoded(b""), (paths(None), None));
    // As a list, this digest would be two empty paths.
    assert_eq!(decoded(DIGEST), (paths(None), Some(7)));
    assert_eq!(decoded(b"\0\0\0\0"), (paths(Some(&[])), None));
    assert_eq!(decoded(&[b"\0\0\0\0", DIGEST].concat()), (paths(Some(&[])), Some(7)));
    assert_eq!(decoded(&[b"\0\0\0\x01\0\0\0\x02/e", DIGEST].concat()), (paths(Some(&["/e"])), Some(7)));
    // A list that breaks off is none.
    assert_eq!(decoded(b"\0\0\0\x02\0\0\0\x02/e"), (paths(None), None));
}

#[test]
fn errors_carry_no_digest() {
    let record = txn::decode(&payload(-1, &[&(-101_i32).to_be_bytes(), DIGEST].concat()), LENGTH_MAX).unwrap();
    assert!(record.txn.is_error() && record.digest.is_none());
    let mut out = Vec::new();
    let digest = txn::TxnDigest { version: txn::DIGEST_VERSION, tree_digest: 7 };
    txn::encode(&mut out, &record.header, &record.txn, Some(digest));
    assert_eq!(out, payload(-1, &(-101_i32).to_be_bytes()));
}

#[test]
fn creates_older_than_3_4_end_early() {
    let body = b"\0\0\0\x02/a\xff\xff\xff\xff\0\0\0\0\x01";
    let Txn::Create(create) = txn::decode(&payload(1, body), LENGTH_MAX).unwrap().txn else { panic!("a create") };
    assert_eq!((create.op, create.parent_cversion, create.ephemeral), (CreateOp::Create, -1, true));
    // create2 is younger than that.
    assert!(txn::decode(&payload(15, body), LENGTH_MAX).is_err());
}

#[test]
fn what_is_no_transaction_is_refused() {
    for code in [0, 3, 4, 11, 22, 100, 999, -2] {
        assert!(txn::decode(&payload(code, &[0; 64]), LENGTH_MAX).is_err(), "{code}");
    }
    // A multi in a multi: unbounded nesting otherwise.
    let inner = b"\0\0\0\x01\0\0\0\x0e\0\0\0\x04\0\0\0\0";
    assert!(txn::decode(&payload(14, inner), LENGTH_MAX).is_err());
    assert!(txn::decode(&payload(2, &[0xff; 4]), LENGTH_MAX).is_err(), "null path");
}
