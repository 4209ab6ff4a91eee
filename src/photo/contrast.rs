//! The direction in the space of colours that separates ink from its ground best.
//!
//! Yellow ink on white differs in blue alone, red on a green of the same grey in no grey at all. The gradients of the three
//! channels at the picture's edges, taken together, have a main direction: that in which the colours change there (Di Zenzo,
//! "A note on the gradient of a multi-image", 1986). Each edge counts by its contrast, so that a black dot beside a pencil's
//! line does not decide.

use super::map::{Map, quantile};
use super::picture::Picture;

/// A picture is smoothed by a Gaussian of this standard deviation in pixels, and more if it is grainy.
const SMOOTHING: f32 = 0.9;
const SMOOTHING_OF_GRAIN: f32 = 22.0;
const MOST_SMOOTHING: f32 = 2.4;
/// The least change from a pixel to the next, in any channel, that is an edge; white minus black is 1.
const LEAST_GRADIENT: f32 = 0.012;
/// An edge's squared gradient is so many times the median of all, which grain makes.
const ABOVE_GRAIN: f32 = 14.0;

/// The brightness of each pixel along the direction of the best contrast.
pub(super) struct Contrast {
    /// The picture along the direction, smoothed.
    pub(super) brightness: Map<f32>,
    /// The grey of the picture, smoothed: how light it is.
    pub(super) grey: Map<f32>,
    /// The standard deviation of the Gaussian that smoothed both, in pixels.
    pub(super) sigma: f32,
    /// Grain changes the brightness from a pixel to the next by less than this.
    pub(super) grain_gradient: f32,
}

impl Contrast {
    pub(super) fn of(picture: &Picture) -> Self {
        let sigma = (SMOOTHING + SMOOTHING_OF_GRAIN * grain(picture)).min(MOST_SMOOTHING);
        let smooth = picture.channels.each_ref().map(|channel| channel.blurred(sigma));
        let gradients: Vec<[[f32; 3]; 2]> = interior(&smooth[0]).map(|index| gradient(&smooth, index)).collect();
        let energy = |[x, y]: &[[f32; 3]; 2]| x.iter().chain(y).map(|change| change * change).sum::<f32>();
        let energies: Vec<f32> = gradients.iter().map(energy).collect();
        let grain = ABOVE_GRAIN * quantile(&mut energies.clone(), 0.5);
        let least = grain.max(LEAST_GRADIENT * LEAST_GRADIENT);
        let mut tensor = [[0.0f64; 3]; 3];
        for (gradient, energy) in gradients.iter().zip(&energies).filter(|(_, energy)| **energy > least) {
            for along in gradient {
                for (row, a) in tensor.iter_mut().zip(along) {
                    for (sum, b) in row.iter_mut().zip(along) {
                        *sum += f64::from(a * b / energy.sqrt());
                    }
                }
            }
        }
        let direction = main_direction(&tensor);
        let brightness = weighted(&smooth, direction);
        let grey = weighted(&smooth, [1.0 / 3.0; 3]);
        Self { brightness, grey, sigma, grain_gradient: grain.sqrt() }
    }
}

/// The standard deviation of the grain. Neighbours differ by it even where the picture is smooth: the mean of a second
/// difference in both directions is a multiple of it (Immerkær, "Fast noise variance estimation", 1996). The median in place
/// of the mean leaves out edges.
fn grain(picture: &Picture) -> f32 {
    let noise = |map: &Map<f32>| {
        let second = |index: usize| {
            let row = |start: usize| map.values[start - 1] - 2.0 * map.values[start] + map.values[start + 1];
            (row(index - map.width) - 2.0 * row(index) + row(index + map.width)).abs()
        };
        let mut differences: Vec<f32> = interior(map).map(second).collect();
        // The kernel multiplies the deviation by 6; the median of a Gaussian's size is 0.6745 of its deviation.
        quantile(&mut differences, 0.5) / (6.0 * 0.6745)
    };
    picture.channels.iter().map(noise).fold(0.0, f32::max)
}

/// The pixels that have neighbours on all sides.
fn interior(map: &Map<f32>) -> impl Iterator<Item = usize> + use<> {
    let width = map.width;
    let rows = 1..map.height.saturating_sub(1).max(1);
    rows.flat_map(move |y| (1..width.saturating_sub(1).max(1)).map(move |x| y * width + x))
}

/// The change of each channel to the right and downwards, for a pixel.
fn gradient(channels: &[Map<f32>; 3], index: usize) -> [[f32; 3]; 2] {
    [1, channels[0].width].map(|step| {
        channels.each_ref().map(|channel| (channel.values[index + step] - channel.values[index - step]) / 2.0)
    })
}

/// The eigenvector of the largest eigenvalue, by powers of the matrix, of length 1 and with a positive sum; that of grey if there
/// is none.
fn main_direction(tensor: &[[f64; 3]; 3]) -> [f32; 3] {
    // Not quite grey, so that it is perpendicular to no likely direction.
    let mut vector = [0.6, 0.61, 0.52];
    for _ in 0..50 {
        let product: [f64; 3] =
            std::array::from_fn(|row| (0..3).map(|column| tensor[row][column] * vector[column]).sum());
        let length = product.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length < 1e-12 {
            break;
        }
        vector = product.map(|value| value / length);
    }
    let sign = vector.iter().sum::<f64>().signum();
    vector.map(|value| (value * sign) as f32)
}

fn weighted(channels: &[Map<f32>; 3], weights: [f32; 3]) -> Map<f32> {
    let [red, green, blue] = channels;
    let values = red.values.iter().zip(&green.values).zip(&blue.values);
    let values = values.map(|((r, g), b)| weights[0] * r + weights[1] * g + weights[2] * b).collect();
    Map { values, width: red.width, height: red.height }
}
