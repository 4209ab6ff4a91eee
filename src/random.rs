//! Random numbers with the same bits on every platform: ChaCha8 and exact arithmetic only.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A seeded source of random numbers.
///
/// Different `stream`s of one seed are independent. Each use (initial weights of a tensor, the order of an epoch) has
/// its own stream, so that it does not depend on how many numbers another use has drawn.
pub struct Random(ChaCha8Rng);

impl Random {
    /// The random numbers of a seed and a stream.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Any 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A float in `[low, high)`, from 24 random bits.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.bits() >> 8) as f32 / (1 << 24) as f32;
        low + (high - low) * unit
    }

    /// An integer in `0..bound`, by Lemire's multiplication; the bias is below `bound / 2^32`.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(bound)) >> 32) as u32
    }

    /// A multiple of 1/8 from -1 to 1: sums of products of such numbers are exact in f32.
    pub fn eighth(&mut self) -> f32 {
        self.below(17) as f32 / 8.0 - 1.0
    }

    /// Shuffles a slice (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_stream_fix_the_numbers() {
        let draw = |seed, stream| -> Vec<u32> {
            let mut random = Random::new(seed, stream);
            (0..4).map(|_| random.bits()).collect()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(0, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
