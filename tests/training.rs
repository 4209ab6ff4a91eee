//! Whole runs: they repeat exactly, CPU and GPU agree, nothing is allocated or read back during an epoch, and every
//! image is used.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{adapter_name, check, digits, gpus, without_adapter};
use gpu_digits::augment::Augment;
use gpu_digits::data::Dataset;
use gpu_digits::device::Device;
use gpu_digits::executor::{Counters, Observer, Unobserved};
use gpu_digits::inference::{activations, probabilities, score};
use gpu_digits::metrics::Evaluation;
use gpu_digits::model::Model;
use gpu_digits::op::{Op, Operand, Variant};
use gpu_digits::ops::Case;
use gpu_digits::ops::batch::NO_SAMPLE;
use gpu_digits::plan::{Optimizer, Phase, Plan, PlanConfig, PlanForm, Precision, Refinements};
use gpu_digits::random::Random;
use gpu_digits::schedule::Schedule;
use gpu_digits::tensor::{HostTensor, Shape, pack_bytes};
use gpu_digits::train::{Epoch, TrainConfig, Trainer};
use gpu_digits::weights;
use libtest_mimic::{Arguments, Failed, Trial};
use pollster::block_on;

/// A test on one adapter.
type AdapterTest = fn(&Device) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let on_cpu: [(&str, AdapterTest); 7] = [
        ("the_cpu_gives_the_same_bits_on_any_number_of_threads", same_bits_on_any_number_of_threads),
        ("every_image_is_seen_once_an_epoch_and_leftovers_come_first_in_the_next", every_image_is_seen),
        ("without_shuffling_images_come_in_their_order", order_without_shuffling),
        ("an_observer_ends_a_run_and_what_was_trained_stays", observer_ends_a_run),
        ("a_batch_larger_than_the_training_set_is_refused", too_large_a_batch),
        ("a_loss_that_is_not_finite_is_an_error", diverging),
        ("samples_that_cannot_be_are_errors_and_no_panics", wrong_samples),
    ];
    let on_each: [(&str, AdapterTest); 15] = [
        ("images_that_are_streamed_give_the_same_weights_and_scores", streams),
        ("a_weight_that_is_not_finite_is_found_at_its_step_although_the_loss_is_finite", faulty_weight),
        ("a_state_goes_on_to_the_same_bits_in_another_trainer", goes_on),
        ("a_state_of_another_plan_is_refused", another_state),
        ("frozen_layers_keep_their_bits_and_others_change", frozen_layers),
        ("gradients_above_and_between_frozen_layers_are_those_of_the_whole_model", gradients_of_frozen),
        ("normalisations_folded_into_weights_give_the_same_probabilities", folds_normalisations),
        ("a_validation_and_a_test_of_the_same_images_have_the_same_loss", same_loss),
        ("a_run_repeats_to_the_bit", repeats_to_the_bit),
        ("a_long_run_allocates_nothing_and_reads_nothing_inside_an_epoch", allocates_nothing),
        ("a_watched_run_reads_its_history_once_a_group_and_allocates_nothing", watching_allocates_nothing),
        ("what_an_evaluation_collects_is_read_once_and_does_not_depend_on_its_batches", collects),
        ("the_losses_of_ten_steps_plain_and_fused_are_the_cpus_to_1e-4", losses_are_the_cpus),
        ("the_losses_of_ten_steps_in_half_precision_are_those_in_single_to_1e-2", losses_in_half_precision),
        ("a_small_network_learns_generated_digits", learns),
    ];
    let mut trials: Vec<Trial> =
        on_cpu.into_iter().map(|(name, test)| Trial::test(name, move || test(&Device::Cpu))).collect();
    let on_gpus: [(&str, AdapterTest); 2] = [
        ("of_kernels_that_do_not_compile_the_first_of_the_plan_is_named", broken_kernels),
        ("any_number_of_images_is_evaluated_by_the_same_kernels", compiles_once),
    ];
    let gpus = gpus();
    for (name, test) in on_each {
        trials.push(Trial::test(format!("{name} [cpu]"), move || test(&Device::Cpu)));
    }
    for (name, test) in on_each.into_iter().chain(on_gpus) {
        if gpus.is_empty() {
            trials.push(without_adapter(name));
        }
        for gpu in &gpus {
            let name = format!("{name} [{}]", adapter_name(gpu));
            let device = Device::Gpu(Box::new(gpu.clone()));
            trials.push(Trial::test(name, move || test(&device)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

const SMALL: &str = "conv 4x3, relu, pool 2, dropout 0.25, flatten, dense 10";

/// Training on the images as they are, for comparisons with their scores.
const AS_THEY_ARE: Refinements = Refinements { augment: Augment::NONE, ..TrainConfig::DEFAULT.refinements };

fn config() -> TrainConfig {
    TrainConfig {
        epochs: 2,
        batch: 16,
        micro_batches: 1,
        sync_every: None,
        optimizer: Optimizer::adam(0.0, false),
        rate: 0.01,
        schedule: Schedule::OneCycle,
        seed: 7,
        shuffle: true,
        generated: 0,
        validation: 20,
        stream: None,
        fuse: None,
        refinements: TrainConfig::DEFAULT.refinements,
        precision: Precision::F32,
    }
}

fn trainer(device: &Device, model: &str, images: usize, config: TrainConfig) -> anyhow::Result<Trainer> {
    let model: Model = model.parse()?;
    let parameters = model.initial_parameters(config.seed);
    block_on(Trainer::new(device, &model, &parameters, &digits(images), config))
}

fn epoch(trainer: &mut Trainer) -> anyhow::Result<Epoch> {
    block_on(trainer.epoch(&mut Unobserved))
}

/// The hash of the weights after both epochs.
fn weights_hash(device: &Device, config: TrainConfig) -> anyhow::Result<String> {
    let mut trainer = trainer(device, SMALL, 200, config)?;
    epoch(&mut trainer)?;
    epoch(&mut trainer)?;
    Ok(weights::hash(&block_on(trainer.parameters())?))
}

fn repeats_to_the_bit(device: &Device) -> Result<(), Failed> {
    let (first, second) = (weights_hash(device, config())?, weights_hash(device, config())?);
    check(first == second, format!("the same run gave the weights {first} and {second}"))?;
    let other = weights_hash(device, TrainConfig { seed: 8, ..config() })?;
    check(first != other, "another seed gave the same weights")
}

/// A weight becomes a NaN in mid-run, and the ReLU behind it makes a 0 of it.
/// The images of an epoch do not fill its last batch, and neither do those that are scored.
fn streams(device: &Device) -> Result<(), Failed> {
    let run = |stream| -> anyhow::Result<_> {
        let config = TrainConfig { stream: Some(stream), validation: 77, ..config() };
        let mut trainer = trainer(device, SMALL, 1_500, config)?;
        let mut scores = vec![];
        for _ in 0..config.epochs {
            epoch(&mut trainer)?;
            scores.push(block_on(trainer.evaluate(trainer.splits().validation.clone()))?);
        }
        scores.push(block_on(trainer.evaluate(trainer.splits().test.clone()))?);
        Ok((trainer.step_losses(), scores, weights::hash(&block_on(trainer.parameters())?)))
    };
    let (streamed, resident) = (run(true)?, run(false)?);
    check(
        streamed == resident,
        format!("the weights {} and scores {:?} are not {} and {:?}", streamed.2, streamed.1, resident.2, resident.1),
    )?;
    let config = TrainConfig { stream: Some(true), ..config() };
    let spans = block_on(trainer(device, SMALL, 1_500, config)?.trace(2))?;
    check(!spans.is_empty(), "a streamed run has no timeline")
}

fn faulty_weight(device: &Device) -> Result<(), Failed> {
    for optimizer in [Optimizer::adam(0.0, false), Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }]
    {
        for wrong in [f32::NAN, f32::INFINITY, -2e30] {
            let mut trainer = trainer(
                device,
                "conv 4x3, relu, pool 2, flatten, dense 10",
                200,
                TrainConfig { optimizer, ..config() },
            )?;
            block_on(trainer.epoch(&mut Unobserved))?;
            let mut state = block_on(trainer.state())?;
            let steps = state.steps();
            let parameters = state.tensors.get_mut("parameters").ok_or("no parameters")?;
            // The second weight of the convolution.
            parameters.f32_mut()[1] = wrong;
            trainer.restore(&state)?;
            let error = epoch(&mut trainer).map_or_else(|error| format!("{error:#}"), |_| "none".to_owned());
            let is_named = error.contains(&format!("step {} ", steps + 1)) && error.contains("conv1");
            check(is_named, format!("{wrong}: step {} is wrong, and the error is: {error}", steps + 1))?;
        }
    }
    Ok(())
}

/// Training that stops within an epoch and at the end of one, each time in another trainer, beside training that does not.
/// A trainer of a model with frozen layers.
fn frozen_trainer(device: &Device, model: &str, frozen: &[&str], config: TrainConfig) -> anyhow::Result<Trainer> {
    let names: Vec<String> = frozen.iter().map(|&name| name.to_owned()).collect();
    let model = model.parse::<Model>()?.frozen(&names)?;
    let parameters = model.initial_parameters(config.seed);
    block_on(Trainer::new(device, &model, &parameters, &digits(200), config))
}

/// Also where parameters are averaged, in half precision, and where a run goes on.
fn frozen_layers(device: &Device) -> Result<(), Failed> {
    const MODEL: &str = "conv 4x3, norm, relu, pool 2, conv 6x3, relu, flatten, dense 8, relu, dense 10";
    const FROZEN: [&str; 3] = ["conv1", "norm1", "dense1"];
    let refined = Refinements { average: Some(0.9), clip_norm: Some(1.0), ..TrainConfig::DEFAULT.refinements };
    let decayed = TrainConfig { optimizer: Optimizer::adam(0.1, true), ..config() };
    let half = TrainConfig { precision: Precision::F16, fuse: Some(true), refinements: refined, ..config() };
    let model: Model = MODEL.parse()?;
    let before = model.initial_parameters(config().seed);
    for config in [decayed, TrainConfig { refinements: refined, ..config() }, half] {
        let mut whole = frozen_trainer(device, MODEL, &FROZEN, config)?;
        epoch(&mut whole)?;
        let mut last = frozen_trainer(device, MODEL, &FROZEN, config)?;
        last.restore(&block_on(whole.state())?)?;
        let (after, second) = (epoch(&mut whole)?, epoch(&mut last)?);
        check(after.score == second.score, "it goes on to something else")?;
        let after = block_on(last.parameters())?;
        for (((name, _), before), after) in model.parameters().iter().zip(&before).zip(&after) {
            let is_frozen = FROZEN.iter().any(|layer| name.starts_with(&format!("{layer}.")));
            check((before == after) == is_frozen, format!("{name} has changed or not: {config:?}"))?;
        }
    }
    Ok(())
}

fn gradients_of_frozen(device: &Device) -> Result<(), Failed> {
    const MODEL: &str = "conv 4x3, relu, pool 2, conv 6x3, relu, conv 6x3 same, relu, flatten, dense 8, relu, dense 10";
    for fuse in [false, true] {
        let config = TrainConfig { fuse: Some(fuse), ..config() };
        let gradients = |frozen: &[&str]| {
            let mut trainer = frozen_trainer(device, MODEL, frozen, config)?;
            block_on(trainer.advance_to(1))?;
            block_on(trainer.gradients())
        };
        let (all, some) = (gradients(&[])?, gradients(&["conv1", "conv3", "dense1"])?);
        check(some.iter().filter(|gradient| gradient.is_none()).count() == 6, "of six tensors there is no gradient")?;
        for (all, some) in all.iter().zip(&some) {
            check(some.is_none() || some == all, "a gradient is another one without those of frozen layers")?;
        }
    }
    Ok(())
}

fn goes_on(device: &Device) -> Result<(), Failed> {
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.001 };
    let refined = Refinements { average: Some(0.9), clip_norm: Some(1.0), ..TrainConfig::DEFAULT.refinements };
    let half = TrainConfig { precision: Precision::F16, fuse: Some(true), ..config() };
    let cases = [
        (SMALL, config()),
        ("conv 4x3, norm, relu, pool 2, flatten, dense 10", TrainConfig { optimizer: sgd, ..config() }),
        ("conv 4x3, norm, relu, pool 2, flatten, dense 10", TrainConfig { refinements: refined, ..config() }),
        ("conv 4x3, relu, pool 2, flatten, dense 10", half),
    ];
    for (model, config) in cases {
        let mut whole = trainer(device, model, 200, config)?;
        let wanted = [epoch(&mut whole)?, epoch(&mut whole)?];
        let wanted_bits = block_on(whole.state())?;

        let mut begun = trainer(device, model, 200, config)?;
        let part = block_on(begun.epoch(&mut StopAt(3)))?;
        check(part.interrupted && part.step_losses.len() < wanted[0].step_losses.len(), "it did not stop")?;
        let mut on = trainer(device, model, 200, config)?;
        on.restore(&block_on(begun.state())?)?;
        let first = epoch(&mut on)?;
        // What an evaluation leaves behind is no part of the state.
        block_on(on.evaluate(0..20))?;
        let mut last = trainer(device, model, 200, config)?;
        last.restore(&block_on(on.state())?)?;
        let second = epoch(&mut last)?;

        for (found, wanted) in [first, second].iter().zip(&wanted) {
            check(found.score == wanted.score, format!("{model}: {:?} instead of {:?}", found.score, wanted.score))?;
            check(found.step_losses == wanted.step_losses, format!("{model}: other losses"))?;
        }
        check(block_on(last.state())? == wanted_bits, format!("{model}: other bits"))?;
        let hash = |trainer: &mut Trainer| block_on(trainer.parameters()).map(|parameters| weights::hash(&parameters));
        check(hash(&mut last)? == hash(&mut whole)?, format!("{model}: other weights"))?;
    }
    Ok(())
}

fn another_state(device: &Device) -> Result<(), Failed> {
    let mut other = trainer(device, "flatten, dense 10", 200, config())?;
    let state = block_on(other.state())?;
    let mut small = trainer(device, SMALL, 200, config())?;
    let refusal = |result: anyhow::Result<()>| result.err().map_or_else(|| "taken".to_owned(), |e| e.to_string());
    let error = refusal(small.restore(&state));
    check(error.contains("the state is of another plan"), error)?;
    let mut longer = block_on(small.state())?;
    longer.history = vec![0.5; 2 * small.steps() + 2];
    let error = refusal(small.restore(&longer));
    check(error.contains("but the run has"), error)
}

fn same_bits_on_any_number_of_threads(device: &Device) -> Result<(), Failed> {
    let mut hashes = Vec::new();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        hashes.push(pool.install(|| weights_hash(device, config()))?);
    }
    check(hashes.iter().all(|hash| *hash == hashes[0]), format!("1, 2 and 5 threads gave {hashes:?}"))
}

/// An epoch of 500 short steps: what the executor counted in it, and what its observer was told.
fn long_epoch(device: &Device, watches: bool) -> anyhow::Result<(Counters, Inside)> {
    let config = TrainConfig { epochs: 1, batch: 4, validation: 0, ..config() };
    let mut trainer = trainer(device, "flatten, dense 10", 2_000, config)?;
    let before = trainer.counters();
    let mut inside = Inside { watches, told: vec![] };
    block_on(trainer.epoch(&mut inside))?;
    let after = trainer.counters();
    let counted = Counters {
        allocations: after.allocations - before.allocations,
        reads: after.reads - before.reads,
        steps: after.steps - before.steps,
        submissions: after.submissions - before.submissions,
        ..after
    };
    Ok((counted, inside))
}

fn allocates_nothing(device: &Device) -> Result<(), Failed> {
    let (counted, inside) = long_epoch(device, false)?;
    check(inside.told.len() > 1, "the observer was not told of the run's progress")?;
    check(
        inside.told.iter().all(|(_, history)| !history),
        "something is read back although the observer does not watch",
    )?;
    check(counted.steps == 500, format!("{} steps instead of 500", counted.steps))?;
    // The epoch's one read, after its last step, brings its metrics; on a GPU it goes through one staging buffer.
    check(counted.reads == 1, format!("{} reads in an epoch", counted.reads))?;
    let Counters { allocations, submissions, .. } = counted;
    check(allocations <= 1, format!("{allocations} allocations in an epoch, at most its staging buffer is allowed"))?;
    // A host that waited for each step would submit each alone.
    let waits_seldom = matches!(device, Device::Cpu) || submissions <= 500 / 4;
    check(waits_seldom, format!("{submissions} submissions of 500 steps"))
}

fn watching_allocates_nothing(device: &Device) -> Result<(), Failed> {
    let (counted, inside) = long_epoch(device, true)?;
    check(inside.told.iter().all(|(_, history)| *history), "a watching observer was told nothing of the history")?;
    check(inside.told.last().is_some_and(|(steps, _)| *steps == 500), "it was not told of the last step")?;
    let Counters { allocations, reads, submissions, .. } = counted;
    check(inside.told.len() as u64 == submissions, "it was not told of each group")?;
    // The CPU lends its memory.
    let wanted = if matches!(device, Device::Cpu) { 1 } else { 1 + submissions };
    check(reads == wanted, format!("{reads} reads for {submissions} groups"))?;
    check(allocations <= 1, format!("{allocations} allocations in an epoch, at most its staging buffer is allowed"))
}

/// Records its calls: the steps done, and whether the history came with them.
struct Inside {
    watches: bool,
    told: Vec<(usize, bool)>,
}

impl Observer for Inside {
    fn watches_history(&self) -> bool {
        self.watches
    }

    fn progress(&mut self, steps: usize, history: Option<&[f32]>) -> ControlFlow<()> {
        self.told.push((steps, history.is_some()));
        ControlFlow::Continue(())
    }
}

fn same_loss(device: &Device) -> Result<(), Failed> {
    let model: Model = SMALL.parse()?;
    // Weights of a diverged run: most probabilities of labels are too small for a float.
    let scaled = |tensor: HostTensor| {
        let values: Vec<f32> = tensor.f32().iter().map(|value| 100.0 * value).collect();
        HostTensor::from_f32(tensor.shape.clone(), &values)
    };
    let parameters: Vec<HostTensor> = model.initial_parameters(1).into_iter().map(scaled).collect();
    let dataset = digits(200);
    let mut trainer = block_on(Trainer::new(device, &model, &parameters, &dataset, config()))?;
    let test = trainer.splits().test.clone();
    let validation = block_on(trainer.evaluate(test))?;
    let scored = block_on(score(device, &model, &parameters, &dataset.test))?;
    let test = Evaluation::new(&dataset.task, &scored.probabilities, &scored.losses, &dataset.test.labels);
    check(test.loss > 1000.0, format!("a loss of {} is not steep", test.loss))?;
    let difference = (validation.loss / test.loss - 1.0).abs();
    check(difference < 1e-5, format!("validation has a loss of {}, test of {}", validation.loss, test.loss))?;
    check(validation.accuracy == test.accuracy, format!("validation {validation:?}, test {}", test.accuracy))
}

fn collects(device: &Device) -> Result<(), Failed> {
    let model: Model = SMALL.parse()?;
    let parameters = model.initial_parameters(1);
    let images = digits(7).train.images;
    // The last of three batches of three has two empty samples.
    let form = PlanForm { fuse: device.prefers_fused(), precision: Precision::F32 };
    let config = PlanConfig { images: 7, batches: 3, form, ..PlanConfig::for_mnist(3, None) };
    let mut executor = block_on(device.executor(Plan::new(&model, config)?))?;
    let host = executor.plan().host.clone();
    executor.write(host.images, &pack_bytes(&[&images]));
    for (parameter, values) in host.parameters.iter().zip(&parameters) {
        executor.write(parameter.tensor, &parameter.arranged(values));
    }
    executor.write(host.order, &[0, 1, 2, 3, 4, 5, 6, NO_SAMPLE, NO_SAMPLE]);
    let before = executor.counters();
    let tensors = [host.probability, host.loss];
    let [collected, losses] = block_on(executor.run_collecting(Phase::Evaluate, 3, &tensors))?
        .try_into()
        .map_err(|_| Failed::from("not two tensors"))?;
    let after = executor.counters();
    check(
        after.steps - before.steps == 3 && after.reads - before.reads == 2,
        "not three steps and a read for each tensor",
    )?;
    check(after.allocations - before.allocations <= 2, "more than its staging buffers was allocated")?;
    check(losses.len() == 3 * 3 && losses[7..] == [0, 0], "empty samples have a loss")?;
    let mut one_by_one = Vec::new();
    executor.write(host.clock, &[0, 0, 0, 0]);
    for _ in 0..3 {
        block_on(executor.run(Phase::Evaluate, 1, &mut Unobserved))?;
        one_by_one.extend(block_on(executor.read(host.probability))?.words().to_vec());
    }
    check(collected.len() == 3 * 3 * 10 && collected == one_by_one, "the values differ from those of single steps")?;
    let rows = block_on(probabilities(device, &model, &parameters, &images))?;
    let difference = |(a, b): (&f32, &u32)| (a - f32::from_bits(*b)).abs();
    let worst = rows.iter().flatten().zip(&collected).map(difference).fold(0.0, f32::max);
    check(rows.len() == 7 && worst < 1e-5, format!("{} rows in one batch, off by {worst}", rows.len()))
}

fn compiles_once(device: &Device) -> Result<(), Failed> {
    let Device::Gpu(gpu) = device else { return Err("no adapter".into()) };
    let model: Model = "flatten, dense 10".parse()?;
    let parameters = model.initial_parameters(1);
    let images = digits(2_100).train.images;
    let of = |count: usize| block_on(probabilities(device, &model, &parameters, &images[..count * 784]));
    let all = of(2_100)?;
    let compiled = gpu.compiled_kernels();
    for count in [1, 127, 129, 2_049] {
        let rows = of(count)?;
        check(rows == all[..count], format!("{count} of 2,100 images have other probabilities"))?;
    }
    let again = gpu.compiled_kernels();
    check(compiled == again, format!("{compiled} kernels became {again}"))
}

/// The probabilities of a model with normalisations whose statistics are not those of a new model.
fn folds_normalisations(device: &Device) -> Result<(), Failed> {
    let model: Model =
        "conv 5x3, norm, relu, pool 2, conv 8x3 stride 2, norm, flatten, dense 12, norm, leaky 0.1, dense 10"
            .parse()?;
    let mut random = Random::new(5, 5);
    let drawn = |((name, shape), initial): ((String, Shape), HostTensor)| {
        let positive = name.ends_with("running_var");
        let values: Vec<f32> =
            (0..shape.len()).map(|_| random.uniform(if positive { 0.5 } else { -0.5 }, 1.5)).collect();
        if name.starts_with("norm") { HostTensor::from_f32(shape, &values) } else { initial }
    };
    let named = model.parameters().into_iter().zip(model.initial_parameters(1));
    let parameters: Vec<HostTensor> = named.map(drawn).collect();
    let images = digits(4).train.images;
    let probabilities = |fuse: bool| -> Result<(usize, Vec<f32>), Failed> {
        let form = PlanForm { fuse, precision: Precision::F32 };
        let plan = Plan::new(&model, PlanConfig { images: 4, batches: 1, form, ..PlanConfig::for_mnist(4, None) })?;
        let folded = plan.evaluate.iter().filter(|call| call.op.name() == "norm_fold").count();
        let mut executor = block_on(device.executor(plan))?;
        let host = executor.plan().host.clone();
        executor.write(host.images, &pack_bytes(&[&images]));
        for (parameter, values) in host.parameters.iter().zip(&parameters) {
            executor.write(parameter.tensor, &parameter.arranged(values));
        }
        executor.write(host.order, &[0, 1, 2, 3]);
        block_on(executor.run(Phase::Evaluate, 1, &mut Unobserved))?;
        Ok((folded, block_on(executor.read(host.probability))?.f32().to_vec()))
    };
    let ((none, plain), (three, folded)) = (probabilities(false)?, probabilities(true)?);
    check((none, three) == (0, 3), format!("{three} normalisations are folded, {none} without fusing"))?;
    let worst = plain.iter().zip(&folded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    check(worst < 1e-5, format!("folding changes the probabilities by {worst}"))
}

/// An op whose shader cannot be compiled.
#[derive(Debug)]
struct Broken(Case);

impl Op for Broken {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        self.0.operands()
    }

    fn variants(&self) -> Vec<Variant> {
        let variants = self.0.variants();
        let plain = variants.last().expect("the plain variant").shader;
        let shader = plain.with_source("fn main() -> nonsense {}");
        variants.into_iter().map(|variant| Variant { shader, ..variant }).collect()
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        self.0.reference(tensors);
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        self.0.tolerance()
    }
}

fn broken_kernels(device: &Device) -> Result<(), Failed> {
    let model: Model = SMALL.parse()?;
    let config =
        PlanConfig { images: 8, batches: 2, steps: 2, form: PlanForm::PLAIN, ..PlanConfig::for_mnist(4, None) };
    let whole = Plan::new(&model, PlanConfig { optimizer: Some(Optimizer::adam(0.0, false)), ..config })?;
    let cases = whole.cases();
    // Several are broken, in places far from each other; each time another is the first.
    for first in [0, cases.len() / 3, cases.len() / 2] {
        let broken: Vec<String> = cases.iter().skip(first).step_by(4).map(|case| case.label()).collect();
        check(broken.len() > 1, "only one op is broken")?;
        let mut plan = whole.clone();
        for call in plan.train.iter_mut().chain(&mut plan.evaluate) {
            if broken.contains(&call.op.label()) {
                call.op = Arc::new(Broken(call.op.clone()));
            }
        }
        let Err(error) = block_on(device.executor(plan)) else {
            return Err(Failed::from("a broken shader was compiled"));
        };
        let error = error.to_string();
        let parts = [format!("cannot compile `{}`", broken[0]), format!("shaders/{}.wgsl", cases[first].name())];
        check(parts.iter().all(|part| error.contains(part)), format!("`{}` is not named: {error}", broken[0]))?;
    }
    // Each thread has caught its own errors: none is left that would fail the next run.
    let mut executor = block_on(device.executor(whole))?;
    check(block_on(executor.run(Phase::Train, 2, &mut Unobserved))? == 2, "the device no longer runs")
}

fn losses_are_the_cpus(device: &Device) -> Result<(), Failed> {
    let config = TrainConfig { epochs: 1, batch: 32, validation: 0, rate: 1e-3, ..config() };
    let losses = |device: &Device, fuse: bool| {
        let config = TrainConfig { fuse: Some(fuse), ..config };
        epoch(&mut trainer(device, "convnet", 320, config)?).map(|epoch| epoch.step_losses)
    };
    let wanted = losses(&Device::Cpu, false)?;
    check(wanted.len() == 10, "not ten steps")?;
    for fuse in [false, true] {
        for (step, (got, wanted)) in losses(device, fuse)?.iter().zip(&wanted).enumerate() {
            let error = (got - wanted).abs() / wanted;
            let how = if fuse { "fused" } else { "plain" };
            check(
                error <= 1e-4,
                format!("{how}, step {step}: loss {got} and not the CPU's {wanted}, off by {error:e}"),
            )?;
        }
    }
    Ok(())
}

fn losses_in_half_precision(device: &Device) -> Result<(), Failed> {
    let config = TrainConfig { epochs: 1, batch: 32, validation: 0, rate: 1e-3, ..config() };
    let losses = |device: &Device, precision| {
        let config = TrainConfig { precision, ..config };
        epoch(&mut trainer(device, "convnet", 320, config)?).map(|epoch| epoch.step_losses)
    };
    let wanted = losses(&Device::Cpu, Precision::F32)?;
    check(wanted.len() == 10, "not ten steps")?;
    for (step, (got, wanted)) in losses(device, Precision::F16)?.iter().zip(&wanted).enumerate() {
        let error = (got - wanted).abs() / wanted;
        check(error <= 1e-2, format!("step {step}: loss {got} and not {wanted}, off by {error:e}"))?;
    }
    Ok(())
}

fn learns(device: &Device) -> Result<(), Failed> {
    let config = TrainConfig { epochs: 3, batch: 32, ..config() };
    let mut trainer = trainer(device, "conv 8x5, relu, pool 4, flatten, dense 10", 1_000, config)?;
    let first = epoch(&mut trainer)?.score;
    epoch(&mut trainer)?;
    let last = epoch(&mut trainer)?.score;
    check(last.loss < first.loss / 2.0, format!("the loss fell from {} to {} only", first.loss, last.loss))?;
    let test = block_on(trainer.evaluate(trainer.splits().test.clone()))?;
    check(test.images == 50 && test.accuracy > 0.8, format!("{test:?} after three epochs"))
}

/// With momentum 0 and rate 0 nothing changes, so the losses of an epoch tell which images were in it.
fn every_image_is_seen(device: &Device) -> Result<(), Failed> {
    let still = TrainConfig {
        epochs: 4,
        batch: 16,
        optimizer: Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 },
        rate: f64::MIN_POSITIVE,
        validation: 0,
        generated: 10,
        refinements: AS_THEY_ARE,
        ..config()
    };
    // 4 epochs of 40 images, of which 10 are added, are 10 batches of 16 exactly: 2, 3, 2 and 3 of them.
    let mut trainer = trainer(device, "flatten, dense 10", 30, still)?;
    let alone = block_on(trainer.evaluate(trainer.splits().train.clone()))?;
    let of_the_set = block_on(trainer.evaluate(0..30))?;
    check(of_the_set.loss != alone.loss, "the digits added are like none")?;
    let (mut steps, mut total) = (Vec::new(), 0.0);
    for _ in 0..4 {
        let epoch = epoch(&mut trainer)?;
        steps.push(epoch.step_losses.len());
        total += 16.0 * epoch.step_losses.iter().sum::<f64>();
    }
    check(steps == [2, 3, 2, 3], format!("epochs of {steps:?} steps"))?;
    let wanted = 4.0 * 40.0 * alone.loss;
    check((total - wanted).abs() < 1e-3, format!("four epochs sum up to a loss of {total} instead of {wanted}"))
}

