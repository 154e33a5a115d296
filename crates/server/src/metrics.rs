//! What the shell counts, and every metric name of Apache 3.9 (operations.md section 5).
//!
//! Dashboards expect every name, so those without a counterpart here are exported as 0 (COMPAT.md lists them). Names are kept as Apache's
//! `mntr` prints them, without `zk_`.

use ostler_node::{Distribution, Summary};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Counters of Apache, in the order its standalone server prints them.
const COUNTERS: &str = "watch_bytes stale_requests_dropped throttled_ops insecure_admin_count connection_rejected \
sessionless_connections_expired dead_watchers_queued stale_requests connection_drop_count response_packet_cache_hits \
bytes_received_count add_dead_watcher_stall_time request_throttle_wait_count \
requests_not_forwarded_to_commit_processor response_packet_cache_misses prep_processor_request_queued stale_replies \
response_bytes ensemble_auth_fail diff_count connection_revalidate_count quit_leading_due_to_disloyal_voter \
unrecoverable_error_count unsuccessful_handshake commit_count outstanding_changes_queued request_commit_queued \
ensemble_auth_skip skip_learner_request_to_next_processor_count proposal_count large_requests_rejected \
outstanding_changes_removed restore_error_count cnxn_closed_without_zk_server_running looking_count \
snapshot_rate_limited_count learner_proposal_received_count digest_mismatches_count dead_watchers_cleared \
ensemble_auth_success learner_commit_received_count snapshot_error_count connection_request_count \
response_packet_get_children_cache_misses snap_count stale_sessions_expired restore_rate_limited_count \
response_packet_get_children_cache_hits sync_processor_request_queued tls_handshake_exceeded revalidate_count";

/// Basic summaries: avg, min, max, cnt, sum.
const SUMMARIES: &str = "socket_closing_time proposal_process_time leader_unavailable_time node_created_watch_count \
session_queues_drained write_commit_proc_req_queued connection_token_deficit read_commit_proc_req_queued \
node_deleted_watch_count startup_txns_load_time sync_processor_queue_size follower_sync_time \
prep_processor_queue_size fsynctime inflight_snap_count reads_issued_from_session_queue restore_time \
learner_request_processor_queue_size snapshottime unavailable_time startup_txns_loaded \
reads_after_write_in_session_queue requests_in_session_queue write_commit_proc_issued prep_process_time \
pending_session_queue_size time_waiting_empty_pool_in_commit_processor_read_ms commit_process_time dbinittime \
inflight_diff_count netty_queued_buffer_capacity election_time commit_commit_proc_req_queued \
sync_processor_batch_size node_children_watch_count write_batch_time_in_commit_processor read_commit_proc_issued \
concurrent_request_processing_in_commit_processor observer_sync_time node_changed_watch_count sync_process_time \
startup_snap_load_time";

/// Advanced summaries: the five, then p50, p95, p99, p999.
const ADVANCED: &str = "prep_processor_queue_time_ms jvm_pause_time_ms close_session_prep_time \
read_commitproc_time_ms updatelatency local_write_committed_time_ms request_throttle_queue_time_ms readlatency \
quorum_ack_latency om_commit_process_time_ms read_final_proc_time_ms commit_propagation_latency \
dead_watchers_cleaner_latency write_final_proc_time_ms proposal_ack_creation_latency proposal_latency \
om_proposal_process_time_ms sync_processor_queue_and_flush_time_ms propagation_latency \
server_write_committed_time_ms sync_processor_queue_time_ms sync_processor_queue_flush_time_ms \
write_commitproc_time_ms";

/// `sum / count` as Java prints a double rounded to four decimals: `0.0`, `4.6013`, `2.0`.
pub fn average(sum: u64, count: u64) -> String {
    if count == 0 {
        return "0.0".to_owned();
    }
    let mut text = format!("{:.4}", sum as f64 / count as f64);
    while text.ends_with('0') && !text.ends_with(".0") {
        text.pop();
    }
    text
}

/// What the shell counts. `srst` clears all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "Apache's names")]
pub struct Metrics {
    pub bytes_received_count: u64,
    pub sessionless_connections_expired: u64,
    pub snapshot_error_count: u64,
    pub digest_mismatches_count: u64,
    pub auth_failed_count: u64,
    pub snapshottime: Summary,
    pub dbinittime: Summary,
    pub startup_snap_load_time: Summary,
    pub startup_txns_load_time: Summary,
    pub startup_txns_loaded: Summary,
}

