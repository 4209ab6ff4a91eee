//! Which pixels speak for an answer: the gradient times the input (Shrikumar, Greenside and Kundaje, "Learning important
//! features through propagating activation differences", 2017), by the same ops backward as in training.

use anyhow::{Result, ensure};

use crate::layers::{Ends, Recorder, ZERO_MEANS};
use crate::model::Model;
use crate::plan::by_name::{Tensors, add_parameters, run};
use crate::tensor::{DType, HostTensor};

/// How much each byte `[y, x, c]` of an image speaks for a class, or against it: the derivative of the class's logit by the
/// byte, times the byte. So a black pixel has no say. The references compute it.
///
/// # Errors
/// If there is not one image, the model has no such class, or the parameters are not those of the model.
pub fn attribution(model: &Model, parameters: &[HostTensor], image: &[u8], class: usize) -> Result<Vec<f32>> {
    let (task, layers) = (model.task(), model.layers());
    let (shape, classes) = (task.image(), task.classes());
    ensure!(shape.count(image)? == 1, "give one image of {} bytes", shape.bytes());
    ensure!(class < classes, "the model has {classes} classes, counted from 0, so there is no class {class}");
    let [scale, shift] = task.scale_and_shift().map(|number| number as f32);
    let pixels: Vec<f32> = image.iter().map(|&byte| f32::from(byte) * scale + shift).collect();
    let mut tensors = Tensors::from([(
        "batch".to_owned(),
        HostTensor::from_f32([1, shape.height, shape.width, shape.channels], &pixels),
    )]);
    add_parameters(&mut tensors, layers, parameters)?;
    let mut step = Recorder {
        layer: String::new(),
        number: 0,
        batch: 1,
        shape: &[],
        trains: false,
        frozen: false,
        ends: Ends::new("batch", ""),
        needs_input_grad: true,
        calls: vec![],
    };
    let names = step.forward(layers);
    step.ends = Ends::new("batch", names[layers.len()].clone());
    let mut of_logits = vec![0.0; classes];
    of_logits[class] = 1.0;
    tensors.insert(step.ends.output_grad.clone(), HostTensor::from_f32([1, classes], &of_logits));
    step.backward(layers, &names);
    for call in &step.calls {
        for (operand, name) in call.op.operands().into_iter().zip(&call.tensors) {
            if name.ends_with(ZERO_MEANS) {
                tensors.insert(name.clone(), HostTensor::zeros(DType::F32, operand.shape));
            }
        }
    }
    run(&step.calls, &mut tensors)?;
    let gradient = &tensors[&step.ends.input_grad];
    Ok(gradient.f32().iter().zip(image).map(|(&gradient, &byte)| gradient * scale * f32::from(byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::inference::activations;
    use crate::random::Random;

    /// Models that have every kind of layer.
    const MODELS: [&str; 3] = [
        "conv 3x5, relu, pool 2, norm, conv 4x3 same, leaky 0.1, avg 2, flatten, dropout 0.5, dense 12, relu, dense 10",
        "conv 3x3, norm, relu, pool 3, residual(conv 5x3 same, relu, norm), avg global, flatten, dense 10",
        "flatten, dense 10",
    ];

    /// The gradient predicts how a logit moves if a pixel changes a little.
    #[test]
    fn attributions_are_the_derivatives_of_the_logit_times_the_bytes() {
        for text in MODELS {
            let model: Model = text.parse().unwrap();
            let mut random = Random::new(3, 0);
            let parameters: Vec<HostTensor> = model
                .initial_parameters(1)
                .into_iter()
                .map(|tensor| {
                    // Biases, means and variances that are not those at the start.
                    let values: Vec<f32> = tensor.f32().iter().map(|&value| value + random.uniform(0.0, 0.2)).collect();
                    HostTensor::from_f32(tensor.shape.clone(), &values)
                })
                .collect();
            let image: Vec<u8> = (0..784).map(|_| random.uniform(40.0, 200.0) as u8).collect();
            let class = 7;
            let got = attribution(&model, &parameters, &image, class).unwrap();
            let logit = |image: &[u8]| {
                let outputs = pollster::block_on(activations(&Device::Cpu, &model, &parameters, image)).unwrap();
                outputs.last().unwrap().1.f32()[class]
            };
            let scale = got.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            for pixel in [30, 100, 217, 406, 600] {
                let moved = |by: i16| {
                    let mut image = image.clone();
                    image[pixel] = (i16::from(image[pixel]) + by) as u8;
                    logit(&image)
                };
                let wanted = (moved(1) - moved(-1)) / 2.0 * f32::from(image[pixel]);
                assert!((got[pixel] - wanted).abs() <= 0.03 * scale, "{text}: {} but {wanted}, of {scale}", got[pixel]);
            }
        }
    }

    #[test]
    fn a_black_pixel_has_no_say_and_a_missing_class_is_refused() {
        let model: Model = "flatten, dense 10".parse().unwrap();
        let parameters = model.initial_parameters(0);
        assert!(attribution(&model, &parameters, &[0; 784], 3).unwrap().iter().all(|&value| value == 0.0));
        let error = attribution(&model, &parameters, &[0; 784], 10).unwrap_err().to_string();
        assert_eq!(error, "the model has 10 classes, counted from 0, so there is no class 10");
        assert!(attribution(&model, &parameters, &[0; 783], 3).is_err());
    }
}
