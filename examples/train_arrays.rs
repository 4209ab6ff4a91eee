//! Trains on arrays of your own: `cargo run --release --example train_arrays`
//!
//! The images here are bars whose position gives the class. Yours are 28x28 bytes an image, with a label each.

use gpu_digits::data::{IMAGE_SIDE, Samples};
use gpu_digits::device::DeviceChoice;
use gpu_digits::executor::Unobserved;
use gpu_digits::{Dataset, Device, Model, TrainConfig, Trainer};

/// Bars of every class in turn, each two pixels wide and of some length.
fn bars(count: usize) -> Samples {
    let mut samples = Samples { images: vec![], labels: vec![] };
    for image in 0..count {
        let class = image % 10;
        let is_ink = |x: usize, y: usize| x / 2 == class + 2 && y > image % 20;
        for (y, x) in (0..IMAGE_SIDE).flat_map(|y| (0..IMAGE_SIDE).map(move |x| (y, x))) {
            samples.images.push(if is_ink(x, y) { 255 } else { 0 });
        }
        samples.labels.push(class as u8);
    }
    samples
}

fn main() -> anyhow::Result<()> {
    pollster::block_on(async {
        let dataset = Dataset::from_arrays(bars(400), bars(50))?;
        let model: Model = "conv 4x3, relu, pool 2, flatten, dense 10".parse()?;
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
