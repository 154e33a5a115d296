//! What servers say to each other, as streams: whatever can be said survives being written, cut at any places and read
//! again, and a decoder takes nothing that stands behind its message.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use ostler_model::PeerState;
use ostler_model::limits::{NOTIFICATION_BYTES_MAX, QUORUM_AUTH_BYTES_MAX, QUORUM_AUTH_IDS_MAX};
use ostler_model::{AuthId, Endpoint, Host, ServerId, SessionId, Text, Zxid};
use ostler_wire::election::{Handshake, NOTIFICATION_VERSION, Notification, split_frame};
use ostler_wire::jute::DecodeError;
use ostler_wire::quorum::{LearnerInfo, ToLeader, ToLearner, Touch, packet_bytes_max};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const DATA_MAX: usize = 1 << 16;

fn zxid() -> impl Strategy<Value = Zxid> {
    any::<i64>().prop_map(Zxid)
}

fn epoch() -> impl Strategy<Value = u32> {
    prop_oneof![0..3_u32, 0..=0x7fff_ffff_u32]
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<i64>().prop_map(SessionId)
}

fn server() -> impl Strategy<Value = ServerId> {
    any::<i64>().prop_map(ServerId)
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![&b""[..], b"x", b"\xff\xff\xff\xff", &[0; 40], &[0x41; 3_000]])
}

fn text() -> impl Strategy<Value = Text<'static>> {
    option::of("\\PC{1,30}").prop_map(|text| text.map(Into::into))
}

fn learner_info() -> impl Strategy<Value = LearnerInfo> {
    (server(), any::<i32>(), any::<i64>(), 0..4).prop_map(|(server, protocol_version, config_version, fields)| {
        LearnerInfo {
            server: (fields > 0).then_some(server),
            protocol_version: (fields > 1).then_some(protocol_version),
            config_version: (fields > 2).then_some(config_version),
        }
    })
}

fn to_leader() -> impl Strategy<Value = ToLeader<'static>> {
    let auth = vec(("[a-z0-9]{0,6}", "\\PC{0,12}").prop_map(|(scheme, id)| AuthId { scheme, id }), 0..4);
    let touch = (session(), any::<i32>()).prop_map(|(session, timeout_ms)| Touch { session, timeout_ms });
    prop_oneof![
        (any::<bool>(), epoch(), learner_info()).prop_map(|(observer, accepted_epoch, learner)| ToLeader::Info {
            observer,
            accepted_epoch,
            learner
        }),
        (zxid(), option::of(epoch()))
            .prop_map(|(last_zxid, current_epoch)| ToLeader::AckEpoch { last_zxid, current_epoch }),
        zxid().prop_map(|zxid| ToLeader::Ack { zxid }),
        (session(), any::<i32>(), any::<i32>(), bytes(), auth).prop_map(|(session, cxid, op, body, auth)| {
            ToLeader::Request { session, cxid, op, body, auth: auth.into() }
        }),
        (zxid(), vec(touch, 0..9)).prop_map(|(zxid, touched)| ToLeader::Ping { zxid, touched }),
        (session(), any::<i32>()).prop_map(|(session, timeout_ms)| ToLeader::Revalidate { session, timeout_ms }),
        prop::sample::select(vec![0, 2, 4, 7, 8, 9, 10, 12, 13, 14, 15, 17, 19, 20, -1])
            .prop_map(|kind| ToLeader::Unknown { kind }),
    ]
}

