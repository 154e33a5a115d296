//! Every rule of operations.md sections 1 and 2 that concerns a standalone server, by example: file in, value or
//! message out.
#![allow(clippy::unwrap_used, reason = "tests")]

use ostler_node::{DigestAlgorithm, RequestThrottle};
use ostler_server::config::{Compression, Config, ConfigError, Inputs, Loaded, Origin, Throttle};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

static FILES: AtomicU32 = AtomicU32::new(0);

struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn file(text: &str) -> TempFile {
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("ostler-config-{}-{number}.cfg", std::process::id()));
    std::fs::write(&path, text).unwrap();
    TempFile(path)
}

fn load_with(text: &str, edit: impl FnOnce(&mut Inputs)) -> Result<Loaded, ConfigError> {
    let file = file(text);
    let mut inputs = Inputs { file: Some(file.0.clone()), ..Inputs::default() };
    edit(&mut inputs);
    Config::load(&inputs)
}

fn load(text: &str) -> Result<Loaded, ConfigError> {
    load_with(&format!("dataDir=/data\nclientPort=2181\n{text}"), |_| ())
}

fn good(text: &str) -> Config {
    load(text).unwrap_or_else(|error| panic!("{text:?}: {error}")).config
}

fn warnings(text: &str) -> Vec<String> {
    let notices = load(text).unwrap().notices;
    notices.into_iter().filter(|n| n.warning).map(|n| format!("{}; hint: {}", n.what, n.hint)).collect()
}

fn property(name: &str, value: &str) -> (String, String, &'static str) {
    (name.to_owned(), value.to_owned(), "argument")
}

#[test]
fn defaults_of_a_minimal_file_are_apaches() {
    let config = good("");
    assert_eq!(config.data_dir, PathBuf::from("/data"));
    assert_eq!(config.data_log_dir, PathBuf::from("/data"));
    let listen = config.listen.unwrap();
    assert_eq!((listen.host, listen.port, listen.backlog), (None, 2181, -1));
    assert_eq!(config.tick_time_ms, 3000);
    assert_eq!((config.min_session_timeout_ms, config.max_session_timeout_ms), (6000, 60_000));
    assert_eq!((config.max_client_cnxns, config.max_cnxns), (60, 0));
    assert_eq!(config.sessionless_timeout_ms, 10_000);
    assert_eq!((config.frame_bytes_max, config.record_bytes_max), (0xf_ffff, 2 * 0xf_ffff));
    assert_eq!(config.global_outstanding_limit, 1000);
    assert!(!config.extended_types && !config.enforce_quota && !config.skip_acl && !config.reconfig_enabled);
    assert!(config.auth.digest && config.auth.super_digest.is_none() && config.auth.enforced_schemes.is_none());
    assert_eq!(config.auth.digest_algorithm, DigestAlgorithm::Sha1);
    assert!(!config.words.all && config.words.words.is_empty());
    assert_eq!(config.log.prealloc_bytes, 65_536 * 1024);
    assert_eq!(config.log.snap_count, 100_000);
    assert_eq!(config.log.snap_size_limit_bytes, 4 << 30);
    assert_eq!(config.log.size_limit_bytes, 0);
    assert!(config.log.force_sync && config.log.close_session_paths);
    let batching = config.log.batching;
    assert_eq!((config.log.slow_sync_ms, batching.records_max), (1000, 1000));
    assert!(batching.flush_delay.is_zero() && batching.poll_time.is_zero());
    assert_eq!(config.snapshot.compression, Compression::Plain);
    assert!(config.snapshot.create_dirs && config.snapshot.create_db && config.snapshot.digest);
    assert!(config.snapshot.last_zxid_section && !config.snapshot.trust_empty && !config.snapshot.accept_gap);
    assert_eq!(config.containers.interval_ms, 60_000);
    assert_eq!((config.containers.per_minute_max, config.containers.never_used_ms), (10_000, 0));
    assert_eq!((config.purge.retain, config.purge.interval_hours), (3, 0));
}

