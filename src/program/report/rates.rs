//! The picture of a range test of learning rates.

use anyhow::{Context as _, Result};

use crate::figures::chart::{Across, Axes, Line, Look, Scale, lines};
use crate::numbers::significant;
use crate::picture::Picture;
use crate::train::{RangeTest, RatePoint};

/// The loss against the rate, with the suggested one.
///
/// # Errors
/// If the test has no steps.
pub fn rates(test: &RangeTest) -> Result<Picture> {
    let of = |value: fn(&RatePoint) -> f64| test.points.iter().map(|point| (point.rate, value(point))).collect();
    let line = |name: &str, look, points| Line { name: name.to_owned(), points, look };
    let mut drawn = vec![
        line("each step", Look::FAINT, of(|point| point.loss)),
        line("smoothed", Look::of(0).thin(), of(|point| point.smoothed)),
    ];
    if let Some(rate) = test.suggestion() {
        let losses = test.points.iter().map(|point| point.smoothed);
        let ends = [losses.clone().fold(f64::INFINITY, f64::min), losses.fold(0.0, f64::max)];
        let points = ends.map(|loss| (rate, loss)).to_vec();
        drawn.push(line(&format!("suggested: {}", significant(rate, 2)), Look::of(1).thin(), points));
    }
    let axes = Axes {
        caption: "loss while the learning rate rises",
        x: Across::Logarithmic("learning rate"),
        y: "cross-entropy, nats",
        scale: Scale::Linear,
    };
    lines(&axes, &drawn).context("the range test has no steps to draw")
}
