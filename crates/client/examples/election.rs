//! Leader election: start it several times, kill the leader, watch another take over.
//! `cargo run -p ostler-client --example election -- 127.0.0.1:2181 host-1`.
//!
//! It stops leading when it is not sure any more, and opens a new session when the old one has ended.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ostler_client::aio::{Client, Error};
use ostler_client::recipes::{Candidate, Standing};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".into());
    let name = std::env::args().nth(2).unwrap_or_else(|| format!("process-{}", std::process::id()));
    loop {
        if let Err(error) = stand(&address, &name).await {
            println!("{name}: {error}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// As long as one session lives.
async fn stand(address: &str, name: &str) -> Result<(), Error> {
    let client = Client::connect(address).await?;
    let mut candidate = Candidate::stand(&client, "/example/leader", name);
    while let Some(standing) = candidate.next().await {
        match standing {
            Standing::Leader(token) => println!("{name}: leads; everything it does carries the token {token}"),
            Standing::Unsure => println!("{name}: lost its connection; stops until it is sure again"),
            Standing::Follower => {
                let leader = candidate.participants().await?.into_iter().next();
                println!("{name}: follows {}", leader.map_or_else(|| "nobody yet".into(), |leader| leader.name));
            }
            Standing::Ended(error) => return Err(error),
        }
    }
    Ok(())
}
