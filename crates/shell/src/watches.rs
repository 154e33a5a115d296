//! The watches that commands have set: each is a task that prints what it hears.
//!
//! Setting the same watch again takes the place of the old one, so that an event is printed once, as in Apache's shell where
//! all watches belong to one watcher. One change that several kinds of watches hear is printed once for the same reason.

use crate::events::Event;
use crate::output::Output;
use ostler_client::aio::{WatchEvent, WatchOnce, Watcher};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Kinds of watches, as they are set and taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum WatchKind {
    /// Set by `get -w` and `stat -w`.
    Data,
    /// Set by `ls -w`.
    Children,
    /// Set by `addWatch -m PERSISTENT`.
    Persistent,
    /// Set by `addWatch`.
    Recursive,
}

/// The watches of a session's commands.
#[derive(Debug)]
pub struct Watches {
    tasks: BTreeMap<(String, WatchKind), JoinHandle<()>>,
    printer: Arc<Printer>,
}

/// Prints events, if they are wanted.
#[derive(Debug)]
struct Printer {
    wanted: AtomicBool,
    /// The events of the newest zxid that were printed.
    newest: Mutex<Vec<WatchEvent>>,
}

impl Printer {
    fn print(&self, out: &Output, event: &Event) {
        if let Event::Watch(event) = event {
            let mut newest = self.newest.lock().expect("nothing panics while it compares");
            newest.retain(|other| other.zxid == event.zxid);
            if event.zxid.0 >= 0 && newest.contains(event) {
                return;
            }
            newest.push(event.clone());
        }
        if self.wanted.load(Ordering::Relaxed) {
            out.event(event);
        }
    }
}

impl Default for Watches {
    fn default() -> Watches {
        let printer = Printer { wanted: AtomicBool::new(true), newest: Mutex::new(Vec::new()) };
        Watches { tasks: BTreeMap::new(), printer: Arc::new(printer) }
    }
}

impl Watches {
    /// Whether events are printed.
    pub fn are_printed(&self) -> bool {
        self.printer.wanted.load(Ordering::Relaxed)
    }

    /// Prints events from now on, or not.
    pub fn print(&mut self, wanted: bool) {
        self.printer.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Prints what a one-shot watch hears.
    pub fn once(&mut self, out: &Output, path: &str, kind: WatchKind, watch: WatchOnce) {
        let (out, printer) = (out.clone(), Arc::clone(&self.printer));
        self.task(path, kind, async move {
            if let Some(event) = watch.await {
                printer.print(&out, &Event::Watch(event));
            }
        });
    }

    /// Prints what a persistent watch hears.
    pub fn stays(&mut self, out: &Output, path: &str, kind: WatchKind, mut watcher: Watcher) {
        let (out, printer, at) = (out.clone(), Arc::clone(&self.printer), path.to_owned());
        self.task(path, kind, async move {
            while let Some(notice) = watcher.next().await {
                printer.print(&out, &Event::of_notice(notice, &at));
            }
        });
    }

    fn task(&mut self, path: &str, kind: WatchKind, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|_, task| !task.is_finished());
        if let Some(old) = self.tasks.insert((path.to_owned(), kind), tokio::spawn(task)) {
            old.abort();
        }
    }

    /// Takes watches of these kinds away from a path; the kinds that were there.
    pub async fn remove(&mut self, path: &str, kinds: &[WatchKind]) -> Vec<WatchKind> {
        self.tasks.retain(|_, task| !task.is_finished());
        let mut removed = Vec::new();
        for kind in kinds {
            if let Some(task) = self.tasks.remove(&(path.to_owned(), *kind)) {
                task.abort();
                // The watch is gone when the task is.
                let _ = task.await;
                removed.push(*kind);
            }
        }
        removed
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        std::mem::take(&mut self.tasks).into_values().for_each(|task| task.abort());
    }

    /// Waits until none is left: one-shot watches end with their event, all end with the session.
    pub async fn end(&mut self) {
        for (_, task) in std::mem::take(&mut self.tasks) {
            // A task that was taken away has nothing to say.
            let _ = task.await;
        }
    }
}
