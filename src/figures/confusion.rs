//! The confusion matrix of any number of classes.

use anyhow::Result;
use image::{Rgb, RgbImage};

use super::chart::{EDGE, TEXT, WIDTH, caption};
use super::{Figure, Table};
use crate::metrics::{ClassScore, Evaluation};
use crate::numbers::percent;
use crate::picture::color::{COLORS, Color, GREY, GRID};
use crate::picture::text::{self, Style};
use crate::picture::{Picture, Place, Stroke};

/// Where the matrix begins if its classes have numbers for names, and where it ends.
const LEFT: f64 = 34.0;
const RIGHT: f64 = 394.0;

/// The most width of the names of classes.
const WIDEST_NAME: f64 = 90.0;

/// The largest cell, which two classes have.
const MOST_CELL: f64 = 72.0;

/// The smallest cell with a frame; smaller ones are pixels of an image.
const LEAST_CELL: f64 = 12.0;

/// The distance of the numbers of classes at least.
const APART: f64 = 26.0;

/// Rows of the table of mistakes, which matrices with too many classes for a table have instead.
const MISTAKES: usize = 100;

/// The confusion matrix: images by label and prediction.
///
/// # Errors
/// If an image cannot be encoded.
pub fn confusion(evaluation: &Evaluation) -> Result<Figure> {
    let classes = evaluation.confusion.len();
    let names = Names::new(evaluation);
    let left = names.left;
    let cell = ((RIGHT - left) / classes as f64).min(MOST_CELL);
    let mut picture = Picture::new(WIDTH);
    let top = caption(&mut picture, "confusion: images by label and prediction") + 20.0;
    let axis = Style::new(TEXT).centered();
    picture.text((left + cell * classes as f64 / 2.0, top - 26.0), axis, "prediction");
    picture.text((EDGE, top - 26.0), Style::new(TEXT), "label");
    for class in (0..classes).step_by(step(cell)) {
        let middle = cell * (class as f64 + 0.5);
        picture.text((left + middle, top - 10.0), axis, &names.column(class, step(cell) as f64 * cell));
        picture.text((left - 8.0, top + middle), Style::new(TEXT).to_the_left(), &names.rows[class]);
    }
    if cell >= LEAST_CELL {
        draw_cells(&mut picture, evaluation, (left, top), cell);
    } else {
        let image = RgbImage::from_fn(classes as u32, classes as u32, |x, y| {
            let Color(red, green, blue) = fill(evaluation, y as usize, x as usize).map_or(LIGHT, |(fill, _)| fill);
            Rgb([red, green, blue])
        });
        picture.embed(&image, (left, top), cell)?;
        picture.frame((left, top), RIGHT - left, RIGHT - left, Stroke::new(GREY, 1.0));
    }
    picture.reach(top + cell * classes as f64 + 4.0);
    let right = evaluation.right();
    let wrong = evaluation.images as u64 - right;
    let alt = format!(
        "Confusion matrix of {} test images: {right} lie on the diagonal, {wrong} beside it.",
        evaluation.images
    );
    let table = if cell >= LEAST_CELL { matrix(evaluation) } else { mistakes(evaluation) };
    Ok(Figure { name: "confusion".to_owned(), alt, picture, table })
}

/// What stands beside the rows and above the columns.
struct Names {
    rows: Vec<String>,
    left: f64,
}

impl Names {
    /// The names of the classes; numbered if they do not fit above columns.
    fn new(evaluation: &Evaluation) -> Self {
        let row = |score: &ClassScore| {
            let (name, number) = (score.name(), score.class.to_string());
            let text = if *name == number || name.chars().count() < 3 {
                name.into_owned()
            } else {
                format!("{name} {number}")
            };
            // The number stays where the name is too long.
            if text::width(&text, TEXT) <= WIDEST_NAME {
                return text;
            }
            let room = WIDEST_NAME - text::width(&format!(" {number}"), TEXT);
            format!("{} {number}", text::shortened(&score.name(), TEXT, room))
        };
        let rows: Vec<String> = evaluation.classes.iter().map(row).collect();
        let widest = rows.iter().map(|row| text::width(row, TEXT)).fold(0.0, f64::max);
        Self { rows, left: LEFT.max(widest + 8.0 + EDGE) }
    }

    /// What stands above a column: the name, or its number if the name is wider than the place.
    fn column(&self, class: usize, place: f64) -> String {
        let name = &self.rows[class];
        if text::width(name, TEXT) + 4.0 <= place { name.clone() } else { class.to_string() }
    }
}

// Not the page's black and white, which dark mode swaps: texts stand on fixed colours.
const DARK: Color = Color(1, 1, 1);
const LIGHT: Color = Color(254, 254, 254);

/// From one numbered class to the next, if a cell has this size: 1, 2, 5, 10, 20, ...
fn step(cell: f64) -> usize {
    let mut steps = (0..).flat_map(|exponent| [1, 2, 5].map(|mantissa| mantissa * 10usize.pow(exponent)));
    steps.find(|&step| step as f64 * cell >= APART).unwrap_or(1)
}

