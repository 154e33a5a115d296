//! In which order servers are tried: shuffled once from a seed, then round and round, so that many clients spread
//! evenly and a server that was just lost is the last to be tried again.

use ostler_model::Dice;

/// The servers of a connection string, by index, in the order in which they are tried.
#[derive(Clone, Debug)]
pub(crate) struct ServerOrder {
    order: Vec<usize>,
    next: usize,
    tried_in_a_row: usize,
    /// Questions asked of others while one server held the session.
    probes: usize,
}

impl ServerOrder {
    /// A random order of `count` servers (at least one).
    pub(crate) fn new(count: usize, random: &mut Dice) -> ServerOrder {
        let mut order: Vec<usize> = (0..count).collect();
        random.shuffle(&mut order);
        ServerOrder { order, next: 0, tried_in_a_row: 0, probes: 0 }
    }

    /// The server to try now.
    pub(crate) fn take_next(&mut self) -> usize {
        let server = self.order[self.next];
        self.next = (self.next + 1) % self.order.len();
        self.tried_in_a_row += 1;
        server
    }

    /// True if every server was tried since the last success.
    pub(crate) fn all_failed(&self) -> bool {
        self.tried_in_a_row >= self.order.len()
    }

    /// A server to ask what it is: all in turn but the one last taken, unless there is no other.
    pub(crate) fn next_to_probe(&mut self) -> usize {
        let others = (self.order.len() - 1).max(1);
        let at = self.next + self.probes % others;
        self.probes += 1;
        self.order[at % self.order.len()]
    }

    /// This server is tried next.
    pub(crate) fn prefer(&mut self, server: usize) {
        self.next = self.order.iter().position(|&other| other == server).unwrap_or(self.next);
    }

    /// The server last taken is good; the next one is another.
    pub(crate) fn succeeded(&mut self) {
        self.tried_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_tried_once_in_a_round() {
        let mut order = ServerOrder::new(5, &mut Dice::new(7));
        let mut round: Vec<usize> = (0..5).map(|_| order.take_next()).collect();
        assert!(order.all_failed());
        order.succeeded();
        assert!(!order.all_failed());
        let again: Vec<usize> = (0..5).map(|_| order.take_next()).collect();
        assert_eq!(round, again);
        round.sort_unstable();
        assert_eq!(round, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn all_but_the_one_that_was_taken_are_asked_in_turn() {
        let mut order = ServerOrder::new(4, &mut Dice::new(7));
        let taken = order.take_next();
        let mut asked: Vec<usize> = (0..3).map(|_| order.next_to_probe()).collect();
        assert_eq!(order.next_to_probe(), asked[0], "round and round");
        asked.push(taken);
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2, 3]);
        order.prefer(2);
        assert_eq!(order.take_next(), 2);
        assert_eq!(ServerOrder::new(1, &mut Dice::new(7)).next_to_probe(), 0, "its name may stand for several");
    }

    #[test]
    fn seeds_spread_clients_over_servers() {
        let mut first = [0_u32; 3];
        for seed in 0..3_000 {
            first[ServerOrder::new(3, &mut Dice::new(seed)).take_next()] += 1;
        }
        assert!(first.iter().all(|&count| (850..1_150).contains(&count)), "{first:?}");
    }
}
