//! The log thread of all three: takes everything queued, one write, one fdatasync, one message back.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};

/// A record as long as that of a setData with 46 bytes.
const RECORD: [u8; 130] = [1; 130];

#[derive(Default)]
struct Queue {
    records: u64,
    idle: bool,
}

#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Queue>, Condvar)>);

impl Log {
    /// Starts the thread; `synced` is called with the number of records that are durable now.
    pub fn start(mut synced: impl FnMut(u64) + Send + 'static) -> Log {
        let log = Log::default();
        let shared = log.clone();
        std::thread::spawn(move || {
            let path = std::env::temp_dir().join(format!("spike-log-{}", std::process::id()));
            let mut file = File::create(&path).expect("log file");
            file.set_len(1 << 30).expect("preallocate");
            std::fs::remove_file(&path).expect("unlink");
            let mut bytes = Vec::new();
            let mut total = 0;
            loop {
                let (queue, filled) = &*shared.0;
                let mut queue = queue.lock().expect("lock");
                while queue.records == 0 {
                    queue.idle = true;
                    queue = filled.wait(queue).expect("wait");
                }
                queue.idle = false;
                let records = std::mem::take(&mut queue.records);
                drop(queue);
                bytes.clear();
                for _ in 0..records {
                    bytes.extend_from_slice(&RECORD);
                }
                file.write_all(&bytes).expect("write");
                file.sync_data().expect("fdatasync");
                total += records;
                synced(total);
            }
        });
        log
    }

    pub fn push(&self, records: u64) {
        if records == 0 {
            return;
        }
        let (queue, filled) = &*self.0;
        let mut queue = queue.lock().expect("lock");
        queue.records += records;
        let wake = std::mem::replace(&mut queue.idle, false);
        drop(queue);
        if wake {
            filled.notify_one();
        }
    }
}
