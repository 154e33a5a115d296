//! SIGTERM and SIGINT: the first asks for an orderly stop, a later one ends the process at once. What a supervisor sends
//! twice in a row (to the process and to its group, as timeout(1) does) is one request.

use crate::doorbell::Doorbell;
use crate::error::ServerError;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A signal so soon after the first is not another wish.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Set by the first signal.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// True once a stop was asked for.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for a stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Starts the thread that waits for signals.
///
/// # Errors
/// The system refuses the handlers or the thread.
pub fn watch(stop: StopFlag, doorbell: Arc<Doorbell>) -> Result<(), ServerError> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(ServerError::system("set up signal handlers"))?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                if first.get_or_insert_with(Instant::now).elapsed() > SAME_REQUEST {
                    std::process::exit(128 + signal);
                }
                stop.set();
                doorbell.ring();
            }
        })
        .map_err(ServerError::system("start the signal thread"))?;
    Ok(())
}
