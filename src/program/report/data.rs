//! The data of a report.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::data::{Samples, Task};
use crate::device::Device;
use crate::figures::{AUGMENTED_STEPS, Augmented, CurvePoint, EpochRow, KernelShare, Sheet, TestImage};
use crate::files::write_atomically;
use crate::inference::{Scored, activations};
use crate::json;
use crate::metrics::{BINS, Evaluation};
use crate::model::Model;
use crate::program::run_folder::RunRecord;
use crate::tensor::HostTensor;
use crate::trace::{Span, Track};
use crate::train::augmented;

/// The name of a saved report in its run folder.
pub const REPORT_FILE: &str = "report.json";

/// Version of the file.
const SCHEMA: u32 = 1;

/// Images of each gallery.
const GALLERY: usize = 24;

/// Images for which the outputs of the layers are shown.
const WAYS: usize = 3;

/// Images that are shown augmented.
const AUGMENTED: usize = 6;

/// Everything that the report of a run shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// Version of the file.
    pub schema: u32,
    /// The settings needed to repeat the run, and its result.
    pub record: RunRecord,
    /// The epochs.
    pub epochs: Vec<EpochRow>,
    /// The loss over the steps.
    pub curve: Vec<CurvePoint>,
    /// The scores of the test images; none if the run was interrupted.
    pub evaluation: Option<Evaluation>,
    /// The test images with the lowest probability of the label, the worst first.
    pub mistakes: Vec<TestImage>,
    /// The test images with the lowest probability of the prediction.
    pub uncertain: Vec<TestImage>,
    /// The weights of the first layer that has any, if they can be shown as images.
    pub filters: Option<Sheet>,
    /// The outputs of the layers for some test images.
    pub activations: Vec<Activations>,
    /// Some training images and what augmentation makes of them; none in reports of older versions.
    #[serde(default)]
    pub augmented: Vec<Augmented>,
    /// The time of each kernel of a training step, the largest share first.
    pub kernels: Vec<KernelShare>,
}

/// The outputs of the layers for an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activations {
    /// The image. Its name in the file is older than images of other things.
    #[serde(rename = "digit")]
    pub shown: TestImage,
    /// The outputs of the layers, in order.
    pub layers: Vec<Sheet>,
}

impl RunReport {
    /// A report without the parts that need test images.
    pub fn new(
        record: RunRecord,
        epochs: Vec<EpochRow>,
        curve: Vec<CurvePoint>,
        model: &Model,
        parameters: &[HostTensor],
    ) -> Self {
        Self {
            schema: SCHEMA,
            record,
            epochs,
            curve,
            evaluation: None,
            mistakes: vec![],
            uncertain: vec![],
            filters: filters(model, parameters),
            activations: vec![],
            augmented: vec![],
            kernels: vec![],
        }
    }

    /// Adds training images of different classes, and what augmentation makes of them.
    pub fn add_augmented(&mut self, task: &Task, train: &Samples, augment: Augment) {
        if augment.is_none() {
            return;
        }
        let (shape, seed) = (task.image(), self.record.seed);
        let first_of = |class: u16| train.labels.iter().position(|&label| label == class);
        let images: Vec<usize> = (0..task.classes() as u16).filter_map(first_of).take(AUGMENTED).collect();
        let of = |image: usize| &train.images[image * shape.bytes()..][..shape.bytes()];
        let shown: Vec<u8> = images.iter().flat_map(|&image| of(image)).copied().collect();
        let steps: Vec<Vec<u8>> =
            (0..AUGMENTED_STEPS).map(|step| augmented(&shown, task, augment, seed, step)).collect();
        let seen = |(place, image): (usize, usize)| {
            let seen = steps.iter().flat_map(|step| &step[place * shape.bytes()..][..shape.bytes()]);
            Augmented { image, label: train.labels[image], pixels: of(image).iter().chain(seen).copied().collect() }
        };
        self.augmented = images.into_iter().enumerate().map(seen).collect();
    }

