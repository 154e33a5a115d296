//! Our side of `interop/run recipes`: does with our recipes what `interop/python/recipes_suite.py` asks on stdin, beside
//! Curator (`interop/java/src/RecipesPeer.java` takes the same commands) and kazoo.
//!
//! Each line is `NUMBER COMMAND ARGUMENT...`; the answer is `NUMBER ok RESULT` or `NUMBER error WHY`. Commands run at the same
//! time: one that waits for a lock does not keep the next from being heard. What is held has a handle.
#![allow(clippy::print_stdout, reason = "a program that answers on stdout")]

use ostler_client::aio::{Client, CreateMode, Retry};
use ostler_client::recipes::{
    Barrier, Candidate, Configuration, Counter, Discovery, DoubleBarrier, Format, Group, Inside, LeaderLatch,
    Leadership, Lock, LockGuard, Participant, PersistentNode, Queue, ReadWriteLock, Registration, Semaphore,
    ServiceInstance, Standing,
};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

type Answer = Result<String, Box<dyn Error + Send + Sync>>;

enum Held {
    Lock(LockGuard),
    Leadership(Leadership),
    Candidate(Candidate),
    Inside(Inside),
    Node(PersistentNode),
    Registration(Registration),
}

struct Peer {
    client: Client,
    held: Mutex<HashMap<String, Held>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: recipes_peer HOST:PORT")?;
    let peer = Arc::new(Peer { client: Client::connect(&address).await?, held: Mutex::default() });
    let (send, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let peer = Arc::clone(&peer);
        tokio::spawn(async move {
            let mut words = line.split(' ');
            let number = words.next().unwrap_or_default();
            let words: Vec<&str> = words.collect();
            match peer.run(&words).await {
                Ok(result) => println!("{number} ok {result}"),
                Err(error) => println!("{number} error {}", error.to_string().replace('\n', " ")),
            }
        });
    }
    peer.client.close().await;
    Ok(())
}

impl Peer {
    async fn run(&self, words: &[&str]) -> Answer {
        match words {
            ["acquire", kind, path, handle, rest @ ..] => {
                let held = self.acquire(kind, path, rest.first().copied().unwrap_or("")).await?;
                self.held.lock().expect("nothing panics").insert((*handle).to_owned(), held);
            }
            ["release", handle] => {
                let held =
                    self.held.lock().expect("nothing panics").remove(*handle).ok_or("nothing has this handle")?;
                release(held).await?;
            }
            ["work", kind, path, rounds, witness] => self.work(kind, path, rounds.parse()?, witness).await?,
            ["participants", kind, path] => return self.participants(kind, path).await,
            ["raise", path] => Barrier::new(&self.client, path).raise().await?,
            ["lower", path] => Barrier::new(&self.client, path).lower().await?,
            ["pass", path] => Barrier::new(&self.client, path).wait().await?,
            ["put", path, data] => Queue::new(&self.client, path).put(data.as_bytes()).await?,
            ["take", path] => return Ok(String::from_utf8(Queue::new(&self.client, path).take().await?)?),
            ["add", format, path, number] => {
                return Ok(self.counter(format, path)?.add(number.parse()?).await?.to_string());
            }
            ["number", format, path] => return Ok(self.counter(format, path)?.get().await?.to_string()),
            ["members", path] => {
                let members = Group::new(&self.client, path).watch().changed().await?;
                let one = |(name, data): (&String, &Vec<u8>)| format!("{name}={}", String::from_utf8_lossy(data));
                return Ok(members.iter().map(one).collect::<Vec<_>>().join(","));
            }
            ["publish", path, data] => {
                Configuration::new(&self.client, path).publish(data.as_bytes()).await?;
            }
            ["hear", path, data] => {
                let mut subscription = Configuration::new(&self.client, path).subscribe();
                while subscription.next().await?.is_none_or(|entry| entry.data != data.as_bytes()) {}
            }
            ["instances", base, service] => {
                let found = Discovery::new(&self.client, base).watch(service).changed().await?;
                let one = |instance: &ServiceInstance| String::from_utf8_lossy(&instance.to_json()).into_owned();
                return Ok(format!("[{}]", found.iter().map(one).collect::<Vec<_>>().join(",")));
            }
            ["services", base] => return Ok(Discovery::new(&self.client, base).names().await?.join(",")),
            _ => return Err(format!("no such command: {words:?}").into()),
        }
        Ok(String::new())
    }

