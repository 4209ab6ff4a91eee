//! `gpu-digits train`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow, ensure};

use super::faster::faster;
use super::open::{are_own_data, open_device};
use super::repeat::{command, resolved};
use super::resume::Resumed;
use super::run::Run;
use super::self_test::ensure_computes_rightly;
use super::session::Session;
use super::start::{Start, ensure_digits_can_be_learned, initial, warn_of_seen_images};
use super::tune::{refuse_without_gpu, tuned};
use super::{Verdict, compiling, fault, find_lr, ranks, recipe, seeds, thousands};
use crate::augment::Augment;
use crate::data::{DataRecord, Dataset, MNIST, Task};
use crate::date::now;
use crate::device::{Device, DeviceChoice};
use crate::host::platform;
use crate::model::Model;
use crate::numbers;
use crate::plan::{Optimizer, Plan, PlanConfig, Refinements};
use crate::program::cli::{OnDeviceLost, OptimizerName, Switch, TrainArgs, TuneChoice};
use crate::program::report::RunReport;
use crate::program::run_folder::{Progress, RunFolder, RunRecord, Settings, StartUp};
use crate::ranks::{Ranks, micro_batches_of_rank};
use crate::tensor::HostTensor;
use crate::trace;
use crate::train::{Diverged, TrainConfig, Trainer};
use crate::weights;

/// Steps of a timeline.
pub(super) const TRACED_STEPS: usize = 5;

/// Micro-batches of a batch that ranks share.
pub(super) const MICRO_BATCHES_OF_RANKS: usize = 8;

/// The requested optimizer with its parameters.
pub(super) fn optimizer(name: OptimizerName, momentum: Option<f64>, weight_decay: f64) -> Result<Optimizer> {
    let is_sgd = matches!(name, OptimizerName::Sgd | OptimizerName::Nesterov);
    ensure!(
        is_sgd || momentum.is_none(),
        "--momentum works only with --optimizer sgd or nesterov; leave it out for Adam"
    );
    Ok(match name {
        OptimizerName::Sgd | OptimizerName::Nesterov => Optimizer::Sgd {
            momentum: momentum.unwrap_or(0.9),
            nesterov: name == OptimizerName::Nesterov,
            weight_decay,
        },
        OptimizerName::Adam => Optimizer::adam(weight_decay, false),
        OptimizerName::Adamw => Optimizer::adam(weight_decay, true),
    })
}

/// The settings for a data set of this name, with so many images of a task to train on.
pub(super) fn config(args: &TrainArgs, name: &str, task: &Task, images: usize) -> Result<TrainConfig> {
    let optimizer = optimizer(args.optimizer, args.momentum, args.weight_decay)?;
    let suited = match args.validation {
        Some(share) => TrainConfig::holding_out(share.of(images), images),
        None => TrainConfig::for_images(images),
    };
    let suited = args.batch_size.map_or(suited, |batch| suited.with_batch(batch));
    // The rate sets the size of Adam's steps; SGD multiplies it by the gradient, which is small.
    let default_rate = if matches!(optimizer, Optimizer::Adam { .. }) { suited.rate } else { 5.0 * suited.rate };
    ensure!(
        args.ranks.is_none() || args.tune != TuneChoice::Force,
        "ranks that measure kernels may choose different ones; run `gpu-digits tune` before, and leave out --tune force"
    );
    ensure!(
        args.sync_every.is_none() || args.micro_batches.is_none(),
        "--sync-every is local SGD, whose ranks take their batches whole; leave out --micro-batches"
    );
    let shared = if args.ranks.is_some() && args.sync_every.is_none() { MICRO_BATCHES_OF_RANKS } else { 1 };
    let micro_batches = args.micro_batches.unwrap_or(shared);
    // Whether the ranks can share them is known when there are ranks.
    micro_batches_of_rank(suited.batch, micro_batches, micro_batches)?;
    Ok(TrainConfig {
        epochs: args.epochs,
        batch: suited.batch,
        micro_batches,
        sync_every: args.sync_every,
        optimizer,
        rate: args.lr.unwrap_or(default_rate),
        schedule: args.schedule,
        seed: args.seed,
        shuffle: args.shuffle == Switch::On,
        validation: suited.validation,
        generated: args.add_generated.unwrap_or(if name == MNIST { TrainConfig::MNIST_GENERATED } else { 0 }),
        stream: args.stream.map(|stream| stream == Switch::On),
        fuse: args.fuse.map(|fuse| fuse == Switch::On),
        precision: args.precision,
        refinements: Refinements {
            label_smoothing: args.label_smoothing,
            clip_norm: args.clip_norm,
            average: args.average,
            augment: args.augment.unwrap_or_else(|| Augment::suiting(task)),
        },
    })
}

