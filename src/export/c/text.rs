//! The text of a C file: its comment, its constants, its helpers and its functions.

use std::fmt::Display;

use anyhow::{Result, ensure};

use super::memory::Memory;
use crate::data::ImageShape;
use crate::weights::SavedModel;

/// The longest line of the lists of numbers.
const WIDTH: usize = 120;

/// A program that reads images and prints probabilities.
const MAIN: &str = include_str!("main.c");

/// A helper: its name, and its text.
pub(super) type Helper = (&'static str, &'static str);

/// A C file in the making.
pub(super) struct Text {
    /// The name before `_probabilities`.
    name: String,
    constants: String,
    /// The lines of the function that computes the steps.
    lines: String,
    /// The bytes of all constants.
    constant_bytes: usize,
}

impl Text {
    /// An empty file whose functions begin with a name.
    ///
    /// # Errors
    /// If the name cannot begin one of C's.
    pub(super) fn new(name: &str) -> Result<Self> {
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        ensure!(
            is_name && !name.starts_with(|letter: char| letter.is_ascii_digit()) && !name.is_empty(),
            "the functions of a C file cannot begin with `{name}`; give letters, digits and _, a letter first"
        );
        Ok(Self { name: name.to_owned(), constants: String::new(), lines: String::new(), constant_bytes: 0 })
    }

    /// Adds constants of a type of so many bytes, and returns their name.
    pub(super) fn array<T: Display>(&mut self, kind: (&str, usize), step: &str, what: &str, values: &[T]) -> String {
        let name = format!("{}_{what}", identifier(step));
        let mut text = format!("static const {} {name}[{}] = {{\n", kind.0, values.len());
        let mut line = String::from("   ");
        for value in values {
            let word = format!(" {value},");
            if line.len() + word.len() > WIDTH {
                text += &line;
                text.push('\n');
                line.truncate(3);
            }
            line += &word;
        }
        self.constants += &format!("{text}{line}\n}};\n\n");
        self.constant_bytes += kind.1 * values.len();
        name
    }

    /// Adds a line to the function.
    pub(super) fn line(&mut self, line: &str) {
        self.lines += &format!("    {line}\n");
    }

    /// The file: a template with its constants, the lines, those helpers that are called, a main function for a memory of
    /// such elements, and what else the template has in double braces.
    pub(super) fn fill(
        self,
        template: &str,
        saved: &SavedModel,
        (element, element_bytes, total): (&str, usize, usize),
        helpers: &[Helper],
        more: &[(&str, &str)],
    ) -> String {
        let task = saved.model.task();
        let number = |number: usize| number.to_string();
        let values = [
            ("main", MAIN.trim_end().to_owned()),
            ("helpers", called(helpers, &self.lines, template)),
            ("constants", self.constants),
            ("lines", self.lines),
            ("origin", origin(saved)),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("name", self.name.clone()),
            ("NAME", self.name.to_uppercase()),
            ("element", element.to_owned()),
            ("bytes", number(task.image().bytes())),
            ("classes", number(task.classes())),
            ("total", number(total)),
            ("total_bytes", number(total * element_bytes)),
            ("constant_bytes", number(self.constant_bytes)),
        ];
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        // `main` comes first, because it has others in itself.
        let fill = |text: String, (key, value): (&str, String)| text.replace(&format!("{{{{{key}}}}}"), &value);
        values.into_iter().chain(more).fold(template.to_owned(), fill)
    }
}

/// The texts of those helpers that are called from one of these texts or from another such helper.
fn called(helpers: &[Helper], lines: &str, template: &str) -> String {
    // A helper may call those before it.
    helpers.iter().rev().fold(String::new(), |called, (name, text)| {
        let is_called = [lines, template, &called].iter().any(|caller| calls(caller, name));
        if is_called { format!("{text}\n{called}") } else { called }
    })
}

/// Whether a text calls a function.
fn calls(text: &str, name: &str) -> bool {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.match_indices(&format!("{name}(")).any(|(at, _)| !text[..at].ends_with(is_of_name))
}

/// A step's name as one of C's.
pub(super) fn identifier(step: &str) -> String {
    step.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

/// The lines of the comment that say what the model is.
fn origin(saved: &SavedModel) -> String {
    let task = saved.model.task();
    let ImageShape { height, width, channels } = task.image();
    let [mean, deviation] = task.pixels();
    let classes: Vec<_> = (0..task.classes()).map(|class| task.class_name(class)).collect();
    let mut lines = vec![
        ("model", saved.model.to_string()),
        (
            "images",
            format!(
                "{height} rows, {width} columns, {channels} channels; bytes x are taken as (x / 255 - {mean}) / {deviation}"
            ),
        ),
        ("classes", classes.join(", ")),
    ];
    lines.extend(saved.data.as_ref().map(|data| ("trained on", data.title())));
    lines.extend(saved.seed.clone().map(|seed| ("seed", seed)));
    lines.into_iter().map(|(key, line)| format!(" *   {:<14} {}\n", format!("{key}:"), in_comment(&line))).collect()
}

/// A text that neither begins nor ends a comment, and is one line.
fn in_comment(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.replace("*/", "* /").replace("/*", "/ *")
}

/// Names each place of the memory after the first value in it, with its shape: pointers to elements of a type.
pub(super) fn name_places(text: &mut Text, kind: &str, values: &[(String, Vec<usize>)], memory: &Memory) {
    for (value, (name, shape)) in values.iter().enumerate().filter(|(value, _)| memory.first[*value] == *value) {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        text.line(&format!("{kind} *{name} = memory + {}; /* {} */", memory.offsets[value], shape.join(" x ")));
    }
}

/// Refuses a memory whose elements C cannot count.
///
/// # Errors
/// If there are more than 2^31.
pub(super) fn ensure_placed(memory: &Memory) -> Result<()> {
    let total = memory.total;
    ensure!(
        i32::try_from(total).is_ok(),
        "the model takes a memory of {total} numbers, more than C's `int` counts; make it smaller"
    );
    Ok(())
}
