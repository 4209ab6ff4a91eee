//! Learning-rate schedules, computed once per run and kept on the device as a tensor.

use std::f64::consts::PI;

use crate::ops::optimizer::SCHEDULE_COLUMNS;
use crate::plan::Optimizer;
use crate::tensor::HostTensor;

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Constant.
    Constant,
    /// Half a cosine from the peak to 0 (Loshchilov & Hutter, "SGDR", 2017, without restarts).
    Cosine,
    /// Up from a 25th of the peak over the first 30 % of the steps, then down to nearly 0 (Smith & Topin,
    /// "Super-convergence", 2018; shape and numbers are PyTorch's `OneCycleLR`, momentum is left alone).
    OneCycle,
    /// A tenth after one half and again after three quarters of the steps (as in He et al., "Deep residual learning",
    /// 2016).
    Step,
    /// From a ten-millionth of the peak to the peak, by the same factor at each step. It is for finding a rate
    /// ([`RangeTest`](crate::train::RangeTest)), not for training.
    Rising,
}

impl Schedule {
    /// The fraction of the peak rate at a step, counted from 0, of `steps` steps.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        const START: f64 = 1.0 / 25.0;
        const END: f64 = START / 1e4;
        const LEAST: f64 = 1e-7;
        let (step, last) = (step as f64, steps.saturating_sub(1).max(1) as f64);
        match self {
            Self::Constant => 1.0,
            Self::Cosine => half_cosine(1.0, 0.0, step / steps as f64),
            Self::OneCycle => {
                let top = (0.3 * steps as f64 - 1.0).max(1.0).min(last);
                if step <= top {
                    half_cosine(START, 1.0, step / top)
                } else {
                    half_cosine(1.0, END, (step - top) / (last - top))
                }
            }
            Self::Step => match step / steps as f64 {
                progress if progress < 0.5 => 1.0,
                progress if progress < 0.75 => 0.1,
                _ => 0.01,
            },
            Self::Rising => LEAST.powf(1.0 - step / last),
        }
    }

    /// The schedule in the form that the optimizers read, a row for each step: learning rate and Adam's two bias
    /// corrections.
    pub fn rows(self, peak_rate: f64, optimizer: &Optimizer, steps: usize) -> HostTensor {
        let (beta1, beta2) = match optimizer {
            Optimizer::Sgd { .. } => (0.0, 0.0),
            Optimizer::Adam { beta1, beta2, .. } => (*beta1, *beta2),
        };
        let correction = |beta: f64, step: usize| (1.0 / (1.0 - beta.powi(step as i32 + 1))) as f32;
        let row = |step| {
            let rate = (peak_rate * self.factor(step, steps)) as f32;
            [rate, correction(beta1, step), correction(beta2, step)]
        };
        let rows: Vec<f32> = (0..steps).flat_map(row).collect();
        HostTensor::from_f32([steps, SCHEDULE_COLUMNS], &rows)
    }
}

/// From `start` to `end` along half a cosine, at `progress` from 0 to 1.
fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_is_pytorchs() {
        // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10), its learning rate at each step.
        let wanted = [0.04, 0.52, 1.0, 0.950_485, 0.811_746, 0.611_261, 0.388_743, 0.188_258, 0.049_520, 0.000_004];
        for (step, wanted) in wanted.iter().enumerate() {
            let got = Schedule::OneCycle.factor(step, 10);
            assert!((got - wanted).abs() < 2e-6, "step {step}: {got} instead of {wanted}");
        }
    }

    #[test]
    fn the_others_begin_and_end_as_described() {
        assert_eq!(Schedule::Constant.factor(9, 10), 1.0);
        assert_eq!(Schedule::Cosine.factor(0, 10), 1.0);
        assert!((Schedule::Cosine.factor(5, 10) - 0.5).abs() < 1e-12);
        assert_eq!([0, 4, 5, 7, 8].map(|step| Schedule::Step.factor(step, 10)), [1.0, 1.0, 0.1, 0.1, 0.01]);
        let rising = [0, 1, 7].map(|step| Schedule::Rising.factor(step, 8));
        assert!(rising.iter().zip([1e-7, 1e-6, 1.0]).all(|(got, wanted)| (got / wanted - 1.0).abs() < 1e-12));
    }

    #[test]
    fn every_schedule_is_finite_for_few_steps() {
        for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::OneCycle, Schedule::Step, Schedule::Rising] {
            for steps in 1..5 {
                assert!((0..steps).all(|step| schedule.factor(step, steps).is_finite()), "{schedule:?} {steps}");
            }
        }
    }

    #[test]
    fn bias_corrections_are_exact_to_a_float() {
        let adam = Optimizer::adam(0.0, false);
        let rows = Schedule::Constant.rows(0.5, &adam, 2);
        assert_eq!(rows.f32()[..3], [0.5, 10.0, 1000.0]);
    }
}
