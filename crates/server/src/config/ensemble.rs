//! The settings of a member of an ensemble: who the members are, which of them this server is, and the protocol's
//! limits (operations.md section 2.2, ensemble.md section 22).

use super::values::Values;
use super::{ConfigError, EXIT_FAILURE, Notice, Origin};
use ostler_model::{Ensemble, ServerId};
use std::path::{Path, PathBuf};

/// DEV-4: notifications are repeated at least this often, whatever Apache's default of a minute.
const NOTIFICATION_MAX_MS: u64 = 3_000;

/// What makes a server a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnsembleConfig {
    /// `myid`.
    pub me: ServerId,
    /// All members.
    pub members: Ensemble,
    /// `initLimit`, ticks.
    pub init_limit: u64,
    /// `syncLimit`, ticks.
    pub sync_limit: u64,
    /// `connectToLearnerMasterLimit`, ticks; 0 = `init_limit`.
    pub connect_limit: u64,
    /// `cnxTimeout`: how long one attempt to connect may take.
    pub connect_timeout_ms: u64,
    /// `fastleader.minNotificationInterval`.
    pub notification_min_ms: u64,
    /// `fastleader.maxNotificationInterval`, at most three seconds.
    pub notification_max_ms: u64,
    /// `quorumListenOnAllIPs`.
    pub listen_on_all_addresses: bool,
    /// `commitLogCount`.
    pub commit_log_count: usize,
    /// `forceSnapshotSync`.
    pub force_snapshot_sync: bool,
    /// Where changes of the ensemble are kept; `None`: it does not change (`reconfigEnabled=false`).
    pub dynamic: Option<Dynamic>,
}

/// An ensemble whose members may be changed while it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dynamic {
    /// zoo.cfg, which is rewritten with each change; the dynamic files stand beside it.
    pub config: PathBuf,
    /// zoo.cfg still names the servers itself.
    pub is_static: bool,
    /// `standaloneEnabled`: at least two participants stay.
    pub standalone_enabled: bool,
}

impl EnsembleConfig {
    /// From the server lines, which are known to be those of an ensemble.
    ///
    /// # Errors
    /// A limit is missing, `myid` is missing or nonsense or no member, or the members are no ensemble.
    pub(super) fn read(
        values: &mut Values,
        members: Ensemble,
        data_dir: &Path,
        origin: &Origin,
    ) -> Result<EnsembleConfig, ConfigError> {
        check_members(values, &members)?;
        let me = my_id(data_dir)?;
        if members.member(me).is_none() {
            let hint = if values.has("dynamicConfigFile") {
                "if a reconfiguration took this server out: to let it join again, name it and the present members in zoo.cfg \
                 instead of dynamicConfigFile, start it, and ask them to take it in (reconfig -add)"
            } else {
                "write the number of this host's server.N line into the file, or add such a line"
            };
            let place = data_dir.join("myid").display().to_string();
            let what = format!("My id {} not in the peer list", me.0);
            return Err(ConfigError { exit_code: EXIT_FAILURE, ..ConfigError::at(place, what, hint) });
        }
        let limit = |key: &str| {
            let ticks = values.int(key, 0)?;
            u64::try_from(ticks).ok().filter(|ticks| *ticks > 0).ok_or_else(|| {
                let hint = "an ensemble needs it; zoo_sample.cfg has initLimit=10 and syncLimit=5 (ticks)";
                ConfigError::at(values.place(key), format!("{key} is not set"), hint)
            })
        };
        let (init_limit, sync_limit) = (limit("initLimit")?, limit("syncLimit")?);
        let connect_limit = values.int("connectToLearnerMasterLimit", 0)?.max(0) as u64;
        let listen_on_all_addresses = values.flag("quorumListenOnAllIPs", false)?;
        let positive = |values: &mut Values, key: &str, default: i64| values.lenient_long(key, default).max(1) as u64;
        let notification_min_ms = positive(values, "fastleader.minNotificationInterval", 200);
        let notification_max_ms = positive(values, "fastleader.maxNotificationInterval", NOTIFICATION_MAX_MS as i64)
            .clamp(notification_min_ms, NOTIFICATION_MAX_MS.max(notification_min_ms));
        let dynamic = if values.flag("reconfigEnabled", false)? { Some(dynamic(values, origin)?) } else { None };
        Ok(EnsembleConfig {
            me,
            dynamic,
            members,
            init_limit,
            sync_limit,
            connect_limit,
            connect_timeout_ms: positive(values, "cnxTimeout", 5_000),
            notification_min_ms,
            notification_max_ms,
            listen_on_all_addresses,
            commit_log_count: positive(values, "commitLogCount", 500).max(500) as usize,
            force_snapshot_sync: values.lenient_flag("forceSnapshotSync", false),
        })
    }
}

/// Where the changes go. Each of them must outlive the process: what a flag says would come back at the next start.
fn dynamic(values: &Values, origin: &Origin) -> Result<Dynamic, ConfigError> {
    let Origin::File(config) = origin else {
        return Err(ConfigError::at(
            values.place("reconfigEnabled"),
            "there is no configuration file in which a change of the ensemble could be kept",
            "write the settings into a zoo.cfg and start with it, or set reconfigEnabled=false",
        ));
    };
    let mut servers = values.with_prefix("server.").map(|(key, _)| key).chain(["dynamicConfigFile"]);
    if let Some(key) = servers.find(|key| values.by_flag(key)) {
        return Err(ConfigError::at(
            values.place(key),
            format!("with reconfigEnabled=true the servers stand in {}, which is rewritten", config.display()),
            "write the line there instead, or set reconfigEnabled=false",
        ));
    }
    Ok(Dynamic {
        config: config.clone(),
        is_static: !values.has("dynamicConfigFile"),
        standalone_enabled: values.flag("standaloneEnabled", true)?,
    })
}

/// What this version cannot do yet, and what an operator should think twice about.
fn check_members(values: &mut Values, members: &Ensemble) -> Result<(), ConfigError> {
    let grouped = ["group", "weight"].iter().any(|prefix| values.with_prefix(prefix).next().is_some());
    if grouped {
        return Err(ConfigError::at(
            "group.N",
            "groups and weights are not there yet",
            "remove the group and weight lines: then every participant has one vote",
        ));
    }
    if members.members().iter().any(|member| member.addresses().len() > 1) {
        values.notices.push(Notice::warn(
            "several addresses of one server: only the first is used",
            "multiAddress is not there yet; name the address that the other servers reach best first",
        ));
    }
    let voters = members.voters().count();
    if voters == 2 {
        values.notices.push(Notice::warn(
            "No server failure will be tolerated. You need at least 3 servers.",
            "two servers stop when either of them does",
        ));
    } else if voters.is_multiple_of(2) {
        values.notices.push(Notice::warn(
            "Non-optimal configuration, consider an odd number of servers.",
            "an even number tolerates no more failures than the odd number below it",
        ));
    }
    Ok(())
}

fn my_id(data_dir: &Path) -> Result<ServerId, ConfigError> {
    let path = data_dir.join("myid");
    let place = path.display().to_string();
    let hint = "it holds the N of this host's server.N line, as text: echo 1 > myid";
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ConfigError::at(&place, "myid file is missing", hint),
        _ => ConfigError::at(&place, format!("cannot be read: {error}"), hint),
    })?;
    let first = text.lines().next().unwrap_or_default().trim();
    match first.parse::<i64>() {
        Ok(id) => Ok(ServerId(id)),
        Err(_) => Err(ConfigError::at(&place, format!("serverid {first} is not a number"), hint)),
    }
}
