//! Several runs on one page.

use std::cmp::Ordering;

use anyhow::Result;
use maud::html;

use super::data::RunReport;
use super::html::{document, figure_grid, interval, share, table};
use super::in_words;
use crate::figures::EpochRow;
use crate::figures::chart::{Across, Axes, Line, Look, Scale, lines};
use crate::figures::{Figure, Table};
use crate::numbers::{NONE, exact, loss, percent, thousands};
use crate::picture::color::COLORS;

/// The longest name of a run that the legend shows beside its settings.
const LONGEST_RUN_NAME: usize = 20;

/// The page that compares runs, each named by its folder.
///
/// # Errors
/// If a page cannot be written.
pub fn compare(runs: &[(String, RunReport)]) -> Result<String> {
    let groups = Groups::new(runs);
    let figures: Vec<Figure> = [
        figure("validation-accuracy", "validation accuracy", Scale::Within(0.0..100.0), runs, &groups, |epoch| {
            Some(100.0 * epoch.validation_accuracy?)
        }),
        figure("validation-loss", "validation loss", Scale::Logarithmic, runs, &groups, |epoch| epoch.validation_loss),
        figure("accuracy", "training accuracy", Scale::Within(0.0..100.0), runs, &groups, |epoch| {
            Some(100.0 * epoch.accuracy)
        }),
        figure("loss", "training loss", Scale::Logarithmic, runs, &groups, |epoch| Some(epoch.loss)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = format!("gpu-digits: {} runs", runs.len());
    let body = html! {
        h1 { (title) }
        @if let Some(warning) = different_data(runs) { p class="warning" role="alert" { strong { (warning) } } }
        div class="wide" { (table(&overview(runs))) }
        h2 { "Learning curves" }
        @if groups.names.len() < runs.len() && groups.names.len() > 1 {
            p { "Runs that differ only in their seed share a colour." }
        }
        (figure_grid(&figures))
    };
    Ok(document(&title, &body))
}

/// A warning if the hashes show that the runs were not trained and scored on the same data.
pub fn different_data(runs: &[(String, RunReport)]) -> Option<String> {
    let mut sets = Vec::<&crate::data::DataRecord>::new();
    for (_, report) in runs {
        let data = &report.record.data;
        if sets.iter().all(|other| other.sha256 != data.sha256) {
            sets.push(data);
        }
    }
    let titles: Vec<String> = sets.iter().map(|data| data.title()).collect();
    (sets.len() > 1).then(|| {
        format!("These runs used different data sets, so their scores are not comparable: {}.", titles.join(", "))
    })
}

/// The runs grouped by their settings. Runs that differ only in the seed share a colour.
struct Groups {
    /// The group of each run.
    of_run: Vec<usize>,
    /// The settings that distinguish each group. The best group comes first if there are more groups than colours.
    names: Vec<String>,
}

impl Groups {
    fn new(runs: &[(String, RunReport)]) -> Self {
        let settings: Vec<Vec<(&str, String)>> = runs.iter().map(|(_, report)| setting(report)).collect();
        let mut distinct: Vec<&Vec<(&str, String)>> = Vec::new();
        let mut of_run = Vec::new();
        for setting in &settings {
            let group = distinct.iter().position(|other| *other == setting).unwrap_or(distinct.len());
            if group == distinct.len() {
                distinct.push(setting);
            }
            of_run.push(group);
        }
        if distinct.len() < 2 {
            // If only the seed differs, it distinguishes the runs.
            let names = runs.iter().map(|(name, _)| name.clone()).collect();
            return Self { of_run: (0..runs.len()).collect(), names };
        }
        let differs = |index: usize| distinct.iter().any(|setting| setting[index] != distinct[0][index]);
        let name = |(group, setting): (usize, &&Vec<(&str, String)>)| {
            let parts = setting.iter().enumerate().filter(|(index, _)| differs(*index));
            let words = parts.map(|(_, (name, value))| format!("{name}{value}")).collect::<Vec<_>>().join(", ");
            let mut names = runs.iter().zip(&of_run).filter(|(_, other)| **other == group).map(|((name, _), _)| name);
            match (names.next(), names.next()) {
                (Some(only), None) if only.chars().count() <= LONGEST_RUN_NAME => format!("{only}: {words}"),
                _ => words,
            }
        };
        let names = distinct.iter().enumerate().map(name).collect();
        let mut groups = Self { names, of_run };
        if groups.names.len() > COLORS.len() {
            groups.put_best_first(runs);
        }
        groups
    }

    /// Orders the groups by the best validation accuracy of their runs, so that the best have colours.
    fn put_best_first(&mut self, runs: &[(String, RunReport)]) {
        let best = |group: usize| {
            let of_group = runs.iter().zip(&self.of_run).filter(|(_, other)| **other == group);
            let last = of_group.filter_map(|((_, report), _)| report.epochs.last()?.validation_accuracy);
            last.fold(0.0, f64::max)
        };
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|&a, &b| best(b).total_cmp(&best(a)));
        let index = |group: usize| order.iter().position(|&other| other == group).unwrap_or(group);
        self.of_run = self.of_run.iter().map(|&group| index(group)).collect();
        self.names = order.iter().map(|&group| self.names[group].clone()).collect();
    }

    /// The look of a group's lines; groups beyond the last colour are grey.
    fn look(group: usize) -> Look {
        if group < COLORS.len() { Look::of(group) } else { Look::FAINT }
    }

    /// The legend text of a group; the grey groups share one name.
    fn name(&self, group: usize) -> String {
        match group.cmp(&COLORS.len()) {
            Ordering::Less => self.names[group].clone(),
            Ordering::Equal => format!("{} more", self.names.len() - group),
            Ordering::Greater => String::new(),
        }
    }
}

/// The settings of a run without its seed: a label and a value each.
fn setting(report: &RunReport) -> Vec<(&'static str, String)> {
    let (record, settings) = (&report.record, &report.record.settings);
    vec![
        // In full if the model has no name.
        ("", Some(in_words::model(record)).filter(|name| !name.contains('…')).unwrap_or_else(|| record.model.clone())),
        ("", in_words::optimizer(settings)),
        ("learning rate ", exact(settings.learning_rate)),
        ("", in_words::schedule(settings).to_owned()),
        ("batch ", settings.batch_size.to_string()),
        ("epochs ", settings.epochs.to_string()),
        ("", settings.precision.to_string()),
        ("augmentation ", settings.augment.clone()),
        ("shuffle ", settings.shuffle.to_string()),
        ("validation ", settings.validation.to_string()),
        ("generated ", settings.generated.to_string()),
        ("", record.data.title()),
    ]
}

/// A line for each run over its epochs; none if no run has the value.
fn figure(
    name: &str,
    caption: &str,
    scale: Scale,
    runs: &[(String, RunReport)],
    groups: &Groups,
    of: fn(&EpochRow) -> Option<f64>,
) -> Option<Figure> {
    let mut in_legend = vec![false; groups.names.len()];
    let line = |(index, (_, report)): (usize, &(String, RunReport))| {
        let points: Vec<(f64, f64)> =
            report.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, of(epoch)?))).collect();
        let group = groups.of_run[index];
        // The first run with points represents its group in the legend.
        let is_first = !points.is_empty() && !in_legend[group];
        in_legend[group] |= is_first;
        let name = if is_first { groups.name(group) } else { String::new() };
        Line { name, points, look: Groups::look(group) }
    };
    let drawn: Vec<Line> = runs.iter().enumerate().map(line).collect();
    let (unit, text): (&str, fn(f64) -> String) = if scale == Scale::Logarithmic {
        ("cross-entropy, nats", loss)
    } else {
        ("accuracy, %", |value| percent(value / 100.0))
    };
    let axes = Axes { caption, x: Across::Counts("epoch"), y: unit, scale };
    Some(Figure {
        name: name.to_owned(),
        alt: format!("The {caption} by epoch, of {} runs.", runs.len()),
        picture: lines(&axes, &drawn)?,
        table: by_epoch(runs, |epoch| of(epoch).map(text)),
    })
}

