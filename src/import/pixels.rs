//! How a model of another library takes the bytes of an image, as the normalisation of ours: `(byte / 255 - mean) / deviation`.

use anyhow::{Result, ensure};

use super::operation::shortest;

/// A model that scales its input by no more than this takes bytes from 0 to 255, otherwise numbers from 0 to 1.
const LARGEST_FACTOR_OF_BYTES: f64 = 1.0 / 8.0;

/// Factor and shift of the input before the first layer: one for all channels, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pixels {
    factors: Vec<f64>,
    shifts: Vec<f64>,
}

/// The normalisation of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Normalization {
    /// Ours.
    Pixels { mean: f64, deviation: f64 },
    /// One that needs a factor and a shift of each channel of numbers from 0 to 1.
    Channels { factors: Vec<f64>, shifts: Vec<f64> },
}

impl Default for Pixels {
    fn default() -> Self {
        Self { factors: vec![1.0], shifts: vec![0.0] }
    }
}

impl Pixels {
    /// Adds a factor and a shift behind these.
    ///
    /// # Errors
    /// If their numbers are for different channels.
    pub(super) fn then(&mut self, factors: &[f64], shifts: &[f64]) -> Result<()> {
        let count = [self.factors.len(), self.shifts.len(), factors.len(), shifts.len()].into_iter().max().unwrap_or(1);
        let spread = |values: &[f64]| -> Result<Vec<f64>> {
            ensure!(values.len() == 1 || values.len() == count, "its constant is for other channels than that before");
            Ok((0..count).map(|channel| values[channel % values.len()]).collect())
        };
        let [own, own_shifts, factors, shifts] =
            [spread(&self.factors)?, spread(&self.shifts)?, spread(factors)?, spread(shifts)?];
        self.shifts =
            own_shifts.iter().zip(&factors).zip(&shifts).map(|((own, factor), shift)| own * factor + shift).collect();
        self.factors = own.iter().zip(&factors).map(|(own, factor)| own * factor).collect();
        Ok(())
    }

    /// What the other model's input is of a byte, if nothing else is said: the mean and the deviation by which pixels from
    /// 0 to 1 are normalised before they come into it.
    pub(super) fn usual(&self) -> [f64; 2] {
        let takes_bytes = self.factors.iter().all(|factor| factor.abs() <= LARGEST_FACTOR_OF_BYTES);
        [0.0, if takes_bytes { 1.0 / 255.0 } else { 1.0 }]
    }

    /// The whole normalisation, given that before.
    ///
    /// # Errors
    /// If a factor is no number, or 0.
    pub(super) fn behind(&self, [mean, deviation]: [f64; 2]) -> Result<Normalization> {
        let pairs = || self.factors.iter().zip(&self.shifts);
        ensure!(
            pairs().all(|(factor, shift)| factor.is_normal() && shift.is_finite()),
            "the graph multiplies its input by {:?} and adds {:?}",
            self.factors,
            self.shifts
        );
        let mut ours =
            pairs().map(|(factor, shift)| [rounded(mean - shift * deviation / factor), rounded(deviation / factor)]);
        if let Some([mean, deviation]) = ours.next()
            && ours.all(|other| other == [mean, deviation])
            && (0.0..=1.0).contains(&mean)
            && (1e-3..=1.0).contains(&deviation)
        {
            return Ok(Normalization::Pixels { mean, deviation });
        }
        let factors: Vec<f64> = self.factors.iter().map(|factor| factor / deviation).collect();
        let shifts = pairs().map(|(factor, shift)| shift - factor * mean / deviation).collect();
        Ok(Normalization::Channels { factors, shifts })
    }
}

/// A number as it was meant: rounding has changed its last digits, or left something of a sum that is 0.
fn rounded(number: f64) -> f64 {
    if number.abs() < 1e-12 { 0.0 } else { shortest(number as f32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(steps: &[(&[f64], &[f64])]) -> Pixels {
        let mut pixels = Pixels::default();
        steps.iter().for_each(|(factors, shifts)| pixels.then(factors, shifts).unwrap());
        pixels
    }

    fn normalization(steps: &[(&[f64], &[f64])]) -> Normalization {
        let pixels = pixels(steps);
        pixels.behind(pixels.usual()).unwrap()
    }

    fn ours(mean: f64, deviation: f64) -> Normalization {
        Normalization::Pixels { mean, deviation }
    }

    #[test]
    fn factors_and_shifts_become_mean_and_deviation() {
        assert_eq!(normalization(&[]), ours(0.0, 1.0));
        assert_eq!(
            normalization(&[(&[1.0], &[-f64::from(0.1307_f32)]), (&[1.0 / f64::from(0.3081_f32)], &[0.0])]),
            ours(0.1307, 0.3081)
        );
        assert_eq!(normalization(&[(&[1.0 / 255.0], &[0.0])]), ours(0.0, 1.0));
        assert_eq!(normalization(&[(&[1.0 / 127.5], &[-1.0])]), ours(0.5, 0.5));
        assert_eq!(pixels(&[]).behind([0.1307, 0.3081]).unwrap(), ours(0.1307, 0.3081));
        assert_eq!(pixels(&[]).behind([0.0, 1.0 / 255.0]).unwrap(), ours(0.0, 0.003_921_569));
    }

    #[test]
    fn what_is_no_mean_and_deviation_is_a_factor_and_a_shift_of_channels() {
        let inverted = normalization(&[(&[-1.0], &[1.0])]);
        assert_eq!(inverted, Normalization::Channels { factors: vec![-1.0], shifts: vec![1.0] });
        let channels = normalization(&[(&[2.0, 4.0], &[0.0, -1.0])]);
        assert_eq!(channels, Normalization::Channels { factors: vec![2.0, 4.0], shifts: vec![0.0, -1.0] });
        assert!(pixels(&[(&[0.0], &[1.0])]).behind([0.0, 1.0]).is_err());
        assert!(pixels(&[(&[1.0, 2.0], &[0.0])]).then(&[1.0, 2.0, 3.0], &[0.0]).is_err());
    }
}