    /// Adds the parts that need test images. The outputs of layers are computed on the CPU: on an adapter, the kernels
    /// for a few images would take longer to compile.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub async fn add_test(
        &mut self,
        model: &Model,
        parameters: &[HostTensor],
        test: &Samples,
        scored: &Scored,
    ) -> Result<()> {
        let probabilities = &scored.probabilities;
        self.uncertain = TestImage::least_certain(model.task(), test, probabilities, GALLERY);
        self.mistakes = TestImage::worst_mistakes(model.task(), test, probabilities, GALLERY);
        self.evaluation = Some(Evaluation::new(model.task(), probabilities, &scored.losses, &test.labels));

        let ways: Vec<TestImage> =
            (0..WAYS.min(test.len())).map(|image| TestImage::of(model.task(), test, probabilities, image)).collect();
        let pixels: Vec<u8> = ways.iter().flat_map(|image| image.pixels.clone()).collect();
        let outputs = activations(&Device::Cpu, model, parameters, &pixels).await?;
        for (number, shown) in ways.into_iter().enumerate() {
            let layers = outputs.iter().map(|(layer, output)| Sheet::of_activations(layer, output, number)).collect();
            self.activations.push(Activations { shown, layers });
        }
        Ok(())
    }

    /// Saves it in a run folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        write_atomically(&folder.join(REPORT_FILE), &serde_json::to_vec(self)?)
    }

    /// Loads the report of a run folder.
    ///
    /// # Errors
    /// If there is none, or it has another version.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(REPORT_FILE);
        let name = path.display();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {name}; give the folder of a finished run of `train`"))?;
        let unusable = || format!("{name} cannot be used");
        let mut report: Self = json::parse_versioned(&text, SCHEMA, "train again, or use the version that wrote it")
            .with_context(unusable)?;
        report.ensure_drawable().context("it is damaged").with_context(unusable)?;
        if !are_times(&report.kernels) {
            report.kernels.clear();
        }
        Ok(report)
    }

    /// Refuses values that no run writes and that cannot be drawn.
    fn ensure_drawable(&self) -> Result<()> {
        let task = self.record.data.task()?;
        let (bytes, classes) = (task.image().bytes(), task.classes());
        let shown = self.activations.iter().map(|activations| &activations.shown);
        for image in self.mistakes.iter().chain(&self.uncertain).chain(shown) {
            let is_class = usize::from(image.label) < classes && image.prediction < classes;
            ensure!(
                is_class && image.pixels.len() == bytes,
                "image {} does not have {bytes} bytes and a class below {classes}",
                image.image
            );
        }
        let sheets = self.activations.iter().flat_map(|activations| &activations.layers).chain(&self.filters);
        for sheet in sheets {
            ensure!(sheet.is_whole(), "the picture of `{}` lacks pixels", sheet.name);
        }
        for Augmented { image, label, pixels } in &self.augmented {
            ensure!(
                usize::from(*label) < classes && pixels.len() == bytes * (1 + AUGMENTED_STEPS),
                "training image {image} does not have {} times {bytes} bytes and a class below {classes}",
                1 + AUGMENTED_STEPS
            );
        }
        let parameters = self.epochs.first().map_or(0, |epoch| epoch.norms.len());
        ensure!(self.epochs.iter().all(|epoch| epoch.norms.len() == parameters), "an epoch lacks norms");
        // Rounded values may lie just outside. Values that are not finite are left out of figures.
        let is_share = |share: f64| !share.is_finite() || (0.0..1.0 + 1e-6).contains(&share);
        if let Some(evaluation) = &self.evaluation {
            let scores = evaluation.classes.iter().flat_map(|score| [score.precision, score.recall, score.f1]);
            ensure!(
                evaluation.classes.len() == classes && scores.flatten().chain([evaluation.accuracy]).all(is_share),
                "it lacks scores of {classes} classes from 0 to 1"
            );
            let confusion = &evaluation.confusion;
            ensure!(
                confusion.len() == classes && confusion.iter().all(|row| row.len() == classes),
                "it lacks a confusion matrix of {classes} classes"
            );
            let bins = evaluation.calibration.iter().flat_map(|bin| [bin.confidence, bin.accuracy]);
            ensure!(
                evaluation.calibration.len() == BINS && bins.flatten().all(is_share),
                "it lacks a calibration in {BINS} bins from 0 to 1"
            );
        }
        ensure!(self.kernels.iter().all(|kernel| is_share(kernel.share)), "a kernel's share is not from 0 to 1");
        Ok(())
    }
}

