//! Multiplication by a positive number, in whole numbers.

use anyhow::{Result, ensure};

/// A number as `multiplier / 2^shift`, from Jacob et al., "Quantization and training of neural networks for efficient
/// integer-arithmetic-only inference", 2018. Unlike there, a product is rounded once, halves away from 0, so that C needs no shift
/// of a negative number, whose result it leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Fixed {
    pub(in super::super) multiplier: i32,
    pub(in super::super) shift: u8,
}

/// The most bits of a shift: products of 32-bit numbers have fewer than 63.
const MOST_SHIFT: i32 = 62;

impl Fixed {
    /// The nearest to a number that is not negative.
    ///
    /// # Errors
    /// If the number is 2^31 or more, or no number.
    pub(super) fn new(number: f64) -> Result<Self> {
        ensure!((0.0..2_f64.powi(31)).contains(&number), "a factor of {number:e} is beyond what 32 bits can hold");
        // 31 bits of the number: a multiplier from 2^30 on, unless the number is so small that it has fewer.
        let shift = (30 - number.max(f64::MIN_POSITIVE).log2().floor() as i32).min(MOST_SHIFT);
        Self::with_shift(number, shift)
    }

    /// The nearest with such a shift.
    fn with_shift(number: f64, shift: i32) -> Result<Self> {
        let multiplier = (number * 2_f64.powi(shift)).round();
        if multiplier > f64::from(i32::MAX) {
            ensure!(shift > 0, "a factor of {number:e} is beyond what 32 bits can hold");
            return Self::with_shift(number, shift - 1);
        }
        Ok(Self { multiplier: multiplier as i32, shift: shift as u8 })
    }

    /// Two numbers with the same shift.
    ///
    /// # Errors
    /// The same as for [`Self::new`].
    pub(super) fn pair(numbers: [f64; 2]) -> Result<[Self; 2]> {
        let shift = i32::from(Self::new(numbers[0].max(numbers[1]))?.shift);
        let [a, b] = numbers.map(|number| Self::with_shift(number, shift));
        Ok([a?, b?])
    }

    /// The product.
    pub(super) fn times(self, number: i32) -> i64 {
        scaled(i64::from(number) * i64::from(self.multiplier), self.shift)
    }
}

/// `product / 2^shift`, rounded to the nearest, halves away from 0.
pub(super) fn scaled(product: i64, shift: u8) -> i64 {
    let magnitude = ((product.unsigned_abs() + (1 << shift >> 1)) >> shift) as i64;
    if product < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_31_bits() {
        for number in [0.75, 1.0, 1.0 / 3.0, 1e-6, 0.999_999_999_9, 123_456.789] {
            let Fixed { multiplier, shift } = Fixed::new(number).unwrap();
            assert!(multiplier >= 1 << 30, "{number}: {multiplier}");
            let back = f64::from(multiplier) / 2_f64.powi(i32::from(shift));
            assert!((back / number - 1.0).abs() <= 2_f64.powi(-31), "{number}: {back}");
        }
        assert_eq!(Fixed::new(0.0).unwrap().times(i32::MIN), 0);
        assert_eq!(Fixed::new(1e-30).unwrap().times(i32::MAX), 0);
        assert!(Fixed::new(2_f64.powi(31)).is_err() && Fixed::new(f64::NAN).is_err() && Fixed::new(-1.0).is_err());
    }

    #[test]
    fn halves_are_rounded_away_from_0() {
        let half = Fixed::new(0.5).unwrap();
        assert_eq!([-5, -4, -3, -1, 0, 1, 3, 4, 5].map(|number| half.times(number)), [-3, -2, -2, -1, 0, 1, 2, 2, 3]);
        assert_eq!(scaled(i64::MIN + 1, 62), -2);
        assert_eq!((scaled(7, 0), scaled(-7, 0)), (7, -7));
    }

    #[test]
    fn a_pair_has_one_shift() {
        let [a, b] = Fixed::pair([0.001, 0.7]).unwrap();
        assert_eq!(a.shift, b.shift);
        assert_eq!((a.times(1_000_000), b.times(1_000)), (1_000, 700));
    }
}
