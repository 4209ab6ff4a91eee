//! How well a model does on the test images.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::super::chart::{Axes, Line, Look, SIZE, TEXT, lines, number, percent, text, title};
use super::{Figure, Table};
use crate::data::CLASSES;
use crate::metrics::{BINS, ClassScore, Evaluation, wilson_interval};
use crate::picture::{COLORS, GRID, Picture};

pub(super) fn confusion(evaluation: &Evaluation) -> Result<Figure> {
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

pub(super) fn classes(evaluation: &Evaluation) -> Result<Figure> {
    let scores = |of: fn(&ClassScore) -> f64| -> Vec<(f64, f64)> {
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
    let least = drawn.iter().flat_map(|line| &line.points).map(|point| point.1).fold(99.9, f64::min);
    // As many round steps as fit.
    let step = [0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0].into_iter().find(|step| (100.0 - least) / step <= 5.0);
    let step = step.unwrap_or(20.0);
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
        picture: dots("precision, recall and F1 of each digit, %", &drawn, step)?,
        table,
    })
}

/// Marks over the digits, side by side.
fn dots(caption: &str, drawn: &[Line], step: f64) -> Result<Picture> {
    const LEFT: f64 = 62.0;
    let (top, bottom) = (66.0, f64::from(SIZE.1) - 46.0);
    let x = |class: f64| LEFT + (class + 0.5) * (f64::from(SIZE.0) - LEFT - 12.0) / CLASSES as f64;
    let least = drawn.iter().flat_map(|line| &line.points).map(|point| point.1).fold(100.0 - step, f64::min);
    let steps = ((100.0 - least) / step).ceil();
    let y = |value: f64| top + (100.0 - value) / (steps * step) * (bottom - top);
    Picture::draw(SIZE, |area| {
        title(area, caption)?;
        let label = |anchor| text(TEXT, &BLACK, anchor, VPos::Center);
        for (number, line) in drawn.iter().enumerate() {
            let place = (30 + 100 * number as i32, 44);
            area.draw(&Circle::new(place, 5, COLORS[line.color].filled()))?;
            area.draw(&Text::new(line.name.clone(), (place.0 + 11, 44), label(HPos::Left)))?;
        }
        for line in 0..=steps as usize {
            let value = 100.0 - line as f64 * step;
            let height = y(value) as i32;
            area.draw(&PathElement::new([(LEFT as i32, height), (SIZE.0 as i32 - 12, height)], GRID.stroke_width(1)))?;
            area.draw(&Text::new(number(value), (LEFT as i32 - 8, height), label(HPos::Right)))?;
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

pub(super) fn calibration(evaluation: &Evaluation) -> Result<Figure> {
    let mut table = Table::new(&["probability of the prediction", "images", "mean probability", "share right"]);
    let (mut points, mut intervals) = (Vec::new(), Vec::new());
    for (number, bin) in evaluation.calibration.iter().enumerate().filter(|(_, bin)| bin.images > 0) {
        let [low, high] = [number, number + 1].map(|edge| edge as f64 / BINS as f64);
        table.row([
            format!("{low:.3} to {high:.3}"),
            bin.images.to_string(),
            percent(bin.confidence),
            percent(bin.accuracy),
        ]);
        points.push((bin.confidence, bin.accuracy));
        let right = (bin.accuracy * bin.images as f64).round() as u64;
        let ends = wilson_interval(right, bin.images as u64).map(|bound| (bin.confidence, bound));
        intervals.push(Line::new("", 0, ends.to_vec()).with(Look::Dashed));
    }
    let error = 100.0 * evaluation.calibration_error;
    let caption = format!("calibration: expected error {error:.2} %; dashed: 95 % intervals");
    let axes = Axes {
        caption: &caption,
        x: "mean probability of the prediction",
        y: "share that is right",
        is_logarithmic: false,
        y_range: Some(0.0..1.03),
        y_text: number,
    };
    let ideal = Line::new("perfectly calibrated", 6, vec![(0.0, 0.0), (1.0, 1.0)]).with(Look::Faint);
    let mut drawn = vec![ideal, Line::new("the model", 0, points)];
    drawn.extend(intervals);
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