fn to_learner() -> impl Strategy<Value = ToLearner<'static>> {
    prop_oneof![
        (epoch(), any::<i32>()).prop_map(|(epoch, protocol_version)| ToLearner::LeaderInfo { epoch, protocol_version }),
        zxid().prop_map(|zxid| ToLearner::Diff { zxid }),
        zxid().prop_map(|zxid| ToLearner::Trunc { zxid }),
        (zxid(), text()).prop_map(|(zxid, config)| ToLearner::NewLeader { zxid, config }),
        Just(ToLearner::UpToDate),
        (zxid(), bytes()).prop_map(|(zxid, txn)| ToLearner::Proposal { zxid, txn }),
        zxid().prop_map(|zxid| ToLearner::Commit { zxid }),
        (zxid(), server()).prop_map(|(zxid, designated)| ToLearner::CommitAndActivate { zxid, designated }),
        (zxid(), bytes()).prop_map(|(zxid, txn)| ToLearner::Inform { zxid, txn }),
        (zxid(), server(), bytes()).prop_map(|(zxid, designated, txn)| ToLearner::InformAndActivate {
            zxid,
            designated,
            txn
        }),
        zxid().prop_map(|zxid| ToLearner::Ping { zxid }),
        (session(), any::<bool>()).prop_map(|(session, valid)| ToLearner::Revalidate { session, valid }),
        Just(ToLearner::Sync),
        prop::sample::select(vec![0, 1, 3, 11, 16, 18, 20, -1]).prop_map(|kind| ToLearner::Unknown { kind }),
    ]
}

/// A packet, or a SNAP with the bytes that follow it.
#[derive(Clone, PartialEq, Debug)]
enum FromLeader {
    Packet(ToLearner<'static>),
    Snapshot(Zxid, &'static [u8]),
}

fn from_leader() -> impl Strategy<Value = FromLeader> {
    prop_oneof![
        9 => to_learner().prop_map(FromLeader::Packet),
        1 => (zxid(), bytes()).prop_map(|(zxid, raw)| FromLeader::Snapshot(zxid, raw)),
    ]
}

fn notification() -> impl Strategy<Value = Notification<'static>> {
    use PeerState::{Following, Leading, Looking, Observing};
    let state = prop::sample::select(vec![Looking, Following, Leading, Observing]);
    (state, server(), zxid(), any::<i64>(), any::<i64>(), text()).prop_map(
        |(state, leader, zxid, round, peer_epoch, config)| Notification {
            state,
            leader,
            zxid,
            round,
            peer_epoch,
            version: NOTIFICATION_VERSION,
            config,
        },
    )
}

fn handshake() -> impl Strategy<Value = Handshake> {
    let host = prop_oneof![
        "[a-z]{1,9}".prop_map(|name| Host::new(&name).unwrap()),
        any::<[u16; 8]>().prop_map(|groups| Host::new(&std::net::Ipv6Addr::from(groups).to_string()).unwrap()),
    ];
    let endpoint = (host, any::<u16>()).prop_map(|(host, port)| Endpoint { host, port });
    prop_oneof![
        (0..=i64::MAX).prop_map(|id| Handshake::Legacy { server: ServerId(id) }),
        (server(), endpoint.clone()).prop_map(|(server, address)| Handshake::new(server, address)),
        (server(), vec(endpoint, 1..5)).prop_map(|(server, addresses)| Handshake::V2 { server, addresses }),
    ]
}

/// Hands `stream` over in pieces that end at the given places, as a socket would. `take` takes what it can from the
/// front of what is there and says how much that was, or 0.
fn feed(stream: &[u8], cuts: &[prop::sample::Index], mut take: impl FnMut(&[u8]) -> usize) {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let (mut arrived, mut taken) = (Vec::new(), 0);
    for end in ends {
        arrived.extend_from_slice(&stream[taken + arrived.len()..end]);
        loop {
            let count = take(&arrived);
            if count == 0 {
                break;
            }
            arrived.drain(..count);
            taken += count;
        }
    }
    assert!(arrived.is_empty(), "{} bytes were never taken", arrived.len());
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_of_a_learner(packets in vec(to_leader(), 0..8), cuts in cuts()) {
        let mut stream = Vec::new();
        packets.iter().for_each(|packet| packet.encode(&mut stream));
        let mut expected = packets.iter();
        feed(&stream, &cuts, |bytes| match ToLeader::decode(bytes, DATA_MAX).unwrap() {
            Some((packet, length)) => {
                assert_eq!(Some(&packet), expected.next());
                length
            }
            None => 0,
        });
        prop_assert_eq!(expected.next(), None);
    }

    #[test]
    fn packets_and_snapshots_of_a_leader(messages in vec(from_leader(), 0..8), cuts in cuts()) {
        let mut stream = Vec::new();
        for message in &messages {
            match message {
                FromLeader::Packet(packet) => packet.encode(&mut stream),
                FromLeader::Snapshot(zxid, raw) => {
                    ToLearner::Snap { zxid: *zxid }.encode(&mut stream);
                    stream.extend_from_slice(raw);
                }
            }
        }
        let mut expected = messages.iter();
        // What is left of the raw bytes, which only their reader knows the end of.
        let mut raw: &[u8] = &[];
        feed(&stream, &cuts, |bytes| {
            if !raw.is_empty() {
                let count = raw.len().min(bytes.len());
                assert_eq!(&raw[..count], &bytes[..count], "somebody else took of the snapshot");
                raw = &raw[count..];
                return count;
            }
            let Some((packet, length)) = ToLearner::decode(bytes, DATA_MAX).unwrap() else { return 0 };
            match expected.next().unwrap() {
                FromLeader::Packet(sent) => assert_eq!(&packet, sent),
                FromLeader::Snapshot(zxid, bytes) => {
                    assert_eq!(packet, ToLearner::Snap { zxid: *zxid });
                    raw = bytes;
                }
            }
            length
        });
        prop_assert!(raw.is_empty() && expected.next().is_none());
    }

    #[test]
    fn an_election_link(opening in handshake(), sent in vec(notification(), 0..6), cuts in cuts()) {
        let mut stream = Vec::new();
        opening.encode(&mut stream);
        sent.iter().for_each(|notification| notification.encode(&mut stream));
        let (mut opened, mut expected) = (false, sent.iter());
        feed(&stream, &cuts, |bytes| {
            if !opened {
                let Some((read, length)) = Handshake::decode(bytes).unwrap() else { return 0 };
                assert_eq!(&read, &opening);
                opened = true;
                return length;
            }
            let Some((content, length)) = split_frame(bytes).unwrap() else { return 0 };
            assert_eq!(Some(&Notification::decode(content).unwrap()), expected.next());
            length
        });
        prop_assert!(opened && expected.next().is_none());
    }
}

fn head(kind: i32, length: i32) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &[0; 8], &length.to_be_bytes()].concat()
}

