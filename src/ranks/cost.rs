//! What a step of several ranks takes, by a model.
//!
//! A message of `b` bytes takes `latency + b / bandwidth` (Hockney, "The communication challenge for MPP", 1994). In a sum of
//! `b` bytes over `R` ranks each sends `2 b (R - 1) / R` bytes, in `2 log2 R` messages if `R` is a power of two and in
//! `2 (R - 1)` otherwise (Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH",
//! 2005).

use super::{LinkSpeed, RankReport};

/// The costs of which a step consists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostModel {
    /// Images of a batch.
    pub batch: usize,
    /// Parts of the batch that the ranks share.
    pub micro_batches: usize,
    /// Seconds of a micro-batch, from its first call to its gradients on the host.
    pub micro_batch_seconds: f64,
    /// The part of them that passes after the gradients of the first stage are on the host.
    pub last_stage_seconds: f64,
    /// Seconds of the update of the parameters.
    pub update_seconds: f64,
    /// Bytes of the gradients of each stage; those of the first are exchanged while the last is computed.
    pub stage_bytes: [u64; 2],
    /// How fast the link is.
    pub link: LinkSpeed,
}

/// What a step takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCost {
    /// Seconds in which the rank's device computes gradients.
    pub compute_seconds: f64,
    /// Seconds of exchange.
    pub exchange_seconds: f64,
    /// Seconds of exchange in which nothing is left to compute.
    pub waited_seconds: f64,
    /// Seconds of the whole step.
    pub step_seconds: f64,
    /// Bytes that a rank sends.
    pub bytes_sent: f64,
}

/// Messages that a rank sends in a sum, one after the other.
pub(super) fn messages_of_sum(ranks: usize) -> f64 {
    2.0 * if ranks.is_power_of_two() { f64::from(ranks.ilog2()) } else { (ranks - 1) as f64 }
}

/// Bytes that a rank sends in a sum of vectors of so many bytes.
pub(super) fn bytes_of_sum(ranks: usize, bytes: f64) -> f64 {
    2.0 * bytes * (ranks - 1) as f64 / ranks as f64
}

impl CostModel {
    /// The costs that a rank has measured, with its own link or another.
    pub fn measured(report: &RankReport, batch: usize, micro_batches: usize, link: LinkSpeed) -> Self {
        let of_rank = (report.images_of_step * micro_batches) as f64 / batch as f64;
        let steps = report.steps.max(1) as f64;
        Self {
            batch,
            micro_batches,
            micro_batch_seconds: report.compute_seconds / (steps * of_rank),
            last_stage_seconds: report.last_stage_seconds / steps,
            update_seconds: report.update_seconds / steps,
            stage_bytes: report.stage_bytes,
            link,
        }
    }

    /// Seconds in which so many ranks add up a vector of so many bytes.
    pub fn sum_seconds(&self, ranks: usize, bytes: u64) -> f64 {
        let LinkSpeed { latency_seconds, bytes_per_second } = self.link;
        messages_of_sum(ranks) * latency_seconds + bytes_of_sum(ranks, bytes as f64) / bytes_per_second
    }

    /// A step of so many ranks on equal devices.
    pub fn step(&self, ranks: usize) -> StepCost {
        let compute_seconds = (self.micro_batches / ranks) as f64 * self.micro_batch_seconds;
        let [first, last] = self.stage_bytes.map(|bytes| if bytes == 0 { 0.0 } else { self.sum_seconds(ranks, bytes) });
        let waited_seconds = (first - self.last_stage_seconds).max(0.0) + last;
        StepCost {
            compute_seconds,
            exchange_seconds: first + last,
            waited_seconds,
            step_seconds: compute_seconds + waited_seconds + self.update_seconds,
            bytes_sent: bytes_of_sum(ranks, self.stage_bytes.iter().sum::<u64>() as f64),
        }
    }

    /// How many times as fast as one rank so many ranks are.
    pub fn speedup(&self, ranks: usize) -> f64 {
        self.step(1).step_seconds / self.step(ranks).step_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: CostModel = CostModel {
        batch: 128,
        micro_batches: 8,
        micro_batch_seconds: 1e-3,
        last_stage_seconds: 4e-4,
        update_seconds: 1e-4,
        stage_bytes: [1_000_000, 100_000],
        link: LinkSpeed { latency_seconds: 1e-5, bytes_per_second: 1e9 },
    };

    #[test]
    fn a_rank_alone_exchanges_nothing() {
        let step = MODEL.step(1);
        assert_eq!((step.exchange_seconds, step.waited_seconds, step.bytes_sent), (0.0, 0.0, 0.0));
        assert!((step.step_seconds - 8.1e-3).abs() < 1e-12);
        assert_eq!(MODEL.speedup(1), 1.0);
    }

    #[test]
    fn powers_of_two_send_few_messages() {
        assert_eq!([2, 3, 4, 8, 12, 64].map(messages_of_sum), [2.0, 4.0, 4.0, 6.0, 22.0, 12.0]);
        assert_eq!(bytes_of_sum(4, 1000.0), 1500.0);
    }

    #[test]
    fn what_a_rank_measured_is_divided_by_its_steps_and_micro_batches() {
        let report = RankReport {
            steps: 10,
            images_of_step: 32,
            compute_seconds: 2e-2,
            last_stage_seconds: 4e-3,
            update_seconds: 1e-3,
            stage_bytes: MODEL.stage_bytes,
            ..RankReport::default()
        };
        let measured = CostModel::measured(&report, 128, 8, MODEL.link);
        assert!((measured.micro_batch_seconds - 1e-3).abs() < 1e-12);
        assert_eq!(CostModel { micro_batch_seconds: MODEL.micro_batch_seconds, ..measured }, MODEL);
    }

    #[test]
    fn the_first_exchange_is_hidden_behind_the_last_stage() {
        let step = MODEL.step(4);
        let (first, last) = (4e-5 + 1.5e-3, 4e-5 + 1.5e-4);
        assert!((step.compute_seconds - 2e-3).abs() < 1e-12);
        assert!((step.exchange_seconds - first - last).abs() < 1e-12);
        assert!((step.waited_seconds - (first - 4e-4) - last).abs() < 1e-12);
        assert!((step.bytes_sent - 1.65e6).abs() < 1e-6);
        let hidden = CostModel { link: LinkSpeed { latency_seconds: 0.0, bytes_per_second: 1e12 }, ..MODEL }.step(8);
        assert!(hidden.waited_seconds < 1e-6 && MODEL.speedup(4) > 2.0);
    }
}
