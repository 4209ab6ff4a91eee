//! The roofline picture: each kernel's rate over its arithmetic intensity, under the adapter's peaks (Williams,
//! Waterman & Patterson, "Roofline: an insightful visual performance model", 2009).

use anyhow::{Context as _, Result, ensure};

use crate::bench::Peaks;
use crate::bench::report::{AdapterReport, KernelRow, told_apart};
use crate::numbers::significant;
use crate::picture::axis::Axis;
use crate::picture::color::{BLACK, COLORS, Color};
use crate::picture::frame::Frame;
use crate::picture::text::{Style, width};
use crate::picture::{Mark, Picture, Place, Stroke};
use crate::program::files::Destination;
use crate::program::picture_file::write_picture;

/// Width of a picture.
const WIDTH: f64 = 800.0;

/// Height of the plot area.
const HEIGHT: f64 = 460.0;

/// Font size.
const TEXT: f64 = 13.0;

/// Margin.
const EDGE: f64 = 12.0;

/// Points of the roof that the labels avoid.
const ROOF_POINTS: u32 = 200;

/// A kernel as a point of the diagram.
struct Point {
    number: usize,
    label: String,
    /// FLOP per byte.
    intensity: f64,
    gigaflops: f64,
    color: Color,
    is_chosen: bool,
}

/// Draws a panel for each adapter into an SVG or PNG file.
///
/// # Errors
/// If the file has another extension or cannot be written.
pub fn draw(adapters: &[AdapterReport], output: &Destination) -> Result<()> {
    let mut picture = Picture::new(WIDTH);
    for measured in adapters {
        let Some(peaks) = &measured.peaks else { continue };
        let points = points(&measured.kernels);
        if points.is_empty() {
            continue;
        }
        let panel = panel(&measured.adapter.to_string(), peaks, &points).with_context(|| {
            format!("cannot draw a roofline: the peaks of {} are not positive; measure again", measured.adapter)
        })?;
        let top = picture.height();
        picture.place(&panel, (0.0, top));
    }
    ensure!(
        picture.height() > 0.0,
        "cannot draw a roofline: these results have no kernels; measure with `gpu-digits bench`, not `bench train`"
    );
    write_picture(&picture, output)
}

/// The kernels that compute something. Kernels that only move data have no intensity and appear only in the table.
fn points(rows: &[KernelRow]) -> Vec<Point> {
    let has_rate = |row: &&KernelRow| row.flops > 0 && row.timing.median_seconds.is_finite();
    let mut rows: Vec<&KernelRow> = rows.iter().filter(has_rate).collect();
    rows.sort_by(|a, b| b.step_seconds().total_cmp(&a.step_seconds()));
    let labels = told_apart(&rows, |row| format!("{} {}", row.name(), row.layers.join(" ")));
    let point = |(place, (row, label)): (usize, (&KernelRow, String))| Point {
        number: place + 1,
        label,
        intensity: row.flops as f64 / row.bytes as f64,
        gigaflops: row.flops as f64 / row.timing.median_seconds / 1e9,
        // The first colour is for kernels bound by arithmetic, the second for those bound by memory.
        color: COLORS[row.binding as usize],
        is_chosen: row.is_chosen,
    };
    rows.into_iter().zip(labels).enumerate().map(point).collect()
}

