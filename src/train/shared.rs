//! Steps that several ranks share, or that one computes in micro-batches.
//!
//! Rank 0 decides: it tells the others of each run of steps, and they [follow](Trainer::follow). All have the same
//! parameters at all times, so that only rank 0 evaluates, reports and saves.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::{TrainConfig, Trainer};
use crate::data::Dataset;
use crate::executor::{Executor, Feed, Observer, Unobserved};
use crate::files::hex;
use crate::model::Model;
use crate::ops::batch::HISTORY_COLUMNS;
use crate::plan::{Phase, Plan, SharedStep, Stage};
use crate::ranks::{Costs, RankReport, Ranks, TreeSum, micro_batches_of_rank};
use crate::resident::clock_at;
use crate::tensor::HostTensor;
use crate::weights;

/// The seed of a rank's random changes in local SGD: those of rank 0 are those of a trainer alone.
const SEED_OF_RANK: u64 = 0x9e37_79b9_7f4a_7c15;

/// What rank 0 tells the others to do.
const TRAIN: u32 = 1;
const END: u32 = 0;

/// Samples that a rank computes at once.
pub(super) fn samples_at_once(config: &TrainConfig, ranks: usize) -> Result<usize> {
    if config.sync_every.is_some() {
        let batch = config.batch;
        ensure!(
            batch.is_multiple_of(ranks),
            "{ranks} ranks cannot share a batch of {batch} images equally; give another --batch-size"
        );
        return Ok(batch / ranks);
    }
    micro_batches_of_rank(config.batch, config.micro_batches, ranks)?;
    Ok(config.batch / config.micro_batches)
}

/// What the ranks of a run must agree on.
pub(super) fn facts(model: &Model, parameters: &[HostTensor], dataset: &Dataset, config: &TrainConfig) -> [String; 3] {
    let settings = hex(&Sha256::digest(format!("{model}\n{config:?}")));
    [settings, dataset.sha256.clone(), weights::hash(parameters)]
}

/// How a trainer shares its steps.
pub(super) struct Shared {
    ranks: Ranks,
    step: SharedStep,
    /// Micro-batches of this rank.
    of_rank: usize,
    /// The steps so far and their times.
    report: RankReport,
    /// Whether a step was run.
    is_warm: bool,
}

impl Shared {
    pub(super) fn new(ranks: Ranks, config: &TrainConfig, plan: &Plan) -> Result<Self> {
        let step = plan.shared_step().context("the plan does not train")?;
        let of_rank = config.micro_batches / ranks.count();
        Ok(Self { ranks, step, of_rank, report: RankReport::default(), is_warm: false })
    }

    /// Counts steps, after their times were added. Those of the first are forgotten, because drivers may compile then.
    fn count(&mut self, steps: usize) {
        self.report.steps += steps;
        if !std::mem::replace(&mut self.is_warm, true) {
            self.ranks.forget_costs();
            let RankReport { link, idle_exchange_seconds, .. } = self.report;
            self.report = RankReport { link, idle_exchange_seconds, ..RankReport::default() };
        }
    }
}

/// What a stage of a micro-batch adds to the sums of all: gradients, their partial sums added up in order; in the last
/// stage also statistics, the sum of the losses, and the number of hits.
fn contribution(step: &SharedStep, stage: usize, tensors: Vec<Vec<u32>>) -> Vec<f32> {
    let mut added = Vec::new();
    let mut tensors = tensors.into_iter();
    for (&elements, words) in step.elements[stage].iter().zip(&mut tensors) {
        let mut partial = bytemuck::cast_slice::<u32, f32>(&words).chunks_exact(elements);
        let start = added.len();
        added.extend_from_slice(partial.next().unwrap_or_default());
        for partial in partial {
            added[start..].iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
        }
    }
    for words in tensors.by_ref().take(step.statistics_in(stage)) {
        added.extend_from_slice(bytemuck::cast_slice(&words));
    }
    if let (Some(losses), Some(hits)) = (tensors.next(), tensors.next()) {
        let losses: &[f32] = bytemuck::cast_slice(&losses);
        added.push(losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() as f32);
        added.push(hits.iter().sum::<u32>() as f32);
    }
    added
}

