//! Remarks on unusual data sets that can still be used.

use std::collections::HashSet;

use rayon::prelude::*;

use super::{Dataset, IMAGE_BYTES, IMAGE_SIDE, Samples, Task};

impl Dataset {
    /// Sentences about classes without images, blank or identical pictures, and digits that are dark on light.
    pub fn remarks(&self) -> Vec<String> {
        let train = remarks(&self.task, &self.train, "training", "a model cannot learn what it never sees");
        let test = remarks(&self.task, &self.test, "test", "such classes get no scores");
        train.into_iter().chain(test).chain(self.seen_before()).collect()
    }

    /// A sentence on test images that are training images too.
    fn seen_before(&self) -> Option<String> {
        let bytes = self.task.image().bytes();
        let trained_on: HashSet<&[u8]> = self.train.images.chunks_exact(bytes).collect();
        let is_seen = |picture: &&[u8]| !is_blank(picture) && trained_on.contains(picture);
        let seen = self.test.images.par_chunks_exact(bytes).filter(is_seen).count();
        let count = self.test.len();
        (seen > 0).then(|| {
            format!(
                "{seen} of the {count} pictures of the test set are in the training set too: their score says little of \
                 pictures that the model has never seen"
            )
        })
    }
}

fn remarks(task: &Task, samples: &Samples, set: &str, so: &str) -> Vec<String> {
    let mut remarks = Vec::new();
    let is_digits = task.is_of_digits();
    let is_missing = |class: &usize| !samples.labels.contains(&(*class as u16));
    let missing: Vec<String> =
        (0..task.classes()).filter(is_missing).map(|class| task.class_name(class).into_owned()).collect();
    if !missing.is_empty() {
        let words = if is_digits { ["digit", "digits"] } else { ["class", "classes"] };
        let word = words[usize::from(missing.len() > 1)];
        remarks.push(format!("the {set} set has no image of the {word} {}: {so}", missing.join(", ")));
    }
    let bytes = task.image().bytes();
    let pictures = || samples.images.par_chunks_exact(bytes);
    let blank = pictures().filter(|picture| is_blank(picture)).count();
    let count = samples.len();
    if blank > 0 {
        remarks.push(format!("{blank} of the {count} images of the {set} set are blank"));
    } else if count > 1 && pictures().all(|picture| picture == &samples.images[..bytes]) {
        remarks.push(format!("all {count} images of the {set} set are identical"));
    }
    // Only digits are ink on a background.
    let of_digits = if is_digits { &samples.images[..] } else { &[] };
    let dark = of_digits.par_chunks_exact(IMAGE_BYTES).filter(|picture| border_is_inked(picture)).count();
    if 2 * dark > count {
        remarks.push(format!(
            "{dark} of the {count} pictures of the {set} set seem to be dark on light, and models here learn digits of 255 on a \
             background of 0: `predict` will read pictures wrongly; write 255 minus each byte"
        ));
    }
    remarks
}

/// Whether most of a picture's edge is nearer to ink than to background; so it is where the picture is dark on light.
fn border_is_inked(picture: &[u8]) -> bool {
    let (rows, _) = picture.as_chunks::<IMAGE_SIDE>();
    let [first, between @ .., last] = rows else { return false };
    let sides = between.iter().flat_map(|row| [&row[0], &row[IMAGE_SIDE - 1]]);
    let edge = first.iter().chain(last).chain(sides);
    let inked = edge.filter(|byte| **byte > 127).count();
    inked > 2 * (IMAGE_SIDE - 1) && !is_blank(picture)
}

/// Whether a picture shows nothing.
fn is_blank(picture: &[u8]) -> bool {
    picture.iter().all(|pixel| *pixel == picture[0])
}

#[cfg(test)]
mod tests {
    use super::super::ImageShape;
    use super::*;

