//! Images as bytes through the reference: as a step of training sees them, and in fixed views.

use super::BatchAugment;
use crate::augment::Augment;
use crate::data::Task;
use crate::op::Op;
use crate::ops::batch::{BatchGather, CLOCK_LENGTH};
use crate::tensor::{HostTensor, pack_bytes};

/// A fixed change of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    /// Rotation, in degrees.
    pub(crate) rotate: f64,
    /// Share by which the image shrinks.
    pub(crate) zoom: f64,
    /// Movement to the left and upwards, in pixels.
    pub(crate) shift: [f64; 2],
}

impl BatchAugment {
    /// The op for a batch of some images, which are the whole data set and become bytes again, and its operands.
    fn of_bytes(images: &[u8], task: &Task, augment: Augment) -> (Self, Vec<HostTensor>) {
        let (image, edge) = (task.image(), !task.is_of_digits());
        let (pixels, count) = (image.bytes(), images.len() / image.bytes());
        let gather = BatchGather { batch: count, pixels, count, order_length: count, scale: 1.0, shift: 0.0 };
        let op = Self { gather, width: image.width, channels: image.channels, edge, augment };
        let order: Vec<u32> = (0..count as u32).collect();
        let mut tensors: Vec<HostTensor> =
            op.operands().into_iter().map(|operand| HostTensor::zeros(operand.dtype, operand.shape)).collect();
        tensors[0] = HostTensor::from_u32(tensors[0].shape.clone(), &pack_bytes(&[images]));
        tensors[2] = HostTensor::from_u32([count], &order);
        (op, tensors)
    }

    /// A batch of images as a step of training with this clock sees them.
    pub(crate) fn seen(images: &[u8], task: &Task, augment: Augment, clock: [u32; CLOCK_LENGTH]) -> Vec<u8> {
        let (op, mut tensors) = Self::of_bytes(images, task, augment);
        tensors[3] = HostTensor::from_u32([CLOCK_LENGTH], &clock);
        if op.field().most > 0 {
            let mut field = [tensors[3].clone(), tensors[6].clone()];
            op.field().reference(&mut field);
            let [_, field] = field;
            tensors[6] = field;
        }
        op.reference(&mut tensors);
        bytes(&tensors[4])
    }

    /// Images in a fixed view.
    pub(crate) fn viewed(images: &[u8], task: &Task, view: View) -> Vec<u8> {
        let View { rotate, zoom, shift } = view;
        let (op, mut tensors) = Self::of_bytes(images, task, Augment { rotate, zoom, ..Augment::NONE });
        let [(_, turn), (_, zoom), ..] = op.most();
        let [x, y] = shift.map(|pixels| (256.0 * pixels).round() as i32);
        let map = op.map([turn as i32, zoom as i32, 0, 0, x, y, 0, 0]);
        op.gather.gather(&mut tensors[..6], |_, image, output| op.see(&map, &[], &image, output));
        bytes(&tensors[4])
    }
}

fn bytes(pixels: &HostTensor) -> Vec<u8> {
    pixels.f32().iter().map(|byte| byte.round() as u8).collect()
}
