//! A look at a data set: how many images of which class, pixels, and pictures that show little or stand twice.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::Serialize;

use super::{Dataset, ImageShape, Samples};

/// A picture is nearly empty if fewer than this share of its bytes differ from its commonest byte by more than
/// [`SLIGHT`].
const EMPTY: f64 = 0.01;

/// A difference of bytes that is noise.
const SLIGHT: u8 = 32;

/// A look at a data set. Images have the indices of the training set, followed by those of the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The data set's name.
    pub name: String,
    /// SHA-256 of its samples; see [`Dataset::sha256`].
    pub sha256: String,
    /// The shape of the images.
    pub image: ImageShape,
    /// The classes in the order of their labels.
    pub classes: Vec<ClassCount>,
    /// Training images.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
    /// Mean and standard deviation of the training pixels of each channel, from 0 to 1.
    pub channels: Vec<[f64; 2]>,
    /// Pictures of one byte only, or nearly.
    pub nearly_empty: Vec<usize>,
    /// Images that are equal to the bit, a list for each that stands more than once.
    pub identical: Vec<Vec<usize>>,
    /// Of these, images that stand with several labels.
    pub contradictory: Vec<Vec<usize>>,
    /// Of these, images of both sets: the test images that are also training images.
    pub test_images_trained_on: usize,
}

/// The images of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The name of the class.
    pub name: String,
    /// Its training images.
    pub train: usize,
    /// Its test images.
    pub test: usize,
}

impl Summary {
    /// Looks at all images.
    pub fn of(dataset: &Dataset) -> Self {
        let Dataset { task, train, test, .. } = dataset;
        let bytes = task.image().bytes();
        let count = |samples: &Samples| {
            let mut counts = vec![0; task.classes()];
            samples.labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
            counts
        };
        let counts = count(train).into_iter().zip(count(test)).enumerate();
        let images: Vec<&[u8]> = [train, test].into_iter().flat_map(|set| set.images.chunks_exact(bytes)).collect();
        let labels: Vec<u16> = train.labels.iter().chain(&test.labels).copied().collect();
        let identical = identical(&images);
        let is_contradictory = |group: &&Vec<usize>| group.iter().any(|&image| labels[image] != labels[group[0]]);
        let contradictory = identical.iter().filter(is_contradictory).cloned().collect();
        let trained_on = |group: &Vec<usize>| {
            let in_test = group.iter().filter(|&&image| image >= train.len()).count();
            if in_test < group.len() { in_test } else { 0 }
        };
        Self {
            name: dataset.name.clone(),
            sha256: dataset.sha256.clone(),
            image: task.image(),
            classes: counts
                .map(|(class, (train, test))| ClassCount { name: task.class_name(class).into_owned(), train, test })
                .collect(),
            train_images: train.len(),
            test_images: test.len(),
            channels: (0..task.image().channels).map(|c| moments(&train.images, task.image().channels, c)).collect(),
            nearly_empty: (0..images.len()).into_par_iter().filter(|&image| is_nearly_empty(images[image])).collect(),
            test_images_trained_on: identical.iter().map(trained_on).sum(),
            contradictory,
            identical,
        }
    }
}

/// Mean and standard deviation of a channel, from 0 to 1.
pub(super) fn moments(images: &[u8], channels: usize, channel: usize) -> [f64; 2] {
    let mut counts = [0_u64; 256];
    images.iter().skip(channel).step_by(channels).for_each(|&byte| counts[usize::from(byte)] += 1);
    let count = counts.iter().sum::<u64>().max(1) as f64;
    let mean_of = |value: &dyn Fn(f64) -> f64| {
        let parts = counts.iter().enumerate().map(|(byte, &count)| count as f64 * value(byte as f64 / 255.0));
        parts.sum::<f64>() / count
    };
    let mean = mean_of(&|x| x);
    [mean, mean_of(&|x| (x - mean) * (x - mean)).sqrt()]
}

fn is_nearly_empty(picture: &[u8]) -> bool {
    let mut counts = [0_usize; 256];
    picture.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let commonest = (0..=u8::MAX).max_by_key(|&byte| counts[usize::from(byte)]).unwrap_or(0);
    let others = picture.iter().filter(|byte| byte.abs_diff(commonest) > SLIGHT).count();
    (others as f64) < EMPTY * picture.len() as f64
}

/// The images that stand more than once, in the order of the first of each.
fn identical(images: &[&[u8]]) -> Vec<Vec<usize>> {
    let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (place, image) in images.iter().enumerate() {
        places.entry(image).or_default().push(place);
    }
    let mut groups: Vec<Vec<usize>> = places.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups
}

#[cfg(test)]
mod tests {
    use super::super::Task;
    use super::*;

    #[test]
    fn a_small_set_worked_out_by_hand() {
        let image = ImageShape { height: 1, width: 2, channels: 1 };
        let task = Task::new(image, 2).unwrap().named(vec!["cat".to_owned(), "dog".to_owned()]).unwrap();
        let train = Samples { images: vec![0, 255, 9, 9, 0, 255, 255, 0], labels: vec![0, 1, 1, 0] };
        let test = Samples { images: vec![255, 0, 1, 254], labels: vec![0, 1] };
        let summary = Summary::of(&Dataset::from_arrays(task, train, test).unwrap());
        let class = |name: &str, train, test| ClassCount { name: name.to_owned(), train, test };
        assert_eq!(summary.classes, [class("cat", 2, 1), class("dog", 2, 1)]);
        assert_eq!(summary.nearly_empty, [1], "both pixels are 9");
        assert_eq!(summary.identical, [vec![0, 2], vec![3, 4]]);
        assert_eq!(summary.contradictory, [vec![0, 2]], "once a cat and once a dog");
        assert_eq!(summary.test_images_trained_on, 1);
        let [mean, deviation] = summary.channels[0];
        // 3 of 8 pixels are 255, 3 are 0 and 2 are 9.
        let wanted_mean = (3.0 * 255.0 + 18.0) / 8.0;
        let square = (3.0 * 255.0_f64.powi(2) + 2.0 * 81.0) / 8.0;
        assert!((255.0 * mean - wanted_mean).abs() < 1e-9);
        assert!((255.0 * deviation - (square - wanted_mean * wanted_mean).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn each_channel_has_its_own_mean() {
        let image = ImageShape { height: 1, width: 1, channels: 3 };
        let samples = || Samples { images: vec![255, 0, 51, 255, 0, 153], labels: vec![0, 1] };
        let dataset = Dataset::from_arrays(Task::new(image, 2).unwrap(), samples(), samples()).unwrap();
        let summary = Summary::of(&dataset);
        let means: Vec<f64> = summary.channels.iter().map(|[mean, _]| *mean).collect();
        assert!(means.iter().zip([1.0, 0.0, 0.4]).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{means:?}");
        assert_eq!(summary.test_images_trained_on, 2);
    }
}
