//! The page: one file that needs no network and no script, is read on paper and on a telephone, by day and by night.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::data::RunReport;
use super::figures::{Figure, Table, figures};
use crate::metrics::Evaluation;

/// Black and white are the page's own colours, also inside the pictures; blue is lighter by night.
const STYLE: &str = "
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1a1a1a; --faint: #666666; --grid: #e1e1e1; --blue: #0072b2 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e6e6e6; --faint: #a0a0a0; --grid: #3a3d42; --blue: #4aa8e0 }
}
@media print { :root { --paper: #ffffff; --ink: #000000; --faint: #444444; --grid: #e1e1e1; --blue: #0072b2 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1rem 0 }
.headline div { border: 1px solid var(--grid); border-radius: .5rem; padding: .6rem .8rem }
.headline b { display: block; font-size: 1.35rem } .headline span { color: var(--faint); font-size: .85rem }
pre { overflow-x: auto; border: 1px solid var(--grid); border-radius: .5rem; padding: .6rem .8rem; font-size: .85rem }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem;
  align-items: start }
figure { margin: 0; break-inside: avoid } figure svg { width: 100%; height: auto; display: block }
details, .wide { font-size: .85rem; overflow-x: auto } summary { color: var(--faint); cursor: pointer }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .15rem .6rem; border-bottom: 1px solid var(--grid); white-space: nowrap }
th:first-child, td:first-child { text-align: left }
svg [fill='#FFFFFF'] { fill: none } svg [fill='#000000'] { fill: var(--ink) } svg [stroke='#000000'] { stroke: var(--ink) }
svg [fill='#E1E1E1'] { fill: var(--grid) } svg [stroke='#E1E1E1'] { stroke: var(--grid) }
svg [stroke='#0072B2'] { stroke: var(--blue) } svg circle[fill='#0072B2'] { fill: var(--blue) }
@media print { details { display: none } body { max-width: none; font-size: 11pt } .figures { display: block }
  figure { max-width: 14cm; margin-bottom: .6cm } }
";

/// The page of one run.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn page(report: &RunReport) -> Result<String> {
    let figures = figures(report)?;
    let record = &report.record;
    let command = crate::words::join(&record.command);
    let body = html! {
        h1 { "gpu-digits: " (report.name()) }
        p { "Started " (record.started) ", gpu-digits " (record.version) " (" (record.commit.chars().take(7).collect::<String>()) ")." }
        (headline(report))
        h2 { "To repeat it" }
        pre { (command) }
        h2 { "How it learned, and how well it does" }
        (figure_grid(&figures))
        h2 { "What it ran on, and with" }
        div class="wide" { (table(&facts(report))) }
    };
    Ok(document(&format!("gpu-digits: {}", report.name()), &body))
}

/// A whole page around its content.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

fn headline(report: &RunReport) -> Markup {
    let result = report.record.result.as_ref();
    let seconds = result.map_or(0.0, |result| result.training_seconds);
    let images: f64 = report.epochs.iter().map(|epoch| epoch.images_per_second * epoch.seconds).sum();
    html! {
        div class="headline" {
            @if let Some(evaluation) = &report.evaluation {
                div { b { (share(evaluation.accuracy)) } span { "test accuracy, 95 % interval " (interval(evaluation)) } }
                div { b { (format!("{:.4}", evaluation.loss)) } span { "test loss, nats" } }
            } @else {
                div { b { "interrupted" } span { "what was trained is kept" } }
            }
            div { b { (format!("{seconds:.1} s")) } span { (report.epochs.len()) " epochs of training" } }
            div { b { (format!("{:.0}", images / seconds.max(f64::MIN_POSITIVE))) } span { "images/s" } }
            div { b { (adapter_name(report)) } span { (backend(report)) } }
        }
    }
}

fn adapter_name(report: &RunReport) -> String {
    report.record.adapter.as_ref().map_or_else(|| "CPU".to_owned(), |adapter| adapter.name.clone())
}

fn backend(report: &RunReport) -> String {
    report.record.adapter.as_ref().map_or_else(
        || report.record.platform.clone(),
        |adapter| format!("{}, {} {}", adapter.backend.name(), adapter.driver, adapter.driver_version),
    )
}

/// A share in per cent with two decimals.
pub(super) fn share(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The bounds of the accuracy's interval.
pub(super) fn interval(evaluation: &Evaluation) -> String {
    let [low, high] = evaluation.accuracy_interval.map(|bound| 100.0 * bound);
    format!("{low:.2} to {high:.2} %")
}

fn facts(report: &RunReport) -> Table {
    let record = &report.record;
    let settings = &record.settings;
    let mut table = Table::new(&["", ""]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("device", record.device.clone());
    fact("platform", record.platform.clone());
    fact("model", record.model.clone());
    fact(
        "data",
        format!(
            "{}, {} training and {} test images",
            record.data.name, record.data.train_images, record.data.test_images
        ),
    );
    fact("data's SHA-256", record.data.sha256.clone());
    fact("batch size", settings.batch_size.to_string());
    fact("precision", settings.precision.to_string());
    fact("optimizer", settings.optimizer.clone());
    fact("learning rate", format!("{} ({})", settings.learning_rate, settings.schedule));
    fact("held out for validation", settings.validation.to_string());
    fact("seed", record.seed.to_string());
    if let Some(result) = &record.result {
        fact("steps", result.steps.to_string());
        fact("weights' SHA-256", result.weights_sha256.clone());
    }
    table
}

/// Figures side by side, each with its table behind it.
pub(super) fn figure_grid(figures: &[Figure]) -> Markup {
    html! {
        div class="figures" {
            @for figure in figures {
                figure id=(figure.name) {
                    // The picture is drawn by us, its texts escaped by plotters.
                    (PreEscaped(with_role(figure)))
                    @if !figure.table.rows.is_empty() {
                        details { summary { "the numbers" } (table(&figure.table)) }
                    }
                }
            }
        }
    }
}

/// The picture's text with what it shows in words for those who cannot see it.
fn with_role(figure: &Figure) -> String {
    let alt = html! { (figure.alt) }.into_string().replace('"', "&quot;");
    figure.picture.svg().replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{alt}\" "), 1)
}

/// A table.
pub(super) fn table(table: &Table) -> Markup {
    html! {
        table {
            @if table.header.iter().any(|name| !name.is_empty()) {
                thead { tr { @for name in &table.header { th { (name) } } } }
            }
            tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
        }
    }
}
