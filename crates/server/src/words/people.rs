//! The parts of answers that list connections, sessions and watches, in Apache's shapes.

use ostler_model::{OpCode, SessionId};
use ostler_node::ConnStats;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One line per connection and an empty one: `cons` (`long`) and the client list of `stat`.
pub fn connections(connections: &[ConnStats], long: bool) -> String {
    let mut out = String::new();
    for conn in connections {
        // Apache prints the interest of its selector: 1 read, 4 write, 0 while it answers a four-letter word.
        let answering = conn.session == SessionId::NONE && conn.received > 0;
        let interest = if answering { 0 } else { i32::from(conn.reading) + 4 * i32::from(conn.writing) };
        let _ = write!(
            out,
            " /{}[{interest:x}](queued={},recved={},sent={}",
            conn.peer, conn.outstanding, conn.received, conn.sent
        );
        if long && conn.session != SessionId::NONE {
            let _ = write!(
                out,
                ",sid={},lop={},est={},to={}",
                conn.session,
                conn.last_op.map_or("NA", op_name),
                conn.established_wall_ms,
                conn.session_timeout_ms
            );
            if let Some(cxid) = conn.last_cxid.filter(|&cxid| cxid >= 0) {
                let _ = write!(out, ",lcxid=0x{cxid:x}");
            }
            let _ = write!(
                out,
                ",lzxid=0x{:x},lresp={},llat={},minlat={},avglat={},maxlat={}",
                conn.last_zxid.map_or(-1, |zxid| zxid.0),
                conn.last_response_mono_ms,
                conn.last_latency_ms,
                conn.min_latency_ms,
                conn.avg_latency_ms,
                conn.max_latency_ms
            );
        }
        out.push_str(")\n");
    }
    out.push('\n');
    out
}

fn op_name(op: i32) -> &'static str {
    let Some(op) = OpCode::from_i32(op) else { return "NA" };
    match op {
        OpCode::CreateSession => "SESS",
        OpCode::CloseSession => "CLOS",
        OpCode::Error | OpCode::Notification => "NA",
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetData => "SETD",
        OpCode::GetAcl => "GETA",
        OpCode::SetAcl => "SETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::Sync => "SYNC",
        OpCode::Ping => "PING",
        OpCode::Check => "CHEC",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Reconfig => "RECO",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::Auth => "AUTH",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::Sasl => "SASL",
        OpCode::GetEphemerals => "GETE",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::AddWatch => "ADDW",
        OpCode::WhoAmI => "HOMI",
    }
}

/// `dump`: sessions by the time they expire; `kind` stands before "Session Sets".
pub fn session_sets(out: &mut String, kind: &str, buckets: &[(String, Vec<i64>)]) {
    let total: usize = buckets.iter().map(|(_, sessions)| sessions.len()).sum();
    let _ = writeln!(out, "{kind}Session Sets ({})/({total}):", buckets.len());
    for (time, sessions) in buckets {
        let _ = writeln!(out, "{} expire at {time}:", sessions.len());
        for session in sessions {
            let _ = writeln!(out, "\t0x{session:x}");
        }
    }
}

/// `dump` of a server that does not decide when sessions end: all of the ensemble, with their time-outs.
pub fn global_sessions(out: &mut String, sessions: &[(i64, i32)]) {
    let _ = writeln!(out, "Global Sessions({}):", sessions.len());
    for (session, timeout_ms) in sessions {
        let _ = writeln!(out, "0x{session:x}\t{timeout_ms}ms");
    }
}

/// `dump`: ephemerals by the session that owns them. Sorted in place.
pub fn ephemerals(out: &mut String, owners: &mut [(i64, Vec<String>)]) {
    owners.sort();
    let _ = writeln!(out, "ephemeral nodes dump:\nSessions with Ephemerals ({}):", owners.len());
    for (session, paths) in owners {
        paths.sort();
        let _ = writeln!(out, "0x{session:x}:");
        for path in paths {
            let _ = writeln!(out, "\t{path}");
        }
    }
}

