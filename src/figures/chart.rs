//! The diagrams of the report's figures.

use std::ops::Range;

use crate::picture::axis::Axis;
use crate::picture::color::{COLORS, Color, GREY};
use crate::picture::frame::Frame;
use crate::picture::text::{self, Style};
use crate::picture::{Mark, Picture, Place, Stroke};

/// Width of a diagram: the width of a phone, so that its text is readable there.
pub(crate) const WIDTH: f64 = 400.0;

/// Font size of all text except captions. A phone of 390 px shows it at 11 px or more.
pub(crate) const TEXT: f64 = 13.0;
pub(crate) const CAPTION: f64 = 15.0;

/// Margin of a picture.
pub(crate) const EDGE: f64 = 6.0;

/// Height of the plot area.
const PLOT_HEIGHT: f64 = 210.0;

/// A line with more points than this has no marks.
const MOST_MARKS: usize = 40;

/// A line of a diagram.
pub(crate) struct Line {
    /// The name in the legend; empty if the line is not in the legend.
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) look: Look,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) color: Color,
    /// The mark at each point, if it has one.
    pub(crate) mark: Option<Mark>,
    pub(crate) width: f64,
    pub(crate) dashes: &'static str,
}

impl Look {
    /// The look of the line with this index: a colour, a mark and dashes.
    pub(crate) fn of(index: usize) -> Self {
        const DASHES: [&str; 3] = ["", "6 3", "2 3"];
        Self {
            color: COLORS[index % COLORS.len()],
            mark: Some(Mark::FILLED[index % Mark::FILLED.len()]),
            width: 2.0,
            dashes: DASHES[index / 6 % DASHES.len()],
        }
    }

    /// Thin and grey, for less important lines.
    pub(crate) const FAINT: Self = Self { color: GREY, mark: None, width: 1.0, dashes: "" };

    /// A thin line without marks.
    pub(crate) fn thin(self) -> Self {
        Self { mark: None, width: 1.3, ..self }
    }

    fn stroke(&self) -> Stroke {
        Stroke { color: self.color, width: self.width, dashes: self.dashes }
    }
}

/// The axes of a diagram of lines.
pub(crate) struct Axes<'a> {
    pub(crate) caption: &'a str,
    pub(crate) x: Across<'a>,
    pub(crate) y: &'a str,
    pub(crate) scale: Scale,
}