/// Whether the kernels' seconds and shares are finite and not negative. They are not if the device's clock stands
/// still.
fn are_times(kernels: &[KernelShare]) -> bool {
    kernels.iter().flat_map(|kernel| [kernel.seconds, kernel.share]).all(|value| value.is_finite() && value >= 0.0)
}

/// The share of each kernel of a timeline of `steps` steps; empty if the device's clock gave no times.
pub fn kernel_shares(spans: &[Span], steps: usize) -> Vec<KernelShare> {
    let mut kernels: Vec<KernelShare> = Vec::new();
    for span in spans.iter().filter(|span| span.track == Track::Device) {
        let layer = span.details.iter().find(|(key, _)| *key == "layer").map_or("", |(_, layer)| layer);
        let kernel = format!("{} {layer}", span.name);
        let seconds = span.seconds / steps as f64;
        match kernels.iter_mut().find(|other| other.kernel == kernel) {
            Some(other) => other.seconds += seconds,
            None => kernels.push(KernelShare { kernel, seconds, share: 0.0 }),
        }
    }
    let total: f64 = kernels.iter().map(|kernel| kernel.seconds).sum();
    for kernel in &mut kernels {
        kernel.share = kernel.seconds / total;
    }
    if !are_times(&kernels) {
        return vec![];
    }
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    kernels
}

