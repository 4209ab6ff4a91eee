//! `gpu-digits plan`.

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};

use super::open::open_device;
use super::tune::known;
use super::{Verdict, lowering, print_table, print_table_with, table, thousands};
use crate::device::{Device, DeviceChoice};
use crate::gpu::{Gpu, consider};
use crate::model::Model;
use crate::op::Op;
use crate::plan::{Call, Fusion, Phase, Plan, PlanConfig, PlanForm, TensorId};
use crate::program::cli::PlanArgs;
use crate::program::commands::train::{MICRO_BATCHES_OF_RANKS, optimizer};
use crate::program::terminal::Spinner;
use crate::ranks::{CostModel, LinkSpeed, micro_batches_of_rank};
use crate::train::{TrainConfig, measure_micro_batches};

pub(super) async fn run(args: &PlanArgs) -> Result<Verdict> {
    let (model, form) = lowering(&args.step)?;
    let optimizer = optimizer(args.optimizer, None, 0.0)?;
    let plan = Plan::new(&model, PlanConfig { form, ..PlanConfig::for_mnist(args.batch_size, Some(optimizer)) })?;

    ensure!(
        args.device.is_none() || args.kernels || args.ranks.is_some(),
        "--device is for --kernels and --ranks; without them a plan needs no device"
    );
    let gpu = match args.kernels {
        true => Some(gpu(args.device.as_ref().unwrap_or(&DeviceChoice::Auto)).await?),
        false => None,
    };
    out!("model: {model}");
    out!("parameters: {}", thousands(model.parameter_count()));
    out!("tensors: {} in {:.1} MB\n", plan.tensors.len(), plan.size_bytes() as f64 / 1e6);
    print_phase(&plan, &model, Phase::Train, "training step", gpu.as_ref());
    out!("");
    print_phase(&plan, &model, Phase::Evaluate, "evaluation step", gpu.as_ref());
    print_fusion(&plan.fusion);
    if let Some(ranks) = args.ranks {
        print_ranks(args, &model, form, ranks).await?;
    }
    Ok(Verdict::Passed)
}

/// What a step takes for 1, 2, 4, ... ranks.
async fn print_ranks(args: &PlanArgs, model: &Model, form: PlanForm, most: usize) -> Result<()> {
    let micro_batches = args.micro_batches.unwrap_or(most.max(MICRO_BATCHES_OF_RANKS));
    micro_batches_of_rank(args.batch_size, micro_batches, most)?;
    let link = LinkSpeed { latency_seconds: 1e-6 * args.latency, bytes_per_second: 1e9 * args.bandwidth };
    let (costs, source) = match args.micro_batch_time {
        Some(time) => {
            (given(args, model, form, micro_batches, link, 1e-6 * time)?, "given, without the update".to_owned())
        }
        None => measured(args, model, form, micro_batches, link).await?,
    };
    let columns = ["ranks", "images", "compute", "exchange", "waited", "step", "images/s", "speed-up"];
    let mut table = table(&columns, 0);
    let counts = (1..=most).filter(|&ranks| micro_batches_of_rank(args.batch_size, micro_batches, ranks).is_ok());
    for ranks in counts {
        let step = costs.step(ranks);
        let milliseconds = |seconds: f64| format!("{:.3}", 1e3 * seconds);
        table.add_row([
            ranks.to_string(),
            (args.batch_size / ranks).to_string(),
            milliseconds(step.compute_seconds),
            milliseconds(step.exchange_seconds),
            milliseconds(step.waited_seconds),
            milliseconds(step.step_seconds),
            thousands((args.batch_size as f64 / step.step_seconds) as usize),
            format!("{:.2}", costs.speedup(ranks)),
        ]);
    }
    out!("\na step by ranks, in ms:");
    print_table(&table);
    let [first, last] = costs.stage_bytes.map(|bytes| thousands(bytes as usize));
    let images = args.batch_size / micro_batches;
    out!(
        "a micro-batch of {images} images takes {:.3} ms; {:.3} ms of it hide the exchange of {first} bytes,",
        1e3 * costs.micro_batch_seconds,
        1e3 * costs.last_stage_seconds
    );
    out!(
        "and {last} are exchanged when nothing is left to compute; the update takes {:.3} ms",
        1e3 * costs.update_seconds
    );
    out!("times: {source}; messages: {} us and {} GB/s (--latency, --bandwidth)", args.latency, args.bandwidth);
    Ok(())
}

/// The costs of micro-batches on this machine's device, and where they are from.
async fn measured(
    args: &PlanArgs,
    model: &Model,
    form: PlanForm,
    micro_batches: usize,
    link: LinkSpeed,
) -> Result<(CostModel, String)> {
    let device = open_device(args.device.as_ref().unwrap_or(&DeviceChoice::Auto)).await?;
    let config = TrainConfig {
        batch: args.batch_size,
        micro_batches,
        optimizer: optimizer(args.optimizer, None, 0.0)?,
        fuse: Some(form.fuse),
        precision: form.precision,
        ..TrainConfig::DEFAULT
    };
    let spinner = Spinner::new("measuring micro-batches");
    let report = measure_micro_batches(&device, model, config).await?;
    drop(spinner);
    Ok((CostModel::measured(&report, config.batch, micro_batches, link), format!("measured on {device}")))
}