/// The quantity on the horizontal axis.
pub(crate) enum Across<'a> {
    /// A count.
    Counts(&'a str),
    /// Fractions from 0 to 1.
    Shares(&'a str),
    /// Positive numbers of several decades.
    Logarithmic(&'a str),
}

/// The scale of the vertical axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Over all values.
    Linear,
    /// Over the positive values.
    Logarithmic,
    /// Over all values, but not beyond these bounds.
    Within(Range<f64>),
    /// From one bound to the other.
    Fixed(Range<f64>),
}

/// A line diagram with a legend below; none if no point can be drawn.
///
/// A point leaves a gap if it is not finite, or has no logarithm on a logarithmic axis.
pub(crate) fn lines(axes: &Axes<'_>, lines: &[Line]) -> Option<Picture> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let heights = || points().filter(|point| point.0.is_finite()).map(|point| point.1);
    let vertical = match &axes.scale {
        Scale::Linear => Axis::over(heights(), 6)?,
        Scale::Logarithmic => Axis::logarithmic(heights(), 7)?,
        Scale::Within(bounds) => {
            let free = Axis::over(heights(), 6)?;
            Axis::between(free.start().max(bounds.start), free.end().min(bounds.end), 6)
        }
        Scale::Fixed(bounds) => {
            heights().find(|height| height.is_finite()).map(|_| Axis::between(bounds.start, bounds.end, 6))?
        }
    };
    let (title, across): (&str, &dyn Fn(usize) -> Option<Axis>) = match axes.x {
        Across::Counts(title) => (title, &|most| Axis::over_counts(points().map(|point| point.0), most)),
        Across::Shares(title) => (title, &|most| Some(Axis::between(0.0, 1.0, most))),
        Across::Logarithmic(title) => (title, &|most| Axis::logarithmic(points().map(|point| point.0), most)),
    };
    let tick_width = |axis: &Axis| axis.ticks.iter().map(|tick| text::width(&tick.text, TEXT)).fold(0.0, f64::max);

    let mut picture = Picture::new(WIDTH);
    let y = caption(&mut picture, axes.caption);
    picture.text((EDGE, y), Style::new(TEXT), axes.y);
    let left = EDGE + tick_width(&vertical) + 8.0;
    let frame = Frame { left, right: WIDTH - 14.0, top: y + 18.0, bottom: y + 18.0 + PLOT_HEIGHT, letters: TEXT };
    // As many numbers as fit side by side.
    let fits = |axis: &Axis| axis.ticks.len() as f64 * (tick_width(axis) + 14.0) <= frame.right - frame.left;
    let horizontal = (2..=7).rev().filter_map(across).find(fits).or_else(|| across(1))?;
    frame.draw_grid(&mut picture, &horizontal, &vertical, title);
    for line in lines {
        draw_line(&mut picture, &frame, [&horizontal, &vertical], line);
    }
    let mut below = legend(&mut picture, frame.bottom + 54.0, lines);
    if vertical.left_out > 0 {
        let values = if vertical.left_out == 1 { "value" } else { "values" };
        let note = format!("{} {values} far below the others: not shown", vertical.left_out);
        below = picture.paragraph((EDGE, below), WIDTH - 2.0 * EDGE, Style::new(TEXT), &note);
    }
    picture.reach(below - 4.0);
    Some(picture)
}

/// Draws a line, with a gap at each point that cannot be drawn.
fn draw_line(picture: &mut Picture, frame: &Frame, axes: [&Axis; 2], line: &Line) {
    let places: Vec<Option<Place>> = line.points.iter().map(|&point| frame.place(axes, point)).collect();
    let has_marks = line.look.mark.is_some() && places.len() <= MOST_MARKS;
    for run in places.split(Option::is_none) {
        let run: Vec<Place> = run.iter().copied().flatten().collect();
        if run.len() > 1 {
            picture.line(&run, line.look.stroke());
        }
        // A point without neighbours needs a mark to be visible.
        if has_marks || run.len() == 1 {
            for &place in &run {
                picture.mark(line.look.mark.unwrap_or(Mark::Circle), place, 3.0, line.look.color);
            }
        }
    }
}

/// Draws the legend if there are several lines, in as many rows as needed. Returns the height below it.
fn legend(picture: &mut Picture, top: f64, lines: &[Line]) -> f64 {
    const SAMPLE: f64 = 24.0;
    let named: Vec<&Line> = lines.iter().filter(|line| !line.name.is_empty()).collect();
    if named.len() < 2 {
        return top - 8.0;
    }
    let needed = |line: &Line| SAMPLE + 6.0 + text::width(&line.name, TEXT) + 12.0;
    // Many names are set in columns, few in a row.
    let widest = named.iter().map(|line| needed(line)).fold(0.0, f64::max);
    let has_columns = named.len() > 3;
    let (mut x, mut y) = (EDGE, top);
    for line in named {
        let cell = if has_columns { widest } else { needed(line) };
        if x > EDGE && x + cell > WIDTH {
            (x, y) = (EDGE, y + 19.0);
        }
        picture.line(&[(x, y), (x + SAMPLE, y)], Stroke { width: line.look.width.max(1.5), ..line.look.stroke() });
        if let Some(mark) = line.look.mark {
            picture.mark(mark, (x + SAMPLE / 2.0, y), 3.5, line.look.color);
        }
        let room = WIDTH - EDGE - x - SAMPLE - 6.0;
        let next = picture.paragraph((x + SAMPLE + 6.0, y), room, Style::new(TEXT), &line.name);
        // A name of several lines takes the whole width.
        (x, y) = if x + cell > WIDTH { (EDGE, next) } else { (x + cell, y) };
    }
    if x > EDGE { y + 19.0 } else { y }
}

/// Draws a caption in as many lines as needed, and returns the height below it.
pub(crate) fn caption(picture: &mut Picture, words: &str) -> f64 {
    picture.paragraph((EDGE, 14.0), WIDTH - 2.0 * EDGE, Style::new(CAPTION), words) + 4.0
}

/// A bar of a diagram: its name, its length, and the text after it.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) text: String,
}

