//! What a data set holds and a model is made for: images of one shape, and classes with names.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{CLASSES, IMAGE_SIDE};

/// The most classes.
pub(super) const MOST_CLASSES: usize = 1_000;

/// The most bytes of an image, far more than a kernel can take at full size.
const MOST_BYTES: usize = 1 << 24;

/// Mean and standard deviation of MNIST's training pixels, from 0 to 1.
const MNIST_PIXELS: [f64; 2] = [0.1307, 0.3081];

/// Maps bytes to −1 to 1, if the mean and the deviation of a data set's pixels are not known.
const ANY_PIXELS: [f64; 2] = [0.5, 0.5];

/// Height, width and channels of an image, written `28x28x1`. In memory its bytes lie channels last: `[y, x, c]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Bytes of a pixel: 1 if it is grey, 3 if it is red, green and blue.
    pub channels: usize,
}

impl ImageShape {
    /// A digit of MNIST.
    pub const MNIST: Self = Self { height: IMAGE_SIDE, width: IMAGE_SIDE, channels: 1 };

    /// Height, width and channels.
    pub fn sizes(self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// Bytes of an image.
    pub fn bytes(self) -> usize {
        self.height * self.width * self.channels
    }

    /// The number of images in some bytes.
    ///
    /// # Errors
    /// If the bytes are not a whole number of images.
    pub fn count(self, images: &[u8]) -> Result<usize> {
        let (all, each) = (images.len(), self.bytes());
        ensure!(
            all.is_multiple_of(each),
            "{all} bytes are not a whole number of {self} images; give {each} bytes for each"
        );
        Ok(all / each)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// The images and the classes of a data set, and of the models for it. A model computes with
/// `(byte / 255 - mean) / deviation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    image: ImageShape,
    classes: usize,
    /// The name of each class; none if their names are their numbers.
    names: Option<Arc<[String]>>,
    mean: f64,
    deviation: f64,
}

impl Task {
    /// Digits as in MNIST: 28x28 grey bytes of 10 classes.
    pub const MNIST: Self = Self {
        image: ImageShape::MNIST,
        classes: CLASSES,
        names: None,
        mean: MNIST_PIXELS[0],
        deviation: MNIST_PIXELS[1],
    };

    /// Images of a shape, with labels below `classes`.
    ///
    /// Bytes are normalised as those of MNIST if the images have its shape, and otherwise to numbers from −1 to 1;
    /// [`Self::normalized`] changes it.
    ///
    /// ```
    /// use gpu_digits::Model;
    /// use gpu_digits::data::{ImageShape, Task};
    ///
    /// # fn main() -> anyhow::Result<()> {
    /// let task = Task::new(ImageShape { height: 32, width: 32, channels: 3 }, 100)?;
    /// let model = Model::parse(task, "conv 32x3, relu, pool 2, flatten, dense 100", &[])?;
    /// assert_eq!(model.parameters()[0].1, [32, 3, 3, 3].into());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If a size is 0, an image has more than 16 MiB, or there are not 2 to 1,000 classes.
    pub fn new(image: ImageShape, classes: usize) -> Result<Self> {
        let sizes = [image.height, image.width, image.channels];
        let bytes = sizes.iter().try_fold(1usize, |bytes, &size| bytes.checked_mul(size));
        ensure!(
            bytes.is_some_and(|bytes| (1..=MOST_BYTES).contains(&bytes)),
            "an image cannot be {image}: height, width and channels must be at least 1, and their product at most {MOST_BYTES}"
        );
        ensure!(
            (2..=MOST_CLASSES).contains(&classes),
            "there cannot be {classes} classes: there may be 2 to {MOST_CLASSES}"
        );
        let [mean, deviation] = if image == ImageShape::MNIST { MNIST_PIXELS } else { ANY_PIXELS };
        Ok(Self { image, classes, names: None, mean, deviation })
    }

    /// The same with names for its classes, in the order of the labels.
    ///
    /// # Errors
    /// If there are not as many as classes, or if one is empty or stands for two classes.
    pub fn named(self, names: Vec<String>) -> Result<Self> {
        let (count, classes) = (names.len(), self.classes);
        ensure!(count == classes, "there are {count} names for {classes} classes; give one for each");
        let mut seen = HashSet::new();
        for name in &names {
            ensure!(!name.trim().is_empty(), "a class has an empty name; give each class one");
            ensure!(seen.insert(name), "two classes have the name `{name}`; give each class its own");
        }
        let are_numbers = names.iter().enumerate().all(|(class, name)| *name == class.to_string());
        Ok(Self { names: (!are_numbers).then(|| names.into()), ..self })
    }

    /// The same with another mean and standard deviation of the pixels, which are from 0 to 1.
    ///
    /// # Errors
    /// If they are not the mean and the deviation of such numbers.
    pub fn normalized(self, mean: f64, deviation: f64) -> Result<Self> {
        // Smaller deviations are those of images that show nothing.
        let fits = (0.0..=1.0).contains(&mean) && (1e-3..=1.0).contains(&deviation);
        ensure!(fits, "pixels from 0 to 1 cannot have a mean of {mean} and a deviation of {deviation}");
        Ok(Self { mean, deviation, ..self })
    }

    /// The shape of an image.
    pub fn image(&self) -> ImageShape {
        self.image
    }

    /// The number of classes; labels are below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The name of a class: its number unless it has another.
    pub fn class_name(&self, class: usize) -> Cow<'_, str> {
        match self.names.as_ref().and_then(|names| names.get(class)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(class.to_string()),
        }
    }

    /// The names of the classes, in the order of the labels; none if their names are their numbers.
    pub fn class_names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// Whether its images may be digits as in MNIST: whatever is known of them does not say otherwise.
    pub fn is_of_digits(&self) -> bool {
        self.image == ImageShape::MNIST && self.classes == CLASSES && self.names.is_none()
    }

    /// Mean and standard deviation of the pixels.
    pub fn pixels(&self) -> [f64; 2] {
        [self.mean, self.deviation]
    }

    /// The factor of a byte, and what is then added.
    pub(crate) fn scale_and_shift(&self) -> [f64; 2] {
        [1.0 / 255.0 / self.deviation, -self.mean / self.deviation]
    }

    /// The largest magnitude of a normalised pixel.
    pub(crate) fn largest_pixel(&self) -> f64 {
        self.mean.max(1.0 - self.mean) / self.deviation
    }

    /// Refuses data of another shape or with other classes, for a model that is made for `self`. How bytes are
    /// normalised is the model's own. Classes whose names are not known may be any.
    ///
    /// # Errors
    /// If the shapes, the numbers of classes, or their names differ.
    pub fn ensure_takes(&self, data: &Self) -> Result<()> {
        ensure!(
            (self.image, self.classes) == (data.image, data.classes),
            "the model is made for {self}, but the data are {data}; take another model, or other data"
        );
        if let (Some(ours), Some(theirs)) = (&self.names, &data.names)
            && let Some(class) = (0..self.classes).find(|&class| ours[class] != theirs[class])
        {
            bail!(
                "class {class} of the model is `{}`, but that of the data is `{}`; take another model, or other data",
                ours[class],
                theirs[class]
            );
        }
        Ok(())
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} images of {} classes", self.image, self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(height: usize, width: usize, channels: usize) -> ImageShape {
        ImageShape { height, width, channels }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_in_words() {
        let error = |image, classes| Task::new(image, classes).unwrap_err().to_string();
        assert!(error(shape(32, 0, 3), 10).starts_with("an image cannot be 32x0x3: "));
        assert!(error(shape(usize::MAX, 2, 3), 10).contains("at most 16777216"));
        assert_eq!(error(shape(32, 32, 3), 1_001), "there cannot be 1001 classes: there may be 2 to 1000");
        assert!(error(shape(32, 32, 3), 1).starts_with("there cannot be 1 classes"));
        assert_eq!(Task::new(shape(32, 32, 3), 1_000).unwrap().to_string(), "32x32x3 images of 1000 classes");
    }

    #[test]
    fn grey_images_of_28x28_are_normalised_as_mnist_and_others_from_minus_1_to_1() {
        assert_eq!(Task::new(ImageShape::MNIST, 10).unwrap(), Task::MNIST);
        assert_eq!(Task::new(ImageShape::MNIST, 26).unwrap().pixels(), Task::MNIST.pixels());
        let task = Task::new(shape(32, 32, 3), 10).unwrap();
        let [scale, shift] = task.scale_and_shift();
        assert!((0.0 * scale + shift + 1.0).abs() < 1e-12 && (255.0 * scale + shift - 1.0).abs() < 1e-12);
        assert_eq!(task.largest_pixel(), 1.0);
        assert_eq!(task.clone().normalized(0.9, 0.1).unwrap().largest_pixel(), 9.0, "of a black pixel");
        for [mean, deviation] in [[0.5, 0.0], [f64::NAN, 0.5], [-0.1, 0.5], [0.5, f64::INFINITY]] {
            assert!(task.clone().normalized(mean, deviation).is_err(), "{mean} {deviation}");
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn classes_have_names_of_their_own_or_their_numbers() {
        let task = Task::new(shape(8, 8, 1), 3).unwrap();
        assert_eq!((task.class_name(2), task.class_names()), ("2".into(), None));
        let named = task.clone().named(names(&["cat", "dog", "eel"])).unwrap();
        assert_eq!((named.class_name(1), named.class_names().unwrap().len()), ("dog".into(), 3));
        assert_eq!(task.clone().named(names(&["0", "1", "2"])).unwrap(), task, "numbers are no names");
        let error = |wrong: &[&str]| task.clone().named(names(wrong)).unwrap_err().to_string();
        assert_eq!(error(&["cat", "dog"]), "there are 2 names for 3 classes; give one for each");
        assert_eq!(error(&["cat", "dog", "cat"]), "two classes have the name `cat`; give each class its own");
        assert!(error(&["cat", " ", "dog"]).contains("an empty name"));
    }

    #[test]
    fn only_unnamed_classes_may_be_digits() {
        assert!(Task::MNIST.is_of_digits() && !Task::new(ImageShape::MNIST, 26).unwrap().is_of_digits());
        let clothes = Task::MNIST.named((0..10).map(|class| format!("garment {class}")).collect()).unwrap();
        assert!(!clothes.is_of_digits());
    }

    #[test]
    fn a_model_takes_no_data_whose_classes_have_other_names() {
        let task = || Task::new(shape(8, 8, 1), 2).unwrap();
        let model = task().named(names(&["cat", "dog"])).unwrap();
        assert!(model.ensure_takes(&model).is_ok() && model.ensure_takes(&task()).is_ok());
        let error = model.ensure_takes(&task().named(names(&["dog", "cat"])).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("class 0 of the model is `cat`, but that of the data is `dog`;"), "{error}");
    }

    #[test]
    fn a_model_takes_data_of_its_own_shape_and_classes_only() {
        let task = |image, classes| Task::new(image, classes).unwrap();
        let model = task(shape(32, 32, 3), 100);
        assert!(model.ensure_takes(&model.clone().normalized(0.4, 0.2).unwrap()).is_ok());
        for other in [Task::MNIST, task(shape(32, 32, 1), 100), task(shape(32, 32, 3), 10)] {
            let error = model.ensure_takes(&other).unwrap_err().to_string();
            let wanted = format!("the model is made for 32x32x3 images of 100 classes, but the data are {other};");
            assert!(error.starts_with(&wanted), "{error}");
        }
    }
}