fn overview(runs: &[(String, RunReport)]) -> Table {
    let mut table = Table::new(&[
        "run",
        "data set",
        "validation",
        "test",
        "95 % interval",
        "test loss",
        "calibration error",
        "model",
        "optimizer",
        "learning rate",
        "batch",
        "epochs",
        "seed",
        "seconds",
        "images/s",
        "device",
    ]);
    for (name, report) in runs {
        let (record, settings) = (&report.record, &report.record.settings);
        let seconds: f64 = report.epochs.iter().map(|epoch| epoch.seconds).sum();
        let images: f64 = report.epochs.iter().map(|epoch| epoch.images_per_second * epoch.seconds).sum();
        let evaluation = report.evaluation.as_ref();
        let of_test =
            |text: fn(&crate::metrics::Evaluation) -> String| evaluation.map_or_else(|| NONE.to_owned(), text);
        let last = report.epochs.last().and_then(|epoch| epoch.validation_accuracy);
        table.row([
            name.clone(),
            record.data.title(),
            last.map_or_else(|| NONE.to_owned(), share),
            of_test(|evaluation| share(evaluation.accuracy)),
            of_test(interval),
            of_test(|evaluation| loss(evaluation.loss)),
            of_test(|evaluation| share(evaluation.calibration_error)),
            in_words::model(record),
            in_words::optimizer(settings),
            exact(settings.learning_rate),
            settings.batch_size.to_string(),
            report.epochs.len().to_string(),
            record.seed.to_string(),
            format!("{seconds:.1}"),
            thousands((images / seconds.max(f64::MIN_POSITIVE)) as usize),
            record.device.clone(),
        ]);
    }
    table
}

