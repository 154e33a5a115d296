//! Four-letter words: which are answered, and with what (operations.md section 3).
//!
//! The shard recognises a word in the place of a handshake; the loop asks [`Words::answer`] for the text. Everything
//! here only reads, except the resets.

mod ensemble;
mod info;
mod people;

pub use info::environment;

use crate::config::{Config, Whitelist};
use crate::log_thread::{LogFigures, LogThread};
use crate::metrics::Metrics;
use crate::peers::Peers;
use ostler_model::date;
use ostler_node::{Now, Replica, Shard};
use ostler_tree::Tree;
use std::collections::VecDeque;
use std::fmt::Write;

/// What `srvr`, `stat`, `mntr` and `envi` give as version. Clients parse the number up to the first `-`: it names the
/// version of Apache ZooKeeper whose behaviour this is.
pub const VERSION: &str = concat!("3.9.3-ostler-", env!("CARGO_PKG_VERSION"), ", built on 2026-11-21 00:00 UTC");

/// Digests are remembered every so many transactions, as Apache does for `hash`.
pub const DIGEST_INTERVAL: i64 = 128;
/// How many of them.
const DIGESTS_MAX: usize = 1_000;
/// Apache's default trace mask, which means nothing here but is kept and told.
const TRACE_MASK: i64 = 306;

/// The state that only four-letter words need.
#[derive(Debug)]
pub struct Words {
    trace_mask: i64,
    digests: VecDeque<(i64, i64)>,
    whitelist: Whitelist,
}

/// What answers are made from.
pub struct Scene<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The port that is really listened on.
    pub client_port: i32,
    /// Now.
    pub now: Now,
    /// When the server started to serve, monotonic.
    pub started_mono_ms: u64,
    /// The connections.
    pub shard: &'a mut Shard,
    /// The sessions.
    pub replica: &'a mut Replica,
    /// The tree.
    pub tree: &'a Tree,
    /// The transaction log of a standalone server.
    pub log: Option<&'a LogThread>,
    /// The ensemble, for a member of one.
    pub peers: Option<&'a Peers>,
    /// The counters.
    pub metrics: &'a mut Metrics,
}

impl Scene<'_> {
    /// What the thread measured that writes the log; `reset` clears it.
    fn log_figures(&self, reset: bool) -> LogFigures {
        match (self.log, self.peers) {
            (Some(log), _) => log.figures(reset),
            (None, Some(peers)) => peers.log_figures(reset),
            (None, None) => LogFigures::default(),
        }
    }
}

/// An answer that is not a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Write it, then close.
    Text(String),
    /// Close without a word.
    Silence,
}

impl Words {
    /// With the whitelist of the configuration; `srvr` is always on, `isro` with read-only mode.
    pub fn new(config: &Config) -> Words {
        let mut whitelist = config.words.clone();
        whitelist.words.push("srvr".to_owned());
        if config.read_only_mode {
            whitelist.words.push("isro".to_owned());
        }
        Words { trace_mask: TRACE_MASK, digests: VecDeque::new(), whitelist }
    }

    /// Remembers the tree's digest at a zxid that is a multiple of [`DIGEST_INTERVAL`].
    pub fn note_digest(&mut self, zxid: i64, digest: i64) {
        if self.digests.len() == DIGESTS_MAX {
            self.digests.pop_front();
        }
        self.digests.push_back((zxid, digest));
    }

    /// True if the word may be answered.
    pub fn allows(&self, word: &str) -> bool {
        self.whitelist.all || self.whitelist.words.iter().any(|listed| listed == word)
    }

