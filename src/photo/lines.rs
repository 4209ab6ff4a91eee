//! Straight lines through the whole sheet: the rules and squares of paper, margins, frames.
//!
//! Each crossing of a stroke votes for the lines through its middle that run as the stroke does (the transform of Duda
//! and Hart, "Use of the Hough transformation to detect lines and curves in pictures", 1972, with the direction known).
//! A candidate is a line if ink covers it from one end of the sheet to the other. A digit's strokes end before.

use super::axis::Axis;
use super::map::{Map, quantile};
use super::strokes::Crossing;

/// Angles that are tried, over half a turn.
const ANGLES: usize = 360;
/// A crossing votes for directions so many steps beside its own.
const SPREAD: usize = 10;
/// Pixels of distance that count as one.
const DISTANCE: f32 = 2.0;
/// The share of a line that ink must cover.
const COVERED: f32 = 0.72;
/// The share at each end of the sheet that a line may leave out.
const END: f32 = 0.06;
/// More lines than this are not looked for.
const MOST_LINES: usize = 120;
/// A line is not wider than this share of the picture's longer side, and two pixels.
const THICKEST: f32 = 0.012;
/// Where ink is wider than a line by this factor, a stroke crosses it.
const CROSSED: f32 = 1.7;

/// A line, for each of its pixels one place.
pub(super) struct Line {
    places: Vec<[f32; 2]>,
    /// The direction across, of length 1.
    across: [f32; 2],
    width: f32,
}

/// The lines of a mask, whose strokes have these crossings. `sheet` says where the paper is.
pub(super) fn lines(crossings: &[Crossing], mask: &Map<bool>, sheet: &Map<bool>) -> Vec<Line> {
    let reach = (mask.width as f32).hypot(mask.height as f32);
    let distances = (2.0 * reach / DISTANCE) as usize + 2;
    let normals: Vec<[f32; 2]> = (0..ANGLES)
        .map(|angle| (angle as f32 * std::f32::consts::PI / ANGLES as f32).sin_cos())
        .map(|(sin, cos)| [cos, sin])
        .collect();
    let cell = |angle: usize, at: [f32; 2]| {
        let distance = at[0] * normals[angle][0] + at[1] * normals[angle][1];
        angle * distances + ((distance + reach) / DISTANCE) as usize
    };
    let angles = |crossing: &Crossing| {
        let [x, y] = crossing.across;
        let turn = (y.atan2(x) / std::f32::consts::PI).rem_euclid(1.0);
        let middle = (turn * ANGLES as f32).round() as usize;
        (0..=2 * SPREAD).map(move |step| (middle + step + ANGLES - SPREAD) % ANGLES)
    };
    let mut votes = vec![0u32; ANGLES * distances];
    for crossing in crossings {
        angles(crossing).for_each(|angle| votes[cell(angle, crossing.at)] += 1);
    }
    let shortest = 0.4 * mask.width.min(mask.height) as f32;
    let mut is_free = vec![true; crossings.len()];
    let mut found = Vec::new();
    for _ in 0..2 * MOST_LINES {
        let Some((best, &most)) = votes.iter().enumerate().max_by_key(|(_, votes)| **votes) else { break };
        // A line has two crossings a pixel, of which some are missed.
        if (most as f32) < 0.5 * shortest || found.len() == MOST_LINES {
            break;
        }
        let mut normal = normals[best / distances];
        let mut distance = (best % distances) as f32 * DISTANCE - reach + DISTANCE / 2.0;
        let supports = |crossing: &Crossing, normal: [f32; 2], distance: f32| {
            let off = (crossing.at[0] * normal[0] + crossing.at[1] * normal[1] - distance).abs();
            let along = (crossing.across[0] * normal[0] + crossing.across[1] * normal[1]).abs();
            off <= 2.0 * DISTANCE && along > 0.95
        };
        // The cell is known to a pixel and to half a degree; what supports it says it better.
        for _ in 0..2 {
            let support = crossings.iter().zip(&is_free);
            let support = support.filter(|(crossing, is_free)| **is_free && supports(crossing, normal, distance));
            (normal, distance) = fitted(support.map(|(crossing, _)| crossing.at), normal);
        }
        let mut widths = Vec::new();
        for (crossing, is_free) in crossings.iter().zip(&mut is_free) {
            if *is_free && supports(crossing, normal, distance) {
                *is_free = false;
                widths.push(crossing.width);
                // A cell that was looked at before has no votes left.
                for angle in angles(crossing) {
                    let votes = &mut votes[cell(angle, crossing.at)];
                    *votes = votes.saturating_sub(1);
                }
            }
        }
        // Crossings that were counted in the cell but run in another direction by rounding.
        votes[best] = 0;
        let width = quantile(&mut widths, 0.5);
        let places = places(normal, distance, mask, sheet);
        if width <= THICKEST * mask.side() as f32 + 2.0
            && places.len() as f32 >= shortest
            && is_covered(&places, normal, width, mask)
        {
            found.push(Line { places, across: normal, width });
        }
    }
    found
}

