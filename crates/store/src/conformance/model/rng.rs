//! The choices that a script is made of.

/// Choices from one number.
pub(super) struct Rng(pub(super) u32);

impl Rng {
    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: u32) -> u32 {
        let rolled = self.0 % sides;
        // Remixed, so that the choices of one operation are independent.
        self.0 = (self.0 / sides).wrapping_mul(2_654_435_761).rotate_left(15) ^ self.0.rotate_left(7);
        rolled
    }

    pub(super) fn chance(&mut self, one_in: u32) -> bool {
        self.roll(one_in) == 0
    }

    pub(super) fn pick(&mut self, len: usize) -> usize {
        self.roll(u32::try_from(len).expect("small")) as usize
    }
}
