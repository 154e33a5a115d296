//! Publish and subscribe: `cargo run -p ostler-client --example configuration -- 127.0.0.1:2181` follows a piece of
//! configuration; with a text behind the address it publishes that and ends.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ostler_client::aio::{Client, Error};
use ostler_client::recipes::Configuration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".into());
    let client = Client::connect(&address).await?;
    let configuration = Configuration::new(&client, "/example/settings");
    if let Some(text) = std::env::args().nth(2) {
        let stat = configuration.publish(text.as_bytes()).await?;
        println!("published as version {}", stat.version);
        client.close().await;
        return Ok(());
    }
    println!(
        "follows /example/settings; publish with: ostler_client example configuration -- {address} 'colour = red'"
    );
    let mut subscription = configuration.subscribe();
    loop {
        match subscription.next().await? {
            Some(entry) => println!("version {}: {}", entry.stat.version, String::from_utf8_lossy(&entry.data)),
            None => println!("there is none"),
        }
    }
}
