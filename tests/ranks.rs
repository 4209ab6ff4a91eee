//! Ranks that are threads train one model together, on the CPU and on each adapter.

mod common;

use std::ops::ControlFlow;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, ensure};
use common::{adapter_name, check, digits, gpus, without_adapter};
use gpu_digits::augment::Augment;
use gpu_digits::executor::{Observer, Unobserved};
use gpu_digits::plan::{Optimizer, Precision, Refinements};
use gpu_digits::ranks::{RankReport, Ranks, links_of_threads};
use gpu_digits::train::TrainState;
use gpu_digits::{Device, Model, TrainConfig, Trainer, weights};
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;

/// A test on one device.
type DeviceTest = fn(&Device) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let tests: [(&str, DeviceTest); 10] = [
        ("any_number_of_ranks_gives_the_same_weights_to_the_bit", same_weights),
        ("every_kind_of_training_gives_the_same_weights_on_two_ranks", every_kind),
        ("an_epoch_of_a_step_more_has_all_its_images", longer_epoch),
        ("another_number_of_ranks_goes_on_to_the_same_bits", goes_on),
        ("micro_batches_have_the_losses_of_whole_batches_to_1e-3", losses_of_whole_batches),
        ("all_ranks_end_at_the_step_at_which_the_first_is_interrupted", interrupted),
        ("a_rank_of_other_settings_is_refused", unequal),
        ("a_rank_that_dies_ends_the_others", dies),
        ("local_sgd_of_one_rank_is_training_alone", local_sgd_alone),
        ("local_sgd_of_two_ranks_repeats_and_learns", local_sgd),
    ];
    let mut trials = Vec::new();
    for (name, test) in tests {
        trials.push(Trial::test(format!("{name} [cpu]"), move || test(&Device::Cpu)));
    }
    let gpus = gpus();
    for (name, test) in tests {
        if gpus.is_empty() {
            trials.push(without_adapter(name));
        }
        for gpu in &gpus {
            let name = format!("{name} [{}]", adapter_name(gpu));
            let device = Device::Gpu(Box::new(gpu.clone()));
            trials.push(Trial::test(name, move || test(&device)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

const SMALL: &str = "conv 4x3, relu, pool 2, dropout 0.25, flatten, dense 10";

fn config() -> TrainConfig {
    TrainConfig { epochs: 2, batch: 16, micro_batches: 8, seed: 7, validation: 20, ..TrainConfig::DEFAULT }
}

/// What a rank goes on from.
type Start<'a> = Option<&'a TrainState>;

fn trainer(
    ranks: Ranks,
    device: &Device,
    model: &str,
    config: TrainConfig,
    start: Start<'_>,
) -> anyhow::Result<Trainer> {
    let model: Model = model.parse()?;
    let parameters = model.initial_parameters(config.seed);
    let mut trainer = block_on(Trainer::among(ranks, device, &model, &parameters, &digits(200), config))?;
    start.map_or(Ok(()), |state| trainer.restore(state))?;
    Ok(trainer)
}

/// Starts the ranks from 1 on, which follow rank 0, and returns that.
fn ranks(
    count: usize,
    device: &Device,
    model: &str,
    config: TrainConfig,
    start: Start<'_>,
) -> (Ranks, Vec<JoinHandle<anyhow::Result<()>>>) {
    let mut links = links_of_threads(count).into_iter();
    let first = links.next().expect("there is a rank");
    let followers = links.map(|link| {
        let (device, model, start) = (device.clone(), model.to_owned(), start.cloned());
        thread::spawn(move || {
            let ranks = Ranks::start(|| Ok(link))?;
            block_on(trainer(ranks, &device, &model, config, start.as_ref())?.follow())
        })
    });
    (Ranks::start(|| Ok(first)).expect("a thread can be started"), followers.collect())
}

/// What rank 0 does with its trainer among so many ranks, and what each rank reports.
fn among<T>(
    count: usize,
    device: &Device,
    model: &str,
    config: TrainConfig,
    start: Start<'_>,
    run: impl FnOnce(&mut Trainer) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Vec<RankReport>)> {
    let (first, followers) = ranks(count, device, model, config, start);
    let mut first = trainer(first, device, model, config, start)?;
    let result = run(&mut first)?;
    let reports = first.dismiss()?;
    for follower in followers {
        follower.join().map_err(|_| anyhow::anyhow!("a rank has panicked"))??;
    }
    Ok((result, reports))
}

fn epoch(trainer: &mut Trainer) -> anyhow::Result<Vec<f64>> {
    Ok(block_on(trainer.epoch(&mut Unobserved))?.step_losses)
}

fn hash(trainer: &mut Trainer) -> anyhow::Result<String> {
    Ok(weights::hash(&block_on(trainer.parameters())?))
}

/// The losses of two epochs, and the hash of the weights after them.
fn both_epochs(trainer: &mut Trainer) -> anyhow::Result<(Vec<f64>, String)> {
    let losses = [epoch(trainer)?, epoch(trainer)?].concat();
    Ok((losses, hash(trainer)?))
}

fn same_weights(device: &Device) -> Result<(), Failed> {
    let (alone, reports) = among(1, device, SMALL, config(), None, both_epochs)?;
    check(reports.len() == 1 && reports[0].bytes_sent == 0, format!("{reports:?}"))?;
    for count in [2, 4, 8] {
        let (together, reports) = among(count, device, SMALL, config(), None, both_epochs)?;
        check(together == alone, format!("{count} ranks: {together:?} instead of {alone:?}"))?;
        let facts = |report: &RankReport| (report.rank, report.steps, report.images_of_step);
        let wanted: Vec<_> = (0..count).map(|rank| (rank, 21, 16 / count)).collect();
        check(reports.iter().map(facts).collect::<Vec<_>>() == wanted, format!("{reports:?}"))?;
        check(reports.iter().all(|report| report.bytes_sent > 0), format!("{reports:?}"))?;
    }
    // A trainer that is not told of ranks cuts its batches in the same way.
    let model: Model = SMALL.parse()?;
    let parameters = model.initial_parameters(config().seed);
    let mut single = block_on(Trainer::new(device, &model, &parameters, &digits(200), config()))?;
    check(both_epochs(&mut single)? == alone, "a trainer without ranks")
}

fn every_kind(device: &Device) -> Result<(), Failed> {
    let clipped = Refinements { clip_norm: Some(1.0), average: Some(0.9), ..Refinements::FOR_DIGITS };
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-4 };
    let mut kinds = vec![
        ("conv 4x3, norm, relu, pool 2, flatten, dense 10", TrainConfig { refinements: clipped, ..config() }),
        ("mlp", TrainConfig { optimizer: sgd, micro_batches: 4, ..config() }),
        (SMALL, TrainConfig { stream: Some(true), batch: 18, micro_batches: 2, ..config() }),
    ];
    if matches!(device, Device::Gpu(gpu) if gpu.info().f16) {
        let half = TrainConfig { precision: Precision::F16, fuse: Some(true), ..config() };
        kinds.push(("conv 4x3, relu, pool 2, flatten, dense 10", half));
    }
    for (model, config) in kinds {
        let [(alone, _), (together, _)] =
            [among(1, device, model, config, None, both_epochs)?, among(2, device, model, config, None, both_epochs)?];
        check(together == alone, format!("{model}: {together:?} instead of {alone:?}"))?;
    }
    Ok(())
}

fn longer_epoch(device: &Device) -> Result<(), Failed> {
    // 180 images are 7 batches of 24 and a half: every other epoch has 8 steps, and more images than the set.
    let config = TrainConfig { batch: 24, ..config() };
    let [(alone, _), (together, _)] =
        [among(1, device, SMALL, config, None, both_epochs)?, among(2, device, SMALL, config, None, both_epochs)?];
    check(alone.0.len() == 7 + 8, format!("{} steps", alone.0.len()))?;
    check(together == alone, format!("{together:?} instead of {alone:?}"))
}

fn goes_on(device: &Device) -> Result<(), Failed> {
    let (whole, _) = among(2, device, SMALL, config(), None, both_epochs)?;
    let first = |trainer: &mut Trainer| {
        let losses = epoch(trainer)?;
        Ok((losses, block_on(trainer.state())?))
    };
    let ((losses, state), _) = among(4, device, SMALL, config(), None, first)?;
    let second = |trainer: &mut Trainer| Ok((epoch(trainer)?, hash(trainer)?));
    let ((more, hash), _) = among(1, device, SMALL, config(), Some(&state), second)?;
    check(([losses, more].concat(), hash) == whole, "4 ranks, then 1")
}

fn losses_of_whole_batches(device: &Device) -> Result<(), Failed> {
    let refinements = Refinements { augment: Augment::NONE, ..Refinements::FOR_DIGITS };
    let config = TrainConfig { rate: 1e-3, refinements, ..config() };
    let model = "conv 4x3, relu, pool 2, flatten, dense 10";
    let (parts, _) = among(2, device, model, config, None, epoch)?;
    let (whole, _) = among(1, device, model, TrainConfig { micro_batches: 1, ..config }, None, epoch)?;
    let is_near = parts.iter().zip(&whole).all(|(parts, whole)| (parts - whole).abs() < 1e-3 * whole);
    check(is_near && parts.len() == whole.len(), format!("{parts:?} instead of {whole:?}"))
}

/// Ends a run once so many steps are done.
struct StopAt(usize);

impl Observer for StopAt {
    fn progress(&mut self, steps: usize, _: Option<&[f32]>) -> ControlFlow<()> {
        if steps >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn interrupted(device: &Device) -> Result<(), Failed> {
    let run = |trainer: &mut Trainer| {
        let stopped = block_on(trainer.epoch(&mut StopAt(3)))?;
        ensure!(stopped.interrupted && trainer.steps_done() == 3, "{} steps", trainer.steps_done());
        both_epochs(trainer)
    };
    let model = "conv 4x3, norm, relu, pool 2, dropout 0.25, flatten, dense 10";
    let ((_, whole), _) = among(1, device, model, config(), None, both_epochs)?;
    let [((_, one), _), ((_, two), reports)] =
        [among(1, device, model, config(), None, run)?, among(2, device, model, config(), None, run)?];
    check(one == whole && two == whole, format!("{one} and {two} instead of {whole}"))?;
    check(reports.iter().all(|report| report.steps == 21), format!("{reports:?}"))
}

fn unequal(device: &Device) -> Result<(), Failed> {
    let mut links = links_of_threads(2).into_iter();
    let (first, second) = (links.next().context("a link")?, links.next().context("a link")?);
    let other = device.clone();
    let follower = thread::spawn(move || {
        let ranks = Ranks::start(|| Ok(second))?;
        trainer(ranks, &other, SMALL, TrainConfig { rate: 0.5, ..config() }, None).map(drop)
    });
    let error = trainer(Ranks::start(|| Ok(first))?, device, SMALL, config(), None).err().context("no error")?;
    check(error.to_string().contains("rank 1 has other settings"), error.to_string())?;
    let error = follower.join().map_err(|_| "a rank has panicked")?.err().context("no error")?;
    check(error.to_string().contains("rank 1 has other settings"), error.to_string())
}

fn dies(device: &Device) -> Result<(), Failed> {
    let mut links = links_of_threads(3).into_iter();
    let first = links.next().context("a link")?;
    let followers: Vec<_> = links
        .map(|link| {
            let device = device.clone();
            thread::spawn(move || {
                let ranks = Ranks::start(|| Ok(link))?;
                let is_last = ranks.rank() == 2;
                let mut trainer =
                    trainer(ranks, &device, SMALL, TrainConfig { batch: 18, micro_batches: 3, ..config() }, None)?;
                if is_last { Ok(()) } else { block_on(trainer.follow()) }
            })
        })
        .collect();
    let config = TrainConfig { batch: 18, micro_batches: 3, ..config() };
    let mut first = trainer(Ranks::start(|| Ok(first))?, device, SMALL, config, None)?;
    let error = epoch(&mut first).err().context("no error")?;
    check(format!("{error:#}").contains("rank 2 has ended"), format!("{error:#}"))?;
    drop(first);
    let [follower, _] = followers.try_into().map_err(|_| "two threads")?;
    let error = follower.join().map_err(|_| "a rank has panicked")?.err().context("no error")?;
    check(format!("{error:#}").contains("has ended"), format!("{error:#}"))
}

fn local_sgd_alone(device: &Device) -> Result<(), Failed> {
    let config = TrainConfig { micro_batches: 1, ..config() };
    let (local, _) = among(1, device, SMALL, TrainConfig { sync_every: Some(3), ..config }, None, both_epochs)?;
    let model: Model = SMALL.parse()?;
    let parameters = model.initial_parameters(config.seed);
    let mut alone = block_on(Trainer::new(device, &model, &parameters, &digits(200), config))?;
    check(both_epochs(&mut alone)? == local, "a mean of one is itself")
}

fn local_sgd(device: &Device) -> Result<(), Failed> {
    let config = TrainConfig { micro_batches: 1, sync_every: Some(3), epochs: 6, ..config() };
    let run = |trainer: &mut Trainer| {
        let mut losses = Vec::new();
        while trainer.steps_done() < trainer.steps() {
            losses.extend(epoch(trainer)?);
        }
        let score = block_on(trainer.evaluate(trainer.splits().train.clone()))?;
        Ok((losses, hash(trainer)?, score.accuracy))
    };
    let [(first, reports), (second, _)] =
        [among(2, device, SMALL, config, None, run)?, among(2, device, SMALL, config, None, run)?];
    check(first == second, "two runs differ")?;
    check(first.2 > 0.5, format!("accuracy {}", first.2))?;
    let facts = |report: &RankReport| (report.steps, report.images_of_step);
    check(reports.iter().all(|report| facts(report) == (64, 8)), format!("{reports:?}"))
}