#[test]
fn lengths_beyond_the_limit_are_refused_before_their_bytes_arrive() {
    let too_long = i32::try_from(DATA_MAX).unwrap() + 1;
    for length in [too_long, i32::MAX, -2, i32::MIN] {
        let bytes = head(2, length);
        assert_eq!(ToLearner::decode(&bytes, DATA_MAX), Err(DecodeError::BadLength(length)));
        assert_eq!(ToLeader::decode(&bytes, DATA_MAX), Err(DecodeError::BadLength(length)));
    }
    assert_eq!(ToLearner::decode(&head(2, too_long - 1), DATA_MAX), Ok(None));
    assert_eq!(split_frame(&i32::try_from(NOTIFICATION_BYTES_MAX).unwrap().to_be_bytes()), Ok(None));
}

#[test]
fn identities_are_bounded_in_number_and_size() {
    let with_auth = |auth: &[u8]| [&head(3, -1)[..], auth].concat();
    let count = |count: usize| i32::try_from(count).unwrap();
    let too_many = count(QUORUM_AUTH_IDS_MAX + 1);
    let refused = Err(DecodeError::BadLength(too_many));
    assert_eq!(ToLeader::decode(&with_auth(&too_many.to_be_bytes()), DATA_MAX), refused);
    assert_eq!(ToLeader::decode(&with_auth(&(too_many - 1).to_be_bytes()), DATA_MAX), Ok(None));

    let mut long = 3_i32.to_be_bytes().to_vec();
    for _ in 0..3 {
        long.extend_from_slice(&count(QUORUM_AUTH_BYTES_MAX / 2).to_be_bytes());
        long.resize(long.len() + QUORUM_AUTH_BYTES_MAX / 2, b'x');
        long.extend_from_slice(&0_i32.to_be_bytes());
    }
    let bytes = with_auth(&long);
    // Whoever waits for the rest is told before he has more than this.
    let refused_at = (0..bytes.len()).step_by(4_096).find(|end| ToLeader::decode(&bytes[..*end], DATA_MAX).is_err());
    assert!(refused_at.is_some_and(|end| end <= packet_bytes_max(DATA_MAX)), "{refused_at:?}");

    // A count below 0 is an empty vector, as everywhere.
    for count in [-1_i32, -2, 0] {
        let ack = Ok(Some((ToLeader::Ack { zxid: Zxid(0) }, 20)));
        assert_eq!(ToLeader::decode(&with_auth(&count.to_be_bytes()), DATA_MAX), ack);
    }
}

