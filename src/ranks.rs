//! Ranks: processes or threads that train one model together, each on a device of its own with a share of each batch
//! (data-parallel training).
//!
//! A batch is cut into micro-batches of a fixed size. Each rank computes the gradients of its own, which follow each other,
//! and the ranks add up all of them in a fixed order, a [`TreeSum`] in the order of the micro-batches. So the sum, and
//! with it every weight, is the same to the bit for 1, 2, 4 or 8 ranks on equal devices, whatever connects them.
//!
//! A [`Link`] connects a rank with the others: channels between threads ([`links_of_threads`]), or MPI with the feature
//! `mpi`. [`Ranks`] does the exchange on a thread of its own, so that the device computes meanwhile.

mod cost;
mod exchange;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;
mod tree;

use std::fmt;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub use cost::{CostModel, StepCost};
pub(crate) use exchange::Costs;
pub use exchange::Ranks;
#[cfg(feature = "mpi")]
pub use mpi::link_of_mpi;
pub use threads::{ThreadLink, links_of_threads};
pub use tree::TreeSum;

/// What connects a rank with the others. All ranks make the same calls, in the same order.
pub trait Link {
    /// The rank's number, counted from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn count(&self) -> usize;

    /// The rank's number among those of its machine.
    fn local_rank(&self) -> usize;

    /// Sends words to a rank, and returns what that sends: equally many.
    ///
    /// # Errors
    /// If it has ended.
    fn exchange(&mut self, rank: usize, words: &[u32]) -> Result<Vec<u32>>;

    /// Cuts the words into as many equal parts as there are ranks, sends each rank the part with its number, and returns
    /// the parts that were sent to this one, in the order of the ranks.
    ///
    /// # Errors
    /// If a rank has ended.
    fn all_to_all(&mut self, words: &[u32]) -> Result<Vec<u32>>;

    /// Sends words to every rank, and returns what each sent, in the order of the ranks. All send equally many.
    ///
    /// # Errors
    /// If a rank has ended.
    fn all_gather(&mut self, words: &[u32]) -> Result<Vec<u32>> {
        self.all_to_all(&words.repeat(self.count()))
    }

    /// Called last, if all ranks have done their work: waits until all have called it, where that must be.
    fn finish(&mut self) {}
}

/// The error of a rank that waits for one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankEnded(pub usize);

impl std::error::Error for RankEnded {}

impl fmt::Display for RankEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} has ended", self.0)
    }
}

/// What a rank did, and how long it waited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankReport {
    /// The rank.
    pub rank: usize,
    /// Its device in words.
    pub device: String,
    /// Steps to which the times and bytes belong: all that it took part in but the first, in which drivers may compile. In local
    /// SGD the first are those up to the first mean.
    pub steps: usize,
    /// Images of each step whose gradients it computed.
    pub images_of_step: usize,
    /// Seconds from the start of each step to its last gradients on the host.
    pub compute_seconds: f64,
    /// The part of them after the gradients of a first stage were on their way to the other ranks.
    pub last_stage_seconds: f64,
    /// Seconds of exchange, of which a part went on while the device computed.
    pub exchange_seconds: f64,
    /// Seconds for which it waited for the others' gradients, with nothing left to compute.
    pub waited_seconds: f64,
    /// Seconds in which the host sent the sums to its device and began the updates.
    pub update_seconds: f64,
    /// Bytes of the gradients of each stage of a step; the first is 0 if there is a single stage.
    pub stage_bytes: [u64; 2],
    /// Bytes that it sent to other ranks.
    pub bytes_sent: u64,
    /// How fast its link is.
    pub link: LinkSpeed,
    /// Seconds of the exchange of a step when nobody computes and no rank is late.
    pub idle_exchange_seconds: f64,
}

/// How fast messages between ranks are; zeros for a single rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkSpeed {
    /// Seconds of a message without contents.
    pub latency_seconds: f64,
    /// Bytes that a rank sends in a second.
    pub bytes_per_second: f64,
}

/// Micro-batches of each rank.
///
/// # Errors
/// If the batch cannot be cut so, or the ranks cannot share the micro-batches.
pub fn micro_batches_of_rank(batch: usize, micro_batches: usize, ranks: usize) -> Result<usize> {
    ensure!(
        micro_batches > 0 && batch.is_multiple_of(micro_batches),
        "a batch of {batch} images cannot be cut into {micro_batches} micro-batches of equal size; give another \
         --batch-size or --micro-batches"
    );
    let of_rank = micro_batches / ranks;
    if !(micro_batches.is_multiple_of(ranks) && of_rank.is_power_of_two()) {
        let possible = std::iter::successors(Some(ranks), |parts| Some(2 * parts)).take_while(|parts| *parts <= batch);
        let possible = possible.filter(|parts| batch.is_multiple_of(*parts));
        let nearest = possible.min_by_key(|parts| (parts.abs_diff(micro_batches), std::cmp::Reverse(*parts)));
        let advice = match nearest {
            Some(parts) => format!("--micro-batches {parts}"),
            None => format!("a --batch-size that {ranks} divides"),
        };
        bail!(
            "{ranks} ranks cannot share {micro_batches} micro-batches: each takes 1, 2, 4, 8 or another power of two; give {advice}"
        );
    }
    Ok(of_rank)
}

#[cfg(test)]
mod tests {
    use super::micro_batches_of_rank;

    #[test]
    fn ranks_share_micro_batches_by_powers_of_two() {
        assert_eq!([1, 2, 4, 8].map(|ranks| micro_batches_of_rank(128, 8, ranks).unwrap()), [8, 4, 2, 1]);
        assert_eq!(micro_batches_of_rank(96, 6, 3).unwrap(), 2);
        let error = |batch, micro_batches, ranks| {
            format!("{:#}", micro_batches_of_rank(batch, micro_batches, ranks).unwrap_err())
        };
        assert!(error(100, 8, 2).contains("100 images cannot be cut into 8"), "{}", error(100, 8, 2));
        assert!(error(128, 8, 3).contains("give a --batch-size that 3 divides"), "{}", error(128, 8, 3));
        assert!(error(96, 8, 3).contains("give --micro-batches 6"), "{}", error(96, 8, 3));
        assert!(error(96, 6, 2).contains("give --micro-batches 8"), "{}", error(96, 6, 2));
        assert!(error(128, 8, 16).contains("give --micro-batches 16"), "{}", error(128, 8, 16));
    }
}
