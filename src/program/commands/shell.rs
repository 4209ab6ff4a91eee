//! `gpu-digits completions` and `gpu-digits man`, both generated from the definition of the command line.

use std::fs;

use anyhow::{Context, Result};
use clap::CommandFactory as _;

use super::Verdict;
use crate::program::cli::{Cli, CompletionsArgs, ManArgs};
use crate::program::terminal;

pub(super) fn completions(args: &CompletionsArgs) -> Result<Verdict> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut text);
    terminal::write_stdout(&text)?;
    Ok(Verdict::Passed)
}

pub(super) fn man(args: &ManArgs) -> Result<Verdict> {
    let name = args.folder.display();
    fs::create_dir_all(&args.folder).with_context(|| format!("cannot make the folder {name}"))?;
    clap_mangen::generate_to(Cli::command(), &args.folder).with_context(|| format!("cannot write into {name}"))?;
    out!("wrote {name}; read them with: man -l {name}/{}.1", env!("CARGO_PKG_NAME"));
    Ok(Verdict::Passed)
}
