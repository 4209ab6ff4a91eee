//! The table of scenes: what stands before the camera, step by step.

use std::sync::LazyLock;

use gpu_digits::random::Random;

use crate::desks::{corner_of_desk, finger, sheet_on_desk};
use crate::grounds::{board, even, paper, ruled, squared};
use crate::inks::{chalk, coloured_ink, dark_ink, even_ink, ink_on_nothing, light_pencil, marker_ink, red_on_green};
use crate::layouts::{
    number, one_digit, one_slanted_digit, sloping_number, touching, two_apart, two_lines, with_index,
};
use crate::lights::{
    camera, coloured_grain, compressed, crumpled, falling, grain, negative, shadow_of_a_hand, vignette,
};
use crate::marks::{cut_frame, dot_of_dirt, drawn_box, margin_line};
use crate::mnist::{is_there, one_mnist_digit};
use crate::shot::{Digits, Picture, Shot};

/// A kind of picture.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    steps: &'static [Step],
    needs_mnist: bool,
}

type Step = fn(&mut Shot);

impl Scene {
    /// A picture of the scene, which depends on the scene's name, the seed and the index only.
    pub(crate) fn picture(&self, seed: u64, index: u64) -> Picture {
        // Scenes and seeds start with different digits and sizes.
        let start = Random::new(seed, self.stream(u64::MAX)).below(40);
        let mut shot = Shot::new(Random::new(seed, self.stream(index)), u64::from(start) + index);
        for step in self.steps {
            step(&mut shot);
        }
        shot.finish()
    }

