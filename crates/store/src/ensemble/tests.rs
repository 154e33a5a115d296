//! Against what Apache wrote (testdata/dynamic-config), and against a power that goes at every call.

use super::rewrite::rewritten;
use super::*;
use crate::RealDisk;
use crate::faulty::{Fault, FaultyDisk, Stop};
use ostler_model::properties::parse;
use ostler_model::{ClientAddress, Endpoint};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const OLD: &str = "server.1=h1:1:2:participant;0.0.0.0:3\nserver.2=h2:1:2:participant;0.0.0.0:3\nversion=100000000";
const NEW: &str = "server.1=h1:1:2:participant;0.0.0.0:3\nserver.10=h3:1:2:observer;0.0.0.0:3\nversion=100000007";
const STATIC: &str = "# mine\ntickTime=2000\nclientPort=3\nserver.1=h1:1:2;3\nserver.2=h2:1:2;3\n";

fn golden(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/dynamic-config/");
    std::fs::read(format!("{path}{name}")).unwrap()
}

#[test]
fn the_bytes_that_apache_wrote() {
    for (case, names_client) in [("few", false), ("many", true)] {
        let after = String::from_utf8(golden(&format!("{case}.after"))).unwrap();
        let pointer = "/tmp/zoo-golden/zoo.cfg.dynamic.100000000";
        let new = rewritten(&golden(&format!("{case}.before")), pointer, names_client).unwrap();
        assert_eq!(new, after, "{case}");
        // The keys stand in another order now, and make the same table.
        let entries: BTreeMap<_, _> = parse(new.as_bytes()).unwrap().into_iter().map(|e| (e.key, e.value)).collect();
        assert_eq!(entries["dynamicConfigFile"], pointer);
        let before = parse(&golden(&format!("{case}.before"))).unwrap();
        let line = before.iter().find(|entry| entry.key == "server.1").unwrap();
        let member = ostler_model::Member::parse(ServerId(1), &line.value).unwrap();
        let ensemble = Ensemble::new(vec![member], 1 << 32).unwrap();
        assert_eq!(ensemble.file_text(false).as_bytes(), golden(&format!("{case}.dynamic")));
    }
}

proptest! {
    #[test]
    fn no_setting_is_lost_whatever_it_holds(
        settings in proptest::collection::btree_map("[!-~é中\u{1f600}]([ -~\t\n\\\\é]{0,6}[!-~])?", "([!-~\\\\]([ -~\t\n\r\\\\é中]{0,9}[!-~])?)?", 0..60)
    ) {
        // A pointer names a file, and these prefixes are the ensemble's.
        let own = |key: &str| ["server.", "group", "weight", "dynamicConfigFile", "peerType"].iter().any(|p| key.starts_with(p));
        let settings: BTreeMap<String, String> = settings.into_iter().filter(|(key, _)| !own(key)).collect();
        let mut text = String::new();
        for (key, value) in &settings {
            let escape = |text: &str| -> String { text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect() };
            text.push_str(&format!("{}={}\n", escape(key), escape(value)));
        }
        let mut bytes = text.into_bytes();
        for round in 0..3 {
            let pointer = format!("/conf é/zoo.cfg.dynamic.{round}");
            bytes = rewritten(&bytes, &pointer, false).unwrap().into_bytes();
            let mut read: BTreeMap<_, _> = parse(&bytes).unwrap().into_iter().map(|e| (e.key, e.value)).collect();
            prop_assert_eq!(read.remove("dynamicConfigFile"), Some(pointer));
            prop_assert_eq!(&read, &settings);
        }
    }
}

fn files(disk: &FaultyDisk, in_force: i64) -> EnsembleFiles<FaultyDisk> {
    EnsembleFiles::new(disk.clone(), "/conf".into(), "zoo.cfg".to_owned(), ServerId(1), in_force)
}

/// What a server that starts reads: the configuration that zoo.cfg stands for, and the proposed one.
fn read(disk: &FaultyDisk) -> (Option<Ensemble>, Option<Ensemble>) {
    let config = disk.contents(Path::new("/conf/zoo.cfg")).expect("zoo.cfg is there");
    let pointer = parse(&config).unwrap().into_iter().find(|entry| entry.key == "dynamicConfigFile");
    let committed = pointer.map(|pointer| {
        let text = disk.contents(Path::new(&pointer.value)).expect("zoo.cfg points at a file");
        let version = ostler_model::version_of_file_name(&pointer.value);
        Ensemble::parse_file(&String::from_utf8(text).unwrap(), version).unwrap()
    });
    (committed, files(disk, 0).proposed().unwrap())
}

