//! What an adapter can do, measured by our own kernels: the roofs under which all others are seen.

use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::measure::{Effort, measure};
use crate::gpu::{Gpu, Lap, Stopwatch, bind_variant};
use crate::op::Variant;
use crate::ops::Case;
use crate::ops::batch::ClockAdvance;
use crate::ops::peak::{BufferCopy, FmaChain, FmaChainF16};
use crate::ops::reduce::ChunkSum;
use crate::verify::Example;

/// A dispatch of multiply-adds must take this long, so that starting it costs nothing beside.
const LONG_DISPATCH_SECONDS: f64 = 4e-3;

/// Bytes of each of the two buffers of a copy.
const COPY_BYTES: u64 = 64 << 20;

/// Dispatches over which the cost of one is spread.
const DISPATCHES: usize = 512;

/// What an adapter can do at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// Floating-point operations a second, f32: chains of multiply-adds on registers (`fma_chain`), counted as two each.
    pub flops_per_second: f64,
    /// The same in f16 (`fma_chain_f16`); none where there is no f16.
    pub f16_flops_per_second: Option<f64>,
    /// Bytes a second, read and written: the faster of a copy of large buffers (`buffer_copy`) and of 32 reads to a write
    /// (`chunk_sum`).
    pub bytes_per_second: f64,
    /// Of a dispatch of one invocation (`clock_advance`) that waits for none: many, each on a buffer of its own.
    pub dispatch_seconds: f64,
    /// Of the same after a barrier: many in a row on one buffer.
    pub dependent_dispatch_seconds: f64,
    /// Of encoding, submitting and awaiting one such dispatch, by the host's clock.
    pub submit_seconds: f64,
}

impl Peaks {
    /// Measures them, in about two seconds.
    ///
    /// # Errors
    /// Where a kernel is wrong, or the device fails.
    pub async fn measure(gpu: &Gpu, effort: Effort) -> Result<Self> {
        let (length, elements) = Self::sizes(gpu);
        let chain = FmaChain { length, rounds: Self::rounds(gpu, length).await? };
        let half: Case = Arc::new(FmaChainF16(chain));
        let (chain, copy): (Case, Case) = (Arc::new(chain), Arc::new(BufferCopy { quarter: elements / 16 }));
        let read: Case = Arc::new(ChunkSum { chunks: 32, length: elements / 32 });
        let best = async |case: &Case| -> Result<f64> {
            Ok(measure(gpu, case, &only_variant(case), effort).await?.min_seconds)
        };
        let chain_seconds = best(&chain).await?;
        let copy_bytes_per_second = copy.cost().bytes as f64 / best(&copy).await?;
        let read_bytes_per_second = read.cost().bytes as f64 / best(&read).await?;
        let half_seconds = if gpu.info().f16 { Some(best(&half).await?) } else { None };
        let [dispatch_seconds, dependent_dispatch_seconds, submit_seconds] = overheads(gpu, effort).await?;
        Ok(Self {
            flops_per_second: chain.flops() as f64 / chain_seconds,
            f16_flops_per_second: half_seconds.map(|seconds| half.flops() as f64 / seconds),
            bytes_per_second: copy_bytes_per_second.max(read_bytes_per_second),
            dispatch_seconds,
            dependent_dispatch_seconds,
            submit_seconds,
        })
    }

    /// Invocations that fill any adapter, and elements of a large buffer.
    fn sizes(gpu: &Gpu) -> (usize, usize) {
        (1 << 17, (COPY_BYTES.min(gpu.info().max_tensor_bytes / 2) / 4) as usize)
    }

    /// Rounds of the chain that make a dispatch long.
    async fn rounds(gpu: &Gpu, length: usize) -> Result<usize> {
        let mut rounds = 1;
        loop {
            let case: Case = Arc::new(FmaChain { length, rounds });
            let effort = Effort { sample_seconds: 1e-3, samples: 1 };
            let seconds = measure(gpu, &case, &only_variant(&case), effort).await?.min_seconds;
            if seconds >= LONG_DISPATCH_SECONDS || rounds >= 1 << 14 {
                return Ok(rounds);
            }
            rounds *= 4;
        }
    }

    /// The least time that work can take, and what it is bound by.
    pub fn bound(&self, flops: u64, bytes: u64) -> (f64, Binding) {
        let (compute, memory) = (flops as f64 / self.flops_per_second, bytes as f64 / self.bytes_per_second);
        if compute > memory { (compute, Binding::Compute) } else { (memory, Binding::Memory) }
    }
}

/// Which roof a kernel is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Arithmetic.
    Compute,
    /// Memory.
    Memory,
}

/// Seconds of a dispatch that waits for none, of one after a barrier, and of submitting and awaiting one: the least seen.
async fn overheads(gpu: &Gpu, effort: Effort) -> Result<[f64; 3]> {
    let case: Case = Arc::new(ClockAdvance);
    let example = Example::of(&case);
    let kernels = bind_variant(gpu, case.as_ref(), &only_variant(&case), example.inputs(), DISPATCHES).await?;
    let stopwatch = Stopwatch::new(gpu);
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

fn only_variant(case: &Case) -> Variant {
    case.variants().pop().unwrap_or_else(|| unreachable!("{} has a shader", case.name()))
}
