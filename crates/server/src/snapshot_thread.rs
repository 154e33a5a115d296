//! Snapshots: the loop walks the tree in small steps and encodes nodes into chunks; a thread compresses, checksums,
//! writes and names the file (storage.md section 4.3, rules.md section 3).
//!
//! The loop never waits: while the thread is behind by [`CHUNKS_MAX`] chunks, the walk pauses. The tree of a standalone
//! server contains only what is durable in the log, so that a finished snapshot may be named at once. A member's is named
//! by its disk thread, in order with everything else that changes the history (rules.md 1.6).

use crate::error::ServerError;
use ostler_model::{Zxid, limits};
use ostler_store::{
    DataDirs, RealDisk, SealedSnapshot, SnapshotFile, SnapshotFormat, StoreError, encode_node,
    encode_snapshot_start_part,
};
use ostler_tree::{Tree, Walk};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// Chunks waiting for the thread before the walk pauses.
const CHUNKS_MAX: usize = 4;
/// A chunk is handed over when it has this many bytes.
const CHUNK_BYTES: usize = 256 << 10;

enum Message {
    Start(Zxid),
    Chunk(Vec<u8>),
    /// Zxid and digest of the tree when the walk was over.
    End(Zxid, i64),
}

/// How a snapshot ended.
#[derive(Debug)]
pub struct SnapshotDone {
    /// The zxid in its name.
    pub zxid: Zxid,
    /// Nodes written.
    pub nodes: u64,
    /// From the first step of the walk to the name.
    pub took_ms: u64,
    /// What became of the file, or why there is none.
    pub result: Result<Finished, StoreError>,
}

/// A snapshot on disk.
#[derive(Debug)]
pub enum Finished {
    /// Named; its length.
    Named(u64),
    /// To be named by whoever orders the history.
    Unnamed(Written),
}

/// A snapshot without a name.
#[derive(Debug)]
pub struct Written {
    /// Whole and durable.
    pub snapshot: SealedSnapshot<RealDisk>,
    /// Its length.
    pub bytes: u64,
}

/// Who names snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// The snapshot thread, at once.
    AtOnce,
    /// Somebody else.
    Later,
}

/// A snapshot under way.
struct Running {
    walk: Walk,
    zxid: Zxid,
    started: Instant,
    nodes: u64,
    chunk: Vec<u8>,
    /// What the channel did not take yet.
    unsent: Option<Message>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The walk copies sessions and ACLs.
    Gathering,
    /// They are encoded, from this row on.
    Starting(usize),
    Walking,
    /// The last chunk is on its way, then comes the end.
    Ending,
    /// Everything was handed over.
    Writing,
}

/// The loop's end of the snapshot thread, and the walk.
pub struct Snapshots {
    to_thread: Option<SyncSender<Message>>,
    from_thread: Receiver<Result<Finished, StoreError>>,
    /// Results to come of snapshots that nobody wants any more.
    unwanted: usize,
    thread: Option<JoinHandle<()>>,
    running: Option<Running>,
}

