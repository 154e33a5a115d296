//! The ensemble of one server: its first version, and the change that needs a second voter.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use ostler_model::{Ensemble, ServerId, Zxid};
use ostler_zab::{Boot, DiskDone, DiskOp, Effect, Epochs, Event, History, Payload, RoleEnd, Settings, Trace, Zab};

/// Takes the event; the disk answers at once. Returns everything that was wanted.
fn step(zab: &mut Zab, event: Event) -> Vec<Effect> {
    let (mut all, mut events) = (Vec::new(), vec![event]);
    while !events.is_empty() {
        let mut effects = Vec::new();
        zab.step(1_000, events.remove(0), &mut effects);
        for effect in &effects {
            let Effect::Disk { generation, op } = effect else { continue };
            let done = match op {
                DiskOp::Append { zxid, .. } => DiskDone::Synced { zxid: *zxid },
                DiskOp::SaveEpochs(epochs) => DiskDone::EpochsSaved(*epochs),
                DiskOp::Fence => DiskDone::Fenced,
                DiskOp::SaveConfig { .. } => DiskDone::ConfigSaved,
                other => panic!("not here: {other:?}"),
            };
            events.push(Event::Disk { generation: *generation, done });
        }
        all.extend(effects);
    }
    all
}

fn versions(effects: &[Effect]) -> Vec<i64> {
    let activated =
        |effect: &Effect| if let Effect::Activate { ensemble } = effect { Some(ensemble.version()) } else { None };
    effects.iter().filter_map(activated).collect()
}

#[test]
fn the_first_ensemble_gets_a_version_and_the_next_one_needs_its_own_quorum() {
    let ensemble = Ensemble::parse("server.1=a:1:2").unwrap();
    let mut zab = Zab::new(Settings { reconfig_enabled: true, ..Settings::new(ServerId(1)) });
    let history = History { base: Zxid::ZERO, spans: Vec::new(), trusted: true };
    let epochs = Epochs { accepted: 0, current: 0 };
    let boot = Boot { epochs, history, committed: ensemble.clone(), last_seen: ensemble };
    let started = step(&mut zab, Event::Boot(Box::new(boot)));
    assert_eq!(versions(&started), [1 << 32]);
    let first = Zxid::new(1, 1);
    // Two voters: the old quorum, this server alone, is not enough any more.
    let two = Ensemble::parse("server.1=a:1:2\nserver.2=b:1:2").unwrap().with_version(first.0);
    let propose = Event::Propose { zxid: first, payload: Payload::from([1]), reconfig: Some(Box::new(two)) };
    let proposed = step(&mut zab, propose);
    let saved = proposed.iter().position(|it| matches!(it, Effect::Disk { op: DiskOp::SaveConfig { .. }, .. }));
    let appended = proposed.iter().position(|it| matches!(it, Effect::Disk { op: DiskOp::Append { .. }, .. }));
    assert!(saved.unwrap() < appended.unwrap(), "what counts is durable before its record");
    assert_eq!(versions(&proposed), []);
    assert!(
        !proposed.iter().any(|it| matches!(it, Effect::Commit { .. })),
        "INV-24: committed by the old quorum alone"
    );
    let gone = |effect: &Effect| matches!(effect, Effect::Trace(Trace::RoleLeft { why: RoleEnd::Reconfigured, .. }));
    assert!(!proposed.iter().any(gone));
}
