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
    /// Number and zxid.
    Start(u64, Zxid),
    Chunk(Vec<u8>),
    /// Zxid and digest of the tree when the walk was over.
    End(Zxid, i64),
}

/// A result of the thread, behind the number of its snapshot.
type Numbered = (u64, Result<Finished, StoreError>);

/// How a snapshot ended.
#[derive(Debug)]
pub struct SnapshotDone {
    /// It was begun with [`Snapshots::begin_as`]: the server cannot go on without it.
    pub needed: bool,
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
    /// Tells its result from those of snapshots that were given up.
    number: u64,
    needed: bool,
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
    from_thread: Receiver<Numbered>,
    /// How many were begun; the number of the last one.
    begun: u64,
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
        Ok(Snapshots { to_thread: Some(to_thread), from_thread, begun: 0, thread: Some(thread), running: None })
    }

    /// True while one is under way.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins one of the tree as it is now.
    pub fn begin(&mut self, tree: &Tree) {
        self.start_walk(tree, tree.zxid(), false);
    }

    /// Gives up the one under way; its file is overwritten or thrown away, its result is for nobody.
    pub fn abort(&mut self) {
        self.running = None;
    }

    /// As [`Snapshots::begin`], under another name: the zxid that the leader gave to what the tree contains.
    pub fn begin_as(&mut self, tree: &Tree, zxid: Zxid) {
        self.start_walk(tree, zxid, true);
    }

    fn start_walk(&mut self, tree: &Tree, zxid: Zxid, needed: bool) {
        assert!(self.running.is_none(), "one snapshot at a time");
        self.begun += 1;
        let number = self.begun;
        let (walk, chunk, started) = (tree.begin_walk(), fresh_chunk(), Instant::now());
        let (nodes, stage, unsent) = (0, Stage::Gathering, None);
        self.running = Some(Running { number, needed, walk, zxid, started, nodes, chunk, unsent, stage });
        self.send(Message::Start(number, zxid));
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
            let (number, result) = match self.from_thread.try_recv() {
                Ok(numbered) => numbered,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => panic!("the snapshot thread is gone"),
            };
            if self.running.as_ref().is_some_and(|running| running.number == number) {
                break result;
            }
            if let Ok(Finished::Unnamed(unwanted)) = result {
                // It has no name, so that nobody reads it; the next start removes what cannot be removed now.
                let _ = unwanted.snapshot.discard();
            }
        };
        let running = self.running.take()?;
        Some(SnapshotDone {
            needed: running.needed,
            zxid: running.zxid,
            nodes: running.nodes,
            took_ms: running.started.elapsed().as_millis() as u64,
            result,
        })
    }

    /// Ends the thread. A snapshot under way is given up; its temporary file is removed by the next recovery.
    pub fn stop(self) {
        let Snapshots { to_thread, from_thread, thread, .. } = self;
        // The thread may be waiting for somebody to take a result.
        drop((to_thread, from_thread));
        if let Some(thread) = thread {
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
    results: &SyncSender<Numbered>,
    wake: impl Fn(),
) {
    let mut number = 0;
    let mut file: Option<SnapshotFile<RealDisk>> = None;
    while let Ok(message) = messages.recv() {
        let outcome = match (message, file.take()) {
            (Message::Start(begun, zxid), _) => {
                number = begun;
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
                open.seal(zxid, digest).and_then(finish).map(|finished| report(results, (number, Ok(finished))))
            }
            // What was on its way when a snapshot failed, up to the next start.
            (Message::Chunk(_) | Message::End(..), None) => Ok(()),
        };
        if let Err(error) = outcome {
            report(results, (number, Err(error)));
        }
        // There is room in the channel again, or a result: the loop goes on with the walk.
        wake();
    }
}

fn report(results: &SyncSender<Numbered>, result: Numbered) {
    // Nobody listens only when the server stops.
    let _ = results.send(result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_store::Disk;
    use ostler_tree::TreeConfig;
    use std::path::PathBuf;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// A thread over a directory that is not there, with its bell.
    fn without_directory(name: &str) -> (PathBuf, DataDirs, Snapshots, Receiver<()>) {
        let path = std::env::temp_dir().join(format!("ostler-snapshots-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let dirs = DataDirs::new(&path, None);
        let (bell, rings) = channel();
        let wake = move || {
            let _ = bell.send(());
        };
        let snapshots = Snapshots::start(dirs.clone(), SnapshotFormat::default(), Naming::Later, wake).unwrap();
        (path, dirs, snapshots, rings)
    }

    fn wait(rings: &Receiver<()>) {
        rings.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_failure_that_nobody_waits_for_is_not_taken_for_that_of_the_next_snapshot() {
        let (path, dirs, mut snapshots, rings) = without_directory("next");
        let tree = Tree::new(TreeConfig { seed: 1, digest: true });
        snapshots.begin(&tree);
        wait(&rings);
        snapshots.abort();
        dirs.prepare(&RealDisk, true).unwrap();
        snapshots.begin_as(&tree, Zxid(7));
        let done = loop {
            if let Some(done) = snapshots.finished() {
                break done;
            }
            if !snapshots.step(&tree) {
                wait(&rings);
            }
        };
        assert!(done.needed);
        assert_eq!(done.zxid, Zxid(7));
        let Finished::Unnamed(written) = done.result.unwrap() else { panic!("nobody may name it") };
        written.snapshot.publish().unwrap();
        assert!(RealDisk.list(&dirs.snapshots()).unwrap().iter().any(|entry| entry.name == "snapshot.7"));
        snapshots.stop();
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn results_that_nobody_takes_do_not_hold_up_the_end() {
        let (_, _, mut snapshots, rings) = without_directory("end");
        let tree = Tree::new(TreeConfig { seed: 1, digest: true });
        snapshots.begin(&tree);
        wait(&rings);
        snapshots.abort();
        snapshots.begin(&tree);
        snapshots.stop();
    }
}
