//! Numbers for people, in tables, sentences and axes: with as many digits as are needed to distinguish them.

use std::fmt::{Display, LowerExp};

/// The sign for a missing number: one that is not finite, or was not measured.
pub(crate) const NONE: &str = "–";

/// Numbers of these sizes are written in full; others as a power of ten.
const PLAIN: std::ops::Range<f64> = 1e-4..1e6;

/// The longest number on an axis that is written in full.
const LONGEST_PLAIN_TICK: usize = 7;

/// A number with the shortest digits that identify it: `0.00025`, `1e-7`, `224000`.
pub(crate) fn exact(value: impl Into<f64> + Display + LowerExp + Copy) -> String {
    match value.into() {
        wide if !wide.is_finite() => NONE.to_owned(),
        wide if wide == 0.0 || PLAIN.contains(&wide.abs()) => value.to_string(),
        _ => format!("{value:e}"),
    }
}

/// A measured number with this many significant digits, without trailing zeros.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || PLAIN.contains(&value.abs()) {
        let places = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
        without_zeros(&format!("{value:.places$}")).to_owned()
    } else {
        format!("{}e{exponent}", without_zeros(mantissa))
    }
}

/// A number with so many decimals.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { NONE.to_owned() }
}

/// A loss with four decimals, or with four significant digits if it is very small or very large.
pub(crate) fn loss(value: f64) -> String {
    if value == 0.0 || (1e-3..1e3).contains(&value.abs()) { format!("{value:.4}") } else { significant(value, 4) }
}

/// A fraction from 0 to 1 in per cent with two decimals. Only exactly 1 is 100.00, and only exactly 0 is 0.00.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    match text.as_str() {
        _ if !share.is_finite() => NONE.to_owned(),
        "100.00" if share < 1.0 => "99.99".to_owned(),
        "0.00" if share > 0.0 => "<0.01".to_owned(),
        _ => text,
    }
}

/// A number with commas between the thousands.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds in a suitable unit.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        seconds if !seconds.is_finite() => NONE.to_owned(),
        seconds if seconds >= 3600.0 => {
            format!("{:.0} h {:.0} min", (seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor())
        }
        seconds if seconds >= 120.0 => format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor()),
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 1e-3 => format!("{:.2} ms", 1e3 * seconds),
        seconds if seconds >= 1e-7 || seconds == 0.0 => format!("{:.1} µs", 1e6 * seconds),
        seconds => format!("{} s", significant(seconds, 2)),
    }
}

/// The numbers of an axis, in one style and with enough digits to differ from their neighbours.
pub(crate) fn ticks(values: &[f64]) -> Vec<String> {
    let distances = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).filter(|&distance| distance > 0.0);
    let least = distances.fold(f64::INFINITY, f64::min);
    // A tick may be off by an invisible amount.
    let is_right = |text: &String, value: &f64| {
        text.parse().is_ok_and(|read: f64| (read - value).abs() <= 1e-3 * least.min(value.abs()))
    };
    let with_digits = |write: &dyn Fn(usize, f64) -> String| {
        let all = |digits| values.iter().map(|&value| write(digits, value)).collect::<Vec<_>>();
        let enough = (0..17).find(|&digits| all(digits).iter().zip(values).all(|(text, value)| is_right(text, value)));
        all(enough.unwrap_or(17))
    };
    let plain = with_digits(&|places, value| format!("{value:.places$}"));
    if plain.iter().all(|text| text.trim_start_matches('-').len() <= LONGEST_PLAIN_TICK) {
        return plain.into_iter().map(|text| with_commas(&text)).collect();
    }
    let scientific = with_digits(&|digits, value| format!("{value:.digits$e}"));
    scientific.into_iter().map(|text| short_scientific(&text)).collect()
}