/// Bars one below the other, each under its name.
pub(crate) fn bars(words: &str, bars: &[Bar]) -> Picture {
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let behind = bars.iter().map(|bar| text::width(&bar.text, TEXT)).fold(0.0, f64::max) + 6.0;
    let room = WIDTH - 2.0 * EDGE;
    let mut picture = Picture::new(WIDTH);
    let mut y = caption(&mut picture, words);
    for bar in bars {
        y = picture.paragraph((EDGE, y), room, Style::new(TEXT), &bar.name);
        let length = ((room - behind) * bar.value / longest).max(1.0);
        picture.rectangle((EDGE, y - 8.0), length, 12.0, COLORS[0]);
        picture.text((EDGE + length + 6.0, y - 2.0), Style::new(TEXT), &bar.text);
        y += 20.0;
    }
    picture.reach(y);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(scale: Scale) -> Axes<'static> {
        Axes { caption: "loss", x: Across::Counts("step"), y: "nats", scale }
    }

    fn line(name: &str, points: &[(f64, f64)]) -> Line {
        Line { name: name.to_owned(), points: points.to_vec(), look: Look::of(0) }
    }

    #[test]
    fn nothing_to_draw_makes_no_diagram() {
        assert!(lines(&axes(Scale::Linear), &[line("a", &[])]).is_none());
        assert!(lines(&axes(Scale::Linear), &[line("a", &[(1.0, f64::NAN)])]).is_none());
        assert!(lines(&axes(Scale::Logarithmic), &[line("a", &[(1.0, 0.0), (2.0, 0.0)])]).is_none());
    }

    #[test]
    fn a_point_without_a_place_leaves_a_gap() {
        let points = [(1.0, 1.0), (2.0, 2.0), (3.0, 0.0), (4.0, 3.0), (5.0, f64::NAN), (6.0, 2.0), (7.0, 1.0)];
        let drawn = |scale| lines(&axes(scale), &[line("a", &points)]).unwrap().svg();
        let blue = format!("stroke=\"{}\"", COLORS[0]);
        // Two lines and, between the gaps, a single point; six marks in all.
        let logarithmic = drawn(Scale::Logarithmic);
        assert_eq!((logarithmic.matches(&blue).count(), logarithmic.matches("<circle").count()), (2, 5));
        assert_eq!(drawn(Scale::Linear).matches(&blue).count(), 2);
        assert!(!logarithmic.contains("NaN"));
    }

    #[test]
    fn a_legend_of_any_length_stays_within_the_picture_and_grows_it() {
        let long = "conv 8x5, relu, pool 2, conv 16x3, relu, pool 2, flatten, dense 64, relu, dense 10, seed 12";
        let height = |count: usize| {
            let drawn: Vec<Line> =
                (0..count).map(|number| line(&format!("{number} {long}"), &[(1.0, 1.0), (2.0, 2.0)])).collect();
            let picture = lines(&axes(Scale::Linear), &drawn).unwrap();
            let svg = picture.svg();
            assert_eq!(svg.matches("seed 12").count(), count, "a name is cut");
            for (index, _) in svg.match_indices(" y=\"") {
                let y: f64 = svg[index + 4..].split('"').next().unwrap().parse().unwrap();
                assert!(y < picture.height());
            }
            picture.height()
        };
        assert!(height(16) >= height(4) + 12.0 * 36.0);
    }

    #[test]
    fn sixteen_looks_have_sixteen_colours() {
        let colors: Vec<Color> = (0..16).map(|index| Look::of(index).color).collect();
        assert!(colors.iter().enumerate().all(|(index, color)| !colors[..index].contains(color)));
    }
}
