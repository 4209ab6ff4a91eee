//! A failing check as one page of HTML that shows it without this project: the shader, the operands, what came and what is
//! right. It runs the kernel with the browser's WebGPU, for a report to those who make the browser or the driver.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::Example;
use crate::gpu::{AdapterInfo, browser_source, poisoned};
use crate::op::{Op, TEXELS_PER_ROW, Tolerance, Variant, tolerance, variant_label};
use crate::tensor::HostTensor;

/// The page, with one place for the data.
const PAGE: &str = include_str!("page.html");
/// That place.
const DATA: &str = "\"DATA\"";

/// A check that failed, and all that is needed to repeat it.
pub struct Reproducer<'a> {
    /// The op at its sizes.
    pub op: &'a dyn Op,
    /// The kernel.
    pub variant: &'a Variant,
    /// The operands before the op, and those that are right after it.
    pub example: &'a Example,
    /// The operands as the kernel left them; none if it did not run.
    pub got: Option<&'a [HostTensor]>,
    /// What was wrong.
    pub reason: &'a str,
    /// Where.
    pub adapter: &'a AdapterInfo,
}

#[derive(Serialize)]
struct Data<'a> {
    label: String,
    reason: &'a str,
    adapter: &'a AdapterInfo,
    version: &'static str,
    commit: &'static str,
    date: String,
    wgsl: &'a str,
    entry_point: &'static str,
    constants: Vec<(&'static str, f64)>,
    workgroups: [u32; 3],
    texels_per_row: u32,
    operands: Vec<OperandData>,
}

#[derive(Serialize)]
struct OperandData {
    name: &'static str,
    kind: &'static str,
    shape: String,
    /// Elements.
    length: usize,
    is_written: bool,
    /// Whether it is read as a texture, and not as a buffer.
    is_texture: bool,
    relative: f64,
    absolute: f64,
    input: String,
    wanted: String,
    got: Option<String>,
}

impl Reproducer<'_> {
    /// The kernel and its case, which `verify` takes.
    pub fn label(&self) -> String {
        variant_label(self.op, self.variant)
    }

    /// The page: one file, which needs no other.
    pub fn html(&self) -> String {
        let wgsl = browser_source(self.variant);
        let operand = |(place, operand): (usize, crate::op::Operand)| {
            let Tolerance { relative, absolute } = tolerance(self.op, &operand);
            OperandData {
                name: operand.name,
                kind: operand.dtype.name(),
                length: operand.shape.len(),
                is_written: operand.is_written(),
                is_texture: self.variant.textures.contains(&operand.name),
                shape: operand.shape.to_string(),
                relative,
                absolute,
                input: base64(&poisoned(&operand, &self.example.inputs[place])),
                wanted: base64(self.example.wanted[place].words()),
                got: self.got.map(|got| base64(got[place].words())),
            }
        };
        let data = Data {
            label: self.label(),
            reason: self.reason,
            adapter: self.adapter,
            version: crate::VERSION,
            commit: crate::COMMIT,
            date: crate::date::now(),
            wgsl: &wgsl,
            entry_point: self.variant.shader.entry_point(),
            constants: [self.op.sizes(), self.variant.constants.clone()].concat(),
            workgroups: self.variant.workgroups,
            texels_per_row: TEXELS_PER_ROW,
            operands: self.op.operands().into_iter().enumerate().map(operand).collect(),
        };
        // Numbers, texts and lists of them can always be written. A script ends at `</`, which a text may hold.
        let data = serde_json::to_string(&data).unwrap_or_default().replace("</", "<\\/");
        PAGE.replacen(DATA, &data, 1)
    }
}

/// Words as bytes, the lowest byte of each first: as files and pages have them.
pub fn bytes_of_words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn base64(words: &[u32]) -> String {
    BASE64_STANDARD.encode(bytes_of_words(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;
    use crate::verify::cases;

    #[test]
    fn a_page_holds_the_shader_and_the_operands_and_ends_no_script_early() {
        let case = &cases("relu_forward")[0];
        let variants = case.variants();
        let plain = variants.last().unwrap();
        let example = Example::of(case);
        let adapter = AdapterInfo::example("</script><b>", AdapterKind::Discrete);
        let reason = "output[0] is 1e0 but should be 0e0";
        let reproducer = Reproducer {
            op: case.as_ref(),
            variant: plain,
            example: &example,
            got: Some(example.inputs()),
            reason,
            adapter: &adapter,
        };
        let page = reproducer.html();
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert!(page.contains(reason) && page.contains("fn relu_forward(") && !page.contains(DATA));
        assert!(page.contains(&base64(example.wanted[1].words())));
    }
}