#[test]
fn a_change_from_its_proposal_to_its_end() {
    let disk = FaultyDisk::new(1);
    disk.put(Path::new("/conf/zoo.cfg"), STATIC.as_bytes());
    let (old, new) = (Ensemble::parse(OLD).unwrap(), Ensemble::parse(NEW).unwrap());
    let mut files = files(&disk, 0);
    files.prepare(true).unwrap();
    assert_eq!(disk.contents(Path::new("/conf/zoo.cfg.bak")).unwrap(), STATIC.as_bytes());
    files.save(&old, false).unwrap();
    assert_eq!(disk.contents(Path::new("/conf/zoo.cfg.dynamic.next")).unwrap(), OLD.as_bytes());
    assert_eq!(read(&disk), (None, Some(old.clone())));
    files.save(&old, true).unwrap();
    assert_eq!(read(&disk), (Some(old.clone()), None));
    let text = "tickTime=2000\ndynamicConfigFile=/conf/zoo.cfg.dynamic.100000000\n";
    assert_eq!(disk.contents(Path::new("/conf/zoo.cfg")).unwrap(), text.as_bytes());
    files.save(&new, false).unwrap();
    assert_eq!(read(&disk), (Some(old.clone()), Some(new.clone())));
    // Cut from the log: only the proposal goes.
    files.save(&old, true).unwrap();
    assert_eq!(read(&disk), (Some(old), None));
    files.save(&new, false).unwrap();
    for _ in 0..2 {
        files.save(&new, true).unwrap();
        assert_eq!(read(&disk), (Some(new.clone()), None));
    }
    assert!(disk.contents(Path::new("/conf/zoo.cfg.dynamic.100000000")).is_some(), "old ones stay");
}

#[test]
fn a_client_port_that_only_zoo_cfg_knows_stays_there() {
    let disk = FaultyDisk::new(1);
    disk.put(Path::new("/conf/zoo.cfg"), STATIC.as_bytes());
    let text = OLD.replace(":participant;0.0.0.0:3", "");
    let mut ensemble = Ensemble::parse(&text).unwrap();
    ensemble.set_static_client(ServerId(1), Endpoint::parse("0.0.0.0:3").unwrap());
    assert!(matches!(ensemble.members()[0].client, Some(ClientAddress { from_static: true, .. })));
    files(&disk, 0).save(&ensemble, true).unwrap();
    let config = String::from_utf8(disk.contents(Path::new("/conf/zoo.cfg")).unwrap()).unwrap();
    assert!(config.contains("clientPort=3\n"), "{config}");
    // A server that is no member any more keeps its port as well.
    files(&disk, 0).save(&Ensemble::parse("server.2=h:1:2;3\nversion=200000001").unwrap(), true).unwrap();
    let config = String::from_utf8(disk.contents(Path::new("/conf/zoo.cfg")).unwrap()).unwrap();
    assert!(config.contains("clientPort=3\n") && config.contains(".dynamic.200000001\n"), "{config}");
}

#[test]
fn whenever_the_power_goes_zoo_cfg_stands_for_the_old_or_the_new() {
    power_goes(&|_| ());
}

#[test]
#[should_panic(expected = "is forgotten")]
fn a_directory_that_is_not_synced_is_noticed() {
    power_goes(&FaultyDisk::ignore_dir_syncs);
}

#[test]
#[should_panic(expected = "zoo.cfg points at a file")]
fn a_dynamic_file_that_is_not_renamed_is_noticed() {
    power_goes(&|disk| disk.forget("rename", "dynamic.100000007"));
}

