//! Parsers of option values. Each refuses values that make no sense.

use crate::program::files::Destination;

/// The destination of a picture.
pub(super) fn picture() -> impl clap::builder::TypedValueParser<Value = Destination> {
    use clap::builder::TypedValueParser;
    clap::builder::OsStringValueParser::new().try_map(crate::program::picture::destination)
}

pub(super) fn positive() -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser;
    clap::value_parser!(u32).range(1..).map(|number| number as usize)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}

/// A number that devices compute with: 0, or a number that is normal as a 32-bit float.
fn single_precision(text: &str) -> Result<f64, String> {
    let number = number(text)?;
    let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
    if number == 0.0 || !number.is_finite() || (number as f32).is_normal() {
        return Ok(number);
    }
    Err(format!("must fit single precision: from {least:e} to {most:e}"))
}

pub(super) fn positive_number(text: &str) -> Result<f64, String> {
    let number = single_precision(text)?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("must be above 0".to_owned()) }
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    let number = single_precision(text)?;
    if number >= 0.0 && number.is_finite() { Ok(number) } else { Err("must be 0 or more".to_owned()) }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let number = single_precision(text)?;
    // A number just below 1 rounds to 1 in single precision.
    if number >= 0.0 && (number as f32) < 1.0 { Ok(number) } else { Err("must be at least 0 and below 1".to_owned()) }
}

/// A percentage, with or without the sign, as a fraction.
pub(super) fn percentage(text: &str) -> Result<f64, String> {
    let number = number(text.trim_end_matches('%'))?;
    if number >= 0.0 && number.is_finite() { Ok(number / 100.0) } else { Err("must be 0 % or more".to_owned()) }
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = number(text)?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("must be from 0 to 100".to_owned()) }
}