/// One answer to `mntr` while it is put together: the figures that exist here, by Apache's names.
#[derive(Debug, Default)]
pub struct Figures {
    counters: BTreeMap<&'static str, u64>,
    summaries: BTreeMap<&'static str, Summary>,
    distributions: BTreeMap<&'static str, Distribution>,
}

impl Figures {
    /// A counter of Apache's list.
    pub fn counter(&mut self, name: &'static str, value: u64) {
        debug_assert!(COUNTERS.split_ascii_whitespace().any(|known| known == name), "{name}");
        self.counters.insert(name, value);
    }

    /// A basic summary of Apache's list.
    pub fn summary(&mut self, name: &'static str, value: Summary) {
        debug_assert!(SUMMARIES.split_ascii_whitespace().any(|known| known == name), "{name}");
        self.summaries.insert(name, value);
    }

    /// An advanced summary of Apache's list.
    pub fn distribution(&mut self, name: &'static str, value: &Distribution) {
        debug_assert!(ADVANCED.split_ascii_whitespace().any(|known| known == name), "{name}");
        self.distributions.insert(name, value.clone());
    }

    /// Appends the `mntr` lines of everything that is not a gauge.
    pub fn write_mntr(&self, out: &mut String) {
        for name in COUNTERS.split_ascii_whitespace() {
            let _ = writeln!(out, "zk_{name}\t{}", self.counters.get(name).copied().unwrap_or(0));
        }
        for name in SUMMARIES.split_ascii_whitespace() {
            write_summary(out, name, self.summaries.get(name).copied().unwrap_or_default());
        }
        let nothing = Distribution::default();
        for name in ADVANCED.split_ascii_whitespace() {
            let distribution = self.distributions.get(name).unwrap_or(&nothing);
            write_summary(out, name, distribution.summary());
            for (label, per_mille) in [("p50", 500), ("p95", 950), ("p99", 990), ("p999", 999)] {
                let _ = writeln!(out, "zk_{label}_{name}\t{}", distribution.percentile(per_mille));
            }
        }
    }
}

fn write_summary(out: &mut String, name: &str, summary: Summary) {
    let Summary { count, sum, min, max } = summary;
    let average = average(sum, count);
    let _ = write!(
        out,
        "zk_avg_{name}\t{average}\nzk_min_{name}\t{min}\nzk_max_{name}\t{max}\nzk_cnt_{name}\t{count}\n\
         zk_sum_{name}\t{sum}\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_like_javas() {
        assert_eq!(average(0, 0), "0.0");
        assert_eq!(average(0, 7), "0.0");
        assert_eq!(average(46_013, 10_000), "4.6013");
        assert_eq!(average(11, 9), "1.2222");
        assert_eq!(average(4, 2), "2.0");
        assert_eq!(average(5, 2), "2.5");
        assert_eq!(average(10, 1), "10.0");
    }

    #[test]
    fn summaries() {
        let mut summary = Summary::default();
        for value in [5, 0, 7] {
            summary.add(value);
        }
        let mut out = String::new();
        write_summary(&mut out, "x", summary);
        assert_eq!(out, "zk_avg_x\t4.0\nzk_min_x\t0\nzk_max_x\t7\nzk_cnt_x\t3\nzk_sum_x\t12\n");
    }

    #[test]
    fn figures_appear_under_their_names_and_the_others_as_zero() {
        let mut figures = Figures::default();
        figures.counter("throttled_ops", 7);
        figures.summary("fsynctime", Summary { count: 2, sum: 5, min: 1, max: 4 });
        let mut latencies = Distribution::default();
        latencies.add_many(3, 98);
        latencies.add_many(40, 2);
        figures.distribution("readlatency", &latencies);
        let mut out = String::new();
        figures.write_mntr(&mut out);
        for line in [
            "zk_throttled_ops\t7",
            "zk_stale_requests\t0",
            "zk_avg_fsynctime\t2.5",
            "zk_cnt_snapshottime\t0",
            "zk_avg_readlatency\t3.74",
            "zk_p50_readlatency\t3",
            "zk_p95_readlatency\t3",
            "zk_p99_readlatency\t40",
            "zk_p999_readlatency\t40",
            "zk_p50_updatelatency\t0",
        ] {
            assert!(out.lines().any(|found| found == line), "{line:?}");
        }
    }
}
