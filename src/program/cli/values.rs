//! Parsers of option values. Each refuses values that make no sense.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::program::files::Destination;
use crate::program::recipes::{RECIPES, Recipe};

/// When `train` writes a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointEvery {
    /// Never.
    Off,
    /// After so many epochs.
    Epochs(usize),
    /// After this time, also within an epoch; whole seconds.
    Time(Duration),
}

/// The units of times, and their seconds.
const UNITS: [(char, u64); 3] = [('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for CheckpointEvery {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "give a number of epochs such as 1, a time such as 30s, 10m or 2h, or off";
        if text == "off" {
            return Ok(Self::Off);
        }
        let unit = UNITS.into_iter().find(|(letter, _)| text.ends_with(*letter));
        let number: u32 = text
            .strip_suffix(|letter| unit.is_some_and(|(own, _)| own == letter))
            .unwrap_or(text)
            .parse()
            .context(WANTED)?;
        match (number, unit) {
            (0, _) => bail!(WANTED),
            (number, None) => Ok(Self::Epochs(number as usize)),
            (number, Some((_, seconds))) => Ok(Self::Time(Duration::from_secs(u64::from(number) * seconds))),
        }
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Epochs(epochs) => write!(f, "{epochs}"),
            Self::Time(time) => write!(f, "{}s", time.as_secs()),
        }
    }
}

/// The ranks that train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RanksChoice {
    /// Threads of this process.
    Threads(usize),
    /// Processes that MPI has started.
    Mpi,
}

impl FromStr for RanksChoice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "mpi" => Ok(Self::Mpi),
            Ok(count) if count > 0 => Ok(Self::Threads(count)),
            _ => bail!("give a number of threads from 1 on, or mpi for the ranks that mpirun has started"),
        }
    }
}

impl fmt::Display for RanksChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(count) => write!(f, "{count}"),
            Self::Mpi => f.write_str("mpi"),
        }
    }
}

/// The destination of a picture.
pub(super) fn picture() -> impl clap::builder::TypedValueParser<Value = Destination> {
    use clap::builder::TypedValueParser;
    clap::builder::OsStringValueParser::new().try_map(crate::program::picture_file::picture_destination)
}

/// The destination of a range test: a picture, or its numbers as JSON.
pub(super) fn rates_file() -> impl clap::builder::TypedValueParser<Value = Destination> {
    use clap::builder::TypedValueParser;
    clap::builder::OsStringValueParser::new().try_map(|name| {
        let output = Destination::from(name);
        match &output {
            Destination::File(path)
                if !output.is_picture() && path.extension().is_none_or(|ending| ending != "json") =>
            {
                Err("the file's name must end in .svg, .png or .json")
            }
            _ => Ok(output),
        }
    })
}

/// A recipe by its name.
pub(super) fn recipe() -> impl clap::builder::TypedValueParser<Value = &'static Recipe> {
    use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
    let names = RECIPES.iter().map(|recipe| PossibleValue::new(recipe.name).help(recipe.purpose));
    PossibleValuesParser::new(names)
        .try_map(|name| RECIPES.iter().find(|recipe| recipe.name == name).ok_or("there is no such recipe"))
}

pub(super) fn positive() -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser;
    clap::value_parser!(u32).range(1..).map(|number| number as usize)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}

/// A number that devices compute with: 0, or a number that is normal as a 32-bit float.
fn single_precision(text: &str) -> Result<f64, String> {
    let number = number(text)?;
    let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
    if number == 0.0 || !number.is_finite() || (number as f32).is_normal() {
        return Ok(number);
    }
    Err(format!("must fit single precision: from {least:e} to {most:e}"))
}

pub(super) fn positive_number(text: &str) -> Result<f64, String> {
    let number = single_precision(text)?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("must be above 0".to_owned()) }
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    let number = single_precision(text)?;
    if number >= 0.0 && number.is_finite() { Ok(number) } else { Err("must be 0 or more".to_owned()) }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = single_precision(text)?;
    // A number just below 1 rounds to 1 in single precision.
    if number >= 0.0 && (number as f32) < 1.0 { Ok(number) } else { Err("must be at least 0 and below 1".to_owned()) }
}

/// A percentage, with or without the sign, as a fraction.
pub(super) fn percentage(text: &str) -> Result<f64, String> {
    let number = number(text.trim_end_matches('%'))?;
    if number >= 0.0 && number.is_finite() { Ok(number / 100.0) } else { Err("must be 0 % or more".to_owned()) }
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = number(text)?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("must be from 0 to 100".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_threads_or_those_of_mpi() {
        let parse = |text: &str| text.parse::<RanksChoice>();
        assert_eq!(parse("mpi").unwrap(), RanksChoice::Mpi);
        assert_eq!(parse("12").unwrap(), RanksChoice::Threads(12));
        for choice in [RanksChoice::Mpi, RanksChoice::Threads(3)] {
            assert_eq!(parse(&choice.to_string()).unwrap(), choice);
        }
        for wrong in ["", "0", "-1", "MPI ", "two"] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn checkpoints_come_by_epochs_or_by_the_clock() {
        let parse = |text: &str| text.parse::<CheckpointEvery>();
        assert_eq!(parse("off").unwrap(), CheckpointEvery::Off);
        assert_eq!(parse("3").unwrap(), CheckpointEvery::Epochs(3));
        for (text, seconds) in [("30s", 30), ("10m", 600), ("2h", 7_200)] {
            let time = CheckpointEvery::Time(Duration::from_secs(seconds));
            assert_eq!(parse(text).unwrap(), time);
            assert_eq!(parse(&time.to_string()).unwrap(), time);
        }
        for wrong in ["", "0", "0s", "-1", "1.5", "m", "10 m", "99999999999h", "on", "1ms"] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
    }
}
