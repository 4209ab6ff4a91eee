//! The figures of the scores on the test images.

use super::chart::{Across, Axes, EDGE, Line, Look, Scale, TEXT, WIDTH, caption, lines};
use super::{Figure, Table};
use crate::metrics::{BINS, ClassScore, Evaluation, wilson_interval};
use crate::numbers::{NONE, percent, thousands};
use crate::picture::axis::Axis;
use crate::picture::color::GREY;
use crate::picture::frame::Frame;
use crate::picture::text::Style;
use crate::picture::{Mark, Picture, Stroke};

/// The most numbers below the classes.
const MOST_TICKS: usize = 10;

/// Precision, recall or F1 in per cent of each class that has the value.
fn scores(evaluation: &Evaluation, of: fn(&ClassScore) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |score: &ClassScore| Some((score.class as f64, 100.0 * of(score)?));
    evaluation.classes.iter().filter_map(point).filter(|point| point.1.is_finite()).collect()
}

/// Precision, recall and F1 of each class; none without images.
pub fn classes(evaluation: &Evaluation) -> Option<Figure> {
    let drawn = [
        ("precision", scores(evaluation, |score| score.precision)),
        ("recall", scores(evaluation, |score| score.recall)),
        ("F1", scores(evaluation, |score| score.f1)),
    ];
    let mut table = Table::new(&["class", "precision, %", "recall, %", "F1, %", "images"]);
    for score in &evaluation.classes {
        let shares: [Option<f64>; 3] = [score.precision, score.recall, score.f1];
        let shares = shares.map(|share| share.map_or_else(|| NONE.to_owned(), percent));
        table.row(std::iter::once(score.name().into_owned()).chain(shares).chain([score.support.to_string()]));
    }
    let worst = drawn[2].1.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let alt = worst.map_or_else(String::new, |&(class, f1)| {
        format!(
            "Precision, recall and F1 of each class; the weakest is {} with an F1 of {} %.",
            evaluation.classes[class as usize].name(),
            percent(f1 / 100.0)
        )
    });
    Some(Figure { name: "classes".to_owned(), alt, picture: dots(&drawn, evaluation.classes.len())?, table })
}

/// Marks above the classes, side by side; none if no class has a score.
fn dots(drawn: &[(&str, Vec<(f64, f64)>)], classes: usize) -> Option<Picture> {
    let points = || drawn.iter().flat_map(|(_, points)| points);
    let free = Axis::over(points().map(|point| point.1).chain([100.0]), 6)?;
    points().next()?;
    let vertical = Axis::between(free.start().max(0.0), 100.0, 6);
    let horizontal = Axis::over_counts([-0.5, classes as f64 - 0.5].into_iter(), classes.min(MOST_TICKS))?;
    let mut picture = Picture::new(WIDTH);
    let y = caption(&mut picture, "precision, recall and F1 of each class");
    picture.text((EDGE, y), Style::new(TEXT), "%");
    for (number, (name, _)) in drawn.iter().enumerate() {
        let x = EDGE + 50.0 + 110.0 * number as f64;
        let look = Look::of(number);
        picture.mark(look.mark.unwrap_or(Mark::Circle), (x, y), 4.0, look.color);
        picture.text((x + 11.0, y), Style::new(TEXT), name);
    }
    let frame = Frame { left: 52.0, right: WIDTH - EDGE, top: y + 22.0, bottom: y + 232.0, letters: TEXT };
    let axes = [&horizontal, &vertical];
    let quarter = (frame.right - frame.left) / classes as f64 / 4.0;
    let (apart, radius) = (quarter.min(8.0), quarter.clamp(1.5, 3.5));
    frame.draw_grid(&mut picture, &horizontal, &vertical, "class");
    for class in 0..classes {
        let class = class as f64;
        let values: Vec<f64> = points().filter(|point| point.0 == class).map(|point| point.1).collect();
        let ends = [f64::min, f64::max].map(|end| values.iter().copied().reduce(end));
        if let [Some(least), Some(most)] = ends {
            let ends: Vec<_> = [least, most].iter().filter_map(|&end| frame.place(axes, (class, end))).collect();
            picture.line(&ends, Stroke::new(GREY, 1.0));
        }
        for (number, (_, points)) in drawn.iter().enumerate() {
            let look = Look::of(number);
            for &point in points.iter().filter(|point| point.0 == class) {
                let Some((x, y)) = frame.place(axes, point) else { continue };
                let beside = apart * (number as f64 - 1.0);
                picture.mark(look.mark.unwrap_or(Mark::Circle), (x + beside, y), radius, look.color);
            }
        }
    }
    Some(picture)
}

/// The accuracy of predictions by their probability; none without images.
pub fn calibration(evaluation: &Evaluation) -> Option<Figure> {
    let mut table = Table::new(&["probability of the prediction", "images", "mean probability, %", "right, %"]);
    let (mut points, mut intervals) = (Vec::new(), Vec::new());
    for (number, bin) in evaluation.calibration.iter().enumerate().filter(|(_, bin)| bin.images > 0) {
        let (Some(confidence), Some(accuracy)) = (bin.confidence, bin.accuracy) else { continue };
        let [low, high] = [number, number + 1].map(|edge| edge as f64 / BINS as f64);
        table.row([format!("{low:.3} to {high:.3}"), thousands(bin.images), percent(confidence), percent(accuracy)]);
        points.push((confidence, accuracy));
        let right = (accuracy * bin.images as f64).round() as u64;
        let ends = wilson_interval(right, bin.images as u64).map(|bound| (confidence, bound));
        intervals.push(Line { name: String::new(), points: ends.to_vec(), look: Look::of(0).thin() });
    }
    let error = percent(evaluation.calibration_error);
    let caption = format!("calibration: expected error {error} %, with 95 % intervals");
    let axes = Axes {
        caption: &caption,
        x: Across::Shares("mean probability of the prediction"),
        y: "accuracy",
        scale: Scale::Fixed(0.0..1.03),
    };
    let ideal = vec![(0.0, 0.0), (1.0, 1.0)];
    let mut drawn = vec![
        Line { name: "perfectly calibrated".to_owned(), points: ideal, look: Look::FAINT },
        Line { name: "the model".to_owned(), points, look: Look::of(0) },
    ];
    drawn.extend(intervals);
    Some(Figure {
        name: "calibration".to_owned(),
        alt: format!("Reliability curve over {BINS} bins; the expected calibration error is {error} %."),
        picture: lines(&axes, &drawn)?,
        table,
    })
}
