//! Folders that show failed checks without this project, for reports to those who make a driver, wgpu or naga.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::files::write_atomically;
use crate::gpu::{poisoned, words_of_texel};
use crate::op::{Operand, TEXELS_PER_ROW, tolerance};
use crate::tensor::HostTensor;
use crate::translate::{Language, Parsed};
use crate::verify::{Reproducer, bytes_of_words};

/// A program of wgpu that runs the kernel, with names in braces for what differs.
const PROGRAM: &str = include_str!("reproduce/main.rs.txt");

const MANIFEST: &str = "\
[package]
name = \"reproducer\"
version = \"0.1.0\"
edition = \"2024\"

[workspace]

[dependencies]
wgpu = \"{wgpu}\"
pollster = \"1\"
";

/// What naga makes of the kernel, and the names of the files.
const TRANSLATIONS: [(Language, &str); 3] =
    [(Language::SpirV, "kernel.spv"), (Language::Msl, "kernel.metal"), (Language::Hlsl, "kernel.hlsl")];

/// The longest name of a folder: systems take at most 255 bytes.
const LONGEST: usize = 200;

/// Writes a folder for a check below `folder`, and returns its name.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write(folder: &Path, reproducer: &Reproducer<'_>) -> Result<String> {
    let name = name_of(&reproducer.label());
    let folder = folder.join(&name);
    fs::create_dir_all(folder.join("src")).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let write = |name: &str, bytes: &[u8]| write_atomically(&folder.join(name), bytes);
    let variant = reproducer.variant;
    write("reproducer.html", reproducer.html().as_bytes())?;
    write("kernel.wgsl", variant.shader.source.as_bytes())?;
    if let Ok(parsed) = Parsed::new(variant.shader.source) {
        for (language, name) in TRANSLATIONS {
            // Not every language has what every kernel needs.
            if let Ok(text) = parsed.write(reproducer.op, variant, language) {
                write(name, &text)?;
            }
        }
    }
    let operands = reproducer.op.operands();
    for (place, operand) in operands.iter().enumerate() {
        let before = &reproducer.example.inputs()[place];
        write(&format!("{}.input.bin", operand.name), &bytes_of_words(&given(operand, before)))?;
        if operand.is_written() {
            write(
                &format!("{}.wanted.bin", operand.name),
                &bytes_of_words(reproducer.example.wanted()[place].words()),
            )?;
            if let Some(got) = reproducer.got {
                write(&format!("{}.got.bin", operand.name), &bytes_of_words(got[place].words()))?;
            }
        }
    }
    write("src/main.rs", program(reproducer, &operands).as_bytes())?;
    write("Cargo.toml", MANIFEST.replace("{wgpu}", env!("GPU_DIGITS_WGPU")).as_bytes())?;
    Ok(name)
}

/// A name that every file system takes.
fn name_of(label: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-=".contains(letter) { letter } else { '-' };
    label.chars().map(plain).take(LONGEST).collect()
}

/// What an operand holds before the kernel runs, to the end of a texel.
fn given(operand: &Operand, input: &HostTensor) -> Vec<u32> {
    let mut words = poisoned(operand, input);
    words.resize(words.len().next_multiple_of(4), 0);
    words
}

fn program(reproducer: &Reproducer<'_>, operands: &[Operand]) -> String {
    let Reproducer { op, variant, .. } = *reproducer;
    let operand = |operand: &Operand| {
        let name = operand.name;
        let kind = operand.dtype.name();
        let texel = variant.textures.contains(&name).then(|| words_of_texel(operand.dtype));
        let right = match operand.is_written() {
            true => format!("include_bytes!(\"../{name}.wanted.bin\")"),
            false => "&[]".to_owned(),
        };
        format!(
            "    (\"{name}\", \"{kind}\", {}, {texel:?}, include_bytes!(\"../{name}.input.bin\"), {right}),\n",
            operand.is_written()
        )
    };
    // All outputs of an op have the same tolerance, or nearly.
    let allowed = operands.iter().filter(|operand| operand.is_written()).map(|operand| tolerance(op, operand));
    let (relative, absolute) = allowed.fold((0.0, 0.0), |(relative, absolute): (f64, f64), of| {
        (relative.max(of.relative), absolute.max(of.absolute))
    });
    let constants = [op.sizes(), variant.constants.clone()].concat();
    PROGRAM
        .replace("{operands}", &operands.iter().map(operand).collect::<String>())
        .replace("{constants}", &format!("{constants:?}"))
        .replace("{workgroups}", &format!("{:?}", variant.workgroups))
        .replace("{relative:?}", &format!("{relative:?}"))
        .replace("{absolute:?}", &format!("{absolute:?}"))
        .replace("{entry_point}", variant.shader.entry_point())
        .replace("{texels_per_row}", &TEXELS_PER_ROW.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{AdapterInfo, AdapterKind};
    use crate::verify::{Example, cases};

    #[test]
    fn a_folder_has_everything_and_a_name_for_every_system() {
        let folder = tempfile::tempdir().unwrap();
        let case = &cases("max_pool_forward")[0];
        let variant = &case.variants()[0];
        let example = Example::of(case);
        let adapter = AdapterInfo::example("GeForce RTX 4090", AdapterKind::Discrete);
        let got = Some(example.inputs());
        let reproducer =
            Reproducer { op: case.as_ref(), variant, example: &example, got, reason: "wrong", adapter: &adapter };
        let name = write(folder.path(), &reproducer).unwrap();
        assert!(name.starts_with("max_pool_forward") && !name.contains([':', ',', '/']), "{name}");
        let folder = folder.path().join(name);
        let files = [
            "reproducer.html",
            "kernel.wgsl",
            "kernel.spv",
            "kernel.metal",
            "kernel.hlsl",
            "Cargo.toml",
            "src/main.rs",
            "input.input.bin",
            "output.wanted.bin",
            "output.got.bin",
            "argmax.wanted.bin",
        ];
        for file in files {
            assert!(fs::metadata(folder.join(file)).unwrap().len() > 0, "{file}");
        }
        let program = fs::read_to_string(folder.join("src/main.rs")).unwrap();
        assert!(program.contains("Some(\"max_pool_forward\")") && !program.contains("{operands}"), "{program}");
    }
}
