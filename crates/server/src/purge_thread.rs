//! Autopurge: at the start and then every interval (storage.md section 6.4).

use crate::error::ServerError;
use ostler_store::{DataDirs, Disk, purge};
use std::time::Duration;
use tracing::{info, warn};

/// Starts the thread, which purges or has it done; it ends with the process (a purge that is cut off has removed some files
/// less).
///
/// # Errors
/// The system refuses a thread.
pub fn start(interval_hours: u32, mut purge: impl FnMut() + Send + 'static) -> Result<(), ServerError> {
    let interval = Duration::from_secs(u64::from(interval_hours) * 3600);
    std::thread::Builder::new()
        .name("purge".to_owned())
        .spawn(move || {
            loop {
                purge();
                std::thread::sleep(interval);
            }
        })
        .map_err(ServerError::system("start the purge thread"))?;
    Ok(())
}

/// Purges once, and tells of it.
pub fn run<D: Disk>(disk: &D, dirs: &DataDirs, retain: usize) {
    match purge(disk, dirs, retain) {
        Ok(purged) => {
            for path in &purged.removed {
                info!("Removing file: {}", path.display());
            }
            for (path, why) in &purged.failed {
                warn!("Failed to remove {}: {why}", path.display());
            }
            info!(removed = purged.removed.len(), retain, "purge done");
        }
        Err(error) => warn!("purge failed: {error}"),
    }
}
