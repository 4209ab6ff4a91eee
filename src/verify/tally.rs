//! How many checks passed.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// The outcomes of some checks, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Those that passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that the adapter could not run.
    pub skipped: usize,
    /// The largest error of those that passed, divided by the error allowed there.
    pub worst_ratio: f64,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed { worst_ratio } => {
                self.passed += 1;
                self.worst_ratio = self.worst_ratio.max(*worst_ratio);
            }
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Skipped { .. } => self.skipped += 1,
        }
    }
}

impl<'a> FromIterator<&'a Outcome> for Tally {
    fn from_iter<I: IntoIterator<Item = &'a Outcome>>(outcomes: I) -> Self {
        let mut tally = Self::default();
        outcomes.into_iter().for_each(|outcome| tally.add(outcome));
        tally
    }
}
