//! The recipes under contention, server crashes, expired sessions, and lost connections at every step.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod cache;
mod election;
#[path = "../embedded/mod.rs"]
mod embedded;
mod lock;
mod meeting;
mod once;
mod sharing;

use embedded::soon;
use ostler_client::aio::Client;
use ostler_test::{Cut, TestServer};

/// Waits until a znode has no children.
async fn until_empty(client: &Client, path: &str) {
    soon(async { while client.get_children(path).await.is_ok_and(|(names, _)| !names.is_empty()) {} }).await;
}

/// Runs something once for each step at which its connection can be lost, both ways, until a run has fewer steps than that.
/// Returns the number of cuts that happened.
async fn at_every_step(server: &TestServer, mut run: impl AsyncFnMut(Cut)) -> u32 {
    let mut cuts = 0;
    for kind in [Cut::Request, Cut::Reply] {
        for step in 1.. {
            let cut = kind(step);
            server.door().cut_at(cut);
            run(cut).await;
            if server.door().is_cut_planned() {
                break;
            }
            cuts += 1;
        }
        server.door().cut_at(Cut::Request(u32::MAX));
    }
    cuts
}
