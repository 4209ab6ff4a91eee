//! `--device auto` where only software adapters are there: an adapter or the CPU, whichever trains the model faster.

use anyhow::Result;

use super::{compiling, thousands};
use crate::device::Device;
use crate::gpu::Gpu;
use crate::model::Model;
use crate::program::tune::{Tuning, file};
use crate::train::TrainConfig;
use crate::trial::Trial;

/// The adapter, or the CPU if that trains the model clearly faster, by a trial that is kept for the next time. Says so
/// in a line. Without a trial the adapter is taken, and the line says why there is none.
pub(super) async fn faster(gpu: Gpu, model: &Model, config: &TrainConfig) -> Device {
    let info = gpu.info().clone();
    let adapter = Device::Gpu(Box::new(gpu));
    let label = label(model, config, &adapter);
    let file = file(&info);
    let kept = file.as_deref().and_then(|file| Tuning::load(file, &info).0.trials.get(&label).copied());
    let choice = choose(kept, async || {
        let spinner = compiling(&adapter);
        let trial = Trial::run(&adapter, model, config).await?;
        drop(spinner);
        if let Some(file) = &file
            && let Err(error) = Tuning::keep_trial(file, &info, label, trial)
        {
            note!("  note: the trial is not kept for the next time: {error:#}");
        }
        Ok(trial)
    });
    let Choice { takes_cpu, why } = choice.await;
    note!("{why}");
    if takes_cpu { Device::Cpu } else { adapter }
}

/// What a trial depends on, beside the adapter.
fn label(model: &Model, config: &TrainConfig, adapter: &Device) -> String {
    let TrainConfig { batch, optimizer, .. } = config;
    let (form, threads) = (config.form(adapter), rayon::current_num_threads());
    let frozen: Vec<&str> =
        model.layers().iter().filter(|placed| placed.frozen).map(|placed| placed.name.as_str()).collect();
    let frozen = if frozen.is_empty() { String::new() } else { format!("; {} frozen", frozen.join(", ")) };
    format!("{model}{frozen}; {}; batch {batch}; {optimizer:?}; {form}; {threads} threads", model.task())
}

/// Which device is taken, and why.
#[derive(Debug, PartialEq)]
struct Choice {
    takes_cpu: bool,
    why: String,
}

/// Chooses by the kept trial, otherwise by a new one.
async fn choose(kept: Option<Trial>, run: impl AsyncFnOnce() -> Result<Trial>) -> Choice {
    let (trial, when) = match kept {
        Some(trial) => (trial, "measured before"),
        None => match run().await {
            Ok(trial) => (trial, "measured now"),
            Err(error) => {
                let why = format!("the adapter is taken: comparing it with the CPU failed: {error:#}");
                return Choice { takes_cpu: false, why };
            }
        },
    };
    let takes_cpu = trial.takes_cpu();
    let taken = if takes_cpu { "the CPU" } else { "the adapter" };
    let pace = |images: f64| thousands(images as usize);
    let (adapter, cpu) = (pace(trial.adapter), pace(trial.cpu));
    Choice { takes_cpu, why: format!("{taken} is taken: {adapter} images/s on the adapter, {cpu} on the CPU ({when})") }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const SLOW_ADAPTER: Trial = Trial { adapter: 1_000.4, cpu: 20_000.0 };
    const FAST_ADAPTER: Trial = Trial { adapter: 1_500.0, cpu: 300.0 };

    fn chosen(kept: Option<Trial>, run: impl AsyncFnOnce() -> Result<Trial>) -> (bool, String) {
        let Choice { takes_cpu, why } = pollster::block_on(choose(kept, run));
        (takes_cpu, why)
    }

    #[test]
    fn the_faster_device_is_taken_and_both_paces_are_said() {
        let (takes_cpu, why) = chosen(None, async || Ok(SLOW_ADAPTER));
        assert!(takes_cpu);
        assert_eq!(why, "the CPU is taken: 1,000 images/s on the adapter, 20,000 on the CPU (measured now)");
        let (takes_cpu, why) = chosen(None, async || Ok(FAST_ADAPTER));
        assert!(!takes_cpu);
        assert_eq!(why, "the adapter is taken: 1,500 images/s on the adapter, 300 on the CPU (measured now)");
    }

    #[test]
    fn with_a_kept_trial_nothing_is_measured() {
        let (takes_cpu, why) = chosen(Some(SLOW_ADAPTER), async || panic!("it measures"));
        assert!(takes_cpu && why.ends_with("(measured before)"), "{why}");
    }

    #[test]
    fn a_trial_that_fails_leaves_the_adapter_and_says_why() {
        let (takes_cpu, why) = chosen(None, async || bail!("out of memory"));
        assert!(!takes_cpu);
        assert_eq!(why, "the adapter is taken: comparing it with the CPU failed: out of memory");
    }

    #[test]
    fn a_trial_counts_for_its_model_and_batch_alone() {
        let model = |text: &str| text.parse::<Model>().expect("a model");
        let of = |text, batch| label(&model(text), &TrainConfig { batch, ..TrainConfig::DEFAULT }, &Device::Cpu);
        assert_ne!(of("mlp", 128), of("convnet", 128));
        assert_ne!(of("mlp", 128), of("mlp", 64));
    }
}
