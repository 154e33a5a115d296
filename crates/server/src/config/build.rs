//! From the inputs of the process to a checked [`Config`].

use super::servers::Servers;
use super::values::{Source, Values};
use super::{
    Auth, Compression, Config, ConfigError, Containers, EXIT_FAILURE, EnsembleConfig, Listen, Loaded, Log, Notice,
    Origin, Purge, Snapshot, Whitelist, servers, throttle,
};
use crate::batching::Batching;
use ostler_model::{Member, limits};
use ostler_node::DigestAlgorithm;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What Apache's main prints for a bad standalone invocation.
pub const USAGE: &str = "Usage: ZooKeeperServerMain configfile | port datadir [ticktime] [maxcnxns]";

/// Apache's `DEFAULT_TICK_TIME`, when zoo.cfg has none.
const TICK_TIME_MS: i32 = 3_000;
/// The tick without a zoo.cfg, that of Apache's zoo_sample.cfg.
const EMBEDDED_TICK_TIME_MS: i32 = 2_000;

/// Everything the process was given, read by the caller.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inputs {
    /// A configuration file.
    pub file: Option<PathBuf>,
    /// `PORT DATADIR [TICK] [MAXCNXNS]`, exactly as given.
    pub arguments: Option<Vec<String>>,
    /// `-Dname=value` items, lowest first, with where they stood.
    pub properties: Vec<(String, String, &'static str)>,
    /// Overrides: key, value, and the flag or variable they come from.
    pub overrides: Vec<(String, String, &'static str)>,
    /// `--accept-gap`.
    pub accept_gap: bool,
}

impl Config {
    /// Reads the file (if any), layers everything and checks it.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigError> {
        let mut values = Values::default();
        for (name, value, origin) in &inputs.properties {
            values.property(name, value, origin);
        }
        let origin = match (&inputs.file, &inputs.arguments) {
            (Some(path), _) => {
                read_file(&mut values, path)?;
                Origin::File(path.clone())
            }
            (None, Some(arguments)) => {
                read_arguments(&mut values, arguments)?;
                Origin::Arguments
            }
            (None, None) => {
                for (key, value) in [("clientPort", "2181"), ("dataDir", "./ostler-data")] {
                    values.entry(key, value, Source::Flag("default"));
                }
                values.entry("extendedTypesEnabled", "true", Source::Flag("default"));
                values.entry("tickTime", &EMBEDDED_TICK_TIME_MS.to_string(), Source::Flag("default"));
                Origin::Embedded
            }
        };
        for (key, value, flag) in &inputs.overrides {
            values.entry(key, value, Source::Flag(flag));
        }
        values.summarize();
        let config = build(&mut values, origin, inputs)?;
        Ok(Loaded { config, notices: values.notices })
    }
}

fn read_file(values: &mut Values, path: &Path) -> Result<(), ConfigError> {
    let place = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => format!("{place} file is missing"),
            _ => format!("Error processing {place}: {error}"),
        };
        ConfigError::at(&place, what, "give the path of a zoo.cfg, or run `ostler serve` to start without one")
    })?;
    warn_if_relative(values, path);
    let entries = ostler_model::properties::parse(&bytes).map_err(|error| {
        ConfigError::at(format!("{place}:{}", error.line), error.to_string(), "write a backslash as \\\\")
    })?;
    for entry in entries {
        values.entry(&entry.key, &entry.value, Source::File(path.to_owned(), entry.line));
    }
    Ok(())
}

fn read_arguments(values: &mut Values, arguments: &[String]) -> Result<(), ConfigError> {
    let usage = |what: String| ConfigError::at("arguments", what, USAGE);
    if !(2..=4).contains(&arguments.len()) {
        return Err(usage(format!("{} arguments", arguments.len())));
    }
    // Started like this, Apache does not limit the connections of one address.
    values.entry("maxClientCnxns", "0", Source::Flag("default"));
    for (key, value) in ["clientPort", "dataDir", "tickTime", "maxClientCnxns"].into_iter().zip(arguments) {
        if key != "dataDir" && value.parse::<i32>().is_err() {
            return Err(usage(format!("For input string: \"{value}\"")));
        }
        values.entry(key, value, Source::Flag("argument"));
    }
    Ok(())
}

