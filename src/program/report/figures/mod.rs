//! The figures of a run. Each has a picture, a description in words, and a table of its numbers.

mod confusion;
mod images;
mod learning;
mod scores;

use anyhow::Result;

use super::data::RunReport;
use crate::program::picture::Picture;
use confusion::confusion;
use images::{augmentation, filter_sheet, gallery, layers};
use learning::{accuracy, kernels, learning_rate, loss, norms};
use scores::{calibration, classes};

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
    pub(super) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: vec![] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// All figures for which the run has data, in the order of the page.
///
/// # Errors
/// If an image cannot be encoded.
pub fn figures(report: &RunReport) -> Result<Vec<Figure>> {
    Ok(sections(report)?.into_iter().flat_map(|(_, figures)| figures).collect())
}

/// The figures under their headings: results, training, layers and time.
pub(super) fn sections(report: &RunReport) -> Result<Vec<(&'static str, Vec<Figure>)>> {
    let (task, mut results) = (&report.record.data.task()?, Vec::new());
    if let Some(evaluation) = &report.evaluation {
        results.push(confusion(evaluation)?);
        results.extend([classes(evaluation), calibration(evaluation)].into_iter().flatten());
    }
    if !report.mistakes.is_empty() {
        let caption = "worst mistakes: label → prediction and its probability";
        results.push(gallery("mistakes", caption, &report.mistakes, task)?);
    }
    if !report.uncertain.is_empty() {
        let caption = "least certain predictions: label → prediction and its probability";
        results.push(gallery("uncertain", caption, &report.uncertain, task)?);
    }
    let mut learning: Vec<Figure> =
        [loss(report), accuracy(report), learning_rate(report)].into_iter().flatten().collect();
    learning.extend(norms(report));
    if !report.augmented.is_empty() {
        learning.push(augmentation(&report.augmented, task, &report.record.settings.augment)?);
    }
    let mut seen = Vec::new();
    if let Some(filters) = &report.filters {
        seen.push(filter_sheet(filters)?);
    }
    for (number, activations) in report.activations.iter().enumerate() {
        seen.push(layers(number, &activations.shown, task, &activations.layers)?);
    }
    let time = if report.kernels.is_empty() { vec![] } else { vec![kernels(report)] };
    let sections =
        [("Results on the test images", results), ("Training", learning), ("Layers", seen), ("Time of a step", time)];
    Ok(sections.into_iter().filter(|(_, figures)| !figures.is_empty()).collect())
}