    fn counter(&self, format: &str, path: &str) -> Result<Counter, Box<dyn Error + Send + Sync>> {
        let format = match format {
            "long" => Format::Long,
            "int" => Format::Int,
            "text" => Format::Text,
            other => return Err(format!("no such format: {other}").into()),
        };
        Ok(Counter::new(&self.client, path).format(format))
    }

    /// `argument`: a number of leases or members, a name, data or JSON.
    async fn acquire(&self, kind: &str, path: &str, argument: &str) -> Result<Held, Box<dyn Error + Send + Sync>> {
        let client = &self.client;
        Ok(match kind {
            "lock" => Held::Lock(Lock::new(client, path).named("ours").acquire().await?),
            "read" => Held::Lock(ReadWriteLock::new(client, path).named("ours").read().await?),
            "write" => Held::Lock(ReadWriteLock::new(client, path).named("ours").write().await?),
            "semaphore" => Held::Lock(Semaphore::new(client, path, argument.parse()?).acquire().await?),
            "latch" => Held::Leadership(LeaderLatch::new(client, path).named(argument).acquire().await?),
            "candidate" => {
                let mut candidate = Candidate::stand(client, path, argument);
                loop {
                    match candidate.next().await {
                        Some(Standing::Leader(_)) => break Held::Candidate(candidate),
                        Some(Standing::Ended(error)) => return Err(error.into()),
                        Some(_) => (),
                        None => return Err("it ended".into()),
                    }
                }
            }
            "double" => Held::Inside(DoubleBarrier::new(client, path, argument.parse()?).enter().await?),
            "node" => Held::Node(PersistentNode::create(client, path, argument.as_bytes()).await?),
            "member" => {
                let (name, data) = argument.split_once('=').ok_or("NAME=DATA")?;
                Held::Node(Group::new(client, path).join(name, data.as_bytes()).await?)
            }
            "instance" => {
                let instance = ServiceInstance::from_json(argument.as_bytes())?;
                Held::Registration(Discovery::new(client, path).register(&instance).await?)
            }
            other => return Err(format!("no such kind: {other}").into()),
        })
    }

    /// Acquires and releases again and again. Inside it makes a znode that only one can make.
    async fn work(
        &self,
        kind: &str,
        path: &str,
        rounds: u32,
        witness: &str,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        for _ in 0..rounds {
            let held = self.acquire(kind, path, "1").await?;
            self.client.create(witness, b"", CreateMode::Ephemeral).await?;
            Retry::default().run(|| self.client.delete(witness, -1)).await?;
            release(held).await?;
        }
        Ok(())
    }

    async fn participants(&self, kind: &str, path: &str) -> Answer {
        let participants = match kind {
            "latch" => LeaderLatch::new(&self.client, path).participants().await?,
            _ => Lock::new(&self.client, path).participants().await?,
        };
        let names: Vec<_> = participants.into_iter().map(|Participant { name, .. }| name).collect();
        Ok(names.join(","))
    }
}

async fn release(held: Held) -> Result<(), ostler_client::aio::Error> {
    match held {
        Held::Lock(guard) => guard.release().await,
        Held::Leadership(leadership) => leadership.resign().await,
        Held::Candidate(candidate) => {
            candidate.resign().await;
            Ok(())
        }
        Held::Inside(inside) => inside.leave().await,
        Held::Node(node) => node.remove().await,
        Held::Registration(registration) => registration.unregister().await,
    }
}
