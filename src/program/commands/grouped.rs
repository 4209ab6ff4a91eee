//! Tables with rows in groups below a heading, so that they fit 80 columns even if names are long.

use comfy_table::{CellAlignment, Table, presets};

/// The standard width of a terminal.
const WIDTH: usize = 80;

/// A table in groups.
pub(super) struct Grouped {
    /// The title of the headings' column in Markdown.
    title: &'static str,
    header: Vec<String>,
    /// The number of first columns that are aligned to the left.
    left: usize,
    rows: Vec<(String, Vec<String>)>,
}

impl Grouped {
    /// An empty table. `title` is the title of the headings' column, and the first `left` columns hold text.
    pub(super) fn new<T: Into<String>>(title: &'static str, header: impl IntoIterator<Item = T>, left: usize) -> Self {
        Self { title, header: header.into_iter().map(Into::into).collect(), left, rows: vec![] }
    }

    /// Appends a row. A new group begins if the row before has another heading.
    pub(super) fn row(&mut self, heading: impl Into<String>, cells: impl IntoIterator<Item = String>) {
        self.rows.push((heading.into(), cells.into_iter().collect()));
    }

    /// Prints the table. In Markdown the headings are the first column.
    pub(super) fn print(&self, markdown: bool) {
        let lines = if markdown { self.markdown() } else { self.lines() };
        lines.iter().for_each(|line| out!("{line}"));
    }

    /// The rows, each with its heading.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &[(String, Vec<String>)] {
        &self.rows
    }

    fn markdown(&self) -> Vec<String> {
        let mut table = Table::new();
        let header: Vec<&str> = [self.title].into_iter().chain(self.header.iter().map(String::as_str)).collect();
        table.load_style(presets::ASCII_MARKDOWN).set_header(header);
        for (heading, cells) in &self.rows {
            table.add_row(std::iter::once(heading).chain(cells));
        }
        self.align(&mut table, self.left + 1, (1, 1));
        trimmed(&table)
    }

    fn lines(&self) -> Vec<String> {
        let wide = self.lines_with_gap(2);
        if wide.iter().all(|line| line.chars().count() <= WIDTH) { wide } else { self.lines_with_gap(1) }
    }

    fn lines_with_gap(&self, gap: u16) -> Vec<String> {
        // Leave out empty columns.
        let is_used = |column: usize| self.rows.iter().any(|(_, cells)| !cells[column].is_empty());
        let used: Vec<usize> = (0..self.header.len()).filter(|&column| is_used(column)).collect();
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(used.iter().map(|&column| &self.header[column]));
        for (_, cells) in &self.rows {
            table.add_row(used.iter().map(|&column| &cells[column]));
        }
        self.align(&mut table, used.iter().filter(|&&column| column < self.left).count(), (0, gap));
        let mut rows = trimmed(&table).into_iter().map(|line| format!(" {line}"));
        let mut lines: Vec<String> = rows.next().into_iter().collect();
        let mut last: Option<&str> = None;
        for ((heading, _), row) in self.rows.iter().zip(rows) {
            if last != Some(heading) {
                lines.push(heading.clone());
            }
            lines.push(row);
            last = Some(heading);
        }
        lines
    }

    fn align(&self, table: &mut Table, left: usize, padding: (u16, u16)) {
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding(padding);
            if index >= left {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
}

fn trimmed(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Grouped {
        let mut table = Grouped::new("kernel", ["variant", "time", "empty"], 1);
        for (heading, variant, time) in
            [("relu", "plain", "12 ms"), ("relu", "vec4", "1 ms"), ("dense", "plain", "3 s")]
        {
            table.row(heading, [variant, time, ""].map(str::to_owned));
        }
        table
    }

    #[test]
    fn rows_of_a_group_stand_below_one_heading() {
        let wanted = [" variant   time", "relu", " plain    12 ms", " vec4      1 ms", "dense", " plain      3 s"];
        assert_eq!(table().lines(), wanted);
    }

    #[test]
    fn markdown_repeats_the_heading_and_keeps_every_column() {
        let lines = table().markdown();
        assert_eq!(lines[0], "| kernel | variant |  time | empty |");
        assert_eq!(lines[3], "| relu   | vec4    |  1 ms |       |");
    }

    #[test]
    fn a_wide_table_stands_closer() {
        let mut table = Grouped::new("", (0..10).map(|_| "12345"), 0);
        table.row("heading", (0..10).map(|_| "1234567".to_owned()));
        assert!(table.lines().iter().all(|line| line.chars().count() <= 80), "{:?}", table.lines());
    }
}
