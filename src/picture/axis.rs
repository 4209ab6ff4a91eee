//! Axes: their range, the position of a value, and their ticks.

use crate::numbers::{exact, thousands, ticks};

/// A logarithmic axis leaves out a few values that are smaller than all others by this factor.
const FAR_BELOW: f64 = 1e3;

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) text: String,
}

/// One axis of a diagram.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    start: f64,
    end: f64,
    is_logarithmic: bool,
    pub(crate) ticks: Vec<Tick>,
    /// The number of values that were left out because they lie far below all others.
    pub(crate) left_out: usize,
}

impl Axis {
    /// From one value to another.
    pub(crate) fn between(start: f64, end: f64, most_ticks: usize) -> Self {
        Self::with_ticks(start, end, round_values(start, end, most_ticks))
    }

    fn with_ticks(start: f64, end: f64, values: Vec<f64>) -> Self {
        let ticks = ticks(&values).into_iter().zip(values).map(|(text, value)| Tick { value, text }).collect();
        Self { start, end, is_logarithmic: false, ticks, left_out: 0 }
    }

    /// Over all finite values, with a small margin at both ends; none if there are no values.
    pub(crate) fn over(values: impl Iterator<Item = f64>, most_ticks: usize) -> Option<Self> {
        let (least, most) = ends(values)?;
        // A single value is placed in the middle.
        let room = if least < most { 0.05 * (most - least) } else { 0.1 * least.abs() };
        let room = if room > 0.0 { room } else { 0.5 };
        Some(Self::between(least - room, most + room, most_ticks))
    }

    /// Over counts, such as epochs, without margins and with integers only.
    pub(crate) fn over_counts(values: impl Iterator<Item = f64>, most_ticks: usize) -> Option<Self> {
        let (least, most) = ends(values)?;
        let room = if least < most { 0.0 } else { 0.5 };
        let (start, end) = (least - room, most + room);
        let mut values = round_values(start, end, most_ticks);
        values.retain(|value| value.fract() == 0.0);
        Some(Self::with_ticks(start, end, values))
    }

    /// Logarithmic, over all positive values; a few far below all others are left out.
    pub(crate) fn logarithmic(values: impl Iterator<Item = f64>, most_ticks: usize) -> Option<Self> {
        let mut positive: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
        positive.sort_by(f64::total_cmp);
        let few = if positive.len() < 4 { 0 } else { (positive.len() / 20).max(1) };
        let left_out = (1..=few).rev().find(|&count| positive[count] > FAR_BELOW * positive[count - 1]).unwrap_or(0);
        let (least, most) = (*positive.get(left_out)?, *positive.last()?);
        let room = if least < most { (most / least).powf(0.05) } else { 1.5 };
        let (start, end) = ((least / room).max(f64::MIN_POSITIVE), (most * room).min(f64::MAX));
        let written = |value: f64| Tick {
            value,
            text: if value.fract() == 0.0 && (1e4..1e6).contains(&value) {
                thousands(value as usize)
            } else {
                exact(value)
            },
        };
        let decades = (start.log10().floor() as i32..=end.log10().ceil() as i32).collect::<Vec<_>>();
        let round = |mantissas: &[u32], stride: i32| -> Vec<f64> {
            let exponents = decades.iter().filter(|exponent| exponent.rem_euclid(stride) == 0);
            // Parse it from text, to get the nearest float.
            let values =
                exponents.flat_map(|exponent| mantissas.iter().map(move |mantissa| format!("{mantissa}e{exponent}")));
            values.filter_map(|text| text.parse().ok()).filter(|value| (start..=end).contains(value)).collect()
        };
        let strides = [1, 2, 3, 5, 10, 20, 50, 100].map(|stride| round(&[1], stride));
        let choices = [round(&[1, 2, 5], 1)].into_iter().chain(strides);
        let is_short = end / start < 10.0;
        let ticks = choices.into_iter().find(|values| values.len() <= most_ticks);
        let ticks = ticks.filter(|values| values.len() > 2 || (values.len() == 2 && !is_short));
        let ticks = match ticks {
            Some(values) => values.into_iter().map(written).collect(),
            // Within less than a decade the ticks are those of a linear axis.
            None => Self::between(start, end, most_ticks).ticks,
        };
        Some(Self { start, end, is_logarithmic: true, ticks, left_out })
    }

    /// The position of a value, from 0 to 1. None if it is not finite, lies outside, or has no logarithm on a
    /// logarithmic axis.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        if !(self.start..=self.end).contains(&value) {
            return None;
        }
        Some(if self.is_logarithmic {
            (value.ln() - self.start.ln()) / (self.end.ln() - self.start.ln())
        } else {
            (value - self.start) / (self.end - self.start)
        })
    }

    /// The lowest value of the axis.
    pub(crate) fn start(&self) -> f64 {
        self.start
    }

    /// The highest value of the axis.
    pub(crate) fn end(&self) -> f64 {
        self.end
    }
}

