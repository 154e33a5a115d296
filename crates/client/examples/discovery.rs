//! Service discovery: `cargo run -p ostler-client --example discovery -- 127.0.0.1:2181` follows the instances of a service;
//! with a port behind the address it registers an instance of it until it is stopped.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ostler_client::aio::{Client, Error};
use ostler_client::recipes::{Discovery, Presence, ServiceInstance};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".into());
    let client = Client::connect(&address).await?;
    let discovery = Discovery::new(&client, "/example/services");
    if let Some(port) = std::env::args().nth(2).and_then(|port| port.parse().ok()) {
        let instance = ServiceInstance::new("web", "127.0.0.1").port(port).payload(serde_json::json!({ "weight": 1 }));
        let mut registration = discovery.register(&instance).await?;
        println!("registered {}; Ctrl-C ends it", instance.id);
        while let Some(presence) = registration.next().await {
            match presence {
                Presence::There(_) => println!("others can see it"),
                Presence::Away => println!("somebody deleted it; it is made again"),
                Presence::Ended(error) => return Err(error),
            }
        }
        return Ok(());
    }
    let mut service = discovery.watch("web");
    loop {
        let instances = service.changed().await?;
        println!("{} instances", instances.len());
        for instance in instances {
            println!("  {} at {}:{}", instance.id, instance.address, instance.port.unwrap_or_default());
        }
    }
}
