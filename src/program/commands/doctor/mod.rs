//! `gpu-digits doctor`: what the machine has for GPUs, what is wrong with it, and how its adapters compute.

mod messages;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::{Verdict, print_table, table};
use crate::arithmetic::{self, Answer};
use crate::gpu::{Adapter, AdapterInfo, AdapterKind, Gpu, adapters, consider};
use crate::model::NAMED_MODELS;
use crate::program::cli::DoctorArgs;
use crate::program::files::Destination;
use crate::program::terminal;
use crate::verify::{Check, Outcome, Subject, self_test};
use messages::heard;
use system::System;

/// Everything that was found.
#[derive(Serialize)]
struct Findings {
    version: &'static str,
    commit: &'static str,
    date: String,
    platform: String,
    /// None where it is not Linux.
    system: Option<System>,
    /// What wgpu said while it looked for adapters.
    messages: Vec<String>,
    adapters: Vec<Examined>,
    /// How the CPU executor computes.
    cpu_arithmetic: Vec<Answer>,
    /// What to do.
    advice: Vec<String>,
}

/// An adapter and what was found of it.
#[derive(Serialize)]
struct Examined {
    adapter: AdapterInfo,
    /// For each word after the dot in a shader's name, the ops of the default model that take it.
    variants: BTreeMap<&'static str, usize>,
    /// What variants lack that cannot run.
    lacking: BTreeSet<String>,
    self_test: Vec<Check>,
    self_test_seconds: f64,
    arithmetic: Vec<Answer>,
    /// Why it cannot be used, or what it does wrongly.
    fault: Option<String>,
}

pub(super) async fn run(args: &DoctorArgs) -> Result<Verdict> {
    let bar = terminal::bar(1, "{spinner} {msg}");
    bar.set_message("looking for adapters");
    let (found, messages) = heard(adapters()).await;
    let mut examined = Vec::new();
    for adapter in &found {
        bar.set_message(format!("testing {}", adapter.info));
        examined.push(examine(adapter).await?);
    }
    let cpu_arithmetic = arithmetic::of_cpu();
    bar.finish_and_clear();
    let system = cfg!(target_os = "linux").then(System::look);
    let advice = advice(system.as_ref(), &examined);
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("GPU_DIGITS_COMMIT"),
        date: crate::date::now(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        system,
        messages,
        adapters: examined,
        cpu_arithmetic,
        advice,
    };
    if let Some(output) = &args.results.json {
        output.write_json(&findings)?;
    }
    if args.results.json != Some(Destination::StandardOutput) {
        findings.print();
    }
    Ok(findings.verdict())
}

/// Opens an adapter and tests it.
async fn examine(adapter: &Adapter) -> Result<Examined> {
    let gpu = match &adapter.info.unusable {
        // It lacks what kernels need, and its driver is not to blame.
        Some(_) => return Ok(Examined::untested(adapter.info.clone(), None)),
        None => match Gpu::open(adapter).await {
            Ok(gpu) => gpu,
            Err(error) => return Ok(Examined::untested(adapter.info.clone(), Some(format!("{error:#}")))),
        },
    };
    let mut examined = Examined::untested(gpu.info().clone(), None);
    for case in Subject::new(NAMED_MODELS[0].0)?.all_cases() {
        for considered in consider(&gpu, case.as_ref()) {
            match considered.why_not {
                None => *examined.variants.entry(considered.variant.name()).or_default() += 1,
                Some(reason) => examined.lacking.extend(reason.strip_prefix("it needs ").map(str::to_owned)),
            }
        }
    }
    let start = Instant::now();
    examined.self_test = self_test(&gpu).await;
    examined.self_test_seconds = start.elapsed().as_secs_f64();
    examined.fault = examined.self_test.iter().find_map(|Check { label, outcome, .. }| match outcome {
        Outcome::Failed { reason } => Some(format!("it computes wrongly: {label}: {reason}")),
        _ => None,
    });
    match arithmetic::of_gpu(&gpu).await {
        Ok(arithmetic) => examined.arithmetic = arithmetic,
        Err(error) => drop(examined.fault.get_or_insert(format!("{error:#}"))),
    }
    Ok(examined)
}

fn advice(system: Option<&System>, examined: &[Examined]) -> Vec<String> {
    let infos: Vec<AdapterInfo> = examined.iter().map(|examined| examined.adapter.clone()).collect();
    let mut advice = system.map_or_else(Vec::new, |system| system.advice(&infos));
    for Examined { adapter, fault, .. } in examined {
        if let Some(fault) = fault {
            advice.push(format!(
                "do not use device {} ({adapter}): {fault}; `gpu-digits verify --device {0}` shows what else is wrong; its vendor \
                 may have a newer driver",
                adapter.index
            ));
        }
    }
    if !examined.iter().any(Examined::works) {
        advice.push(
            "no adapter can be used; install your GPU vendor's driver or, on Debian and Ubuntu, apt-get install \
             mesa-vulkan-drivers libvulkan1 for AMD, Intel and software Vulkan; until then --device cpu works"
                .to_owned(),
        );
    }
    advice
}

impl Examined {
    fn untested(adapter: AdapterInfo, fault: Option<String>) -> Self {
        let (variants, lacking) = Default::default();
        let (self_test, arithmetic) = (vec![], vec![]);
        Self { adapter, variants, lacking, self_test, self_test_seconds: 0.0, arithmetic, fault }
    }