/// The diagram of an adapter, and below it the list of its kernels; none without peaks.
fn panel(adapter: &str, peaks: &Peaks, points: &[Point]) -> Option<Picture> {
    let (peak, bandwidth) = (peaks.flops_per_second / 1e9, peaks.bytes_per_second / 1e9);
    let ridge = peak / bandwidth;
    let around = [ridge / 4.0, ridge * 4.0];
    let horizontal = Axis::logarithmic(points.iter().map(|point| point.intensity).chain(around), 9)?;
    let vertical = Axis::logarithmic(points.iter().map(|point| point.gigaflops).chain([peak, peak * 1.5]), 9)?;
    let axes = [&horizontal, &vertical];

    let mut picture = Picture::new(WIDTH);
    let room = WIDTH - 2.0 * EDGE;
    let y = picture.paragraph((EDGE, 18.0), room, Style::new(TEXT + 2.0), adapter) + 4.0;
    picture.text((EDGE, y), Style::new(TEXT), "GFLOP/s");
    let left = EDGE + vertical.ticks.iter().map(|tick| width(&tick.text, TEXT)).fold(0.0, f64::max) + 8.0;
    let frame = Frame { left, right: WIDTH - EDGE, top: y + 18.0, bottom: y + 18.0 + HEIGHT, letters: TEXT };
    frame.draw_grid(&mut picture, &horizontal, &vertical, "arithmetic intensity, FLOP per byte");

    let roof = |intensity: f64| (intensity * bandwidth).min(peak);
    let along = |share: f64| horizontal.start() * (horizontal.end() / horizontal.start()).powf(share);
    let roof_places: Vec<Place> = (0..=ROOF_POINTS)
        .map(|step| along(f64::from(step) / f64::from(ROOF_POINTS)))
        .filter_map(|intensity| frame.place(axes, (intensity, roof(intensity))))
        .collect();
    picture.line(&roof_places, Stroke::new(BLACK, 2.0));
    let ends = (roof_places.first().copied()?, roof_places.last().copied()?);
    let flat = format!("{} GFLOP/s", significant(peak, 4));
    picture.text((ends.1.0, ends.1.1 - 12.0), Style::new(TEXT).to_the_left(), &flat);
    let drawn: Vec<(&Point, Place)> = points
        .iter()
        .filter_map(|point| Some((point, frame.place(axes, (point.intensity, point.gigaflops))?)))
        .collect();
    let places: Vec<Place> = drawn.iter().map(|(_, place)| *place).collect();
    let slope = format!("{} GB/s", significant(bandwidth, 4));
    let slope_width = width(&slope, TEXT);
    let beside_slope = slope_label(&roof_places, &places, slope_width, frame.left);
    picture.text(beside_slope, Style::new(TEXT).to_the_left(), &slope);
    // Numbers of points keep away from it as from the roof.
    let letters =
        (0..=(slope_width / 8.0) as u32).map(|letter| (beside_slope.0 - 8.0 * f64::from(letter), beside_slope.1));
    let kept_free: Vec<Place> = roof_places.iter().copied().chain(letters).collect();
    for ((point, place), label) in drawn.iter().zip(label_places(&places, &kept_free)) {
        // The line ends before the number.
        let end = (place.0 + (label.0 - place.0) / 2.0, place.1 + (label.1 - place.1) / 2.0);
        picture.line(&[*place, end], Stroke::new(point.color, 0.7));
        let mark = if point.is_chosen { Mark::Circle } else { Mark::Ring };
        picture.mark(mark, *place, 4.0, point.color);
        picture.text(label, Style::new(12.0).centered().colored(point.color), &point.number.to_string());
    }
    let below = list(&mut picture, frame.bottom + 60.0, points);
    picture.reach(below + EDGE);
    Some(picture)
}

/// Draws the numbered list of kernels, the largest share of the step first, with long names wrapped. Returns the height
/// below it.
fn list(picture: &mut Picture, top: f64, points: &[Point]) -> f64 {
    const NUMBER: f64 = 36.0;
    const RATE: f64 = 150.0;
    let words = [(Mark::Circle, 0, "bound by arithmetic"), (Mark::Circle, 1, "bound by memory")];
    let keys = words.map(|(mark, color, words)| (mark, COLORS[color], words));
    let mut x = EDGE + 4.0;
    for (mark, color, words) in keys.into_iter().chain([(Mark::Ring, BLACK, "training uses another variant")]) {
        picture.mark(mark, (x, top), 4.0, color);
        picture.text((x + 12.0, top), Style::new(TEXT), words);
        x += 12.0 + width(words, TEXT) + 24.0;
    }
    let mut y = top + 28.0;
    for point in points {
        let style = Style::new(TEXT).colored(point.color);
        picture.text((NUMBER - 8.0, y), style.to_the_left(), &point.number.to_string());
        let rate = format!("{} GFLOP/s", significant(point.gigaflops, 3));
        picture.text((WIDTH - EDGE, y), style.to_the_left(), &rate);
        y = picture.paragraph((NUMBER, y), WIDTH - EDGE - RATE - NUMBER, style, &point.label);
    }
    y
}

/// Where the bandwidth stands, by its right end: above the slope of the roof, where no point lies; as near to the
/// middle of the slope as can be.
fn slope_label(roof: &[Place], points: &[Place], width: f64, left: f64) -> Place {
    let flat = roof.last().map_or(0.0, |end| end.1);
    let slope: Vec<Place> = roof.iter().copied().filter(|place| place.1 > flat + 20.0).collect();
    let beside = |place: &Place| (place.0 - 10.0, place.1 - 10.0);
    let is_free = |label: &Place| {
        let covers = |point: &Place| {
            (label.0 - width - 10.0..label.0 + 10.0).contains(&point.0) && (point.1 - label.1).abs() < 14.0
        };
        label.0 - width > left && !points.iter().any(covers)
    };
    let middle = slope.len() / 2;
    let mut places: Vec<usize> = (0..slope.len()).collect();
    places.sort_by_key(|place| place.abs_diff(middle));
    let free = places.iter().map(|&place| beside(&slope[place])).find(is_free);
    // Over the end of the flat roof there is always room.
    free.unwrap_or_else(|| roof.last().map_or((left + width, 0.0), |end| (end.0 - width - 60.0, end.1 - 12.0)))
}

