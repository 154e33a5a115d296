//! The words of a script: transactions as `epoch:counter`, messages as the protocol names them.

use super::actor::Txns;
use ostler_model::{ServerId, Zxid};
use ostler_zab::{Message, Payload, Quirks};
use std::collections::BTreeMap;

pub fn id(text: &str) -> ServerId {
    ServerId(text.parse().unwrap_or_else(|_| panic!("'{text}' is no server")))
}

/// `4:2`, `0`, or `-1`.
pub fn zxid(text: &str) -> Zxid {
    match text.split_once(':') {
        Some((epoch, counter)) => Zxid::new(epoch.parse().unwrap(), counter.parse().unwrap()),
        None => Zxid(text.parse().unwrap_or_else(|_| panic!("'{text}' is no zxid"))),
    }
}

pub fn show(zxid: Zxid) -> String {
    match zxid {
        Zxid(0) => String::from("0"),
        Zxid(number) if number < 0 => number.to_string(),
        zxid => format!("{}:{}", zxid.epoch(), zxid.counter()),
    }
}

/// `4:1..4:3 5:1`: each of these transactions, with its name for a payload.
pub fn txns(words: &[&str]) -> Txns {
    let mut all = Txns::new();
    for word in words {
        let (first, last) = match word.split_once("..") {
            Some((first, last)) => (zxid(first), zxid(last)),
            None => (zxid(word), zxid(word)),
        };
        assert_eq!(first.epoch(), last.epoch(), "a range has one epoch: {word}");
        for counter in first.counter()..=last.counter() {
            let zxid = Zxid::new(first.epoch(), counter);
            all.insert(zxid, payload(zxid));
        }
    }
    all
}

pub fn list(txns: &Txns) -> String {
    txns.keys().map(|zxid| show(*zxid)).collect::<Vec<_>>().join(" ")
}

pub fn payload(zxid: Zxid) -> Payload {
    Payload::from(show(zxid).into_bytes())
}

/// `key=value` words, and the others.
pub fn keyed<'a>(words: &[&'a str]) -> (Vec<&'a str>, BTreeMap<&'a str, &'a str>) {
    let plain = words.iter().copied().filter(|word| !word.contains('=')).collect();
    (plain, words.iter().filter_map(|word| word.split_once('=')).collect())
}

/// A message that the script sends in the name of a puppet.
pub fn message(from: ServerId, words: &[&str]) -> Message {
    let (plain, keys) = keyed(words);
    let number = |key: &str| keys.get(key).map_or(0, |text| text.parse().unwrap());
    let at = |index: usize| zxid(plain.get(index).unwrap_or_else(|| panic!("{words:?} lacks a zxid")));
    match plain[0] {
        name @ ("FOLLOWERINFO" | "OBSERVERINFO") => Message::LearnerInfo {
            server: from,
            observer: name == "OBSERVERINFO",
            accepted_epoch: number("accepted"),
            config_version: 0,
        },
        "LEADERINFO" => Message::LeaderInfo { epoch: plain[1].parse().unwrap() },
        "ACKEPOCH" => {
            let current_epoch = keys.get("current").filter(|text| **text != "none").map(|text| text.parse().unwrap());
            Message::AckEpoch { last: at(1), current_epoch }
        }
        "DIFF" => Message::Diff { zxid: at(1) },
        "TRUNC" => Message::Trunc { zxid: at(1) },
        "SNAP" => Message::Snap { zxid: at(1) },
        "NEWLEADER" => Message::NewLeader { epoch: plain[1].parse().unwrap(), config: None },
        "UPTODATE" => Message::UpToDate,
        "PROPOSAL" => Message::Proposal { zxid: at(1), payload: payload(at(1)), reconfig: None },
        "INFORM" => Message::Inform { zxid: at(1), payload: payload(at(1)) },
        "COMMIT" => Message::Commit { zxid: at(1) },
        "ACK" => Message::Ack { zxid: at(1) },
        "PING" => Message::Ping { zxid: Zxid::ZERO },
        other => panic!("there is no message {other}"),
    }
}

/// The same words for what a server sent.
pub fn words(message: &Message) -> String {
    match message {
        Message::LearnerInfo { observer, accepted_epoch, .. } => {
            format!("{} accepted={accepted_epoch}", if *observer { "OBSERVERINFO" } else { "FOLLOWERINFO" })
        }
        Message::LeaderInfo { epoch } => format!("LEADERINFO {epoch}"),
        Message::AckEpoch { last, current_epoch } => {
            let current = current_epoch.map_or_else(|| String::from("none"), |epoch| epoch.to_string());
            format!("ACKEPOCH {} current={current}", show(*last))
        }
        Message::Diff { zxid } => format!("DIFF {}", show(*zxid)),
        Message::Trunc { zxid } => format!("TRUNC {}", show(*zxid)),
        Message::Snap { zxid } => format!("SNAP {}", show(*zxid)),
        Message::NewLeader { epoch, .. } => format!("NEWLEADER {epoch}"),
        Message::UpToDate => String::from("UPTODATE"),
        Message::Proposal { zxid, .. } => format!("PROPOSAL {}", show(*zxid)),
        Message::Inform { zxid, .. } => format!("INFORM {}", show(*zxid)),
        Message::Commit { zxid } => format!("COMMIT {}", show(*zxid)),
        Message::Ack { zxid } => format!("ACK {}", show(*zxid)),
        Message::Ping { .. } => String::from("PING"),
        other => format!("{other:?}"),
    }
}

/// The rules that a script may break, by name.
pub fn quirk(name: &str) -> Quirks {
    let mut quirks = Quirks::default();
    let flag = match name {
        "epoch_before_history" => &mut quirks.epoch_before_history,
        "ack_before_sync" => &mut quirks.ack_before_sync,
        "vote_applied" => &mut quirks.vote_applied,
        "truncate_one_less" => &mut quirks.truncate_one_less,
        "epoch_from_zxid" => &mut quirks.epoch_from_zxid,
        "diff_unknown_zxid" => &mut quirks.diff_unknown_zxid,
        "commit_without_quorum" => &mut quirks.commit_without_quorum,
        "leader_acks_unsynced" => &mut quirks.leader_acks_unsynced,
        "learner_acks_unsynced" => &mut quirks.learner_acks_unsynced,
        "skip_ahead_check" => &mut quirks.skip_ahead_check,
        "count_observers" => &mut quirks.count_observers,
        "skip_fence" => &mut quirks.skip_fence,
        "commit_out_of_order" => &mut quirks.commit_out_of_order,
        "count_untrusted" => &mut quirks.count_untrusted,
        "trust_diverged" => &mut quirks.trust_diverged,
        "wait_for_deserters" => &mut quirks.wait_for_deserters,
        other => panic!("there is no quirk {other}"),
    };
    *flag = true;
    quirks
}