fn warn_if_relative(values: &mut Values, path: &Path) {
    if path.is_relative() && !path.starts_with(".") && !path.starts_with("..") {
        values.notices.push(Notice::warn(
            format!("{} is relative. Prepend ./ to indicate that you're sure!", path.display()),
            "an absolute path does not depend on the directory the server is started in",
        ));
    }
}

fn build(values: &mut Values, origin: Origin, inputs: &Inputs) -> Result<Config, ConfigError> {
    check_ensemble_keys(values)?;
    let data_dir = values.path("dataDir").filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned);
    let data_dir = data_dir.ok_or_else(|| {
        ConfigError::at(origin_name(&origin), "dataDir is not set", "add a line dataDir=/var/lib/zookeeper")
    })?;
    let data_log_dir = values.path("dataLogDir").map_or_else(|| data_dir.clone(), Path::to_owned);
    if origin != Origin::Embedded {
        warn_if_relative(values, &data_dir);
        if data_log_dir != data_dir {
            warn_if_relative(values, &data_log_dir);
        }
    }
    let tick_time_ms = values.int("tickTime", TICK_TIME_MS)?;
    if tick_time_ms <= 0 {
        let what = "tickTime is not set";
        return Err(ConfigError::at(values.place("tickTime"), what, "tickTime is a positive number of milliseconds"));
    }
    let (min_session_timeout_ms, max_session_timeout_ms) = session_timeouts(values, tick_time_ms)?;
    let standalone_enabled = values.flag("standaloneEnabled", true)?;
    let (member, ensemble) = match servers::servers(values, standalone_enabled)? {
        Servers::Alone(member) => (member, None),
        Servers::Several(members) => {
            let ensemble = EnsembleConfig::read(values, members, &data_dir, &origin)?;
            (ensemble.members.member(ensemble.me).cloned(), Some(ensemble))
        }
    };
    let frame_bytes_max = values.lenient_long("jute.maxbuffer", limits::FRAME_BYTES_MAX as i64).max(0) as usize;
    let extra = values.lenient_long("jute.maxbuffer.extrasize", frame_bytes_max as i64).max(1024) as usize;
    Ok(Config {
        listen: listen(values, member.as_ref())?,
        ensemble,
        origin,
        data_dir,
        data_log_dir,
        tick_time_ms,
        min_session_timeout_ms,
        max_session_timeout_ms,
        max_client_cnxns: values.int("maxClientCnxns", limits::CONNECTIONS_PER_ADDRESS_MAX as i32)?,
        max_cnxns: values.lenient_int("maxCnxns", 0),
        sessionless_timeout_ms: values
            .lenient_long("nio.sessionlessCnxnTimeout", limits::SESSIONLESS_TIMEOUT_MS as i64)
            .max(1) as u64,
        tcp_keep_alive: values.lenient_flag("clientTcpKeepAlive", false),
        frame_bytes_max,
        record_bytes_max: frame_bytes_max.saturating_add(extra),
        global_outstanding_limit: values.lenient_long("globalOutstandingLimit", limits::OUTSTANDING_MAX as i64).max(1)
            as usize,
        audit: audit(values)?,
        throttle: throttle::read(values),
        stop_ms: values.lenient_long("request_throttler.shutdownTimeout", 10_000).max(0) as u64,
        extended_types: values.lenient_flag("extendedTypesEnabled", false),
        enforce_quota: values.lenient_flag("enforceQuota", false),
        skip_acl: values.text("skipACL") == Some("yes"),
        reconfig_enabled: values.flag("reconfigEnabled", false)?,
        read_only_mode: values.lenient_flag("readonlymode.enabled", false),
        local_sessions: values.flag("localSessionsEnabled", false)?,
        auth: auth(values)?,
        words: Whitelist::parse(values.text("4lw.commands.whitelist").unwrap_or_default()),
        log: log(values),
        snapshot: snapshot(values, inputs.accept_gap),
        containers: Containers {
            interval_ms: values.lenient_long("znode.container.checkIntervalMs", 60_000).max(1) as u64,
            per_minute_max: values.lenient_int("znode.container.maxPerMinute", 10_000).max(1) as u32,
            never_used_ms: values.lenient_long("znode.container.maxNeverUsedIntervalMs", 0),
        },
        purge: purge(values)?,
    })
}

