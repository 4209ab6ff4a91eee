//! The figures of a run: each a picture, what it shows in words, and the numbers behind it.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{Axes, Bar, Line, SIZE, TEXT, bars, lines, number, percent, text, title};
use super::data::{Digit, RunReport};
use super::sheet::Sheet;
use crate::data::{CLASSES, IMAGE_SIDE};
use crate::metrics::{BINS, Evaluation};
use crate::picture::{COLORS, GRID, Picture};

/// How often a pixel of a test image is repeated.
const DIGIT_SCALE: u32 = 3;

/// Kernels that are shown; the rest are one bar.
const MOST_KERNELS: usize = 14;

/// A picture and what belongs to it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The name of its file, without ending.
    pub name: String,
    /// What it shows, for those who cannot see it.
    pub alt: String,
    /// The picture.
    pub picture: Picture,
    /// The numbers behind it.
    pub table: Table,
}

/// Rows of text under a header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<String>,
    /// The rows, as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: vec![] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// All figures that a run has something for, in the order of the page.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn figures(report: &RunReport) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if !report.epochs.is_empty() {
        figures.extend([loss(report)?, accuracy(report)?, learning_rate(report)?, norms(report)?]);
    }
    if let Some(evaluation) = &report.evaluation {
        figures.extend([confusion(evaluation)?, classes(evaluation)?, calibration(evaluation)?]);
    }
    if !report.mistakes.is_empty() {
        let caption = "the worst mistakes: label → prediction, its probability";
        figures.push(gallery("mistakes", caption, &report.mistakes)?);
    }
    if !report.uncertain.is_empty() {
        let caption = "the most uncertain: label → prediction, its probability";
        figures.push(gallery("uncertain", caption, &report.uncertain)?);
    }
    if let Some(filters) = &report.filters {
        figures.push(filter_sheet(filters)?);
    }
    for (number, activations) in report.activations.iter().enumerate() {
        figures.push(layers(number, &activations.digit, &activations.layers)?);
    }
    if !report.kernels.is_empty() {
        figures.push(kernels(report)?);
    }
    Ok(figures)
}

