//! Results of `bench` across GPUs on one page, with tables that sort and filter.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::html::scripted;
use crate::bench::check::Findings;
use crate::bench::report::{AdapterReport, KernelRow, Report, told_apart};
use crate::bench::{Kind, StepTiming};
use crate::model::short_name;
use crate::numbers::{NONE, fixed, thousands};

const STYLE: &str = "
.filters { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0 } .filters label { font-size: .85rem; color: var(--faint) }
.filters [hidden], .filters[hidden] { display: none }
.filters input { display: block; font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--grid);
  border-radius: .4rem; padding: .3rem .5rem; width: 12rem; max-width: 100% }
caption { text-align: left; font-weight: bold; padding: .3rem 0 } caption span { font-weight: normal; color: var(--faint) }
th { vertical-align: bottom } th button { font: inherit; font-weight: bold; color: inherit; background: none; border: 0; padding: 0;
  cursor: pointer; text-align: inherit }
th[aria-sort=descending] button::after { content: ' ↓' } th[aria-sort=ascending] button::after { content: ' ↑' }
td.bar { background: linear-gradient(to right, var(--bar) var(--share), transparent 0) no-repeat; min-width: 5rem }
td.text, th.text { text-align: left } td[data-column^=model] { white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; min-width: 8rem; max-width: 20rem }
@media (min-width: 60rem) { body { max-width: 110rem } } @media (max-width: 40rem) { .filters label { width: calc(50% - .4rem) } }
:root { --bar: #cfe3f7 } .faults { color: #b3261e }
@media (prefers-color-scheme: dark) { :root { --bar: #24405c } .faults { color: #ff9a8f } }
";

const SCRIPT: &str = include_str!("gpus.js");

/// A column: its heading, whether it is text, and the filter that it belongs to.
type Column = (&'static str, bool, &'static str);

/// The columns that say where something was measured.
const WHERE: [Column; 5] = [
    ("adapter", true, "adapter"),
    ("API", true, "adapter"),
    ("driver", true, "driver"),
    ("commit", true, "commit"),
    ("date", true, ""),
];

/// A cell: its text, what it is sorted by, and the share of a bar behind it.
struct Cell {
    text: String,
    value: Option<String>,
    share: Option<f64>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None, share: None }
    }

    /// A number, and how it is printed; nothing if it is not finite.
    fn number(value: f64, print: impl Fn(f64) -> String) -> Self {
        if !value.is_finite() {
            return Self { value: Some(String::new()), ..Self::text(NONE) };
        }
        Self { text: print(value), value: Some(value.to_string()), share: None }
    }

    fn of(self, share: f64) -> Self {
        Self { share: share.is_finite().then_some(share.clamp(0.0, 1.0)), ..self }
    }
}

/// The page of some reports, each with what [`check`](crate::bench::check::check) finds.
pub fn gpus(reports: &[(Report, Vec<Findings>)]) -> String {
    let measured: Vec<(&Report, &AdapterReport)> =
        reports.iter().flat_map(|(report, _)| report.adapters.iter().map(move |measured| (report, measured))).collect();
    let adapters: BTreeSet<String> = measured.iter().map(|(_, measured)| measured.adapter.to_string()).collect();
    let title =
        format!("gpu-digits on {} {}", adapters.len(), if adapters.len() == 1 { "adapter" } else { "adapters" });
    let body = html! {
        h1 { (title) }
        p {
            "Times of training steps and of their kernels, by " code { "gpu-digits bench --json" } ". Each kernel is verified against the "
            "CPU before it is timed. The bound of a kernel is the least time that the adapter's own peaks of arithmetic and memory allow."
        }
        div class="filters" hidden {
            @for filter in ["adapter", "driver", "commit", "model or kernel"] {
                label { (filter) input type="search" data-filter=(filter); }
            }
        }
        (steps(&measured))
        (kernels(&measured))
        (doubts(reports))
    };
    scripted(&title, &body, STYLE, SCRIPT)
}

fn where_measured(report: &Report, measured: &AdapterReport) -> [Cell; 5] {
    let adapter = &measured.adapter;
    let commit: String = report.commit.chars().take(7).collect();
    let day = report.date.split('T').next().unwrap_or_default();
    [adapter.name.as_str(), adapter.backend.name(), &adapter.driver_and_version(), &commit, day].map(Cell::text)
}

fn steps(measured: &[(&Report, &AdapterReport)]) -> Markup {
    let all = measured
        .iter()
        .flat_map(|(report, measured)| measured.steps.iter().map(move |step| (*report, *measured, step)));
    let mut steps: Vec<(&Report, &AdapterReport, &StepTiming)> = all.collect();
    // The same work together, the fastest first; the named models before others.
    let work = |step: &StepTiming| {
        let name = short_name(&step.model).to_owned();
        (step.kind != Kind::Train, name == step.model, name, step.precision.to_string(), step.batch_size)
    };
    steps.sort_by(|(_, _, a), (_, _, b)| {
        work(a).cmp(&work(b)).then(b.images_per_second.total_cmp(&a.images_per_second))
    });
    let columns = [
        &WHERE[..3],
        &[
            ("images/s", false, ""),
            ("ms", false, ""),
            ("spread", false, ""),
            ("step", true, ""),
            ("batch", false, ""),
            ("floats", true, ""),
            ("model", true, "model or kernel"),
        ],
        &WHERE[3..],
        &[("verified", true, "")],
    ]
    .concat();
    let rows = steps.iter().map(|(report, measured, step)| {
        let same =
            steps.iter().filter(|(_, _, other)| work(other) == work(step)).map(|(_, _, other)| other.images_per_second);
        let fastest = same.fold(0.0, f64::max);
        let verified = measured.verified.map_or(NONE.to_owned(), |tally| match tally.failed {
            0 => format!("{} checks", tally.passed),
            failed => format!("{failed} FAILED"),
        });
        let [adapter, api, driver, commit, date] = where_measured(report, measured);
        vec![
            adapter,
            api,
            driver,
            Cell::number(step.images_per_second, |rate| thousands(rate as usize)).of(step.images_per_second / fastest),
            Cell::number(1e3 * step.step_seconds, |time| fixed(time, 3)),
            Cell::number(step.spread.unwrap_or(f64::NAN), |spread| format!("{:.0} %", 100.0 * spread)),
            Cell::text(if step.kind == Kind::Train { "training" } else { "inference" }),
            Cell::text(step.batch_size.to_string()),
            Cell::text(step.precision.to_string()),
            Cell::text(short_name(&step.model)),
            commit,
            date,
            Cell::text(verified),
        ]
    });
    table("Whole steps", &columns, rows.collect())
}

fn kernels(measured: &[(&Report, &AdapterReport)]) -> Markup {
    let columns = [
        &[("kernel", true, "model or kernel")][..],
        &WHERE[..],
        &[
            ("µs", false, ""),
            ("GFLOP/s", false, ""),
            ("GB/s", false, ""),
            ("of the bound", false, ""),
            ("bound by", true, ""),
        ],
    ]
    .concat();
    let mut rows = Vec::new();
    for (report, measured) in measured {
        let chosen: Vec<&KernelRow> = measured.kernels.iter().filter(|row| row.is_chosen).collect();
        let names = told_apart(&chosen, |row| match &row.layers[..] {
            [] => row.case.split(':').next().unwrap_or(&row.case).to_owned(),
            layers => format!("{} ({})", row.name(), layers.join(", ")),
        });
        for (row, name) in chosen.iter().zip(names) {
            let seconds = row.timing.median_seconds;
            let rate = |amount: u64| amount as f64 / seconds / 1e9;
            let mut cells = vec![Cell::text(name)];
            cells.extend(where_measured(report, measured));
            cells.extend([
                Cell::number(1e6 * seconds, |time| fixed(time, 1)),
                Cell::number(rate(row.flops), |rate| fixed(rate, 1)),
                Cell::number(rate(row.bytes), |rate| fixed(rate, 1)),
                Cell::number(row.bound_share, |share| format!("{:.0} %", 100.0 * share)).of(row.bound_share),
                Cell::text(format!("{:?}", row.binding).to_lowercase()),
            ]);
            rows.push(cells);
        }
    }
    table("Kernels of training steps", &columns, rows)
}

fn table(caption: &str, columns: &[Column], rows: Vec<Vec<Cell>>) -> Markup {
    html! {
        div class="wide" {
            table class="sorted" {
                caption { (caption) ", " span { (rows.len()) " rows" } }
                thead { tr { @for (heading, is_text, _) in columns { th scope="col" class=[is_text.then_some("text")] { (heading) } } } }
                tbody {
                    @for row in &rows {
                        tr {
                            @for (cell, (_, is_text, filter)) in row.iter().zip(columns) {
                                @let class = if *is_text { Some("text") } else { cell.share.map(|_| "bar") };
                                @let share = cell.share.map(|share| format!("--share: {:.0}%", 100.0 * share));
                                // What is cut off stands in full where the pointer is.
                                @let title = filter.starts_with("model").then_some(&cell.text);
                                @let column = (!filter.is_empty()).then_some(filter);
                                td class=[class] style=[share] title=[title] data-value=[cell.value.as_deref()] data-column=[column] {
                                    (cell.text)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is wrong with the results, and what they do not say.
fn doubts(reports: &[(Report, Vec<Findings>)]) -> Markup {
    let findings = || reports.iter().flat_map(|(report, found)| found.iter().map(move |found| (report, found)));
    // Several results of an adapter lack the same.
    let mut untold: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (_, found) in findings().filter(|(_, found)| !found.missing.is_empty()) {
        *untold.entry((&found.adapter, found.missing.join(", "))).or_default() += 1;
    }
    let mut models: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for measured in reports.iter().flat_map(|(report, _)| &report.adapters) {
        models
            .entry(measured.adapter.to_string())
            .or_default()
            .extend(measured.steps.iter().map(|step| short_name(&step.model).to_owned()));
    }
    let every: BTreeSet<String> = models.values().flatten().cloned().collect();
    let unmeasured = models.iter().map(|(adapter, has)| (adapter, every.difference(has).cloned().collect::<Vec<_>>()));
    let unmeasured: Vec<_> = unmeasured.filter(|(_, models)| !models.is_empty()).collect();
    let is_whole = untold.is_empty() && unmeasured.is_empty() && findings().all(|(_, found)| found.faults.is_empty());
    html! {
        h2 { "What is wrong or missing" }
        @if is_whole { p { "Nothing." } }
        ul {
            @for (report, found) in findings().filter(|(_, found)| !found.faults.is_empty()) {
                li { (found.adapter) ", " (report.date) ul class="faults" { @for fault in &found.faults { li { (fault) } } } }
            }
            @for ((adapter, missing), count) in &untold {
                li { (adapter) ": " (count) @if *count == 1 { " result does" } @else { " results do" } " not tell " (missing) "." }
            }
            @for (adapter, models) in unmeasured { li { (adapter) ": not measured are " (models.join("; ")) "." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::check::check;
    use crate::gpu::{AdapterInfo, AdapterKind};

    fn report(name: &str, model: &str) -> Report {
        let adapter = json!({
            "adapter": AdapterInfo::example(name, AdapterKind::Discrete),
            "peaks": null,
            "kernels": [{
                "op": "relu_forward", "case": "relu_forward:length=4", "variant": "plain", "layers": ["relu1"],
                "is_chosen": true, "flops": 4, "bytes": 32, "bound_share": 0.5, "binding": "memory",
                "timing": {
                    "clock": "gpu", "median_seconds": 1e-3, "min_seconds": 1e-3, "spread": 0.0, "uncertainty": 0.0,
                    "samples": 15, "repeats": 1, "warnings": [],
                },
            }],
            "steps": [{
                "kind": "train", "model": model, "batch_size": 1, "images_per_second": 1000.0, "step_seconds": 1e-3,
                "spread": 0.5, "samples": 5, "host_seconds": 1e-3, "first_step_seconds": 1.0, "memory_bytes": 1, "dispatches": 1,
            }],
        });
        let mut report = Report::new();
        report.adapters.push(serde_json::from_value(adapter).unwrap());
        report
    }

    #[test]
    fn a_page_has_every_step_and_chosen_kernel_and_says_what_is_missing() {
        let reports = [report("one card", "dense 10"), report("another <card>", "conv 5x5")];
        let found = check(&reports);
        let page = gpus(&reports.into_iter().zip(found).collect::<Vec<_>>());
        for text in [
            "gpu-digits on 2 adapters",
            "one card",
            "another &lt;card&gt;",
            "relu_forward (relu1)",
            "conv 5x5",
            "1,000",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(page.contains("one card through vulkan: not measured are conv 5x5."), "{page}");
        assert!(page.contains("1 result does not tell whether its kernels are right, "), "{page}");
        assert!(!page.contains("http"), "it asks no host for anything");
    }

    #[test]
    fn numbers_are_sorted_by_their_value() {
        assert_eq!(Cell::number(1234.5, |value| fixed(value, 1)).value.as_deref(), Some("1234.5"));
        let none = Cell::number(f64::NAN, |_| unreachable!("it is not printed"));
        assert_eq!((none.text.as_str(), none.value.as_deref()), (NONE, Some("")));
    }
}
