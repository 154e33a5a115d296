//! Streams of trees: recorded from Apache leaders, and there and back.

use super::stream::{TreePart, TreeStream, encode_tree_end, encode_tree_start};
use super::{SnapshotReceiver, encode_node};
use crate::faulty::FaultyDisk;
use crate::testing::{Model, dirs, disk, listing};
use crate::{Compression, MemberOptions, RecoverOptions, StoreError, install, recover_member};
use ostler_model::{Dice, Zxid};
use ostler_tree::{Loader, Tree, TreeConfig};
use proptest::prelude::*;
use serde_json::Value;

const CONFIG: TreeConfig = TreeConfig { seed: 2, digest: true };
const LENGTH_MAX: usize = 1 << 20;
/// The bytes of a SNAP packet: type, zxid, null data, null authinfo.
const SNAP_PACKET_BYTES: usize = 4 + 8 + 4 + 4;

fn encoded(tree: &Tree) -> Vec<u8> {
    let mut walk = tree.walk();
    let mut bytes = Vec::new();
    encode_tree_start(&mut bytes, &walk);
    while !walk.step(tree, 7, |node| encode_node(&mut bytes, &node)) {}
    encode_tree_end(&mut bytes);
    bytes
}

/// Sessions, ACL entries and nodes in the stream, as text.
fn parts(bytes: &[u8]) -> Result<(Vec<String>, usize), StoreError> {
    let mut texts = Vec::new();
    let mut stream = TreeStream::new(LENGTH_MAX);
    let pushed = stream.push(bytes, &mut |part| {
        match part {
            TreePart::Session(id, timeout) => texts.push(format!("session {id} {timeout}")),
            TreePart::Acl(id, acl) => texts.push(format!("acl {id} {acl:?}")),
            TreePart::Nodes(nodes) => texts.extend(nodes.iter().map(|node| format!("node {:?}", node.path))),
        }
        Ok(())
    })?;
    assert!(pushed.complete, "{texts:?}");
    Ok((texts, pushed.used))
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Name, bytes and decoded snapshot of every stream that was recorded.
fn samples() -> Vec<(String, Vec<u8>, Value)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/quorum-samples.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let with_tree = lines.filter(|line| line["decoded"]["snapshot"].is_object());
    let sample = |line: Value| {
        let bytes = unhex(line["hex"].as_str().unwrap());
        let packet = if line["decoded"]["packet"].is_null() { 0 } else { SNAP_PACKET_BYTES };
        (line["name"].as_str().unwrap().to_owned(), bytes[packet..].to_vec(), line["decoded"]["snapshot"].clone())
    };
    with_tree.map(sample).collect()
}

