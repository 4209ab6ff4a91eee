//! The figures of the scores on the test images.

use super::super::chart::{Across, Axes, EDGE, Line, Look, Scale, TEXT, WIDTH, caption, lines};
use super::{Figure, Table};
use crate::data::CLASSES;
use crate::metrics::{BINS, ClassScore, Evaluation, wilson_interval};
use crate::program::numbers::{NONE, percent, thousands};
use crate::program::picture::axis::Axis;
use crate::program::picture::color::{COLORS, Color, GREY, GRID};
use crate::program::picture::frame::Frame;
use crate::program::picture::text::Style;
use crate::program::picture::{Mark, Picture, Stroke};

pub(super) fn confusion(evaluation: &Evaluation) -> Figure {
    const CELL: f64 = 36.0;
    const LEFT: f64 = 34.0;
    // Not the page's black and white, which dark mode swaps: these texts stand on fixed colours.
    let (dark, light) = (Color(1, 1, 1), Color(254, 254, 254));
    let support = |label: usize| evaluation.confusion[label].iter().sum::<u64>().max(1) as f64;
    let mut picture = Picture::new(WIDTH);
    let top = caption(&mut picture, "confusion: images by label and prediction") + 20.0;
    let axis = Style::new(TEXT).centered();
    picture.text((LEFT + CELL * 5.0, top - 26.0), axis, "prediction");
    picture.text((EDGE, top - 10.0), Style::new(TEXT), "label");
    for digit in 0..CLASSES {
        let middle = CELL * (digit as f64 + 0.5);
        picture.text((LEFT + middle, top - 10.0), axis, &digit.to_string());
        picture.text((LEFT - 14.0, top + middle), axis, &digit.to_string());
    }
    for (label, row) in evaluation.confusion.iter().enumerate() {
        for (prediction, &count) in row.iter().enumerate() {
            let (x, y) = (LEFT + CELL * prediction as f64, top + CELL * label as f64);
            if count == 0 {
                picture.frame((x, y), CELL - 2.0, CELL - 2.0, Stroke::new(GRID, 1.0));
                continue;
            }
            let share = count as f64 / support(label);
            // The scale is logarithmic down to a thousandth, because mistakes are rare and must be visible.
            let strength = (1.0 + share.log10() / 3.0).clamp(0.0, 1.0) * 0.85 + 0.15;
            let fill = light.mixed(if label == prediction { COLORS[0] } else { COLORS[1] }, strength);
            picture.rectangle((x, y), CELL - 2.0, CELL - 2.0, fill);
            let letters = Style::new(TEXT).centered().colored(if strength > 0.6 { light } else { dark });
            picture.text((x + CELL / 2.0 - 1.0, y + CELL / 2.0 - 1.0), letters, &short_count(count));
        }
    }
    picture.reach(top + CELL * CLASSES as f64 + 4.0);
    let digits: Vec<String> = (0..CLASSES).map(|digit| format!("as {digit}")).collect();
    let mut table = Table::new(&[&["label"], &digits.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let cell = |&count: &u64| format!("{count} ({} %)", percent(count as f64 / support(label)));
        table.row(std::iter::once(label.to_string()).chain(row.iter().map(cell)));
    }
    let right: u64 = (0..CLASSES).map(|digit| evaluation.confusion[digit][digit]).sum();
    let wrong = evaluation.images as u64 - right;
    let alt = format!(
        "Confusion matrix of {} test images: {right} lie on the diagonal, {wrong} beside it.",
        evaluation.images
    );
    Figure { name: "confusion".to_owned(), alt, picture, table }
}

/// A count that fits a cell: counts of five digits or more as `12k`.
fn short_count(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// Precision, recall or F1 in per cent of each class that has the value.
fn scores(evaluation: &Evaluation, of: fn(&ClassScore) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |score: &ClassScore| Some((score.class as f64, 100.0 * of(score)?));
    evaluation.classes.iter().filter_map(point).filter(|point| point.1.is_finite()).collect()
}

pub(super) fn classes(evaluation: &Evaluation) -> Option<Figure> {
    let drawn = [
        ("precision", scores(evaluation, |score| score.precision)),
        ("recall", scores(evaluation, |score| score.recall)),
        ("F1", scores(evaluation, |score| score.f1)),
    ];
    let mut table = Table::new(&["digit", "precision, %", "recall, %", "F1, %", "images"]);
    for score in &evaluation.classes {
        let shares: [Option<f64>; 3] = [score.precision, score.recall, score.f1];
        let shares = shares.map(|share| share.map_or_else(|| NONE.to_owned(), percent));
        table.row(std::iter::once(score.class.to_string()).chain(shares).chain([score.support.to_string()]));
    }
    let worst = drawn[2].1.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let alt = worst.map_or_else(String::new, |&(class, f1)| {
        format!(
            "Precision, recall and F1 of each digit; the weakest is {class} with an F1 of {} %.",
            percent(f1 / 100.0)
        )
    });
    Some(Figure { name: "classes".to_owned(), alt, picture: dots(&drawn)?, table })
}

/// Marks above the digits, side by side; none if no class has a score.
fn dots(drawn: &[(&str, Vec<(f64, f64)>)]) -> Option<Picture> {
    let points = || drawn.iter().flat_map(|(_, points)| points);
    let free = Axis::over(points().map(|point| point.1).chain([100.0]), 6)?;
    points().next()?;
    let (vertical, horizontal) =
        (Axis::between(free.start().max(0.0), 100.0, 6), Axis::between(-0.5, CLASSES as f64 - 0.5, CLASSES));
    let mut picture = Picture::new(WIDTH);
    let y = caption(&mut picture, "precision, recall and F1 of each digit");
    picture.text((EDGE, y), Style::new(TEXT), "%");
    for (number, (name, _)) in drawn.iter().enumerate() {
        let x = EDGE + 50.0 + 110.0 * number as f64;
        let look = Look::of(number);
        picture.mark(look.mark.unwrap_or(Mark::Circle), (x, y), 4.0, look.color);
        picture.text((x + 11.0, y), Style::new(TEXT), name);
    }
    let frame = Frame { left: 52.0, right: WIDTH - EDGE, top: y + 22.0, bottom: y + 232.0, letters: TEXT };
    let axes = [&horizontal, &vertical];
    frame.draw_grid(&mut picture, &horizontal, &vertical, "digit");
    for class in 0..CLASSES {
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
                let beside = 8.0 * (number as f64 - 1.0);
                picture.mark(look.mark.unwrap_or(Mark::Circle), (x + beside, y), 3.5, look.color);
            }
        }
    }
    Some(picture)
}

pub(super) fn calibration(evaluation: &Evaluation) -> Option<Figure> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fit_their_cells() {
        let width = |count| crate::program::picture::text::width(&short_count(count), TEXT);
        assert!([0, 9, 1_135, 9_999, 60_000, 999_999, 5_000_000].into_iter().all(|count| width(count) <= 34.0));
    }
}
