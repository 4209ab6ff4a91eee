//! An op of your own, verified against its reference: `cargo run --release --example own_op`

use std::sync::Arc;

use gpu_digits::Op;
use gpu_digits::gpu::{Gpu, adapters};
use gpu_digits::op::{Operand, Shader, Variant};
use gpu_digits::tensor::DType::F32;
use gpu_digits::tensor::HostTensor;
use gpu_digits::verify::{self, Outcome};

/// `output[i] = input[i]^2`.
#[derive(Debug)]
struct Square {
    length: usize,
}

/// Sizes are `override` constants, operands are bindings in order, and the entry point has the op's name.
const SHADER: Shader = Shader::from_text(
    "square",
    "
        override length: u32;
        override workgroup_size: u32;

        @group(0) @binding(0) var<storage, read> input: array<f32>;
        @group(0) @binding(1) var<storage, read_write> output: array<f32>;

        @compute @workgroup_size(workgroup_size)
        fn square(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
            let i = id.x + id.y * groups.x * workgroup_size;
            if i >= length { return; }
            output[i] = input[i] * input[i];
        }
    ",
);

impl Op for Square {
    fn name(&self) -> &'static str {
        "square"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("input", F32, [self.length]), Operand::write("output", F32, [self.length])]
    }

    fn variants(&self) -> Vec<Variant> {
        vec![Variant::linear(SHADER, self.length, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output] = tensors else { unreachable!("two operands") };
        for (output, &input) in output.f32_mut().iter_mut().zip(input.f32()) {
            *output = (f64::from(input) * f64::from(input)) as f32;
        }
    }

    fn flops(&self) -> u64 {
        self.length as u64
    }

    /// One multiplication, which rounds once.
    fn tolerance(&self) -> f64 {
        f64::from(f32::EPSILON)
    }
}

fn main() -> anyhow::Result<()> {
    pollster::block_on(async {
        for adapter in adapters().await.iter().filter(|adapter| adapter.info.unusable.is_none()) {
            let gpu = Gpu::open(adapter).await?;
            // A length that fills no workgroup, and one whose grid is folded.
            for length in [65, 10_000] {
                for check in verify::check(&gpu, Arc::new(Square { length })).await {
                    println!("{} on {}: {:?}", check.label, gpu.info(), check.outcome);
                    anyhow::ensure!(matches!(check.outcome, Outcome::Passed { .. }), "the op is wrong");
                }
            }
        }
        Ok(())
    })
}
