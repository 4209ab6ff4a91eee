//! Pages: each one file that needs no network and no script, and is readable in print, on a phone and in dark mode.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::data::RunReport;
use super::in_words;
use super::sections::sections;
use crate::figures::{Figure, Table};
use crate::metrics::Evaluation;
use crate::numbers::{NONE, duration, loss, percent, thousands};
use crate::picture::dark_mode;

/// Black and white are the page's own colours, also inside the pictures.
const STYLE: &str = "
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1a1a1a; --faint: #666666; --grid: #e1e1e1; --warn: #fff3d6 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e6e6e6; --faint: #a0a0a0; --grid: #3a3d42; --warn: #4a3a12 }
}
@media print { :root { --paper: #ffffff; --ink: #000000; --faint: #444444; --grid: #e1e1e1; --warn: #fff3d6 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem } p { margin: .4rem 0; overflow-wrap: anywhere }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1rem 0 }
.headline div { border: 1px solid var(--grid); border-radius: .5rem; padding: .6rem .8rem }
.headline b { display: block; font-size: 1.35rem } .headline span { color: var(--faint); font-size: .85rem }
.warning { background: var(--warn); border-radius: .5rem; padding: .6rem .8rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--grid); border-radius: .5rem; padding: .6rem .8rem; font-size: .85rem }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem;
  align-items: start }
figure { margin: 0; max-width: 34rem; min-width: 0; break-inside: avoid }
figure svg { width: 100%; height: auto; display: block }
details, .wide { font-size: .85rem; overflow-x: auto } summary { color: var(--faint); cursor: pointer }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .15rem .6rem; border-bottom: 1px solid var(--grid); white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.wide td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: min(16rem, 30vw); max-width: 16rem;
  position: sticky; left: 0; background: var(--paper) }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top }
.facts td:first-child { white-space: nowrap; color: var(--faint) }
svg [fill='#FFFFFF'] { fill: none } svg [fill='#000000'] { fill: var(--ink) } svg [stroke='#000000'] { stroke: var(--ink) }
svg [stroke='#E1E1E1'] { stroke: var(--grid) }
@media print { details { display: none } body { max-width: none; font-size: 11pt } .figures { display: block }
  figure { max-width: 12cm; margin-bottom: .6cm } }
";

/// The page of one run: its results, its training, the command that repeats it, and the device.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(report: &RunReport) -> Result<String> {
    let record = &report.record;
    let settings = &record.settings;
    let command = crate::program::shell_words::join(&record.command);
    let title = format!("{} on {}", in_words::model(record), record.data.name);
    let body = html! {
        h1 { (title) }
        p {
            (in_words::optimizer(settings)) ", " (in_words::learning_rate(settings)) ", batch size " (settings.batch_size)
            ", seed " (record.seed)
        }
        (headline(report))
        @for (heading, figures) in sections(report)? {
            h2 { (heading) }
            (figure_grid(&figures))
        }
        h2 { "Repeat this run" }
        pre { (command) }
        h2 { "Settings, data and device" }
        div class="wide facts" { (table(&facts(report))) }
    };
    Ok(document(&format!("gpu-digits: {title}, seed {}", record.seed), &body))
}

/// A whole page around its content.
pub(super) fn document(title: &str, body: &Markup) -> String {
    scripted(title, body, "", "")
}

/// The same with more style, and a script that makes it handier; what it tells does not need the script.
pub(super) fn scripted(title: &str, body: &Markup, style: &str, script: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(dark_mode(&body.0))) (PreEscaped(style)) }
            }
            body {
                (body)
                @if !script.is_empty() { script { (PreEscaped(script)) } }
            }
        }
    };
    without_controls(page.into_string())
}

/// The page without control characters, which a data set's or a tensor's name may hold: it may be printed on a
/// terminal.
fn without_controls(page: String) -> String {
    let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if page.contains(steers) { page.replace(steers, "\u{fffd}") } else { page }
}

fn headline(report: &RunReport) -> Markup {
    let seconds: f64 = report.epochs.iter().map(|epoch| epoch.seconds).sum();
    let images: f64 = report.epochs.iter().map(|epoch| epoch.images_per_second * epoch.seconds).sum();
    let data = &report.record.data.name;
    let rate = images / seconds;
    html! {
        div class="headline" {
            @if let Some(evaluation) = &report.evaluation {
                div {
                    b { (share(evaluation.accuracy)) }
                    span {
                        "test accuracy on " (thousands(evaluation.images)) " images of " (data) ", 95 % interval "
                        (interval(evaluation))
                    }
                }
                div { b { (loss(evaluation.loss)) } span { "test loss, nats" } }
            } @else {
                div { b { "interrupted" } span { "the model so far is saved; it has not been scored" } }
            }
            @if let Some(validation) = report.epochs.last().and_then(|epoch| epoch.validation_accuracy) {
                div { b { (share(validation)) } span { "validation accuracy, last epoch" } }
            }
            div {
                b { (duration(seconds)) }
                span { (report.epochs.len()) @if report.epochs.len() == 1 { " epoch" } @else { " epochs" } " of training" }
            }
            div {
                b { @if rate.is_finite() { (thousands(rate as usize)) } @else { (NONE) } }
                span { "images/s" }
            }
        }
    }
}

