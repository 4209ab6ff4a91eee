//! Runs one op on the GPU, on numbers of your own: `cargo run --release --example one_op`

use gpu_digits::Op as _;
use gpu_digits::gpu::{Gpu, adapters, choose_variant, run_variant};
use gpu_digits::ops::dense::{Dense, DenseForward};
use gpu_digits::tensor::{DType, HostTensor};

fn main() -> anyhow::Result<()> {
    pollster::block_on(async {
        let Some(adapter) = adapters().await.into_iter().find(|adapter| adapter.info.unusable.is_none()) else {
            println!("no GPU was found");
            return Ok(());
        };
        let gpu = Gpu::open(&adapter).await?;

        let op = DenseForward { dense: Dense { batch: 1, inputs: 3, outputs: 2 }, negative_slope: 1.0 };
        let tensors = [
            HostTensor::from_f32([1, 3], &[1.0, 2.0, 3.0]),                 // input
            HostTensor::from_f32([3, 2], &[1.0, 0.5, 0.0, 0.5, -1.0, 0.5]), // weight
            HostTensor::from_f32([2], &[10.0, 20.0]),                       // bias
            HostTensor::zeros(DType::F32, [1, 2].into()),                   // output
        ];
        let variant = choose_variant(&gpu, &op)?;
        let results = run_variant(&gpu, &op, &variant, &tensors).await?;
        println!("{} by {} on {}: {:?}", op.label(), variant.name(), gpu.info(), results[3].f32());
        anyhow::ensure!(results[3].f32() == [8.0, 23.0], "wrong; does `gpu-digits verify` pass?");
        Ok(())
    })
}