    /// A stream of random numbers for each picture: a hash of the name and the index (Fowler, Noll and Vo).
    fn stream(&self, index: u64) -> u64 {
        let bytes = self.name.bytes().chain(index.to_le_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// All scenes; without MNIST's files, those that do not need them.
pub(crate) fn scenes() -> &'static [Scene] {
    static THERE: LazyLock<Vec<Scene>> =
        LazyLock::new(|| SCENES.iter().copied().filter(|scene| !scene.needs_mnist || is_there()).collect());
    &THERE
}

const fn scene(name: &'static str, steps: &'static [Step]) -> Scene {
    Scene { name, steps, needs_mnist: false }
}

const fn mnist_scene(name: &'static str, steps: &'static [Step]) -> Scene {
    Scene { name, steps, needs_mnist: true }
}

const SCENES: &[Scene] = &[
    scene("plain", &[paper, one_digit, dark_ink]),
    scene("coloured-pens", &[paper, one_digit, coloured_ink]),
    scene("marker", &[paper, bold, one_digit, marker_ink]),
    scene("chalk", &[board, chalk_stick, one_digit, chalk, camera]),
    scene("negative", &[paper, one_digit, dark_ink, negative]),
    scene("slanted", &[paper, one_slanted_digit, dark_ink]),
    scene("jpeg", &[paper, one_digit, dark_ink, |shot| compressed(shot, 5)]),
    // The light of a window.
    scene("light-10", &[paper, one_digit, dark_ink, |shot| falling(shot, 0.1), camera]),
    scene("light-20", &[paper, one_digit, dark_ink, |shot| falling(shot, 0.2), camera]),
    scene("light-30", &[paper, one_digit, dark_ink, |shot| falling(shot, 0.3), camera]),
    scene("bold-light-10", &[paper, bold, filling, one_digit, marker_ink, |shot| falling(shot, 0.1), camera]),
    scene("bold-light-20", &[paper, bold, filling, one_digit, marker_ink, |shot| falling(shot, 0.2), camera]),
    scene("bold-light-30", &[paper, bold, filling, one_digit, marker_ink, |shot| falling(shot, 0.3), camera]),
    mnist_scene("mnist-light-10", &[white, one_mnist_digit, black_ink, |shot| falling(shot, 0.1)]),
    mnist_scene("mnist-light-20", &[white, one_mnist_digit, black_ink, |shot| falling(shot, 0.2)]),
    mnist_scene("mnist-light-30", &[white, one_mnist_digit, black_ink, |shot| falling(shot, 0.3)]),
    // Bad light and bad paper.
    scene("grain", &[paper, one_digit, dark_ink, grain]),
    scene("colour-grain", &[paper, one_digit, dark_ink, coloured_grain]),
    scene("hand-shadow", &[paper, one_digit, dark_ink, shadow_of_a_hand, camera]),
    scene("crumpled", &[paper, one_digit, dark_ink, crumpled, camera]),
    scene("vignette", &[paper, one_digit, dark_ink, vignette, camera]),
    // More than the paper.
    scene("desk", &[paper, sheet_on_desk, one_digit, dark_ink, camera]),
    scene("desk-corner", &[paper, one_digit, dark_ink, corner_of_desk, camera]),
    scene("finger", &[paper, small, one_digit, dark_ink, finger, camera]),
    // Lines beside and behind the digit.
    scene("cut-frame", &[paper, one_digit, dark_ink, cut_frame]),
    scene("box", &[paper, small, one_digit, dark_ink, drawn_box]),
    scene("margin-line", &[paper, one_digit, margin_line, dark_ink]),
    scene("ruled", &[paper, one_digit, ruled, dark_ink]),
    scene("squared", &[paper, one_digit, squared, dark_ink]),
    // Little contrast.
    scene("pencil", &[paper, thin, one_digit, light_pencil]),
    scene("pencil-dirt", &[paper, thin, one_digit, light_pencil, dot_of_dirt]),
    scene("yellow-on-white", &[white, one_digit, |shot| even_ink(shot, [0.98, 0.85, 0.1])]),
    scene("blue-on-black", &[|shot| even(shot, [0.02, 0.02, 0.03]), one_digit, |shot| even_ink(shot, [0.1, 0.2, 0.9])]),
    scene("red-on-green", &[one_digit, red_on_green]),
    scene("white-on-nothing", &[one_digit, |shot| ink_on_nothing(shot, [1.0; 3])]),
    scene("black-on-nothing", &[one_digit, |shot| ink_on_nothing(shot, [0.0; 3])]),
    // More than one digit.
    scene("two-apart", &[paper, two_apart, dark_ink]),
    scene("number", &[paper, number, dark_ink]),
    scene("sloping-number", &[paper, sloping_number, dark_ink]),
    scene("two-lines", &[paper, two_lines, dark_ink]),
    scene("index", &[paper, with_index, dark_ink]),
    scene("touching", &[paper, touching, dark_ink]),
    scene("number-ruled", &[paper, number, ruled, dark_ink]),
    scene("number-on-desk", &[paper, sheet_on_desk, number, dark_ink, shadow_of_a_hand, camera]),
    // No digit.
    scene("blank", &[paper]),
    scene("blank-grain", &[paper, grain]),
    scene("blank-squared", &[paper, squared]),
    scene("blank-ruled", &[paper, ruled]),
];

fn white(shot: &mut Shot) {
    even(shot, [1.0; 3]);
}

fn black_ink(shot: &mut Shot) {
    even_ink(shot, [0.0; 3]);
}

/// A marker, up to a sixth of the digit's height.
fn bold(shot: &mut Shot) {
    shot.pen = Some((0.11, 0.165));
}

/// A pencil, down to a thirtieth of the digit's height.
fn thin(shot: &mut Shot) {
    shot.pen = Some((0.033, 0.05));
}

fn chalk_stick(shot: &mut Shot) {
    shot.pen = Some((0.06, 0.11));
}

/// Digits with loops that fill the picture.
fn filling(shot: &mut Shot) {
    shot.digits = Digits::Closed;
    shot.sizes = [0.7, 0.78, 0.84, 0.9];
}

/// Leaves room for what stands beside the digit.
fn small(shot: &mut Shot) {
    shot.sizes = [0.12, 0.22, 0.35, 0.5];
}
