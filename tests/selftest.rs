//! The self-tests: right devices pass, a wrong kernel is found, and a run is afterwards as before.

mod common;

use std::sync::Arc;

use anyhow::Result;
use common::{adapter_name, check, gpus, turn, without_adapter};
use gpu_digits::arithmetic::{loop_fault, of_cpu, of_gpu};
use gpu_digits::data::{DataChoice, Dataset, Folders, Request, Task, load};
use gpu_digits::gpu::Gpu;
use gpu_digits::layers::{Dense, Flatten, Recorder};
use gpu_digits::op::{Op, Operand, Shader, Sizes, Variant};
use gpu_digits::plan::{Optimizer, Precision, Refinements};
use gpu_digits::tensor::DType::F32;
use gpu_digits::tensor::HostTensor;
use gpu_digits::verify::{Outcome, Repeats, check_next_step, examine_case, reduce, self_test};
use gpu_digits::{Device, Layer, Model, TrainConfig, Trainer};
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;

/// A test on one adapter.
type AdapterTest = fn(&Gpu) -> Result<(), Failed>;

fn main() {
    let on_each: [(&str, AdapterTest); 6] = [
        ("an_adapter_that_computes_rightly_passes_the_self_test", passes),
        ("the_next_step_of_a_run_is_right_and_leaves_no_trace", leaves_no_trace),
        ("a_kernel_that_computes_wrongly_is_named", names_a_wrong_kernel),
        ("a_failure_is_reduced_to_the_smallest_sizes_that_fail", reduces_a_failure),
        ("weights_that_are_not_finite_are_not_the_device_s_fault", weights_that_are_not_finite),
        ("the_questions_to_an_adapter_are_answered", answers),
    ];
    let gpus = gpus();
    let mut trials = Vec::new();
    for (name, test) in on_each {
        if gpus.is_empty() {
            trials.push(without_adapter(name));
        }
        for gpu in &gpus {
            let gpu = gpu.clone();
            trials.push(Trial::test(format!("{name} [{}]", adapter_name(&gpu)), move || {
                let _turn = turn(&gpu);
                test(&gpu)
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn dataset() -> Dataset {
    let folders = Folders::default();
    let request =
        Request { choice: DataChoice::Generated, generated_train: 200, generated_test: 20, ..Request::new(folders) };
    load(&request, &mut |_| ()).expect("digits can be generated")
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 2, batch: 19, seed: 3, validation: 20, ..TrainConfig::DEFAULT }
}

fn trainer(gpu: &Gpu, model: &Model, dataset: &Dataset, config: TrainConfig) -> Result<Trainer> {
    let device = Device::Gpu(Box::new(gpu.clone()));
    block_on(Trainer::new(&device, model, &model.initial_parameters(config.seed), dataset, config))
}

fn passes(gpu: &Gpu) -> Result<(), Failed> {
    let checks = block_on(self_test(gpu));
    let passed = checks.iter().filter(|check| matches!(check.outcome, Outcome::Passed { .. })).count();
    check(passed == 2 && checks.len() == 2, format!("{checks:?}"))?;
    check(block_on(loop_fault(gpu))?.is_none(), "its loops end early")
}

fn leaves_no_trace(gpu: &Gpu) -> Result<(), Failed> {
    let device = Device::Gpu(Box::new(gpu.clone()));
    let dataset = dataset();
    let refined = Refinements {
        average: Some(0.9),
        clip_norm: Some(1.0),
        label_smoothing: 0.1,
        ..TrainConfig::DEFAULT.refinements
    };
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.001 };
    for (model, config) in [
        ("conv 4x3, relu, pool 2, dropout 0.25, flatten, dense 10", config()),
        ("conv 4x3, norm, leaky 0.1, avg 2, flatten, dense 10", TrainConfig { refinements: refined, ..config() }),
        ("conv 4x3, relu, pool 2, flatten, dense 10", TrainConfig { optimizer: sgd, fuse: Some(false), ..config() }),
        ("conv 4x3, relu, pool 2, flatten, dense 10", TrainConfig { precision: Precision::F16, ..config() }),
    ] {
        let model: Model = model.parse()?;
        let mut tested = trainer(gpu, &model, &dataset, config)?;
        let mut left_alone = trainer(gpu, &model, &dataset, config)?;
        for steps in [0, 1, 7] {
            block_on(tested.advance_to(steps))?;
            block_on(left_alone.advance_to(steps))?;
            let outcome = block_on(check_next_step(&device, &mut tested, &dataset))?;
            check(matches!(outcome, Outcome::Passed { .. }), format!("{model}, step {steps}: {outcome:?}"))?;
            check(
                block_on(tested.state())? == block_on(left_alone.state())?,
                format!("{model}, step {steps}: the state has changed"),
            )?;
        }
        block_on(tested.advance_to(12))?;
        block_on(left_alone.advance_to(12))?;
        check(block_on(tested.state())? == block_on(left_alone.state())?, format!("{model}: it trains to other bits"))?;
    }
    Ok(())
}

/// A layer that copies its input, whose shader is off by a hundredth from the 71st element on.
#[derive(Debug)]
struct Copy;

impl Layer for Copy {
    fn text(&self) -> String {
        "copy".to_owned()
    }

    fn forward(&self, step: &mut Recorder<'_>) {
        step.call(CopyOp { length: step.batch() * step.input().iter().product::<usize>() });
    }

    fn backward(&self, step: &mut Recorder<'_>) {
        let op = CopyOp { length: step.batch() * step.input().iter().product::<usize>() };
        step.call_with(op, &[("input", "output_grad"), ("output", "input_grad")]);
    }
}

#[derive(Debug)]
struct CopyOp {
    length: usize,
}

const OFF_BY_A_HUNDREDTH: &str = "\
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
override length: u32;
override workgroup_size: u32;
@compute @workgroup_size(workgroup_size)
fn copy_all(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * workgroup_size;
    if i < length { output[i] = select(1.0, 1.01, i >= 70u) * input[i]; }
}
";

impl Op for CopyOp {
    fn name(&self) -> &'static str {
        "copy_all"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64)]
    }

    fn with_sizes(&self, sizes: &Sizes) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { length: sizes.size("length")? }))
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::read("input", F32, [self.length]), Operand::write("output", F32, [self.length])]
    }

    fn variants(&self) -> Vec<Variant> {
        vec![Variant::linear(Shader::from_text("copy_all", OFF_BY_A_HUNDREDTH), self.length, 0)]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [input, output] = tensors else { unreachable!("two operands") };
        output.words_mut().copy_from_slice(input.words());
    }

    fn flops(&self) -> u64 {
        0
    }

    fn tolerance(&self) -> f64 {
        1e-6
    }
}

