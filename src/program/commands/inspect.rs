//! `gpu-digits inspect`.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::grouped::Grouped;
use super::{Verdict, kernel_bar, lowering};
use crate::device::{DeviceChoice, find};
use crate::gpu::inspect::{Block, Compiled, Figures, Inspector};
use crate::gpu::{AdapterInfo, Backend, adapters_up_to};
use crate::numbers::fixed;
use crate::op::{Variant, variant_label};
use crate::ops::Case;
use crate::plan::{Phase, Plan, PlanConfig};
use crate::program::cli::InspectArgs;
use crate::train::TrainConfig;
use crate::verify::Selection;

/// A kernel to compile.
struct Kernel {
    /// The layer that calls it in a training step.
    layer: String,
    case: Case,
    variant: Variant,
    /// Whether the device takes it.
    is_taken: bool,
}

pub(super) async fn run(args: &InspectArgs) -> Result<Verdict> {
    let calls = calls(args)?;
    let (info, nth) = adapter(&args.device).await?;
    let inspector = Inspector::open(&info, nth)?;
    note!("device: {info}");
    if !inspector.tells() {
        note!("  note: its driver does not tell what its compiler does (VK_KHR_pipeline_executable_properties)");
    }
    let kernels: Vec<Kernel> =
        calls.into_iter().flat_map(|(layer, case)| kernels(args, &info, &layer, &case)).collect();
    ensure!(!kernels.is_empty(), "{info} can run none of these kernels");
    let bar = kernel_bar(kernels.len());
    let mut table = Grouped::new("kernel", HEADER, 1);
    let mut rows = Vec::new();
    let mut verdict = Verdict::Passed;
    for kernel in &kernels {
        let Kernel { case, variant, .. } = kernel;
        bar.set_message(variant_label(case.as_ref(), variant));
        match inspector.compile(case.as_ref(), variant) {
            Ok(compiled) => {
                if args.isa {
                    print_texts(kernel, &compiled);
                }
                let figures = compiled.figures();
                table.row(heading(kernel), cells(kernel, &compiled, figures));
                rows.push(row(kernel, &compiled, figures));
            }
            Err(error) => {
                verdict = Verdict::Failed;
                warning!("{}: {error:#}", variant_label(case.as_ref(), variant));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    table.print(args.markdown);
    if let Some(output) = &args.results.json {
        output.write_json(&json!({
            "version": crate::VERSION,
            "commit": crate::COMMIT,
            "date": crate::date::now(),
            "adapter": info,
            "kernels": rows,
        }))?;
    }
    Ok(verdict)
}

/// The calls of a training step, or the cases that the words name, with their layers.
fn calls(args: &InspectArgs) -> Result<Vec<(String, Case)>> {
    if !args.ops.is_empty() {
        let Selection { ops, .. } = Selection::select(&args.ops, None)?;
        ensure!(!ops.is_empty(), "{} names whole steps, which have no kernel of their own", args.ops.join(" "));
        let cases = ops.into_iter().flat_map(|(_, cases)| cases);
        return Ok(cases.map(|case| (String::new(), case)).collect());
    }
    let (model, form) = lowering(&args.step)?;
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let plan = Plan::new(&model, PlanConfig { form, ..PlanConfig::for_mnist(args.batch_size, optimizer) })?;
    Ok(plan.calls(Phase::Train).iter().map(|call| (call.layer.clone(), call.op.clone())).collect())
}

/// The device of Vulkan that is meant, and its place among those of its name. Nothing is opened, because drivers on null
/// hardware cannot be.
async fn adapter(choice: &DeviceChoice) -> Result<(AdapterInfo, usize)> {
    let found = adapters_up_to(Backend::Vulkan).await;
    let infos: Vec<&AdapterInfo> = found.iter().map(|adapter| &adapter.info).collect();
    let of_vulkan = || infos.iter().filter(|info| info.backend == Backend::Vulkan);
    let best = || of_vulkan().min_by_key(|info| info.kind);
    let info = match choice {
        DeviceChoice::Auto | DeviceChoice::Backend(Backend::Vulkan) => best(),
        _ => find(choice, &infos).map(|index| &infos[index]),
    };
    let info = info.with_context(|| match infos.is_empty() {
        true => "no device of Vulkan was found; install a driver (on Debian and Ubuntu: `apt-get install mesa-vulkan-drivers \
                 libvulkan1`)"
            .to_owned(),
        false => format!("there is no device of Vulkan that is called `{choice}`; `gpu-digits devices` lists them"),
    })?;
    let nth = of_vulkan().take_while(|other| other.index != info.index).filter(|other| other.name == info.name).count();
    Ok(((*info).clone(), nth))
}

/// The kernels of a call that are to be compiled: the one that the device takes, or all that it can run.
fn kernels(args: &InspectArgs, info: &AdapterInfo, layer: &str, case: &Case) -> Vec<Kernel> {
    let considered = info.consider(case.as_ref(), None);
    let wanted = considered.into_iter().filter(|considered| {
        let variant = &considered.variant;
        let is_taken = considered.why_not.is_none();
        let is_possible = info.why_not(case.as_ref(), variant).is_none();
        is_taken || (is_possible && (args.variants.all_variants || (args.all && info.is_offered(variant))))
    });
    wanted
        .map(|considered| Kernel {
            layer: layer.to_owned(),
            case: case.clone(),
            is_taken: considered.why_not.is_none(),
            variant: considered.variant,
        })
        .collect()
}

const HEADER: [&str; 13] =
    ["variant", "lanes", "regs", "spills", "memory", "waves", "instr.", "loop", "share", "words", "groups", "ms", "MB"];

fn heading(kernel: &Kernel) -> String {
    let Kernel { layer, case, .. } = kernel;
    if layer.is_empty() { case.label() } else { format!("{} ({layer})", case.name()) }
}

fn workgroups(variant: &Variant) -> u64 {
    variant.workgroups.into_iter().map(u64::from).product()
}

fn cells(kernel: &Kernel, compiled: &Compiled, figures: Figures) -> Vec<String> {
    let Figures { lanes, registers, spills, workgroup_bytes, waves, instructions, hottest, .. } = figures;
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let of_loop = |of: &dyn Fn(&Block) -> String| hottest.as_ref().map_or_else(String::new, of);
    let mark = if kernel.is_taken { "*" } else { " " };
    vec![
        format!("{mark}{}", kernel.variant.name()),
        number(lanes.map(u64::from)),
        number(registers),
        number(spills),
        number(workgroup_bytes),
        number(waves),
        number(instructions),
        of_loop(&|block| format!("{}/{}", block.multiply_adds, block.instructions)),
        of_loop(&|block| format!("{:.0} %", 100.0 * block.share())),
        of_loop(&|block| fixed(block.words_per_multiply_add(), 2)),
        workgroups(&kernel.variant).to_string(),
        format!("{:.0}", 1e3 * compiled.seconds),
        compiled.peak_bytes.map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / 1e6)),
    ]
}

fn row(kernel: &Kernel, compiled: &Compiled, figures: Figures) -> Value {
    let Kernel { layer, case, variant, is_taken } = kernel;
    let statistics: serde_json::Map<String, Value> =
        compiled.statistics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "case": variant_label(case.as_ref(), variant),
        "layer": layer,
        "variant": variant.name(),
        "is_taken": is_taken,
        "flops": case.cost().flops,
        "bytes": case.cost().bytes,
        "workgroups": workgroups(variant),
        "workgroup_size": variant.workgroup_size(),
        "figures": figures,
        "statistics": statistics,
        "compile_seconds": compiled.seconds,
        "compile_bytes": compiled.peak_bytes,
    })
}

fn print_texts(kernel: &Kernel, compiled: &Compiled) {
    out!("== {}", variant_label(kernel.case.as_ref(), &kernel.variant));
    match compiled.assembly() {
        // Tabs are control characters, which nothing prints as they are.
        Some(assembly) => out!("{}", assembly.replace('\t', "    ")),
        None => out!("(the driver gives no assembly)"),
    }
}