#[test]
fn without_a_file_there_is_an_embedded_default() {
    let Loaded { config, notices } = Config::load(&Inputs::default()).unwrap();
    assert_eq!(config.origin, Origin::Embedded);
    assert_eq!(config.data_dir, PathBuf::from("./ostler-data"));
    assert_eq!(config.listen.unwrap().port, 2181);
    assert!(config.extended_types);
    assert_eq!(config.tick_time_ms, 2000);
    assert_eq!(notices, []);
}

#[test]
fn the_form_with_port_and_directory() {
    let arguments = |list: &[&str]| Inputs {
        arguments: Some(list.iter().map(|text| (*text).to_owned()).collect()),
        ..Inputs::default()
    };
    let config = Config::load(&arguments(&["2182", "/d"])).unwrap().config;
    assert_eq!((config.max_client_cnxns, config.tick_time_ms), (0, 3000));
    let config = Config::load(&arguments(&["2182", "/d", "2500", "7"])).unwrap().config;
    assert_eq!((config.max_client_cnxns, config.tick_time_ms), (7, 2500));
    assert!(!config.extended_types);
    for bad in [&["abc", "/d"][..], &["2182", "/d", "x"], &["2182"], &["1", "/d", "1", "1", "1"]] {
        let error = Config::load(&arguments(bad)).unwrap_err();
        assert_eq!(error.exit_code, 2);
        assert!(error.to_string().contains("Usage: ZooKeeperServerMain configfile | port datadir"), "{error}");
    }
}

#[test]
fn every_setting_that_is_read() {
    let config = good(
        "dataLogDir = /log\nclientPortAddress:127.0.0.1\nclientPortListenBacklog 100\ntickTime=2000\n\
         maxClientCnxns=0\nminSessionTimeout=1000\nmaxSessionTimeout=90000\nmaxCnxns=500\nsnapCount=1\n\
         preAllocSize=0x40\nsnapSizeLimitInKb=0\ntxnLogSizeLimitInKb=1024\nforceSync=no\n\
         fsync.warningthresholdms=20\nmaxBatchSize=0\nflushDelay=31\ndatadir.autocreate=false\ndb.autocreate=FALSE\n\
         snapshot.trust.empty=True\nsnapshot.compression.method=gz\ndigest.enabled=false\n\
         closeSessionTxn.enabled=false\nserializeLastProcessedZxid.enabled=false\nextendedTypesEnabled=true\n\
         globalOutstandingLimit=7\n4lw.commands.whitelist=stat, ruok ,mntr\nenforceQuota=true\nskipACL=yes\n\
         clientTcpKeepAlive=true\nnio.sessionlessCnxnTimeout=3000\njute.maxbuffer=4096\n\
         jute.maxbuffer.extrasize=10\nDigestAuthenticationProvider.enabled=false\n\
         DigestAuthenticationProvider.superDigest=super:x=\nDigestAuthenticationProvider.digestAlg=sha-256\n\
         enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip\nensembleAuthName=a,b\n\
         authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider\nreconfigEnabled=TRUE\n\
         znode.container.checkIntervalMs=500\nznode.container.maxPerMinute=9\n\
         znode.container.maxNeverUsedIntervalMs=8\nreadonlymode.enabled=true\nautopurge.snapRetainCount=5\n\
         autopurge.purgeInterval=24\n",
    );
    assert_eq!(config.data_log_dir, PathBuf::from("/log"));
    let listen = config.listen.unwrap();
    assert_eq!((listen.host.as_deref(), listen.backlog), (Some("127.0.0.1"), 100));
    assert_eq!((config.max_client_cnxns, config.max_cnxns), (0, 500));
    assert_eq!((config.min_session_timeout_ms, config.max_session_timeout_ms), (1000, 90_000));
    assert_eq!((config.log.snap_count, config.log.prealloc_bytes), (2, 64 * 1024));
    assert_eq!((config.log.snap_size_limit_bytes, config.log.size_limit_bytes), (0, 1 << 20));
    assert!(!config.log.force_sync && !config.log.close_session_paths);
    assert_eq!((config.log.slow_sync_ms, config.log.batching.records_max), (20, 0));
    let batching = config.log.batching;
    assert_eq!((batching.flush_delay.as_millis(), batching.poll_time.as_millis()), (31, 10), "a third of the delay");
    assert!(!config.snapshot.create_dirs && !config.snapshot.create_db && config.snapshot.trust_empty);
    assert!(!config.snapshot.digest && !config.snapshot.last_zxid_section);
    assert_eq!(config.snapshot.compression, Compression::Gzip);
    assert!(config.extended_types && config.enforce_quota && config.skip_acl);
    assert!(config.tcp_keep_alive && config.reconfig_enabled && config.read_only_mode);
    assert_eq!(config.global_outstanding_limit, 7);
    assert_eq!(config.words.words, ["stat", "ruok", "mntr"]);
    assert_eq!(config.sessionless_timeout_ms, 3000);
    assert_eq!((config.frame_bytes_max, config.record_bytes_max), (4096, 4096 + 1024));
    assert!(!config.auth.digest);
    assert_eq!(config.auth.super_digest.as_deref(), Some("super:x="));
    assert_eq!(config.auth.digest_algorithm, DigestAlgorithm::Sha256);
    assert_eq!(config.auth.enforced_schemes.unwrap(), ["digest", "ip"]);
    assert_eq!(config.auth.ensemble_names.unwrap(), ["a", "b"]);
    assert_eq!(config.containers.interval_ms, 500);
    assert_eq!((config.containers.per_minute_max, config.containers.never_used_ms), (9, 8));
    assert_eq!((config.purge.retain, config.purge.interval_hours), (5, 24));
}

