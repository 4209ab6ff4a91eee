//! The subcommands: what the program does with the library, and what it prints.

mod bench;
mod devices;
mod epoch_bar;
mod eval;
mod grouped;
mod plan;
mod predict;
mod repeat;
mod report;
mod run;
mod session;
mod shell;
mod sweep;
mod sweep_table;
mod train;
mod tune;
mod verify;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser as _;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;

use crate::cli::{Cli, Command, DataArgs, StepArgs, Switch};
use crate::data::{self, Dataset, Folders};
use crate::device::{Device, DeviceChoice};
use crate::files::Destination;
use crate::model::Model;
use crate::numbers::{duration, percent, thousands};
use crate::plan::{Plan, Precision};
use crate::terminal::{self, Mode, Spinner};

/// How a command that could be carried out has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should.
    Passed,
    /// A check failed: a kernel is wrong, or a target was not reached.
    Failed,
    /// The user ended it.
    Interrupted,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(match verdict {
            Verdict::Passed => 0,
            Verdict::Failed => 1,
            // What a shell reports of a program that Ctrl-C has ended.
            Verdict::Interrupted => 130,
        })
    }
}

/// The exit code of a command that could not be carried out; clap uses the same for wrong usage.
const CANNOT: u8 = 2;

/// Reads the command line, carries it out, says what went wrong, and gives the exit code.
pub async fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(answer) => return usage(&answer, &arguments),
    };
    let is_training = matches!(cli.command, Command::Train(_) | Command::Sweep(_));
    let result = carry_out(cli).await.and_then(|verdict| match terminal::failure() {
        // What training results in is in its files, and was said on standard error instead.
        Some(failure) if !is_training => Err(anyhow::Error::msg(failure)),
        _ => Ok(verdict),
    });
    match result {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            terminal::error(&format!("{error:#}"));
            ExitCode::from(CANNOT)
        }
    }
}

/// Prints help, the version, or what is wrong with a command line.
fn usage(answer: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let steers = |word: &OsString| terminal::escaped(&word.to_string_lossy()) != word.to_string_lossy();
    let printed = if answer.use_stderr() && arguments.iter().any(steers) {
        // clap repeats words as they are, between its own colours.
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

async fn carry_out(cli: Cli) -> Result<Verdict> {
    let outputs = cli.command.outputs();
    let on_stdout = outputs.iter().filter(|output| ***output == Destination::StandardOutput).count();
    ensure!(on_stdout < 2, "only one output can go to standard output; give a file instead of `-` for the others");
    terminal::set_mode(Mode {
        quiet: cli.quiet,
        results_on_stderr: on_stdout > 0,
        goes_on_unread: cli.command.leaves_files(),
    });
    match cli.command {
        Command::Train(args) => train::run(args).await,
        Command::Eval(args) => eval::run(args).await,
        Command::Predict(args) => predict::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Tune(args) => tune::run(&args).await,
        Command::Devices(args) => devices::run(&args).await,
        Command::Plan(args) => plan::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Sweep(args) => sweep::run(&args).await,
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    }
}

/// The model that a step is of, whether its layers are fused, and its floats.
fn lowering(step: &StepArgs) -> Result<(Model, bool, Precision)> {
    Ok((step.model.parse()?, step.fuse == Switch::On, step.precision))
}

/// Opens a device and says on stderr which it took.
async fn open_device(choice: &DeviceChoice) -> Result<Device> {
    let device = Device::open(choice).await?;
    note!("device: {device}");
    let is_as_wished = *choice == DeviceChoice::Cpu;
    if let Some(remark) = device.remark().filter(|_| !is_as_wished) {
        note!("  note: {remark}");
    }
    if cfg!(debug_assertions) {
        note!("  note: a debug build, many times slower; build with --release");
    }
    Ok(device)
}

/// Loads the data and says on stderr what it is.
fn load_data(args: &DataArgs) -> Result<Dataset> {
    let choice = args.dataset.unwrap_or_default();
    ensure!(
        choice != data::Choice::Generated || args.data.is_none(),
        "--data names a folder of digits and --dataset generated needs none; give one of them"
    );
    let generated_train = args.generated_images.unwrap_or(12_000);
    let request = data::Request {
        choice,
        generated_train,
        generated_test: generated_train.div_ceil(6),
        ..data::Request::new(Folders::from_environment(args.data.clone()))
    };
    let dataset = data::load(&request, &mut say)?;
    say_data(&dataset);
    Ok(dataset)
}

/// Says what loading data has to say; `--quiet` leaves out all but warnings.
fn say(line: &str) {
    if line.starts_with("WARNING") { warning!("{line}") } else { note!("{line}") }
}

fn say_data(dataset: &Dataset) {
    let (train, test) = (thousands(dataset.train.len()), thousands(dataset.test.len()));
    note!("data: {} ({}), {train} training and {test} test images", dataset.name, dataset.origin);
    for remark in dataset.remarks() {
        warning!("  warning: {remark}");
    }
}

/// Says on stderr where fused ops were asked for and the model does not allow them.
fn note_unfused(plan: &Plan) {
    if let Some(reason) = &plan.unfused {
        warning!("  note: {reason}; every layer is an op of its own, which is several times slower on a GPU");
    }
}

/// A table without frames; columns but the first `left` ones are aligned to the right.
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

/// Prints a table without blanks at the ends of lines.
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

/// The progress of work on kernels.
fn kernel_bar(kernels: usize) -> ProgressBar {
    terminal::bar(kernels, "{wide_bar} {pos}/{len} kernels  {msg:40!}")
}

/// What a bar says while kernels are compiled; drivers keep them for the next time.
const COMPILING: &str = "compiling kernels (first time only)";

/// Says that kernels are compiled, where they are.
fn compiling(device: &Device) -> Option<Spinner> {
    matches!(device, Device::Gpu(_)).then(|| Spinner::new(COMPILING))
}

/// Says that images are scored.
fn scoring(images: usize) -> Spinner {
    Spinner::new(format!("scoring {} images", thousands(images)))
}
