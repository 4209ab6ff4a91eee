//! The frame of a diagram: two axes with their numbers and a grid.

use super::axis::Axis;
use super::color::{GREY, GRID};
use super::text::{self, Style};
use super::{Picture, Place, Stroke};

/// The position and the axes of a diagram.
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    /// Font size.
    pub(crate) letters: f64,
}

impl Frame {
    /// The position of a point; none if it lies outside an axis.
    pub(crate) fn place(&self, [horizontal, vertical]: [&Axis; 2], (x, y): (f64, f64)) -> Option<Place> {
        let (x, y) = (horizontal.place(x)?, vertical.place(y)?);
        Some((self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top)))
    }

    /// Draws the grid lines of the vertical axis, the numbers of both axes, and the title of the horizontal one.
    pub(crate) fn draw_grid(&self, picture: &mut Picture, horizontal: &Axis, vertical: &Axis, title: &str) {
        let style = Style::new(self.letters);
        for tick in &vertical.ticks {
            let Some((_, y)) = self.place([horizontal, vertical], (horizontal.start(), tick.value)) else { continue };
            picture.line(&[(self.left, y), (self.right, y)], Stroke::new(GRID, 1.0));
            picture.text((self.left - 6.0, y), style.to_the_left(), &tick.text);
        }
        for tick in &horizontal.ticks {
            let Some((x, _)) = self.place([horizontal, vertical], (tick.value, vertical.start())) else { continue };
            picture.line(&[(x, self.bottom), (x, self.bottom + 4.0)], Stroke::new(GREY, 1.0));
            // A number at the edge stays within the picture.
            let half = text::width(&tick.text, self.letters) / 2.0;
            let middle = x.min(picture.width() - half - 1.0).max(half);
            picture.text((middle, self.bottom + 14.0), style.centered(), &tick.text);
        }
        picture.line(&[(self.left, self.bottom), (self.right, self.bottom)], Stroke::new(GREY, 1.0));
        picture.text(((self.left + self.right) / 2.0, self.bottom + 32.0), style.centered(), title);
    }
}
