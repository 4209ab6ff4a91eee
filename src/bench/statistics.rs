//! Order statistics of samples, and Student's distribution for small samples.

/// The interquartile range of a normal distribution divided by its standard deviation.
const IQR_OF_SIGMA: f64 = 1.349;

/// Median of sorted samples, and their interquartile range over it; one sample has no spread.
pub(super) fn median_and_spread(sorted: &[f64]) -> (f64, Option<f64>) {
    let median = quantile(sorted, 0.5);
    let spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median;
    (median, (sorted.len() > 1).then_some(spread))
}

/// Half the width of the median's 95 % interval, over the median: 1.57 · spread / √samples (McGill, Tukey & Larsen,
/// "Variations of box plots", 1978).
pub(super) fn median_uncertainty(spread: f64, samples: usize) -> f64 {
    1.57 * spread / (samples as f64).sqrt()
}

/// A standard deviation from an interquartile range, which is robust against outliers.
pub(super) fn sigma(interquartile_range: f64) -> f64 {
    interquartile_range / IQR_OF_SIGMA
}

/// A standard deviation from the median distance to the median, which is robust against outliers.
pub(super) fn robust_sigma(values: &[f64]) -> f64 {
    let center = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
    sigma(2.0 * median(&distances))
}

/// The median of values in any order.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// Mean and standard deviation; a single value has none.
pub(super) fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()))
}

/// A quantile of sorted samples, interpolated between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = share * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    at(low) + (at(high) - at(low)) * rank.fract()
}

/// The limit, in standard deviations, that none of `tests` estimates with `freedom` degrees of freedom exceeds with a
/// probability of `1 - error`: Student's quantile with Bonferroni's correction.
pub(super) fn student_limit(freedom: usize, tests: usize, error: f64) -> f64 {
    let wanted = 1.0 - error / tests.max(1) as f64;
    let (mut low, mut high) = (0.0, 1.0);
    while student_within(high, freedom) < wanted && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if student_within(middle, freedom) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The probability that Student's t lies within ±`limit` (Abramowitz & Stegun, 26.7.3 and 26.7.4).
fn student_within(limit: f64, freedom: usize) -> f64 {
    let angle = (limit / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = !freedom.is_multiple_of(2);
    // The powers of the cosine below `freedom`: 0, 2, 4, ... for an even one, 1, 3, 5, ... for an odd one.
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut power = usize::from(is_odd);
    while power + 2 <= freedom {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if is_odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), 3.0);
        assert_eq!(quantile(&[1.0, 3.0], 0.25), 1.5);
    }

    #[test]
    fn one_sample_has_no_spread() {
        assert_eq!(median_and_spread(&[2.0]), (2.0, None));
        assert_eq!(median_and_spread(&[2.0, 2.0]), (2.0, Some(0.0)));
        assert_eq!(mean_and_deviation(&[2.0]), (2.0, None));
    }

    #[test]
    fn limits_are_those_of_students_table() {
        for (freedom, wanted) in [(1, 12.706), (2, 4.303), (5, 2.571), (10, 2.228), (30, 2.042)] {
            let limit = student_limit(freedom, 1, 0.05);
            assert!((limit - wanted).abs() < 1e-3, "{freedom}: {limit}");
        }
        // 50 tests at 5 % are one at 0.1 %.
        assert!((student_limit(5, 50, 0.05) - 6.869).abs() < 1e-3);
    }

    #[test]
    fn an_outlier_does_not_move_the_robust_deviation() {
        assert!(robust_sigma(&[0.0, 0.1, -0.1, 0.1, -0.1, 50.0]) < 0.2);
        assert_eq!(robust_sigma(&[0.3; 9]), 0.0);
    }
}