/// `given` are the words of the command line after the program's name.
pub(super) async fn run(mut args: TrainArgs, given: &[OsString]) -> Result<Verdict> {
    let mut resumed = None;
    let own = given.iter().position(|word| word == "train").map_or(0, |place| place + 1);
    let given = &given[own..];
    if let Some(recipe) = args.recipe {
        if args.show {
            recipe::show(recipe, given);
            return Ok(Verdict::Passed);
        }
        args = recipe::arguments(recipe, given)?;
    }
    if args.device.device == DeviceChoice::All {
        return seeds::run(&args, given).await;
    }
    let link = ranks::connect(&args)?;
    if let Some(folder) = args.resume.clone() {
        // The run itself may have begun with other weights.
        ensure!(args.init.is_none(), "--resume goes on with the weights of the run; leave out --init");
        let run = ranks::resumed(&folder, link.as_ref())?;
        args = run.arguments(&folder, given)?;
        resumed = Some(run);
    }
    // Report wrong arguments before any work, where it is known what the data will be.
    if !are_own_data(&args.data) {
        let has_state = resumed.as_ref().is_some_and(|run: &Resumed| run.state.is_some());
        ensure_digits_can_be_learned(&args, has_state)?;
    }
    let writes = link.as_ref().is_none_or(|ranks| ranks.rank() == 0);
    if let Some(folder) = args.out.as_ref().filter(|_| writes) {
        RunFolder::ensure_free(folder)?;
    }
    if args.ranks.is_some() {
        return ranks::run(args, resumed, link).await;
    }
    let mut session = Session::open(&args.device, &args.data).await?;
    if let Some(output) = &args.find_lr {
        return find_lr::run(&session, &args, output.as_ref()).await;
    }
    match train(&session, &args, resumed, Manner::default()).await {
        Ok((verdict, _)) => Ok(verdict),
        Err(error) => {
            let lost = error.downcast::<DeviceFailed>()?;
            if args.on_device_lost == OnDeviceLost::Stop {
                return Err(lost.into());
            }
            warning!("warning: {lost}");
            session.device = open_device(&args.device.device).await?;
            let (verdict, _) = train(&session, &args, Some(Resumed::open(&lost.folder)?), Manner::default()).await?;
            Ok(verdict)
        }
    }
}

/// How a run is trained, besides its arguments.
#[derive(Default)]
pub(super) struct Manner {
    /// The ranks, of which this is the first.
    pub(super) ranks: Option<Ranks>,
    /// The epoch after which the run pauses, to go on later.
    pub(super) pause_after: Option<usize>,
}