/// The least and the greatest of the finite values.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.filter(|value| value.is_finite());
    finite.fold(None, |ends, value| match ends {
        Some((least, most)) => Some((value.min(least), value.max(most))),
        None => Some((value, value)),
    })
}

/// Multiples of 1, 2 or 5 times a power of ten between two values, as many as allowed.
fn round_values(start: f64, end: f64, most: usize) -> Vec<f64> {
    let raw = end / most as f64 - start / most as f64;
    if !(raw > 0.0 && raw.is_finite()) {
        return vec![start];
    }
    let exponent = raw.log10().floor() as i32;
    let steps = [(1, exponent), (2, exponent), (5, exponent), (1, exponent + 1), (2, exponent + 1)];
    let multiples = |(digit, exponent): (i64, i32)| {
        let step = digit as f64 * 10f64.powi(exponent);
        let (first, last) = ((start / step - 1e-9).ceil() as i64, (end / step + 1e-9).floor() as i64);
        // Parse it from text, to get the nearest float.
        let value = move |multiple: i64| format!("{}e{exponent}", multiple.saturating_mul(digit)).parse().ok();
        (first..=last).take(most + 2).filter_map(value).collect::<Vec<f64>>()
    };
    steps.into_iter().map(multiples).find(|values| values.len() <= most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Option<Axis>) -> Vec<String> {
        axis.map_or_else(Vec::new, |axis| axis.ticks.into_iter().map(|tick| tick.text).collect())
    }

    fn over(values: &[f64]) -> Vec<String> {
        texts(Axis::over(values.iter().copied(), 5))
    }

    #[test]
    fn small_and_large_values_have_ticks_that_differ() {
        assert_eq!(over(&[0.0, 0.00025]), ["0", "0.0001", "0.0002"]);
        assert_eq!(over(&[0.0, 1e-7]), ["0", "5e-8", "1e-7"]);
        assert_eq!(over(&[1.0, 5e20]), ["0", "2e20", "4e20"]);
        for values in [&[1e-7, 1.0001e-7][..], &[1e9, 1e9 + 1.0], &[5e20], &[1e-30], &[0.0], &[-3.0, 4.0]] {
            let texts = over(values);
            assert!(texts.len() > 1, "{values:?} {texts:?}");
            assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{values:?} {texts:?}");
        }
    }

    #[test]
    fn steps_and_epochs_are_whole_numbers() {
        let counts = |values: &[f64]| texts(Axis::over_counts(values.iter().copied(), 5));
        assert_eq!(counts(&[1.0]), ["1"]);
        assert_eq!(counts(&[1.0, 2.0]), ["1", "2"]);
        assert_eq!(counts(&[0.0, 224_000.0]), ["0", "50,000", "100,000", "150,000", "200,000"]);
    }

    #[test]
    fn zero_has_no_place_on_a_logarithmic_axis_and_does_not_squeeze_the_rest() {
        let axis = Axis::logarithmic([0.0, f64::NAN, 0.1, 1.0, 10.0].into_iter(), 5).unwrap();
        assert_eq!(axis.place(0.0), None);
        assert_eq!(axis.place(f64::NAN), None);
        assert!(axis.start() > 0.05);
        assert!((axis.place(1.0).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(texts(Some(axis)), ["0.1", "1", "10"]);
        let axis = Axis::logarithmic([1e-9, 0.1, 0.2, 0.4, 1.0].into_iter(), 5).unwrap();
        assert!(axis.start() > 0.05 && axis.left_out == 1);
        assert!(Axis::logarithmic([0.0, -1.0].into_iter(), 5).is_none());
    }

    #[test]
    fn logarithmic_axes_of_any_length_have_ticks() {
        let logarithmic = |least: f64, most: f64| texts(Axis::logarithmic([least, most].into_iter(), 6));
        assert_eq!(logarithmic(0.02, 1.0), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(logarithmic(1.9, 5.6), ["2", "3", "4", "5"]);
        for (least, most) in [(1.0, 1.01), (1e-300, 1e300), (5e20, 5e20), (f64::MIN_POSITIVE, f64::MAX), (0.3, 3e6)] {
            let ticks = logarithmic(least, most);
            assert!(ticks.len() > 1 && ticks.len() <= 8, "{least} to {most}: {ticks:?}");
        }
    }

    #[test]
    fn no_value_makes_no_axis() {
        assert!(Axis::over([f64::NAN].into_iter(), 5).is_none());
        assert!(Axis::over_counts(std::iter::empty(), 5).is_none());
    }
}
