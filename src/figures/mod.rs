//! Figures of a run and of a model. Each has a picture, a description in words, and a table of its numbers.

pub(crate) mod chart;
mod confusion;
mod data;
mod images;
mod learning;
mod scores;
mod sheet;

use crate::picture::Picture;
pub use confusion::confusion;
pub use data::{AUGMENTED_STEPS, Augmented, CurvePoint, EpochRow, KernelShare, Norms, TestImage, thin_curve};
pub use images::{augmentation, filter_sheet, gallery, layers};
pub use learning::{accuracy, kernels, learning_rate, loss, norms};
pub use scores::{calibration, classes};
pub use sheet::Sheet;

/// A picture with its description and numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The name of its file, without the extension.
    pub name: String,
    /// A description for readers who cannot see the picture.
    pub alt: String,
    /// The picture.
    pub picture: Picture,
    /// The numbers behind it.
    pub table: Table,
}

/// Rows of text under a header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<String>,
    /// The rows, as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: vec![] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}
