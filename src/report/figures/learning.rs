//! How a run learned, and where its time went.

use anyhow::Result;

use super::super::chart::{Axes, Bar, Line, Look, bars, lines, number, percent};
use super::super::data::RunReport;
use super::{Figure, Table};
use crate::run_folder::{EpochRow, Norms};

/// Kernels that are shown; the rest are one bar.
const MOST_KERNELS: usize = 14;

pub(super) fn loss(report: &RunReport) -> Result<Figure> {
    let step_losses = report.curve.iter().map(|point| (point.step as f64, point.loss)).collect();
    let mut drawn = vec![Line::new("training, step by step", 6, step_losses).with(Look::Faint)];
    let mut table = Table::new(&["epoch", "training loss", "validation loss"]);
    let training = report.epochs.iter().map(|epoch| (epoch.step as f64, epoch.loss)).collect();
    drawn.push(Line::new("training, mean of each epoch", 0, training));
    let validation: Vec<_> =
        report.epochs.iter().filter_map(|epoch| Some((epoch.step as f64, epoch.validation_loss?))).collect();
    if !validation.is_empty() {
        drawn.push(Line::new("validation", 1, validation));
    }
    for epoch in &report.epochs {
        let validation = epoch.validation_loss.map_or_else(String::new, |loss| format!("{loss:.4}"));
        table.row([epoch.epoch.to_string(), format!("{:.4}", epoch.loss), validation]);
    }
    let axes = Axes {
        caption: "loss",
        x: "step",
        y: "cross-entropy, nats",
        is_logarithmic: true,
        y_range: None,
        y_text: number,
    };
    let last = report.epochs.last().map_or(f64::NAN, |epoch| epoch.loss);
    Ok(Figure {
        name: "loss".to_owned(),
        alt: format!(
            "Loss over the steps of the run, training and validation; the last epoch's training loss is {last:.4}."
        ),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

pub(super) fn accuracy(report: &RunReport) -> Result<Figure> {
    let by_epoch = |of: fn(&EpochRow) -> Option<f64>| -> Vec<(f64, f64)> {
        report.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, 100.0 * of(epoch)?))).collect()
    };
    let mut drawn = vec![Line::new("training, as trained on", 0, by_epoch(|epoch| Some(epoch.accuracy)))];
    let validation = by_epoch(|epoch| epoch.validation_accuracy);
    if !validation.is_empty() {
        drawn.push(Line::new("validation, at the epoch's end", 1, validation));
    }
    let mut table = Table::new(&["epoch", "training accuracy", "validation accuracy"]);
    for epoch in &report.epochs {
        let validation = epoch.validation_accuracy.map_or_else(String::new, percent);
        table.row([epoch.epoch.to_string(), percent(epoch.accuracy), validation]);
    }
    let axes = Axes {
        caption: "accuracy",
        x: "epoch",
        y: "images recognised, %",
        is_logarithmic: false,
        y_range: None,
        y_text: number,
    };
    let last = report.epochs.last().map_or(f64::NAN, |epoch| epoch.accuracy);
    Ok(Figure {
        name: "accuracy".to_owned(),
        alt: format!("Accuracy by epoch, training and validation; training ends at {}.", percent(last)),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

pub(super) fn learning_rate(report: &RunReport) -> Result<Figure> {
    let points: Vec<_> = report.curve.iter().map(|point| (point.step as f64, f64::from(point.learning_rate))).collect();
    let highest = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let mut table = Table::new(&["step", "learning rate"]);
    // Enough of them to see the form.
    for point in report.curve.iter().step_by(report.curve.len().div_ceil(12).max(1)) {
        table.row([point.step.to_string(), format!("{:.6}", point.learning_rate)]);
    }
    let axes = Axes {
        caption: "learning rate",
        x: "step",
        y: "learning rate",
        is_logarithmic: false,
        y_range: None,
        y_text: number,
    };
    Ok(Figure {
        name: "learning-rate".to_owned(),
        alt: format!("Learning rate over the steps of the run; at most {highest:.4}."),
        picture: lines(&axes, &[Line::new("learning rate", 0, points).with(Look::Faint)])?,
        table,
    })
}

pub(super) fn norms(report: &RunReport) -> Result<Figure> {
    let parameters = report.epochs.first().map_or(&[][..], |epoch| &epoch.norms);
    let mut drawn = Vec::new();
    let mut table = Table::new(&["epoch", "parameter", "norm", "gradient's norm"]);
    // Biases would only double the lines; the table has them.
    let weights = parameters.iter().enumerate().filter(|(_, norms)| norms.parameter.ends_with("weight"));
    for (color, (index, norms)) in weights.enumerate() {
        let name = &norms.parameter;
        let of = |norm: fn(&Norms) -> f64| {
            report.epochs.iter().map(|epoch| (epoch.epoch as f64, norm(&epoch.norms[index]))).collect()
        };
        drawn.push(Line::new(name.clone(), color, of(|norms| norms.value)));
        drawn.push(Line::new(format!("{name}.grad"), color, of(|norms| norms.gradient)).with(Look::Dashed));
    }
    for epoch in &report.epochs {
        for norms in &epoch.norms {
            let [value, gradient] = [norms.value, norms.gradient].map(|norm| format!("{norm:.4e}"));
            table.row([epoch.epoch.to_string(), norms.parameter.clone(), value, gradient]);
        }
    }
    let axes = Axes {
        caption: "norms of weights, and dashed of their gradients",
        x: "epoch",
        y: "Euclidean norm",
        is_logarithmic: true,
        y_range: None,
        y_text: number,
    };
    Ok(Figure {
        name: "norms".to_owned(),
        alt: "Norms of each layer's weights and of their gradients in the last step of each epoch.".to_owned(),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

pub(super) fn kernels(report: &RunReport) -> Result<Figure> {
    let one_decimal = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut table = Table::new(&["kernel and layer", "microseconds of a step", "share"]);
    for kernel in &report.kernels {
        table.row([kernel.kernel.clone(), format!("{:.1}", 1e6 * kernel.seconds), percent(kernel.share)]);
    }
    let (shown, rest) = report.kernels.split_at(report.kernels.len().min(MOST_KERNELS));
    let mut drawn: Vec<Bar> = shown
        .iter()
        .map(|kernel| Bar { name: kernel.kernel.clone(), value: kernel.share, text: one_decimal(kernel.share) })
        .collect();
    if !rest.is_empty() {
        let share: f64 = rest.iter().map(|kernel| kernel.share).sum();
        drawn.push(Bar { name: format!("{} others", rest.len()), value: share, text: one_decimal(share) });
    }
    let total: f64 = report.kernels.iter().map(|kernel| kernel.seconds).sum();
    let caption = format!("where a step's {:.2} ms go", 1e3 * total);
    let alt = report.kernels.first().map_or_else(String::new, |first| {
        format!(
            "Shares of the kernels of a training step; the largest is {} with {}.",
            first.kernel,
            percent(first.share)
        )
    });
    Ok(Figure { name: "kernels".to_owned(), alt, picture: bars(&caption, &drawn)?, table })
}