#[test]
fn apaches_sample_file_loads_without_a_warning() {
    let text = "# The number of milliseconds of each tick\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n\
                dataDir=/tmp/zookeeper\nclientPort=2181\n#maxClientCnxns=60\n#autopurge.snapRetainCount=3\n";
    let Loaded { config, notices } = load_with(text, |_| ()).unwrap();
    assert_eq!(config.tick_time_ms, 2000);
    assert_eq!(notices, []);
}

#[test]
fn layers_override_in_order() {
    let text = "dataDir=/file\nclientPort=1\nsnapCount=30\n";
    let all = |inputs: &mut Inputs| {
        inputs.properties = vec![property("zookeeper.snapCount", "20"), property("zookeeper.maxCnxns", "5")];
        inputs.overrides = vec![("dataDir".into(), "/flag".into(), "--data-dir")];
    };
    let config = load_with(text, all).unwrap().config;
    assert_eq!((config.log.snap_count, config.max_cnxns), (30, 5));
    assert_eq!(config.data_dir, PathBuf::from("/flag"));
    let flag = |inputs: &mut Inputs| inputs.overrides = vec![("snapCount".into(), "40".into(), "--set")];
    assert_eq!(load_with(text, flag).unwrap().config.log.snap_count, 40);
    let zero = |inputs: &mut Inputs| inputs.overrides = vec![("clientPort".into(), "0".into(), "--port")];
    assert_eq!(load_with(text, zero).unwrap().config.listen.unwrap().port, 0);
}

#[test]
fn system_properties() {
    let with = |name: &str, value: &str| {
        let property = property(name, value);
        load_with("dataDir=/d\nclientPort=1\n", |inputs| inputs.properties = vec![property]).unwrap()
    };
    assert_eq!(with("jute.maxbuffer", "#100").config.frame_bytes_max, 256);
    assert_eq!(with("zookeeper.fsync.warningthresholdms", "7").config.log.slow_sync_ms, 7);
    assert_eq!(with("fsync.warningthresholdms", "8").config.log.slow_sync_ms, 8);
    assert!(with("readonlymode.enabled", "true").config.read_only_mode);
    // Garbage means the default, and is reported.
    let loaded = with("zookeeper.snapCount", "many");
    assert_eq!(loaded.config.log.snap_count, 100_000);
    assert!(loaded.notices[0].what.contains("\"many\" is not a number"), "{:?}", loaded.notices);
    // What Apache does not read from a property is not read here either, and reported.
    let loaded = with("zookeeper.tickTime", "5");
    assert_eq!(loaded.config.tick_time_ms, 3000);
    assert!(loaded.notices[0].warning && loaded.notices[0].what.contains("-Dzookeeper.tickTime"));
    let loaded = with("snapCount", "5");
    assert_eq!(loaded.config.log.snap_count, 100_000);
    assert!(loaded.notices[0].hint.contains("-Dzookeeper.snapCount=5"));
    // The machine's own flags are nobody's business.
    assert!(with("java.net.preferIPv4Stack", "true").notices.iter().all(|notice| !notice.warning));
}

