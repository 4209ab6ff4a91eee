//! Trains on arrays of your own: `cargo run --release --example train_arrays`
//!
//! The images here are coloured bars: the class is the colour and the direction. Yours are bytes `[n, y, x, c]` of any
//! height, width and number of channels, with a label each.

use gpu_digits::data::{ImageShape, Samples, Task};
use gpu_digits::device::DeviceChoice;
use gpu_digits::executor::Unobserved;
use gpu_digits::{Dataset, Device, Model, TrainConfig, Trainer};

/// The shape of an image.
const SHAPE: ImageShape = ImageShape { height: 24, width: 20, channels: 3 };

/// Red, green and blue, upright and level.
const CLASSES: usize = 6;

/// Bars of every class in turn, each two pixels wide, in every place.
fn bars(count: usize) -> Samples {
    let mut samples = Samples { images: vec![], labels: vec![] };
    for image in 0..count {
        let (class, place) = (image % CLASSES, image / CLASSES % 18);
        for (y, x, c) in (0..SHAPE.bytes()).map(|i| (i / 3 / SHAPE.width, i / 3 % SHAPE.width, i % 3)) {
            let across = if class < 3 { x } else { y };
            let is_inked = (place..place + 2).contains(&across) && c == class % 3;
            samples.images.push(if is_inked { 255 } else { 0 });
        }
        samples.labels.push(class as u16);
    }
    samples
}

fn main() -> anyhow::Result<()> {
    pollster::block_on(async {
        let task = Task::new(SHAPE, CLASSES)?;
        let dataset = Dataset::from_arrays(task, bars(600), bars(60))?;
        let model = Model::parse(dataset.task.clone(), "conv 8x3, relu, pool 2, flatten, dense 6", &[])?;
        let config = TrainConfig { epochs: 3, ..TrainConfig::for_images(dataset.train.len()) };
        let parameters = model.initial_parameters(config.seed);

        let device = Device::open(&DeviceChoice::Auto).await?;
        let mut trainer = Trainer::new(&device, &model, &parameters, &dataset, config).await?;
        for _ in 0..config.epochs {
            println!("loss {:.4}", trainer.epoch(&mut Unobserved).await?.score.loss);
        }
        let test = trainer.evaluate(trainer.splits().test.clone()).await?;
        println!("{:.1} % of {} test images on {device}", 100.0 * test.accuracy, test.images);
        anyhow::ensure!(test.accuracy > 0.9, "the bars were not learned");
        Ok(())
    })
}
