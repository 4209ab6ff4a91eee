//! The subcommands: how the program uses the library, and what it prints.

mod bench;
mod data;
mod devices;
mod doctor;
mod epoch_bar;
mod eval;
mod export;
mod faster;
mod fault;
mod find_lr;
mod finish;
mod grouped;
mod import;
mod inspect;
mod open;
mod plan;
mod predict;
mod ranks;
mod recipe;
mod repeat;
mod report;
mod reproduce;
mod resume;
mod run;
mod seeds;
mod self_test;
mod session;
mod shaders;
mod shell;
mod start;
mod sweep;
mod train;
mod tune;
mod verify;
mod web;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Error, Result, bail, ensure};
use clap::Parser as _;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;

use crate::arithmetic::{self, Answer};
use crate::device::Device;
use crate::gpu::Gpu;
use crate::model::{Model, NAMED_MODELS};
use crate::numbers::{duration, percent, thousands};
use crate::plan::PlanForm;
use crate::program::cli::{Cli, Command, StepArgs, Switch};
use crate::program::files::Destination;
use crate::program::terminal::{self, Mode, Spinner};
use crate::weights;
use self_test::ComputesWrongly;

/// The result of a command that ran without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Success.
    Passed,
    /// A check failed: a kernel is wrong, or a target was not reached.
    Failed,
    /// There is no adapter that can be used.
    NoAdapter,
    /// The user ended it.
    Interrupted,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(match verdict {
            Verdict::Passed => 0,
            Verdict::Failed => FAILED,
            Verdict::NoAdapter => CANNOT,
            // The code that a shell reports for a program that Ctrl-C ended.
            Verdict::Interrupted => 130,
        })
    }
}

/// The exit code for a check that failed.
const FAILED: u8 = 1;

/// The exit code for an error; clap uses the same one for wrong usage.
const CANNOT: u8 = 2;

/// The exit code for an error: a device that computes wrongly has failed a check.
fn code_of(error: &Error) -> u8 {
    if error.is::<ComputesWrongly>() { FAILED } else { CANNOT }
}

/// Parses the command line, runs the command, prints any error, and returns the exit code.
pub async fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(answer) => return usage(&answer, &arguments),
    };
    let leaves_files = cli.command.leaves_files();
    let result = carry_out(cli, &arguments).await.and_then(|verdict| match terminal::failure() {
        Some(failure) if leaves_files => bail!("{failure}; the files are written, and the results are above"),
        Some(failure) => bail!(failure),
        None => Ok(verdict),
    });
    match result {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            terminal::error(&format!("{error:#}"));
            ExitCode::from(code_of(&error))
        }
    }
}

/// Prints help, the version, or a usage error.
fn usage(answer: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let steers = |word: &OsString| terminal::escaped(&word.to_string_lossy()) != word.to_string_lossy();
    let printed = if answer.use_stderr() && arguments.iter().any(steers) {
        // clap would print the words unescaped.
        terminal::warn(format_args!("{}", answer.render()));
        Ok(())
    } else {
        answer.print().and_then(|()| io::stdout().flush())
    };
    match printed {
        Err(error) if !answer.use_stderr() && error.kind() != ErrorKind::BrokenPipe => {
            terminal::error(&format!("cannot write to standard output: {error}"));
            ExitCode::from(CANNOT)
        }
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(CANNOT)),
    }
}

async fn carry_out(cli: Cli, arguments: &[OsString]) -> Result<Verdict> {
    let outputs = cli.command.outputs();
    let on_stdout = outputs.iter().filter(|output| ***output == Destination::StandardOutput).count();
    ensure!(on_stdout < 2, "only one output can go to standard output; give a file instead of `-` for the others");
    terminal::set_mode(Mode {
        quiet: cli.quiet,
        results_on_stderr: on_stdout > 0,
        continues_unread: cli.command.leaves_files(),
    });
    match cli.command {
        Command::Train(args) => train::run(args, arguments.get(1..).unwrap_or_default()).await,
        Command::Data(args) => data::run(args),
        Command::Eval(args) => eval::run(args).await,
        Command::Export(args) => export::run(&args),
        Command::Predict(args) => predict::run(args).await,
        Command::Import(args) => import::run(&args),
        Command::Verify(args) => verify::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Tune(args) => tune::run(&args).await,
        Command::Devices(args) => devices::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Plan(args) => plan::run(&args).await,
        Command::Inspect(args) => inspect::run(&args).await,
        Command::Shaders(args) => shaders::run(&args),
        Command::Web(args) => web::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Sweep(args) => sweep::run(&args).await,
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    }
}

/// The model of a step and the form of its plan.
fn lowering(step: &StepArgs) -> Result<(Model, PlanForm)> {
    Ok((model_of(&step.model)?, PlanForm { fuse: step.fuse == Switch::On, precision: step.precision }))
}

/// The model that a text names: a saved one by its run folder or file, otherwise one for digits.
fn model_of(text: &str) -> Result<Model> {
    let path = Path::new(text);
    let is_name = NAMED_MODELS.iter().any(|(name, _)| *name == text);
    if path.exists() && !is_name { Ok(weights::load(path)?.model) } else { text.parse() }
}

/// A table without borders. All columns after the first `left` ones are aligned to the right.
fn table(header: &[&str], left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= left {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Prints a table without trailing spaces.
fn print_table(table: &Table) {
    print_table_with(table, |_| vec![]);
}

/// Prints a table with the lines of `below` under each of its rows, which are counted from 0.
fn print_table_with(table: &Table, below: impl Fn(usize) -> Vec<String>) {
    // The first line is the header.
    for (line, text) in table.lines().enumerate() {
        out!("{}", text.trim_end());
        for text in line.checked_sub(1).map_or_else(Vec::new, &below) {
            out!("     {text}");
        }
    }
}

/// How a GPU computes, for a file of results if one is written. It is not lost if that cannot be measured.
async fn arithmetic_for(output: Option<&Destination>, gpu: &Gpu) -> Vec<Answer> {
    if output.is_none() {
        return vec![];
    }
    arithmetic::of_gpu(gpu).await.unwrap_or_else(|error| {
        warning!("warning: how {} computes cannot be measured: {error:#}", gpu.info());
        vec![]
    })
}

/// A progress bar that counts kernels.
fn kernel_bar(kernels: usize) -> ProgressBar {
    terminal::bar(kernels, "{wide_bar} {pos}/{len} kernels  {msg:40!}")
}

/// The message while kernels are compiled. Drivers cache compiled kernels.
const COMPILING: &str = "compiling kernels (first time only)";

/// A spinner while kernels are compiled, if the device compiles any.
fn compiling(device: &Device) -> Option<Spinner> {
    matches!(device, Device::Gpu(_)).then(|| Spinner::new(COMPILING))
}

/// A spinner while images are scored.
fn scoring(images: usize) -> Spinner {
    Spinner::new(format!("scoring {} images", thousands(images)))
}

/// The same on a device that may compile kernels first.
fn scoring_first(device: &Device, images: usize) -> Spinner {
    match device {
        Device::Cpu => scoring(images),
        Device::Gpu(_) => Spinner::new(format!("{COMPILING}, then scoring {} images", thousands(images))),
    }
}