#[test]
fn invalid_files_are_refused_in_apaches_words_with_the_place_and_a_hint() {
    for (text, message) in [
        ("tickTime=abc", "For input string: \"abc\""),
        ("tickTime=0x10", "For input string: \"0x10\""),
        ("maxClientCnxns=", "For input string: \"\""),
        ("tickTime=0", "tickTime is not set"),
        ("minSessionTimeout=9\nmaxSessionTimeout=8", "minSessionTimeout must not be larger than maxSessionTimeout"),
        ("electionAlg=0", "Invalid electionAlg value. Only 3 is supported."),
        ("peerType=voter", "Unrecognised peertype: voter"),
        ("standaloneEnabled=yes", "Invalid option yes for standaloneEnabled. Choose 'true' or 'false.'"),
        ("reconfigEnabled=1", "Invalid option 1 for reconfigEnabled. Choose 'true' or 'false.'"),
        ("metricsProvider.className=x.Y", "metrics provider class was not found"),
        ("clientPort=70000", "port out of range:70000"),
        ("secureClientPortAddress=h", "secureClientPortAddress is set but secureClientPort is not set"),
        ("secureClientPort=2281", "does not have TLS yet"),
        ("standaloneEnabled=false", "standaloneEnabled = false then number of participants should be >0"),
        ("server.1=h:1:2:observer", "Observers w/o participants is an invalid configuration"),
        ("server.1=h:1:2\nserver.2=h:3:4:observer", "Observers w/o quorum is an invalid configuration"),
        ("server.x=h:1:2", "For input string: \"x\""),
        ("server.1=h:1:2\nserver.2=h:3:4\nserver.3=h:5:6", "myid file is missing"),
        ("server.1=h:1:2\nstandaloneEnabled=false", "myid file is missing"),
        ("server.1=h:1:2\nserver.2=h:3:4\ngroup.1=1\ngroup.2=1:2", "Server 1is in multiple groups"),
        ("server.1=h:1:2\nserver.2=h:3:4\ngroup.1=1", "Server 2is not in a group"),
        ("server.1=h:1:2;2999", "client address for this server (id = 1) in static config file is 2181"),
        ("dynamicConfigFile=/no/such/zoo.cfg.dynamic", "/no/such/zoo.cfg.dynamic file is missing"),
        ("enforce.auth.enabled=true", "enforce.auth.schemes is not configured"),
        ("x=\\u12", "malformed \\uxxxx escape"),
    ] {
        let error = load(text).expect_err(text);
        assert!(error.what.contains(message), "{text:?}: {error}");
        assert_eq!(error.exit_code, 2, "{text:?}");
        assert!(!error.hint.is_empty() && !error.place.is_empty(), "{text:?}");
    }
    let error = load("tickTime=abc").unwrap_err();
    assert!(error.place.ends_with(".cfg:3: tickTime"), "{}", error.place);
}

#[test]
fn settings_that_apache_dies_of_with_exit_code_1() {
    for (text, message) in [
        ("intBufferStartingSizeBytes=31", "must be at least 32"),
        ("DigestAuthenticationProvider.digestAlg=ROT13", "ROT13 MessageDigest not available"),
        ("DigestAuthenticationProvider.digestAlg=MD2", "MD2 MessageDigest not available"),
    ] {
        let error = load(text).expect_err(text);
        assert!(error.what.contains(message), "{error}");
        assert_eq!(error.exit_code, 1);
    }
}

#[test]
fn missing_pieces() {
    let missing = Config::load(&Inputs { file: Some("/nonexistent/zoo.cfg".into()), ..Inputs::default() }).unwrap_err();
    assert_eq!(missing.what, "/nonexistent/zoo.cfg file is missing");
    assert_eq!(load_with("clientPort=1", |_| ()).unwrap_err().what, "dataDir is not set");
    let no_port = load_with("dataDir=/d\nclientPortAddress=h", |_| ()).unwrap_err();
    assert_eq!(no_port.what, "clientPortAddress is set but clientPort is not set");
    let silent = load_with("dataDir=/d", |_| ()).unwrap();
    assert_eq!(silent.config.listen, None);
    assert!(silent.notices[0].what.contains("clientPort is not set"));
}