fn filters(model: &Model, parameters: &[HostTensor]) -> Option<Sheet> {
    let (name, shape) = model.parameters().into_iter().next()?;
    Sheet::of_weights(&name, shape.extents(), parameters.first()?, model.task().image())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::inference::score;
    use crate::json::tests::{HARD, HARD_SINGLE};
    use crate::program::report::sample;
    use crate::random::Random;

    fn saved_and_loaded(report: &RunReport) -> RunReport {
        let folder = tempfile::tempdir().unwrap();
        report.save(folder.path()).unwrap();
        RunReport::load(folder.path()).unwrap_or_else(|error| panic!("{error:#}"))
    }

    #[test]
    fn a_report_comes_back_to_the_bit() {
        let mut report = sample::report(8, |_| 1.0);
        for (epoch, value) in report.epochs.iter_mut().zip(HARD) {
            (epoch.loss, epoch.seconds, epoch.norms[0].value) = (value, value / 3.0, 1.0 / value);
            epoch.learning_rate = HARD_SINGLE;
        }
        let read = saved_and_loaded(&report);
        let finite = |report: &RunReport| format!("{report:?}").replace("-inf", "NaN").replace("inf", "NaN");
        assert_eq!(finite(&read), finite(&report));
    }

    #[test]
    fn the_same_report_gives_the_same_page_after_it_was_saved() {
        let report = sample::report(5, |step| (step as f64).powf(-0.7));
        assert_eq!(
            crate::program::report::page(&saved_and_loaded(&report)).unwrap(),
            crate::program::report::page(&report).unwrap()
        );
    }

    /// Noise in some colours, and every class in turn.
    fn noise(task: &Task, count: usize) -> Samples {
        let mut random = Random::new(0, 0);
        let images = (0..count * task.image().bytes()).map(|_| random.below(256) as u8).collect();
        Samples { images, labels: (0..count).map(|image| (image % task.classes()) as u16).collect() }
    }

    #[test]
    fn images_of_any_shape_and_any_number_of_classes_are_reported() {
        for (height, width, channels, classes) in [(32, 32, 3, 100), (16, 16, 1, 2), (5, 9, 2, 256)] {
            let task = Task::new(ImageShape { height, width, channels }, classes).unwrap();
            let text = format!("conv 3x3, relu, flatten, dense {classes}");
            let model = Model::parse(task.clone(), &text, &[]).unwrap();
            let (parameters, test) = (model.initial_parameters(0), noise(&task, 300));
            let sample = sample::report(2, |_| 1.0);
            let mut record = RunRecord { model: text, ..sample.record };
            (record.data.image, record.data.classes) = (task.image(), classes);
            let mut report = RunReport::new(record, sample.epochs, sample.curve, &model, &parameters);
            let device = Device::Cpu;
            pollster::block_on(async {
                let scored = score(&device, &model, &parameters, &test).await.unwrap();
                report.add_test(&model, &parameters, &test, &scored).await.unwrap();
            });
            assert_eq!(report.evaluation.as_ref().unwrap().images, 300);
            assert_eq!((report.mistakes.len(), report.activations[2].layers[0].tile), (24, [height - 2, width - 2]));
            assert_eq!(report.filters.is_some(), channels != 2);

            report.add_augmented(&task, &test, Augment::FOR_DIGITS);
            assert_eq!(report.augmented.len(), classes.min(6));

            let page = crate::program::report::page(&saved_and_loaded(&report)).unwrap();
            assert_eq!(page, crate::program::report::page(&report).unwrap());
            for figure in ["augmentation", "confusion", "classes", "calibration", "mistakes", "uncertain", "layers-3"] {
                assert!(page.contains(&format!("<figure id=\"{figure}\">")), "{figure} of {task}");
            }
            let fact = format!("<td>{height}x{width}x{channels} (height, width, channels) of {classes} classes</td>");
            assert!(page.contains(&fact), "{task}");

            // A file that was cut or changed is not drawn.
            let refused = |change: fn(&mut RunReport)| {
                let mut changed = report.clone();
                change(&mut changed);
                let folder = tempfile::tempdir().unwrap();
                changed.save(folder.path()).unwrap();
                format!("{:#}", RunReport::load(folder.path()).unwrap_err())
            };
            assert!(refused(|report| report.mistakes[0].pixels.truncate(3)).contains("does not have"));
            assert!(refused(|report| report.uncertain[0].prediction = 256).contains("a class below"));
            let cut = |report: &mut RunReport| report.augmented[0].pixels.truncate(1);
            assert!(refused(cut).contains("training image 0 does not have 7 times"));
            let matrix = |report: &mut RunReport| report.evaluation.as_mut().unwrap().confusion[1].truncate(1);
            assert!(refused(matrix).contains("lacks a confusion matrix"));
            assert!(refused(|report| report.record.data.classes = 0).contains("there cannot be 0 classes"));
        }
    }

    #[test]
    fn training_images_are_shown_as_they_are_and_as_each_step_sees_them() {
        let task = Task::MNIST;
        let train = noise(&task, 20);
        let mut report = sample::report(1, |_| 1.0);
        report.add_augmented(&Task::MNIST, &train, Augment::NONE);
        assert!(report.augmented.is_empty(), "nothing is changed");
        report.add_augmented(&Task::MNIST, &train, Augment { shift: 3.0, ..Augment::NONE });
        let images: Vec<usize> = report.augmented.iter().map(|shown| shown.image).collect();
        assert_eq!(images, [0, 1, 2, 3, 4, 5], "the first of each class");
        for shown in &report.augmented {
            let mut seen: Vec<&[u8]> = shown.pixels.chunks_exact(task.image().bytes()).collect();
            assert_eq!(seen[0], &train.images[shown.image * task.image().bytes()..][..task.image().bytes()]);
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 7, "each step changes it in another way");
        }
    }

    #[test]
    fn times_of_a_clock_that_is_wrong_are_left_out_and_the_report_is_read() {
        for seconds in [f64::NAN, f64::INFINITY, -1.0] {
            let mut report = sample::report(1, |_| 1.0);
            report.kernels = vec![KernelShare { kernel: "relu relu1".to_owned(), seconds, share: f64::NAN }];
            let read = saved_and_loaded(&report);
            assert!(read.kernels.is_empty() && read.epochs.len() == 1);
        }
        let span = |seconds| Span {
            track: Track::Device,
            name: "relu".to_owned(),
            details: vec![],
            start_seconds: 0.0,
            seconds,
        };
        assert!(kernel_shares(&[span(0.0), span(0.0)], 5).is_empty());
        assert_eq!(kernel_shares(&[span(0.1), span(0.3)], 1)[0].share, 1.0);
    }
}