/// Writes the tensors that forward passes carry from step to step.
fn write_statistics(executor: &mut dyn Executor, step: &SharedStep, statistics: &[Vec<u32>]) {
    step.statistics.iter().zip(statistics).for_each(|(&tensor, words)| executor.write(tensor, words));
}

impl Trainer {
    /// Refuses ranks that were given other arguments than this one, and measures how fast they are connected.
    pub(super) fn meet(&mut self, facts: &[String; 3]) -> Result<()> {
        let Some(Shared { ranks, report, step, .. }) = &mut self.shared else { return Ok(()) };
        let all = ranks.gather_texts(&facts.join(" "))?;
        for (rank, of_rank) in all.iter().enumerate() {
            let words = of_rank.split(' ').zip(all[0].split(' ')).zip(["settings", "data", "initial weights"]);
            for ((found, wanted), what) in words {
                ensure!(found == wanted, "rank {rank} has other {what} than rank 0; give all ranks the same");
            }
        }
        let lengths: Vec<usize> = step.elements.iter().map(|of_stage| of_stage.iter().sum()).collect();
        (report.link, report.idle_exchange_seconds) = ranks.measure(&lengths)?;
        Ok(())
    }

    /// Trains as rank 0 tells, until it ends; for all other ranks.
    ///
    /// # Errors
    /// If the device fails, or another rank has ended before.
    pub async fn follow(&mut self) -> Result<()> {
        loop {
            match self.told([0; 2])? {
                [TRAIN, steps] => {
                    let rows = self.train_together(steps as usize, &mut Unobserved).await?;
                    self.history.extend(rows.iter().flat_map(|[loss, hits, _]| [loss, hits]));
                }
                _ => return self.end_together().map(drop),
            }
        }
    }

    /// Ends the other ranks, and returns what each did; for rank 0. Empty for a trainer that shares nothing.
    ///
    /// # Errors
    /// If another rank has ended before.
    pub fn dismiss(&mut self) -> Result<Vec<RankReport>> {
        if self.shared.is_none() {
            return Ok(vec![]);
        }
        self.told([END, 0])?;
        self.end_together()
    }

    fn end_together(&mut self) -> Result<Vec<RankReport>> {
        let Some(report) = self.report() else { return Ok(vec![]) };
        let Some(Shared { ranks, .. }) = &mut self.shared else { return Ok(vec![]) };
        let reports = ranks.gather_texts(&serde_json::to_string(&report)?)?;
        ranks.done();
        reports.iter().map(|report| Ok(serde_json::from_str(report)?)).collect()
    }

    /// What this rank did so far.
    pub(super) fn report(&self) -> Option<RankReport> {
        let shared = self.shared.as_ref()?;
        let Costs { exchange_seconds, waited_seconds, bytes_sent } = shared.ranks.costs();
        Some(RankReport {
            rank: shared.ranks.rank(),
            device: self.device.clone(),
            images_of_step: self.share(),
            exchange_seconds,
            waited_seconds,
            stage_bytes: shared.step.bytes(),
            bytes_sent,
            ..shared.report.clone()
        })
    }

    /// Images of this rank's share of a batch.
    fn share(&self) -> usize {
        let of_rank = self.shared.as_ref().map_or(1, |shared| shared.of_rank);
        self.plan_config.batch * if self.config.sync_every.is_some() { 1 } else { of_rank }
    }

    /// What rank 0 says.
    fn told(&mut self, words: [u32; 2]) -> Result<[u32; 2]> {
        let Some(Shared { ranks, .. }) = &mut self.shared else { bail!("there are no other ranks") };
        let all = ranks.gather(&words)?;
        Ok([all[0][0], all[0][1]])
    }