impl Snapshots {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        dirs: DataDirs,
        format: SnapshotFormat,
        naming: Naming,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Snapshots, ServerError> {
        let (to_thread, messages) = sync_channel(CHUNKS_MAX);
        let (results, from_thread) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || write_files(&dirs, format, naming, &messages, &results, wake))
            .map_err(ServerError::system("start the snapshot thread"))?;
        Ok(Snapshots { to_thread: Some(to_thread), from_thread, unwanted: 0, thread: Some(thread), running: None })
    }

    /// True while one is under way.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins one of the tree as it is now.
    pub fn begin(&mut self, tree: &Tree) {
        self.begin_as(tree, tree.zxid());
    }

    /// Gives up the one under way; its file is overwritten or thrown away.
    pub fn abort(&mut self) {
        let Some(running) = self.running.take() else { return };
        let ended = running.stage == Stage::Writing && running.unsent.is_none();
        self.unwanted += usize::from(ended);
    }

    /// As [`Snapshots::begin`], under another name: the zxid that the leader gave to what the tree contains.
    pub fn begin_as(&mut self, tree: &Tree, zxid: Zxid) {
        assert!(self.running.is_none(), "one snapshot at a time");
        let (walk, chunk) = (tree.begin_walk(), fresh_chunk());
        let (nodes, stage) = (0, Stage::Gathering);
        self.running = Some(Running { zxid, walk, started: Instant::now(), nodes, chunk, unsent: None, stage });
        self.send(Message::Start(zxid));
    }

    /// One step of the walk, if the thread keeps up. True: there is more to do at once.
    pub fn step(&mut self, tree: &Tree) -> bool {
        let Some(running) = &mut self.running else { return false };
        if let Some(message) = running.unsent.take()
            && !self.send(message)
        {
            return false;
        }
        let Some(running) = &mut self.running else { return false };
        match running.stage {
            Stage::Gathering => {
                if running.walk.gather(tree, limits::SNAPSHOT_STEP_NODES_MAX) {
                    running.stage = Stage::Starting(0);
                }
                true
            }
            Stage::Starting(row) => {
                let (chunk, most) = (&mut running.chunk, limits::SNAPSHOT_STEP_NODES_MAX);
                running.stage = match encode_snapshot_start_part(chunk, &running.walk, row, most) {
                    Some(row) => Stage::Starting(row),
                    None => Stage::Walking,
                };
                if running.chunk.len() < CHUNK_BYTES {
                    return true;
                }
                let chunk = std::mem::replace(&mut running.chunk, fresh_chunk());
                self.send(Message::Chunk(chunk))
            }
            Stage::Walking => {
                let (chunk, nodes) = (&mut running.chunk, &mut running.nodes);
                let last = running.walk.step(tree, limits::SNAPSHOT_STEP_NODES_MAX, |node| {
                    encode_node(chunk, &node);
                    *nodes += 1;
                });
                if last {
                    running.stage = Stage::Ending;
                }
                if last || running.chunk.len() >= CHUNK_BYTES {
                    let fresh = if last { Vec::new() } else { fresh_chunk() };
                    let chunk = std::mem::replace(&mut running.chunk, fresh);
                    return self.send(Message::Chunk(chunk));
                }
                true
            }
            Stage::Ending => {
                running.stage = Stage::Writing;
                let end = tree.zxid().max(running.zxid);
                self.send(Message::End(end, tree.digest()));
                false
            }
            Stage::Writing => false,
        }
    }

    /// False: the channel is full, and the message waits.
    fn send(&mut self, message: Message) -> bool {
        let Some(sender) = &self.to_thread else { return false };
        match sender.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(message)) => {
                if let Some(running) = &mut self.running {
                    running.unsent = Some(message);
                }
                false
            }
            // The thread ends a failed snapshot with a result and goes on; it is gone only when it panicked.
            Err(TrySendError::Disconnected(_)) => panic!("the snapshot thread is gone"),
        }
    }

    /// The snapshot that ended since the last call.
    pub fn finished(&mut self) -> Option<SnapshotDone> {
        let result = loop {
            match self.from_thread.try_recv() {
                Ok(Ok(Finished::Unnamed(unwanted))) if self.unwanted > 0 => {
                    self.unwanted -= 1;
                    // It has no name, so that nobody reads it; the next start removes what cannot be removed now.
                    let _ = unwanted.snapshot.discard();
                }
                Ok(_) if self.unwanted > 0 => self.unwanted -= 1,
                Ok(result) => break result,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => panic!("the snapshot thread is gone"),
            }
        };
        let running = self.running.take()?;
        Some(SnapshotDone {
            zxid: running.zxid,
            nodes: running.nodes,
            took_ms: running.started.elapsed().as_millis() as u64,
            result,
        })
    }

    /// Ends the thread. A snapshot under way is given up; its temporary file is removed by the next recovery.
    pub fn stop(mut self) {
        self.to_thread = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already aborted the process.
            let _ = thread.join();
        }
    }
}

fn fresh_chunk() -> Vec<u8> {
    Vec::with_capacity(CHUNK_BYTES + (CHUNK_BYTES >> 2))
}

fn write_files(
    dirs: &DataDirs,
    format: SnapshotFormat,
    naming: Naming,
    messages: &Receiver<Message>,
    results: &SyncSender<Result<Finished, StoreError>>,
    wake: impl Fn(),
) {
    let mut number = 0;
    let mut file: Option<SnapshotFile<RealDisk>> = None;
    while let Ok(message) = messages.recv() {
        let outcome = match (message, file.take()) {
            (Message::Start(zxid), _) => {
                number += 1;
                let created = match naming {
                    Naming::AtOnce => SnapshotFile::create(&RealDisk, dirs, zxid, format),
                    // One of the same zxid may be waiting for its name.
                    Naming::Later => SnapshotFile::create_numbered(&RealDisk, dirs, zxid, format, number),
                };
                created.map(|open| file = Some(open))
            }
            (Message::Chunk(chunk), Some(mut open)) => open.write(&chunk).map(|()| file = Some(open)),
            (Message::End(zxid, digest), Some(open)) => {
                let finish = |snapshot: SealedSnapshot<RealDisk>| match naming {
                    Naming::AtOnce => snapshot.publish().map(Finished::Named),
                    Naming::Later => Ok(Finished::Unnamed(Written { bytes: snapshot.bytes(), snapshot })),
                };
                open.seal(zxid, digest).and_then(finish).map(|finished| report(results, Ok(finished)))
            }
            // What was on its way when a snapshot failed, up to the next start.
            (Message::Chunk(_) | Message::End(..), None) => Ok(()),
        };
        if let Err(error) = outcome {
            report(results, Err(error));
        }
        // There is room in the channel again, or a result: the loop goes on with the walk.
        wake();
    }
}

fn report(results: &SyncSender<Result<Finished, StoreError>>, result: Result<Finished, StoreError>) {
    // Nobody listens only when the server stops.
    let _ = results.send(result);
}
