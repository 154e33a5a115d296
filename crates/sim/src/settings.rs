//! What kind of world a seed makes: sizes, speeds and limits, small ones in half of the seeds so that every bound is met.

use ostler_model::Dice;
use ostler_model::{Endpoint, Ensemble, Host, Member, PeerAddress, Role, ServerId};
use ostler_store::{Compression, SnapshotFormat};

/// The settings of one run.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct Settings {
    pub seed: u64,
    pub servers: usize,
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
    /// Those of a seed.
    pub fn new(seed: u64, servers: usize, mutant: Option<&str>) -> Settings {
        let dice = &mut Dice::new(seed ^ 0x5e77_1265);
        let small = dice.percent(50);
        let tick_ms = dice.pick(&[200, 500, 1_000, 2_000]);
        let many_threads = dice.percent(60);
        let shards = if many_threads { dice.between(1, 3) as usize } else { 1 };
        let small_or = |dice: &mut Dice, usual: usize| if small { dice.between(1, 8) as usize } else { usual };
        Settings {
            seed,
            servers,
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

    /// All servers, voting.
    pub fn ensemble(&self) -> Ensemble {
        let member = |index: usize| {
            let host = Host::new("localhost").expect("a legal name");
            let port = 10_000 + 10 * index as u16;
            let address = PeerAddress { host: host.clone(), quorum_port: port, election_port: port + 1 };
            let client = Endpoint { host, port: port + 2 };
            Member::new(self.server_id(index), Role::Participant, address, Some(client))
        };
        Ensemble::new((0..self.servers).map(member).collect(), 0).expect("a legal ensemble")
    }

    /// zab's settings of a server.
    pub fn zab(&self, me: ServerId) -> ostler_zab::Settings {
        ostler_zab::Settings {
            tick_ms: self.tick_ms,
            window_txns_max: self.window_txns_max,
            force_snapshot_sync: self.force_snapshot_sync,
            counter_max: self.counter_max,
            quirks: self.quirks,
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
