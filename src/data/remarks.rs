//! Remarks on unusual data sets that can still be used.

use super::{CLASSES, Dataset, IMAGE_BYTES, Samples};

impl Dataset {
    /// Sentences about classes without images and about blank or identical pictures.
    pub fn remarks(&self) -> Vec<String> {
        let train = remarks(&self.train, "training", "a model cannot learn what it never sees");
        train.into_iter().chain(remarks(&self.test, "test", "such classes get no scores")).collect()
    }
}

fn remarks(samples: &Samples, set: &str, so: &str) -> Vec<String> {
    let mut remarks = Vec::new();
    let missing: Vec<String> =
        (0..CLASSES).filter(|&class| !samples.labels.contains(&(class as u8))).map(|class| class.to_string()).collect();
    if !missing.is_empty() {
        remarks.push(format!("the {set} set has no image of the digit {}: {so}", missing.join(", ")));
    }
    let mut pictures = samples.images.chunks_exact(IMAGE_BYTES);
    let blank = pictures.clone().filter(|picture| picture.iter().all(|pixel| *pixel == picture[0])).count();
    let count = samples.len();
    if blank > 0 {
        remarks.push(format!("{blank} of the {count} images of the {set} set are blank"));
    } else if count > 1 && pictures.next().is_some_and(|first| pictures.all(|picture| picture == first)) {
        remarks.push(format!("all {count} images of the {set} set are identical"));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture for each label, different ones unless `alike`.
    fn samples(labels: &[u8], alike: bool) -> Samples {
        let picture =
            |index: usize| (0..IMAGE_BYTES).map(move |pixel| if alike { pixel % 7 } else { pixel % (7 + index) });
        let images = (0..labels.len()).flat_map(picture).map(|pixel| pixel as u8).collect();
        Samples { images, labels: labels.to_vec() }
    }

    #[test]
    fn missing_classes_are_named() {
        let all: Vec<u8> = (0..10).collect();
        let without_five: Vec<u8> = all.iter().copied().filter(|&label| label != 5).collect();
        let dataset = Dataset::from_arrays(samples(&[3, 3], false), samples(&without_five, false)).unwrap();
        let remarks = dataset.remarks();
        assert!(
            remarks[0].starts_with("the training set has no image of the digit 0, 1, 2, 4, 5, 6, 7, 8, 9:"),
            "{remarks:?}"
        );
        assert!(remarks[1].starts_with("the test set has no image of the digit 5:"), "{remarks:?}");
        assert_eq!(remarks.len(), 2);
        let dataset = Dataset::from_arrays(samples(&all, false), samples(&all, false)).unwrap();
        assert!(dataset.remarks().is_empty());
    }

    #[test]
    fn pictures_that_show_nothing_are_counted() {
        let all: Vec<u8> = (0..10).collect();
        let mut train = samples(&all, false);
        train.images[..2 * IMAGE_BYTES].fill(9);
        let dataset = Dataset::from_arrays(train, samples(&all, true)).unwrap();
        assert_eq!(
            dataset.remarks(),
            ["2 of the 10 images of the training set are blank", "all 10 images of the test set are identical"]
        );
    }
}
