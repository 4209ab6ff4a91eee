//! The figures of a run, under their headings.

use anyhow::Result;

use super::data::RunReport;
use crate::figures::{
    Figure, accuracy, augmentation, calibration, classes, confusion, filter_sheet, gallery, kernels, layers,
    learning_rate, loss, norms,
};

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
        [loss(&report.epochs, &report.curve), accuracy(&report.epochs), learning_rate(&report.curve)]
            .into_iter()
            .flatten()
            .collect();
    learning.extend(norms(&report.epochs));
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
    let time = if report.kernels.is_empty() { vec![] } else { vec![kernels(&report.kernels)] };
    let sections =
        [("Results on the test images", results), ("Training", learning), ("Layers", seen), ("Time of a step", time)];
    Ok(sections.into_iter().filter(|(_, figures)| !figures.is_empty()).collect())
}
