//! Every message between servers recorded from Apache (`testdata/quorum-samples.jsonl`): packets, handshakes and
//! notifications decode to what the recorder's own decoder saw, and encode again to the same bytes. SASL is not
//! spoken yet: its packets are counted, nothing more.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use ostler_model::PeerState;
use ostler_model::{Ensemble, EnsembleError, OpCode, Reconfig, Request, ServerId, Txn, Zxid};
use ostler_wire::client::decode_request;
use ostler_wire::election::{Handshake, NOTIFICATION_VERSION, Notification, split_frame};
use ostler_wire::quorum::{PROTOCOL_VERSION, ToLeader, ToLearner};
use ostler_wire::txn;
use serde_json::Value;
use std::collections::BTreeMap;

const DATA_MAX: usize = 2 * 0xf_ffff;

struct Sample {
    name: String,
    bytes: Vec<u8>,
    decoded: Value,
}

fn samples() -> Vec<Sample> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/quorum-samples.jsonl");
    let text = std::fs::read_to_string(path).expect("testdata is part of the repository");
    let unhex = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    text.lines()
        .map(|line| {
            let mut json: Value = serde_json::from_str(line).unwrap();
            Sample {
                name: json["name"].as_str().unwrap().to_owned(),
                bytes: unhex(json["hex"].as_str().unwrap()),
                decoded: json["decoded"].take(),
            }
        })
        .collect()
}

/// The recorder prints longs as unsigned hexadecimal numbers with 0x, or as decimal ones.
fn long(value: &Value) -> i64 {
    match value.as_str() {
        Some(text) => u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap() as i64,
        None => value.as_i64().unwrap_or_else(|| panic!("{value} is no number")),
    }
}

fn config_survives(name: &str, text: &str) {
    match Ensemble::parse(text) {
        Ok(ensemble) => assert_eq!(ensemble.to_string(), text, "{name}"),
        Err(error) => {
            assert!(matches!(error, EnsembleError::Hierarchical(_)), "{name}: {error}");
            assert!(text.contains("\ngroup.1="), "{name}: {error}");
        }
    }
}

fn txn_survives(name: &str, zxid: Zxid, payload: &[u8], decoded: &Value) {
    let record = txn::decode(payload, DATA_MAX).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(record.header.zxid, zxid, "{name}");
    assert_eq!(record.header.session.0, long(&decoded["hdr"]["clientId"]), "{name}");
    assert_eq!(record.digest.is_some(), decoded.get("digest").is_some(), "{name}");
    if let Txn::Reconfig { data, .. } = &record.txn {
        let text = std::str::from_utf8(data.as_deref().unwrap()).unwrap();
        config_survives(name, text);
        assert_eq!(Ensemble::parse(text).unwrap().version(), zxid.0, "{name}");
    }
    let mut again = Vec::new();
    txn::encode(&mut again, &record.header, &record.txn, record.digest);
    assert_eq!(again, payload, "{name}");
}

