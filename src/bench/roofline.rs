//! The roofline picture: each kernel's rate over its arithmetic intensity, under what the adapter can do
//! (Williams, Waterman & Patterson, "Roofline: an insightful visual performance model", 2009).

use anyhow::{Result, ensure};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::peaks::Peaks;
use super::report::{AdapterReport, KernelRow};
use crate::files::Destination;
use crate::picture::{Area, COLORS, Drawn, GRID, Picture};

/// Width of a panel's diagram, and of the list beside it, in pixels.
const WIDTH: [u32; 2] = [760, 440];

/// Height of a panel without list.
const HEIGHT: u32 = 620;

/// Height of a line of the list.
const LINE: i32 = 17;

/// A kernel as a point of the diagram.
struct Point {
    number: usize,
    label: String,
    /// FLOP per byte.
    intensity: f64,
    flops_per_second: f64,
    color: RGBColor,
    is_chosen: bool,
}

/// Draws a panel for each adapter into an SVG or PNG file.
///
/// # Errors
/// Where the file has another ending or cannot be written.
pub fn draw(adapters: &[AdapterReport], output: &Destination) -> Result<()> {
    let panels: Vec<(&AdapterReport, &Peaks, Vec<Point>)> = adapters
        .iter()
        .filter_map(|measured| Some((measured, measured.peaks.as_ref()?, points(&measured.kernels))))
        .collect();
    ensure!(
        !panels.is_empty(),
        "these results hold no kernels to draw; `gpu-digits bench`, not `bench train`, times them"
    );
    let height = |points: &[Point]| HEIGHT.max((80 + LINE * points.len() as i32) as u32);
    let total: u32 = panels.iter().map(|(_, _, points)| height(points)).sum();
    let picture = Picture::draw((WIDTH[0] + WIDTH[1], total), |area| {
        let mut rest = area.clone();
        for (measured, peaks, points) in &panels {
            let (panel, below) = rest.split_vertically(height(points));
            draw_panel(&panel, measured, peaks, points)?;
            rest = below;
        }
        Ok(())
    })?;
    picture.write(output)
}

/// The kernels that compute something; those that only move data have no intensity and stand in the table alone.
fn points(rows: &[KernelRow]) -> Vec<Point> {
    let mut rows: Vec<&KernelRow> = rows.iter().filter(|row| row.flops > 0).collect();
    rows.sort_by(|a, b| b.step_seconds().total_cmp(&a.step_seconds()));
    let point = |(place, row): (usize, &KernelRow)| {
        let rate = row.flops as f64 / row.timing.median_seconds;
        Point {
            number: place + 1,
            label: format!("{} {}", row.name(), row.layers.join(" ")),
            intensity: row.flops as f64 / row.bytes as f64,
            flops_per_second: rate,
            // The first colour for what arithmetic binds, the second for memory.
            color: COLORS[row.binding as usize],
            is_chosen: row.is_chosen,
        }
    };
    rows.into_iter().enumerate().map(point).collect()
}

fn draw_panel(panel: &Area<'_>, measured: &AdapterReport, peaks: &Peaks, points: &[Point]) -> Drawn {
    let bounds = |value: fn(&Point) -> f64, also: [f64; 2]| {
        let values = points.iter().map(value).chain(also);
        values.fold((f64::INFINITY, 0.0f64), |(least, most), value| (least.min(value), most.max(value)))
    };
    let ridge = peaks.flops_per_second / peaks.bytes_per_second;
    let (least_x, most_x) = bounds(|point| point.intensity, [ridge / 4.0, ridge * 4.0]);
    let (least_y, most_y) = bounds(|point| point.flops_per_second, [peaks.flops_per_second; 2]);
    let (x_range, y_range) = (least_x / 2.0..most_x * 2.0, least_y / 2.0..most_y * 2.0);

    let (diagram, list) = panel.split_horizontally(WIDTH[0]);
    let mut chart = ChartBuilder::on(&diagram)
        .margin(14)
        .caption(measured.adapter.to_string(), ("sans-serif", 15))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x_range.clone().log_scale(), y_range.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc("arithmetic intensity, FLOP per byte")
        .y_desc("GFLOP/s")
        .x_label_formatter(&|value| format!("{value}"))
        .y_label_formatter(&|value| format!("{}", value / 1e9))
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .draw()?;
    let roof = |x: f64| (x * peaks.bytes_per_second).min(peaks.flops_per_second);
    let corners = [x_range.start, ridge, x_range.end].map(|x| (x, roof(x).max(y_range.start)));
    chart.draw_series(LineSeries::new(corners, BLACK.stroke_width(2)))?;
    let roof_name = format!("{:.1} GFLOP/s", peaks.flops_per_second / 1e9);
    let style = ("sans-serif", 13).into_font().color(&BLACK);
    let above = style.clone().pos(Pos::new(HPos::Right, VPos::Bottom));
    chart.draw_series([Text::new(roof_name, (x_range.end, peaks.flops_per_second), above)])?;
    let slope_x = (x_range.start * ridge).sqrt();
    let slope_name = format!("{:.1} GB/s ", peaks.bytes_per_second / 1e9);
    let beside = style.clone().pos(Pos::new(HPos::Right, VPos::Bottom));
    chart.draw_series([Text::new(slope_name, (slope_x, roof(slope_x)), beside)])?;

    let origin = diagram.get_base_pixel();
    let place = |x: f64, y: f64| {
        let (x, y) = chart.backend_coord(&(x, y));
        (x - origin.0, y - origin.1)
    };
    let places: Vec<(i32, i32)> = points.iter().map(|point| place(point.intensity, point.flops_per_second)).collect();
    let on_roof = |share: f64| x_range.start * (x_range.end / x_range.start).powf(share);
    let roof_places: Vec<(i32, i32)> =
        (0..=200).map(|step| on_roof(f64::from(step) / 200.0)).map(|x| place(x, roof(x).max(y_range.start))).collect();
    for ((point, &place), label) in points.iter().zip(&places).zip(label_places(&places, &roof_places)) {
        // The line ends before the number.
        let end = (place.0 + (label.0 - place.0) / 2, place.1 + (label.1 - place.1) / 2);
        diagram.draw(&PathElement::new([place, end], point.color.mix(0.5)))?;
        let style = if point.is_chosen { point.color.filled() } else { point.color.stroke_width(1) };
        diagram.draw(&Circle::new(place, 4, style))?;
        let style = ("sans-serif", 12).into_font().color(&point.color).pos(Pos::new(HPos::Center, VPos::Center));
        diagram.draw(&Text::new(point.number.to_string(), label, style))?;
    }
    draw_list(&list, points)
}