#[test]
fn one_server_line_is_standalone() {
    let found = warnings("server.1=h:2888:3888");
    assert!(found[0].contains("Invalid configuration, only one server specified (ignoring)"), "{found:?}");
    let Loaded { config, .. } = load_with("dataDir=/d\nserver.1=h:1:2;127.0.0.1:2199\n", |_| ()).unwrap();
    let listen = config.listen.unwrap();
    assert_eq!((listen.host.as_deref(), listen.port), (Some("127.0.0.1"), 2199));
}

#[test]
fn unknown_and_foreign_keys_are_reported() {
    let found = warnings("tickTme=2000");
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with(":3: unknown key tickTme; hint: did you mean tickTime?"), "{found:?}");
    // All that concerns Apache's implementation: one line.
    let found = warnings(
        "maxResponseCacheSize=1\njvm.pause.monitor=true\npathStats.enabled=true\nrequest_throttle_stall_time=5",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    for name in ["maxResponseCacheSize", "jvm.pause.monitor", "pathStats.enabled", "request_throttle_stall_time"] {
        assert!(found[0].contains(name), "{found:?}");
    }
    // Without a counterpart, and harmless: nothing at all.
    assert_eq!(warnings("nio.numWorkerThreads=4\ncommitProcessor.numWorkerThreads=4\ninitLimit=5"), [""; 0]);
    // Of no use to a standalone server, with Apache neither.
    assert_eq!(warnings("localSessionsEnabled=true\nenableEagerACLCheck=true\nleaderServes=no"), [""; 0]);
    // Features that are not there yet: one line each, none if switched off.
    let found = warnings("ssl.keyStore.location=/k\nssl.trustStore.location=/t\nadmin.serverPort=1");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|line| line.contains("does not have TLS") && line.contains("ssl.trustStore.location")));
    assert_eq!(warnings("admin.enableServer=false\naudit.enable=false\nlocalSessionsEnabled=false"), [""; 0]);
    for (text, feature) in [
        ("superUser=x\nkerberos.removeHostFromPrincipal=true\njava.security.auth.login.config=/j", "SASL"),
        ("admin.serverPort=1\nadmin.commandURL=/c", "the admin server"),
        ("metricsProvider.httpPort=7000\nmetricsProvider.httpHost=h", "the Prometheus endpoint"),
    ] {
        let found = warnings(text);
        assert!(found.len() == 1 && found[0].contains(&format!("does not have {feature} yet")), "{found:?}");
        assert!(text.lines().all(|line| found[0].contains(line.split('=').next().unwrap())), "{found:?}");
    }
    assert_eq!(warnings("serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"), [""; 0]);
    // Names that only the documentation knows.
    let found = warnings("requestThrottleLimit=10");
    assert!(found[0].contains("requestThrottleLimit is read as request_throttle_max_requests"), "{found:?}");
    // Relative paths.
    let found = load_with("dataDir=data\nclientPort=1", |_| ()).unwrap().notices;
    assert_eq!(found[0].what, "data is relative. Prepend ./ to indicate that you're sure!");
    // Fewer than three snapshots.
    assert!(warnings("autopurge.snapRetainCount=1")[0].contains("Defaulting to 3"));
}

#[test]
fn authentication_providers_by_class_name() {
    let config = good("authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider");
    assert_eq!(config.auth.ensemble_names, Some(vec![]));
    // Names alone register nothing (tried on Apache 3.9.3: -115).
    assert_eq!(good("ensembleAuthName=a").auth.ensemble_names, None);
    assert!(warnings("ensembleAuthName=a")[0].contains("no provider of the scheme is registered"));
    let found = warnings("authProvider.x=org.apache.zookeeper.server.auth.SASLAuthenticationProvider");
    assert!(found[0].contains("is not there yet"), "{found:?}");
    let found = warnings("authProvider.x=com.example.Mine");
    assert!(found[0].contains("unknown class com.example.Mine"), "{found:?}");
    let config = good("sessionRequireClientSASLAuth=true");
    assert_eq!(config.auth.enforced_schemes.unwrap(), ["sasl"]);
}

