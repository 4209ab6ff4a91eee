//! `gpu-digits doctor`: what the machine has for GPUs, what is wrong with it, and how its adapters compute.

mod messages;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::{Verdict, print_table, table};
use crate::arithmetic::{self, Answer};
use crate::gpu::{Adapter, AdapterInfo, AdapterKind, Considered, Gpu, adapters, consider};
use crate::host::platform;
use crate::model::NAMED_MODELS;
use crate::names::wrapped;
use crate::program::cli::DoctorArgs;
use crate::program::files::on_stdout;
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
    /// What wgpu said of those that it hides, and what failed.
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
    /// Why it cannot run the other variants.
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
    let (examined, messages) = heard(async {
        let mut examined = Vec::new();
        for adapter in adapters().await {
            bar.set_message(format!("testing {}", adapter.info));
            examined.push(examine(&adapter).await?);
        }
        anyhow::Ok(examined)
    })
    .await;
    let examined = examined?;
    let cpu_arithmetic = arithmetic::of_cpu();
    bar.finish_and_clear();
    let system = cfg!(target_os = "linux").then(System::look);
    let advice = advice(system.as_ref(), &examined);
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        commit: crate::COMMIT,
        date: crate::date::now(),
        platform: platform(),
        system,
        messages,
        adapters: examined,
        cpu_arithmetic,
        advice,
    };
    if let Some(output) = &args.results.json {
        output.write_json(&findings)?;
    }
    if !on_stdout([&args.results.json]) {
        findings.print();
    }
    Ok(verdict_of(&findings.adapters))
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
        for Considered { variant, why_not } in consider(&gpu, case.as_ref()) {
            if why_not.is_none() {
                *examined.variants.entry(variant.name()).or_default() += 1;
            }
            examined.lacking.extend(gpu.info().why_not(case.as_ref(), &variant));
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
        let mut remarks = vec![format!("driver {}", adapter.driver_and_version())];
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
            remarks.push(format!("why not others: {}", lacking.join("; ")));
        }
        remarks.extend(adapter.refused.iter().map(|refused| format!("its driver lists {refused} and refuses them")));
        remarks
    }
}

fn verdict_of(examined: &[Examined]) -> Verdict {
    let works = examined.iter().any(Examined::works);
    let fails = examined.iter().any(|examined| examined.fault.is_some());
    match (works, fails) {
        (true, false) => Verdict::Passed,
        (_, true) => Verdict::Failed,
        (false, false) => Verdict::NoAdapter,
    }
}

impl Findings {
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
            out!("what wgpu says of those that it hides, and what failed");
            self.messages.iter().for_each(|message| print_wrapped("  ", message));
        }
        self.print_arithmetic();
        out!("");
        match (
            self.advice.is_empty(),
            self.adapters.iter().all(|examined| examined.adapter.kind == AdapterKind::Software),
        ) {
            (true, false) => out!("all adapters that can be used work"),
            (true, true) => {
                out!("all adapters that can be used work, but they are software: a GPU would be far faster")
            }
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

fn print_wrapped(mark: &str, text: &str) {
    wrapped(mark, text.split(' ')).iter().for_each(|line| out!("{line}"));
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
        let state = node.closed.as_ref().map_or("can be opened", |closed| &closed.reason);
        out!("  {} {state}", node.path.display());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(fault: Option<&str>, unusable: Option<&str>) -> Examined {
        let mut adapter = AdapterInfo::example("a GPU", AdapterKind::Discrete);
        adapter.unusable = unusable.map(str::to_owned);
        Examined::untested(adapter, fault.map(str::to_owned))
    }

    #[test]
    fn the_verdict_and_the_advice_are_of_all_adapters() {
        let wrong = || examined(Some("it computes wrongly: loops"), None);
        let old = || examined(None, Some("it has no compute shaders"));
        let right = || examined(None, None);
        for (adapters, verdict, part) in [
            (vec![], Verdict::NoAdapter, "no adapter can be used"),
            (vec![old()], Verdict::NoAdapter, "no adapter can be used"),
            (vec![wrong()], Verdict::Failed, "no adapter can be used"),
            (vec![right(), wrong()], Verdict::Failed, "do not use device 0"),
            (vec![right(), old()], Verdict::Passed, ""),
        ] {
            let advice = advice(None, &adapters);
            assert!(if part.is_empty() { advice.is_empty() } else { advice.join("\n").contains(part) }, "{advice:?}");
            assert_eq!(verdict_of(&adapters), verdict, "{advice:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_adapter_stands_below_its_name() {
        let last = |examined: Examined| examined.remarks().pop().unwrap_or_default();
        assert_eq!(last(examined(Some("it is lost"), None)), "FAILED: it is lost");
        assert_eq!(
            last(examined(None, Some("it has no compute shaders"))),
            "cannot be used: it has no compute shaders"
        );
    }
}
