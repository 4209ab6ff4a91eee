//! The command that repeats a run: every option with its resolved value.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::{Parser as _, ValueEnum};

use crate::data::{DataChoice, DataRecord, Folders, GENERATED, Share};
use crate::device::{Device, DeviceChoice};
use crate::model::Model;
use crate::plan::Optimizer;
use crate::program::cli::{Cli, Command, Switch, TrainArgs, TuneChoice};
use crate::train::TrainConfig;
use crate::words::Word;

/// The arguments with every default replaced by the value that the run used. They no longer depend on the machine's
/// network, files or environment.
pub(super) fn resolved(
    args: &TrainArgs,
    device: &Device,
    model: &Model,
    config: &TrainConfig,
    data: &DataRecord,
) -> TrainArgs {
    let mut resolved = args.clone();
    resolved.model = Some(model.to_string());
    resolved.device.device = match (device, &args.device.device) {
        (Device::Cpu, _) => DeviceChoice::Cpu,
        (Device::Gpu(gpu), DeviceChoice::Auto) => DeviceChoice::Index(gpu.info().index),
        (Device::Gpu(_), wish) => wish.clone(),
    };
    resolved.data.dataset = match &data.folder {
        _ if data.name == GENERATED => Some(DataChoice::Generated),
        // A named folder is used or refused; nothing else is tried.
        Some(_) => None,
        None => Some(DataChoice::Mnist),
    };
    resolved.data.generated_images = (data.name == GENERATED).then_some(data.train_images);
    // The folder may come from the environment. It is none for the cache and for generated digits.
    resolved.data.data = data.folder.as_ref().and_then(|_| Folders::from_environment(args.data.data.clone()).named);
    resolved.batch_size = Some(config.batch);
    resolved.micro_batches = (config.micro_batches > 1).then_some(config.micro_batches);
    resolved.lr = Some(config.rate);
    resolved.momentum = match config.optimizer {
        Optimizer::Sgd { momentum, .. } => Some(momentum),
        Optimizer::Adam { .. } => None,
    };
    resolved.data.test = data.held_out.then_some(Share::Images(data.test_images));
    resolved.validation = Some(Share::Images(config.validation));
    resolved.augment = Some(config.refinements.augment);
    resolved.add_generated = Some(config.generated);
    resolved.fuse = Some(if config.form(device).fuse { Switch::On } else { Switch::Off });
    // `--tune force` has saved its choices, so `auto` finds them.
    if args.tune == TuneChoice::Force {
        resolved.tune = TuneChoice::Auto;
    }
    resolved
}

/// The words of `gpu-digits train` with these arguments. The folder is left out, because a repetition has its own, and
/// so is the timeline, which is not part of the run.
pub(super) fn command(args: &TrainArgs) -> Vec<Word> {
    let mut words: Vec<Word> = vec![env!("CARGO_PKG_NAME").into(), "train".into()];
    let mut option =
        |name: &str, value: Option<Word>| words.extend(value.map(|value| [name.into(), value]).into_iter().flatten());
    let number = |number: Option<usize>| number.map(|number| number.to_string().into());
    let float = |number: Option<f64>| number.map(|number| Word::from(number.to_string()));
    option("--model", args.model.clone().map(Word::from));
    option("--device", Some(args.device.device.to_string().into()));
    option("--data", args.data.data.clone().map(Word::from));
    option("--dataset", args.data.dataset.map(named));
    option("--generated-images", number(args.data.generated_images));
    option("--test", args.data.test.map(|share| share.to_string().into()));
    option("--image-size", args.data.image_size.map(|size| size.to_string().into()));
    option("--epochs", number(Some(args.epochs)));
    option("--batch-size", number(args.batch_size));
    option("--optimizer", Some(named(args.optimizer)));
    option("--lr", float(args.lr));
    option("--momentum", float(args.momentum));
    option("--weight-decay", float(Some(args.weight_decay)));
    option("--label-smoothing", float(Some(args.label_smoothing)));
    option("--clip-norm", float(args.clip_norm));
    option("--average", float(args.average));
    option("--augment", args.augment.map(|augment| augment.to_string().into()));
    option("--schedule", Some(named(args.schedule)));
    option("--seed", Some(args.seed.to_string().into()));
    option("--shuffle", Some(named(args.shuffle)));
    option("--validation", args.validation.map(|share| share.to_string().into()));
    option("--add-generated", number(args.add_generated));
    option("--stream", args.stream.map(named));
    option("--fuse", args.fuse.map(named));
    option("--precision", Some(named(args.precision)));
    option("--tune", Some(named(args.tune)));
    option("--ranks", args.ranks.map(|ranks| ranks.to_string().into()));
    option("--micro-batches", number(args.micro_batches));
    option("--sync-every", number(args.sync_every));
    option("--init", args.init.clone().map(Word::from));
    option("--freeze", (!args.freeze.is_empty()).then(|| args.freeze.join(",").into()));
    option("--checkpoint-every", args.checkpoint_every.map(|every| every.to_string().into()));
    option("--on-device-lost", Some(named(args.on_device_lost)));
    option("--self-test", Some(named(args.self_test)));
    option("--early-stopping", number(args.early_stopping));
    option("--log-steps", number(args.log_steps));
    option("--plots", args.plots.map(named));
    option("--target-accuracy", float(args.target_accuracy));
    if args.tensorboard {
        words.push("--tensorboard".into());
    }
    words
}