/// A column for each run, a row for each epoch.
fn by_epoch(runs: &[(String, RunReport)], of: impl Fn(&EpochRow) -> Option<String>) -> Table {
    let names: Vec<&str> = std::iter::once("epoch").chain(runs.iter().map(|(name, _)| name.as_str())).collect();
    let mut table = Table::new(&names);
    let most = runs.iter().map(|(_, report)| report.epochs.len()).max().unwrap_or(0);
    for epoch in 0..most {
        let cell = |(_, report): &(String, RunReport)| report.epochs.get(epoch).and_then(&of).unwrap_or_default();
        table.row(std::iter::once((epoch + 1).to_string()).chain(runs.iter().map(cell)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::report::sample;

    fn run(name: &str, change: impl FnOnce(&mut RunReport)) -> (String, RunReport) {
        let mut report = sample::report(3, |step| 1.0 / step as f64);
        change(&mut report);
        (name.to_owned(), report)
    }

    fn with_rate(name: &str, rate: f64, seed: u64) -> (String, RunReport) {
        run(name, |report| (report.record.settings.learning_rate, report.record.seed) = (rate, seed))
    }

    /// The colours of the lines of the first figure, in the order of runs.
    fn line_colors(page: &str) -> Vec<String> {
        let figure = page.split("<figure").nth(1).unwrap().split("</svg>").next().unwrap();
        let lines = figure.split("<polyline").filter(|line| line.contains("stroke-width=\"2\""));
        // A line of three epochs has three points, its sample in the legend has two.
        let lines = lines
            .filter(|line| line.split("points=").nth(1).unwrap().split('"').nth(1).unwrap().matches(',').count() == 3);
        lines.map(|line| line.split("stroke=\"").nth(1).unwrap()[..7].to_owned()).collect()
    }

    #[test]
    fn sixteen_runs_have_sixteen_colours() {
        let runs: Vec<_> =
            (1..=16).map(|number| with_rate(&format!("runs/{number}"), 0.001 * f64::from(number), 0)).collect();
        let colors = line_colors(&compare(&runs).unwrap());
        assert_eq!(colors.len(), 16);
        assert!(colors.iter().enumerate().all(|(index, color)| !colors[..index].contains(color)), "{colors:?}");
    }

    #[test]
    fn seeds_of_a_setting_share_a_colour_and_settings_do_not() {
        let rates = [0.01, 0.001, 0.00025, 1e-7];
        let runs: Vec<_> =
            (0..3).flat_map(|seed| rates.map(|rate| with_rate(&format!("{rate}/seed-{seed}"), rate, seed))).collect();
        let page = compare(&runs).unwrap();
        let colors = line_colors(&page);
        assert_eq!((colors.len(), colors[..4] == colors[4..8], colors[..4] == colors[8..]), (12, true, true));
        assert!(colors[..4].iter().enumerate().all(|(index, color)| !colors[..index].contains(color)));
        let legend = |rate: &str| page.matches(&format!(">learning rate {rate}</text>")).count();
        // One for each of the four figures.
        assert_eq!(["0.01", "0.001", "0.00025", "1e-7"].map(legend), [4; 4]);
    }

    #[test]
    fn beyond_the_colours_the_best_settings_are_drawn_in_colour() {
        let runs: Vec<_> = (1..=40)
            .map(|number| {
                let (name, mut report) = with_rate(&format!("run {number}"), f64::from(number), 0);
                for epoch in &mut report.epochs {
                    epoch.validation_accuracy = Some(f64::from(number) / 100.0);
                }
                (name, report)
            })
            .collect();
        let page = compare(&runs).unwrap();
        assert!(page.contains(">24 more</text>") && page.contains(">run 40: learning rate 40</text>"));
        assert!(!page.contains(">run 24: learning rate 24</text>"));
    }

    #[test]
    fn runs_on_different_data_are_named_and_warned_of() {
        let other = |report: &mut RunReport| {
            (report.record.data.name, report.record.data.sha256) = ("generated digits".into(), "ffff0000".into());
        };
        let page = compare(&[run("one", |_| ()), run("two", other)]).unwrap();
        assert!(page.contains("These runs used different data sets"));
        assert!(page.contains("<th>data set</th>") && page.contains("<td>generated digits (ffff"));
        let page = compare(&[run("one", |_| ()), run("two", |_| ())]).unwrap();
        assert!(!page.contains("different data") && page.contains("<td>MNIST (01234567)</td>"));
    }

    #[test]
    fn runs_without_validation_have_no_figure_of_it() {
        let without = |report: &mut RunReport| {
            for epoch in &mut report.epochs {
                (epoch.validation_loss, epoch.validation_accuracy) = (None, None);
            }
        };
        let page = compare(&[run("one", without), run("two", without)]).unwrap();
        assert!(!page.contains("id=\"validation-accuracy\"") && page.contains("id=\"accuracy\""));
    }
}