#[test]
fn buffers_that_are_too_short_for_their_kind_are_refused() {
    let packet = |kind: i32, data: &[u8]| {
        [&head(kind, i32::try_from(data.len()).unwrap())[..], data, &(-1_i32).to_be_bytes()].concat()
    };
    for (kind, enough) in [(18, 4), (1, 16), (6, 12)] {
        for length in 0..enough {
            let bytes = packet(kind, &vec![0; length]);
            assert_eq!(ToLeader::decode(&bytes, DATA_MAX), Err(DecodeError::Truncated), "{kind} with {length}");
        }
        assert!(ToLeader::decode(&packet(kind, &vec![0; enough]), DATA_MAX).unwrap().is_some());
    }
    for length in [1, 11, 13, 23] {
        assert_eq!(ToLeader::decode(&packet(5, &vec![0; length]), DATA_MAX), Err(DecodeError::Truncated));
    }
    for (kind, enough) in [(17, 4), (9, 8), (19, 8), (6, 9)] {
        for length in 0..enough {
            let bytes = packet(kind, &vec![0; length]);
            assert_eq!(ToLearner::decode(&bytes, DATA_MAX), Err(DecodeError::Truncated), "{kind} with {length}");
        }
        assert!(ToLearner::decode(&packet(kind, &vec![0; enough]), DATA_MAX).unwrap().is_some());
    }
    for kind in [2, 8] {
        let null = [&head(kind, -1)[..], &(-1_i32).to_be_bytes()].concat();
        assert_eq!(ToLearner::decode(&null, DATA_MAX), Err(DecodeError::Null));
    }
}

#[test]
fn epochs_are_not_negative() {
    let mut info = Vec::new();
    let learner = LearnerInfo::new(ServerId(1), 0);
    ToLeader::Info { observer: false, accepted_epoch: 0x7fff_ffff, learner }.encode(&mut info);
    assert!(ToLeader::decode(&info, DATA_MAX).unwrap().is_some());
    info[4] = 0x80;
    assert!(matches!(ToLeader::decode(&info, DATA_MAX), Err(DecodeError::BadValue(_))));
    let ack = |epoch: i32| [&head(18, 4)[..], &epoch.to_be_bytes(), &[0xff; 4]].concat();
    assert_eq!(ToLeader::decode(&ack(-2), DATA_MAX), Err(DecodeError::BadValue(-2)));
    let none = Ok(Some((ToLeader::AckEpoch { last_zxid: Zxid(0), current_epoch: None }, 24)));
    assert_eq!(ToLeader::decode(&ack(-1), DATA_MAX), none);
}

#[test]
fn old_learners_are_told_apart() {
    let current = LearnerInfo::new(ServerId(3), 7);
    assert_eq!(current.current(), Some((ServerId(3), 7)));
    assert_eq!(LearnerInfo { config_version: None, ..current }.current(), Some((ServerId(3), 0)));
    assert_eq!(LearnerInfo { protocol_version: Some(0xffff), ..current }.current(), None);
    assert_eq!(LearnerInfo { protocol_version: None, config_version: None, ..current }.current(), None);
    assert_eq!(LearnerInfo { server: None, protocol_version: None, config_version: None }.current(), None);
}
