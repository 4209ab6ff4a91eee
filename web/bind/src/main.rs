//! Writes the module of JavaScript through which a page calls the engine: `bind ENGINE.wasm FOLDER`.

use std::env;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let mut next = || arguments.next().context("give the engine's file and a folder: bind ENGINE.wasm FOLDER");
    let (engine, folder) = (next()?, next()?);
    Bindgen::new()
        .input_path(engine)
        .web(true)?
        .omit_default_module_path(false)
        .typescript(false)
        .remove_name_section(true)
        .out_name("engine")
        .generate(folder)
}