/// A fraction in per cent.
pub(super) fn share(share: f64) -> String {
    format!("{} %", percent(share))
}

/// The bounds of the accuracy's interval.
pub(super) fn interval(evaluation: &Evaluation) -> String {
    let [low, high] = evaluation.accuracy_interval.map(percent);
    format!("{low} to {high} %")
}

/// The settings of the run, its data and hashes, and last its device.
fn facts(report: &RunReport) -> Table {
    let record = &report.record;
    let settings = &record.settings;
    let data = &record.data;
    let mut table = Table::new(&["", ""]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("model", record.model.clone());
    fact("optimizer", format!("{}, {}", in_words::optimizer(settings), in_words::learning_rate(settings)));
    fact("batch size", settings.batch_size.to_string());
    fact("precision", settings.precision.to_string());
    fact("seed", record.seed.to_string());
    let (train, test) = (thousands(data.train_images), thousands(data.test_images));
    fact("data", format!("{}, {train} training and {test} test images", data.name));
    fact("images", format!("{} (height, width, channels) of {} classes", data.image, data.classes));
    fact("validation", format!("{} of the training images", thousands(settings.validation)));
    if settings.generated > 0 {
        fact("added", format!("{} generated digits", thousands(settings.generated)));
    }
    if !settings.frozen.is_empty() {
        fact("frozen", settings.frozen.join(", "));
    }
    fact("SHA-256 of the data", data.sha256.clone());
    if let Some(result) = &record.result {
        fact("steps", thousands(result.steps));
        fact("SHA-256 of the weights", result.weights_sha256.clone());
    }
    fact("started", record.started.clone());
    fact("gpu-digits", format!("{} ({})", record.version, record.commit.chars().take(7).collect::<String>()));
    fact("platform", record.platform.clone());
    fact("device", record.device.clone());
    table
}

/// Figures side by side, each with its table below.
pub(super) fn figure_grid(figures: &[Figure]) -> Markup {
    html! {
        div class="figures" {
            @for figure in figures {
                figure id=(figure.name) {
                    // This program drew the picture and escaped its texts.
                    (PreEscaped(with_role(figure)))
                    @if !figure.table.rows.is_empty() {
                        details { summary { "numbers" } (table(&figure.table)) }
                    }
                }
            }
        }
    }
}

/// The SVG text of the picture, with its description for readers who cannot see it.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::program::report::{RunReport, sample};

    /// A report with all scores that a page can show, of ten classes.
    fn full() -> RunReport {
        full_of(10)
    }

    fn full_of(classes: usize) -> RunReport {
        let mut report = sample::report(5, |step| 3.0 / step as f64);
        let class = |class: usize| serde_json::json!({"class": class, "precision": 0.99, "recall": 0.98, "f1": 0.985, "support": 1_000});
        let bin = serde_json::json!({"images": 100, "confidence": 0.9, "accuracy": 0.91});
        let evaluation = serde_json::json!({"images": 10_000, "accuracy": 0.991, "accuracy_interval": [0.989, 0.993],
            "loss": 0.00012, "calibration_error": 0.002, "calibration": vec![bin; 15],
            "classes": (0..classes).map(class).collect::<Vec<_>>(), "confusion": vec![vec![10_000 / classes / classes; classes]; classes]});
        report.evaluation = serde_json::from_value(evaluation).unwrap();
        report
    }

    fn position(page: &str, part: &str) -> usize {
        page.find(part).unwrap_or_else(|| panic!("no `{part}` on the page"))
    }

    #[test]
    fn a_page_holds_no_control_characters() {
        let mut report = full();
        report.record.data.name = "red \u{1b}[31m\u{9b}2J<b>".to_owned();
        let page = page(&report).unwrap();
        assert!(page.contains("red \u{fffd}[31m\u{fffd}2J&lt;b&gt;"));
        assert!(!page.contains(|letter: char| letter.is_control() && letter != '\n'));
    }

    #[test]
    fn results_come_first_and_the_device_last() {
        let page = page(&full()).unwrap();
        let order =
            ["<h1>flatten, dense 10 on MNIST</h1>", "99.10 %", "id=\"confusion\"", "id=\"loss\"", "<td>device</td>"];
        let places = order.map(|part| position(&page, part));
        assert!(places.is_sorted(), "{places:?}");
        assert!(page.contains("Adam, learning rate up to 0.01, one-cycle, batch size 100, seed 0"));
        assert!(page.contains("10,000 images of MNIST") && page.contains(">0.00012<"));
    }

    #[test]
    fn letters_are_eleven_pixels_high_on_a_telephone() {
        const TELEPHONE: f64 = 390.0 - 32.0;
        let page = page(&full()).unwrap();
        let number = |rest: &str| -> f64 { rest.split('"').next().unwrap().parse().unwrap() };
        let widths: Vec<f64> =
            page.split("viewBox=\"0 0 ").skip(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect();
        let letters: Vec<f64> = page.split("font-size=\"").skip(1).map(number).collect();
        let widest = widths.into_iter().fold(0.0, f64::max);
        let smallest = letters.into_iter().fold(f64::MAX, f64::min);
        assert!(smallest * TELEPHONE / widest >= 11.0, "{smallest} in {widest}");
    }

    #[test]
    fn no_text_runs_over_the_edge_of_its_picture() {
        let long = "conv_relu_pool_backward_weight_f16.lanes_3x3_grey conv1-with-a-long-name";
        let kernel = crate::figures::KernelShare { kernel: long.to_owned(), seconds: 1e-9, share: 1.0 };
        let pages = [2, 10, 17, 100, 256].map(|classes| {
            let mut report = full_of(classes);
            report.kernels = vec![kernel.clone()];
            page(&report).unwrap()
        });
        let page = pages.concat();
        for element in page.split("<text ").skip(1) {
            let attribute =
                |name: &str| element.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            let (x, size): (f64, f64) = (attribute("x").parse().unwrap(), attribute("font-size").parse().unwrap());
            let words = element.split_once('>').unwrap().1.split('<').next().unwrap();
            let width = crate::picture::text::width(words, size);
            let start = x - match attribute("text-anchor") {
                "end" => width,
                "middle" => width / 2.0,
                _ => 0.0,
            };
            assert!(start >= -2.0 && start + width <= 402.0, "`{words}` reaches from {start} to {}", start + width);
        }
    }

    #[test]
    fn a_page_holds_no_number_that_is_none() {
        let mut report = full();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let epoch = &mut report.epochs[1];
            (epoch.loss, epoch.accuracy, epoch.seconds, epoch.images_per_second) = (value, value, value, value);
            (epoch.validation_loss, epoch.norms[0].value, epoch.norms[0].gradient) = (Some(value), value, 0.0);
            report.curve[3].loss = value;
            let evaluation = report.evaluation.as_mut().unwrap();
            (evaluation.loss, evaluation.calibration_error, evaluation.calibration[3].accuracy) =
                (value, value, Some(value));
            let page = page(&report).unwrap();
            for none in ["NaN", ">inf", " inf", "-inf"] {
                assert!(!page.contains(none), "{none}: {}", &page[position(&page, none) - 200..][..300]);
            }
        }
    }

    #[test]
    fn a_run_without_validation_or_with_zero_gradients_has_no_empty_figure() {
        let mut report = sample::report(3, |_| 1.0);
        for epoch in &mut report.epochs {
            (epoch.validation_loss, epoch.validation_accuracy, epoch.norms[0].gradient) = (None, None, 0.0);
        }
        let page = page(&report).unwrap();
        assert!(!page.contains("id=\"gradient-norms\"") && page.contains("id=\"norms\""));
        assert!(!page.contains(">validation, at the end of the epoch<"));
    }

    #[test]
    fn forty_layers_have_forty_names_and_colours() {
        let mut report = sample::report(3, |_| 1.0);
        for epoch in &mut report.epochs {
            let norms = epoch.norms[0].clone();
            epoch.norms = (1..=40)
                .map(|layer| crate::figures::Norms { parameter: format!("dense{layer}.weight"), ..norms.clone() })
                .collect();
        }
        let page = page(&report).unwrap();
        let figure = &page[position(&page, "<figure id=\"norms\"")..];
        let figure = &figure[..position(figure, "</svg>")];
        assert!((1..=40).all(|layer| figure.contains(&format!(">dense{layer}.weight</text>"))));
        let colors: BTreeSet<&str> = figure.split("stroke=\"").skip(1).map(|rest| &rest[..7]).collect();
        assert!(colors.len() >= 40, "{}", colors.len());
    }

    #[test]
    fn dark_mode_lightens_what_would_not_stand_out() {
        let page = page(&full()).unwrap();
        let blue = crate::picture::color::COLORS[0];
        assert!(page.contains(&format!("svg [stroke='{blue}'] {{ stroke: {} }}", blue.in_dark_mode())));
        assert!(page.contains("@media screen and (prefers-color-scheme: dark)"));
    }
}
