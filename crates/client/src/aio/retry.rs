//! Repeating what can be repeated.

use crate::aio::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Repeats a call while its error is transient ([`Error::is_transient`]): for reads, and for writes that do the same when
/// they are done twice (setting data with version -1, not creating a sequential znode). The waits in between double, and
/// vary so that clients do not come all at once.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::aio::Retry;
/// server.door().cut_at(ostler_test::Cut::Reply(1));
/// let (names, _) = Retry::default().run(|| client.get_children("/")).await?;
/// assert_eq!(names, ["zookeeper"]);
/// assert!(!server.door().is_cut_planned());
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// The longest wait after the first attempt.
    pub first_wait: Duration,
    /// No wait is longer.
    pub wait_max: Duration,
}

impl Default for Retry {
    /// 8 attempts within about 6 s.
    fn default() -> Retry {
        Retry { attempts: 8, first_wait: Duration::from_millis(50), wait_max: Duration::from_secs(5) }
    }
}

impl Retry {
    /// Calls until it succeeds, fails for good, or the attempts are used up.
    ///
    /// # Errors
    /// That of the last attempt.
    pub async fn run<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if error.is_transient() && attempt < self.attempts => {
                    tokio::time::sleep(self.wait(attempt, RandomState::new().hash_one(attempt))).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Between half and all of the doubled wait.
    fn wait(&self, attempt: u32, random: u64) -> Duration {
        let doubled = self.first_wait.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.wait_max);
        doubled.mul_f64(0.5 + 0.5 * (random as f64 / u64::MAX as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default();
        let longest = |attempt| retry.wait(attempt, u64::MAX).as_millis();
        assert_eq!([1, 2, 3, 7, 8, 99].map(longest), [50, 100, 200, 3_200, 5_000, 5_000]);
        assert_eq!(retry.wait(2, 0).as_millis(), 50);
    }

    #[tokio::test]
    async fn only_what_may_pass_is_repeated() {
        let mut calls = 0;
        let mut run = async |error: Error| {
            calls = 0;
            let retry = Retry { attempts: 3, first_wait: Duration::ZERO, wait_max: Duration::ZERO };
            let result = retry
                .run(|| {
                    calls += 1;
                    std::future::ready(if calls < 3 { Err(error.clone()) } else { Ok(7) })
                })
                .await;
            (result, calls)
        };
        assert_eq!(run(Error::ReadOnly).await, (Ok(7), 3));
        assert_eq!(run(Error::SessionExpired).await, (Err(Error::SessionExpired), 1));
    }
}