/// An integer of five digits or more with commas; any other number unchanged.
fn with_commas(text: &str) -> String {
    match text.parse::<usize>() {
        Ok(number) if number >= 10_000 => thousands(number),
        _ if text.trim_matches(['-', '0', '.']).is_empty() => "0".to_owned(),
        _ => text.to_owned(),
    }
}

/// `1.50e-4` as `1.5e-4`, and `0e0` as `0`.
fn short_scientific(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, "0")) => without_zeros(mantissa).to_owned(),
        Some((mantissa, exponent)) => format!("{}e{exponent}", without_zeros(mantissa)),
        None => text.to_owned(),
    }
}

/// A number without trailing zeros in its decimals.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_written_with_its_own_digits() {
        assert_eq!(exact(0.00025), "0.00025");
        assert_eq!(exact(0.00025f32), "0.00025");
        assert_eq!(exact(1e-7), "1e-7");
        assert_eq!([0.0, 1.0, 0.1, 5e20, 123_456.0].map(exact), ["0", "1", "0.1", "5e20", "123456"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(exact), [NONE, NONE]);
    }

    #[test]
    fn measured_numbers_have_significant_digits() {
        let four = |value| significant(value, 4);
        assert_eq!([0.0, 2.5, 0.00041237, 1234.56, 99_999.9].map(four), ["0", "2.5", "0.0004124", "1235", "100000"]);
        assert_eq!([4.1237e-8, 5e20, -1e-7, 1e-300].map(four), ["4.124e-8", "5e20", "-1e-7", "1e-300"]);
        assert_eq!(four(f64::NAN), NONE);
    }

    #[test]
    fn a_loss_is_never_zero_unless_it_is() {
        assert_eq!([0.0, 0.0421, 2.345_678, 0.001].map(loss), ["0.0000", "0.0421", "2.3457", "0.0010"]);
        assert_eq!([0.000_123_45, 1e-9, 5e20, 12_345.678].map(loss), ["0.0001234", "1e-9", "5e20", "12346"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(loss), [NONE, NONE]);
    }

    #[test]
    fn only_all_is_a_hundred_per_cent() {
        assert_eq!(percent(39_999.0 / 40_000.0), "99.99");
        assert_eq!([0.0, 1e-6, 0.844, 0.9912, 1.0].map(percent), ["0.00", "<0.01", "84.40", "99.12", "100.00"]);
        assert_eq!(percent(f64::NAN), NONE);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 60_000, 1_234_567].map(thousands), ["0", "999", "1,000", "60,000", "1,234,567"]);
    }

    #[test]
    fn durations_have_a_unit_that_suits_them() {
        assert_eq!([2.5, 0.0123, 4.2e-6, 1e-9].map(duration), ["2.50 s", "12.30 ms", "4.2 µs", "1e-9 s"]);
        assert_eq!([59.994, 1092.3, 7_290.0].map(duration), ["59.99 s", "18 min 12 s", "2 h 1 min"]);
        assert_eq!(duration(f64::NAN), NONE);
    }

    #[test]
    fn ticks_are_told_apart() {
        let by = |step: f64| ticks(&[0, 1, 2, 3, 4, 5].map(|number| f64::from(number) * step));
        assert_eq!(by(0.00005), ["0", "0.00005", "0.00010", "0.00015", "0.00020", "0.00025"]);
        assert_eq!(by(2e-8), ["0", "2e-8", "4e-8", "6e-8", "8e-8", "1e-7"]);
        assert_eq!(by(50_000.0), ["0", "50,000", "100,000", "150,000", "200,000", "250,000"]);
        assert_eq!(by(1e20), ["0", "1e20", "2e20", "3e20", "4e20", "5e20"]);
        assert_eq!(by(0.5), ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(ticks(&[1e9, 1e9 + 1.0, 1e9 + 2.0]), ["1e9", "1.000000001e9", "1.000000002e9"]);
        assert_eq!(ticks(&[-0.2, 0.0, 0.2]), ["-0.2", "0", "0.2"]);
    }
}