    /// Trains steps together with all other ranks; for rank 0, whose observer may end them early.
    pub(super) async fn run_shared(
        &mut self,
        steps: usize,
        observer: &mut dyn Observer,
    ) -> Result<Vec<[f32; HISTORY_COLUMNS]>> {
        self.told([TRAIN, steps as u32])?;
        self.train_together(steps, observer).await
    }

    async fn train_together(
        &mut self,
        steps: usize,
        observer: &mut dyn Observer,
    ) -> Result<Vec<[f32; HISTORY_COLUMNS]>> {
        let mut rows = Vec::new();
        let mut statistics = Vec::new();
        for tensor in self.shared.iter().flat_map(|shared| shared.step.statistics.clone()) {
            statistics.push(self.executor.read(tensor).await?.words().to_vec());
        }
        let mut wish = ControlFlow::Continue(());
        while rows.len() < steps {
            let ends = wish.is_break();
            let ended = match self.config.sync_every {
                Some(every) => self.train_apart(every.min(steps - rows.len()), ends, &mut rows).await?,
                None => self.shared_step(steps, ends, &mut statistics, &mut rows).await?,
            };
            if ended {
                break;
            }
            wish = observer.progress(rows.len(), Some(rows.as_flattened()));
        }
        if self.config.sync_every.is_none() {
            // Only the device has seen faults.
            let noted = self.read_history(rows.len()).await?;
            rows.iter_mut().zip(noted).for_each(|(row, noted)| row[2] = noted[2]);
        }
        Ok(rows)
    }

    /// The images of this rank's share of `steps` batches, which come `after` so many others.
    fn share_of_order(&self, after: usize, steps: usize) -> Vec<u32> {
        let rank = self.shared.as_ref().map_or(0, |shared| shared.ranks.rank());
        let (batch, share) = (self.config.batch, self.share());
        let order = self.order_from(self.steps_done() + after, steps);
        order.chunks(batch).flat_map(|batch| &batch[rank * share..][..share]).copied().collect()
    }

    /// One step: the gradients of this rank's micro-batches, the sums of all, and the update. Returns whether a rank wished
    /// to end before it. The statistics are those before the step, with which each micro-batch begins, and then those after it.
    async fn shared_step(
        &mut self,
        steps: usize,
        ends: bool,
        statistics: &mut [Vec<u32>],
        rows: &mut Vec<[f32; HISTORY_COLUMNS]>,
    ) -> Result<bool> {
        let (done, seed, row) = (self.steps_done() + rows.len(), self.config.seed, rows.len());
        if row == 0 {
            let order = self.share_of_order(0, steps);
            self.write_order_at(&order, done, seed);
        }
        let clock = self.executor.plan().host.clock;
        let micro_batches = self.config.micro_batches;
        let Self { executor, shared: Some(shared), stream, .. } = self else { bail!("nothing is shared") };
        let Shared { ranks, step, of_rank, report, .. } = shared;
        let start = Instant::now();
        let mut sums = vec![TreeSum::default(); step.stages.len()];
        let mut first_ready = None;
        for own in 0..*of_rank {
            let place = row * *of_rank + own;
            for part in stream.iter_mut().flat_map(|stream| stream.parts(place..place + 1)) {
                executor.write_part(&part);
            }
            if own > 0 {
                write_statistics(executor.as_mut(), step, statistics);
            }
            // No two micro-batches of a run are changed in the same way.
            let number = done * micro_batches + ranks.rank() * *of_rank + own;
            let [number, _, seed, fault] = clock_at(number, seed);
            executor.write(clock, &[number, place as u32, seed, fault]);
            let is_last = own + 1 == *of_rank;
            let mut ready = |stage: usize, tensors: Vec<Vec<u32>>| {
                sums[stage].add(contribution(step, stage, tensors));
                if is_last {
                    first_ready.get_or_insert_with(Instant::now);
                    let mut sum = std::mem::take(&mut sums[stage]).finish();
                    if stage + 1 == step.stages.len() {
                        sum.push(f32::from(ends));
                    }
                    ranks.start_sum(sum);
                }
            };
            executor.run_stages(Phase::Train, &step.stages, &mut ready).await?;
        }
        report.compute_seconds += start.elapsed().as_secs_f64();
        report.last_stage_seconds += first_ready.map_or(0.0, |ready| ready.elapsed().as_secs_f64());
        let sums = step.stages.iter().map(|_| ranks.finish_sum()).collect::<Result<Vec<_>>>()?;
        let &[.., loss, hits, ends] = &sums[sums.len() - 1][..] else { bail!("the last stage has metrics") };
        if ends > 0.0 {
            // The step is not trained.
            write_statistics(executor.as_mut(), step, statistics);
            return Ok(true);
        }
        let start = Instant::now();
        for (index, (stage, sum)) in step.stages.iter().zip(sums).enumerate() {
            let mut rest = &sum[..];
            let mut mean = |elements: usize| -> Vec<u32> {
                let (values, after) = rest.split_at(elements);
                rest = after;
                values.iter().map(|value| (value * (1.0 / micro_batches as f32)).to_bits()).collect()
            };
            for (&gradient, &elements) in stage.tensors.iter().zip(&step.elements[index]) {
                let mut words = mean(elements);
                // Further partial sums are 0.
                words.resize(executor.plan().tensor(gradient).words(), 0);
                executor.write(gradient, &words);
            }
            for words in statistics.iter_mut().take(step.statistics_in(index)) {
                *words = mean(words.len());
            }
        }
        write_statistics(executor.as_mut(), step, statistics);
        let [number, _, seed, fault] = clock_at(done, seed);
        executor.write(clock, &[number, row as u32, seed, fault]);
        let update = [Stage { calls: step.update.clone(), tensors: vec![] }];
        executor.run_stages(Phase::Train, &update, &mut |_, _| {}).await?;
        report.update_seconds += start.elapsed().as_secs_f64();
        shared.count(1);
        rows.push([loss, hits, 0.0]);
        Ok(false)
    }

