//! A reconfiguration as clients see it: asked for at a follower, answered, watched, and read at every member (E§16.4, E§16.7).

use super::client::{frame, read};
use super::cluster::Cluster;
use ostler_model::{Ensemble, OpCode, Role, ServerId, SessionId};

const CONFIG: &str = "/zookeeper/config";

fn reconfig(xid: i32, joining: Option<&str>, leaving: Option<&str>, version: i64) -> Vec<u8> {
    frame(xid, OpCode::Reconfig, |frame| {
        frame.text(joining);
        frame.text(leaving);
        frame.text(None);
        frame.long(version);
    })
}

/// The data and mzxid of a GetDataResponse.
fn config_in(body: &[u8]) -> (String, i64) {
    let len = i32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
    let stat = &body[4 + len..];
    (String::from_utf8(body[4..4 + len].to_vec()).unwrap(), i64::from_be_bytes(stat[8..16].try_into().unwrap()))
}

#[test]
fn a_follower_takes_it_and_every_member_shows_it() {
    let mut cluster = Cluster::reconfigured(4);
    (0..4).for_each(|index| cluster.start(index));
    cluster.settle();
    cluster.advance(1_000);
    let leader = cluster.leader().expect("four connected servers have a leader");
    let asked = (leader + 1) % 4;
    let leaves = (leader + 2) % 4;
    let watched = (leader + 3) % 4;
    let (watcher, _) = cluster.attach(watched, SessionId::NONE, 10_000);
    let answer = cluster.ask(watched, watcher, &[read(1, OpCode::GetData, CONFIG, true)]);
    let (text, first) = config_in(&answer[0].body);
    assert_eq!((Ensemble::parse(&text).unwrap().version(), first), (1 << 32, 1 << 32), "the first version");

    let (conn, _) = cluster.attach(asked, SessionId::NONE, 10_000);
    let wrong = cluster.ask(asked, conn, &[reconfig(1, None, Some("1"), first - 1)]);
    assert_eq!(wrong[0].err, -103);
    let id = (leaves + 1).to_string();
    let done = cluster.ask(asked, conn, &[reconfig(2, None, Some(&id), first)]);
    assert_eq!((done[0].xid, done[0].err), (2, 0));
    let (text, version) = config_in(&done[0].body);
    let next = Ensemble::parse(&text).unwrap();
    assert_eq!((next.version(), version), (done[0].zxid, done[0].zxid));
    assert_eq!(next.members().len(), 3);
    assert!(next.member(ServerId(leaves as i64 + 1)).is_none());
    assert!(next.members().iter().all(|member| member.role == Role::Participant));

    let events = cluster.received(watched, watcher);
    assert_eq!(events.iter().map(|it| (it.xid, it.event())).collect::<Vec<_>>(), [(-1, (3, CONFIG.to_owned()))]);
    // Nobody's role has changed; who left follows on without a vote.
    assert_eq!(cluster.leader(), Some(leader));
    for index in 0..4 {
        assert!(cluster.is_serving(index));
        let (conn, _) = cluster.attach(index, SessionId::NONE, 10_000);
        let answer = cluster.ask(index, conn, &[read(1, OpCode::GetData, CONFIG, false)]);
        assert_eq!(config_in(&answer[0].body), (text.clone(), version), "server {index}");
    }
}
