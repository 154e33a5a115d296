//! What kind of world a seed makes: sizes, speeds and limits, small ones in half of the seeds so that every bound is met.

use ostler_model::Dice;
use ostler_model::{Ensemble, Role, ServerId};
use ostler_store::{Compression, SnapshotFormat};

/// One seed in so many is about reconfigurations.
const RECONFIGURED_EVERY: u64 = 5;

/// The settings of one run.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct Settings {
    pub seed: u64,
    /// Machines, of which the last may be observers or stand outside at first.
    pub servers: usize,
    /// Servers that vote at first.
    pub voters: usize,
    /// An operator reconfigures the ensemble, and stops servers in an orderly way.
    pub reconfigures: bool,
    pub clients: usize,
    pub tick_ms: u64,
    pub session_timeout_ms: u32,
    pub shards: usize,
    /// In how many of 100 turns a shard is late; 0 = one thread does everything.
    pub lag_percent: u64,
    pub outstanding_max: usize,
    pub stream_batches_max: usize,
    pub disk_us: u64,
    pub turn_us: u64,
    pub split_dirs: bool,
    pub preallocate_bytes: u64,
    pub snap_count: u32,
    pub log_file_bytes: u64,
    pub compression: Compression,
    pub delay_us: u64,
    pub piece_bytes: usize,
    pub buffer_bytes: usize,
    pub window_txns_max: usize,
    pub force_snapshot_sync: bool,
    /// Transactions of an epoch before its leader makes room for the next one.
    pub counter_max: u32,
    /// Broken rules and other implementations' behaviours of zab.
    pub quirks: ostler_zab::Quirks,
    /// At least this many faults.
    pub faults: usize,
    /// Each client contends for a lock, too.
    pub contended: bool,
    /// A rule broken on purpose (docs/simulation.md).
    pub mutant: Option<String>,
    #[cfg(feature = "mutants")]
    pub node_mutant: Option<ostler_node::Mutant>,
}

impl Settings {
    /// Those of a seed: in one of five the ensemble is reconfigured.
    pub fn new(seed: u64, servers: usize, mutant: Option<&str>) -> Settings {
        let settings = Settings::of_one_ensemble(seed, servers, mutant);
        if servers >= 3 && seed % RECONFIGURED_EVERY == 2 { settings.reconfigured() } else { settings }
    }

    /// The same with an observer, perhaps a server that stands outside, and an operator.
    pub fn reconfigured(self) -> Settings {
        let extra = Dice::new(self.seed ^ 0x7ec0_4f16).between(1, 2) as usize;
        Settings { servers: self.voters + extra, reconfigures: true, ..self }
    }

    fn of_one_ensemble(seed: u64, servers: usize, mutant: Option<&str>) -> Settings {
        let dice = &mut Dice::new(seed ^ 0x5e77_1265);
        let small = dice.percent(50);
        let tick_ms = dice.pick(&[200, 500, 1_000, 2_000]);
        let many_threads = dice.percent(60);
        let shards = if many_threads { dice.between(1, 3) as usize } else { 1 };
        let small_or = |dice: &mut Dice, usual: usize| if small { dice.between(1, 8) as usize } else { usual };
        Settings {
            seed,
            servers,
            voters: servers,
            reconfigures: false,
            clients: dice.between(4, 8) as usize,
            tick_ms,
            session_timeout_ms: (tick_ms * dice.between(2, 8)) as u32,
            shards,
            lag_percent: if many_threads { dice.between(5, 60) } else { 0 },
            outstanding_max: small_or(dice, 1_000),
            stream_batches_max: small_or(dice, 1_024),
            disk_us: dice.pick(&[100, 500, 2_000, 10_000]),
            turn_us: dice.pick(&[20, 100, 1_000]),
            split_dirs: dice.percent(50),
            preallocate_bytes: dice.pick(&[0, 4_096, 16_384]),
            snap_count: dice.pick(&[10, 40, 200, 1_000]),
            log_file_bytes: dice.pick(&[0, 0, 4_000, 20_000]),
            compression: dice.pick(&[Compression::None, Compression::None, Compression::Gzip, Compression::Snappy]),
            delay_us: dice.pick(&[50, 300, 1_000, 10_000]),
            piece_bytes: dice.pick(&[16, 200, 1_460, 65_536]),
            buffer_bytes: dice.pick(&[512, 4_096, 65_536, 1 << 20]),
            window_txns_max: dice.pick(&[1, 10, 100, 500]),
            force_snapshot_sync: dice.percent(10),
            counter_max: dice.pick(&[u32::MAX - 1, u32::MAX - 1, 200]),
            quirks: crate::mutants::quirks(mutant),
            faults: dice.between(20, 40) as usize,
            contended: mutant == Some("two-holders"),
            mutant: mutant.map(str::to_owned),
            #[cfg(feature = "mutants")]
            node_mutant: mutant.and_then(crate::mutants::of_node),
        }
    }

    /// The number of a server in the ensemble.
    pub fn server_id(&self, index: usize) -> ServerId {
        ServerId(index as i64 + 1)
    }

    /// A server's line in the text of an ensemble. `moved`: it takes learners at another port (in name only: a leader that
    /// moves hands over).
    pub fn member_line(&self, index: usize, role: Role, moved: bool) -> String {
        let port = 10_000 + 10 * index + if moved { 5 } else { 0 };
        let role = if role == Role::Observer { "observer" } else { "participant" };
        let (quorum, election, client) = (port, port + 1, port + 2);
        format!("server.{}=localhost:{quorum}:{election}:{role};localhost:{client}", self.server_id(index).0)
    }

    /// The first ensemble: of those that do not vote one observes, the others stand outside.
    pub fn ensemble(&self) -> Ensemble {
        let lines = (0..self.servers.min(self.voters + 1)).map(|index| {
            let role = if index < self.voters { Role::Participant } else { Role::Observer };
            self.member_line(index, role, false)
        });
        Ensemble::parse(&lines.collect::<Vec<_>>().join("\n")).expect("a legal ensemble")
    }

    /// What a server's configuration says at first: who stands outside has a line of its own there, as an observer.
    pub fn first_ensemble_of(&self, index: usize) -> Ensemble {
        let mut members = self.ensemble().members().to_vec();
        if self.ensemble().member(self.server_id(index)).is_none() {
            let line = Ensemble::parse(&self.member_line(index, Role::Observer, false)).expect("a legal line");
            members.extend_from_slice(line.members());
        }
        Ensemble::new(members, 0).expect("a legal ensemble")
    }

    /// zab's settings of a server.
    pub fn zab(&self, me: ServerId) -> ostler_zab::Settings {
        ostler_zab::Settings {
            tick_ms: self.tick_ms,
            window_txns_max: self.window_txns_max,
            force_snapshot_sync: self.force_snapshot_sync,
            counter_max: self.counter_max,
            quirks: self.quirks,
            reconfig_enabled: self.reconfigures,
            ..ostler_zab::Settings::new(me)
        }
    }

    /// True if this rule is broken on purpose.
    pub fn breaks(&self, mutant: &str) -> bool {
        self.mutant.as_deref() == Some(mutant)
    }

    /// How snapshots are written.
    pub fn snapshot_format(&self) -> SnapshotFormat {
        SnapshotFormat { compression: self.compression, ..SnapshotFormat::default() }
    }
}