/// Trains as the arguments say, from where the run is that is gone on with, writes the run folder, and returns the data of
/// its report.
pub(super) async fn train(
    session: &Session,
    args: &TrainArgs,
    resumed: Option<Resumed>,
    Manner { ranks, pause_after }: Manner,
) -> Result<(Verdict, RunReport)> {
    let Session { dataset, .. } = session;
    let has_state = resumed.as_ref().is_some_and(|run| run.state.is_some());
    let Start { model, parameters, remark } = initial(args, dataset.task.clone(), has_state)?;
    let config = config(args, &dataset.name, &dataset.task, dataset.train.len())?;
    ensure!(
        args.early_stopping.is_none() || config.validation > 0,
        "--early-stopping looks at the validation images, but --validation 0 holds none out"
    );
    note!("model: {model} ({} parameters)", thousands(model.parameter_count()));
    if !args.freeze.is_empty() {
        note!("frozen: {}", args.freeze.join(", "));
    }
    let start = Instant::now();
    let device = &device(&session.device, args, &model, &config).await?;
    let device_seconds = session.start_up.device_seconds + start.elapsed().as_secs_f64();
    let held_out = thousands(config.validation);
    note!(
        "settings: batches of {}, learning rate {}, {held_out} images held out, drawn from each class with seed {}",
        config.batch,
        numbers::exact(config.rate),
        config.seed
    );
    note!("augmentation: {}", config.refinements.augment);
    if config.generated > 0 {
        note!("added: {} generated digits, which are not held out", thousands(config.generated));
    }
    if resumed.is_none() {
        if let Some(remark) = remark {
            warning!("{remark}");
        }
        warn_of_seen_images(args, dataset, &config)?;
    }
    if let Some(output) = &args.trace {
        // Use a separate trainer, so that a trace does not change the run by a single bit.
        let mut traced = Trainer::new(device, &model, &parameters, dataset, config).await?;
        let spans = traced.trace(TRACED_STEPS).await.context("leave out --trace, or use another device or data set")?;
        output.write(trace::to_json(&device.to_string(), &spans)?.as_bytes())?;
        note!("wrote {output}");
    }
    let start = Instant::now();
    let spinner = compiling(device);
    let mut trainer = match ranks {
        Some(ranks) => Trainer::among(ranks, device, &model, &parameters, dataset, config).await?,
        None => Trainer::new(device, &model, &parameters, dataset, config).await?,
    };
    drop(spinner);
    let executor_seconds = start.elapsed().as_secs_f64();
    let mut record = record(args, device, &model, &parameters, dataset, &config);
    record.kernels = trainer.kernels();
    if let Some(run) = &resumed {
        run.go_on(&mut record, &mut trainer, &config)?;
        note!("going on after step {} of {}", thousands(trainer.steps_done()), thousands(trainer.steps()));
    }
    let start = Instant::now();
    if args.self_test == Switch::On {
        ensure_computes_rightly(device, &mut trainer, dataset, &model).await?;
    }
    let self_test_seconds = start.elapsed().as_secs_f64();
    let start_up = StartUp { device_seconds, executor_seconds, self_test_seconds, ..session.start_up };
    let (folder, progress) = match resumed {
        Some(Resumed { folder: Some(folder), progress, .. }) => (folder, progress),
        _ => (RunFolder::create(args.out.as_deref())?, Progress::default()),
    };
    folder.write_record(&record)?;
    let path = folder.path().to_owned();
    let kept = record.clone();
    let run = Run {
        session,
        args,
        device,
        config,
        model: model.clone(),
        trainer: &mut trainer,
        folder,
        record,
        start: Instant::now(),
        start_up,
        progress,
        last_checkpoint: Instant::now(),
        checkpoint_seconds: 0.0,
        unwritten: None,
        pause_after,
    };
    let error = match run.train().await {
        Ok(done) => return Ok(done),
        Err(error) if device.failure().is_some() => return Err(DeviceFailed { error, folder: path }.into()),
        Err(error) => error,
    };
    if !error.is::<Diverged>() && args.ranks.is_some() {
        return Err(DeviceFailed { error, folder: path }.into());
    }
    if let Some(diverged) = error.downcast_ref::<Diverged>() {
        drop(trainer);
        let kept = match config.sync_every {
            // One rank alone does not come to the step that several came to.
            Some(_) => Err(anyhow!("it is one of local SGD, which all ranks would have to repeat")),
            None => match Trainer::new(device, &model, &parameters, dataset, config).await {
                Ok(fresh) => fault::keep(fresh, dataset, &config, &kept, &path, diverged).await,
                Err(error) => Err(error),
            },
        };
        match kept.context("the step is not kept") {
            Ok(folder) => warning!("to see that step:  gpu-digits verify --replay {}", folder.display()),
            Err(cannot) => warning!("warning: {cannot:#}"),
        }
    }
    Err(error)
}