/// The positions of the numbers: on rings around their points, at the first position that is far enough from all
/// points, earlier numbers and the line.
fn label_places(points: &[Place], line: &[Place]) -> Vec<Place> {
    const DIRECTIONS: [(f64, f64); 8] =
        [(0.0, -1.0), (0.7, -0.7), (1.0, 0.0), (0.7, 0.7), (0.0, 1.0), (-0.7, 0.7), (-1.0, 0.0), (-0.7, -0.7)];
    let mut labels: Vec<Place> = Vec::new();
    let is_near = |a: Place, b: Place, x: f64, y: f64| (a.0 - b.0).abs() < x && (a.1 - b.1).abs() < y;
    for &(x, y) in points {
        let mut rings = (14..60)
            .step_by(5)
            .flat_map(|radius| DIRECTIONS.map(|(dx, dy)| (x + dx * f64::from(radius), y + dy * f64::from(radius))));
        let is_free = |place: &Place| {
            (EDGE..WIDTH - EDGE).contains(&place.0)
                && points.iter().all(|&point| !is_near(point, *place, 10.0, 9.0))
                && line.iter().all(|&point| !is_near(point, *place, 9.0, 8.0))
                && labels.iter().all(|&label| !is_near(label, *place, 18.0, 13.0))
        };
        let place = rings.find(is_free).unwrap_or((x, y - 14.0));
        labels.push(place);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_points_that_lie_close_do_not_overlap() {
        let points = [(100.0, 100.0), (102.0, 101.0), (104.0, 99.0), (101.0, 103.0), (99.0, 98.0), (300.0, 300.0)];
        let labels = label_places(&points, &[(100.0, 90.0)]);
        for (i, a) in labels.iter().enumerate() {
            assert!((a.0 - 100.0).abs() >= 9.0 || (a.1 - 90.0).abs() >= 8.0, "{a:?} lies on the line");
            for b in &labels[i + 1..] {
                assert!((a.0 - b.0).abs() >= 18.0 || (a.1 - b.1).abs() >= 13.0, "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn the_bandwidth_stands_clear_of_points_and_of_the_edge() {
        let roof: Vec<Place> =
            (0..=20).map(|step| (50.0 + 20.0 * f64::from(step), 400.0 - 15.0 * f64::from(step))).collect();
        let free = slope_label(&roof, &[], 80.0, 50.0);
        assert!(free.0 - 80.0 > 50.0, "{free:?}");
        // Points where it would stand move it along the slope.
        let points: Vec<Place> = (0..9).map(|step| (free.0 - 10.0 * f64::from(step), free.1)).collect();
        let moved = slope_label(&roof, &points, 80.0, 50.0);
        assert!((moved.1 - free.1).abs() >= 14.0 || moved.0 < free.0 - 90.0, "{moved:?}");
        assert!(roof.iter().all(|place| place.0 > moved.0 || place.1 > moved.1), "{moved:?} crosses the roof");
    }

    /// The texts of a picture with their positions.
    fn texts(svg: &str) -> Vec<(f64, f64, bool, String)> {
        let attribute = |element: &str, name: &str| -> f64 {
            element.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let text = |element: &str| {
            let words = element.split_once('>').unwrap().1.split('<').next().unwrap().to_owned();
            (attribute(element, "x"), attribute(element, "y"), element.contains("\"end\""), words)
        };
        svg.split("<text").skip(1).map(text).collect()
    }

    #[test]
    fn names_of_any_length_stay_within_the_picture_and_beside_the_rates() {
        let name = "conv_relu_pool_backward_weight_f16.lanes_3x3_grey:256x64x28x28,128x3x3,pool2 ".repeat(4);
        let points: Vec<Point> = (1..=41)
            .map(|number| Point {
                number,
                label: name.clone(),
                intensity: number as f64,
                gigaflops: 0.001 * number as f64,
                color: COLORS[0],
                is_chosen: number % 2 == 0,
            })
            .collect();
        let peaks = Peaks {
            flops_per_second: 1e13,
            f16_flops_per_second: None,
            matrix_flops_per_second: None,
            bytes_per_second: 1e12,
            dispatch_seconds: 1e-6,
            dependent_dispatch_seconds: 1e-6,
            submit_seconds: 1e-5,
        };
        let picture = panel(&name, &peaks, &points).unwrap();
        let texts = texts(&picture.svg());
        for (x, y, is_to_the_left, words) in &texts {
            let end = if *is_to_the_left { *x } else { x + width(words, TEXT) };
            // Numbers of points are centred.
            assert!(end <= WIDTH + 10.0 && *y < picture.height(), "`{words}` ends at {end}");
        }
        let in_list: String = texts.iter().map(|(_, _, _, words)| words.replace(' ', "")).collect();
        assert!(in_list.matches("pool2").count() >= 41 * 4, "a name is cut");
        let rate = texts.iter().find(|text| text.3.ends_with("GFLOP/s") && text.2 && text.1 > HEIGHT + 60.0).unwrap();
        let beside = texts.iter().filter(|text| !text.2 && text.1 == rate.1);
        assert!(beside.into_iter().all(|text| text.0 + width(&text.3, TEXT) < rate.0 - width(&rate.3, TEXT)));
    }
}
