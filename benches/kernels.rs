//! `cargo bench`: the kernels of the default model's training step under criterion, timed by the one measuring routine.
//!
//! Criterion keeps baselines and does the statistics (`cargo bench -- --save-baseline NAME`); `gpu-digits bench` has
//! the shares of peak and of the step.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gpu_digits::bench::{Candidate, Effort, Subject, of_plan};
use gpu_digits::device::{Device, DeviceChoice};
use gpu_digits::model::{Model, NAMED_MODELS};
use gpu_digits::plan::{Plan, PlanConfig};
use gpu_digits::train::TrainConfig;
use pollster::block_on;

fn kernels(criterion: &mut Criterion) {
    let Ok(Device::Gpu(gpu)) = block_on(Device::open(&DeviceChoice::Auto)) else {
        eprintln!(
            "no adapter: there are no kernels to time; install a GPU driver, or mesa-vulkan-drivers and libvulkan1"
        );
        return;
    };
    eprintln!("device: {}", gpu.info());
    let (name, _) = NAMED_MODELS[0];
    let model: Model = name.parse().expect("a shipped model");
    let TrainConfig { batch, optimizer, .. } = TrainConfig::DEFAULT;
    let config = PlanConfig { images: 1024, batches: 8, steps: 1, ..PlanConfig::for_mnist(batch, Some(optimizer)) };
    let plan = Plan::new(&model, config).expect("a shipped model has a plan");
    let mut group = criterion.benchmark_group(format!("{name} {}", gpu.info()));
    for candidate in of_plan(&gpu, &plan).iter().filter(|candidate| candidate.is_chosen()) {
        let subject = subject(&gpu, candidate);
        group.bench_function(candidate.label(), |bencher| {
            bencher.iter_custom(|repeats| {
                let seconds = block_on(subject.time(repeats as usize)).expect("the device works");
                Duration::from_secs_f64(seconds)
            });
        });
    }
    group.finish();
}

/// The verified kernel.
fn subject(gpu: &gpu_digits::gpu::Gpu, candidate: &Candidate) -> Subject {
    block_on(candidate.subject(gpu, Effort::DEFAULT)).unwrap_or_else(|error| panic!("{error:#}"))
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
    targets = kernels
}
criterion_main!(benches);