fn order_without_shuffling(device: &Device) -> Result<(), Failed> {
    let refinements = AS_THEY_ARE;
    let config = TrainConfig { shuffle: false, epochs: 1, batch: 10, validation: 0, refinements, ..config() };
    let mut first = trainer(device, "flatten, dense 10", 10, config)?;
    let images = 0..10;
    let alone = block_on(first.evaluate(images))?.loss;
    let mut longer = trainer(device, "flatten, dense 10", 30, config)?;
    let loss = epoch(&mut longer)?.step_losses[0];
    check((loss - alone).abs() < 1e-6, format!("the first batch has a loss of {loss}, the first ten images {alone}"))
}

struct StopAt(usize);

impl Observer for StopAt {
    fn progress(&mut self, steps: usize, _: Option<&[f32]>) -> ControlFlow<()> {
        if steps >= self.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn observer_ends_a_run(device: &Device) -> Result<(), Failed> {
    let mut trainer = trainer(device, SMALL, 200, config())?;
    let before = block_on(trainer.parameters())?;
    let epoch = block_on(trainer.epoch(&mut StopAt(3)))?;
    check(epoch.interrupted && epoch.step_losses.len() == 3, format!("{} steps", epoch.step_losses.len()))?;
    check(block_on(trainer.parameters())? != before, "nothing was trained")
}

fn too_large_a_batch(device: &Device) -> Result<(), Failed> {
    match trainer(device, SMALL, 30, config()) {
        Ok(_) => Err(Failed::from("10 images were enough for a batch of 16")),
        Err(error) => check(error.to_string().contains("--batch-size 16"), error.to_string()),
    }
}

/// Every public function that takes samples or images, given wrong ones.
fn wrong_samples(device: &Device) -> Result<(), Failed> {
    let refused = |result: anyhow::Result<()>, part: &str| match result {
        Ok(()) => Err(Failed::from(format!("no error about {part}"))),
        Err(error) => check(format!("{error:#}").contains(part), format!("{error:#} does not say {part}")),
    };
    let model: Model = SMALL.parse()?;
    let parameters = model.initial_parameters(0);
    let train = |change: fn(&mut Dataset)| {
        let mut dataset = digits(60);
        change(&mut dataset);
        block_on(Trainer::new(device, &model, &parameters, &dataset, config())).map(|_| ())
    };
    train(|_| ())?;
    refused(train(|dataset| dataset.train.labels[3] = 12), "image 3 of the training set has the label 12")?;
    refused(train(|dataset| dataset.train.labels.truncate(9)), "60 images and 9 labels")?;
    refused(train(|dataset| dataset.test.images.truncate(1_000)), "1000 bytes are not a whole number of")?;

    let probabilities = |images: &[u8]| block_on(probabilities(device, &model, &parameters, images)).map(|_| ());
    probabilities(&[0; 784])?;
    refused(probabilities(&[0; 1_000]), "1000 bytes are not a whole number of")?;
    let activations = |images: &[u8]| block_on(activations(device, &model, &parameters, images)).map(|_| ());
    refused(activations(&[0; 1_000]), "1000 bytes are not a whole number of")?;
    refused(activations(&[]), "without images")?;

    let mut trainer = trainer(device, SMALL, 60, config())?;
    refused(block_on(trainer.evaluate([110])).map(|_| ()), "cannot score image 110")?;
    refused(block_on(trainer.evaluate(vec![0; 1_000])).map(|_| ()), "cannot score 1000 images at once")
}

fn diverging(device: &Device) -> Result<(), Failed> {
    let config = TrainConfig { rate: 1e30, ..config() };
    match epoch(&mut trainer(device, SMALL, 200, config)?) {
        Ok(epoch) => Err(Failed::from(format!("a learning rate of 1e30 gave {:?}", epoch.step_losses))),
        Err(error) => check(error.to_string().contains("smaller --lr"), error.to_string()),
    }
}