#[test]
fn throttles() {
    assert_eq!(good("").throttle, Throttle::default());
    assert_eq!(good("").stop_ms, 10_000);
    let config = good(
        "request_throttle_max_requests=500\nrequest_throttle_drop_stale=false\nrequest_stale_latency_check=true\n\
         throttled_op_wait_time=2000\nrequest_throttler.shutdownTimeout=7000\nconnection_throttle_tokens=100\n\
         connection_throttle_fill_time=0\nconnection_throttle_fill_count=2\nconnection_throttle_freeze_time=30\n\
         connection_throttle_drop_increase=0.5\nconnection_throttle_drop_decrease=1e-9\n\
         connection_throttle_decrease_ratio=1\nconnection_throttle_weight_enabled=true\n\
         connection_throttle_global_session_weight=7\nconnection_throttle_renew_session_weight=5\n\
         connection_throttle_local_session_weight=4\nlargeRequestThreshold=4096\nlargeRequestMaxBytes=8192\n",
    );
    let Throttle { requests, connections, large } = config.throttle;
    let expected =
        RequestThrottle { requests_max: 500, drop_stale: false, stale_latency_check: true, wait_ms_max: 2_000 };
    assert_eq!(requests, expected);
    assert_eq!((connections.tokens_max, connections.fill_time_ms, connections.fill_count), (100, 1, 2));
    assert_eq!(connections.freeze_time_ms, Some(30));
    let chances = (connections.drop_increase, connections.drop_decrease, connections.decrease_ratio);
    assert_eq!(chances, (500_000_000, 1, 1_000_000_000));
    assert_eq!((connections.weights.new_session, connections.weights.renewal), (7, 5));
    assert_eq!((large.above_bytes, large.total_bytes_max), (Some(4096), 8192));
    assert_eq!(config.stop_ms, 7_000);
    // Weights count only when they are switched on; what makes no sense is corrected as by Apache, and told.
    let weights = good("connection_throttle_global_session_weight=7").throttle.connections.weights;
    assert_eq!((weights.new_session, weights.renewal), (1, 1));
    let text = "connection_throttle_weight_enabled=true\nconnection_throttle_global_session_weight=0\n\
                connection_throttle_local_session_weight=9\nconnection_throttle_drop_increase=2\n\
                largeRequestThreshold=0\nlargeRequestMaxBytes=-1";
    let Throttle { connections, large, .. } = good(text).throttle;
    assert_eq!((connections.weights.new_session, connections.weights.renewal), (9, 9));
    assert_eq!(connections.drop_increase, 20_000_000);
    assert_eq!((large.above_bytes, large.total_bytes_max), (None, 100 << 20));
    let found = warnings(text);
    for part in [
        "connection_throttle_global_session_weight: 0 is no weight, 9 is used",
        "\"2\" is no number between 0 and 1",
        "largeRequestThreshold: 0 is no threshold",
        "largeRequestMaxBytes: -1 is no limit",
    ] {
        assert!(found.iter().any(|line| line.contains(part)), "{part} in {found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn the_audit_log() {
    assert!(!good("").audit && !good("audit.enable=false\naudit.impl.class=com.example.Mine").audit);
    assert!(good("audit.enable=true").audit);
    assert!(good("audit.enable=true\naudit.impl.class=org.apache.zookeeper.audit.Slf4jAuditLogger").audit);
    let error = load("audit.enable=true\naudit.impl.class=com.example.Mine").unwrap_err();
    assert!(error.what.contains("com.example.Mine") && error.exit_code == 2, "{error}");
}

#[test]
fn group_commit_settings() {
    let batching = good("flushDelay=20\nmaxWriteQueuePollTime=0x5\nmaxBatchSize=50").log.batching;
    assert_eq!((batching.flush_delay.as_millis(), batching.poll_time.as_millis()), (20, 5));
    assert_eq!(batching.records_max, 50);
    let batching = good("flushDelay=-1\nmaxWriteQueuePollTime=-1\nmaxBatchSize=-1").log.batching;
    assert!(batching.flush_delay.is_zero() && batching.poll_time.is_zero() && batching.records_max == 0);
}

#[test]
fn last_of_duplicate_keys_wins() {
    assert_eq!(good("tickTime=1000\ntickTime=1500").tick_time_ms, 1500);
}

#[test]
fn the_member_of_an_ensemble_is_known_by_its_myid() {
    let dir = std::env::temp_dir().join(format!("ostler-myid-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let load = |myid: &str, more: &str| {
        std::fs::write(dir.join("myid"), myid).unwrap();
        let text = format!(
            "dataDir={}\nserver.1=a:2888:3888;2182\nserver.2=b:2888:3888\nserver.3=c:2888:3888:observer\n{more}",
            dir.display()
        );
        load_with(&text, |_| ()).map(|loaded| loaded.config)
    };
    let limits = "initLimit=10\nsyncLimit=5\nconnectToLearnerMasterLimit=3\ncnxTimeout=1000\n";
    let config = load("1\n", limits).unwrap();
    let ensemble = config.ensemble.unwrap();
    assert_eq!((ensemble.me.0, ensemble.init_limit, ensemble.sync_limit, ensemble.connect_limit), (1, 10, 5, 3));
    assert_eq!((ensemble.connect_timeout_ms, ensemble.commit_log_count), (1_000, 500));
    assert_eq!((ensemble.members.voters().count(), ensemble.members.observers().count()), (2, 1));
    assert_eq!(config.listen.unwrap().port, 2182, "the client part of its own line");
    for (myid, more, expected) in [
        ("4", limits, "My id 4 not in the peer list"),
        ("one", limits, "serverid one is not a number"),
        ("2", "syncLimit=5\n", "initLimit is not set"),
        ("2", "initLimit=5\n", "syncLimit is not set"),
    ] {
        let error = load(myid, more).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("hint: "), "{error}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The lines as Apache 3.9 writes them: sorted, without a line break at the end, the version in the name.
#[test]
fn the_servers_of_a_dynamic_file() {
    let dir = std::env::temp_dir().join(format!("ostler-dynamic-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("myid"), "2").unwrap();
    let servers = "server.1=h1:1:2:participant;0.0.0.0:2181\nserver.2=h2:3:4:participant;127.0.0.1:2182\n\
                   server.3=h3:5:6:observer;0.0.0.0:2183\nserver.4=h4:7:8:participant;0.0.0.0:2184";
    let load = |name: &str, text: &str, more: &str| {
        let dynamic = dir.join(name);
        std::fs::write(&dynamic, text).unwrap();
        load_with(
            &format!(
                "dataDir={}\ninitLimit=10\nsyncLimit=5\ndynamicConfigFile={}\n{more}",
                dir.display(),
                dynamic.display()
            ),
            |_| (),
        )
    };
    for (name, version) in [("zoo.cfg.dynamic.10000000a", 0x1_0000_000a), ("zoo.cfg.dynamic", 0), ("servers", 0)] {
        let loaded = load(name, servers, "").unwrap();
        let ensemble = loaded.config.ensemble.unwrap();
        assert_eq!((ensemble.me.0, ensemble.members.version()), (2, version), "{name}");
        assert_eq!(ensemble.members.file_text(false), servers);
        let listen = loaded.config.listen.unwrap();
        assert_eq!((listen.host.as_deref(), listen.port), (Some("127.0.0.1"), 2182), "the client part of its own line");
        assert_eq!(ensemble.dynamic, None, "without reconfigEnabled nothing changes");
    }
    for (more, standalone_enabled) in [("", true), ("\nstandaloneEnabled=false", false)] {
        let loaded = load("zoo.cfg.dynamic.1", servers, &format!("reconfigEnabled=true{more}")).unwrap();
        let dynamic = loaded.config.ensemble.unwrap().dynamic.unwrap();
        assert!(!dynamic.is_static && dynamic.standalone_enabled == standalone_enabled);
        assert_eq!(dynamic.config.extension().unwrap(), "cfg", "{}", dynamic.config.display());
    }
    let alone = "server.2=h2:3:4;2182";
    assert!(load("zoo.cfg.dynamic.1", alone, "").unwrap().config.ensemble.is_none());
    let members = load("zoo.cfg.dynamic.1", alone, "standaloneEnabled=false").unwrap().config.ensemble.unwrap().members;
    assert_eq!(members.members().len(), 1);
    for (text, more, message) in [
        ("server.1=h1:1:2\nserver.2=h2:3:4\nversion=5", "", "dynamic file shouldn't have version inside"),
        ("server.1=h1:1:2\nserver.2=h2:3:4\ntickTime=5", "", "tickTime"),
        ("server.1=h1:1:2\nserver.2=h2:3", "", "does not have the form"),
        ("server.2=h1:1:2:observer", "", "Observers w/o participants is an invalid configuration"),
        (servers, "server.2=h2:3:4", "parameter: server.2 must be in a separate dynamic config file"),
        (servers, "group.1=1:2:4", "parameter: group.1 must be in a separate dynamic config file"),
        (servers, "clientPort=2999", "client address found in dynamic file: 2182"),
    ] {
        let error = load("zoo.cfg.dynamic.1", text, more).expect_err(text);
        assert!(error.what.contains(message), "{text:?} {more:?}: {error}");
        assert!(error.exit_code == 2 && !error.hint.is_empty() && !error.place.is_empty(), "{error}");
    }
    // As after its removal; with Apache's exit code.
    let error = load("zoo.cfg.dynamic.1", "server.1=h1:1:2\nserver.3=h2:3:4", "").unwrap_err();
    assert!(error.what == "My id 2 not in the peer list" && error.exit_code == 1, "{error}");
    assert!(error.hint.contains("took this server out"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Changes of the ensemble are written into zoo.cfg: what a flag says would come back at the next start.
#[test]
fn an_ensemble_that_may_change_stands_in_a_file() {
    let dir = std::env::temp_dir().join(format!("ostler-changing-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("myid"), "1").unwrap();
    let data = dir.display().to_string();
    let limits = format!("dataDir={data}\ninitLimit=10\nsyncLimit=5\nreconfigEnabled=true\n");
    let servers = "server.1=a:1:2;3\nserver.2=b:1:2\n";
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned(), "--set");
    let config = load_with(&format!("{limits}{servers}"), |_| ()).unwrap().config;
    assert!(config.ensemble.unwrap().dynamic.unwrap().is_static && !config.listen.unwrap().is_fixed);
    let port = |inputs: &mut Inputs| inputs.overrides = vec![flag("clientPort", "4")];
    let config = load_with(&format!("{limits}{servers}"), port).unwrap().config;
    assert!(config.listen.unwrap().is_fixed, "a flag stays what it is");
    // (The embedded default.)
    let everything = |inputs: &mut Inputs| {
        let lines = [("server.1", "a:1:2;3"), ("server.2", "b:1:2"), ("initLimit", "10"), ("syncLimit", "5")];
        inputs.overrides = lines.iter().map(|(key, value)| flag(key, value)).collect();
        inputs.overrides.extend([flag("dataDir", &data), flag("reconfigEnabled", "true")]);
        inputs.file = None;
    };
    let server = |inputs: &mut Inputs| inputs.overrides = vec![flag("server.3", "c:1:2")];
    let pointer = dir.join("zoo.cfg.dynamic.5");
    std::fs::write(&pointer, servers).unwrap();
    let dynamic = |inputs: &mut Inputs| inputs.overrides = vec![flag("dynamicConfigFile", pointer.to_str().unwrap())];
    for (error, place, what) in [
        (load_with("", everything), "--set: reconfigEnabled", "there is no configuration file"),
        (load_with(&format!("{limits}{servers}"), server), "--set: server.3", "the servers stand in"),
        (load_with(&limits, dynamic), "--set: dynamicConfigFile", "the servers stand in"),
    ] {
        let error = error.unwrap_err();
        assert!(
            error.place == place && error.what.contains(what) && error.hint.contains("reconfigEnabled=false"),
            "{error}"
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
