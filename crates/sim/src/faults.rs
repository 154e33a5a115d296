//! What goes wrong: at least twenty faults spread over the run, each with its end, then everything is healed.

use crate::heap::Micros;
use crate::settings::Settings;
use ostler_model::Dice;

/// Something goes wrong, or ends.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum Fault {
    /// SIGKILL; the process is started again after a while.
    Kill {
        server: usize,
        back_us: u64,
    },
    /// The operator stops it; a leader hands over.
    Stop {
        server: usize,
    },
    /// The machine loses power.
    PowerCut {
        server: usize,
        back_us: u64,
    },
    /// The machine stops inside the nth call of its disk from now.
    CrashAtCall {
        server: usize,
        nth: u64,
    },
    /// The nth call fails: an error of the device, or no space.
    DiskError {
        server: usize,
        nth: u64,
        full: bool,
    },
    SlowDisk {
        server: usize,
        factor: u64,
    },
    DiskAgain {
        server: usize,
    },
    SlowProcess {
        server: usize,
        factor: u64,
    },
    ProcessAgain {
        server: usize,
    },
    /// SIGSTOP until SIGCONT.
    Pause {
        server: usize,
        for_us: u64,
    },
    ClockJump {
        server: usize,
    },
    /// Nothing gets through from any of the one to any of the others.
    Partition {
        from: Vec<usize>,
        to: Vec<usize>,
        both_ways: bool,
    },
    SlowLinks {
        from: usize,
        to: usize,
        extra_us: u64,
    },
    NetworkAgain,
    /// Connections are reset; of some only one side hears.
    CutLinks {
        percent: u64,
    },
    ClientCrash {
        client: usize,
    },
    ClientClose {
        client: usize,
    },
    ClientMoves {
        client: usize,
    },
    ClientPause {
        client: usize,
        for_us: u64,
    },
}

/// Faults with their times, between `from` and `to`.
pub fn schedule(dice: &mut Dice, settings: &Settings, from: Micros, to: Micros) -> Vec<(Micros, Fault)> {
    let mut plan = Vec::new();
    let server_hosts: Vec<usize> = (0..settings.servers).collect();
    for _ in 0..settings.faults {
        let at = dice.between(from, to);
        let server = dice.index(settings.servers);
        let client = dice.index(settings.clients);
        let while_us = dice.long_tailed(1_500_000, 12_000_000);
        let mut until = |fault, end| {
            plan.push((at, fault));
            plan.push((at + while_us, end));
        };
        let back_us = dice.between(20_000, 4_000_000);
        match dice.below(if settings.reconfigures { 22 } else { 20 }) {
            0 | 1 => plan.push((at, Fault::Kill { server, back_us })),
            2 | 3 => plan.push((at, Fault::PowerCut { server, back_us })),
            4..=6 => plan.push((at, Fault::CrashAtCall { server, nth: dice.between(1, 60) })),
            7 => plan.push((at, Fault::DiskError { server, nth: dice.between(1, 40), full: dice.percent(50) })),
            8 => until(Fault::SlowDisk { server, factor: dice.between(10, 200) }, Fault::DiskAgain { server }),
            9 => until(Fault::SlowProcess { server, factor: dice.between(5, 100) }, Fault::ProcessAgain { server }),
            10 | 11 => {
                let timeout_us = u64::from(settings.session_timeout_ms) * 1_000;
                plan.push((at, Fault::Pause { server, for_us: dice.between(timeout_us / 10, timeout_us * 3 / 2) }));
            }
            12 => plan.push((at, Fault::ClockJump { server })),
            13 | 14 => until(partition(dice, settings, &server_hosts), Fault::NetworkAgain),
            15 => {
                let hosts = settings.servers + settings.clients;
                let (from, to) = (dice.index(hosts), dice.index(hosts));
                until(Fault::SlowLinks { from, to, extra_us: dice.between(50_000, 2_000_000) }, Fault::NetworkAgain);
            }
            16 | 17 => plan.push((at, Fault::CutLinks { percent: dice.pick(&[10, 40, 100]) })),
            18 => plan.push((
                at,
                match dice.below(3) {
                    0 => Fault::ClientCrash { client },
                    1 => Fault::ClientClose { client },
                    _ => Fault::ClientPause { client, for_us: while_us },
                },
            )),
            19 => plan.push((at, Fault::ClientMoves { client })),
            _ => plan.push((at, Fault::Stop { server })),
        }
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}

/// Two groups of machines that do not reach each other: clients from servers, or servers from servers with a server or
/// client as a bridge.
fn partition(dice: &mut Dice, settings: &Settings, servers: &[usize]) -> Fault {
    let clients: Vec<usize> = (settings.servers..settings.servers + settings.clients).collect();
    let both_ways = dice.percent(50);
    if settings.servers == 1 || dice.percent(30) {
        let some: Vec<usize> = clients.into_iter().filter(|_| dice.percent(60)).collect();
        let (from, to) = if dice.percent(50) { (some, servers.to_vec()) } else { (servers.to_vec(), some) };
        return Fault::Partition { from, to, both_ways };
    }
    let mut order = servers.to_vec();
    dice.shuffle(&mut order);
    let cut = dice.between(1, order.len() as u64 - 1) as usize;
    let bridge = usize::from(order.len() > 2 && dice.percent(30));
    let (from, to) = (order[..cut].to_vec(), order[(cut + bridge).min(order.len())..].to_vec());
    Fault::Partition { from, to, both_ways }
}