/// The error of a run whose device or another rank has failed: it can go on where it was.
#[derive(Debug)]
struct DeviceFailed {
    error: Error,
    folder: PathBuf,
}

impl std::error::Error for DeviceFailed {}

impl fmt::Display for DeviceFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, folder } = self;
        write!(f, "{error:#}\nto go on from the last checkpoint:  gpu-digits train --resume {}", folder.display())
    }
}

/// The record of a run that would train as the arguments say, without its kernels.
pub(super) async fn record_of(session: &Session, args: &TrainArgs) -> Result<RunRecord> {
    let dataset = &session.dataset;
    let Start { model, parameters, .. } = initial(args, dataset.task.clone(), false)?;
    let config = config(args, &dataset.name, &dataset.task, dataset.train.len())?;
    let device = device(&session.device, args, &model, &config).await?;
    Ok(record(args, &device, &model, &parameters, dataset, &config))
}

/// The device with the kernels that `--tune` selects. If none was named and only software adapters are there, it is the
/// one that trains the model faster, an adapter or the CPU.
pub(super) async fn device(device: &Device, args: &TrainArgs, model: &Model, config: &TrainConfig) -> Result<Device> {
    let Device::Gpu(gpu) = device else {
        refuse_without_gpu(args.tune)?;
        return Ok(Device::Cpu);
    };
    let plan = || {
        let mnist = PlanConfig::for_mnist(config.batch / config.micro_batches, Some(config.optimizer));
        Plan::new(model, PlanConfig { form: config.form(device), refinements: config.refinements, ..mnist })
    };
    let gpu = tuned(gpu.as_ref().clone(), args.tune, plan).await?;
    // Kernels are measured for the sake of the adapter. Ranks must not choose differently.
    if args.ranks.is_none()
        && args.device.device == DeviceChoice::Auto
        && device.is_software()
        && args.tune != TuneChoice::Force
    {
        return Ok(faster(gpu, model, config).await);
    }
    Ok(Device::Gpu(Box::new(gpu)))
}

fn record(
    args: &TrainArgs,
    device: &Device,
    model: &Model,
    parameters: &[HostTensor],
    dataset: &Dataset,
    config: &TrainConfig,
) -> RunRecord {
    let adapter = match device {
        Device::Cpu => None,
        Device::Gpu(gpu) => Some(gpu.info().clone()),
    };
    let data = DataRecord::from(dataset);
    RunRecord {
        command: command(&resolved(args, device, model, config, &data)),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: crate::COMMIT.to_owned(),
        started: now(),
        platform: platform(),
        device: device.to_string(),
        adapter,
        model: model.to_string(),
        kernels: vec![],
        seed: config.seed,
        settings: Settings {
            epochs: config.epochs,
            batch_size: config.batch,
            micro_batches: config.micro_batches,
            sync_every: config.sync_every,
            optimizer: format!("{:?}", config.optimizer),
            precision: config.precision,
            learning_rate: config.rate,
            schedule: format!("{:?}", config.schedule),
            augment: config.refinements.augment.to_string(),
            label_smoothing: config.refinements.label_smoothing,
            clip_norm: config.refinements.clip_norm,
            average: config.refinements.average,
            frozen: args.freeze.clone(),
            shuffle: config.shuffle,
            validation: config.validation,
            generated: config.generated,
            initial_weights_sha256: weights::hash(parameters),
        },
        data,
        result: None,
    }
}
