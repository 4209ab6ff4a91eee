//! Random changes of the training images: a model also learns to read what its data set lacks, such as other pens,
//! slants and proportions.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

use crate::data::{ImageShape, Task};
use crate::names::did_you_mean;

/// The largest change of each kind. In each step each image is changed by a random amount between it and its opposite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// Rotation, in degrees.
    pub rotate: f64,
    /// Share by which the image grows or shrinks.
    pub zoom: f64,
    /// Share by which it becomes wider or narrower in addition.
    pub stretch: f64,
    /// Slant of vertical lines, in degrees.
    pub shear: f64,
    /// Movement along each axis, in pixels.
    pub shift: f64,
    /// Smooth displacement of each pixel along each axis, in pixels; the root mean square is 0.28 of it. See
    /// [`ElasticField`](crate::ops::augment::ElasticField).
    pub elastic: f64,
    /// Strength of the pen: by this share each pixel becomes the lightest or the darkest of the four around its place.
    pub pen: f64,
    /// By this share each pixel becomes the mean of these four; at least by none.
    pub blur: f64,
}

/// A kind of change.
struct Kind {
    word: &'static str,
    /// A usual amount.
    example: f64,
    /// What may follow the number, and what it is then divided by.
    unit: (&'static str, f64),
    /// The largest amount.
    most: f64,
    amount: fn(&mut Augment) -> &mut f64,
}

impl Kind {
    /// How it may be written.
    fn form(&self) -> String {
        format!("{} {}", self.word, self.example)
    }
}

/// All kinds, in the order in which they are printed.
const KINDS: &[Kind] = &[
    Kind { word: "rotate", example: 10.0, unit: ("°", 1.0), most: 90.0, amount: |all| &mut all.rotate },
    Kind { word: "zoom", example: 0.1, unit: ("%", 100.0), most: 0.9, amount: |all| &mut all.zoom },
    Kind { word: "stretch", example: 0.1, unit: ("%", 100.0), most: 0.9, amount: |all| &mut all.stretch },
    Kind { word: "shear", example: 5.0, unit: ("°", 1.0), most: 45.0, amount: |all| &mut all.shear },
    Kind { word: "shift", example: 2.0, unit: ("px", 1.0), most: 255.0, amount: |all| &mut all.shift },
    Kind { word: "elastic", example: 5.0, unit: ("px", 1.0), most: 100.0, amount: |all| &mut all.elastic },
    Kind { word: "pen", example: 0.5, unit: ("%", 100.0), most: 1.0, amount: |all| &mut all.pen },
    Kind { word: "blur", example: 0.5, unit: ("%", 100.0), most: 1.0, amount: |all| &mut all.blur },
];

impl Augment {
    /// No change.
    pub const NONE: Self =
        Self { rotate: 0.0, zoom: 0.0, stretch: 0.0, shear: 0.0, shift: 0.0, elastic: 0.0, pen: 0.0, blur: 0.0 };

    /// What suits digits, and `gpu-digits train` does by default.
    pub const FOR_DIGITS: Self =
        Self { rotate: 10.0, zoom: 0.15, stretch: 0.28, shear: 10.0, shift: 1.5, elastic: 0.0, pen: 1.0, blur: 1.0 };

    /// What suits the images of a task: digits, or pictures of other things, which have neither pens nor proportions that
    /// vary.
    pub fn suiting(task: &Task) -> Self {
        let ImageShape { height, width, .. } = task.image();
        let shift = (height.max(width) as f64 / 16.0).round();
        if task.is_of_digits() { Self::FOR_DIGITS } else { Self { rotate: 5.0, zoom: 0.1, shift, ..Self::NONE } }
    }

    /// Each kind of change alone.
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|kind| {
            let mut one = Self::NONE;
            *(kind.amount)(&mut one) = kind.example;
            one
        })
    }

    /// Whether it changes nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Refuses amounts below 0 or beyond what a kind allows.
    ///
    /// # Errors
    /// If an amount is outside, or no number.
    pub fn check(&self) -> Result<()> {
        let mut all = *self;
        for Kind { word, most, amount, .. } in KINDS {
            let amount = *amount(&mut all);
            ensure!((0.0..=*most).contains(&amount), "`{word} {amount}` must be from 0 to {most}");
        }
        Ok(())
    }
}

impl fmt::Display for Augment {
    /// The text that [`FromStr`] reads: `rotate 10, shift 2`, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = *self;
        let amounts = KINDS.iter().map(|kind| (kind.word, *(kind.amount)(&mut all)));
        let texts: Vec<String> =
            amounts.filter(|(_, amount)| *amount != 0.0).map(|(word, amount)| format!("{word} {amount}")).collect();
        f.write_str(&if texts.is_empty() { "none".to_owned() } else { texts.join(", ") })
    }
}

