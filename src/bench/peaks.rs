//! The peaks of an adapter, measured with our own kernels. They are the roofs of the roofline.

use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::measure::{Effort, measure};
use crate::gpu::{Gpu, Lap, Stopwatch, bind_variant, choose_variant};
use crate::ops::Case;
use crate::ops::peak::{BufferCopy, ChunkSum, FmaChain, FmaChainF16, MatrixChain};
use crate::verify::Example;

/// A dispatch of multiply-adds must take this long, so that its overhead is negligible.
const LONG_DISPATCH_SECONDS: f64 = 4e-3;

/// The most rounds of a chain.
const MOST_ROUNDS: usize = 1 << 14;

/// Enough invocations to fill any adapter.
const INVOCATIONS: usize = 1 << 17;

/// Enough subgroups to fill the matrix units of any adapter, each with four products in flight.
const SUBGROUPS: usize = 1 << 11;

/// Bytes of each of the two buffers of a copy.
const COPY_BYTES: u64 = 64 << 20;

/// Dispatches over which the overhead is averaged.
const DISPATCHES: usize = 512;

/// The peaks of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// Floating-point operations a second, f32: chains of multiply-adds on registers (`fma_chain`), counted as two
    /// each.
    pub flops_per_second: f64,
    /// The same in f16 (`fma_chain_f16`); none without f16.
    pub f16_flops_per_second: Option<f64>,
    /// Floating-point operations a second of cooperative matrices, f16 in and f32 accumulated: chains of products
    /// (`matrix_chain`), with the fastest matrix size; none without such matrices.
    #[serde(default)]
    pub matrix_flops_per_second: Option<f64>,
    /// Bytes a second, read and written: the faster of a copy of large buffers (`buffer_copy`) and of 32 reads to a
    /// write (`chunk_sum`).
    pub bytes_per_second: f64,
    /// Seconds of an independent dispatch of one invocation (`fma_chain`), measured with many, each on its own
    /// buffer.
    pub dispatch_seconds: f64,
    /// Seconds of the same dispatch after a barrier, measured with many on one buffer.
    pub dependent_dispatch_seconds: f64,
    /// Seconds to encode, submit and await one such dispatch, by the host's clock.
    pub submit_seconds: f64,
}

impl Peaks {
    /// Measures them, in a few seconds.
    ///
    /// # Errors
    /// If a kernel is wrong, or the device fails.
    pub async fn measure(gpu: &Gpu, effort: Effort) -> Result<Self> {
        let length = INVOCATIONS;
        let flops_per_second = flop_rate(gpu, effort, |rounds| Arc::new(FmaChain { length, rounds })).await?;
        let f16_flops_per_second = if gpu.info().f16 {
            Some(flop_rate(gpu, effort, |rounds| Arc::new(FmaChainF16(FmaChain { length, rounds }))).await?)
        } else {
            None
        };
        let mut matrix_flops_per_second = None;
        for size in MatrixChain::SIZES {
            if gpu.info().cooperative_matrices.contains(&(size as u32)) {
                let groups = SUBGROUPS;
                let rate = flop_rate(gpu, effort, |rounds| Arc::new(MatrixChain { groups, size, rounds })).await?;
                matrix_flops_per_second = Some(matrix_flops_per_second.map_or(rate, |other| rate.max(other)));
            }
        }
        let elements = (COPY_BYTES.min(gpu.info().max_tensor_bytes / 2) / 4) as usize;
        let copy = byte_rate(gpu, effort, Arc::new(BufferCopy { quarter: elements / 16 })).await?;
        let read = byte_rate(gpu, effort, Arc::new(ChunkSum { chunks: 32, length: elements / 32 })).await?;
        let [dispatch_seconds, dependent_dispatch_seconds, submit_seconds] = overheads(gpu, effort).await?;
        Ok(Self {
            flops_per_second,
            f16_flops_per_second,
            matrix_flops_per_second,
            bytes_per_second: copy.max(read),
            dispatch_seconds,
            dependent_dispatch_seconds,
            submit_seconds,
        })
    }

    /// The least time for some work, and what bounds it.
    pub fn bound(&self, flops: u64, bytes: u64) -> (f64, Binding) {
        let (compute, memory) = (flops as f64 / self.flops_per_second, bytes as f64 / self.bytes_per_second);
        if compute > memory { (compute, Binding::Compute) } else { (memory, Binding::Memory) }
    }
}

/// The roof that bounds a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Arithmetic.
    Compute,
    /// Memory.
    Memory,
}

/// Operations a second of the fastest variant of a chain, in a dispatch with so many rounds that everything else is
/// negligible.
async fn flop_rate(gpu: &Gpu, effort: Effort, chain: impl Fn(usize) -> Case) -> Result<f64> {
    let quick = Effort { sample_seconds: 1e-3, samples: 1 };
    let (mut rounds, mut seconds) = (1, best_seconds(gpu, quick, &chain(1)).await?);
    while rounds < MOST_ROUNDS {
        let longer = best_seconds(gpu, quick, &chain(4 * rounds)).await?;
        // Then less than 4 % of the longer dispatch is overhead.
        let is_proportional = longer > 3.6 * seconds;
        (rounds, seconds) = (4 * rounds, longer);
        let is_long = seconds >= LONG_DISPATCH_SECONDS;
        if is_long && (is_proportional || seconds >= 20.0 * LONG_DISPATCH_SECONDS) {
            break;
        }
    }
    let chain = chain(rounds);
    Ok(chain.flops() as f64 / best_seconds(gpu, effort, &chain).await?)
}

/// Bytes a second of a kernel that mostly moves data.
async fn byte_rate(gpu: &Gpu, effort: Effort, case: Case) -> Result<f64> {
    Ok(case.cost().bytes as f64 / best_seconds(gpu, effort, &case).await?)
}

async fn best_seconds(gpu: &Gpu, effort: Effort, case: &Case) -> Result<f64> {
    Ok(measure(gpu, case, &choose_variant(gpu, case.as_ref())?, effort).await?.min_seconds)
}

/// The least seconds of an independent dispatch, of one after a barrier, and of submitting and awaiting one.
async fn overheads(gpu: &Gpu, effort: Effort) -> Result<[f64; 3]> {
    let case: Case = Arc::new(FmaChain { length: 1, rounds: 1 });
    let example = Example::of(&case);
    let variant = choose_variant(gpu, case.as_ref())?;
    let kernels = bind_variant(gpu, case.as_ref(), &variant, example.inputs(), DISPATCHES).await?;
    let stopwatch = Stopwatch::new(gpu).await?;
    stopwatch.time(&kernels, DISPATCHES).await?;
    let mut least = [f64::INFINITY; 3];
    for _ in 0..effort.samples {
        let per_dispatch = |lap: Lap| lap.gpu_seconds.unwrap_or(lap.wall_seconds) / DISPATCHES as f64;
        let sample = [
            per_dispatch(stopwatch.time(&kernels, DISPATCHES).await?),
            per_dispatch(stopwatch.time(&kernels[..1], DISPATCHES).await?),
            stopwatch.time(&kernels[..1], 1).await?.wall_seconds,
        ];
        least.iter_mut().zip(sample).for_each(|(least, sample)| *least = least.min(sample));
    }
    Ok(least)
}
