//! A repeatable random generator for one image.

use sim::seed::{Question, Roll, Seed};

/// Random numbers that follow from a seed and an image's number.
#[derive(Clone, Debug)]
pub(crate) struct ImageRng {
    seed: Seed,
    subject: u64,
    drawn_count: u64,
}

impl ImageRng {
    pub(crate) fn new(seed: Seed, subject: u64) -> Self {
        Self {
            seed,
            subject,
            drawn_count: 0,
        }
    }

    fn draw(&mut self) -> Roll {
        self.drawn_count += 1;
        self.seed.roll(Question::Driver, self.subject, self.drawn_count)
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.draw().unit()
    }

    /// True in `share` of all cases.
    pub(crate) fn hits(&mut self, share: f64) -> bool {
        self.draw().hits(share)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let drawn = self.draw().within(0, (end as u64).saturating_sub(1));
        usize::try_from(drawn).unwrap_or(0)
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.below(of.len());
        of.get(at).copied()
    }
}