    /// Some steps of local SGD, then the mean of what the ranks carry. Returns whether a rank wished to end before them.
    async fn train_apart(&mut self, steps: usize, ends: bool, rows: &mut Vec<[f32; HISTORY_COLUMNS]>) -> Result<bool> {
        let done = self.steps_done() + rows.len();
        let rank = self.shared.as_ref().map_or(0, |shared| shared.ranks.rank());
        let seed = self.config.seed ^ SEED_OF_RANK.wrapping_mul(rank as u64);
        let order = self.share_of_order(rows.len(), steps);
        self.write_order_at(&order, done, seed);
        let start = Instant::now();
        let feed = self.stream.as_mut().map(|stream| stream as &mut dyn Feed);
        self.executor.run_fed(Phase::Train, steps, &mut Unobserved, feed).await?;
        let history = self.read_history(steps).await?;
        let carried = self.executor.plan().carried();
        let mut sum: Vec<f32> = history.as_flattened().to_vec();
        let mut lengths = Vec::new();
        for &tensor in &carried {
            let value = self.executor.read(tensor).await?;
            lengths.push(value.words().len());
            sum.extend(value.f32());
        }
        sum.push(f32::from(ends));
        let Self { executor, shared: Some(shared), .. } = self else { bail!("nothing is shared") };
        shared.report.compute_seconds += start.elapsed().as_secs_f64();
        shared.ranks.start_sum(sum);
        let sum = shared.ranks.finish_sum()?;
        let (metrics, mut rest) = sum.split_at(history.as_flattened().len());
        for (tensor, length) in carried.into_iter().zip(lengths) {
            let (values, after) = rest.split_at(length);
            rest = after;
            let mean = values.iter().map(|value| (value / shared.ranks.count() as f32).to_bits());
            executor.write(tensor, &mean.collect::<Vec<_>>());
        }
        shared.count(steps);
        rows.extend(metrics.as_chunks().0);
        Ok(rest.iter().any(|&ends| ends > 0.0))
    }
}
