//! Every setting that Apache ZooKeeper 3.9 knows, and what this version does with it (operations.md section 2).
//!
//! A key of zoo.cfg that is not found here is unknown: it is reported with the nearest known one.

/// Where a setting may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In zoo.cfg only.
    File,
    /// In zoo.cfg as `name`, or as the system property `zookeeper.name`: the same setting.
    Both,
    /// As the system property `name`, without a prefix. Apache cannot read it from zoo.cfg; we accept it there too.
    Bare,
}

/// What this version does with a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// Reads it.
    Read,
    /// Only members of an ensemble need it; a standalone server takes no notice.
    Ensemble,
    /// Belongs to a feature that this version does not have: one warning per feature.
    Missing(&'static str),
    /// Concerns Apache's implementation only: accepted, all of them named in one warning.
    Java,
    /// Means nothing outside Java: accepted, a debug line.
    Silent,
}

/// One known setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it may stand.
    pub place: Place,
    /// What becomes of it.
    pub usage: Use,
}

const TLS: Use = Use::Missing("TLS");
const SASL: Use = Use::Missing("SASL");
const ADMIN: Use = Use::Missing("the admin server");
const PROMETHEUS: Use = Use::Missing("the Prometheus endpoint");

/// The table row whose names contain `name`, or else the first whose pattern (`ssl.*`) it matches.
pub fn find(name: &str) -> Option<Key> {
    let row_with =
        |matches: &dyn Fn(&str) -> bool| TABLE.iter().find(|(_, _, names)| names.split_whitespace().any(matches));
    let matches = |known: &str| known.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix));
    let row = row_with(&|known| known == name).or_else(|| row_with(&matches))?;
    Some(Key { place: row.0, usage: row.1 })
}

/// The name that the code reads for a name that only the documentation knows (section 2.4).
pub fn renamed(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(documented, _)| *documented == name).map(|&(_, read)| read)
}

/// The known key that `name` was probably meant to be.
pub fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.strip_prefix("zookeeper.").unwrap_or(name).to_lowercase();
    let length = wanted.chars().count();
    let distance_max = length.div_ceil(3);
    // The difference of the lengths is a lower bound: most names, and all nonsense, need no closer look.
    let known = TABLE.iter().flat_map(|(_, _, names)| names.split_whitespace());
    let known = known.filter(|known| !known.contains('*') && known.len().abs_diff(length) <= distance_max);
    let near = known.filter_map(|known| Some((distance(&wanted, &known.to_lowercase(), distance_max)?, known)));
    near.min_by_key(|&(distance, _)| distance).map(|(_, best)| best)
}

/// Levenshtein's distance, if it is not above `max`.
fn distance(left: &str, right: &str, max: usize) -> Option<usize> {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
        // Rows never become better than the best of the one before.
        if row.iter().all(|distance| *distance > max) {
            return None;
        }
    }
    Some(row[right.len()]).filter(|distance| *distance <= max)
}

