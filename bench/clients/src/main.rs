//! Pipelined gets through one handle: `ostler_client::aio` and the `zookeeper-client` crate in turn, against one server.
//!
//!     bench/clients/target/release/ostler-bench-clients ADDRESS SERVER_PID [SECONDS [ROUNDS [DEPTH [only]]]]
//!
//! Two shapes: one task that keeps DEPTH calls unanswered, and DEPTH tasks that each wait for their own; each on a runtime of one
//! thread and on one of two. For every run: operations per second, CPU time per operation of this process (with the
//! application's share) and of the server. Figures are kept in docs/performance.md.

use ostler_client::aio;
use std::collections::VecDeque;
use std::fs;
use std::future::Future;
use std::time::{Duration, Instant};
use zookeeper_client as zk;

const KEYS: usize = 1_000;
const SIZE: usize = 100;
const ROOT: &str = "/ostler-bench-clients";

#[derive(Clone)]
enum Handle {
    Ostler(aio::Client),
    Other(zk::Client),
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Window,
    Tasks,
}

#[derive(Clone, Copy)]
struct Cost {
    per_second: f64,
    own_us: f64,
    server_us: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, address, pid, rest @ ..] = &words[..] else {
        panic!("usage: {} ADDRESS SERVER_PID [SECONDS [ROUNDS [DEPTH [only]]]]", words[0])
    };
    let number = |at: usize, usual: f64| rest.get(at).map_or(usual, |word: &String| word.parse().expect("a number"));
    let (seconds, rounds, depth) = (number(0, 2.0), number(1, 3.0) as usize, number(2, 100.0) as usize);
    // For a profile of this library alone.
    let sides = if rest.get(3).is_some_and(|word| word == "only") { 1 } else { 2 };
    let pid = pid.parse().expect("a process id");
    println!(
        "gets of {SIZE} bytes, {depth} unanswered, one handle, {seconds} s each, medians of {rounds} rounds (all rounds)"
    );
    println!("| shape | threads | client | operations/s | client CPU us/op | server CPU us/op | client : server |");
    println!("|---|---|---|---|---|---|---|");
    for threads in [1, 2] {
        for shape in [Shape::Window, Shape::Tasks] {
            let mut costs: [Vec<Cost>; 2] = Default::default();
            for round in 0..rounds {
                let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
                for side in order.into_iter().filter(|side| *side < sides) {
                    costs[side].push(measure(address, pid, seconds, depth, shape, threads, side == 0));
                }
            }
            for (name, costs) in ["ostler_client::aio", "zookeeper-client 0.11.2"].iter().zip(costs).take(sides) {
                row(name, shape, threads, &costs);
            }
        }
    }
}

fn row(name: &str, shape: Shape, threads: usize, costs: &[Cost]) {
    let cell = |of: fn(&Cost) -> f64, digits: usize| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        let all: Vec<String> = values.iter().map(|value| format!("{value:.digits$}")).collect();
        values.sort_by(f64::total_cmp);
        format!("**{:.digits$}** ({})", values[values.len() / 2], all.join(", "))
    };
    println!(
        "| {shape:?} | {threads} | {name} | {} | {} | {} | {} |",
        cell(|cost| cost.per_second, 0),
        cell(|cost| cost.own_us, 2),
        cell(|cost| cost.server_us, 2),
        cell(|cost| cost.own_us / cost.server_us, 1),
    );
}

fn measure(address: &str, pid: u32, seconds: f64, depth: usize, shape: Shape, threads: usize, ours: bool) -> Cost {
    let runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    let runtime = runtime.expect("a runtime");
    let run = async {
        let handle = prepare(address, ours).await;
        load(&handle, Duration::from_secs_f64(seconds / 4.0), depth, shape).await;
        let (own, server, started) = (cpu_ns("self"), cpu_ns(&pid.to_string()), Instant::now());
        let operations = load(&handle, Duration::from_secs_f64(seconds), depth, shape).await as f64;
        let elapsed = started.elapsed().as_secs_f64();
        Cost {
            per_second: operations / elapsed,
            own_us: (cpu_ns("self") - own) as f64 / 1e3 / operations,
            server_us: (cpu_ns(&pid.to_string()) - server) as f64 / 1e3 / operations,
        }
    };
    // On the runtime's own threads: what block_on runs would be a thread more.
    match threads {
        1 => runtime.block_on(run),
        _ => runtime.block_on(run),
    }
}

async fn prepare(address: &str, ours: bool) -> Handle {
    let client = aio::Client::connect(address).await.expect("a server");
    let exists = |error: &aio::Error| error.code() == Some(aio::ErrorCode::NodeExists);
    let mut paths = vec![ROOT.to_owned()];
    paths.extend((0..KEYS).map(key));
    for path in paths {
        match client.create(&path, &[b'x'; SIZE], aio::CreateMode::Persistent).await {
            Err(error) if !exists(&error) => panic!("{error}"),
            _ => (),
        }
    }
    if ours { Handle::Ostler(client) } else { Handle::Other(zk::Client::connect(address).await.expect("a server")) }
}

fn key(number: usize) -> String {
    format!("{ROOT}/k{number:010}")
}

async fn load(handle: &Handle, time: Duration, depth: usize, shape: Shape) -> u64 {
    let paths: Vec<String> = (0..KEYS).map(key).collect();
    let end = Instant::now() + time;
    match (shape, handle) {
        (Shape::Window, Handle::Ostler(client)) => {
            window(
                &paths,
                depth,
                end,
                |path| client.get_data(path),
                |got| assert_eq!(got.expect("a reply").0.len(), SIZE),
            )
            .await
        }
        (Shape::Window, Handle::Other(client)) => {
            window(
                &paths,
                depth,
                end,
                |path| client.get_data(path),
                |got| assert_eq!(got.expect("a reply").0.len(), SIZE),
            )
            .await
        }
        (Shape::Tasks, _) => {
            let tasks: Vec<_> = (0..depth)
                .map(|first| {
                    let (handle, paths) = (handle.clone(), paths.clone());
                    tokio::spawn(async move {
                        let mut count = 0;
                        while Instant::now() < end {
                            for _ in 0..32 {
                                let path = &paths[(first + count as usize * 7) % KEYS];
                                let length = match &handle {
                                    Handle::Ostler(client) => client.get_data(path).await.expect("a reply").0.len(),
                                    Handle::Other(client) => client.get_data(path).await.expect("a reply").0.len(),
                                };
                                assert_eq!(length, SIZE);
                                count += 1;
                            }
                        }
                        count
                    })
                })
                .collect();
            let mut count = 0;
            for task in tasks {
                count += task.await.expect("it does not panic");
            }
            count
        }
    }
}

/// Both clients send when the method is called, so that the futures can wait unpolled in their order.
async fn window<'a, F: Future>(
    paths: &'a [String],
    depth: usize,
    end: Instant,
    get: impl Fn(&'a str) -> F,
    check: impl Fn(F::Output),
) -> u64 {
    let mut unanswered = VecDeque::with_capacity(depth);
    let mut count = 0_u64;
    loop {
        while unanswered.len() < depth {
            unanswered.push_back(get(&paths[count as usize * 7 % KEYS]));
            count += 1;
            if count % 32 == 0 && Instant::now() >= end {
                for call in unanswered {
                    check(call.await);
                }
                return count;
            }
        }
        check(unanswered.pop_front().expect("depth is above zero").await);
    }
}

fn cpu_ns(process: &str) -> u64 {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{process}/task")).expect("a process").flatten() {
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    sum
}