/// The line of least squared distances from points: its normal, near another one, and its distance from the corner.
fn fitted(points: impl Iterator<Item = [f32; 2]> + Clone, near: [f32; 2]) -> ([f32; 2], f32) {
    let Axis { mean, along, .. } = Axis::of(points);
    let normal = [-along[1], along[0]];
    let sign = (normal[0] * near[0] + normal[1] * near[1]).signum();
    let normal = normal.map(|part| part * sign);
    if (normal[0] * near[0] + normal[1] * near[1]) < 0.99 {
        return (near, mean[0] * near[0] + mean[1] * near[1]);
    }
    (normal, mean[0] * normal[0] + mean[1] * normal[1])
}

/// The points of a line on the sheet, a pixel apart.
fn places(normal: [f32; 2], distance: f32, mask: &Map<bool>, sheet: &Map<bool>) -> Vec<[f32; 2]> {
    let along = [-normal[1], normal[0]];
    let foot = normal.map(|part| part * distance);
    let reach = (mask.width + mask.height) as i32;
    let point = |step: i32| [foot[0] + along[0] * step as f32, foot[1] + along[1] * step as f32];
    (-reach..=reach).map(point).filter(|&at| sheet.around(at) == Some(true)).collect()
}

fn is_covered(places: &[[f32; 2]], across: [f32; 2], width: f32, mask: &Map<bool>) -> bool {
    let reach = (width / 2.0).ceil() as i32 + 2;
    let is_ink = |at: &[f32; 2]| {
        (-reach..=reach).any(|off| mask.around([0, 1].map(|axis| at[axis] + across[axis] * off as f32)) == Some(true))
    };
    let covered: Vec<bool> = places.iter().map(is_ink).collect();
    let end = (END * covered.len() as f32) as usize + 3;
    let share = covered.iter().filter(|covered| **covered).count() as f32 / covered.len() as f32;
    let reaches = |mut ends: std::slice::Iter<bool>| ends.any(|covered| *covered);
    share >= COVERED
        && reaches(covered[..end.min(covered.len())].iter())
        && reaches(covered[covered.len().saturating_sub(end)..].iter())
}

impl Line {
    /// Takes the line out of a mask, except where a stroke crosses it: there the ink is wider than the line.
    pub(super) fn erase(&self, mask: &mut Map<bool>) {
        let most = CROSSED * self.width + 3.0;
        let reach = self.width.ceil() as i32 + 3;
        let mut erased = Vec::new();
        for at in &self.places {
            let beside = |off: i32| [0, 1].map(|axis| at[axis] + self.across[axis] * off as f32);
            let is_ink = |off: i32| mask.around(beside(off)) == Some(true);
            // The ink nearest to the line, and how far it goes to both sides.
            let Some(start) = (0..=reach).flat_map(|off| [off, -off]).find(|&off| is_ink(off)) else { continue };
            let mut ends = [start, start];
            for (end, step) in ends.iter_mut().zip([-1, 1]) {
                while is_ink(*end + step) && (*end - start).abs() as f32 <= most {
                    *end += step;
                }
            }
            if (ends[1] - ends[0] + 1) as f32 <= most {
                erased.extend((ends[0]..=ends[1]).map(beside));
            }
        }
        for [x, y] in erased {
            // Rounding leaves out a pixel at some steps.
            for (dx, dy) in [(0, 0), (1, 0), (0, 1)] {
                let (x, y) =
                    ((x.round() as usize + dx).min(mask.width - 1), (y.round() as usize + dy).min(mask.height - 1));
                if dx + dy == 0 || is_thin(mask, x, y) {
                    mask.values[y * mask.width + x] = false;
                }
            }
        }
    }
}

