//! `gpu-digits sweep`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};

use super::values::{self, not_negative, positive, positive_number, share};
use super::{DataArgs, DeviceArgs, OptimizerName, Switch, examples};
use crate::augment::Augment;
use crate::data::Share;
use crate::program::recipes::Recipe;
use crate::schedule::Schedule;

/// `gpu-digits sweep`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SweepArgs {
    /// Put the runs of several folders together, and print the table of all
    #[command(subcommand)]
    pub command: Option<SweepCommand>,
    /// Take the options of a recipe of `train`; those given besides override them
    #[arg(long, value_name = "NAME", value_parser = values::recipe())]
    pub recipe: Option<&'static Recipe>,
    /// Models, separated by semicolons; or repeat the option [default: that of --recipe, else convnet]
    #[arg(long, alias = "models", value_name = "MODEL;...", value_delimiter = ';')]
    pub model: Vec<String>,
    /// Highest learning rates, separated by commas [default: the default of each optimizer]
    #[arg(long, value_name = "RATE,...", value_delimiter = ',', value_parser = positive_number)]
    pub lr: Vec<f64>,
    /// Batch sizes, separated by commas [default: 128, fewer for small sets]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = positive())]
    pub batch_size: Vec<usize>,
    /// Optimizers, separated by commas [default: that of --recipe, else adam]
    #[arg(long, value_enum, value_name = "NAME,...", value_delimiter = ',')]
    pub optimizer: Vec<OptimizerName>,
    /// Number of seeds of each setting: 0, 1, 2, ... [default: 3, with --halving 1]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub seeds: Option<usize>,
    /// Train only this many settings, chosen at random
    #[arg(long, value_name = "N", value_parser = positive())]
    pub random: Option<usize>,
    /// Seed of that choice, and of the order in which --halving begins settings
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub draw_seed: u64,
    /// Train only the I-th of N equal shares of the runs, such as 1/4; `sweep merge` prints the table of all
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Successive halving: begin each setting with few epochs, and go on with the best of every N, for N times as many epochs
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "shard", "ask"], value_parser = clap::value_parser!(u32).range(2..))]
    pub halving: Option<u32>,
    /// Epochs with which --halving begins each setting
    #[arg(long, value_name = "N", default_value_t = 1, requires = "halving", value_parser = positive())]
    pub least_epochs: usize,
    /// Let another program choose settings: a command that prints {"number": N, "params": {"lr": 0.01, ...}}, such as
    /// `optuna ask`
    #[arg(long, value_name = "COMMAND", requires_all = ["tell", "trials"], conflicts_with_all = ["shard", "random"])]
    pub ask: Option<String>,
    /// The command that tells it a trial's validation accuracy: `{number}` and `{value}` stand for both
    #[arg(long, value_name = "COMMAND", requires = "ask")]
    pub tell: Option<String>,
    /// Trials to ask for, those in --out counted
    #[arg(long, value_name = "N", requires = "ask", value_parser = positive())]
    pub trials: Option<usize>,
    /// Passes over the training images [default: those of --recipe, else 6]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub epochs: Option<usize>,
    /// Learning-rate schedules, separated by commas [default: that of `train`, as for the options below]
    #[arg(long, value_enum, value_name = "NAME,...", value_delimiter = ',')]
    pub schedule: Vec<Schedule>,
    /// Weight decays, separated by commas
    #[arg(long, value_name = "FACTOR,...", value_delimiter = ',', value_parser = not_negative)]
    pub weight_decay: Vec<f64>,
    /// Label smoothings, separated by commas
    #[arg(long, value_name = "SHARE,...", value_delimiter = ',', value_parser = share)]
    pub label_smoothing: Vec<f64>,
    /// Averages of the parameters, separated by commas
    #[arg(long, value_name = "SHARE,...", value_delimiter = ',', value_parser = share)]
    pub average: Vec<f64>,
    /// Changes of the training images, separated by semicolons
    #[arg(long, value_name = "CHANGES;...", value_delimiter = ';')]
    pub augment: Vec<Augment>,
    /// Training images to hold out for validation, a number or a share; their accuracy ranks the settings [default: a
    /// twelfth]
    #[arg(long, value_name = "N|SHARE")]
    pub validation: Option<Share>,
    /// The same as for `train`
    #[arg(long, value_name = "N")]
    pub add_generated: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub device: DeviceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,
    /// The same as for `train`
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub self_test: Switch,
    /// Folder for the runs; finished runs in it are not trained again, and several equal commands share the work
    #[arg(long, value_name = "DIR", required = true)]
    pub out: Option<PathBuf>,
}

/// The subcommands of `sweep`.
#[derive(Clone, Debug, Subcommand)]
pub enum SweepCommand {
    /// Put the runs of several folders together, and print the table of all
    #[command(after_help = examples::SWEEP_MERGE)]
    Merge(MergeArgs),
}

/// `gpu-digits sweep merge`.
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// Folder of a sweep
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// Folders whose runs are copied into it
    #[arg(value_name = "FROM")]
    pub from: Vec<PathBuf>,
}

/// One of several equal shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// Whether the item at this place, from 0, is in it.
    pub fn has(self, place: usize) -> bool {
        place % self.count == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "give the number of a share and how many there are, such as 1/4";
        let (number, count) = text.split_once('/').context(WANTED)?;
        let shard = Self { number: number.parse().context(WANTED)?, count: count.parse().context(WANTED)? };
        ensure!((1..=shard.count).contains(&shard.number), "{WANTED}; the first is 1/{}", shard.count.max(1));
        Ok(shard)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_one_shard() {
        for count in 1..5 {
            let shards: Vec<Shard> = (1..=count).map(|number| format!("{number}/{count}").parse().unwrap()).collect();
            for place in 0..20 {
                assert_eq!(shards.iter().filter(|shard| shard.has(place)).count(), 1, "{place} of {count}");
            }
        }
        for wrong in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong} was taken");
        }
    }
}
