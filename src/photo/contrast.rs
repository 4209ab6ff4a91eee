//! The direction in the space of colours that separates ink from its ground best.
//!
//! Yellow ink on white differs in blue alone, red on a green of the same grey in no grey at all. The gradients of the
//! three channels at the picture's edges, taken together, have a main direction: that in which the colours change there
//! (Di Zenzo, "A note on the gradient of a multi-image", 1986). Each edge counts by its contrast, so that a black dot
//! beside a pencil's line does not decide.

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
/// difference in both directions is a multiple of it (Immerkær, "Fast noise variance estimation", 1996). The median in
/// place of the mean leaves out edges.
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

/// The eigenvector of the largest eigenvalue, by powers of the matrix, of length 1 and with a positive sum; that of
/// grey if there is none.
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

#[cfg(test)]
mod tests {
    use super::super::drawn::{grey, is_in_bar, picture};
    use super::*;
    use crate::random::Random;

    /// Where `drawing` is not, and in the middle of it.
    const BARE: (usize, usize) = (30, 30);
    const INKED: (usize, usize) = (100, 40);

    /// A bar of 20 pixels' thickness.
    fn drawing(ground: [f32; 3], ink: [f32; 3]) -> Picture {
        picture(160, 120, |x, y| if is_in_bar([[100.0, 10.0], [100.0, 110.0]], 20.0, x, y) { ink } else { ground })
    }

    fn difference(map: &Map<f32>) -> f32 {
        (map.at(BARE.0, BARE.1) - map.at(INKED.0, INKED.1)).abs()
    }

    #[test]
    fn yellow_on_white_differs_in_blue_alone() {
        let contrast = Contrast::of(&drawing([1.0, 1.0, 1.0], [1.0, 1.0, 0.2]));
        assert!((difference(&contrast.brightness) - 0.8).abs() < 0.02, "{}", difference(&contrast.brightness));
        assert!((difference(&contrast.grey) - 0.8 / 3.0).abs() < 0.02, "{}", difference(&contrast.grey));
    }

    #[test]
    fn colours_of_the_same_grey_are_told_apart() {
        let contrast = Contrast::of(&drawing([0.2, 0.8, 0.3], [0.8, 0.2, 0.3]));
        assert!(difference(&contrast.grey) < 0.01, "{}", difference(&contrast.grey));
        assert!(difference(&contrast.brightness) > 0.8, "{}", difference(&contrast.brightness));
    }

    #[test]
    fn brightness_of_a_grey_picture_is_its_grey() {
        for picture in [drawing([0.9; 3], [0.2; 3]), grey(40, 30, |_, _| 0.5)] {
            let contrast = Contrast::of(&picture);
            let factors = contrast.brightness.with(&contrast.grey, |brightness, grey| brightness / grey);
            let [least, most] = [0.0, 1.0].map(|share| factors.quantile(share));
            assert!(least > 0.5 && most - least < 0.05, "{least} to {most}");
        }
    }

    #[test]
    fn a_black_dot_does_not_decide_over_a_faint_line() {
        let line_and_dot = picture(160, 120, |x, y| {
            let is_line = is_in_bar([[10.0, 40.0], [150.0, 40.0]], 10.0, x, y);
            let is_dot = (x as f32 - 30.0).hypot(y as f32 - 90.0) < 3.0;
            if is_dot { [0.0; 3] } else { [0.9, 0.9, if is_line { 0.6 } else { 0.9 }] }
        });
        let contrast = Contrast::of(&line_and_dot);
        assert!(difference(&contrast.brightness) > 0.25, "{}", difference(&contrast.brightness));
    }

    #[test]
    fn grain_is_measured_and_smoothed_away() {
        let mut random = Random::new(1, 0);
        let mut grainy = drawing([0.8; 3], [0.3; 3]);
        let clean = Contrast::of(&grainy);
        assert!(grain(&grainy) < 1e-3, "{}", grain(&grainy));
        for value in grainy.channels.iter_mut().flat_map(|channel| &mut channel.values) {
            // A deviation of 0.03.
            let [a, b, c] = [0; 3].map(|_| random.uniform(-0.03, 0.03));
            *value += a + b + c;
        }
        assert!((grain(&grainy) - 0.03).abs() < 0.005, "{}", grain(&grainy));
        let smoothed = Contrast::of(&grainy);
        assert!(smoothed.sigma > clean.sigma + 0.3, "{} and {}", smoothed.sigma, clean.sigma);
        assert!(smoothed.grain_gradient > clean.grain_gradient);
    }
}
