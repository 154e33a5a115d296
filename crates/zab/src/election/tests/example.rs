//! `docs/election-by-example.md`: its blocks are what this test sees happen.

use super::Network;
use super::network::ensemble;
use alloc::string::String;
use alloc::vec::Vec;
use ostler_model::{ServerId, Zxid};

extern crate std;

/// The stages of the example, in the words of the trace.
fn stages() -> Vec<String> {
    let all: Vec<ServerId> = (1..=5).map(ServerId).collect();
    let mut network = Network::new(ensemble(&[1, 2, 3, 4, 5], &[], 0));
    network.mailboxes = true;
    let mut stages = Vec::new();
    let mut stage = |network: &mut Network| stages.push(core::mem::take(&mut network.story).join("\n"));
    for id in &all {
        network.add(*id, 0, Zxid::ZERO, true);
    }
    // Started one after the other. Servers that do not run refuse connections.
    for id in &all {
        network.boot(*id);
        for absent in all.iter().filter(|other| **other > *id) {
            network.peer_down(*id, *absent);
        }
        network.deliver_all();
        if *id == ServerId(3) {
            assert_eq!(network.leader_of(ServerId(1)), Some(ServerId(3)));
        }
        stage(&mut network);
    }
    for id in &all {
        assert_eq!(network.leader_of(*id), Some(ServerId(3)));
        network.established(*id, 1);
    }
    // Epoch 1 has had four transactions; not all servers have all of them in their logs.
    for (id, counter) in [(1, 2), (2, 3), (3, 4), (4, 3), (5, 1)] {
        network.add(ServerId(id), 1, Zxid::new(1, counter), true);
    }
    network.crash(ServerId(3));
    for id in [1, 2, 4, 5] {
        network.look(ServerId(id));
    }
    stage(&mut network);
    network.deliver_all();
    for id in [1, 2, 4, 5] {
        assert_eq!(network.leader_of(ServerId(id)), Some(ServerId(4)));
    }
    stage(&mut network);
    for id in [1, 2, 4, 5] {
        network.established(ServerId(id), 2);
    }
    network.boot(ServerId(3));
    network.deliver_all();
    assert_eq!(network.leader_of(ServerId(3)), Some(ServerId(4)));
    stage(&mut network);
    stages
}

#[test]
fn the_document_tells_what_happens() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/election-by-example.md");
    let document = std::fs::read_to_string(path).expect("the example is there");
    let blocks: Vec<&str> =
        document.split("```text\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or(rest)).collect();
    let stages = stages();
    assert_eq!(blocks, stages, "the blocks should be:\n\n{}", stages.join("\n\n"));
}