impl FromStr for Augment {
    type Err = Error;

    /// Reads changes between commas, in any order, each at most once: `rotate 10, zoom 0.1`, `Shift 2px` or `none`.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim().to_lowercase();
        let mut all = Self::NONE;
        if text == "none" {
            return Ok(all);
        }
        let mut seen = Vec::new();
        for change in text.split(',').map(str::trim) {
            let (kind, amount) = read(change)?;
            ensure!(!seen.contains(&kind.word), "`{}` is there twice; give it once", kind.word);
            seen.push(kind.word);
            *(kind.amount)(&mut all) = amount;
        }
        all.check()?;
        Ok(all)
    }
}

/// The kind and the amount of a change, such as `rotate 10`.
fn read(change: &str) -> Result<(&'static Kind, f64)> {
    ensure!(!change.is_empty(), "there is nothing between two commas; remove one of them, or write `none`");
    let end = change.find(|letter: char| !letter.is_alphabetic()).unwrap_or(change.len());
    let (word, number) = change.split_at(end);
    let kind = KINDS.iter().find(|kind| kind.word == word).with_context(|| {
        let forms: Vec<String> = KINDS.iter().map(Kind::form).collect();
        let meant = did_you_mean(word, KINDS.iter().map(|kind| kind.word));
        format!("there is no change `{change}`{meant}\nchanges are `{}`, or `none`", forms.join("`, `"))
    })?;
    let number = number.trim_start_matches([' ', '=', ':']);
    let (unit, divisor) = kind.unit;
    let (digits, divisor) = number.strip_suffix(unit).map_or((number, 1.0), |digits| (digits.trim_end(), divisor));
    let amount: Option<f64> = digits.parse().ok();
    let amount = amount.with_context(|| format!("`{change}` has no number; write it like `{}`", kind.form()))?;
    Ok((kind, amount / divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "rotate 10, zoom 0.1, stretch 0.2, shear 5, shift 1.5, elastic 5, pen 0.5, blur 0.25";

    fn error(text: &str) -> String {
        format!("{:#}", text.parse::<Augment>().unwrap_err())
    }

    #[test]
    fn changes_are_read_in_any_order_and_printed_in_one() {
        let all: Augment = ALL.parse().unwrap();
        let wanted = Augment { rotate: 10.0, zoom: 0.1, stretch: 0.2, shear: 5.0, ..Augment::NONE };
        assert_eq!(all, Augment { shift: 1.5, elastic: 5.0, pen: 0.5, blur: 0.25, ..wanted });
        assert_eq!(all.to_string(), ALL);
        let other = "BLUR 25%, pen: 0.5, shift=1.5px, Elastic 5 px, Shear 5°, stretch 20 %, zoom 0.1,rotate 10";
        assert_eq!(other.parse::<Augment>().unwrap().to_string(), ALL);
        assert_eq!(" None ".parse::<Augment>().unwrap(), Augment::NONE);
        assert_eq!(Augment::NONE.to_string(), "none");
        assert_eq!("rotate 0".parse::<Augment>().unwrap().to_string(), "none");
    }

    #[test]
    fn every_kind_is_read_as_its_example_and_up_to_its_limit() {
        for kind in KINDS {
            let mut one: Augment = kind.form().parse().unwrap();
            assert!(*(kind.amount)(&mut one) > 0.0);
            assert_eq!(one.to_string(), kind.form());
            let of = |amount: f64| format!("{} {amount}", kind.word).parse::<Augment>();
            assert!(of(kind.most).is_ok() && of(kind.most * 1.01).is_err() && of(-1.0).is_err(), "{}", kind.word);
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_to_write() {
        assert!(
            error("rotat 10")
                .contains("there is no change `rotat 10`; did you mean `rotate`?\nchanges are `rotate 10`")
        );
        assert_eq!(error("rotate"), "`rotate` has no number; write it like `rotate 10`");
        assert_eq!(error("zoom a bit"), "`zoom a bit` has no number; write it like `zoom 0.1`");
        assert_eq!(error("zoom 2"), "`zoom 2` must be from 0 to 0.9");
        assert_eq!(error("rotate nan"), "`rotate NaN` must be from 0 to 90");
        assert_eq!(error("rotate 10, shift 2, Rotate 5"), "`rotate` is there twice; give it once");
        assert!(error("rotate 10,").contains("nothing between two commas"));
        assert!(error("").contains("write `none`"));
        assert!(error("none, rotate 10").contains("there is no change `none`"));
    }
}
