//! The one source of chance: a seeded generator (SplitMix64) with the questions that servers, clients, simulations
//! and tests ask. A seed means the same run on every machine.

/// A generator of numbers and choices; the same seed gives the same ones. Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins at this seed.
    pub const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A generator of its own for a part of the whole, so that a change in one part does not move all others.
    pub fn fork(&mut self) -> Dice {
        Dice(self.number())
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 for a bound of 0. The bias of the remainder does not matter to anybody here.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.number() % bound }
    }

    /// An index below `bound`; 0 for a bound of 0.
    pub fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// True in `permille` of 1000 cases.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// A duration: mostly short, sometimes far longer, never above `most`.
    pub fn long_tailed(&mut self, usual: u64, most: u64) -> u64 {
        let factor = match self.below(100) {
            0..=79 => 1,
            80..=95 => 4,
            _ => 20,
        };
        (1 + self.below(2 * usual.max(1) * factor)).min(most)
    }

    /// One of them.
    ///
    /// # Panics
    /// There is none.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())].clone()
    }

    /// One of them, each as often as its weight says.
    ///
    /// # Panics
    /// There is none with a weight.
    pub fn weighted<T: Clone>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut at = self.below(total);
        for (weight, choice) in choices {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return choice.clone(),
            }
        }
        unreachable!("the weights sum up to more than any number below their sum")
    }

    /// A random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_splitmix64() {
        // The first three of its reference implementation for seed 1234567.
        let mut dice = Dice::new(1_234_567);
        let numbers = [dice.number(), dice.number(), dice.number()];
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn answers_stay_in_their_bounds() {
        let mut dice = Dice::new(7);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[(dice.between(4, 6) - 4) as usize] = true;
            assert!(dice.below(5) < 5);
            assert_eq!((dice.below(0), dice.index(1), dice.percent(0), dice.percent(100)), (0, 0, false, true));
        }
        assert_eq!(seen, [true; 3]);
        let mut items = [1, 2, 3, 4, 5];
        dice.shuffle(&mut items);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5]);
    }
}
