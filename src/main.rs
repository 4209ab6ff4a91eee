//! The `gpu-digits` program: reads the command line, carries it out, prints the error.

use std::process::ExitCode;

use clap::Parser;
use gpu_digits::{cli::Cli, commands};

/// The exit code of a command that could not be carried out; clap uses the same for wrong usage.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    // `gpu-digits devices | head -1` ends quietly, as other programs do.
    sigpipe::reset();
    match pollster::block_on(commands::run(Cli::parse())) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(CANNOT)
        }
    }
}
