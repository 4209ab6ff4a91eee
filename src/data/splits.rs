//! The split of a data set into training, validation and test images.

use std::ops::Range;

use super::{Dataset, Samples};
use crate::random::Random;

/// The first of the random streams that choose the validation images, one for each class.
const STREAM: u64 = 3 << 32;

/// The images by use, as indices into the training set, followed by the test set, followed by what is added to train
/// on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// Trained on, in the order of the set.
    pub train: Vec<u32>,
    /// Held out for validation, in the order of the set.
    pub validation: Vec<u32>,
    /// Scored once at the end.
    pub test: Range<u32>,
}

impl Splits {
    /// Holds out `held_out` training images at random, from each class in proportion to its size.
    ///
    /// So a set sorted by class keeps all classes, and the same seed chooses the same images. At most all images are
    /// held out.
    pub fn stratified(dataset: &Dataset, held_out: usize, seed: u64) -> Self {
        let Dataset { task, train, test, .. } = dataset;
        let is_held_out = self::held_out(train, task.classes(), held_out, seed, STREAM);
        let count = train.len() as u32;
        let (validation, train) = (0..count).partition(|&image| is_held_out[image as usize]);
        Self { train, validation, test: count..count + test.len() as u32 }
    }

    /// Trains on so many images more, which come behind the test set.
    pub fn with_more(mut self, images: usize) -> Self {
        self.train.extend((self.test.end..).take(images));
        self
    }
}

/// Which images are held out: at random from each class, in proportion to its size, and at most all. Each class has a random
/// stream, the first of which is `stream`.
pub(super) fn held_out(samples: &Samples, classes: usize, count: usize, seed: u64, stream: u64) -> Vec<bool> {
    let classes = by_class(samples, classes);
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let counts = shares(&sizes, count.min(samples.len()));
    let mut is_held_out = vec![false; samples.len()];
    for (class, (mut images, count)) in classes.into_iter().zip(counts).enumerate() {
        Random::new(seed, stream + class as u64).shuffle(&mut images);
        images.into_iter().take(count).for_each(|image| is_held_out[image as usize] = true);
    }
    is_held_out
}

/// The images of each class.
fn by_class(samples: &Samples, classes: usize) -> Vec<Vec<u32>> {
    let mut classes = vec![vec![]; classes];
    for (image, &label) in (0..).zip(&samples.labels) {
        classes[usize::from(label)].push(image);
    }
    classes
}

/// Divides `wanted` in proportion to `sizes` by the largest-remainder method; no part exceeds its size.
fn shares(sizes: &[usize], wanted: usize) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>().max(1);
    let mut counts: Vec<usize> = sizes.iter().map(|size| size * wanted / total).collect();
    let mut classes: Vec<usize> = (0..sizes.len()).collect();
    // The sort is stable: among equal remainders the lower class comes first.
    classes.sort_by_key(|&class| std::cmp::Reverse(sizes[class] * wanted % total));
    let missing = wanted - counts.iter().sum::<usize>();
    classes.into_iter().take(missing).for_each(|class| counts[class] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::super::{CLASSES, IMAGE_BYTES, Task};
    use super::*;

    /// A set whose training images are sorted by class.
    fn sorted(sizes: [usize; CLASSES]) -> Dataset {
        let labels: Vec<u16> = (0..).zip(sizes).flat_map(|(class, size)| vec![class; size]).collect();
        let samples = |labels: Vec<u16>| Samples { images: vec![0; labels.len() * IMAGE_BYTES], labels };
        Dataset::from_arrays(Task::MNIST, samples(labels), samples(vec![0; 5])).unwrap()
    }

    fn held_out_by_class(dataset: &Dataset, splits: &Splits) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        splits.validation.iter().for_each(|&image| counts[usize::from(dataset.train.labels[image as usize])] += 1);
        counts
    }

    #[test]
    fn images_added_are_trained_on_and_lie_behind_the_test_set() {
        let splits = Splits::stratified(&sorted([16; CLASSES]), 20, 0).with_more(3);
        assert_eq!((splits.train.len(), &splits.train[140..], splits.test), (143, &[165, 166, 167][..], 160..165));
    }

    #[test]
    fn a_set_sorted_by_class_loses_the_same_share_of_each() {
        let dataset = sorted([16; CLASSES]);
        let splits = Splits::stratified(&dataset, 20, 0);
        assert_eq!(held_out_by_class(&dataset, &splits), [2; CLASSES]);
        assert_eq!((splits.train.len(), splits.test.clone()), (140, 160..165));
        assert!(splits.train.is_sorted() && splits.validation.is_sorted());
        assert!(splits.train.iter().all(|image| !splits.validation.contains(image)));
    }

    #[test]
    fn the_seed_draws_what_is_held_out() {
        let dataset = sorted([16; CLASSES]);
        assert_eq!(Splits::stratified(&dataset, 20, 1), Splits::stratified(&dataset, 20, 1));
        assert_ne!(Splits::stratified(&dataset, 20, 1), Splits::stratified(&dataset, 20, 2));
    }

    #[test]
    fn uneven_classes_are_held_out_in_proportion() {
        let dataset = sorted([100, 50, 1, 0, 3, 0, 0, 0, 0, 6]);
        for (held_out, wanted) in [
            (16, [10, 5, 0, 0, 0, 0, 0, 0, 0, 1]),
            (159, [99, 50, 1, 0, 3, 0, 0, 0, 0, 6]),
            (160, [100, 50, 1, 0, 3, 0, 0, 0, 0, 6]),
        ] {
            let splits = Splits::stratified(&dataset, held_out, 0);
            assert_eq!(held_out_by_class(&dataset, &splits), wanted);
        }
        assert!(Splits::stratified(&dataset, 0, 0).validation.is_empty());
    }
}