#[rustfmt::skip]
const TABLE: &[(Place, Use, &str)] = &[
    (Place::File, Use::Read, "dataDir dataLogDir clientPort clientPortAddress clientPortListenBacklog tickTime
        maxClientCnxns minSessionTimeout maxSessionTimeout standaloneEnabled reconfigEnabled peerType electionAlg
        dynamicConfigFile server.* group.* weight.* group* weight* autopurge.snapRetainCount autopurge.purgeInterval
        metricsProvider.className secureClientPort secureClientPortAddress initLimit syncLimit
        connectToLearnerMasterLimit quorumListenOnAllIPs localSessionsEnabled"),
    (Place::File, Use::Ensemble, "oraclePath syncEnabled
        observerMasterPort sslQuorum portUnification sslQuorumReloadCertFiles quorum.auth.enableSasl
        quorum.auth.serverRequireSasl quorum.auth.learnerRequireSasl quorum.auth.learner.saslLoginContext
        quorum.auth.server.saslLoginContext quorum.auth.kerberos.servicePrincipal"),
    (Place::Both, Use::Ensemble, "multiAddress.enabled multiAddress.reachabilityCheckTimeoutMs
        multiAddress.reachabilityCheckEnabled"),
    (Place::File, Use::Ensemble, "localSessionsUpgradingEnabled"),
    (Place::File, PROMETHEUS, "metricsProvider.httpHost metricsProvider.httpPort
        metricsProvider.exportJvmInfo"),
    (Place::File, Use::Silent, "quorum.cnxn.threads.size metricsProvider.numWorkerThreads
        metricsProvider.maxQueueSize metricsProvider.workerShutdownTimeoutMs"),
    (Place::File, Use::Java, "jvm.pause.monitor jvm.pause.info-threshold.ms jvm.pause.warn-threshold.ms
        jvm.pause.sleep.time.ms"),

    (Place::Both, Use::Read, "commitLogCount cnxTimeout fastleader.minNotificationInterval
        fastleader.maxNotificationInterval forceSnapshotSync preAllocSize snapCount snapSizeLimitInKb txnLogSizeLimitInKb forceSync
        fsync.warningthresholdms maxBatchSize flushDelay maxWriteQueuePollTime datadir.autocreate db.autocreate snapshot.trust.empty
        snapshot.compression.method digest.enabled closeSessionTxn.enabled serializeLastProcessedZxid.enabled
        extendedTypesEnabled globalOutstandingLimit maxCnxns 4lw.commands.whitelist enforceQuota skipACL
        clientTcpKeepAlive nio.sessionlessCnxnTimeout jute.maxbuffer.extrasize
        DigestAuthenticationProvider.enabled DigestAuthenticationProvider.superDigest
        DigestAuthenticationProvider.digestAlg enforce.auth.enabled enforce.auth.schemes ensembleAuthName
        sessionRequireClientSASLAuth authProvider.* serverCnxnFactory intBufferStartingSizeBytes"),
    (Place::Both, Use::Ensemble, "enableEagerACLCheck snapshotSizeFactor leaderServes tcpKeepAlive
        quorumCnxnTimeoutMs electionPortBindRetry
        leader.maxTimeToWaitForEpoch leader.maxConcurrentSnapSyncs
        leader.maxConcurrentDiffSyncs leaderConnectDelayDuringRetryMs leader.closeSocketAsync
        learner.closeSocketAsync learner.asyncSending leader.ackLoggingFrequency
        observer.reconnectDelayMs observer.election.DelayMs observerMaster.sizeLimit observer.syncEnabled
        follower.skipLearnerRequestToNextProcessor forward_learner_requests_to_commit_processor_disabled"),
    (Place::Both, Use::Read, "request_throttle_max_requests request_throttle_drop_stale request_stale_latency_check
        request_throttler.shutdownTimeout throttled_op_wait_time connection_throttle_tokens
        connection_throttle_fill_time connection_throttle_fill_count connection_throttle_freeze_time
        connection_throttle_drop_increase connection_throttle_drop_decrease connection_throttle_decrease_ratio
        connection_throttle_weight_enabled connection_throttle_global_session_weight
        connection_throttle_local_session_weight connection_throttle_renew_session_weight largeRequestMaxBytes
        largeRequestThreshold"),
    (Place::Both, Use::Java, "emulate353TTLNodes request_throttle_stall_time request_stale_connection_check maxResponseCacheSize
        maxGetChildrenResponseCacheSize messageTracker.Enabled messageTracker.BufferSize pathStats.*
        netty.advancedFlowControl.enabled netty.server.outstandingHandshake.limit"),
    (Place::Both, Use::Silent, "nio.numSelectorThreads nio.numWorkerThreads nio.directBufferBytes nio.shutdownTimeout
        netty.server.earlyDropSecureConnectionHandshakes commitProcessor.* watchManagerName watcherCleanThreadsNum
        watcherCleanThreshold watcherCleanIntervalInSeconds maxInProcessingDeadWatchers bitHashCacheSize
        admin.httpVersion controllerPort testingonly.* jmx.log4j.* jmx.* log.* root.logger
        console.threshold tracelog.*"),
    (Place::Both, ADMIN, "admin.enableServer admin.serverAddress admin.serverPort admin.commandURL admin.idleTimeout
        admin.portUnification admin.forceHttps admin.needClientAuth admin.snapshot.enabled admin.restore.enabled
        admin.rateLimiterIntervalInMS IPAuthenticationProvider.usexforwardedfor"),
    (Place::Both, Use::Read, "audit.enable audit.impl.class"),
    (Place::Both, SASL, "superUser superUser.* SASLAuthenticationProvider.superPassword letAnySaslUserDoX
        allowSaslFailedClients sasl.serverconfig kerberos.* security.auth_to_local kinit requireKerberosConfig
        server.realm"),
    (Place::Both, TLS, "ssl.* client.portUnification client.certReload fips-mode X509AuthenticationProvider.superUser"),

    (Place::Bare, Use::Read, "jute.maxbuffer znode.container.checkIntervalMs znode.container.maxPerMinute
        znode.container.maxNeverUsedIntervalMs readonlymode.enabled"),
    (Place::Bare, SASL, "java.security.auth.login.config"),
    (Place::Bare, Use::Silent, "follower.nodelay leader.nodelay sun.* javax.* com.sun.* java.* user.* file.* jdk.*
        log4j.* logback.*"),
];

const RENAMED: &[(&str, &str)] = &[
    ("connectionMaxTokens", "connection_throttle_tokens"),
    ("connectionTokenFillTime", "connection_throttle_fill_time"),
    ("connectionTokenFillCount", "connection_throttle_fill_count"),
    ("connectionFreezeTime", "connection_throttle_freeze_time"),
    ("connectionDropIncrease", "connection_throttle_drop_increase"),
    ("connectionDropDecrease", "connection_throttle_drop_decrease"),
    ("connectionDecreaseRatio", "connection_throttle_decrease_ratio"),
    ("requestThrottleLimit", "request_throttle_max_requests"),
    ("requestThrottleStallTime", "request_throttle_stall_time"),
    ("requestThrottleDropStale", "request_throttle_drop_stale"),
    ("requestStaleLatencyCheck", "request_stale_latency_check"),
    ("requestStaleConnectionCheck", "request_stale_connection_check"),
    ("throttledOpWaitTime", "throttled_op_wait_time"),
    ("advancedFlowControlEnabled", "netty.advancedFlowControl.enabled"),
    ("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    ("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
    ("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"),
    ("outstandingHandshake.limit", "netty.server.outstandingHandshake.limit"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs};

    #[test]
    fn finds_exact_names_and_patterns() {
        assert_eq!(find("snapCount").unwrap().place, Place::Both);
        assert_eq!(find("server.1").unwrap().usage, Use::Read);
        assert_eq!(find("ssl.keyStore.location").unwrap().usage, TLS);
        assert_eq!(find("jute.maxbuffer").unwrap().place, Place::Bare);
        assert_eq!(find("jute.maxbuffer.extrasize").unwrap().place, Place::Both);
        assert!(find("snapcount").is_none());
        assert!(find("tickTme").is_none());
    }

    #[test]
    fn suggests_what_was_meant() {
        assert_eq!(nearest("tickTme"), Some("tickTime"));
        assert_eq!(nearest("snapcount"), Some("snapCount"));
        assert_eq!(nearest("zookeeper.snapCount"), Some("snapCount"));
        assert_eq!(nearest("4lw.commands.whitlist"), Some("4lw.commands.whitelist"));
        assert_eq!(nearest("zzzzzzzzzzzzzzz"), None);
    }

    /// All that this version does not read: accepted, and told as its `Use` promises.
    #[test]
    fn what_is_not_read_is_accepted_and_told_as_promised() {
        let file = std::env::temp_dir().join(format!("ostler-keys-{}.cfg", std::process::id()));
        let mut seen = 0;
        for (place, usage, names) in TABLE {
            for name in names.split_whitespace().map(|name| name.replace('*', "x")) {
                if *usage == Use::Read {
                    continue;
                }
                seen += 1;
                let mut given = vec![(format!("{name}=true\n"), None)];
                match place {
                    Place::File => {}
                    Place::Both => given.push((String::new(), Some(format!("zookeeper.{name}")))),
                    Place::Bare => given.push((String::new(), Some(name.clone()))),
                }
                let promised: &[&str] = match usage {
                    Use::Read | Use::Ensemble | Use::Silent => &[],
                    Use::Java => &[&name],
                    Use::Missing(feature) => &[feature, &name],
                };
                for (line, property) in given {
                    std::fs::write(&file, format!("dataDir=/d\nclientPort=2181\n{line}")).expect("a temporary file");
                    let properties = property.into_iter().map(|name| (name, "true".to_owned(), "argument")).collect();
                    let inputs = Inputs { file: Some(file.clone()), properties, ..Inputs::default() };
                    let loaded = Config::load(&inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
                    let told: Vec<&str> = loaded.notices.iter().filter(|it| it.warning).map(|it| &*it.what).collect();
                    assert_eq!(told.len(), usize::from(!promised.is_empty()), "{name}: {told:?}");
                    assert!(promised.iter().all(|word| told[0].contains(word)), "{name}: {told:?}");
                }
            }
        }
        let _ = std::fs::remove_file(&file);
        assert!(seen > 100, "only {seen} keys");
    }

    #[test]
    fn documented_names_lead_to_known_ones() {
        for (documented, read) in RENAMED {
            assert!(find(documented).is_none(), "{documented}");
            assert!(find(read).is_some(), "{read}");
            assert_eq!(renamed(documented), Some(*read));
        }
    }
}
