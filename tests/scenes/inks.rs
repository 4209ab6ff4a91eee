//! Pens and what they leave on the ground.

use crate::noise::{Hills, between, one_of};
use crate::shot::{Colour, Shot, mix};

/// What a pen leaves where it passes.
#[derive(Clone, Copy)]
struct Ink {
    colour: Colour,
    /// How much of the ground it hides at most.
    strength: f32,
    /// How much of that is missing on the tops or in the pits of the paper.
    patchy: f32,
    /// The size of the patches in pixels.
    grain: f32,
}

const BLACK: Colour = [0.08, 0.08, 0.1];
const BLUE: Colour = [0.1, 0.16, 0.5];
/// Pens of an office and a school.
const PENS: [Colour; 4] = [BLACK, BLUE, [0.16, 0.17, 0.2], [0.05, 0.1, 0.32]];
const COLOURED_PENS: [Colour; 8] = [
    [0.1, 0.2, 0.75],
    [0.8, 0.1, 0.12],
    [0.05, 0.5, 0.2],
    [0.45, 0.15, 0.6],
    [0.45, 0.25, 0.1],
    [0.85, 0.15, 0.5],
    [0.0, 0.5, 0.6],
    [0.9, 0.4, 0.05],
];

/// A ballpoint or ink pen.
pub(crate) fn dark_ink(shot: &mut Shot) {
    let colour = one_of(&mut shot.random, &PENS);
    let strength = shot.random.uniform(0.85, 1.0);
    lay(shot, Ink { colour, strength, patchy: 0.15, grain: 2.0 });
}

/// A pen of some colour.
pub(crate) fn coloured_ink(shot: &mut Shot) {
    let colour = one_of(&mut shot.random, &COLOURED_PENS);
    lay(shot, Ink { colour, strength: 0.92, patchy: 0.12, grain: 2.0 });
}

/// A felt pen, dark or coloured.
pub(crate) fn marker_ink(shot: &mut Shot) {
    let colour = if shot.random.below(2) == 0 { BLACK } else { one_of(&mut shot.random, &COLOURED_PENS) };
    lay(shot, Ink { colour, strength: 0.95, patchy: 0.08, grain: 9.0 });
}

/// Pressed lightly: the paper shines through.
pub(crate) fn light_pencil(shot: &mut Shot) {
    let strength = shot.random.uniform(0.35, 0.55);
    lay(shot, Ink { colour: [0.3, 0.3, 0.32], strength, patchy: 0.35, grain: 1.5 });
}

/// Chalk skips the pits of the board.
pub(crate) fn chalk(shot: &mut Shot) {
    let colour = one_of(&mut shot.random, &[[0.95, 0.95, 0.92], [0.95, 0.9, 0.6], [0.93, 0.8, 0.82]]);
    let grain = (shot.digit_height() * between(&mut shot.random, (0.006, 0.012))).max(1.5);
    lay(shot, Ink { colour, strength: 0.92, patchy: 0.65, grain });
}

/// Ink of one even colour, as of a drawing program.
pub(crate) fn even_ink(shot: &mut Shot, colour: Colour) {
    lay(shot, Ink { colour, strength: 1.0, patchy: 0.0, grain: 1.0 });
}

/// Ink on nothing: the ground is transparent, and black where nobody sees it.
pub(crate) fn ink_on_nothing(shot: &mut Shot, colour: Colour) {
    shot.paint(|_, _| [0.0; 3]);
    shot.paint_ink(|_, _, _| colour);
    shot.transparent = true;
}

/// The weights of red, green and blue in grey, of old and of new television (ITU-R BT.601 and BT.709).
const GREYS: [Colour; 2] = [[0.299, 0.587, 0.114], [0.2126, 0.7152, 0.0722]];

/// Red on green, so that nothing is left of it in grey.
pub(crate) fn red_on_green(shot: &mut Shot) {
    let weights = one_of(&mut shot.random, &GREYS);
    let green = [0.2, shot.random.uniform(0.55, 0.65), 0.25];
    let grey: f32 = (0..3).map(|part| weights[part] * green[part]).sum();
    let red = 0.88;
    let rest = (grey - red * weights[0]) / (1.0 - weights[0]);
    shot.paint(|_, _| green);
    even_ink(shot, [red, rest, rest]);
}

/// Lays ink on the ground wherever the pen has been.
fn lay(shot: &mut Shot, ink: Ink) {
    let patches = Hills::new(&mut shot.random);
    shot.paint_ink(|at, ground, share| {
        let height = patches.rough(at.times(1.0 / ink.grain));
        let missing = ink.patchy * ((height - 0.4) * 2.5).clamp(0.0, 1.0);
        mix(ground, ink.colour, share * ink.strength * (1.0 - missing))
    });
}
