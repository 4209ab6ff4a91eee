//! The figures of a run: each a picture, what it shows in words, and the numbers behind it.

mod images;
mod learning;
mod scores;

use anyhow::Result;

use super::data::RunReport;
use crate::picture::Picture;
use images::{filter_sheet, gallery, layers};
use learning::{accuracy, kernels, learning_rate, loss, norms};
use scores::{calibration, classes, confusion};

/// A picture and what belongs to it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The name of its file, without ending.
    pub name: String,
    /// What it shows, for those who cannot see it.
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
    pub(super) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: vec![] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// All figures that a run has something for, in the order of the page.
///
/// # Errors
/// Where a picture cannot be drawn.
pub fn figures(report: &RunReport) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if !report.epochs.is_empty() {
        figures.extend([loss(report)?, accuracy(report)?, learning_rate(report)?, norms(report)?]);
    }
    if let Some(evaluation) = &report.evaluation {
        figures.extend([confusion(evaluation)?, classes(evaluation)?, calibration(evaluation)?]);
    }
    if !report.mistakes.is_empty() {
        let caption = "the worst mistakes: label → prediction, its probability";
        figures.push(gallery("mistakes", caption, &report.mistakes)?);
    }
    if !report.uncertain.is_empty() {
        let caption = "the most uncertain: label → prediction, its probability";
        figures.push(gallery("uncertain", caption, &report.uncertain)?);
    }
    if let Some(filters) = &report.filters {
        figures.push(filter_sheet(filters)?);
    }
    for (number, activations) in report.activations.iter().enumerate() {
        figures.push(layers(number, &activations.digit, &activations.layers)?);
    }
    if !report.kernels.is_empty() {
        figures.push(kernels(report)?);
    }
    Ok(figures)
}
