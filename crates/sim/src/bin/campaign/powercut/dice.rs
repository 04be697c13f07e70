//! Chance for one image, that can be repeated.

use sim::seed::{Question, Roll, Seed};

/// Throws that follow from a seed and an image's number.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    seed: Seed,
    subject: u64,
    thrown: u64,
}

impl Dice {
    pub(crate) fn new(seed: Seed, subject: u64) -> Self {
        Self {
            seed,
            subject,
            thrown: 0,
        }
    }

    fn throw(&mut self) -> Roll {
        self.thrown += 1;
        self.seed.roll(Question::Driver, self.subject, self.thrown)
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.throw().unit()
    }

    /// True in `share` of all cases.
    pub(crate) fn hits(&mut self, share: f64) -> bool {
        self.throw().hits(share)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let drawn = self.throw().within(0, (end as u64).saturating_sub(1));
        usize::try_from(drawn).unwrap_or(0)
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.below(of.len());
        of.get(at).copied()
    }
}