    fn works(&self) -> bool {
        self.fault.is_none() && self.adapter.unusable.is_none()
    }

    /// What was found, below the adapter's name.
    fn remarks(&self) -> Vec<String> {
        let Self { adapter, variants, lacking, self_test, self_test_seconds, fault, .. } = self;
        let mut remarks = vec![format!("driver {}", format!("{} {}", adapter.driver, adapter.driver_version).trim())];
        if let Some(fault) = fault {
            remarks.push(format!("FAILED: {fault}"));
            return remarks;
        }
        if let Some(reason) = &adapter.unusable {
            remarks.push(format!("cannot be used: {reason}"));
            return remarks;
        }
        let passed = self_test.iter().filter(|check| matches!(check.outcome, Outcome::Passed { .. })).count();
        remarks.push(format!("self-test: passed ({passed} checks in {self_test_seconds:.1} s)"));
        let count: usize = variants.values().sum();
        let kernels: Vec<String> = variants.iter().map(|(name, ops)| format!("{ops} {name}")).collect();
        remarks.push(format!("kernels of the {count} ops of {}: {}", NAMED_MODELS[0].0, kernels.join(", ")));
        if !lacking.is_empty() {
            let lacking: Vec<&str> = lacking.iter().map(String::as_str).collect();
            remarks.push(format!("other kernels need {}", lacking.join(", and ")));
        }
        remarks.extend(adapter.refused.iter().map(|refused| format!("its driver lists {refused} and refuses them")));
        remarks
    }
}

impl Findings {
    fn verdict(&self) -> Verdict {
        let works = self.adapters.iter().any(Examined::works);
        let fails = self.adapters.iter().any(|examined| examined.fault.is_some());
        match (works, fails) {
            (true, false) => Verdict::Passed,
            (_, true) => Verdict::Failed,
            (false, false) => Verdict::NoAdapter,
        }
    }

    fn print(&self) {
        if let Some(system) = &self.system {
            print_system(system);
        }
        out!("adapters");
        if self.adapters.is_empty() {
            out!("  none");
        }
        for examined in &self.adapters {
            let Examined { adapter, .. } = examined;
            out!("  {} {} through {}", adapter.index, adapter.label(), adapter.backend.name());
            examined.remarks().iter().for_each(|remark| print_wrapped("    ", remark));
        }
        if !self.messages.is_empty() {
            out!("\nwhat wgpu says of those that it hides or cannot open");
            self.messages.iter().for_each(|message| print_wrapped("  ", message));
        }
        self.print_arithmetic();
        out!("");
        match (
            self.advice.is_empty(),
            self.adapters.iter().all(|examined| examined.adapter.kind == AdapterKind::Software),
        ) {
            (true, false) => out!("all adapters work"),
            (true, true) => out!("all adapters work, but they are software: a GPU would be far faster"),
            (false, _) => self.advice.iter().for_each(|advice| print_wrapped("- ", advice)),
        }
    }

    /// How each adapter computes, in columns.
    fn print_arithmetic(&self) {
        let answering: Vec<&Examined> =
            self.adapters.iter().filter(|examined| !examined.arithmetic.is_empty()).collect();
        if answering.is_empty() {
            return;
        }
        out!("\nhow each adapter computes (errors in units of the last place)");
        let numbers: Vec<String> = answering.iter().map(|examined| examined.adapter.index.to_string()).collect();
        let header: Vec<&str> = ["", "cpu"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
        let mut rows = table(&header, 1);
        for (place, of_cpu) in self.cpu_arithmetic.iter().enumerate() {
            let answers = answering.iter().map(|examined| examined.arithmetic[place].answer.clone());
            let row = [of_cpu.question.clone(), of_cpu.answer.clone()].into_iter().chain(answers);
            rows.add_row(row.collect::<Vec<_>>());
        }
        print_table(&rows);
    }
}

/// Prints words in lines of 80 columns, the first after a mark and the others indented as far.
fn print_wrapped(mark: &str, text: &str) {
    const WIDTH: usize = 80;
    let mut line = mark.to_owned();
    for word in text.split(' ') {
        if line.len() > mark.len() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                out!("{line}");
                line = " ".repeat(mark.len());
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    out!("{line}");
}

fn print_system(system: &System) {
    let System { cards, render_nodes, manifests, variables, .. } = system;
    out!("cards on the PCI bus");
    if cards.is_empty() {
        out!("  none");
    }
    for card in cards {
        let driver = card.kernel_driver.as_deref().unwrap_or("no kernel driver");
        out!("  {} {}:{} {driver}", card.address, card.vendor, card.device);
    }
    for node in render_nodes {
        out!("  {} {}", node.path.display(), node.closed.as_deref().unwrap_or("can be opened"));
    }
    out!("Vulkan drivers");
    if manifests.is_empty() {
        out!("  none");
    }
    for manifest in manifests {
        let fault = manifest.fault.as_ref().map_or_else(String::new, |fault| format!(" ({fault})"));
        let library = manifest.library.rsplit('/').next().unwrap_or_default();
        out!("  {} {library}{fault}", manifest.path.display());
    }
    if !variables.is_empty() {
        out!("variables that choose or change drivers");
        variables.iter().for_each(|(name, value)| out!("  {name}={value}"));
    }
}