    /// The answer to `word`; `argument` is the mask behind `stmk`.
    pub fn answer(&mut self, word: [u8; 4], argument: Option<i64>, scene: &mut Scene<'_>) -> Answer {
        let Ok(word) = std::str::from_utf8(&word) else {
            // The telnet close sequence.
            return Answer::Silence;
        };
        if !self.allows(word) {
            return Answer::Text(format!("{word} is not executed because it is not in the whitelist.\n"));
        }
        if ensemble::is_refused(word, scene) {
            return Answer::Text(ensemble::NOT_SERVING.to_owned());
        }
        let text = match word {
            "ruok" => "imok".to_owned(),
            "isro" => ensemble::is_read_only(scene).to_owned(),
            "gtmk" => self.trace_mask.to_string(),
            "stmk" => match argument {
                Some(mask) => {
                    self.trace_mask = mask;
                    mask.to_string()
                }
                None => return Answer::Silence,
            },
            "srst" => {
                scene.shard.reset_stats();
                scene.replica.reset_stats();
                scene.log_figures(true);
                *scene.metrics = Metrics::default();
                "Server stats reset.\n".to_owned()
            }
            "crst" => {
                scene.shard.reset_connection_stats();
                "Connection stats reset.\n".to_owned()
            }
            "dirs" => info::dirs(scene.config),
            "conf" => info::conf(scene),
            "envi" => environment(),
            "hash" => self.hash(),
            "srvr" => info::server(scene, None),
            "stat" => {
                let clients = people::connections(&scene.shard.connections(), false);
                info::server(scene, Some(&clients))
            }
            "cons" => people::connections(&scene.shard.connections(), true),
            "dump" => dump(scene),
            "wchs" => people::watch_summary(&scene.shard.watches(), &scene.shard.watching_sessions()),
            "wchc" => people::watches_by_session(&scene.shard.watches(), &scene.shard.watching_sessions()),
            "wchp" => people::watches_by_path(&scene.shard.watches()),
            "mntr" => info::monitor(scene),
            _ => return Answer::Silence,
        };
        Answer::Text(text)
    }

    fn hash(&self) -> String {
        let mut out = String::new();
        for (zxid, digest) in &self.digests {
            let _ = writeln!(out, "{zxid:x}: {digest}");
        }
        out
    }
}

fn dump(scene: &Scene<'_>) -> String {
    let wall = |mono_ms: u64| date::java_date(scene.now.wall_ms + mono_ms as i64 - scene.now.mono_ms as i64);
    let mut out = String::new();
    let sessions: Vec<(String, Vec<i64>)> = scene
        .replica
        .session_buckets()
        .into_iter()
        .map(|bucket| (wall(bucket.expires_mono_ms), bucket.sessions.iter().map(|session| session.0).collect()))
        .collect();
    out.push_str("SessionTracker dump:\n");
    let (kind, is_learner) = match ensemble::mode(scene) {
        "read-only" => (Some("Local "), true),
        "follower" | "observer" => (None, true),
        _ => (Some(""), false),
    };
    if let Some(kind) = kind {
        people::session_sets(&mut out, kind, &sessions);
    }
    if is_learner {
        let global: Vec<(i64, i32)> =
            scene.tree.sessions().map(|(session, timeout_ms)| (session.0, timeout_ms)).collect();
        people::global_sessions(&mut out, &global);
    }
    let mut owners: Vec<(i64, Vec<String>)> =
        scene.tree.ephemeral_owners().into_iter().map(|session| (session.0, scene.tree.ephemerals(session))).collect();
    people::ephemerals(&mut out, &mut owners);
    let interval = scene.config.sessionless_timeout_ms;
    let mut buckets: std::collections::BTreeMap<u64, Vec<(String, i64)>> = std::collections::BTreeMap::new();
    for conn in scene.shard.connections() {
        let established = (conn.established_wall_ms - scene.now.wall_ms + scene.now.mono_ms as i64).max(0) as u64;
        let active = conn.last_response_mono_ms.max(established);
        let timeout = if conn.session.0 == 0 { interval } else { conn.session_timeout_ms.max(0) as u64 };
        let expires = ((active + timeout) / interval + 1) * interval;
        buckets.entry(expires).or_default().push((format!("/{}", conn.peer), conn.session.0));
    }
    let buckets: Vec<_> = buckets.into_iter().map(|(mono_ms, connections)| (wall(mono_ms), connections)).collect();
    people::connection_sets(&mut out, &buckets);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_has_the_shape_clients_parse() {
        let (number, rest) = VERSION.split_once('-').unwrap();
        assert_eq!(number, "3.9.3");
        assert!(rest.contains("ostler"));
        let (_, date) = VERSION.split_once(", built on ").unwrap();
        assert_eq!(date.len(), "2026-11-21 00:00 UTC".len());
    }
}
