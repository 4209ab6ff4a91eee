//! The figures of a run's training and of its time.

use super::chart::{Across, Axes, Bar, Line, Look, Scale, bars, lines};
use super::{CurvePoint, EpochRow, Figure, KernelShare, Norms, Table};
use crate::numbers::{self, duration, exact, percent, significant};
use crate::picture::color::ramp;

/// Kernels with a bar of their own; the others share one.
const MOST_KERNELS: usize = 14;

/// With up to so many layers each has its own colour, mark and dashes; with more they have graded colours.
const MOST_KINDS: usize = 6;

/// The loss over the steps, and its means over the epochs; none without a point.
pub fn loss(epochs: &[EpochRow], curve: &[CurvePoint]) -> Option<Figure> {
    let line = |name: &str, look, points| Line { name: name.to_owned(), points, look };
    let by_step = |of: fn(&EpochRow) -> Option<f64>| -> Vec<(f64, f64)> {
        epochs.iter().filter_map(|epoch| Some((epoch.step as f64, of(epoch)?))).collect()
    };
    let step_losses = curve.iter().map(|point| (point.step as f64, point.loss)).collect();
    let mut drawn = vec![
        line("training, each step", Look::FAINT, step_losses),
        line("training, mean of each epoch", Look::of(0), by_step(|epoch| Some(epoch.loss))),
    ];
    let validation = by_step(|epoch| epoch.validation_loss);
    if !validation.is_empty() {
        drawn.push(line("validation", Look::of(1), validation));
    }
    let mut table = Table::new(&["epoch", "training loss", "validation loss"]);
    for epoch in epochs {
        let validation = epoch.validation_loss.map_or_else(String::new, numbers::loss);
        table.row([epoch.epoch.to_string(), numbers::loss(epoch.loss), validation]);
    }
    let axes = Axes { caption: "loss", x: Across::Counts("step"), y: "cross-entropy, nats", scale: Scale::Logarithmic };
    let last = epochs.last().map_or(f64::NAN, |epoch| epoch.loss);
    Some(Figure {
        name: "loss".to_owned(),
        alt: format!(
            "Loss over the steps of the run, training and validation; the last epoch's training loss is {}.",
            numbers::loss(last)
        ),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

/// The accuracy of training and of validation by epoch; none without an epoch.
pub fn accuracy(epochs: &[EpochRow]) -> Option<Figure> {
    let by_epoch = |of: fn(&EpochRow) -> Option<f64>| -> Vec<(f64, f64)> {
        epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, 100.0 * of(epoch)?))).collect()
    };
    let training = by_epoch(|epoch| Some(epoch.accuracy));
    let mut drawn = vec![Line { name: "training, before each update".to_owned(), points: training, look: Look::of(0) }];
    let validation = by_epoch(|epoch| epoch.validation_accuracy);
    if !validation.is_empty() {
        let name = "validation, at the end of the epoch".to_owned();
        drawn.push(Line { name, points: validation, look: Look::of(1) });
    }
    let mut table = Table::new(&["epoch", "training accuracy, %", "validation accuracy, %"]);
    for epoch in epochs {
        let validation = epoch.validation_accuracy.map_or_else(String::new, percent);
        table.row([epoch.epoch.to_string(), percent(epoch.accuracy), validation]);
    }
    let axes =
        Axes { caption: "accuracy", x: Across::Counts("epoch"), y: "accuracy, %", scale: Scale::Within(0.0..100.0) };
    let last = epochs.last().map_or(f64::NAN, |epoch| epoch.accuracy);
    Some(Figure {
        name: "accuracy".to_owned(),
        alt: format!("Accuracy by epoch, training and validation; training ends at {} %.", percent(last)),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

/// The learning rate over the steps; none without a point.
pub fn learning_rate(curve: &[CurvePoint]) -> Option<Figure> {
    let points: Vec<_> = curve.iter().map(|point| (point.step as f64, f64::from(point.learning_rate))).collect();
    let highest = curve.iter().map(|point| point.learning_rate).fold(0.0, f32::max);
    let mut table = Table::new(&["step", "learning rate"]);
    // Enough rows to show the shape.
    for point in curve.iter().step_by(curve.len().div_ceil(12).max(1)) {
        table.row([point.step.to_string(), significant(f64::from(point.learning_rate), 5)]);
    }
    let axes = Axes { caption: "learning rate", x: Across::Counts("step"), y: "learning rate", scale: Scale::Linear };
    Some(Figure {
        name: "learning-rate".to_owned(),
        alt: format!("Learning rate over the steps of the run; at most {}.", exact(highest)),
        picture: lines(&axes, &[Line { name: "learning rate".to_owned(), points, look: Look::of(0).thin() }])?,
        table,
    })
}

/// The norms of the weights, and of their gradients.
pub fn norms(epochs: &[EpochRow]) -> Vec<Figure> {
    let weights = norms_figure(epochs, "norms", "norms of the weights", |norms| norms.value);
    let gradients = norms_figure(epochs, "gradient-norms", "norms of the weights' gradients", |norms| norms.gradient);
    [weights, gradients].into_iter().flatten().collect()
}

fn norms_figure(epochs: &[EpochRow], name: &str, caption: &str, norm: fn(&Norms) -> f64) -> Option<Figure> {
    let parameters = &epochs.first()?.norms;
    // Biases would double the number of lines; the table lists them.
    let weights: Vec<(usize, &Norms)> =
        parameters.iter().enumerate().filter(|(_, norms)| norms.parameter.ends_with("weight")).collect();
    let line = |(place, &(index, norms)): (usize, &(usize, &Norms))| {
        let look = Look::of(place);
        // Many layers get graded colours, from dark to light.
        let look =
            if weights.len() <= MOST_KINDS { look } else { Look { color: ramp(place, weights.len()), ..look.thin() } };
        let points = epochs.iter().map(|epoch| (epoch.epoch as f64, norm(&epoch.norms[index]))).collect();
        Line { name: norms.parameter.clone(), points, look }
    };
    let drawn: Vec<Line> = weights.iter().enumerate().map(line).collect();
    let mut table = Table::new(&["epoch", "parameter", "norm"]);
    for epoch in epochs {
        for norms in &epoch.norms {
            table.row([epoch.epoch.to_string(), norms.parameter.clone(), significant(norm(norms), 5)]);
        }
    }
    let axes = Axes { caption, x: Across::Counts("epoch"), y: "Euclidean norm", scale: Scale::Logarithmic };
    Some(Figure {
        name: name.to_owned(),
        alt: format!("The {caption} of each layer, in the last step of each epoch."),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

/// The shares of the kernels of a training step.
pub fn kernels(times: &[KernelShare]) -> Figure {
    let one_decimal = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut table = Table::new(&["kernel and layer", "time in a step", "share, %"]);
    for kernel in times {
        table.row([kernel.kernel.clone(), duration(kernel.seconds), percent(kernel.share)]);
    }
    let (shown, rest) = times.split_at(times.len().min(MOST_KERNELS));
    let mut drawn: Vec<Bar> = shown
        .iter()
        .map(|kernel| Bar { name: kernel.kernel.clone(), value: kernel.share, text: one_decimal(kernel.share) })
        .collect();
    if !rest.is_empty() {
        let share: f64 = rest.iter().map(|kernel| kernel.share).sum();
        drawn.push(Bar { name: format!("{} others", rest.len()), value: share, text: one_decimal(share) });
    }
    let total: f64 = times.iter().map(|kernel| kernel.seconds).sum();
    let caption = format!("kernel times of a step, {} in all", duration(total));
    let alt = times.first().map_or_else(String::new, |first| {
        format!(
            "Shares of the kernels of a training step; the largest is {} with {} %.",
            first.kernel,
            percent(first.share)
        )
    });
    Figure { name: "kernels".to_owned(), alt, picture: bars(&caption, &drawn), table }
}
