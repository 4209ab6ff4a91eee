//! Random numbers with a shape: bell curves, and smooth hills as in paper, wood and light.

use gpu_digits::random::Random;

use crate::geometry::Point;

/// A number around 0 with a standard deviation of 1; a sum of 12 random bytes is close to a bell curve.
pub(crate) fn gaussian(random: &mut Random) -> f32 {
    let sum: u32 = (0..3).flat_map(|_| random.bits().to_le_bytes()).map(u32::from).sum();
    // Twelve bytes have a mean of 12 * 127.5, and each a variance of (256 * 256 - 1) / 12.
    (sum as f32 - 1530.0) / 256.0
}

/// A number between two, both ends equally likely.
pub(crate) fn between(random: &mut Random, range: (f32, f32)) -> f32 {
    random.uniform(range.0, range.1)
}

/// One of several things.
pub(crate) fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u32) as usize]
}

/// Heads or tails, as -1 or 1.
pub(crate) fn sign(random: &mut Random) -> f32 {
    if random.below(2) == 0 { -1.0 } else { 1.0 }
}

/// From 0 below `low` to 1 above `high`, smoothly.
pub(crate) fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Smooth random hills over the plane, about one for each unit of length.
#[derive(Clone, Copy)]
pub(crate) struct Hills(u32);

impl Hills {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self(random.bits())
    }

    /// The height in whole numbers of x and y, from 0 to 1: a hash (Wang, 2007).
    pub(crate) fn height_of(&self, x: i32, y: i32) -> f32 {
        let mut hash = self.0 ^ (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841);
        for _ in 0..2 {
            hash = (hash ^ 61) ^ (hash >> 16);
            hash = hash.wrapping_mul(9);
            hash ^= hash >> 4;
            hash = hash.wrapping_mul(0x27d4_eb2d);
            hash ^= hash >> 15;
        }
        (hash >> 8) as f32 / (1 << 24) as f32
    }

    /// The height at a point, from 0 to 1.
    pub(crate) fn at(&self, at: Point) -> f32 {
        let (left, top) = (at.x.floor(), at.y.floor());
        let (x, y) = (left as i32, top as i32);
        let (right, down) = (smooth_step(0.0, 1.0, at.x - left), smooth_step(0.0, 1.0, at.y - top));
        let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
        let above = mix(self.height_of(x, y), self.height_of(x + 1, y), right);
        let below = mix(self.height_of(x, y + 1), self.height_of(x + 1, y + 1), right);
        mix(above, below, down)
    }

    /// Hills with smaller hills on them, four times; from 0 to 1.
    pub(crate) fn rough(&self, at: Point) -> f32 {
        let heights = (0..4).map(|octave| {
            let finer = (1 << octave) as f32;
            Hills(self.0.wrapping_add(octave)).at(at.times(finer)) / finer
        });
        heights.sum::<f32>() / 1.875
    }
}
