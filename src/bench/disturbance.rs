//! How much two runs of one program differ: by the spread of their samples, and by what disturbs the machine between
//! them.

use super::matching::{Pair, Scope};
use super::statistics::{median, robust_sigma, sigma, student_limit};
use super::steps::Kind;

/// The probability with which a comparison of a program with itself may name anything.
pub(super) const FALSE_ALARM: f64 = 0.05;

/// Even on a quiet machine two runs of a kernel differ by this share, as a standard deviation of each: memory lies
/// elsewhere.
const SIGMA_OF_A_RUN: f64 = 0.02;

/// What a dispatch costs beside its kernel varies by this share of itself between runs, as a standard deviation.
const SIGMA_OF_A_DISPATCH: f64 = 0.2;

/// The standard error of a median over that of a mean, for normally distributed samples.
const MEDIAN_OVER_MEAN: f64 = 1.25;

/// Degrees of freedom of what is known, not estimated from a few samples.
const MANY: usize = 1000;

/// So many kernels tell by their scatter how much two runs differ.
const ENOUGH_KERNELS: usize = 10;

/// So many steps do: these are few in any result.
const ENOUGH_STEPS: usize = 4;

/// How far the ratios of cases lie apart that should all be 1: other work on the machine meets one case and not the
/// next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scatter {
    sigma: f64,
    freedom: usize,
}

impl Scatter {
    /// The scatter of all logarithms of ratios, or of those within each group where that is less: a change of one case,
    /// or of one group, is no scatter.
    fn of(groups: &[Vec<f64>], enough: usize) -> Option<Self> {
        let all = groups.concat();
        let within: Vec<f64> = groups
            .iter()
            .flat_map(|group| {
                let center = median(group);
                group.iter().map(move |log| log - center)
            })
            .collect();
        let sigma = robust_sigma(&all).min(robust_sigma(&within));
        (all.len() >= enough).then(|| Self { sigma, freedom: all.len() - 1 })
    }
}

/// What the cases of an adapter tell of the machine between two runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disturbance {
    kernels: Option<Scatter>,
    steps: Option<Scatter>,
}

impl Disturbance {
    /// Of the pairs of one adapter.
    pub(super) fn of(pairs: &[&Pair]) -> Self {
        let logs = |scope: Scope| -> Vec<f64> {
            pairs.iter().filter(|pair| pair.scope == scope).map(|pair| pair.log_ratio()).collect()
        };
        let kernels = Scatter::of(&[logs(Scope::Kernel)], ENOUGH_KERNELS);
        let steps = [Kind::Train, Kind::Infer].map(|kind| logs(Scope::Step(kind)));
        // The few steps beside kernels are disturbed as these are.
        Self { kernels, steps: Scatter::of(&steps, ENOUGH_STEPS).or(kernels) }
    }

    /// What the logarithm of a ratio may be off by without any change, where `tests` such are judged.
    ///
    /// A kernel is judged by the whole spread of its samples, since what disturbs a machine lasts for many of them. So
    /// is a step, unless other cases tell more of the machine than its spread. For all kernels together that is too
    /// much, since disturbances do not meet each alike: they are judged by the narrower interval of the median.
    pub(super) fn uncertainty(&self, pair: &Pair, scope: Scope, tests: usize) -> Option<f64> {
        let scatter = match scope {
            Scope::Kernel => self.kernels,
            Scope::Step(_) => self.steps,
            Scope::AllKernels => None,
        };
        let is_by_median = match scope {
            Scope::Kernel => false,
            Scope::Step(_) => scatter.is_some(),
            Scope::AllKernels => true,
        };
        let both = [&pair.before, &pair.now];
        let of_samples = both.map(|measured| {
            let sigma = sigma(measured.spread?);
            Some(if is_by_median { MEDIAN_OVER_MEAN * sigma / (measured.samples as f64).sqrt() } else { sigma })
        });
        let of_samples = of_samples[0]?.hypot(of_samples[1]?);
        let of_dispatch = both.map(|measured| SIGMA_OF_A_DISPATCH * measured.dispatch_seconds / measured.seconds);
        let between_runs = (2.0 * SIGMA_OF_A_RUN.powi(2)).sqrt().hypot(of_dispatch[0]).hypot(of_dispatch[1]);
        let freedom = (pair.before.samples + pair.now.samples).saturating_sub(2).max(1);
        let limit = |freedom| student_limit(freedom, tests, FALSE_ALARM / 2.0);
        let noise = (limit(freedom) * of_samples).hypot(limit(MANY) * between_runs);
        let of_scatter = scatter.map_or(0.0, |scatter| limit(scatter.freedom) * scatter.sigma);
        Some(noise.max(of_scatter) + pair.machine_shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scatter(train: &[f64], infer: &[f64]) -> f64 {
        Scatter::of(&[train.to_vec(), infer.to_vec()], ENOUGH_STEPS).expect("enough").sigma
    }

    #[test]
    fn a_change_of_one_case_or_of_one_kind_of_step_is_no_scatter() {
        assert_eq!(scatter(&[1.1, 0.0], &[0.0, 0.0]), 0.0);
        assert_eq!(scatter(&[1.1, 1.1], &[0.0, 0.0]), 0.0);
        assert_eq!(scatter(&[1.1, 1.1], &[1.1, 1.1]), 0.0);
        assert!(scatter(&[0.9, 0.1], &[-1.1, 0.6]) > 0.5);
        assert_eq!(Scatter::of(&[vec![1.0, 2.0, 3.0]], ENOUGH_STEPS), None);
        // Without cases, a debug build must not count one less than none.
        assert_eq!(Scatter::of(&[vec![]], ENOUGH_STEPS), None);
    }
}
