//! The `gpu-digits` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    pollster::block_on(gpu_digits::program::run(std::env::args_os().collect()))
}