/// The colour of a cell and its strength, from 0 to 1; none without images.
fn fill(evaluation: &Evaluation, label: usize, prediction: usize) -> Option<(Color, f64)> {
    let row = &evaluation.confusion[label];
    let share = row[prediction] as f64 / row.iter().sum::<u64>().max(1) as f64;
    // The scale is logarithmic down to a thousandth, because mistakes are rare and must be visible.
    let strength = (1.0 + share.log10() / 3.0).clamp(0.0, 1.0) * 0.85 + 0.15;
    let color = if label == prediction { COLORS[0] } else { COLORS[1] };
    (row[prediction] > 0).then(|| (LIGHT.mixed(color, strength), strength))
}

/// A framed square for each cell, with its count if all counts fit.
fn draw_cells(picture: &mut Picture, evaluation: &Evaluation, (left, top): Place, cell: f64) {
    let side = cell - 2.0;
    let counts = evaluation.confusion.iter().flatten().map(|&count| text::width(&short_count(count), TEXT));
    let are_counted = cell >= 1.4 * TEXT && counts.fold(0.0, f64::max) <= side;
    for (label, row) in evaluation.confusion.iter().enumerate() {
        for (prediction, &count) in row.iter().enumerate() {
            let (x, y) = (left + cell * prediction as f64, top + cell * label as f64);
            let Some((fill, strength)) = fill(evaluation, label, prediction) else {
                picture.frame((x, y), side, side, Stroke::new(GRID, 1.0));
                continue;
            };
            picture.rectangle((x, y), side, side, fill);
            if are_counted {
                let letters = Style::new(TEXT).centered().colored(if strength > 0.6 { LIGHT } else { DARK });
                picture.text((x + side / 2.0, y + side / 2.0), letters, &short_count(count));
            }
        }
    }
}

/// A count that fits a cell: counts of five digits or more as `12k`.
fn short_count(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// All counts, and their shares of the label's images.
fn matrix(evaluation: &Evaluation) -> Table {
    let classes: Vec<String> = evaluation.classes.iter().map(|score| format!("as {}", score.name())).collect();
    let mut table = Table::new(&[&["label"], &classes.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let support = row.iter().sum::<u64>().max(1) as f64;
        let cell = |&count: &u64| format!("{count} ({} %)", percent(count as f64 / support));
        table.row(std::iter::once(evaluation.classes[label].name().into_owned()).chain(row.iter().map(cell)));
    }
    table
}

/// The most frequent mistakes.
fn mistakes(evaluation: &Evaluation) -> Table {
    let mut table = Table::new(&["label", "taken for", "images", "of the label's, %"]);
    for mistake in evaluation.mistakes().into_iter().take(MISTAKES) {
        let share = percent(mistake.images as f64 / evaluation.classes[mistake.label].support as f64);
        let [label, prediction] =
            [mistake.label, mistake.prediction].map(|class| evaluation.classes[class].name().into_owned());
        table.row([label, prediction, mistake.images.to_string(), share]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageShape, Task};

    #[test]
    fn counts_fit_their_cells() {
        let width = |count| text::width(&short_count(count), TEXT);
        assert!([0, 9, 1_135, 9_999, 60_000, 999_999, 5_000_000].into_iter().all(|count| width(count) <= 34.0));
    }

    /// Nine of ten images of each class are right, and one is taken for the next.
    fn evaluation(classes: usize) -> Evaluation {
        let labels: Vec<u16> = (0..10 * classes).map(|image| (image / 10) as u16).collect();
        let task = Task::new(ImageShape::MNIST, classes).unwrap();
        let probabilities: Vec<Vec<f32>> = (0..10 * classes)
            .map(|image| (image / 10 + usize::from(image % 10 == 3)) % classes)
            .map(|prediction| (0..classes).map(|class| f32::from(class == prediction)).collect())
            .collect();
        Evaluation::new(&task, &probabilities, &vec![0.1; labels.len()], &labels)
    }

    #[test]
    fn a_matrix_of_any_number_of_classes_fits_the_page() {
        for (classes, step, rows) in [(2, 1, 2), (10, 1, 10), (26, 2, 26), (100, 10, 100), (256, 20, 100)] {
            let figure = confusion(&evaluation(classes)).unwrap();
            let svg = figure.picture.svg();
            for class in (0..classes).step_by(step) {
                assert!(
                    svg.matches(&format!(">{class}</text>")).count() >= 2,
                    "{class} of {classes} is not at both axes"
                );
            }
            assert_eq!(figure.table.rows.len(), rows, "{classes}");
            assert!(figure.picture.height() <= 440.0, "{classes}: {}", figure.picture.height());
            assert!(svg.len() < 150_000, "{classes}: {} bytes", svg.len());
            assert!(figure.alt.contains(&format!("{} lie on the diagonal", 9 * classes)), "{}", figure.alt);
        }
    }

    #[test]
    fn numbers_of_classes_keep_their_distance() {
        assert_eq!([72.0, 36.0, 20.0, 13.8, 3.6, 1.4].map(step), [1, 1, 2, 2, 10, 20]);
    }
}