/// `dump`: connections by the time they are closed if nothing is heard of them.
pub fn connection_sets(out: &mut String, buckets: &[(String, Vec<(String, i64)>)]) {
    let total: usize = buckets.iter().map(|(_, connections)| connections.len()).sum();
    let _ = writeln!(out, "Connections dump:\nConnections Sets ({})/({total}):", buckets.len());
    for (time, connections) in buckets {
        let _ = writeln!(out, "{} expire at {time}:", connections.len());
        for (address, session) in connections {
            let _ = writeln!(out, "\tip: {address} sessionId: 0x{session:x}");
        }
    }
}

/// `wchs`.
pub fn watch_summary(watches: &[(String, Vec<SessionId>)], sessions: &[SessionId]) -> String {
    let total: usize = watches.iter().map(|(_, sessions)| sessions.len()).sum();
    format!("{} connections watching {} paths\nTotal watches:{total}\n", sessions.len(), watches.len())
}

/// `wchc`. A session stays listed when all its watches have fired.
pub fn watches_by_session(watches: &[(String, Vec<SessionId>)], sessions: &[SessionId]) -> String {
    let mut by_session: BTreeMap<SessionId, Vec<&str>> = sessions.iter().map(|&id| (id, Vec::new())).collect();
    for (path, sessions) in watches {
        for session in sessions {
            by_session.entry(*session).or_default().push(path);
        }
    }
    let mut out = String::new();
    for (session, paths) in by_session {
        let _ = writeln!(out, "{session}");
        for path in paths {
            let _ = writeln!(out, "\t{path}");
        }
    }
    out.push('\n');
    out
}

/// `wchp`.
pub fn watches_by_path(watches: &[(String, Vec<SessionId>)]) -> String {
    let mut out = String::new();
    for (path, sessions) in watches {
        let _ = writeln!(out, "{path}");
        for session in sessions {
            let _ = writeln!(out, "\t{session}");
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_in_three_views() {
        let watches = [("/a".to_owned(), vec![SessionId(1), SessionId(2)]), ("/b".to_owned(), vec![SessionId(2)])];
        let sessions = [SessionId(1), SessionId(2), SessionId(3)];
        assert_eq!(watch_summary(&watches, &sessions), "3 connections watching 2 paths\nTotal watches:3\n");
        assert_eq!(watches_by_session(&watches, &sessions), "0x1\n\t/a\n0x2\n\t/a\n\t/b\n0x3\n\n");
        assert_eq!(watches_by_path(&watches), "/a\n\t0x1\n\t0x2\n/b\n\t0x2\n\n");
    }

    #[test]
    fn a_read_only_server_lists_its_own_sessions_and_those_of_the_ensemble() {
        let mut out = String::new();
        session_sets(&mut out, "Local ", &[("DATE".into(), vec![0x100])]);
        global_sessions(&mut out, &[(1, 4_000), (0x20, 20_000)]);
        let local = "Local Session Sets (1)/(1):\n1 expire at DATE:\n\t0x100\n";
        assert_eq!(out, format!("{local}Global Sessions(2):\n0x1\t4000ms\n0x20\t20000ms\n"));
    }

    #[test]
    fn dump_sections_look_like_apaches() {
        let mut out = String::new();
        session_sets(&mut out, "", &[("DATE".into(), vec![0x100]), ("LATER".into(), vec![1, 2])]);
        ephemerals(&mut out, &mut [(2, vec!["/z".into(), "/a".into()]), (1, vec!["/e".into()])]);
        connection_sets(&mut out, &[("DATE".into(), vec![("/127.0.0.1:1".into(), 0)])]);
        assert_eq!(
            out,
            "Session Sets (2)/(3):\n1 expire at DATE:\n\t0x100\n2 expire at LATER:\n\t0x1\n\
             \t0x2\nephemeral nodes dump:\nSessions with Ephemerals (2):\n0x1:\n\t/e\n0x2:\n\t/a\n\t/z\n\
             Connections dump:\nConnections Sets (1)/(1):\n1 expire at DATE:\n\tip: /127.0.0.1:1 sessionId: 0x0\n"
        );
    }
}
