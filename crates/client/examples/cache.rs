//! A part of the tree in memory: `cargo run -p ostler-client --example cache -- 127.0.0.1:2181 /path` prints what is there
//! and then every change.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ostler_client::aio::Client;
use ostler_client::recipes::{Cache, CacheError, CacheEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), CacheError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".into());
    let path = std::env::args().nth(2).unwrap_or_else(|| "/".into());
    let client = Client::connect(&address).await?;
    let mut cache = Cache::tree(&client, &path).entries_max(100_000).start();
    while let Some(event) = cache.next().await {
        match event {
            CacheEvent::Created(entry) => println!("+ {} ({} bytes)", entry.path, entry.data.len()),
            CacheEvent::Changed { new, old } => {
                println!("~ {} (version {} to {})", new.path, old.stat.version, new.stat.version);
            }
            CacheEvent::Deleted(entry) => println!("- {}", entry.path),
            CacheEvent::Loaded => println!("= {} znodes", cache.entries().len()),
            CacheEvent::Missed => println!("? changes too fast to print; {} znodes now", cache.entries().len()),
            CacheEvent::Ended(error) => return Err(error),
        }
    }
    Ok(())
}
