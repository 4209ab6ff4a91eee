//! The kernels and steps of several adapters or results, side by side.

use super::super::duration;
use super::super::grouped::Grouped;
use super::tables::{headings, kind_name, model_name};
use crate::bench::report::{AdapterReport, KernelRow};
use crate::numbers::{NONE, fixed};

/// A kernel or step of several adapters: its heading, its name below that, and its seconds on each.
#[derive(Debug, PartialEq)]
struct SideBySide {
    heading: String,
    name: String,
    seconds: Vec<Option<f64>>,
}

/// The kernels and steps of all adapters, in order of appearance. A kernel that an adapter has twice gets two rows.
fn side_by_side(adapters: &[AdapterReport]) -> Vec<SideBySide> {
    let kernels: Vec<&KernelRow> = adapters.iter().flat_map(|measured| &measured.kernels).collect();
    let mut headings = headings(&kernels).into_iter();
    let mut rows: Vec<SideBySide> = Vec::new();
    for (index, measured) in adapters.iter().enumerate() {
        let kernels = measured.kernels.iter().zip(headings.by_ref());
        let kernels = kernels.map(|(row, heading)| (heading, row.variant.clone(), row.timing.median_seconds));
        let steps = measured.steps.iter().map(|step| {
            let name = format!("{} step, batch {}", kind_name(step.kind), step.batch_size);
            (model_name(step), name, step.step_seconds)
        });
        for (heading, name, seconds) in kernels.chain(steps) {
            let is_free = |row: &SideBySide| row.heading == heading && row.name == name && row.seconds[index].is_none();
            let at = rows.iter().position(is_free).unwrap_or_else(|| {
                // Behind the last row of the same heading.
                let end = rows.iter().rposition(|row| row.heading == heading).map_or(rows.len(), |last| last + 1);
                rows.insert(end, SideBySide { heading, name, seconds: vec![None; adapters.len()] });
                end
            });
            rows[at].seconds[index] = Some(seconds);
        }
    }
    rows
}

/// Prints several adapters side by side, each against the first.
pub(super) fn print(titles: &[String], adapters: &[AdapterReport], markdown: bool) {
    let mut header = vec!["variant or step".to_owned()];
    for (index, title) in titles.iter().enumerate() {
        out!("{index}: {title}");
        header.push(format!("time {index}"));
        if index > 0 {
            header.push(format!("{index} / 0"));
        }
    }
    let mut table = Grouped::new("kernel", header, 1);
    for row in side_by_side(adapters) {
        let mut cells = vec![row.name];
        for (index, &seconds) in row.seconds.iter().enumerate() {
            cells.push(seconds.map_or_else(|| NONE.to_owned(), duration));
            if index > 0 {
                let ratio = seconds.zip(row.seconds[0]).map(|(seconds, first)| fixed(seconds / first, 2));
                cells.push(ratio.unwrap_or_else(|| NONE.to_owned()));
            }
        }
        table.row(row.heading, cells);
    }
    table.print(markdown);
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::{adapter, step};
    use super::*;

    #[test]
    fn rows_that_the_first_adapter_lacks_are_shown() {
        let first = adapter(&["relu_forward.quad:length=4"], &[step("train", 1)]);
        let second = adapter(
            &["relu_forward.quad:length=4", "relu_forward.plain:length=4"],
            &[step("train", 1), step("infer", 8)],
        );
        let rows = side_by_side(&[first, second]);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["quad", "plain", "train step, batch 1", "infer step, batch 8"]);
        assert_eq!(rows[1].seconds, [None, Some(1e-3)]);
    }

    #[test]
    fn kernels_of_other_sizes_and_what_was_measured_twice_have_rows_of_their_own() {
        let of_layer = |cases: &[&str], steps: &[serde_json::Value]| {
            let mut measured = adapter(cases, steps);
            measured.kernels.iter_mut().for_each(|row| row.layers = vec!["conv1".to_owned()]);
            measured
        };
        let first = of_layer(&["relu_forward.quad:batch=1,length=4", "relu_forward.quad:batch=1,length=9"], &[]);
        let second = of_layer(&["relu_forward.quad:batch=8,length=4"], &[step("train", 1), step("train", 1)]);
        let rows = side_by_side(&[first, second]);
        let relu = ["batch=1, length=4", "batch=1, length=9", "batch=8, length=4"]
            .map(|sizes| format!("relu_forward (conv1), {sizes}"));
        assert_eq!(rows[..3].iter().map(|row| &row.heading).collect::<Vec<_>>(), relu.iter().collect::<Vec<_>>());
        assert_eq!(rows.len(), 5);
    }
}