fn origin_name(origin: &Origin) -> String {
    match origin {
        Origin::File(path) => path.display().to_string(),
        Origin::Embedded | Origin::Arguments => "dataDir".to_owned(),
    }
}

/// Keys that a standalone server does not use, but in which Apache refuses nonsense.
fn check_ensemble_keys(values: &mut Values) -> Result<(), ConfigError> {
    for key in ["initLimit", "syncLimit"] {
        values.int(key, 0)?;
    }
    if values.int("electionAlg", 3)? != 3 {
        let what = "Invalid electionAlg value. Only 3 is supported.";
        return Err(ConfigError::at(values.place("electionAlg"), what, "remove the line"));
    }
    if let Some(kind) = values.text("peerType")
        && !["participant", "observer"].contains(&kind.to_lowercase().as_str())
    {
        let what = format!("Unrecognised peertype: {kind}");
        return Err(ConfigError::at(values.place("peerType"), what, "it is participant or observer"));
    }
    let provider = values.text("metricsProvider.className").map(str::to_owned);
    match provider.as_deref() {
        None
        | Some("org.apache.zookeeper.metrics.impl.DefaultMetricsProvider")
        | Some("org.apache.zookeeper.metrics.impl.NullMetricsProvider") => {}
        Some("org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider") => values.notices.push(Notice::warn(
            format!("{}: the Prometheus endpoint is not there yet", values.place("metricsProvider.className")),
            "read the four-letter word mntr instead",
        )),
        Some(_) => {
            return Err(ConfigError::at(
                values.place("metricsProvider.className"),
                "metrics provider class was not found",
                "remove the line, or name one of Apache's own providers",
            ));
        }
    }
    let size = values.lenient_int("intBufferStartingSizeBytes", 1024);
    if size < 32 {
        let place = values.place("intBufferStartingSizeBytes");
        let what = format!("zookeeper.intBufferStartingSizeBytes configured to {size}, must be at least 32");
        return Err(ConfigError { exit_code: EXIT_FAILURE, ..ConfigError::at(place, what, "remove the line") });
    }
    Ok(())
}

fn session_timeouts(values: &Values, tick_time_ms: i32) -> Result<(i32, i32), ConfigError> {
    let or_ticks = |value: i32, ticks: i32| if value == -1 { tick_time_ms.saturating_mul(ticks) } else { value };
    let min = or_ticks(values.int("minSessionTimeout", -1)?, 2);
    let max = or_ticks(values.int("maxSessionTimeout", -1)?, 20);
    if min > max {
        let place = ["minSessionTimeout", "maxSessionTimeout"].into_iter().find(|key| values.has(key));
        return Err(ConfigError::at(
            values.place(place.unwrap_or("tickTime")),
            "minSessionTimeout must not be larger than maxSessionTimeout",
            format!("they are {min} and {max} ms; their defaults are 2 and 20 ticks of {tick_time_ms} ms"),
        ));
    }
    Ok((min, max))
}

