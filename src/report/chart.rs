//! The kinds of diagrams that the report's figures are made of.

use std::ops::Range;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::picture::{Area, COLORS, Drawn, GRID, Picture};

/// Width and height of a diagram; narrow enough to be read on a telephone.
pub(super) const SIZE: (u32, u32) = (560, 360);

/// Height of a caption's letters and of all others.
pub(super) const CAPTION: i32 = 16;
pub(super) const TEXT: i32 = 13;

// Macros, since charts with linear and with logarithmic axes are of different types.

macro_rules! mesh {
    ($chart:expr, $axes:expr) => {
        $chart
            .configure_mesh()
            .x_desc($axes.x)
            .y_desc($axes.y)
            .axis_desc_style(("sans-serif", TEXT))
            .label_style(("sans-serif", TEXT))
            .x_labels(7)
            .y_labels(6)
            .x_label_formatter(&|x| if $axes.x == "epoch" && x.fract() != 0.0 { String::new() } else { number(*x) })
            .y_label_formatter(&|y| ($axes.y_text)(*y))
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .draw()?
    };
}
macro_rules! series {
    ($chart:expr, $lines:expr) => {
        for line in $lines {
            let points = || line.points.iter().copied();
            let color = line.color();
            match line.look {
                Look::Marked => {
                    $chart.draw_series(LineSeries::new(points(), color.stroke_width(2)))?;
                    $chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
                }
                Look::Faint => {
                    $chart.draw_series(LineSeries::new(points(), color.mix(0.6).stroke_width(1)))?;
                }
                Look::Dashed => {
                    $chart.draw_series(DashedLineSeries::new(points(), 5, 4, color.stroke_width(2)))?;
                }
            }
        }
    };
}
/// A line of a diagram, and its name.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Its place in [`COLORS`].
    pub(super) color: usize,
    pub(super) look: Look,
}

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// With a mark at each point.
    Marked,
    /// Many points, and less important than others.
    Faint,
    /// Dashed, and not in the legend: it belongs to a marked one of the same colour.
    Dashed,
}

impl Line {
    pub(super) fn new(name: impl Into<String>, color: usize, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, color, look: Look::Marked }
    }

    pub(super) fn with(self, look: Look) -> Self {
        Self { look, ..self }
    }

    fn color(&self) -> RGBColor {
        COLORS[self.color % COLORS.len()]
    }
}

/// The axes of a diagram of lines.
pub(super) struct Axes<'a> {
    pub(super) caption: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) is_logarithmic: bool,
    /// Bounds of the y axis, where they are not those of the points.
    pub(super) y_range: Option<Range<f64>>,
    /// Writes a number of the y axis.
    pub(super) y_text: fn(f64) -> String,
}

/// Letters that stand somewhere.
pub(super) fn text(size: i32, color: &RGBColor, x: HPos, y: VPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(color).pos(Pos::new(x, y))
}

/// A diagram of lines, with a legend between caption and diagram.
pub(super) fn lines(axes: &Axes<'_>, lines: &[Line]) -> Result<Picture> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x_range = range(points().map(|point| point.0));
    let y_range = axes.y_range.clone().unwrap_or_else(|| range(points().map(|point| point.1)));
    Picture::draw(SIZE, |area| {
        let below = head(area, axes.caption, lines)?;
        let diagram = area.margin(below, 8, 8, 16);
        let mut builder = ChartBuilder::on(&diagram);
        builder.x_label_area_size(40).y_label_area_size(62);
        // Within a decade a logarithmic axis has no room for numbers.
        if axes.is_logarithmic && y_range.end > 10.0 * y_range.start {
            let y_range = (y_range.start.max(1e-9) / 1.3..y_range.end * 1.3).log_scale();
            let mut chart = builder.build_cartesian_2d(x_range, y_range)?;
            mesh!(chart, axes);
            series!(chart, lines);
        } else {
            let margin = if axes.y_range.is_some() { 0.0 } else { 0.06 * (y_range.end - y_range.start) };
            let mut chart = builder.build_cartesian_2d(x_range, y_range.start - margin..y_range.end + margin)?;
            mesh!(chart, axes);
            series!(chart, lines);
        }
        Ok(())
    })
}

/// Draws caption and legend, and tells how much height they take.
fn head(area: &Area<'_>, caption: &str, lines: &[Line]) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
    title(area, caption)?;
    let named: Vec<&Line> = lines.iter().filter(|line| line.look != Look::Dashed).collect();
    if named.len() < 2 {
        return Ok(38);
    }
    let (mut x, mut y) = (20, 42);
    for line in named {
        // Letters are about 0.58 of their height wide.
        let width = 34 + (0.58 * f64::from(TEXT) * line.name.chars().count() as f64) as i32;
        if x + width > SIZE.0 as i32 {
            (x, y) = (20, y + 18);
        }
        area.draw(&PathElement::new([(x, y), (x + 16, y)], line.color().stroke_width(3)))?;
        area.draw(&Text::new(line.name.clone(), (x + 21, y), text(TEXT, &BLACK, HPos::Left, VPos::Center)))?;
        x += width;
    }
    Ok(y + 16)
}

/// Draws a caption.
pub(super) fn title(area: &Area<'_>, caption: &str) -> Drawn {
    area.draw(&Text::new(caption.to_owned(), (20, 10), text(CAPTION, &BLACK, HPos::Left, VPos::Top)))?;
    Ok(())
}

/// A bar of a diagram: its name, its share of the longest, and what is written behind it.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) text: String,
}

/// Bars from left to right, one below the other.
pub(super) fn bars(caption: &str, bars: &[Bar]) -> Result<Picture> {
    const LINE: i32 = 24;
    const NAME_WIDTH: i32 = 250;
    let height = 50 + LINE * bars.len() as i32;
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    Picture::draw((SIZE.0, height as u32), |area| {
        title(area, caption)?;
        for (line, bar) in bars.iter().enumerate() {
            let middle = 50 + LINE * line as i32;
            let end = NAME_WIDTH + (f64::from(SIZE.0 as i32 - NAME_WIDTH - 70) * bar.value / longest) as i32;
            area.draw(&Text::new(
                bar.name.clone(),
                (NAME_WIDTH - 8, middle),
                text(TEXT, &BLACK, HPos::Right, VPos::Center),
            ))?;
            area.draw(&Rectangle::new(
                [(NAME_WIDTH, middle - 8), (end.max(NAME_WIDTH + 1), middle + 8)],
                COLORS[0].filled(),
            ))?;
            area.draw(&Text::new(bar.text.clone(), (end + 6, middle), text(TEXT, &BLACK, HPos::Left, VPos::Center)))?;
        }
        Ok(())
    })
}

/// From the least to the most; widened where that is no range.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
    if least < most {
        least..most
    } else if least == most {
        least - 0.5..most + 0.5
    } else {
        0.0..1.0
    }
}

/// A number without needless digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1e5 || value.abs() < 1e-3 {
        format!("{value:.0e}")
    } else {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// A share in per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", number((1e4 * share).round() / 100.0))
}