fn names_a_wrong_kernel(gpu: &Gpu) -> Result<(), Failed> {
    let device = Device::Gpu(Box::new(gpu.clone()));
    let dataset = dataset();
    let model = Model::new(
        Task::MNIST,
        [Arc::new(Flatten) as Arc<dyn Layer>, Arc::new(Copy), Arc::new(Dense { outputs: 10 })],
    )?;
    let mut trainer = trainer(gpu, &model, &dataset, config())?;
    let outcome = block_on(check_next_step(&device, &mut trainer, &dataset))?;
    let Outcome::Failed { reason } = outcome else { return Err(format!("not found: {outcome:?}").into()) };
    check(reason.contains("copy1") && reason.contains("`copy_all:length="), reason)
}

fn reduces_a_failure(gpu: &Gpu) -> Result<(), Failed> {
    let case: Arc<dyn Op> = Arc::new(CopyOp { length: 14_896 });
    let mut failures = vec![];
    let examined =
        examine_case(std::slice::from_ref(gpu), &case, Repeats::ONCE, |examined| failures.extend(examined.failure));
    block_on(examined);
    let failure = failures.pop().ok_or("it has not failed")?;
    let smallest = block_on(reduce(gpu, failure, Repeats::ONCE));
    check(smallest.label() == "copy_all:length=71", smallest.label())?;
    check(smallest.reason.contains("output[70]"), &smallest.reason)
}

fn weights_that_are_not_finite(gpu: &Gpu) -> Result<(), Failed> {
    let device = Device::Gpu(Box::new(gpu.clone()));
    let dataset = dataset();
    let model: Model = "flatten, dense 10".parse()?;
    let mut trainer = trainer(gpu, &model, &dataset, config())?;
    let mut state = block_on(trainer.state())?;
    state.tensors.get_mut("parameters").ok_or("no parameters")?.f32_mut()[5000] = f32::NAN;
    trainer.restore(&state)?;
    let outcome = block_on(check_next_step(&device, &mut trainer, &dataset))?;
    check(matches!(outcome, Outcome::Skipped { .. }), format!("{outcome:?}"))
}

fn answers(gpu: &Gpu) -> Result<(), Failed> {
    let (of_gpu, of_cpu) = (block_on(of_gpu(gpu))?, of_cpu());
    check(of_gpu.len() == of_cpu.len() && of_gpu.len() > 30, "not all questions are answered")?;
    for (of_gpu, of_cpu) in of_gpu.iter().zip(&of_cpu) {
        check(of_gpu.question == of_cpu.question && !of_gpu.answer.is_empty(), format!("{of_gpu:?}"))?;
    }
    for (question, answers) in [
        ("subnormal results", &["kept", "flushed"][..]),
        ("a product and a sum", &["fused", "rounded twice"]),
        ("a fused multiply-add", &["fused", "rounded twice"]),
        ("a common factor", &["as written", "taken out"]),
        ("halves: rounding", &["to even", "towards 0", "up"]),
    ] {
        let answer = of_gpu.iter().find(|answer| answer.question == question).map(|found| found.answer.as_str());
        check(answer.is_some_and(|answer| answers.contains(&answer)), format!("{question}: {answer:?}"))?;
    }
    Ok(())
}