fn listen(values: &mut Values, member: Option<&Member>) -> Result<Option<Listen>, ConfigError> {
    let secure = values.int("secureClientPort", 0)?;
    if secure != 0 {
        return Err(ConfigError::at(
            values.place("secureClientPort"),
            "this version does not have TLS yet, and would not listen on this port",
            "remove the line and put a TLS proxy in front, or stay with Apache ZooKeeper for now",
        ));
    }
    if values.has("secureClientPortAddress") {
        return Err(ConfigError::at(
            values.place("secureClientPortAddress"),
            "secureClientPortAddress is set but secureClientPort is not set",
            "remove the line",
        ));
    }
    let port = values.int("clientPort", 0)?;
    let mut host = values.text("clientPortAddress").map(str::to_owned);
    let by_flag = values.by_flag("clientPort");
    let mut port = u16::try_from(port).map_err(|_| {
        ConfigError::at(values.place("clientPort"), format!("port out of range:{port}"), "ports end at 65535")
    })?;
    let mut given = port != 0 || by_flag;
    if let Some((id, own)) = member.and_then(|member| Some((member.id, &member.client.as_ref()?.endpoint))) {
        let own_port = own.port;
        if given && !by_flag && port != own_port {
            return Err(ConfigError::at(
                values.place("clientPort"),
                format!(
                    "client address for this server (id = {id}) in static config file is {port} is different from \
                     client address found in dynamic file: {own_port}"
                ),
                "name the same port in clientPort and in the server line, or in one of them only",
            ));
        }
        if !given {
            (port, given) = (own_port, true);
        }
        host = host.or_else(|| (!own.host.is_wildcard()).then(|| own.host.as_str().to_owned()));
    }
    if !given {
        if host.is_some() {
            return Err(ConfigError::at(
                values.place("clientPortAddress"),
                "clientPortAddress is set but clientPort is not set",
                "add a line clientPort=2181",
            ));
        }
        values.notices.push(Notice::warn("clientPort is not set: no client can connect", "add a line clientPort=2181"));
        return Ok(None);
    }
    Ok(Some(Listen { host, port, backlog: values.int("clientPortListenBacklog", -1)?, is_fixed: by_flag }))
}

fn auth(values: &mut Values) -> Result<Auth, ConfigError> {
    let algorithm = values.text("DigestAuthenticationProvider.digestAlg").unwrap_or("SHA1");
    let digest_algorithm = DigestAlgorithm::named(algorithm).ok_or_else(|| ConfigError {
        exit_code: EXIT_FAILURE,
        ..ConfigError::at(
            values.place("DigestAuthenticationProvider.digestAlg"),
            format!("{algorithm} MessageDigest not available"),
            format!("use {}", DigestAlgorithm::NAMES),
        )
    })?;
    let names: Option<Vec<String>> =
        values.text("ensembleAuthName").map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
    let mut ensemble_names = None;
    let providers: Vec<(String, String)> =
        values.with_prefix("authProvider.").map(|(key, class)| (key.to_owned(), class.to_owned())).collect();
    for (key, class) in providers {
        match class.strip_prefix("org.apache.zookeeper.server.auth.") {
            Some("EnsembleAuthenticationProvider") => ensemble_names = Some(names.clone().unwrap_or_default()),
            Some("DigestAuthenticationProvider" | "IPAuthenticationProvider") => {}
            Some("SASLAuthenticationProvider" | "X509AuthenticationProvider" | "KeyAuthenticationProvider") => {
                values.notices.push(Notice::warn(
                    format!("{}: {class} is not there yet", values.place(&key)),
                    "ACLs of its scheme match nobody until it is",
                ));
            }
            _ => values.notices.push(Notice::warn(
                format!("{}: unknown class {class}", values.place(&key)),
                "own Java classes cannot be loaded; remove the line",
            )),
        }
    }
    if names.is_some() && ensemble_names.is_none() {
        values.notices.push(Notice::warn(
            format!(
                "{}: without effect, because no provider of the scheme is registered",
                values.place("ensembleAuthName")
            ),
            "add a line authProvider.1=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider",
        ));
    }
    let mut enforced_schemes = None;
    if values.lenient_flag("sessionRequireClientSASLAuth", false) {
        enforced_schemes = Some(vec!["sasl".to_owned()]);
    } else if values.lenient_flag("enforce.auth.enabled", false) {
        let text = values.text("enforce.auth.schemes").unwrap_or_default();
        let schemes: Vec<String> = text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        if schemes.is_empty() {
            return Err(ConfigError::at(
                values.place("enforce.auth.enabled"),
                "enforce.auth.enabled is true but enforce.auth.schemes is not configured",
                "add a line enforce.auth.schemes=digest (or ip, sasl, x509), or remove enforce.auth.enabled",
            ));
        }
        enforced_schemes = Some(schemes);
    }
    Ok(Auth {
        digest: values.lenient_flag("DigestAuthenticationProvider.enabled", true),
        super_digest: values.text("DigestAuthenticationProvider.superDigest").map(str::to_owned),
        digest_algorithm,
        enforced_schemes,
        ensemble_names,
    })
}