fn loss(report: &RunReport) -> Result<Figure> {
    let step_losses = report.curve.iter().map(|point| (point.step as f64, point.loss)).collect();
    let mut drawn = vec![Line::new("training, step by step", 6, step_losses).faint()];
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

fn accuracy(report: &RunReport) -> Result<Figure> {
    let by_epoch = |of: fn(&crate::run_folder::EpochRow) -> Option<f64>| -> Vec<(f64, f64)> {
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

fn learning_rate(report: &RunReport) -> Result<Figure> {
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
        picture: lines(&axes, &[Line::new("learning rate", 0, points).faint()])?,
        table,
    })
}

fn norms(report: &RunReport) -> Result<Figure> {
    let parameters = report.epochs.first().map_or(&[][..], |epoch| &epoch.norms);
    let mut drawn = Vec::new();
    let mut table = Table::new(&["epoch", "parameter", "norm", "gradient's norm"]);
    // Biases would only double the lines; the table has them.
    let weights = parameters.iter().enumerate().filter(|(_, norms)| norms.parameter.ends_with("weight"));
    for (color, (index, norms)) in weights.enumerate() {
        let name = &norms.parameter;
        let of = |norm: fn(&crate::run_folder::Norms) -> f64| {
            report.epochs.iter().map(|epoch| (epoch.epoch as f64, norm(&epoch.norms[index]))).collect()
        };
        drawn.push(Line::new(name.clone(), 2 * color, of(|norms| norms.value)));
        drawn.push(Line::new(format!("{name}.grad"), 2 * color + 1, of(|norms| norms.gradient)));
    }
    for epoch in &report.epochs {
        for norms in &epoch.norms {
            let [value, gradient] = [norms.value, norms.gradient].map(|norm| format!("{norm:.4e}"));
            table.row([epoch.epoch.to_string(), norms.parameter.clone(), value, gradient]);
        }
    }
    let axes = Axes {
        caption: "norms of weights and of their gradients",
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

fn confusion(evaluation: &Evaluation) -> Result<Figure> {
    const CELL: i32 = 47;
    const LEFT: i32 = 70;
    const TOP: i32 = 78;
    // Not the black and white that a dark page exchanges: they stand on colours of their own.
    let (dark, light) = (RGBColor(1, 1, 1), RGBColor(254, 254, 254));
    let support = |label: usize| evaluation.confusion[label].iter().sum::<u64>().max(1) as f64;
    let height = TOP + CELL * CLASSES as i32 + 14;
    let picture = Picture::draw((SIZE.0, height as u32), |area| {
        title(area, "confusion: images, and their share of the label's in %")?;
        let centre = |x: i32, y: i32| (x + CELL / 2, y + CELL / 2);
        let axis = text(TEXT, &BLACK, HPos::Center, VPos::Center);
        area.draw(&Text::new("prediction", (LEFT + CELL * 5, TOP - 34), axis.clone()))?;
        area.draw(&Text::new("label", (28, TOP + CELL * 5), axis.clone()))?;
        for digit in 0..CLASSES {
            let offset = CELL * digit as i32 + CELL / 2;
            area.draw(&Text::new(digit.to_string(), (LEFT + offset, TOP - 13), axis.clone()))?;
            area.draw(&Text::new(digit.to_string(), (LEFT - 14, TOP + offset), axis.clone()))?;
        }
        for (label, row) in evaluation.confusion.iter().enumerate() {
            for (prediction, &count) in row.iter().enumerate() {
                let (x, y) = (LEFT + CELL * prediction as i32, TOP + CELL * label as i32);
                let corners = [(x, y), (x + CELL - 2, y + CELL - 2)];
                if count == 0 {
                    area.draw(&Rectangle::new(corners, GRID.stroke_width(1)))?;
                    continue;
                }
                let share = count as f64 / support(label);
                // Shares below a thousandth are the faintest, since mistakes are rare and must be seen.
                let strength = (1.0 + share.log10() / 3.0).clamp(0.0, 1.0) * 0.85 + 0.15;
                let color = if label == prediction { COLORS[0] } else { COLORS[1] };
                let fill = blend(color, strength);
                area.draw(&Rectangle::new(corners, fill.filled()))?;
                let letters = if strength > 0.6 { light } else { dark };
                let (x, y) = centre(x, y);
                let style = text(TEXT, &letters, HPos::Center, VPos::Center);
                area.draw(&Text::new(count.to_string(), (x - 1, y - 7), style))?;
                let style = text(10, &letters, HPos::Center, VPos::Center);
                area.draw(&Text::new(format!("{:.1}", 100.0 * share), (x - 1, y + 9), style))?;
            }
        }
        Ok(())
    })?;
    let digits: Vec<String> = (0..CLASSES).map(|digit| format!("as {digit}")).collect();
    let mut table = Table::new(&[&["label"], &digits.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let cell = |&count: &u64| format!("{count} ({:.1} %)", 100.0 * count as f64 / support(label));
        table.row(std::iter::once(label.to_string()).chain(row.iter().map(cell)));
    }
    let right: u64 = (0..CLASSES).map(|digit| evaluation.confusion[digit][digit]).sum();
    let wrong = evaluation.images as u64 - right;
    let alt = format!(
        "Confusion matrix of {} test images: {right} lie on the diagonal, {wrong} beside it.",
        evaluation.images
    );
    Ok(Figure { name: "confusion".to_owned(), alt, picture, table })
}

fn blend(color: RGBColor, strength: f64) -> RGBColor {
    let mix = |channel: u8| (254.0 + (f64::from(channel) - 254.0) * strength).round() as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

fn classes(evaluation: &Evaluation) -> Result<Figure> {
    let scores = |of: fn(&crate::metrics::ClassScore) -> f64| -> Vec<(f64, f64)> {
        evaluation.classes.iter().map(|score| (score.class as f64, 100.0 * of(score))).collect()
    };
    let drawn = [
        Line::new("precision", 0, scores(|score| score.precision)),
        Line::new("recall", 1, scores(|score| score.recall)),
        Line::new("F1", 2, scores(|score| score.f1)),
    ];
    let mut table = Table::new(&["digit", "precision", "recall", "F1", "images"]);
    for score in &evaluation.classes {
        let shares = [score.precision, score.recall, score.f1].map(percent);
        table.row(std::iter::once(score.class.to_string()).chain(shares).chain([score.support.to_string()]));
    }
    let least = drawn.iter().flat_map(|line| &line.points).map(|point| point.1).fold(100.0, f64::min);
    let bottom = (least - 0.1 * (100.0 - least)).max(0.0).min(99.0);
    let worst = evaluation.classes.iter().min_by(|a, b| a.f1.total_cmp(&b.f1));
    let alt = worst.map_or_else(String::new, |worst| {
        format!(
            "Precision, recall and F1 of each digit; the weakest is {} with an F1 of {}.",
            worst.class,
            percent(worst.f1)
        )
    });
    Ok(Figure {
        name: "classes".to_owned(),
        alt,
        picture: dots("precision, recall and F1 of each digit, %", &drawn, bottom..100.0)?,
        table,
    })
}

/// Marks over the digits, side by side.
fn dots(caption: &str, drawn: &[Line], y_range: std::ops::Range<f64>) -> Result<Picture> {
    const LEFT: f64 = 62.0;
    let (top, bottom) = (66.0, f64::from(SIZE.1) - 46.0);
    let x = |class: f64| LEFT + (class + 0.5) * (f64::from(SIZE.0) - LEFT - 12.0) / CLASSES as f64;
    let y = |value: f64| bottom - (value - y_range.start) / (y_range.end - y_range.start) * (bottom - top);
    Picture::draw(SIZE, |area| {
        title(area, caption)?;
        let label = |anchor| text(TEXT, &BLACK, anchor, VPos::Center);
        for (number, line) in drawn.iter().enumerate() {
            let place = (30 + 100 * number as i32, 44);
            area.draw(&Circle::new(place, 5, COLORS[line.color].filled()))?;
            area.draw(&Text::new(line.name.clone(), (place.0 + 11, 44), label(HPos::Left)))?;
        }
        for step in 0..=4 {
            let value = y_range.start + (y_range.end - y_range.start) * f64::from(step) / 4.0;
            let height = y(value) as i32;
            area.draw(&PathElement::new([(LEFT as i32, height), (SIZE.0 as i32 - 12, height)], GRID.stroke_width(1)))?;
            area.draw(&Text::new(format!("{value:.2}"), (LEFT as i32 - 8, height), label(HPos::Right)))?;
        }
        for class in 0..CLASSES {
            area.draw(&Text::new(
                class.to_string(),
                (x(class as f64) as i32, bottom as i32 + 16),
                label(HPos::Center),
            ))?;
            let values = drawn.iter().map(|line| line.points[class].1);
            let (least, most) = values.fold((f64::MAX, 0.0f64), |(a, b), value| (a.min(value), b.max(value)));
            let ends = [least, most].map(|value| (x(class as f64) as i32, y(value) as i32));
            area.draw(&PathElement::new(ends, COLORS[6].stroke_width(1)))?;
            for (number, line) in drawn.iter().enumerate() {
                let place = (x(class as f64) as i32 + 9 * (number as i32 - 1), y(line.points[class].1) as i32);
                area.draw(&Circle::new(place, 4, COLORS[line.color].filled()))?;
            }
        }
        area.draw(&Text::new("digit", (SIZE.0 as i32 / 2 + 30, SIZE.1 as i32 - 12), label(HPos::Center)))?;
        Ok(())
    })
}

fn calibration(evaluation: &Evaluation) -> Result<Figure> {
    let mut table = Table::new(&["probability of the prediction", "images", "mean probability", "share right"]);
    let mut points = Vec::new();
    for (number, bin) in evaluation.calibration.iter().enumerate().filter(|(_, bin)| bin.images > 0) {
        let [low, high] = [number, number + 1].map(|edge| edge as f64 / BINS as f64);
        table.row([
            format!("{low:.3} to {high:.3}"),
            bin.images.to_string(),
            percent(bin.confidence),
            percent(bin.accuracy),
        ]);
        points.push((bin.confidence, bin.accuracy));
    }
    let caption = format!("calibration: expected error {:.2} %", 100.0 * evaluation.calibration_error);
    let axes = Axes {
        caption: &caption,
        x: "mean probability of the prediction",
        y: "share that is right",
        is_logarithmic: false,
        y_range: Some(0.0..1.03),
        y_text: number,
    };
    let drawn =
        [Line::new("perfectly calibrated", 6, vec![(0.0, 0.0), (1.0, 1.0)]).faint(), Line::new("the model", 0, points)];
    Ok(Figure {
        name: "calibration".to_owned(),
        alt: format!(
            "Reliability curve over {BINS} bins; the expected calibration error is {:.2} %.",
            100.0 * evaluation.calibration_error
        ),
        picture: lines(&axes, &drawn)?,
        table,
    })
}

fn gallery(name: &str, caption: &str, digits: &[Digit]) -> Result<Figure> {
    const COLUMNS: usize = 6;
    const CELL: (i32, i32) = (91, 108);
    let rows = digits.len().div_ceil(COLUMNS) as i32;
    let place = |number: usize| (7 + CELL.0 * (number % COLUMNS) as i32, 44 + CELL.1 * (number / COLUMNS) as i32);
    let mut picture = Picture::draw((SIZE.0, (44 + CELL.1 * rows) as u32), |area| {
        title(area, caption)?;
        for (number, digit) in digits.iter().enumerate() {
            let (x, y) = place(number);
            let words = format!("{} → {}  {}", digit.label, digit.prediction, percent(f64::from(digit.probability)));
            area.draw(&Text::new(words, (x + CELL.0 / 2 - 3, y + 96), text(11, &BLACK, HPos::Center, VPos::Center)))?;
        }
        Ok(())
    })?;
    let mut table = Table::new(&["test image", "label", "prediction", "its probability", "the label's probability"]);
    for (number, digit) in digits.iter().enumerate() {
        picture.embed(&digit.sheet().image(false), place(number), DIGIT_SCALE)?;
        let shares = [digit.probability, digit.label_probability].map(|share| percent(f64::from(share)));
        let known = [digit.image.to_string(), digit.label.to_string(), digit.prediction.to_string()];
        table.row(known.into_iter().chain(shares));
    }
    let shown: Vec<String> =
        digits.iter().take(6).map(|digit| format!("a {} taken for {}", digit.label, digit.prediction)).collect();
    let alt = format!("{} test images, {caption}: {}, and so on.", digits.len(), shown.join(", "));
    Ok(Figure { name: name.to_owned(), alt, picture, table })
}

/// How often a pixel of a sheet is repeated, so that it fills the width and is not blown up.
fn sheet_scale(sheet: &Sheet) -> u32 {
    let [width, height] = sheet.size();
    ((SIZE.0 - 40) / width.max(1)).min(140 / height.max(1)).clamp(1, 9)
}

fn filter_sheet(filters: &Sheet) -> Result<Figure> {
    let scale = sheet_scale(filters);
    let most = filters.range[1];
    let caption = format!("{}: blue −{most:.2}, white 0, orange {most:.2}", filters.name);
    let mut picture = Picture::draw((SIZE.0, 54 + filters.size()[1] * scale), |area| title(area, &caption))?;
    picture.embed(&filters.image(true), (20, 42), scale)?;
    let mut table = Table::new(&["filter", "least", "most", "mean"]);
    let area = filters.tile[0] * filters.tile[1];
    for (number, tile) in filters.pixels.chunks(area).enumerate() {
        let value = |byte: u8| f64::from(byte) / 255.0 * f64::from(2.0 * most) - f64::from(most);
        let least = tile.iter().copied().min().map_or(0.0, value);
        let greatest = tile.iter().copied().max().map_or(0.0, value);
        let mean = tile.iter().copied().map(value).sum::<f64>() / area as f64;
        table.row([number.to_string(), format!("{least:.3}"), format!("{greatest:.3}"), format!("{mean:.3}")]);
    }
    let shown = table.rows.len();
    let alt = format!("The first {shown} of {} filters of {}, as images.", filters.tiles, filters.name);
    Ok(Figure { name: "filters".to_owned(), alt, picture, table })
}

fn layers(number: usize, digit: &Digit, layers: &[Sheet]) -> Result<Figure> {
    const LEFT: i32 = 20;
    let mut table = Table::new(&["layer", "channels", "size", "least", "most"]);
    let mut places = Vec::new();
    let mut y = 44 + DIGIT_SCALE as i32 * IMAGE_SIDE as i32 + 12;
    for sheet in layers {
        places.push(y);
        y += (sheet.size()[1] * sheet_scale(sheet)) as i32 + 34;
        let [height, width] = sheet.tile;
        table.row([
            sheet.name.clone(),
            sheet.tiles.to_string(),
            format!("{height}x{width}"),
            format!("{:.3}", sheet.range[0]),
            format!("{:.3}", sheet.range[1]),
        ]);
    }
    let caption = format!("test image {}, a {}, on its way through the layers", digit.image, digit.label);
    let mut picture = Picture::draw((SIZE.0, y as u32), |area| {
        title(area, &caption)?;
        for (sheet, &y) in layers.iter().zip(&places) {
            let [height, width] = sheet.tile;
            let tiles = sheet.pixels.len() / (height * width);
            let all = if tiles == sheet.tiles { String::new() } else { format!(" (the first {tiles})") };
            let words = if sheet.tile == [1, 1] {
                format!("{}: {} numbers{all}", sheet.name, sheet.tiles)
            } else {
                format!("{}: {} of {height}x{width}{all}", sheet.name, sheet.tiles)
            };
            area.draw(&Text::new(words, (LEFT, y), text(TEXT, &BLACK, HPos::Left, VPos::Top)))?;
        }
        Ok(())
    })?;
    picture.embed(&digit.sheet().image(false), (LEFT, 44), DIGIT_SCALE)?;
    for (sheet, y) in layers.iter().zip(places) {
        picture.embed(&sheet.image(false), (LEFT, y + 19), sheet_scale(sheet))?;
    }
    let alt = format!(
        "The outputs of {} layers for a test image of a {}, predicted {}.",
        layers.len(),
        digit.label,
        digit.prediction
    );
    Ok(Figure { name: format!("layers-{}", number + 1), alt, picture, table })
}

fn kernels(report: &RunReport) -> Result<Figure> {
    let mut table = Table::new(&["kernel and layer", "microseconds of a step", "share"]);
    for kernel in &report.kernels {
        table.row([kernel.kernel.clone(), format!("{:.1}", 1e6 * kernel.seconds), percent(kernel.share)]);
    }
    let (shown, rest) = report.kernels.split_at(report.kernels.len().min(MOST_KERNELS));
    let mut drawn: Vec<Bar> = shown
        .iter()
        .map(|kernel| Bar { name: kernel.kernel.clone(), value: kernel.share, text: percent(kernel.share) })
        .collect();
    if !rest.is_empty() {
        let share: f64 = rest.iter().map(|kernel| kernel.share).sum();
        drawn.push(Bar { name: format!("{} others", rest.len()), value: share, text: percent(share) });
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