/// Whether a pixel of ink has none beside it in some direction.
fn is_thin(mask: &Map<bool>, x: usize, y: usize) -> bool {
    let ink = |dx: isize, dy: isize| {
        let (x, y) = (x.checked_add_signed(dx), y.checked_add_signed(dy));
        matches!((x, y), (Some(x), Some(y)) if x < mask.width && y < mask.height && mask.at(x, y))
    };
    !(ink(-1, 0) || ink(1, 0)) || !(ink(0, -1) || ink(0, 1))
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{ink, is_in_bar};
    use super::super::parts::parts;
    use super::*;

    const SIDES: [usize; 2] = [300, 200];
    /// A rule that falls a little, and a digit's stroke across it.
    const RULE: [[f32; 2]; 2] = [[-5.0, 90.0], [305.0, 102.0]];
    const STROKE: [[f32; 2]; 2] = [[160.0, 40.0], [120.0, 160.0]];

    /// The middles of a bar, two for each pixel of its length.
    fn crossings([from, to]: [[f32; 2]; 2], width: f32) -> Vec<Crossing> {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0].hypot(along[1]);
        let across = [-along[1] / length, along[0] / length];
        let at = |step: usize| [0, 1].map(|axis| from[axis] + along[axis] * step as f32 / (2.0 * length));
        let middles = (0..2 * length as usize).map(at);
        let inside = middles
            .filter(|[x, y]| (0.0..SIDES[0] as f32 - 1.0).contains(x) && (0.0..SIDES[1] as f32 - 1.0).contains(y));
        inside.map(|at| Crossing { at, across, width }).collect()
    }

    fn mask(bars: &[([[f32; 2]; 2], f32)]) -> Map<bool> {
        Map::from_fn(SIDES[0], SIDES[1], |x, y| bars.iter().any(|&(ends, width)| is_in_bar(ends, width, x, y)))
    }

    fn whole() -> Map<bool> {
        Map::filled(SIDES[0], SIDES[1], true)
    }

    #[test]
    fn a_rule_is_erased_and_the_stroke_that_crosses_it_is_not() {
        let mut mask = mask(&[(RULE, 3.0), (STROKE, 10.0)]);
        let crossings = [crossings(RULE, 3.0), crossings(STROKE, 10.0)].concat();
        let found = lines(&crossings, &mask, &whole());
        assert_eq!(found.len(), 1);
        found[0].erase(&mut mask);
        let left = Map::from_fn(SIDES[0], SIDES[1], |x, y| mask.at(x, y) && !is_in_bar(STROKE, 20.0, x, y));
        assert_eq!(left.values.iter().filter(|is_ink| **is_ink).count(), 0, "pixels of the rule");
        let stroke = parts(&mask, &ink(&mask));
        let largest = stroke.iter().max_by_key(|part| part.pixels.len()).unwrap();
        assert!(largest.frame.height() > 115, "the stroke is cut: {:?}", largest.frame);
    }

    #[test]
    fn a_stroke_that_ends_before_the_edges_is_no_line() {
        let bar = [[60.0, 100.0], [240.0, 100.0]];
        assert!(lines(&crossings(bar, 4.0), &mask(&[(bar, 4.0)]), &whole()).is_empty());
        assert!(lines(&crossings(STROKE, 4.0), &mask(&[(STROKE, 4.0)]), &whole()).is_empty());
    }

    #[test]
    fn a_line_may_have_gaps_and_is_not_mostly_one() {
        let bar = |from: f32, to: f32| [[from, 100.0], [to, 100.0]];
        for (bars, is_line) in
            [([bar(-5.0, 130.0), bar(160.0, 305.0)], true), ([bar(-5.0, 70.0), bar(230.0, 305.0)], false)]
        {
            let crossings: Vec<Crossing> = bars.iter().flat_map(|&bar| crossings(bar, 4.0)).collect();
            assert_eq!(lines(&crossings, &mask(&bars.map(|bar| (bar, 4.0))), &whole()).len(), usize::from(is_line));
        }
    }

    #[test]
    fn a_line_goes_through_the_sheet_and_not_through_the_picture() {
        let bar = [[60.0, 100.0], [240.0, 100.0]];
        let sheet = Map::from_fn(SIDES[0], SIDES[1], |x, _| (62..238).contains(&x));
        assert_eq!(lines(&crossings(bar, 4.0), &mask(&[(bar, 4.0)]), &sheet).len(), 1);
    }

    #[test]
    fn a_bar_as_thick_as_writing_is_no_line() {
        let bar = [[-5.0, 100.0], [305.0, 100.0]];
        assert!(lines(&crossings(bar, 30.0), &mask(&[(bar, 30.0)]), &whole()).is_empty());
    }

    #[test]
    fn all_squares_of_paper_are_found() {
        let rules = [30.0, 80.0, 130.0, 180.0].map(|y| [[-5.0, y], [305.0, y]]);
        let columns = [25.0, 100.0, 175.0, 250.0].map(|x| [[x, -5.0], [x, 205.0]]);
        let all: Vec<_> = rules.into_iter().chain(columns).collect();
        let mut mask = mask(&all.iter().map(|&ends| (ends, 3.0)).collect::<Vec<_>>());
        let crossings: Vec<Crossing> = all.iter().flat_map(|&ends| crossings(ends, 3.0)).collect();
        let found = lines(&crossings, &mask, &whole());
        assert_eq!(found.len(), 8);
        found.iter().for_each(|line| line.erase(&mut mask));
        assert!(mask.values.iter().all(|is_ink| !is_ink));
    }

    #[test]
    fn scribble_is_no_line() {
        let mut random = crate::random::Random::new(1, 0);
        for round in 0..40 {
            let mut mask = Map::filled(SIDES[0], SIDES[1], false);
            let crossing = |_| {
                let turn = random.uniform(0.0, 0.6);
                let at = [random.uniform(20.0, 280.0), random.uniform(20.0, 180.0)];
                mask.values[at[1] as usize * SIDES[0] + at[0] as usize] = true;
                Crossing { at, across: [turn.sin(), turn.cos()], width: random.uniform(2.0, 9.0) }
            };
            let crossings: Vec<Crossing> = (0..3000).map(crossing).collect();
            assert!(lines(&crossings, &mask, &whole()).is_empty(), "round {round}");
        }
    }
}