/// The costs of micro-batches that take this time, divided between their stages by their floating-point operations.
fn given(
    args: &PlanArgs,
    model: &Model,
    form: PlanForm,
    micro_batches: usize,
    link: LinkSpeed,
    micro_batch_seconds: f64,
) -> Result<CostModel> {
    let batch = args.batch_size / micro_batches;
    let optimizer = optimizer(args.optimizer, None, 0.0)?;
    let plan = Plan::new(model, PlanConfig { form, ..PlanConfig::for_mnist(batch, Some(optimizer)) })?;
    let step = plan.shared_step().context("the plan trains")?;
    let flops = |calls: &Range<usize>| plan.train[calls.clone()].iter().map(|call| call.op.flops()).sum::<u64>() as f64;
    let of_stages: Vec<f64> = step.stages.iter().map(|stage| flops(&stage.calls)).collect();
    let of_last = if of_stages.len() > 1 { of_stages[1] } else { 0.0 };
    Ok(CostModel {
        batch: args.batch_size,
        micro_batches,
        micro_batch_seconds,
        last_stage_seconds: micro_batch_seconds * of_last / of_stages.iter().sum::<f64>(),
        update_seconds: 0.0,
        stage_bytes: step.bytes(),
        link,
    })
}

/// The adapter whose kernels are printed, with the choices of `tune` that `train` uses.
async fn gpu(choice: &DeviceChoice) -> Result<Gpu> {
    match open_device(choice).await? {
        Device::Gpu(gpu) => Ok(known(&gpu).apply(*gpu)),
        Device::Cpu => bail!(
            "--kernels prints the kernels of an adapter, but the device is the CPU, which runs the references; choose \
             an adapter of `gpu-digits devices` with --device"
        ),
    }
}

/// What was fused in a training step, and what was not and why.
fn print_fusion(Fusion { merged, apart }: &Fusion) {
    let merged: Vec<String> = merged.iter().map(|layers| layers.join(", ")).collect();
    for (title, sentences) in [("one call each", &merged), ("calls of their own", apart)] {
        if !sentences.is_empty() {
            out!("\n{title}:");
            sentences.iter().for_each(|sentence| out!("  {sentence}"));
        }
    }
}

fn print_phase(plan: &Plan, model: &Model, phase: Phase, title: &str, gpu: Option<&Gpu>) {
    let mut table = table(&["#", "layer", "op", "parameters", "MFLOP", "MB"], 3);
    let calls = plan.calls(phase);
    for (index, call) in calls.iter().enumerate() {
        table.add_row(row(plan, model, index, call));
    }
    let total = |of: fn(&Call) -> u64| calls.iter().map(of).sum::<u64>() as f64 / 1e6;
    let (flops, bytes) = (total(|call| call.op.cost().flops), total(|call| call.op.cost().bytes));
    out!("{title}, batch {}: {} calls, {flops:.1} MFLOP, {bytes:.1} MB", plan.batch, calls.len());
    print_table_with(&table, |index| {
        let kernels = gpu.map(|gpu| kernels(gpu, calls[index].op.as_ref()));
        shapes(&calls[index]).into_iter().chain(kernels.into_iter().flatten()).collect()
    });
}

/// The kernel that an op takes on an adapter, then the others and why it does not take them.
fn kernels(gpu: &Gpu, op: &dyn Op) -> Vec<String> {
    let considered = consider(gpu, op);
    let taken = considered.iter().find(|considered| considered.why_not.is_none());
    let first = taken.map_or_else(|| "kernel: none".to_owned(), |taken| format!("kernel: {}", taken.variant.name()));
    let others = considered.iter().filter_map(|considered| {
        let reason = considered.why_not.as_ref()?;
        Some(format!("  not {}: {reason}", considered.variant.name()))
    });
    [first].into_iter().chain(others).collect()
}

fn row(plan: &Plan, model: &Model, index: usize, call: &Call) -> [String; 6] {
    // In half precision a layer reads rounded copies of the model's weights.
    let is_of = |id: TensorId, name: &str| plan.tensor(id).name.trim_end_matches(".f16") == name;
    let is_forward = call.op.name().trim_end_matches("_f16").ends_with("_forward");
    let owned: usize = model
        .parameters()
        .iter()
        .filter(|(name, _)| is_forward && call.tensors.iter().any(|&id| is_of(id, name)))
        .map(|(_, shape)| shape.len())
        .sum();
    let cost = call.op.cost();
    [
        index.to_string(),
        call.layer.clone(),
        call.op.name().to_owned(),
        if owned > 0 { thousands(owned) } else { String::new() },
        format!("{:.2}", cost.flops as f64 / 1e6),
        format!("{:.2}", cost.bytes as f64 / 1e6),
    ]
}

/// The shapes of a call's operands, in lines of less than 80 characters.
fn shapes(call: &Call) -> Vec<String> {
    const WIDTH: usize = 74;
    let operands = call.op.operands();
    let of = |written: bool| {
        let operands = operands.iter().filter(move |operand| operand.is_written() == written);
        operands.map(|operand| operand.shape.to_string())
    };
    let mut lines = vec![String::new()];
    for word in of(false).chain(["->".to_owned()]).chain(of(true)) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&word),
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines
}
