//! Images as bytes through the reference, for people to look at.

use super::BatchAugment;
use crate::augment::Augment;
use crate::data::ImageShape;
use crate::op::Op;
use crate::ops::batch::{BatchGather, CLOCK_LENGTH};
use crate::random::Random;
use crate::tensor::{HostTensor, pack_bytes};

impl BatchAugment {
    /// A batch of images as a step of training with this clock sees them.
    pub(crate) fn seen(images: &[u8], image: ImageShape, augment: Augment, clock: [u32; CLOCK_LENGTH]) -> Vec<u8> {
        let pixels = image.bytes();
        let count = images.len() / pixels;
        // The images are the whole data set, and results are bytes again.
        let gather = BatchGather { batch: count, pixels, count, order_length: count, scale: 1.0, shift: 0.0 };
        let op = Self { gather, width: image.width, channels: image.channels, augment };
        let mut tensors = op.test_inputs(&mut Random::new(0, 0));
        let order: Vec<u32> = (0..op.gather.count as u32).collect();
        tensors[0] = HostTensor::from_u32(tensors[0].shape.clone(), &pack_bytes(&[images]));
        tensors[2] = HostTensor::from_u32([order.len()], &order);
        tensors[3] = HostTensor::from_u32([CLOCK_LENGTH], &clock);
        if op.field().most > 0 {
            let mut field = [tensors[3].clone(), tensors[6].clone()];
            op.field().reference(&mut field);
            let [_, field] = field;
            tensors[6] = field;
        }
        op.reference(&mut tensors);
        tensors[4].f32().iter().map(|byte| byte.round() as u8).collect()
    }
}
