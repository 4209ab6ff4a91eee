//! Test-time augmentation: the probabilities of an image are the mean over several views of it, as Krizhevsky, Sutskever and
//! Hinton ("ImageNet classification with deep convolutional neural networks", 2012) averaged over crops.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, ensure};
use serde::Serialize;

use super::Scored;
use crate::data::Task;
use crate::ops::augment::{BatchAugment, View};

/// Pixels by which a view moves, degrees by which it turns, and the share by which it grows or shrinks.
const MOVE: f64 = 1.0;
const TURN: f64 = 5.0;
const ZOOM: f64 = 0.05;

/// The views of an image, in order: as it is; moved along each axis, either way; turned and zoomed, either way.
const ALL: [View; 9] = [
    View { rotate: 0.0, zoom: 0.0, shift: [0.0, 0.0] },
    View { rotate: 0.0, zoom: 0.0, shift: [MOVE, 0.0] },
    View { rotate: 0.0, zoom: 0.0, shift: [-MOVE, 0.0] },
    View { rotate: 0.0, zoom: 0.0, shift: [0.0, MOVE] },
    View { rotate: 0.0, zoom: 0.0, shift: [0.0, -MOVE] },
    View { rotate: TURN, zoom: 0.0, shift: [0.0, 0.0] },
    View { rotate: -TURN, zoom: 0.0, shift: [0.0, 0.0] },
    View { rotate: 0.0, zoom: ZOOM, shift: [0.0, 0.0] },
    View { rotate: 0.0, zoom: -ZOOM, shift: [0.0, 0.0] },
];

/// How many views of each image a model reads: 1, the image as it is; 5, also moved by a pixel along each axis, either
/// way; or 9, also turned by 5 degrees and zoomed by 5 %, either way.
///
/// Views are made by the map of [`BatchAugment`] on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Views(usize);

impl Views {
    /// The image as it is.
    pub const ONE: Self = Self(1);

    /// The numbers of views that there are: those in which each change has its opposite.
    pub const COUNTS: [usize; 3] = [1, 5, 9];

    /// So many views.
    ///
    /// # Errors
    /// If it is none of [`Self::COUNTS`].
    pub fn new(count: usize) -> Result<Self> {
        ensure!(Self::COUNTS.contains(&count), "there are 1, 5 or 9 views of an image; give one of these");
        Ok(Self(count))
    }

    /// Their number.
    pub fn count(self) -> usize {
        self.0
    }

    /// The images of each view in turn, as long as the given ones.
    pub(super) fn of(self, images: &[u8], task: &Task) -> impl Iterator<Item = Vec<u8>> {
        let seen = move |view: &View| match view {
            view if *view == ALL[0] => images.to_vec(),
            view => BatchAugment::viewed(images, task, *view),
        };
        ALL[..self.0].iter().map(seen)
    }
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Views {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // What is no number is no number of views either.
        Self::new(text.parse().unwrap_or(0))
    }
}

/// The means of the probabilities over some views, and their losses. A single view stays as it is.
pub(super) fn mean(views: Vec<Scored>) -> Scored {
    if let [only] = &views[..] {
        return only.clone();
    }
    let count = views.len() as f64;
    let images = views.first().map_or(0, |view| view.losses.len());
    let probabilities = (0..images).map(|image| {
        let classes = views[0].probabilities[image].len();
        let mean =
            |class: usize| views.iter().map(|view| f64::from(view.probabilities[image][class])).sum::<f64>() / count;
        (0..classes).map(|class| mean(class) as f32).collect()
    });
    // The probability of a label may be too small for a float, so that its logarithm is taken apart.
    let losses = (0..images).map(|image| {
        let of_views = || views.iter().map(|view| f64::from(view.losses[image]));
        let least = of_views().fold(f64::INFINITY, f64::min);
        (least - (of_views().map(|loss| (least - loss).exp()).sum::<f64>() / count).ln()) as f32
    });
    Scored { probabilities: probabilities.collect(), losses: losses.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    #[test]
    fn there_are_views_in_pairs_of_opposites() {
        for count in Views::COUNTS {
            let views = &ALL[..count.to_string().parse::<Views>().unwrap().count()];
            let sum = |of: fn(&View) -> f64| views.iter().map(of).sum::<f64>();
            assert_eq!([sum(|view| view.rotate), sum(|view| view.zoom), sum(|view| view.shift[0])], [0.0; 3]);
        }
        for wrong in ["0", "2", "10", "-1", "five", ""] {
            assert_eq!(
                wrong.parse::<Views>().unwrap_err().to_string(),
                "there are 1, 5 or 9 views of an image; give one of these"
            );
        }
    }

    #[test]
    fn the_first_view_is_the_image_and_the_next_ones_move_it_by_a_pixel() {
        let images = digits(3, 0).images;
        let views: Vec<Vec<u8>> = Views(9).of(&images, &Task::MNIST).collect();
        assert_eq!(views[0], images);
        // Generated digits have a margin, so that nothing leaves the image.
        let [left, right] = [1, 2].map(|view| &views[view]);
        assert_eq!(left[..images.len() - 1], images[1..]);
        assert_eq!(right[1..], images[..images.len() - 1]);
        assert_eq!(views[3][..images.len() - 28], images[28..]);
        for turned in &views[5..] {
            assert_ne!(*turned, images);
            let ink = |images: &[u8]| images.iter().map(|&byte| f64::from(byte)).sum::<f64>();
            assert!((ink(turned) / ink(&images) - 1.0).abs() < 0.15, "the same digits");
        }
    }

    #[test]
    fn the_mean_of_views_has_the_loss_of_its_probability_also_where_that_is_no_float() {
        let view = |share: f32, loss: f32| Scored { probabilities: vec![vec![share, 1.0 - share]], losses: vec![loss] };
        let scored = mean(vec![view(0.5, 0.5_f32.ln().abs()), view(0.25, 0.25_f32.ln().abs())]);
        assert_eq!(scored.probabilities, [[0.375, 0.625]]);
        assert!((f64::from(scored.losses[0]) - -0.375_f64.ln()).abs() < 1e-6);
        let scored = mean(vec![view(0.0, 300.0), view(0.0, 301.0)]);
        let wanted = 300.0 - ((1.0 + (-1.0_f64).exp()) / 2.0).ln();
        assert!((f64::from(scored.losses[0]) - wanted).abs() < 1e-4);
        assert_eq!(mean(vec![view(0.1, 7.0)]), view(0.1, 7.0));
    }
}
