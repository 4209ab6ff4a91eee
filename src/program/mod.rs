//! The program `gpu-digits`: its command line, its commands, and what they print, draw and save.

// Only `run` can be reached from outside.
#![allow(unreachable_pub)]

#[macro_use]
mod terminal;

mod cli;
mod commands;
mod files;
mod picture_file;
mod recipes;
mod report;
mod run_folder;
mod shell_words;
mod tune;

pub use commands::run;
