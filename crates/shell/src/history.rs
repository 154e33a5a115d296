//! What was typed before, with its numbers.

use std::collections::VecDeque;

/// Lines that are kept; more than anybody looks at.
const LINES_MAX: usize = 1_000;

/// Numbered lines, the oldest are forgotten.
#[derive(Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    next: usize,
}

impl History {
    /// Adds a line; its number.
    pub fn add(&mut self, line: &str) -> usize {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
        self.next += 1;
        self.next - 1
    }

    /// Takes the last line away: another one stands in its place.
    pub fn forget_last(&mut self) {
        if self.lines.pop_back().is_some() {
            self.next -= 1;
        }
    }

    /// The number that the next line will have.
    pub fn next(&self) -> usize {
        self.next
    }

    /// The line with this number, if it is not forgotten.
    pub fn line(&self, number: usize) -> Option<&str> {
        let first = self.next - self.lines.len();
        number.checked_sub(first).and_then(|index| self.lines.get(index)).map(String::as_str)
    }

    /// The last lines, the oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = (usize, &str)> {
        let skipped = self.lines.len().saturating_sub(count);
        let first = self.next - self.lines.len() + skipped;
        self.lines.iter().skip(skipped).enumerate().map(move |(index, line)| (first + index, line.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_when_lines_are_forgotten() {
        let mut history = History::default();
        for number in 0..LINES_MAX + 5 {
            assert_eq!(history.next(), number);
            assert_eq!(history.add(&format!("line {number}")), number);
        }
        assert_eq!(history.line(4), None);
        assert_eq!(history.line(5), Some("line 5"));
        assert_eq!(history.line(LINES_MAX + 5), None);
        let last: Vec<_> = history.last(2).collect();
        assert_eq!(last, [(LINES_MAX + 3, "line 1003"), (LINES_MAX + 4, "line 1004")]);
        assert_eq!(history.last(9_999).count(), LINES_MAX);
    }
}
