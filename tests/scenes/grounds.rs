//! What is written on: paper of several kinds, and boards.

use crate::geometry::point;
use crate::noise::{Hills, one_of};
use crate::shot::{Colour, Shot, mix};

/// White, bluish and yellowish paper.
const PAPERS: [Colour; 4] = [[0.97, 0.97, 0.97], [0.93, 0.94, 0.96], [0.96, 0.94, 0.88], [0.88, 0.87, 0.85]];
const BOARDS: [Colour; 3] = [[0.13, 0.14, 0.14], [0.1, 0.2, 0.15], [0.2, 0.23, 0.22]];
const RULES: [Colour; 3] = [[0.65, 0.75, 0.9], [0.72, 0.74, 0.78], [0.6, 0.78, 0.84]];

/// Light paper, a little uneven.
pub(crate) fn paper(shot: &mut Shot) {
    let colour = one_of(&mut shot.random, &PAPERS);
    let fibres = Hills::new(&mut shot.random);
    shot.paint(|at, _| {
        let shade = 1.0 + 0.015 * (fibres.rough(at.times(0.2)) - 0.5);
        colour.map(|part| part * shade)
    });
}

/// One even colour.
pub(crate) fn even(shot: &mut Shot, colour: Colour) {
    shot.paint(|_, _| colour);
}

/// A blackboard that was wiped: cloudy, with traces of the cloth.
pub(crate) fn board(shot: &mut Shot) {
    let colour = one_of(&mut shot.random, &BOARDS);
    let (clouds, wipes) = (Hills::new(&mut shot.random), Hills::new(&mut shot.random));
    let side = shot.side();
    shot.paint(|at, _| {
        let at = at.times(1.0 / side);
        let dust = 0.09 * clouds.rough(at.times(4.0)) + 0.05 * wipes.rough(point(at.x * 3.0 + at.y * 9.0, at.y * 30.0));
        mix(colour, [0.9, 0.9, 0.88], dust)
    });
}

/// Horizontal lines at a distance that fits the digits.
pub(crate) fn ruled(shot: &mut Shot) {
    let fits = shot.random.uniform(0.35, 0.9);
    rules(shot, fits, false);
}

/// Lines both ways, as for sums at school.
pub(crate) fn squared(shot: &mut Shot) {
    let fits = shot.random.uniform(0.25, 0.55);
    rules(shot, fits, true);
}

/// Rules the sheet; `fits` is the distance of two lines in heights of a digit.
fn rules(shot: &mut Shot, fits: f32, both_ways: bool) {
    let colour = one_of(&mut shot.random, &RULES);
    let sheet = shot.sheet;
    let pixels = sheet.view.scale_at(sheet.frame().middle());
    let distance = (shot.digit_height() * fits).max(12.0) / pixels;
    let half_line = (distance * pixels * shot.random.uniform(0.018, 0.035)).clamp(1.0, 4.0) / 2.0;
    let start = point(shot.random.uniform(0.0, distance), shot.random.uniform(0.0, distance));
    let on_line = |place: f32| {
        let past = (place.rem_euclid(distance)).min(distance - place.rem_euclid(distance));
        (0.5 + half_line - past * pixels).clamp(0.0, 1.0)
    };
    shot.paint(|at, old| {
        let on_sheet = sheet.back.apply(at);
        if !sheet.frame().contains(on_sheet) {
            return old;
        }
        let across = if both_ways { on_line(on_sheet.x + start.x) } else { 0.0 };
        mix(old, colour, 0.9 * on_line(on_sheet.y + start.y).max(across))
    });
}
