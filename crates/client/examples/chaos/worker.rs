//! A process of holders: sessions, and on each of them contenders for locks and elections, again and again, until stdin
//! ends. It prints one line with what it did, or what went wrong.

use crate::witness::{Passed, Trouble, pass};
use ostler_client::aio::{Client, Error, Zxid};
use ostler_client::recipes::{Candidate, Lock, Standing};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

pub const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// What a worker does: the arguments of its process.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Through the doors.
    pub address: String,
    /// Past them: for what holders do elsewhere.
    pub direct: String,
    pub number: usize,
    pub sessions: usize,
    /// Of each session.
    pub contenders: usize,
    pub locks: usize,
    pub elections: usize,
    /// Holders write unfenced.
    pub sabotage: bool,
}

#[derive(Default)]
struct Counts {
    through: AtomicU64,
    /// Refused, because the session was over.
    late: AtomicU64,
    sessions: AtomicU64,
}

#[derive(Default)]
struct World {
    counts: Counts,
    stop: AtomicBool,
}

impl Plan {
    pub fn arguments(&self) -> Vec<String> {
        let sabotage = usize::from(self.sabotage);
        let numbers = [self.number, self.sessions, self.contenders, self.locks, self.elections, sabotage];
        let texts = ["--worker".to_owned(), self.address.clone(), self.direct.clone()];
        texts.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }

    pub fn parse(arguments: &[String]) -> Option<Plan> {
        let number = |at: usize| arguments.get(at)?.parse().ok();
        Some(Plan {
            address: arguments.first()?.clone(),
            direct: arguments.get(1)?.clone(),
            number: number(2)?,
            sessions: number(3)?,
            contenders: number(4)?,
            locks: number(5)?,
            elections: number(6)?,
            sabotage: number(7)? == 1,
        })
    }

    #[tokio::main(flavor = "current_thread")]
    pub async fn run(self) {
        let world = Arc::new(World::default());
        let mut sessions = JoinSet::new();
        for session in 0..self.sessions {
            sessions.spawn(self.clone().session(session, Arc::clone(&world)));
        }
        // Whoever started this process ends it by closing its stdin.
        let stopping = Arc::clone(&world);
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            stopping.stop.store(true, Ordering::SeqCst);
        });
        while let Some(result) = sessions.join_next().await {
            if let Err(overlap) = result.expect("a session does not panic") {
                println!("OVERLAP {overlap}");
                std::process::exit(1);
            }
        }
        let Counts { through, late, sessions } = &world.counts;
        let number = |count: &AtomicU64| count.load(Ordering::SeqCst);
        println!("done {} {} {}", number(through), number(late), number(sessions));
    }

    /// One session after the other.
    async fn session(self, session: usize, world: Arc<World>) -> Result<(), String> {
        while !world.stop.load(Ordering::SeqCst) {
            let client = Client::builder(&self.address).session_timeout(SESSION_TIMEOUT).connect().await;
            // A session that is not over when the holder's is: as a resource that knows nothing of sessions.
            let outside = Client::builder(&self.direct).session_timeout(Duration::from_secs(40)).connect().await;
            let (Ok(client), Ok(outside)) = (client, outside) else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            world.counts.sessions.fetch_add(1, Ordering::SeqCst);
            let mut contenders = JoinSet::new();
            for contender in 0..self.contenders {
                let number = (self.number * self.sessions + session) * self.contenders + contender;
                let contender =
                    Contender { client: client.clone(), outside: outside.clone(), number, plan: self.clone() };
                contenders.spawn(contender.contend(Arc::clone(&world)));
            }
            while let Some(result) = contenders.join_next().await {
                match result.expect("a contender does not panic") {
                    Ok(()) => (),
                    Err(Trouble::Overlap(overlap)) => return Err(overlap),
                    Err(Trouble::Client(error)) if error.is_final() => (),
                    Err(Trouble::Client(error)) => return Err(format!("an error that nobody caused: {error}")),
                }
            }
            client.close().await;
        }
        Ok(())
    }
}

struct Contender {
    client: Client,
    outside: Client,
    number: usize,
    plan: Plan,
}

impl Contender {
    /// Holds again and again until the session is over. One in five stands for elections.
    async fn contend(self, world: Arc<World>) -> Result<(), Trouble> {
        let mut round = 0;
        while !world.stop.load(Ordering::SeqCst) {
            round += 1;
            let inside = async {
                // Most are quick; some give the next fault time to come.
                let wait = if (self.number + round).is_multiple_of(7) { 30 } else { 1 };
                tokio::time::sleep(Duration::from_millis(wait)).await;
            };
            let passed = match self.number % 5 {
                0 => self.lead(inside, &world).await?,
                _ => self.hold(inside, &world).await?,
            };
            match passed {
                None => (),
                Some(Passed::Through) => drop(world.counts.through.fetch_add(1, Ordering::SeqCst)),
                Some(Passed::Late) => drop(world.counts.late.fetch_add(1, Ordering::SeqCst)),
            }
        }
        Ok(())
    }

    async fn hold(&self, inside: impl Future<Output = ()>, world: &World) -> Turn {
        // Its number among those that want locks.
        let lock = (self.number / 5 * 4 + self.number % 5 - 1) % self.plan.locks;
        let recipe = Lock::new(&self.client, &format!("/locks/{lock}"));
        let guard = tokio::select! {
            guard = recipe.acquire() => guard?,
            () = stopped(world) => return Ok(None),
        };
        let witness = format!("/witness/lock-{lock}");
        // Half of them write from elsewhere: fenced all the same, by a check of the holder's znode.
        let is_outside = self.plan.sabotage || self.number % 2 == 1;
        let fenced = || {
            let checked = if self.plan.sabotage { "/" } else { guard.path() };
            Some(if is_outside { self.outside.multi().check(checked, -1) } else { guard.fenced() })
        };
        let client = if is_outside { &self.outside } else { &self.client };
        let passed = pass(client, &witness, guard.token(), fenced, inside).await?;
        if passed == Passed::Through {
            guard.release().await?;
        }
        Ok(Some(passed))
    }

    async fn lead(&self, inside: impl Future<Output = ()>, world: &World) -> Turn {
        let election = self.number / 5 % self.plan.elections;
        let mut candidate = Candidate::stand(&self.client, &format!("/elections/{election}"), "worker");
        let token: Zxid = loop {
            let standing = tokio::select! {
                standing = candidate.next() => standing,
                () = stopped(world) => return Ok(None),
            };
            match standing {
                Some(Standing::Leader(token)) => break token,
                Some(Standing::Follower | Standing::Unsure) => (),
                Some(Standing::Ended(error)) => return Err(error.into()),
                None => return Err(Error::Closed { sent: false }.into()),
            }
        };
        let witness = format!("/witness/election-{election}");
        let passed = pass(&self.client, &witness, token, || candidate.fenced(), inside).await?;
        candidate.resign().await;
        Ok(Some(passed))
    }
}

/// What came of one turn, if it came.
type Turn = Result<Option<Passed>, Trouble>;

/// Waits for the end; a wait for a lock is given up then.
async fn stopped(world: &World) {
    while !world.stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