/// A crash at each call of a whole change, with every kind of loss.
fn power_goes(break_it: &dyn Fn(&FaultyDisk)) {
    let (old, new) = (Ensemble::parse(OLD).unwrap(), Ensemble::parse(NEW).unwrap());
    let mut crashes = 0;
    for stop in [Stop::Kill, Stop::PowerCut, Stop::PowerCutSectors] {
        for seed in 0..20 {
            for nth in 1.. {
                let disk = FaultyDisk::new(seed);
                disk.put(Path::new("/conf/zoo.cfg"), STATIC.as_bytes());
                let mut files_here = files(&disk, 0);
                files_here.save(&old, true).unwrap();
                break_it(&disk);
                disk.fail_at(nth, Fault::Crash);
                let proposed = files_here.save(&new, false).is_ok();
                let committed = proposed && files_here.save(&new, true).is_ok();
                let ended = !disk.is_down();
                disk.restart(stop);
                let (in_force, next) = read(&disk);
                let in_force = in_force.expect("it was dynamic before");
                assert!(in_force == old || in_force == new, "{:?}", disk.trace());
                assert!(next.is_none() || next.as_ref() == Some(&new));
                if proposed {
                    assert!(
                        in_force == new || next == Some(new.clone()),
                        "a proposal that was acknowledged is forgotten"
                    );
                }
                if committed {
                    assert_eq!(in_force, new);
                }
                // And the next start goes on from there.
                let mut again = files(&disk, in_force.version());
                again.prepare(false).unwrap();
                again.save(&new, true).unwrap();
                assert_eq!(read(&disk), (Some(new.clone()), None));
                if ended {
                    break;
                }
                crashes += 1;
            }
        }
    }
    assert!(crashes > 500, "{crashes}");
}

#[test]
fn a_proposal_that_is_in_force_goes_at_the_start() {
    let disk = FaultyDisk::new(1);
    disk.put(Path::new("/conf/zoo.cfg"), b"dynamicConfigFile=/conf/zoo.cfg.dynamic.100000000\n");
    disk.put(Path::new("/conf/zoo.cfg.dynamic.100000000"), b"");
    for (text, stays) in [(OLD, false), (NEW, true)] {
        disk.put(Path::new("/conf/zoo.cfg.dynamic.next"), text.as_bytes());
        files(&disk, 1 << 32).prepare(false).unwrap();
        assert_eq!(disk.contents(Path::new("/conf/zoo.cfg.dynamic.next")).is_some(), stays);
    }
    assert!(disk.contents(Path::new("/conf/zoo.cfg.bak")).is_none());
}

#[test]
fn what_an_operator_reads() {
    let disk = FaultyDisk::new(1);
    let say = |error: StoreError| error.to_string();
    disk.put(Path::new("/conf/other"), b"");
    let missing = say(files(&disk, 0).prepare(true).unwrap_err());
    assert!(missing.contains("/conf/zoo.cfg: the file is missing") && missing.contains("hint: "), "{missing}");
    disk.put(Path::new("/conf/zoo.cfg"), b"a=\\u00\n");
    let escape = say(files(&disk, 0).prepare(true).unwrap_err());
    assert!(escape.contains("/conf/zoo.cfg: malformed \\uxxxx escape in line 1"), "{escape}");
    disk.put(Path::new("/conf/zoo.cfg"), &vec![b'#'; FILE_BYTES_MAX + 1]);
    let long = say(files(&disk, 0).prepare(true).unwrap_err());
    assert!(long.contains("it has more than 1048576 bytes"), "{long}");
    disk.put(Path::new("/conf/zoo.cfg"), b"");
    disk.put(Path::new("/conf/zoo.cfg.dynamic.next"), b"server.1=h\n");
    for text in [say(files(&disk, 0).proposed().unwrap_err()), say(files(&disk, 0).prepare(false).unwrap_err())] {
        assert!(text.contains("/conf/zoo.cfg.dynamic.next: ") && text.contains("hint: "), "{text}");
    }
    for (nth, fault, text) in [(2, Fault::DiskFull, "the disk is full"), (4, Fault::Device, "errors of the disk")] {
        disk.fail_at(nth, fault);
        let error = say(files(&disk, 0).save(&Ensemble::parse(NEW).unwrap(), false).unwrap_err());
        assert!(error.contains("/conf/zoo.cfg.dynamic.next") && error.contains(text), "{error}");
    }
}

#[test]
fn a_secret_zoo_cfg_stays_one() {
    use std::os::unix::fs::PermissionsExt;
    let dir = std::env::temp_dir().join(format!("ostler-config-files-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let config = dir.join("zoo.cfg");
    std::fs::write(&config, STATIC).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut files = EnsembleFiles::new(RealDisk, dir.clone(), "zoo.cfg".to_owned(), ServerId(1), 0);
    files.prepare(true).unwrap();
    files.save(&Ensemble::parse(OLD).unwrap(), true).unwrap();
    for name in ["zoo.cfg", "zoo.cfg.bak", "zoo.cfg.dynamic.100000000"] {
        assert_eq!(std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