    /// A picture for each label, different ones unless `alike`.
    fn samples(labels: &[u16], alike: bool) -> Samples {
        let picture =
            |index: usize| (0..IMAGE_BYTES).map(move |pixel| if alike { pixel % 7 } else { pixel % (7 + index) });
        let images = (0..labels.len()).flat_map(picture).map(|pixel| pixel as u8).collect();
        Samples { images, labels: labels.to_vec() }
    }

    /// The same with other pictures.
    fn others(mut samples: Samples) -> Samples {
        samples.images.iter_mut().for_each(|pixel| *pixel += 1);
        samples
    }

    #[test]
    fn missing_classes_are_named() {
        let all: Vec<u16> = (0..10).collect();
        let without_five: Vec<u16> = all.iter().copied().filter(|&label| label != 5).collect();
        let dataset =
            Dataset::from_arrays(Task::MNIST, samples(&[3, 3], false), others(samples(&without_five, false))).unwrap();
        let remarks = dataset.remarks();
        assert!(
            remarks[0].starts_with("the training set has no image of the digits 0, 1, 2, 4, 5, 6, 7, 8, 9:"),
            "{remarks:?}"
        );
        assert!(remarks[1].starts_with("the test set has no image of the digit 5:"), "{remarks:?}");
        assert_eq!(remarks.len(), 2);
        let dataset = Dataset::from_arrays(Task::MNIST, samples(&all, false), others(samples(&all, false))).unwrap();
        assert!(dataset.remarks().is_empty());
    }

    #[test]
    fn pictures_that_show_nothing_are_counted() {
        let all: Vec<u16> = (0..10).collect();
        let mut train = samples(&all, false);
        train.images[..2 * IMAGE_BYTES].fill(9);
        let dataset = Dataset::from_arrays(Task::MNIST, train, samples(&all, true)).unwrap();
        assert_eq!(
            dataset.remarks(),
            ["2 of the 10 images of the training set are blank", "all 10 images of the test set are identical"]
        );
    }

    #[test]
    fn pictures_dark_on_light_are_told() {
        let all: Vec<u16> = (0..10).collect();
        let stroke = |ink: u8, paper: u8| {
            let pixel = move |index: usize, pixel: usize| {
                let (y, x) = (pixel / IMAGE_SIDE, pixel % IMAGE_SIDE);
                if (8..20).contains(&y) && (5 + index..8 + index).contains(&x) { ink } else { paper }
            };
            let images =
                (0..10).flat_map(|index| (0..IMAGE_BYTES).map(move |position| pixel(index, position))).collect();
            Samples { images, labels: all.clone() }
        };
        let dataset = Dataset::from_arrays(Task::MNIST, stroke(255, 0), stroke(40, 230)).unwrap();
        let remarks = dataset.remarks();
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(
            remarks[0].starts_with("10 of the 10 pictures of the test set seem to be dark on light"),
            "{remarks:?}"
        );
    }

    #[test]
    fn images_of_other_things_have_classes_and_any_background() {
        let task = Task::new(ImageShape { height: 4, width: 4, channels: 3 }, 4).unwrap();
        let light = |labels: &[u16], seed: usize| Samples {
            images: (0..48 * labels.len()).map(|i| 200 + (i * i % (13 + seed)) as u8).collect(),
            labels: labels.to_vec(),
        };
        let dataset = Dataset::from_arrays(task, light(&[0, 1, 2, 3], 0), light(&[0, 3, 3], 8)).unwrap();
        assert_eq!(dataset.remarks(), ["the test set has no image of the classes 1, 2: such classes get no scores"]);
    }

    #[test]
    fn test_images_that_were_trained_on_are_counted() {
        let all: Vec<u16> = (0..10).collect();
        let train = samples(&all, false);
        let mut test = samples(&all, false);
        for pixel in &mut test.images[3 * IMAGE_BYTES..] {
            *pixel += 1;
        }
        let dataset = Dataset::from_arrays(Task::MNIST, train, test).unwrap();
        let remarks = dataset.remarks();
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(
            remarks[0].starts_with("3 of the 10 pictures of the test set are in the training set too"),
            "{remarks:?}"
        );
    }
}
