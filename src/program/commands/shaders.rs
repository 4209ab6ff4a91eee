//! `gpu-digits shaders`.

use std::fs;

use anyhow::{Context, Result};

use super::Verdict;
use crate::files::write_atomically;
use crate::program::cli::ShadersArgs;
use crate::verify;

pub(super) fn run(args: &ShadersArgs) -> Result<Verdict> {
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let shaders = verify::shaders();
    for (_, variant) in &shaders {
        let file = folder.join(format!("{}.wgsl", variant.shader.name));
        write_atomically(&file, variant.shader.source.as_bytes())?;
    }
    out!("wrote {} shaders into {}", shaders.len(), folder.display());
    Ok(Verdict::Passed)
}
