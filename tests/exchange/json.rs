//! The JSON file, computed by the JavaScript of `examples/network.mjs`.

use std::fs;
use std::process::Command;

use gpu_digits::export::json;
use libtest_mimic::Failed;

use crate::models::{check, check_near, images, models, wanted};

pub(crate) fn node() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/network.mjs");
    let (model, pixels) = (folder.path().join("model.json"), folder.path().join("images"));
    for saved in models() {
        let images = images(&saved, 2);
        fs::write(&model, json(&saved)?)?;
        fs::write(&pixels, &images)?;
        let output = Command::new("node").arg(script).arg(&model).arg(&pixels).output()?;
        let text = String::from_utf8(output.stdout)?;
        check(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
        let ours = text.split_whitespace().map(str::parse).collect::<Result<Vec<f32>, _>>()?;
        check_near(&saved, &ours, &wanted(&saved, &images).concat(), 1e-5)?;
    }
    Ok(())
}