/// Only Apache's own logger can be had.
fn audit(values: &Values) -> Result<bool, ConfigError> {
    let own = "org.apache.zookeeper.audit.Slf4jAuditLogger";
    let enabled = values.lenient_flag("audit.enable", false);
    match values.text("audit.impl.class").filter(|class| enabled && !class.is_empty() && *class != own) {
        Some(class) => Err(ConfigError::at(
            values.place("audit.impl.class"),
            format!("own Java classes cannot be loaded: {class}"),
            format!("remove the line, or write audit.impl.class={own}"),
        )),
        None => Ok(enabled),
    }
}

fn log(values: &mut Values) -> Log {
    // Kilobytes; zero and below mean off.
    let bytes = |value: i64| u64::try_from(value).unwrap_or(0).saturating_mul(1024);
    let slow = ["fsync.warningthresholdms"].into_iter().find(|key| values.has(key));
    let milliseconds = |value: i64| Duration::from_millis(value.max(0) as u64);
    let flush_delay_ms = values.lenient_long("flushDelay", 0);
    Log {
        prealloc_bytes: bytes(values.lenient_long("preAllocSize", 65_536)),
        snap_count: values.lenient_long("snapCount", 100_000).max(2) as u64,
        snap_size_limit_bytes: bytes(values.lenient_long("snapSizeLimitInKb", 4_194_304)),
        size_limit_bytes: bytes(values.lenient_long("txnLogSizeLimitInKb", -1)),
        force_sync: values.text("forceSync") != Some("no"),
        slow_sync_ms: slow.map_or(1_000, |key| values.lenient_long(key, 1_000).max(0) as u64),
        batching: Batching {
            records_max: values.lenient_long("maxBatchSize", 1_000).max(0) as usize,
            flush_delay: milliseconds(flush_delay_ms),
            poll_time: milliseconds(values.lenient_long("maxWriteQueuePollTime", flush_delay_ms / 3)),
        },
        close_session_paths: values.lenient_flag("closeSessionTxn.enabled", true),
    }
}

fn snapshot(values: &Values, accept_gap: bool) -> Snapshot {
    let compression = match values.text("snapshot.compression.method") {
        Some("gz") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        // Apache writes plain ones for anything else.
        _ => Compression::Plain,
    };
    Snapshot {
        compression,
        trust_empty: values.lenient_flag("snapshot.trust.empty", false),
        create_dirs: values.lenient_flag("datadir.autocreate", true),
        create_db: values.lenient_flag("db.autocreate", true),
        digest: values.lenient_flag("digest.enabled", true),
        last_zxid_section: values.lenient_flag("serializeLastProcessedZxid.enabled", true),
        accept_gap,
    }
}

fn purge(values: &mut Values) -> Result<Purge, ConfigError> {
    let retain = values.int("autopurge.snapRetainCount", 3)?;
    if retain < 3 {
        values.notices.push(Notice::warn(
            format!(
                "{}: Invalid autopurge.snapRetainCount: {retain}. Defaulting to 3",
                values.place("autopurge.snapRetainCount")
            ),
            "at least 3 snapshots are kept",
        ));
    }
    let interval = values.int("autopurge.purgeInterval", 0)?;
    Ok(Purge { retain: retain.max(3) as usize, interval_hours: interval.max(0) as u32 })
}