/// The kernels by their numbers, the largest share of the step first.
fn draw_list(list: &Area<'_>, points: &[Point]) -> Drawn {
    let heading = ("sans-serif", 12).into_font().color(&BLACK);
    list.draw(&Text::new("bound by arithmetic", (4, 24), heading.color(&COLORS[0])))?;
    list.draw(&Text::new("bound by memory", (140, 24), heading.color(&COLORS[1])))?;
    list.draw(&Text::new("hollow: training takes another variant", (248, 24), heading))?;
    for (line, point) in points.iter().enumerate() {
        let y = 48 + LINE * line as i32;
        let style = ("sans-serif", 12).into_font().color(&point.color);
        let right = style.clone().pos(Pos::new(HPos::Right, VPos::Top));
        list.draw(&Text::new(point.number.to_string(), (20, y), right))?;
        list.draw(&Text::new(point.label.clone(), (28, y), style))?;
        let rate = format!("{:.2} GFLOP/s", point.flops_per_second / 1e9);
        list.draw(&Text::new(
            rate,
            (WIDTH[1] as i32 - 12, y),
            ("sans-serif", 12).into_font().color(&point.color).pos(Pos::new(HPos::Right, VPos::Top)),
        ))?;
    }
    Ok(())
}

/// Where the numbers stand: on rings around their points, at the first place that is far enough from every point and
/// every number before, and from the line.
fn label_places(points: &[(i32, i32)], line: &[(i32, i32)]) -> Vec<(i32, i32)> {
    const DIRECTIONS: [(i32, i32); 8] = [(0, -10), (7, -7), (10, 0), (7, 7), (0, 10), (-7, 7), (-10, 0), (-7, -7)];
    let mut labels: Vec<(i32, i32)> = Vec::new();
    let is_near = |a: (i32, i32), b: (i32, i32), x: i32, y: i32| (a.0 - b.0).abs() < x && (a.1 - b.1).abs() < y;
    for &(x, y) in points {
        let rings = (14..60)
            .step_by(5)
            .flat_map(|radius| DIRECTIONS.map(|(dx, dy)| (x + dx * radius / 10, y + dy * radius / 10)));
        let is_free = |place: &(i32, i32)| {
            points.iter().all(|&point| !is_near(point, *place, 10, 9))
                && line.iter().all(|&point| !is_near(point, *place, 9, 8))
                && labels.iter().all(|&label| !is_near(label, *place, 18, 13))
        };
        let place = rings.clone().find(is_free).unwrap_or((x, y - 14));
        labels.push(place);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_points_that_lie_close_do_not_overlap() {
        let points = [(100, 100), (102, 101), (104, 99), (101, 103), (99, 98), (300, 300)];
        let labels = label_places(&points, &[(100, 90)]);
        for (i, a) in labels.iter().enumerate() {
            assert!((a.0 - 100).abs() >= 9 || (a.1 - 90).abs() >= 8, "{a:?} lies on the line");
            for b in &labels[i + 1..] {
                assert!((a.0 - b.0).abs() >= 18 || (a.1 - b.1).abs() >= 13, "{a:?} and {b:?}");
            }
        }
    }
}
