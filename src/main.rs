//! The `gpu-digits` program: reads the command line, carries it out, prints the error.

use std::process::ExitCode;

use clap::Parser;
use gpu_digits::cli::{Cli, Command};
use gpu_digits::commands;

/// The exit code of a command that could not be carried out; clap uses the same for wrong usage.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // `gpu-digits devices | head -1` ends quietly, as other programs do; training goes on without its reader.
    if !matches!(cli.command, Command::Train(_)) {
        sigpipe::reset();
    }
    match pollster::block_on(commands::run(cli)) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(CANNOT)
        }
    }
}
