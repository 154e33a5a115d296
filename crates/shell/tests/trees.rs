//! Subtrees as streams: their order, what is left out, and a mirror of another cluster.
#![allow(clippy::unwrap_used, reason = "tests")]

use clap::Args;
use ostler_client::aio::{Client, CreateMode};
use ostler_shell::commands::Command;
use ostler_shell::settings::Connection;
use ostler_shell::trees::live::Live;
use ostler_shell::trees::order;
use ostler_shell::{CommandError, Context, Mode, Output};
use ostler_test::TestServer;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parse<T: Args>(words: &[&str]) -> T {
    let matches = T::augment_args(clap::Command::new("test").no_binary_name(true)).get_matches_from(words);
    T::from_arg_matches(&matches).unwrap()
}

/// Runs a command at a server; its stdout and its end.
async fn run(server: &TestServer, command: Command) -> (String, Result<(), CommandError>) {
    let address = server.address();
    let mut context = Context::new(parse::<Connection>(&["--server", &address]));
    let stdout = Captured::default();
    let out = Output::new(Mode::Json, false, Box::new(stdout.clone()), Box::new(io::sink()));
    let result = command.run(&mut context, &out).await;
    context.close().await;
    let text = String::from_utf8(stdout.0.lock().unwrap().clone()).unwrap();
    (text, result)
}

async fn fill(client: &Client, count: usize) {
    client.create("/app", b"", CreateMode::Persistent).await.unwrap();
    let mut paths: Vec<String> = (0..10).map(|n| format!("/app/{n}")).collect();
    paths.extend((0..count).map(|n| format!("/app/{}/{n}", n % 10)));
    let calls: Vec<_> = paths.iter().map(|path| client.create(path, path.as_bytes(), CreateMode::Persistent)).collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_live_tree_comes_in_order_without_ephemerals_and_the_servers_own() {
    let server = TestServer::start();
    let client = Client::connect(&server.address()).await.unwrap();
    fill(&client, 500).await;
    client.create("/app/3/here", b"x", CreateMode::Ephemeral).await.unwrap();
    let mut live = Live::new(&client, "/", true, false);
    let mut paths = Vec::new();
    while let Some(node) = live.next().await.unwrap() {
        assert_eq!(node.acl.unwrap().len(), 1);
        paths.push(node.path);
    }
    assert_eq!((paths.len(), live.skipped), (512, 1));
    assert!(paths.is_sorted_by(|a, b| order(a, b).is_lt()), "{paths:?}");
    assert!(paths.iter().all(|path| !path.contains("zookeeper")));
    let mut all = Live::new(&client, "/app", false, true);
    let mut here = None;
    while let Some(node) = all.next().await.unwrap() {
        here = here.or(node.data.filter(|_| node.path == "/3/here"));
    }
    assert_eq!(here.as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn a_mirror_of_another_cluster_is_the_same() {
    let (one, other) = (TestServer::start(), TestServer::start());
    let client = Client::connect(&one.address()).await.unwrap();
    fill(&client, 300).await;
    let there = format!("zk://{}/app", other.address());
    let (text, result) = run(&one, Command::Cp(parse(&["/app", &there]))).await;
    result.unwrap();
    assert!(text.contains("\"added\":311"), "{text}");
    assert_eq!(run(&one, Command::Diff(parse(&["/app", &there]))).await.0, "");
    // Changed, gone and new here; new there.
    client.set_data("/app/1/1", b"changed", -1).await.unwrap();
    client.delete("/app/2/2", -1).await.unwrap();
    client.create("/app/new", b"", CreateMode::Persistent).await.unwrap();
    let far = Client::connect(&other.address()).await.unwrap();
    far.create("/app/7/extra", b"", CreateMode::Persistent).await.unwrap();
    far.create("/app/7/extra/below", b"", CreateMode::Persistent).await.unwrap();
    let (text, result) = run(&one, Command::Diff(parse(&["/app", &there]))).await;
    assert_eq!(text.lines().count(), 5, "{text}");
    assert_eq!(result.unwrap_err().exit_code(), 1);
    let (text, result) = run(&one, Command::Mirror(parse(&["--yes", "/app", &there]))).await;
    result.unwrap();
    assert!(text.contains("\"added\":1,\"changed\":1,\"deleted\":3"), "{text}");
    let (text, result) = run(&one, Command::Diff(parse(&["/app", &there]))).await;
    assert_eq!(text, "");
    result.unwrap();
    assert_eq!(far.get_data("/app/1/1").await.unwrap().0, b"changed");
}
