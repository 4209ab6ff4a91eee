//! Pictures, drawn as SVG.

pub(crate) mod axis;
pub(crate) mod color;
pub(crate) mod frame;
pub(crate) mod text;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{ImageFormat, RgbImage};

use color::{BLACK, Color, GRID, WHITE};
use text::Style;

/// A point in a picture, measured from its upper left corner.
pub(crate) type Place = (f64, f64);

/// A picture on white that grows downwards as it is drawn.
#[derive(Clone, Debug)]
pub struct Picture {
    width: f64,
    height: f64,
    body: String,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) color: Color,
    pub(crate) width: f64,
    /// Lengths of dashes and gaps; empty for a solid line.
    pub(crate) dashes: &'static str,
}

impl Stroke {
    pub(crate) const fn new(color: Color, width: f64) -> Self {
        Self { color, width, dashes: "" }
    }
}

/// The form of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
    /// An empty circle.
    Ring,
}

impl Mark {
    /// The filled ones.
    pub(crate) const FILLED: [Self; 4] = [Self::Circle, Self::Square, Self::Triangle, Self::Diamond];
}

impl Picture {
    /// An empty picture.
    pub(crate) fn new(width: f64) -> Self {
        Self { width, height: 0.0, body: String::new() }
    }

    /// Extends the picture down to at least `y`.
    pub(crate) fn reach(&mut self, y: f64) {
        self.height = self.height.max(y.ceil());
    }

    /// A line through several points.
    pub(crate) fn line(&mut self, places: &[Place], stroke: Stroke) {
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let Stroke { color, width, dashes } = stroke;
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        self.element(format_args!(
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes} points=\"{}\"/>",
            points.join(" ")
        ));
    }

    /// A filled rectangle from its upper left corner.
    pub(crate) fn rectangle(&mut self, (x, y): Place, width: f64, height: f64, fill: Color) {
        self.element(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        ));
    }

    /// The outline of a rectangle.
    pub(crate) fn frame(&mut self, (x, y): Place, width: f64, height: f64, stroke: Stroke) {
        let (right, bottom) = (x + width, y + height);
        self.line(&[(x, y), (right, y), (right, bottom), (x, bottom), (x, y)], stroke);
    }

    /// A mark of about this radius around a point.
    pub(crate) fn mark(&mut self, mark: Mark, (x, y): Place, radius: f64, color: Color) {
        let polygon = |corners: &[(f64, f64)]| {
            let points: Vec<String> =
                corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + radius * dx, y + radius * dy)).collect();
            format!("<polygon points=\"{}\" fill=\"{color}\"/>", points.join(" "))
        };
        let element = match mark {
            Mark::Circle => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{color}\"/>"),
            Mark::Ring => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"none\" stroke=\"{color}\"/>")
            }
            Mark::Square => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Mark::Triangle => polygon(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]),
            Mark::Diamond => polygon(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
        };
        self.element(format_args!("{element}"));
    }

    /// Text, vertically centred at a point.
    pub(crate) fn text(&mut self, (x, y): Place, style: Style, words: &str) {
        let Style { size, color, anchor } = style;
        let words = escaped(words);
        self.element(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" dy=\"0.35em\" font-family=\"sans-serif\" font-size=\"{size}\" \
             text-anchor=\"{anchor}\" fill=\"{color}\">{words}</text>"
        ));
        self.reach(y + size);
    }

    /// Text wrapped at `width`. Returns the position of the next line.
    pub(crate) fn paragraph(&mut self, (x, y): Place, width: f64, style: Style, words: &str) -> f64 {
        let mut y = y;
        for line in text::wrap(words, style.size, width) {
            self.text((x, y), style, &line);
            y += (1.4 * style.size).round();
        }
        y
    }

    /// Draws an image with its upper left corner at `place`. Each pixel is a sharp square of `scale` units.
    ///
    /// # Errors
    /// If the image cannot be encoded.
    pub(crate) fn embed(&mut self, image: &RgbImage, (x, y): Place, scale: f64) -> Result<()> {
        let mut png = std::io::Cursor::new(Vec::new());
        image.write_to(&mut png, ImageFormat::Png).context("cannot encode an image")?;
        let data = BASE64_STANDARD.encode(png.into_inner());
        let [width, height] = [image.width(), image.height()].map(|length| f64::from(length) * scale);
        self.element(format_args!(
            "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
        ));
        self.reach(y + height);
        Ok(())
    }

    /// Draws another picture with its upper left corner at `place`.
    pub(crate) fn place(&mut self, other: &Self, (x, y): Place) {
        self.element(format_args!("<g transform=\"translate({x:.1} {y:.1})\">\n{}</g>", other.body));
        self.reach(y + other.height);
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// Its width.
    pub(crate) fn width(&self) -> f64 {
        self.width
    }

    /// Its height.
    pub(crate) fn height(&self) -> f64 {
        self.height
    }

    /// The SVG text.
    pub fn svg(&self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n{body}</svg>\n",
            WHITE
        )
    }
}

/// Text escaped for XML, without control characters, which XML does not allow.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// Rules of CSS for a page with these pictures: they lighten the colours of lines and marks that have too little contrast in
/// dark mode.
pub fn dark_mode(body: &str) -> String {
    let strokes = body.split("stroke=\"").skip(1).filter_map(|rest| Color::parse(rest.split('"').next()?));
    let marks = ["<circle ", "<polygon "].iter().flat_map(|mark| body.split(mark).skip(1)).filter_map(|rest| {
        let element = rest.split('>').next()?;
        Color::parse(element.split("fill=\"").nth(1)?.split('"').next()?)
    });
    let colors: BTreeSet<String> = strokes
        .chain(marks)
        .filter(|color| ![BLACK, WHITE, GRID].contains(color) && color.in_dark_mode() != *color)
        .map(|color| {
            let lighter = color.in_dark_mode();
            format!(
                "  svg [stroke='{color}'] {{ stroke: {lighter} }} svg :is(circle, polygon)[fill='{color}'] {{ fill: {lighter} }}\n"
            )
        })
        .collect();
    let rules: String = colors.into_iter().collect();
    if rules.is_empty() { rules } else { format!("@media screen and (prefers-color-scheme: dark) {{\n{rules}}}\n") }
}