#[test]
fn streams_of_apache_leaders_are_read_and_written_byte_for_byte() {
    let samples = samples();
    assert_eq!(samples.len(), 8);
    for (name, bytes, decoded) in samples {
        let (texts, used) = parts(&bytes).unwrap();
        assert_eq!(used, bytes.len(), "{name}");
        let count = |kind: &str| texts.iter().filter(|text| text.starts_with(kind)).count();
        let expected = |kind: &str| decoded[kind].as_array().unwrap().len();
        assert_eq!(count("session "), expected("sessions"), "{name}");
        assert_eq!(count("acl "), expected("aclCache"), "{name}");
        let paths: Vec<String> = decoded["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| format!("node {:?}", node["path"].as_str().unwrap()))
            .collect();
        assert!(texts.ends_with(&paths), "{name}: {texts:?}");
        // The same elements in another order, and other ACL ids: our own encoding has the same length.
        let mut stream = TreeStream::new(LENGTH_MAX);
        let mut loader = Loader::new(CONFIG, Zxid::new(1, 7));
        let _ = stream.push(&bytes, &mut |part| part.load(&mut loader)).unwrap();
        let tree = loader.finish();
        assert!(tree.finish_replay().is_ok());
        for node in decoded["nodes"].as_array().unwrap() {
            let loaded = tree.node(node["path"].as_str().unwrap()).unwrap();
            assert_eq!(loaded.data().unwrap(), node["data"].as_str().unwrap().as_bytes(), "{name}");
            let hex = |zxid: Zxid| format!("0x{:x}", zxid.0);
            assert_eq!(hex(loaded.stored().pzxid), node["stat"]["pzxid"].as_str().unwrap(), "{name}");
            assert_eq!(loaded.stored().aversion, node["stat"]["aversion"].as_i64().unwrap() as i32, "{name}");
        }
        let ours = encoded(&tree);
        assert_eq!(listing(&tree), listing(&loaded(&ours)), "{name}");
        assert_eq!(ours[ours.len() - 19..], bytes[bytes.len() - 19..], "{name}");
    }
}

fn loaded(bytes: &[u8]) -> Tree {
    let mut loader = Loader::new(CONFIG, Zxid::new(1, 7));
    let pushed = TreeStream::new(LENGTH_MAX).push(bytes, &mut |part| part.load(&mut loader)).unwrap();
    assert!(pushed.complete);
    loader.finish()
}

fn model(seed: u64) -> Model {
    let mut model = Model::new(seed, CONFIG);
    model.begin_epoch(1);
    for _ in 0..150 {
        model.step();
    }
    model
}

/// Pushes the stream in random pieces, with the first bytes of the next packet behind it.
fn received(disk: &FaultyDisk, bytes: &[u8], cuts: u64, compression: Compression, zxid: Zxid) -> Option<Tree> {
    let mut rng = Dice::new(cuts);
    let size_max = [1, 3, 40, 5000, 1 << 20][rng.below(5) as usize];
    let tree = (rng.below(3) > 0).then_some(CONFIG);
    let mut receiver = SnapshotReceiver::new(disk, &dirs(), zxid, compression, tree, LENGTH_MAX).unwrap();
    let all = [bytes, b"\0\0\0\x10next packet"].concat();
    let mut at = 0;
    loop {
        let piece = &all[at..all.len().min(at + 1 + rng.below(size_max) as usize)];
        let pushed = receiver.push(piece).unwrap();
        at += pushed.used;
        if pushed.complete {
            break;
        }
        assert_eq!(pushed.used, piece.len());
    }
    assert_eq!(at, bytes.len());
    let (sealed, received) = receiver.finish().unwrap();
    assert_eq!(received.is_some(), tree.is_some());
    assert_eq!(install(disk, &dirs(), sealed).unwrap(), zxid);
    received
}

#[test]
fn a_tree_arrives_whatever_the_pieces() {
    for seed in 0..25 {
        let model = model(seed);
        let bytes = encoded(model.tree());
        let compression = [Compression::None, Compression::Gzip, Compression::Snappy][seed as usize % 3];
        let disk = disk();
        let options = MemberOptions::new(RecoverOptions::new(CONFIG));
        let mut state = recover_member(&disk, &dirs(), &options, &mut |_| {}).unwrap();
        state.epochs.save_accepted(1).unwrap();
        if let Some(tree) = received(&disk, &bytes, seed, compression, model.last()) {
            assert_eq!(listing(&tree), listing(model.tree()));
            assert_eq!(tree.digest(), model.tree().digest());
        }
        let state = recover_member(&disk, &dirs(), &options, &mut |_| {}).unwrap();
        assert_eq!((state.last, listing(&state.tree)), (Some(model.last()), listing(model.tree())));
    }
}

#[test]
fn what_is_no_tree_is_told_with_its_offset() {
    let model = model(1);
    let bytes = encoded(model.tree());
    let signature = bytes.len() - 10;
    let mut wrong = bytes.clone();
    wrong[signature..].copy_from_slice(b"BenWasNot!");
    let mut longer = bytes.clone();
    longer[signature - 1] = 11;
    let mut huge_path = bytes.clone();
    let mut start = Vec::new();
    encode_tree_start(&mut start, &model.tree().walk());
    let root = start.len();
    huge_path[root..root + 4].copy_from_slice(&(LENGTH_MAX as i32 + 1).to_be_bytes());
    for (bytes, word, offset) in [
        (wrong, "BenWasNot!", signature - 4),
        (longer, "not the signature", signature - 4),
        (huge_path, "jute.maxbuffer", root),
    ] {
        match parts(&bytes) {
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(word) && text.contains("hint: "), "{text}");
                assert!(text.contains(&format!("offset {offset}:")), "{offset} is not in {text}");
            }
            Ok(parts) => panic!("read as {parts:?}"),
        }
    }
}

#[test]
fn a_node_without_its_parent_is_noticed_when_a_tree_is_made() {
    let mut bytes = Vec::new();
    let tree = Tree::new(CONFIG);
    encode_tree_start(&mut bytes, &tree.walk());
    let stat = ostler_model::StoredStat::default();
    for path in ["", "/a/b"] {
        encode_node(&mut bytes, &ostler_tree::NodeImage { path, data: None, acl_id: -1, stat });
    }
    encode_tree_end(&mut bytes);
    let disk = disk();
    let mut receiver =
        SnapshotReceiver::new(&disk, &dirs(), Zxid(5), Compression::None, Some(CONFIG), LENGTH_MAX).unwrap();
    let text = receiver.push(&bytes).unwrap_err().to_string();
    assert!(text.contains("/a/b") && text.contains("has no parent"), "{text}");
    receiver.discard().unwrap();
}

#[test]
fn an_endless_element_is_not_kept() {
    // An ACL of more entries than any transaction can have brought.
    let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0f, 0xff, 0xff];
    let mut stream = TreeStream::new(1 << 16);
    let error = loop {
        match stream.push(&bytes, &mut |_| Ok(())) {
            Ok(pushed) => assert!(!pushed.complete),
            Err(error) => break error,
        }
        bytes = [0, 0, 0, 31, 0, 0, 0, 1, b'x', 0, 0, 0, 1, b'y'].repeat(1000);
    };
    assert!(error.to_string().contains("an element of more than"), "{error}");
    assert!(stream.bytes() < 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, there is an answer and no panic.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), zeros in 0_usize..3) {
        let mut stream = TreeStream::new(1 << 16);
        let bytes = [vec![0; zeros * 4], bytes].concat();
        for piece in bytes.chunks(17) {
            match stream.push(piece, &mut |_| Ok(())) {
                Ok(pushed) if !pushed.complete => {}
                _ => break,
            }
        }
    }

    /// A genuine stream with a byte changed: an answer, no panic.
    #[test]
    fn damaged(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = encoded(model(2).tree());
        let at = at.index(bytes.len());
        bytes[at] = value;
        let mut loader = Loader::new(CONFIG, Zxid(9));
        let _ = TreeStream::new(1 << 16).push(&bytes, &mut |part| part.load(&mut loader));
    }
}
