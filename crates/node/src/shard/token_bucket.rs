//! The throttle of handshakes: a token bucket, and above it chance (BLUE: the probability of being turned away grows
//! while the bucket is empty and shrinks when it fills again).

use crate::throttle::{ConnectionThrottle, ONE};

/// One shard's bucket. It starts full.
#[derive(Debug)]
pub(super) struct TokenBucket {
    config: ConnectionThrottle,
    tokens: u64,
    /// When tokens were last added.
    filled_ms: u64,
    /// When the chance was last adjusted.
    adjusted_ms: u64,
    /// In billionths.
    drop_chance: u32,
    dice: u64,
}

impl TokenBucket {
    pub(super) fn new(config: ConnectionThrottle, seed: u64) -> TokenBucket {
        // A xorshift generator must not stand at 0.
        let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        TokenBucket { config, tokens: config.tokens_max, filled_ms: 0, adjusted_ms: 0, drop_chance: 0, dice }
    }

    /// Takes the tokens of a handshake; false: it is turned away.
    pub(super) fn admit(&mut self, now_ms: u64, weight: u64) -> bool {
        if self.config.tokens_max == 0 {
            return true;
        }
        self.fill(now_ms);
        if let Some(freeze_ms) = self.config.freeze_time_ms {
            self.adjust(now_ms, freeze_ms);
            if self.roll() < self.drop_chance {
                return false;
            }
        }
        if self.tokens < weight {
            return false;
        }
        self.tokens -= weight;
        true
    }

    /// Tokens that are missing.
    pub(super) fn deficit(&self) -> u64 {
        self.config.tokens_max - self.tokens
    }

    /// The chance of being turned away, between 0 and 1.
    pub(super) fn drop_probability(&self) -> f64 {
        f64::from(self.drop_chance) / f64::from(ONE)
    }

    fn fill(&mut self, now_ms: u64) {
        let periods = now_ms.saturating_sub(self.filled_ms) / self.config.fill_time_ms;
        self.filled_ms += periods * self.config.fill_time_ms;
        let added = periods.saturating_mul(self.config.fill_count);
        self.tokens = self.tokens.saturating_add(added).min(self.config.tokens_max);
    }

    fn adjust(&mut self, now_ms: u64, freeze_ms: u64) {
        if now_ms.saturating_sub(self.adjusted_ms) <= freeze_ms {
            return;
        }
        self.adjusted_ms = now_ms;
        let ConnectionThrottle { tokens_max, drop_increase, drop_decrease, decrease_ratio, .. } = self.config;
        let may_miss = u128::from(tokens_max) * u128::from(decrease_ratio) / u128::from(ONE);
        if self.tokens == 0 {
            self.drop_chance = self.drop_chance.saturating_add(drop_increase).min(ONE);
        } else if u128::from(self.deficit()) <= may_miss {
            self.drop_chance = self.drop_chance.saturating_sub(drop_decrease);
        }
    }

    /// A number below `ONE`.
    fn roll(&mut self) -> u32 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        // Multiplied, not taken modulo: every number is equally likely.
        (((self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) * u64::from(ONE)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(bucket: &mut TokenBucket, now_ms: u64, times: usize) -> usize {
        (0..times).filter(|_| bucket.admit(now_ms, 1)).count()
    }

    #[test]
    fn without_tokens_nobody_is_turned_away() {
        let mut bucket = TokenBucket::new(ConnectionThrottle::default(), 1);
        assert_eq!(admitted(&mut bucket, 5, 1_000), 1_000);
        assert_eq!(bucket.deficit(), 0);
    }

    #[test]
    fn a_full_bucket_then_what_is_filled_in() {
        let config = ConnectionThrottle { tokens_max: 5, fill_time_ms: 10, fill_count: 2, ..Default::default() };
        let mut bucket = TokenBucket::new(config, 1);
        assert_eq!(admitted(&mut bucket, 1_000, 9), 5);
        assert_eq!(bucket.deficit(), 5);
        assert_eq!(admitted(&mut bucket, 1_009, 9), 0);
        assert_eq!(admitted(&mut bucket, 1_010, 9), 2);
        // Parts of a period are not lost.
        assert_eq!(admitted(&mut bucket, 1_015, 9), 0);
        assert_eq!(admitted(&mut bucket, 1_025, 9), 2);
        assert_eq!(admitted(&mut bucket, 1_030, 9), 2);
        // It never holds more than it can.
        assert_eq!(admitted(&mut bucket, 900_000, 9), 5);
    }

    #[test]
    fn weights_cost_more() {
        let config = ConnectionThrottle { tokens_max: 6, fill_time_ms: 1_000, ..Default::default() };
        let mut bucket = TokenBucket::new(config, 1);
        assert!(bucket.admit(0, 3) && bucket.admit(0, 2));
        assert!(!bucket.admit(0, 2), "one token is left");
        assert!(bucket.admit(0, 1));
    }

    #[test]
    fn the_chance_grows_on_an_empty_bucket_and_shrinks_on_a_full_one() {
        let config = ConnectionThrottle {
            tokens_max: 4,
            fill_time_ms: 1_000_000,
            freeze_time_ms: Some(10),
            drop_increase: ONE / 4,
            drop_decrease: ONE / 2,
            decrease_ratio: ONE / 2,
            ..Default::default()
        };
        let mut bucket = TokenBucket::new(config, 7);
        assert_eq!(admitted(&mut bucket, 100, 4), 4);
        for (step, expected) in [0.25, 0.5, 0.75, 1.0, 1.0].into_iter().enumerate() {
            bucket.admit(200 + 100 * step as u64, 1);
            assert_eq!(bucket.drop_probability(), expected);
            // Not again within the freeze time.
            bucket.admit(205 + 100 * step as u64, 1);
            assert_eq!(bucket.drop_probability(), expected);
        }
        bucket.drop_chance = ONE / 2;
        bucket.tokens = 1;
        bucket.adjust(5_000, 10);
        assert_eq!(bucket.drop_probability(), 0.5, "neither empty nor full enough");
        bucket.drop_chance = ONE;
        // Filled up: half of it may be missing for the chance to shrink.
        bucket.tokens = 1;
        bucket.admit(10_000, 1);
        assert_eq!(bucket.drop_probability(), 1.0, "three of four are missing");
        bucket.tokens = 2;
        bucket.admit(20_000, 1);
        assert_eq!(bucket.drop_probability(), 0.5);
    }

    #[test]
    fn chance_turns_away_the_part_it_says() {
        let config =
            ConnectionThrottle { tokens_max: 1_000_000, freeze_time_ms: Some(1_000_000_000), ..Default::default() };
        let mut bucket = TokenBucket::new(config, 3);
        bucket.drop_chance = ONE / 4;
        let count = admitted(&mut bucket, 1, 100_000);
        assert!((74_000..76_000).contains(&count), "{count}");
    }
}
