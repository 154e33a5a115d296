"""Deliberate breaks of Ostler, and the suites that must notice each. Read by `interop/mutants/run`.

A mutant is a name, what is broken, the edits (file, text that stands there once, text in its place) and the suites that
must fail. When the code moves on and an edit no longer applies, `run --check` says so: mend the edit, not the check.
"""

TREE, NODE, STORE, SERVER = "crates/tree/src/", "crates/node/src/", "crates/store/src/", "crates/server/src/"
ZAB, WIRE = "crates/zab/src/", "crates/wire/src/"


class Mutant:
    """One row."""

    def __init__(self, name, what, suites, *edits):
        self.name, self.what, self.suites, self.edits = name, what, suites.split(), edits


CLIENTS = "java zkcli kazoo c go rust "

MUTANTS = [
    # --- operations: codes, versions, names, Stats ---------------------------------------------------------------
    Mutant("not-empty", "deleting a node with children says that there is no such node", CLIENTS + "cli-mt differential wire",
           (TREE + "prepare/delete.rs", """        if self.view.num_children(node) > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.view.pin(parent);""", """        if self.view.num_children(node) > 0 {
            return Err(ErrorCode::NoNode);
        }
        self.view.pin(parent);""")),
    Mutant("node-exists", "creating a node that exists says bad version", CLIENTS + "curator cli-mt differential",
           (TREE + "prepare/create.rs", "return Err(ErrorCode::NodeExists);", "return Err(ErrorCode::BadVersion);")),
    Mutant("any-version", "setData ignores the version it was given", CLIENTS + "curator differential",
           (TREE + "prepare/set.rs", """        let version = next_version(self.view.stat(node).version, request.version)?;
        self.view.pin(node);
        Ok(Txn::SetData""", """        let version = next_version(self.view.stat(node).version, -1)?;
        self.view.pin(node);
        Ok(Txn::SetData""")),
    Mutant("mtime", "setData leaves the time of modification", "java storage differential",
           (TREE + "apply.rs", "version, mzxid: header.zxid, mtime: header.time_ms, ..before", "version, mzxid: header.zxid, ..before")),
    Mutant("parent-pzxid", "a create does not move its parent's pzxid", "java wire storage differential",
           (TREE + "apply.rs", "StoredStat { cversion, pzxid: header.zxid, ..before }", "StoredStat { cversion, ..before }")),
    Mutant("ephemeral-owner", "ephemeral nodes are made as persistent ones", CLIENTS + "curator cli-mt cli:durability differential",
           (TREE + "apply.rs", "ephemeral_owner: owner_of(create, header).to_raw(),",
            "ephemeral_owner: Some(owner_of(create, header)).filter(|owner| !owner.is_ephemeral()).map_or(0, Owner::to_raw),")),
    Mutant("sequence-width", "sequential names have nine digits", CLIENTS + "curator cli-mt differential",
           (TREE + "prepare/create.rs", "{asked}{:010}", "{asked}{:09}")),
    Mutant("multi-half", "a failed multi keeps what came before the failure", "java kazoo c go rust differential",
           (TREE + "apply.rs", "    if parts.iter().any(Txn::is_error) {\n",
            "    if parts.iter().any(Txn::is_error) {\n        for part in parts.iter().filter(|part| !part.is_error()) {\n"
            "            apply(store, header, part, changes);\n        }\n")),
    Mutant("multi-codes", "operations behind a failed one in a multi get a wrong code", "java kazoo c wire differential",
           (TREE + "prepare/multi.rs", "Txn::Error(ErrorCode::RuntimeInconsistency)", "Txn::Error(ErrorCode::NoNode)")),
    Mutant("quota", "hard quotas are not enforced", "zkcli differential",
           (TREE + "prepare/quota.rs", "limit > -1 && used.saturating_add(more) > limit", "limit > i64::MAX - 1 && used.saturating_add(more) > limit")),
    Mutant("ttl", "TTL nodes are never deleted", "java",
           (TREE + "sweep.rs", "Owner::Ttl(ttl_ms) => idle_ms > ttl_ms,", "Owner::Ttl(ttl_ms) => ttl_ms < 0,")),
    Mutant("container", "empty containers are never deleted", "java",
           (TREE + "sweep.rs", "Owner::Container if stat.cversion > 0 => true,",
            "Owner::Container if stat.cversion > 0 => false,")),
    Mutant("ephemerals-prefix", "getEphemerals ignores its prefix", "java zkcli differential",
           (NODE + "reads.rs", "if path.starts_with(prefix) {", "if path.len() >= prefix.len().min(1) {")),
    Mutant("all-children", "getAllChildrenNumber counts one too many", "java zkcli differential",
           (NODE + "reads.rs", "let below = node.descendants() + ", "let below = 1 + node.descendants() + ")),
    Mutant("long-listing", "a listing of more than a page loses its last page", "java",
           (NODE + "shard/scan.rs", "        let done = node.list(&mut cursor, |name| {",
            "        let done = start > 0 || node.list(&mut cursor, |name| {"),
           (NODE + "shard/scan.rs", "assert_eq!(self.names.len(), node.num_children(),", "assert!(self.names.len() <= node.num_children(),")),
    # --- ACLs and identities ---------------------------------------------------------------------------------------
    Mutant("acl-ignored", "ACLs are not checked", CLIENTS + "curator differential",
           (TREE + "access.rs", "if self.skip_acl || acl.is_empty() {", "if self.skip_acl || acl.len() < 1_000 {")),
    Mutant("acl-redaction", "getACL shows hashes to everybody", "java kazoo wire differential",
           (TREE + "access.rs", "if !acl.iter().any(secret) || self.allows", "if !acl.iter().any(secret) || !acl.is_empty() || self.allows")),
    Mutant("digest-hash", "the password's hash is another", "java zkcli kazoo c go rust differential",
           (NODE + "shard/auth.rs", "algorithm.hash(text.as_bytes())", "algorithm.hash(text.to_uppercase().as_bytes())")),
    Mutant("who-am-i", "whoAmI does not name the address", "java zkcli rust wire differential",
           (NODE + "shard/requests.rs", "frame.vector(Some(&conn.ids), |frame, id| {",
            "frame.vector(Some(&conn.ids.iter().filter(|id| id.scheme != \"ip\").collect::<Vec<_>>()), |frame, id| {")),
    # --- watches -------------------------------------------------------------------------------------------------
    Mutant("data-watch", "setData fires no watch", CLIENTS + "curator cli-mt differential",
           (NODE + "watches.rs", "self.fire_table(Table::Data, node, false, EventType::NodeDataChanged, &change.acl, &mut emit);", "")),
    Mutant("child-watch", "creates and deletes fire no child watch", CLIENTS + "curator differential",
           (NODE + "watches.rs", "self.fire_table(Table::Child, parent, false, kind, acl, &mut emit);", "let _ = (parent, kind, acl);")),
    # (The C, Go and Rust clients drop events that they do not wait for, and offer nothing else that would show it.)
    Mutant("watch-stays", "one-shot watches are not spent", "java kazoo wire differential",
           (NODE + "watches.rs", "self.table(table).modes(key, slot) & !STANDARD;", "self.table(table).modes(key, slot);")),
    Mutant("recursive-watch", "persistent recursive watches do not hear of descendants", "java zkcli curator rust differential",
           (NODE + "watches.rs", "if table == Table::Child || self.data.recursive == 0 {", "if table == Table::Child || self.data.recursive < 1_000_000 {")),
    Mutant("event-acl", "events go to connections that may not read the node", "java differential",
           (NODE + "shard/handle.rs", "if !config.policy.allows(event.acl, perms::READ, &conn.ids) {", "if event.acl.len() > 1_000 && config.policy.skip_acl {")),
    Mutant("event-order", "the events of a write follow its reply", "wire differential",
           (NODE + "shard/handle.rs", "            self.fire(entry, change);\n", ""),
           (NODE + "shard/handle.rs", "        if entry.result == TxnResult::SessionClosed\n            && let",
            "        for change in changes {\n            self.fire(entry, change);\n        }\n        if entry.result == TxnResult::SessionClosed\n            && let")),
    Mutant("set-watches", "setWatches registers nothing", "java c go rust differential",
           (NODE + "shard/set_watches.rs", "    if missed.is_none() {\n", "    if missed.is_none() && path.is_empty() {\n")),
    Mutant("catch-up", "setWatches does not report missed changes of data", "java c wire differential",
           (NODE + "shard/set_watches.rs", "(stat.mzxid > relative).then_some(EventType::NodeDataChanged)", "(stat.mzxid.0 == -7).then_some(EventType::NodeDataChanged)")),
    Mutant("remove-watches", "removeWatches answers, but removes nothing", "java c rust differential",
           (NODE + "watches.rs", "        self.data.set(&key, slot, before.0 & !data);\n        self.child.set(&key, slot, before.1 & !child);\n", "")),
    # --- sessions and order ----------------------------------------------------------------------------------------
    Mutant("close-keeps", "ephemerals outlive their session", CLIENTS + "curator cli-mt cli:durability cli:expiry differential",
           (TREE + "apply.rs", "        // A listed node may be gone already; Apache ignores that too.\n        let _ = delete(store, header, path, changes);",
            "        let _ = (path, &mut *changes);"),
           (TREE + "apply.rs", "    for path in store.ephemerals(header.session) {", "    for path in store.ephemerals(ostler_model::SessionId::NONE) {")),
    Mutant("no-expiry", "sessions never expire", "java zkcli cli:durability cli:expiry",
           (NODE + "replica/expiry.rs", "for session in self.sessions.due(now.mono_ms) {", "for session in self.sessions.due(0) {")),
    Mutant("false-expiry", "a server that stood still expires sessions before it reads its sockets", "cli:expiry",
           (NODE + "replica/expiry.rs", "if gap_ms > self.config.tick_time_ms &&", "if gap_ms > u64::MAX - 1 &&"),
           (NODE + "replica/expiry.rs", "match self.sessions.get(session).and_then(|state| state.conn) {",
            "match self.sessions.get(session).and_then(|state| state.conn).filter(|_| now.mono_ms == 0) {"),
           (SERVER + "turn.rs", "            if gap {\n", "            if gap && events.is_empty() {\n"),
           (SERVER + "turn.rs", "            if stopping_until.is_none() {\n                self.read(", "            if stopping_until.is_none() && !gap {\n                self.read(")),
    # (The Go and Rust clients cannot be given another password.)
    Mutant("password", "any password resumes a session", "java c kazoo wire cli:durability",
           (NODE + "shard/handshake.rs", "let password_ok = request.password == session_password(session);",
            "let password_ok = request.password.len() <= 16 || request.password == session_password(session);")),
    Mutant("timeouts", "session time-outs are not clamped", "java c wire differential",
           (NODE + "shard/handshake.rs", "request.timeout_ms.clamp(config.min_session_timeout_ms, config.max_session_timeout_ms)",
            "request.timeout_ms.clamp(1, i32::MAX / 2)")),
    Mutant("moved", "a session that moved stays with its old connection too", "kazoo wire",
           (NODE + "replica/receive.rs", "            streams[old.shard()].push(Item::Evict(old));\n            self.probed_conn_gone(session);",
            "            let _ = (old, &streams);\n            self.probed_conn_gone(session);")),
    # (No client looks at the zxid of a ping's answer.)
    Mutant("pong-zxid", "pings are answered with a zxid of the future", "wire differential",
           (NODE + "shard/requests.rs", "Some(OpCode::Ping) => encode_error(out, ReplyHeader::PING_XID, zxid, None),",
            "Some(OpCode::Ping) => encode_error(out, ReplyHeader::PING_XID, Zxid(zxid.0 + 1_000_000), None),")),
    Mutant("read-overtakes", "reads overtake the writes pipelined before them", "java kazoo c rust differential cli:bad_input",
           (NODE + "shard/turn.rs", "if self.conn(slot).away.is_empty() || self.config.is_broken(Mutant::IgnoreAway) {", "if self.conn(slot).away.len() < 1_000_000 {")),
    # --- storage ---------------------------------------------------------------------------------------------------
    Mutant("no-fsync", "the log is written, but not synced", "durability",
           (STORE + "log/writer.rs", """            open.file.sync().map_err(StoreError::io("sync", &open.path))?;
            self.sync_time += start.elapsed();""", "            self.sync_time += start.elapsed();")),
    Mutant("early-ack", "writes are acknowledged before they are in the log", "durability kill-loop",
           (SERVER + "log_thread.rs", "        let mut snapshot_due = false;\n        for append in records {",
            "        if let Some(last) = records.last() {\n            self.shared.synced.store(last.zxid.0, Ordering::SeqCst);\n"
            "            self.doorbell.ring();\n            std::thread::sleep(Duration::from_millis(3));\n        }\n"
            "        let mut snapshot_due = false;\n        for append in records {")),
    Mutant("log-hole", "one record in 200 is acknowledged, but not written", "storage kill-loop cli:durability",
           (STORE + "log/writer.rs", "        frame(&mut self.buffer, payload);", "        if zxid.0 % 200 != 199 {\n            frame(&mut self.buffer, payload);\n        }")),
    Mutant("log-cversion", "the log has another cversion than the tree", "storage",
           ("crates/wire/src/txn.rs", "jute::put_int(out, create.parent_cversion);", "jute::put_int(out, create.parent_cversion.wrapping_add(1));")),
    Mutant("snapshot-mtime", "snapshots have the time of creation as that of modification", "storage",
           (STORE + "snapshot/encode.rs", "stat.mtime.to_be_bytes()", "stat.ctime.to_be_bytes()")),
    Mutant("sessions-lost", "sessions do not survive a restart", "storage kill-loop cli:durability",
           (NODE + "replica.rs", "for (session, timeout_ms) in tree.sessions() {", "for (session, timeout_ms) in tree.sessions().take(0) {")),
    Mutant("corrupt-cut", "a wrong checksum is taken for the end of the log", "cli:durability",
           (STORE + "log/reader.rs", "if has_zero_sector(&self.buffer[payload.clone()], self.base + payload.start as u64) {",
            "if payload.start > 0 {"),
           (STORE + "log/reader.rs", "            if let Some(at) = chunk[..got].iter().position(|byte| *byte != 0) {",
            "            if let Some(at) = chunk[..got].iter().position(|byte| *byte != 0).filter(|at| *at > got) {")),
    Mutant("no-lock", "two servers may use one directory", "cli:durability",
           (STORE + "lock.rs", "        Err(Errno::WOULDBLOCK) => {", "        Err(Errno::WOULDBLOCK) if dir.as_os_str().is_empty() => {"),
           (STORE + "lock.rs", "        Err(error) => return Err(StoreError::Io { action: \"lock\", path, source: error.into() }),",
            "        Err(Errno::WOULDBLOCK) => {}\n        Err(error) => return Err(StoreError::Io { action: \"lock\", path, source: error.into() }),")),
    Mutant("full-disk", "a log that cannot be written does not stop the server", "cli:durability",
           (SERVER + "log_thread.rs", "    std::process::exit(i32::from(crate::config::EXIT_FAILURE));", "    loop {\n        std::thread::park();\n    }")),
    Mutant("purge-all", "autopurge keeps one snapshot", "cli:durability",
           (STORE + "purge.rs", ".take(retain.max(RETAIN_MIN));", ".take(retain.min(1).min(RETAIN_MIN));")),
    # --- ensembles (crates/sim has its own breaks: docs/simulation.md) ------------------------------------------------
    Mutant("learner-skips", "a learner leaves out one proposal in 16", "ensemble faults",
           (ZAB + "learner/broadcast.rs", "        if !last.is_followed_by(zxid) {", "        if zxid.0 % 16 == 15 {\n            return Ok(());\n        }\n        if !last.is_followed_by(zxid) {")),
    Mutant("lonely-commit", "a leader commits what only it has", "faults",
           (ZAB + "leader/broadcast.rs", "        quirks.commit_without_quorum\n            || state.configs", "        quirks.commit_without_quorum\n            || acked.get(&state.settings.me).is_some_and(|it| *it >= zxid)\n            || state.configs")),
    Mutant("blind-observers", "a leader tells observers nothing of what it commits", "ensemble quorum",
           (ZAB + "leader/broadcast.rs", "self.links.iter_mut().filter(|(_, link)| link.is_active())", "self.links.iter_mut().filter(|(_, link)| link.is_active() && !link.observer)")),
    Mutant("no-commit", "a leader does not tell one follower in two what is committed", "ensemble quorum faults",
           (ZAB + "leader/broadcast.rs", "self.links.iter_mut().filter(|(_, link)| link.is_active())", "self.links.iter_mut().filter(|(id, link)| link.is_active() && id.0 % 2 == 0)")),
    Mutant("uptodate-zxid", "UPTODATE carries a zxid", "quorum",
           (WIRE + "quorum/to_learner.rs", "packet::put(out, kind::UP_TO_DATE, NO_ZXID, None)", "packet::put(out, kind::UP_TO_DATE, Zxid(0), None)")),
    Mutant("ping-empty", "a follower does not tell which sessions it has heard of", "quorum",
           (NODE + "member/effects.rs", "parts.replica.take_touches().into_iter();", "parts.replica.take_touches().into_iter().take(0);")),
    Mutant("trunc-keeps", "a learner that is told to cut its log keeps the first transaction behind the point", "quorum",
           (ZAB + "learner/sync.rs", "if state.settings.quirks.truncate_one_less && zxid >= state.window.base() {", "if zxid >= state.window.base() {")),
    Mutant("config-unsaved", "changes of the ensemble are acknowledged, but not written down", "cli:reconfiguration",
           (SERVER + "peers/disk.rs", "            files.save(ensemble, *committed)?;", "            let _ = (files, ensemble, committed);")),
    Mutant("ports-stay", "a reconfiguration does not move the ports between servers", "cli:reconfiguration",
           (SERVER + "peers/mod.rs", "if self.home.moved(&ensemble) {", "if self.home.moved(&ensemble) && parts.now.mono_ms == u64::MAX {")),
    # --- the rim -----------------------------------------------------------------------------------------------------
    Mutant("whitelist", "every four-letter word is answered", "cli:words",
           (SERVER + "words/mod.rs", "self.whitelist.all || self.whitelist.words.iter()", "!word.is_empty() || self.whitelist.words.iter()")),
    Mutant("words-shape", "srvr has one line less", "cli:words",
           (SERVER + "words/info.rs", "Node count: ", "Nodes: ")),
    Mutant("frame-limit", "frames may be larger than jute.maxbuffer", "cli:bad_input",
           (NODE + "shard/buffer.rs", "(least..=most).contains(&length)", "(least..=most.max(64 << 20)).contains(&length)")),
    Mutant("connection-limit", "maxClientCnxns has no effect", "cli:bad_input",
           (NODE + "shard.rs", "full(self.config.connections_per_address_max, *of_address)", "full(0, *of_address)")),
    Mutant("half-open", "connections without a handshake are never closed", "cli:bad_input",
           (NODE + "shard.rs", "filter(|(at, _)| *at <= self.now.mono_ms)", "filter(|(at, _)| *at > u64::MAX - 1)")),
    Mutant("slow-reader", "output for clients that do not read has no bound", "cli:bad_input",
           (NODE + "shard/turn.rs", "if conn.output.len() > limits::OUTPUT_SOFT_MAX {", "if conn.output.len() > (1 << 40) {")),
    Mutant("delete-container", "clients may delete any node as the sweeper does", "wire cli:bad_input",
           (NODE + "shard/turn.rs", "Some(Create | Create2 | CreateContainer | CreateTtl | Delete |", "Some(Create | Create2 | CreateContainer | CreateTtl | Delete | OpCode::DeleteContainer |"),
           (TREE + "sweep.rs", "Owner::Persistent | Owner::Session(_) => false,", "Owner::Persistent | Owner::Session(_) => true,")),
]
