//! What was read, on the terminal, as JSON and as CSV.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::ser::SerializeStruct as _;

use super::super::{percent, print_table, table};
use crate::data::{CLASSES, IMAGE_SIDE};
use crate::inference::Views;
use crate::photo::{Digit, Reading};
use crate::program::files::Destination;
use crate::program::terminal::one_line;

/// One picture.
pub(super) struct Prediction {
    pub(super) image: String,
    pub(super) views: Views,
    pub(super) reading: Reading,
}

impl Prediction {
    /// Its numbers, a line for each row.
    fn text(&self) -> String {
        self.reading.text()
    }

    /// Why it is uncertain, a line for each reason.
    fn notes(&self) -> Vec<String> {
        let digits: Vec<&Digit> = self.reading.digits().collect();
        let of_digit = |(number, digit): (usize, &&Digit)| {
            let doubt = digit.doubt.as_ref()?;
            Some(if digits.len() == 1 {
                doubt.clone()
            } else {
                format!("digit {}, {}: {doubt}", number + 1, digit.digit)
            })
        };
        let of_digits = digits.iter().enumerate().filter_map(of_digit);
        self.reading.doubts.iter().cloned().chain(of_digits).collect()
    }
}

impl Serialize for Prediction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let removed: Vec<String> = self.reading.removed.iter().map(ToString::to_string).collect();
        let numbers: Vec<String> = self.text().lines().map(str::to_owned).collect();
        let mut fields = serializer.serialize_struct("Prediction", 8)?;
        fields.serialize_field("image", &self.image)?;
        fields.serialize_field("numbers", &numbers)?;
        fields.serialize_field("rows", &self.reading.rows)?;
        fields.serialize_field("confidence", &self.reading.confidence())?;
        fields.serialize_field("ink", if self.reading.is_dark { "dark" } else { "light" })?;
        fields.serialize_field("removed", &removed)?;
        fields.serialize_field("remarks", &self.notes())?;
        fields.serialize_field("views", &self.views)?;
        fields.end()
    }
}

/// Writes a line for each digit.
pub(super) fn write_csv(predictions: &[Prediction], output: &Destination) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let classes = (0..CLASSES).map(|class| format!("p{class}"));
    let header = ["image", "row", "place", "digit", "probability", "left", "top", "right", "bottom", "doubt"];
    table.write_record(header.map(str::to_owned).into_iter().chain(classes))?;
    for Prediction { image, reading, .. } in predictions {
        for (row, digits) in reading.rows.iter().enumerate() {
            for (place, digit) in digits.iter().enumerate() {
                let Digit { digit, probabilities, frame, doubt, .. } = digit;
                let counted = [row + 1, place + 1, *digit].map(|number| number.to_string());
                let frame = frame.map(|side| format!("{side:.0}"));
                let record = std::iter::once(image.clone())
                    .chain(counted)
                    .chain([probabilities[*digit].to_string()])
                    .chain(frame)
                    .chain([doubt.clone().unwrap_or_default()])
                    .chain(probabilities.iter().map(ToString::to_string));
                table.write_record(record)?;
            }
        }
    }
    output.write(&table.into_inner().context("cannot make the table")?)
}

/// Prints the number, and its digits; a single digit as the model sees it.
pub(super) fn print_one(prediction: &Prediction) {
    let digits: Vec<&Digit> = prediction.reading.digits().collect();
    if let [only] = &digits[..] {
        print_digit(only);
    } else {
        print_digits(prediction);
    }
    let text = prediction.text();
    let separator = if text.contains('\n') { "\n" } else { " " };
    out!("{}:{separator}{text}", one_line(&prediction.image));
    prediction.notes().iter().for_each(|note| out!("note: {note}"));
}

/// Prints the digit as the model sees it, two rows a line, with a bar for each class beside it.
fn print_digit(digit: &Digit) {
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    const BAR: f32 = 30.0;
    for line in 0..IMAGE_SIDE / 2 {
        let shade = |x: usize| {
            let [above, below] = [0, 1].map(|row| usize::from(digit.pixels[(2 * line + row) * IMAGE_SIDE + x]));
            SHADES[(above + below) * SHADES.len() / 511]
        };
        let picture: String = (0..IMAGE_SIDE).map(shade).collect();
        let bar = line.checked_sub(2).filter(|&class| class < CLASSES).map_or_else(String::new, |class| {
            let probability = digit.probabilities[class];
            let length = (BAR * probability).round() as usize;
            format!("  {class} {:>6} % {}", percent(f64::from(probability)), "█".repeat(length))
        });
        out!("{}", format!("{picture}{bar}").trim_end());
    }
}

/// Prints a line for each digit: its probability, the next best, and where it is.
fn print_digits(prediction: &Prediction) {
    let mut table = table(&["row", "digit", "%", "next", "%", "left", "top", "width", "height"], 0);
    for (row, digits) in prediction.reading.rows.iter().enumerate() {
        for digit in digits {
            let (next, share) = next_best(digit);
            let [left, top, right, bottom] = digit.frame;
            let frame = [left, top, right - left, bottom - top].map(|side| format!("{side:.0}"));
            let cells = [(row + 1).to_string(), digit.digit.to_string(), percent_of(digit, digit.digit), next, share];
            table.add_row(cells.into_iter().chain(frame));
        }
    }
    print_table(&table);
}

/// Prints a line for each picture: its number, and its least certain digit. Rows are joined with a slash.
pub(super) fn print_several(predictions: &[Prediction]) {
    let mut table = table(&["image", "number", "least %", "next", "%"], 2);
    for prediction in predictions {
        let probability = |digit: &&Digit| digit.probabilities[digit.digit];
        let least = prediction.reading.digits().min_by(|a, b| probability(a).total_cmp(&probability(b)));
        let Some(least) = least else { continue };
        let (next, share) = next_best(least);
        let number = prediction.text().replace('\n', "/");
        table.add_row([one_line(&prediction.image), number, percent_of(least, least.digit), next, share]);
    }
    print_table(&table);
    for prediction in predictions {
        for note in prediction.notes() {
            out!("note: {}: {note}", one_line(&prediction.image));
        }
    }
}

fn percent_of(digit: &Digit, class: usize) -> String {
    percent(f64::from(digit.probabilities[class]))
}

/// The second most probable class, and its probability.
fn next_best(digit: &Digit) -> (String, String) {
    let others = (0..CLASSES).filter(|class| *class != digit.digit);
    let next = others.max_by(|&a, &b| digit.probabilities[a].total_cmp(&digit.probabilities[b])).unwrap_or_default();
    (next.to_string(), percent_of(digit, next))
}
