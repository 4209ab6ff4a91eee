//! The C file of a model that computes with bytes.

use anyhow::Result;

use super::super::int8::{Accuracy, Computed, Quantized, Rows, Step};
use super::float::channels_and_area;
use super::memory::{Memory, Storage};
use super::text::{Helper, Text, ensure_placed, identifier, name_places};
use crate::layers::network::Value;

/// All helpers, each after those that it calls.
const HELPERS: &[Helper] = &[
    ("scaled", include_str!("int8/scaled.c")),
    ("clamped", include_str!("int8/clamped.c")),
    ("wide", include_str!("int8/wide.c")),
    ("take_in", include_str!("int8/take_in.c")),
    ("convolution", include_str!("int8/convolution.c")),
    ("product", include_str!("int8/product.c")),
    ("dense", include_str!("int8/dense.c")),
    ("dense_logits", include_str!("int8/dense_logits.c")),
    ("scale", include_str!("int8/scale.c")),
    ("rectify", include_str!("int8/rectify.c")),
    ("max_pool", include_str!("int8/max_pool.c")),
    ("average_pool", include_str!("int8/average_pool.c")),
    ("add", include_str!("int8/add.c")),
    ("widen", include_str!("int8/widen.c")),
    ("softmax", include_str!("int8/softmax.c")),
];

/// A model in whole numbers as a C99 file of its own that needs no library but `math.h` and allocates nothing; `docs/EXPORT.md`
/// describes it. Its functions are `NAME_logits`, whose results are those of [`Quantized::logits`] to the bit, and
/// `NAME_probabilities`.
///
/// # Errors
/// If the name cannot begin one of C's, or the model takes more than 2^31 bytes of memory.
pub fn c_int8(quantized: &Quantized, name: &str) -> Result<String> {
    let (saved, steps) = (quantized.saved, &quantized.steps);
    let image = saved.model.task().image();
    let mut text = Text::new(name)?;
    let planes = vec![image.channels, image.height, image.width];
    let names = steps.iter().map(|step| (identifier(&step.name), step.shapes[1].clone()));
    let values: Vec<_> = std::iter::once(("input".to_owned(), planes)).chain(names).collect();
    let memory = placed(steps, &values);
    ensure_placed(&memory)?;

    name_places(&mut text, "int8_t", &values, &memory);
    let place = |value: Value| values[memory.first[value]].0.as_str();
    text.line(&format!("take_in(image, {}, {}, input);", image.channels, image.height * image.width));
    for (before, step) in steps.iter().enumerate() {
        let inputs: Vec<&str> = step.inputs.iter().map(|&value| place(value)).collect();
        if let Some(call) = call(&mut text, step, &inputs, place(before + 1)) {
            text.line(&call);
        }
    }
    let Accuracy { images, floats, bytes, alike } = quantized.accuracy;
    let which = &quantized.images;
    let accuracy =
        format!("{bytes} of {images} {which} are read rightly, {floats} with floats; {alike} are read alike");
    Ok(text.fill(include_str!("int8/file.c"), saved, ("int8_t", 1, memory.total), HELPERS, &[("accuracy", &accuracy)]))
}

/// Where the values lie; logits have no place here.
fn placed(steps: &[Step], values: &[(String, Vec<usize>)]) -> Memory {
    let storage = |step: &Step| match step.computed {
        Computed::Scale(_) | Computed::Rectifier { .. } | Computed::Sum { .. } => Storage::InPlace,
        Computed::Flatten | Computed::DenseLogits(_) | Computed::Widen { .. } => Storage::Same,
        _ => Storage::Own,
    };
    let sizes: Vec<usize> = values.iter().map(|(_, shape)| shape.iter().product()).collect();
    let steps: Vec<(&[Value], Storage)> = steps.iter().map(|step| (&step.inputs[..], storage(step))).collect();
    Memory::new(&sizes, &steps)
}

/// The call of a step, after its constants; none where nothing is to be computed.
fn call(text: &mut Text, step: &Step, inputs: &[&str], output: &str) -> Option<String> {
    let (input, zero, to) = (inputs[0], step.input_zeros[0], step.zero);
    let [from_shape, to_shape] = &step.shapes;
    let count: usize = to_shape.iter().product();
    let mut arrays = |rows: &Rows| {
        let multipliers: Vec<i32> = rows.factors.iter().map(|factor| factor.multiplier).collect();
        let shifts: Vec<u8> = rows.factors.iter().map(|factor| factor.shift).collect();
        [
            text.array(("int8_t", 1), &step.name, "weight", &rows.weights),
            text.array(("int32_t", 4), &step.name, "bias", &rows.bias),
            text.array(("int32_t", 4), &step.name, "multiplier", &multipliers),
            text.array(("unsigned char", 1), &step.name, "shift", &shifts),
        ]
        .join(", ")
    };
    let map = || from_shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    Some(match &step.computed {
        Computed::Convolution { rows, kernel, stride, before } => {
            let [outputs, height, width] = [to_shape[0], to_shape[1], to_shape[2]];
            format!(
                "convolution({input}, {zero}, {}, {}, {kernel}, {stride}, {before}, {output}, {to}, {outputs}, {height}, {width});",
                map(),
                arrays(rows)
            )
        }
        Computed::Dense(rows) => {
            format!("dense({input}, {zero}, {}, {}, {output}, {to}, {count});", from_shape[0], arrays(rows))
        }
        Computed::DenseLogits(rows) => {
            format!("dense_logits({input}, {zero}, {}, {}, logits, {count});", from_shape[0], arrays(rows))
        }
        Computed::Scale(rows) => {
            let (channels, area) = channels_and_area(from_shape);
            format!("scale({input}, {zero}, {channels}, {area}, {}, {output}, {to});", arrays(rows))
        }
        Computed::Rectifier { slope } => {
            format!("rectify({input}, {zero}, {count}, {}, {}, {output});", slope.multiplier, slope.shift)
        }
        Computed::MaxPool { window: [rows, columns] } => {
            format!("max_pool({input}, {}, {rows}, {columns}, {output});", map())
        }
        Computed::AveragePool { window: [rows, columns], factor } => {
            let factor = format!("{}, {}", factor.multiplier, factor.shift);
            format!("average_pool({input}, {zero}, {}, {rows}, {columns}, {factor}, {output}, {to});", map())
        }
        Computed::Sum { factors: [a, b] } => {
            let (other, other_zero) = (inputs[1], step.input_zeros[1]);
            format!(
                "add({input}, {zero}, {}, {other}, {other_zero}, {}, {}, {count}, {output}, {to});",
                a.multiplier, b.multiplier, a.shift
            )
        }
        Computed::Widen { factor } => {
            format!("widen({input}, {zero}, {count}, {}, {}, logits);", factor.multiplier, factor.shift)
        }
        Computed::Flatten => return None,
    })
}
