//! `gpu-digits tune`, and the `--tune` option of other commands.

use anyhow::{Context, Result, bail};

use super::grouped::Grouped;
use super::open::{open_adapters, taking};
use super::{Verdict, duration, kernel_bar, lowering};
use crate::bench::Effort;
use crate::gpu::Gpu;
use crate::numbers::NONE;
use crate::ops::Case;
use crate::plan::{Plan, PlanConfig};
use crate::program::cli::{TuneArgs, TuneChoice};
use crate::program::tune::{TunedVariant, Tuning, choose, file};
use crate::train::TrainConfig;

pub(super) async fn run(args: &TuneArgs) -> Result<Verdict> {
    let (model, form) = lowering(&args.step)?;
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let mut cases = Vec::new();
    for &batch in &args.batch_size {
        let config = PlanConfig { form, ..PlanConfig::for_mnist(batch, optimizer) };
        cases.extend(Plan::new(&model, config)?.cases());
    }
    for gpu in taking(&args.variants, open_adapters(&args.adapters, "tune chooses kernels for a GPU").await?) {
        out!("{}", gpu.info());
        let tuning = if args.list {
            known(&gpu)
        } else {
            search(&gpu, &cases, Effort { samples: args.samples, ..Effort::DEFAULT }).await?
        };
        print_choices(&tuning, &cases);
    }
    Ok(Verdict::Passed)
}

/// The saved choices for an adapter; prints why if the file cannot be used.
pub(super) fn known(gpu: &Gpu) -> Tuning {
    let Some(file) = file(gpu.info()) else { return Tuning::new(gpu.info()) };
    let (tuning, ignored) = Tuning::load(&file, gpu.info());
    if let Some(why) = ignored {
        warning!("  note: {why}");
    }
    tuning
}

/// Finds the fastest variant of each case and adds it to the saved choices.
async fn search(gpu: &Gpu, cases: &[Case], effort: Effort) -> Result<Tuning> {
    let file = file(gpu.info())
        .context("cannot save the choices: no home folder is known, so there is no cache folder; set HOME")?;
    let mut tuning = known(gpu);
    if gpu.info().timestamps
        && let Some(doubt) = gpu.clock_doubt().await?
    {
        warning!("  note: the device's clock is not used: {doubt}; kernels are timed by the host's clock");
    }
    let bar = kernel_bar(cases.len());
    for case in cases {
        bar.set_message(case.label());
        if let Some(choice) = choose(gpu, case, effort).await? {
            for tried in choice.tried.iter().filter(|tried| tried.wrong.is_some()) {
                let why = tried.wrong.as_deref().unwrap_or_default();
                warning!("  note: {}.{} is skipped: {why}", case.name(), tried.variant);
            }
            tuning = Tuning::keep(&file, gpu.info(), case.label(), choice)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    note!("  saved in {}", file.display());
    Ok(tuning)
}

/// A GPU with the choices that `--tune` selects: the saved ones, none, or new ones measured for the plan.
pub(super) async fn tuned(gpu: Gpu, wish: TuneChoice, plan: impl FnOnce() -> Result<Plan>) -> Result<Gpu> {
    match wish {
        TuneChoice::Off => Ok(gpu),
        TuneChoice::Auto => Ok(known(&gpu).apply(gpu)),
        TuneChoice::Force => {
            let tuning = search(&gpu, &plan()?.cases(), Effort::DEFAULT).await?;
            Ok(tuning.apply(gpu))
        }
    }
}

fn print_choices(tuning: &Tuning, cases: &[Case]) {
    let chosen: Vec<(&Case, &TunedVariant)> =
        cases.iter().filter_map(|case| Some((case, tuning.choices.get(&case.label())?))).collect();
    if chosen.is_empty() {
        out!("no choices are saved for these sizes; run `gpu-digits tune` without --list to measure them");
        return;
    }
    let mut table = Grouped::new("case", ["variant", "time", "times the chosen", ""], 1);
    for (case, choice) in chosen {
        let time = |variant: &str| choice.tried.iter().find(|tried| tried.variant == variant)?.seconds;
        let chosen_seconds = time(&choice.variant).unwrap_or(f64::NAN);
        for tried in &choice.tried {
            let text = |of: &dyn Fn(f64) -> String| tried.seconds.map_or_else(|| NONE.to_owned(), of);
            let remark = match (tried.variant == choice.variant, &tried.wrong) {
                (true, _) => "chosen",
                (false, Some(_)) => "wrong",
                (false, None) => "",
            };
            let ratio = text(&|seconds| format!("{:.2}", seconds / chosen_seconds));
            table.row(case.label(), [tried.variant.clone(), text(&duration), ratio, remark.to_owned()]);
        }
    }
    table.print(false);
}

/// Refuses `--tune force` on a device without kernels.
pub(super) fn refuse_without_gpu(wish: TuneChoice) -> Result<()> {
    if wish == TuneChoice::Force {
        bail!(
            "--tune force measures GPU kernels, but the device is the CPU; choose a GPU with --device, or \
             leave --tune out"
        );
    }
    Ok(())
}
