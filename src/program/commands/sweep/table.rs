//! The result of a sweep: a row for each setting, and the runs that failed.

use super::super::{percent, print_table, table};
use crate::numbers::{NONE, fixed};
use crate::program::report::RunReport;

/// A row of the table.
pub(super) struct Row {
    name: String,
    runs: usize,
    seeds: usize,
    /// The mean, with half the width of its 95 % interval if there are several runs; none without runs.
    validation: Option<(f64, Option<f64>)>,
    test: Option<(f64, Option<f64>)>,
    /// The standard deviation of the test accuracy; none for fewer than two runs.
    deviation: Option<f64>,
    seconds: f64,
}

impl Row {
    /// Summarises the successful runs of a setting, out of one run for each seed.
    pub(super) fn new(name: String, runs: &[(String, RunReport)], seeds: usize) -> Self {
        let validation: Vec<f64> = runs.iter().filter_map(|(_, report)| validation_accuracy(report)).collect();
        let test: Vec<f64> = runs.iter().filter_map(|(_, report)| Some(report.evaluation.as_ref()?.accuracy)).collect();
        let seconds: f64 = runs.iter().flat_map(|(_, report)| &report.epochs).map(|epoch| epoch.seconds).sum();
        Self {
            name,
            runs: runs.len(),
            seeds,
            validation: mean_and_interval(&validation),
            test: mean_and_interval(&test),
            deviation: deviation(&test),
            seconds: seconds / runs.len().max(1) as f64,
        }
    }

    /// The sort key: settings without a failed run come first, then those with the best validation accuracy.
    fn rank(&self) -> (bool, f64) {
        (self.runs == self.seeds, self.validation.map_or(f64::NEG_INFINITY, |(mean, _)| mean))
    }
}

/// The validation accuracy after the last epoch of a run, if it held images out.
pub(super) fn validation_accuracy(report: &RunReport) -> Option<f64> {
    report.epochs.last()?.validation_accuracy
}

/// Prints the table, the best setting first, and which runs failed.
pub(super) fn print(mut rows: Vec<Row>, failures: &[(String, String)]) {
    rows.sort_by(|a, b| {
        let ((a_whole, a_score), (b_whole, b_score)) = (a.rank(), b.rank());
        b_whole.cmp(&a_whole).then(b_score.total_cmp(&a_score))
    });
    let mut table = table(&["setting", "runs", "validation %", "test %", "sd", "seconds"], 1);
    for row in &rows {
        let runs = if row.runs == row.seeds { row.runs.to_string() } else { format!("{} of {}", row.runs, row.seeds) };
        let seconds = if row.runs == 0 { NONE.to_owned() } else { format!("{:.1}", row.seconds) };
        let deviation = row.deviation.map_or_else(|| NONE.to_owned(), |deviation| fixed(100.0 * deviation, 3));
        let [validation, test] = [row.validation, row.test].map(with_interval);
        table.add_row([row.name.clone(), runs, validation, test, deviation, seconds]);
    }
    print_table(&table);
    if !failures.is_empty() {
        out!("\nfailed; the same command tries these runs again:");
    }
    for (name, reason) in failures {
        out!("  {name}: {reason}");
    }
    // Without validation images, or with a single setting, there is nothing to choose.
    if let [best, _, ..] = &rows[..]
        && best.validation.is_some()
    {
        out!("\nchosen by validation accuracy: {}", best.name);
    }
}

/// A mean with its interval: `97.50 ± 0.32`.
fn with_interval(mean: Option<(f64, Option<f64>)>) -> String {
    match mean {
        None => NONE.to_owned(),
        Some((mean, None)) => percent(mean),
        Some((mean, Some(half))) => format!("{} ± {}", percent(mean), percent(half)),
    }
}

/// Mean, and half the width of its 95 % interval by Student's t (Student, "The probable error of a mean", 1908).
fn mean_and_interval(values: &[f64]) -> Option<(f64, Option<f64>)> {
    /// 97.5 % quantiles of the t distribution with 1, 2, 3, ... degrees of freedom.
    const T: [f64; 12] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let Some(deviation) = deviation(values) else { return Some((mean, None)) };
    // With many degrees of freedom the quantile tends to that of the normal distribution; the error is below 0.005.
    let quantile = T.get(values.len() - 2).copied().unwrap_or(1.96 + 2.55 / (count - 1.0));
    Some((mean, Some(quantile * deviation / count.sqrt())))
}

/// The standard deviation of a sample; none of fewer than two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{deviation, mean_and_interval};

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // scipy: t.interval(0.95, 2, loc=2, scale=sem([1, 2, 3])) is (-0.4841, 4.4841).
        let (mean, half) = mean_and_interval(&[1.0, 2.0, 3.0]).unwrap();
        assert!(mean == 2.0 && (half.unwrap_or(0.0) - 2.4841).abs() < 1e-3, "{half:?}");
        assert_eq!(mean_and_interval(&[0.5]), Some((0.5, None)));
        assert_eq!(mean_and_interval(&[]), None);
        assert_eq!((deviation(&[1.0, 2.0, 3.0]), deviation(&[0.5])), (Some(1.0), None));
    }
}