/// The arguments of `gpu-digits train` in a command such as [`command`] gives.
pub(super) fn parsed(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<TrainArgs> {
    match Cli::try_parse_from(words)?.command {
        Command::Train(args) => Ok(args),
        _ => bail!("the command is not `gpu-digits train`"),
    }
}

/// The name of an option's value on the command line.
pub(super) fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn named(value: impl ValueEnum) -> Word {
    name_of(value).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// A new option of `train` must be listed here: it is part of the command or it is not.
    #[test]
    fn every_option_of_train_is_in_the_command_that_repeats_it() {
        let everything = [
            "gpu-digits",
            "train",
            "--model",
            "flatten, dense 10",
            "--device",
            "cpu",
            "--data",
            "a b",
            "--dataset",
            "mnist",
            "--generated-images",
            "7",
            "--test",
            "20%",
            "--image-size",
            "32x24x3",
            "--epochs",
            "3",
            "--batch-size",
            "5",
            "--optimizer",
            "nesterov",
            "--lr",
            "0.1",
            "--momentum",
            "0.8",
            "--weight-decay",
            "0.25",
            "--label-smoothing",
            "0.1",
            "--clip-norm",
            "1.5",
            "--average",
            "0.99",
            "--augment",
            "rotate 10, pen 0.5",
            "--schedule",
            "step",
            "--seed",
            "9",
            "--shuffle",
            "off",
            "--validation",
            "2",
            "--add-generated",
            "30",
            "--stream",
            "on",
            "--fuse",
            "off",
            "--precision",
            "f16",
            "--tune",
            "off",
            "--ranks",
            "4",
            "--micro-batches",
            "16",
            "--sync-every",
            "9",
            "--init",
            "w",
            "--freeze",
            "conv1,norm1",
            "--checkpoint-every",
            "30s",
            "--on-device-lost",
            "retry",
            "--self-test",
            "off",
            "--early-stopping",
            "2",
            "--log-steps",
            "4",
            "--plots",
            "svg",
            "--target-accuracy",
            "90.5",
            "--tensorboard",
        ];
        let words = everything.map(Word::from);
        assert_eq!(command(&parsed(words.iter().map(Word::as_os_str)).unwrap()), words);
        let no_part_of_it =
            ["--out", "--trace", "--help", "--quiet", "--resume", "--extend-to", "--recipe", "--show", "--find-lr"];
        let train = Cli::command().find_subcommand("train").cloned().unwrap();
        for option in train.get_arguments().filter_map(|argument| argument.get_long()) {
            let option = format!("--{option}");
            let is_in = everything.contains(&option.as_str());
            assert!(is_in != no_part_of_it.contains(&option.as_str()), "{option}");
        }
    }
}