/// Checks the meaning of what a learner said and gives the length of the packet and its bytes as we write them.
fn to_leader(name: &str, bytes: &[u8], json: &Value) -> (usize, Vec<u8>) {
    let (packet, length) = ToLeader::decode(bytes, DATA_MAX).unwrap().unwrap_or_else(|| panic!("{name}: incomplete"));
    let zxid = Zxid(long(&json["zxid"]));
    match &packet {
        ToLeader::Info { observer, accepted_epoch, learner } => {
            assert_eq!(*observer, json["packet"] == "OBSERVERINFO", "{name}");
            assert_eq!(*accepted_epoch, zxid.epoch(), "{name}");
            let field = |key: &str| json["LearnerInfo"].get(key).map(long);
            assert_eq!(learner.server.map(|server| server.0), field("serverid"), "{name}");
            assert_eq!(learner.protocol_version.map(i64::from), field("protocolVersion"), "{name}");
            assert_eq!(learner.config_version, field("configVersion"), "{name}");
            let current = field("protocolVersion")
                .map(|_| (ServerId(field("serverid").unwrap()), field("configVersion").unwrap_or(0)));
            assert_eq!(learner.current(), current, "{name}");
        }
        ToLeader::AckEpoch { last_zxid, current_epoch } => {
            let epoch = Some(long(&json["currentEpoch"])).filter(|epoch| *epoch != -1);
            assert_eq!((*last_zxid, current_epoch.map(i64::from)), (zxid, epoch), "{name}");
        }
        ToLeader::Ack { zxid: acknowledged } => assert_eq!((*acknowledged, &json["packet"]), (zxid, &"ACK".into())),
        ToLeader::Request { session, cxid, op, body, auth } => {
            let request = &json["request"];
            assert_eq!(session.0, long(&request["sessionId"]), "{name}");
            assert_eq!(i64::from(*cxid), long(&request["cxid"]), "{name}");
            let op = OpCode::from_i32(*op).unwrap();
            let decoded = decode_request(op, body, DATA_MAX).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(matches!(decoded, Request::Sync { .. }), request["op"] == "sync", "{name}");
            let ids: Vec<_> = auth.iter().map(|id| (id.scheme.as_str(), id.id.as_str())).collect();
            let recorded = json["authinfo"].as_array().map_or(&[][..], Vec::as_slice);
            let recorded: Vec<_> =
                recorded.iter().map(|id| (id["scheme"].as_str().unwrap(), id["id"].as_str().unwrap())).collect();
            assert_eq!(ids, recorded, "{name}");
        }
        ToLeader::Ping { zxid: answered, touched } => {
            assert_eq!(*answered, zxid, "{name}");
            let touched: Vec<_> = touched.iter().map(|touch| (touch.session.0, i64::from(touch.timeout_ms))).collect();
            let recorded: Vec<_> = json["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|session| (long(&session["sessionId"]), long(&session["timeout"])))
                .collect();
            assert_eq!(touched, recorded, "{name}");
        }
        ToLeader::Revalidate { session, timeout_ms } => {
            assert_eq!((session.0, i64::from(*timeout_ms)), (long(&json["sessionId"]), long(&json["timeout"])));
        }
        ToLeader::Unknown { kind } => panic!("{name}: {kind}"),
    }
    let mut again = Vec::new();
    packet.encode(&mut again);
    (length, again)
}

/// As [`to_leader`], for what a leader said.
fn to_learner(name: &str, bytes: &[u8], json: &Value) -> (usize, Vec<u8>) {
    let (packet, length) = ToLearner::decode(bytes, DATA_MAX).unwrap().unwrap_or_else(|| panic!("{name}: incomplete"));
    let recorded = Zxid(long(&json["zxid"]));
    let kind = match &packet {
        ToLearner::LeaderInfo { epoch, protocol_version } => {
            assert_eq!((*epoch, *protocol_version), (recorded.epoch(), PROTOCOL_VERSION), "{name}");
            "LEADERINFO"
        }
        ToLearner::Diff { zxid } => {
            assert_eq!(*zxid, recorded);
            "DIFF"
        }
        ToLearner::Trunc { zxid } => {
            assert_eq!(*zxid, recorded);
            "TRUNC"
        }
        ToLearner::Snap { zxid } => {
            assert_eq!(*zxid, recorded);
            "SNAP"
        }
        ToLearner::NewLeader { zxid, config } => {
            assert_eq!(*zxid, recorded, "{name}");
            assert_eq!(config.as_deref(), json["config"].as_str(), "{name}");
            if let Some(text) = config {
                config_survives(name, text);
            }
            "NEWLEADER"
        }
        ToLearner::UpToDate => "UPTODATE",
        ToLearner::Proposal { zxid, txn } => {
            assert_eq!(*zxid, recorded, "{name}");
            txn_survives(name, *zxid, txn, json);
            "PROPOSAL"
        }
        ToLearner::Commit { zxid } => {
            assert_eq!(*zxid, recorded);
            "COMMIT"
        }
        ToLearner::CommitAndActivate { zxid, designated } => {
            assert_eq!((*zxid, designated.0), (recorded, long(&json["designatedLeader"])), "{name}");
            "COMMITANDACTIVATE"
        }
        ToLearner::Inform { zxid, txn } => {
            assert_eq!(*zxid, recorded, "{name}");
            txn_survives(name, *zxid, txn, json);
            "INFORM"
        }
        ToLearner::InformAndActivate { zxid, designated, txn } => {
            assert_eq!((*zxid, designated.0), (recorded, long(&json["designatedLeader"])), "{name}");
            txn_survives(name, *zxid, txn, json);
            "INFORMANDACTIVATE"
        }
        ToLearner::Ping { zxid } => {
            assert_eq!(*zxid, recorded);
            "PING"
        }
        ToLearner::Revalidate { session, valid } => {
            assert_eq!((session.0, Some(*valid)), (long(&json["sessionId"]), json["valid"].as_bool()), "{name}");
            "REVALIDATE"
        }
        ToLearner::Sync => "SYNC",
        ToLearner::Unknown { kind } => panic!("{name}: {kind}"),
    };
    assert_eq!(json["packet"], kind, "{name}");
    let mut again = Vec::new();
    packet.encode(&mut again);
    (length, again)
}

fn is_to_leader(json: &Value) -> bool {
    match json["packet"].as_str().unwrap() {
        "FOLLOWERINFO" | "OBSERVERINFO" | "ACKEPOCH" | "ACK" | "REQUEST" => true,
        "PING" => json.get("sessions").is_some(),
        "REVALIDATE" => json.get("timeout").is_some(),
        _ => false,
    }
}

#[test]
fn packets_survive() {
    let mut seen: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for Sample { name, bytes, decoded } in samples() {
        let Some(kind) = decoded["packet"].as_str() else { continue };
        let from_learner = is_to_leader(&decoded);
        let (length, again) =
            if from_learner { to_leader(&name, &bytes, &decoded) } else { to_learner(&name, &bytes, &decoded) };
        assert_eq!(again, bytes[..length], "{name}");
        // In some samples the snapshot stands behind its SNAP packet: it is left to the caller, whole.
        let rest = &bytes[length..];
        assert_eq!(rest.is_empty(), decoded.get("snapshot").is_none(), "{name}");
        assert!(rest.is_empty() || (kind == "SNAP" && rest.ends_with(b"\0\0\0\x01/\0\0\0\x0aBenWasHere")), "{name}");
        *seen.entry((kind.to_owned(), from_learner)).or_default() += 1;
    }
    assert_eq!(seen.len(), 21, "19 kinds, PING and REVALIDATE both ways: {seen:?}");
    assert_eq!(seen.values().sum::<usize>(), 226, "{seen:?}");
}

#[test]
fn notifications_survive() {
    let mut states = BTreeMap::new();
    for Sample { name, bytes, decoded } in samples() {
        let Some(json) = decoded.get("notification") else { continue };
        let (content, length) = split_frame(&bytes).unwrap().unwrap();
        assert_eq!((length, content.len() as i64), (bytes.len(), long(&json["length"])), "{name}");
        let notification = Notification::decode(content).unwrap_or_else(|error| panic!("{name}: {error}"));
        let state = match notification.state {
            PeerState::Looking => "LOOKING",
            PeerState::Following => "FOLLOWING",
            PeerState::Leading => "LEADING",
            PeerState::Observing => "OBSERVING",
        };
        assert_eq!(json["state"], state, "{name}");
        let numbers = [notification.leader.0, notification.zxid.0, notification.round, notification.peer_epoch];
        assert_eq!(numbers, ["leader", "zxid", "electionEpoch", "peerEpoch"].map(|key| long(&json[key])), "{name}");
        assert_eq!(notification.version, NOTIFICATION_VERSION, "{name}");
        assert_eq!(notification.config.as_deref(), json["config"].as_str(), "{name}");
        config_survives(&name, notification.config.as_deref().unwrap());
        let mut again = Vec::new();
        notification.encode(&mut again);
        assert_eq!(again, bytes, "{name}");
        *states.entry(state).or_insert(0) += 1;
    }
    assert!(states.values().sum::<i32>() == 12 && states.len() == 3, "{states:?}");
}

#[test]
fn handshakes_survive() {
    let mut forms = BTreeMap::new();
    for Sample { name, bytes, decoded } in samples() {
        let Some(form) = decoded["handshake"].as_str() else { continue };
        let (handshake, length) = Handshake::decode(&bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len(), "{name}");
        assert_eq!(handshake.server().0, long(&decoded["sid"]), "{name}");
        let addresses: Vec<_> = handshake.dialable().map(ToString::to_string).collect();
        let recorded: Vec<_> =
            decoded["addresses"].as_array().unwrap().iter().map(|address| address.as_str().unwrap()).collect();
        assert_eq!(addresses, recorded, "{name}");
        let decoded_form = match handshake {
            Handshake::Legacy { .. } => "legacy",
            Handshake::V1 { .. } => "V1",
            Handshake::V2 { .. } => "V2",
        };
        assert_eq!(decoded_form, form, "{name}");
        let mut again = Vec::new();
        handshake.encode(&mut again);
        assert_eq!(again, bytes, "{name}");
        *forms.entry(decoded_form).or_insert(0) += 1;
    }
    assert_eq!(forms, BTreeMap::from([("V1", 2), ("V2", 1)]));
}

/// A recorded reconfig request leads from the members before it to the text that Apache's leader proposed.
#[test]
fn a_reconfiguration_has_the_recorded_result() {
    let samples = samples();
    let bytes = |name: &str| &samples.iter().find(|sample| sample.name == name).unwrap().bytes;
    let (packet, _) = ToLeader::decode(bytes("request_reconfig_remove_observer"), DATA_MAX).unwrap().unwrap();
    let ToLeader::Request { body, .. } = packet else { panic!("{packet:?}") };
    let request = decode_request(OpCode::Reconfig, body, DATA_MAX).unwrap();
    let Request::Reconfig { joining, leaving, new_members, config_id } = &request else { panic!("{request:?}") };
    let asked = Reconfig {
        joining: joining.as_deref(),
        leaving: leaving.as_deref(),
        new_members: new_members.as_deref(),
        from_version: *config_id,
    };
    let (packet, _) = ToLearner::decode(bytes("proposal_reconfig"), DATA_MAX).unwrap().unwrap();
    let ToLearner::Proposal { zxid, txn } = packet else { panic!("{packet:?}") };
    let Txn::Reconfig { data, .. } = txn::decode(txn, DATA_MAX).unwrap().txn else { panic!("another transaction") };
    let proposed = String::from_utf8(data.unwrap()).unwrap();
    let before = Ensemble::parse(&proposed).unwrap().with_version(1 << 32);
    let before = before.apply_incremental(Some("server.4=zkh4:12304:12324:observer;127.0.0.1:12194"), None).unwrap();
    assert_eq!(before.members().len(), 4);
    assert_eq!(asked.next(&before, &before, true, zxid.0).unwrap().to_string(), proposed);
}

/// Nothing recorded is left out by the three tests above but SASL, and snapshots, which are the store's.
#[test]
fn nothing_else_was_recorded() {
    let mut others = BTreeMap::new();
    for sample in samples() {
        let known = ["packet", "notification", "handshake"].iter().any(|key| sample.decoded.get(key).is_some());
        if !known {
            let keys = sample.decoded.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
            *others.entry(keys).or_insert(0) += 1;
        }
    }
    let expected = [("quorumAuth", 8), ("snapshot", 3)].map(|(key, count)| (key.to_owned(), count));
    assert_eq!(others, BTreeMap::from(expected));
}

/// SASL begins where a packet or a frame would: neither is mistaken for it.
#[test]
fn sasl_is_recognised_as_something_else() {
    let packets: Vec<_> = samples().into_iter().filter(|sample| sample.decoded.get("quorumAuth").is_some()).collect();
    for Sample { name, bytes, .. } in packets {
        assert!(split_frame(&bytes).is_err(), "{name}");
        match ToLeader::decode(&bytes, DATA_MAX) {
            Ok(Some((ToLeader::Unknown { .. }, _)) | None) | Err(_) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}
