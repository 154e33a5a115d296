//! A server on a thread of somebody else's process: no signal handlers, stopped by its handle. For tests.

use crate::boot::serve_until;
use crate::config::Loaded;
use crate::doorbell::Doorbell;
use crate::error::ServerError;
use crate::signals::StopFlag;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// A running server. Dropping it stops the server, in order.
#[derive(Debug)]
pub struct Embedded {
    stop: StopFlag,
    doorbell: Arc<Doorbell>,
    client_port: i32,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Embedded {
    /// Starts a server on a thread of its own and waits until its client port is open. (A log that cannot be written
    /// ends the process, as everywhere.)
    ///
    /// # Errors
    /// The server cannot start.
    pub fn start(loaded: Loaded) -> Result<Embedded, ServerError> {
        let stop = StopFlag::default();
        let (sender, ready) = mpsc::channel();
        let flag = stop.clone();
        let run = move || {
            serve_until(loaded, flag, |doorbell, port| {
                // The other side waits for it, so the send cannot fail.
                let _ = sender.send((doorbell, port));
                Ok(())
            })
        };
        let thread = std::thread::Builder::new().name("server".to_owned()).spawn(run);
        let thread = thread.map_err(ServerError::system("start the server's thread"))?;
        match ready.recv() {
            Ok((doorbell, client_port)) => Ok(Embedded { stop, doorbell, client_port, thread: Some(thread) }),
            // It ended before it was ready: its own words say why.
            Err(mpsc::RecvError) => match thread.join() {
                Ok(result) => Err(result.expect_err("a server that ends before it is ready has an error")),
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    }

    /// The port that clients connect to; -1 if the configuration names none.
    pub fn client_port(&self) -> i32 {
        self.client_port
    }

    /// True until the server has ended.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the server and waits for it.
    ///
    /// # Errors
    /// Its loop failed before.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServerError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.stop.set();
        self.doorbell.ring();
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has its own words; a second panic would hide them.
            self.stop.set();
            self.doorbell.ring();
        } else {
            let _ = self.end();
        }
    }
}
