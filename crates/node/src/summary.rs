//! Plain figures for `mntr`: a summary of measured values, and a distribution that knows percentiles too. Adding a
//! value costs a few instructions; nothing is kept per value.

/// Count, sum and extremes of a measured quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The smallest, 0 if there is none.
    pub min: u64,
    /// The largest, 0 if there is none.
    pub max: u64,
}

impl Summary {
    /// Takes in one value.
    pub fn add(&mut self, value: u64) {
        self.add_many(value, 1);
    }

    /// Takes in `times` equal values.
    pub fn add_many(&mut self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += times;
        self.sum += value * times;
    }

    /// Both together.
    pub fn merged(self, other: Summary) -> Summary {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        Summary {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// Values below this have a bucket of their own.
const EXACT_MAX: u64 = 64;
/// Buckets of each doubling above: percentiles are at most 1/32 too high.
const PER_DOUBLING: u64 = EXACT_MAX / 2;

/// A summary with percentiles, of values such as milliseconds: a histogram whose buckets grow with the value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Distribution {
    summary: Summary,
    /// Grown on demand: milliseconds of a healthy server need the first few.
    buckets: Vec<u64>,
}

impl Distribution {
    /// Takes in one value.
    pub fn add(&mut self, value: u64) {
        self.add_many(value, 1);
    }

    /// Takes in `times` equal values.
    pub fn add_many(&mut self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.summary.add_many(value, times);
        let bucket = bucket_of(value);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += times;
    }

    /// Count, sum, extremes.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The value that `per_mille` of 1,000 values do not exceed; 0 if there is none.
    pub fn percentile(&self, per_mille: u64) -> u64 {
        let rank = (self.summary.count * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return last_of(bucket).clamp(self.summary.min, self.summary.max);
            }
        }
        0
    }
}

fn bucket_of(value: u64) -> usize {
    if value < EXACT_MAX {
        return value as usize;
    }
    // At least 1: the value has more than log2(EXACT_MAX) bits.
    let shift = u64::from(value.ilog2() - PER_DOUBLING.ilog2());
    (EXACT_MAX + (shift - 1) * PER_DOUBLING + ((value >> shift) - PER_DOUBLING)) as usize
}

/// The largest value of a bucket.
fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let Some(above) = bucket.checked_sub(EXACT_MAX) else { return bucket };
    let shift = above / PER_DOUBLING + 1;
    let first = u128::from(above % PER_DOUBLING + PER_DOUBLING) << shift;
    u64::try_from(first + (1 << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn summaries() {
        let mut summary = Summary::default();
        assert_eq!(summary, Summary { count: 0, sum: 0, min: 0, max: 0 });
        summary.add(5);
        summary.add_many(7, 0);
        summary.add_many(3, 2);
        assert_eq!(summary, Summary { count: 3, sum: 11, min: 3, max: 5 });
        assert_eq!(summary.merged(Summary::default()), summary);
        assert_eq!(Summary::default().merged(summary), summary);
        let other = Summary { count: 1, sum: 9, min: 9, max: 9 };
        assert_eq!(summary.merged(other), Summary { count: 4, sum: 20, min: 3, max: 9 });
    }

    #[test]
    fn an_empty_distribution_is_all_zero() {
        let empty = Distribution::default();
        assert_eq!((empty.percentile(500), empty.percentile(999), empty.summary().count), (0, 0, 0));
    }

    #[test]
    fn buckets_meet() {
        for value in (0..5_000).chain([1 << 20, (1 << 20) - 1, u64::MAX / 2, u64::MAX - 1, u64::MAX]) {
            let bucket = bucket_of(value);
            assert!(last_of(bucket) >= value, "{value}");
            assert!(bucket == 0 || last_of(bucket - 1) < value, "{value}");
        }
    }

    proptest! {
        /// Against all values, sorted.
        #[test]
        fn percentiles_are_at_most_a_little_too_high(
            mut values in prop::collection::vec(prop_oneof![0..100_u64, 0..100_000_u64], 1..300),
            per_mille in 1..=1_000_u64,
        ) {
            let mut distribution = Distribution::default();
            values.iter().for_each(|value| distribution.add(*value));
            values.sort_unstable();
            let exact = values[((values.len() as u64 * per_mille).div_ceil(1_000) - 1) as usize];
            let found = distribution.percentile(per_mille);
            prop_assert!(found >= exact && found <= exact + exact / 32, "{} for {}", found, exact);
            prop_assert_eq!(distribution.summary().sum, values.iter().sum::<u64>());
        }
    }
}
