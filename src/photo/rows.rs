//! Rows of digits: which parts belong together, and in which order they are read.

use super::parts::{Frame, Part};

/// A part is a digit, or most of one, if it is at least this share of the highest one as high. An index is smaller.
const LEAST_HEIGHT: f32 = 0.3;
/// A smaller part belongs to a digit if it is nearer than this share of the digit's height.
const NEAR: f32 = 0.3;
/// A smaller part is dirt if it has less than this share of the digit's pixels.
const LEAST_SHARE: f32 = 0.025;
/// Parts above each other are one digit if the gap is at most this share of the higher one, and the lower one's height
/// too.
const STACKED: f32 = 0.15;
const LOW: f32 = 0.45;
/// Digits of one row are no further from each other than so many times the higher one's height.
const NEXT: f32 = 2.5;
/// The steepest row: the tangent of 17 degrees.
const STEEPEST: f32 = 0.306;
/// The lowest digit of a row is at least this share of the highest one as high.
const LEAST_OF_ROW: f32 = 0.35;

/// A row of digits, from left to right.
pub(super) struct Row {
    pub(super) parts: Vec<Part>,
    /// How many pixels it falls for each to the right.
    pub(super) slope: f32,
}

impl Row {
    /// All parts as one digit.
    pub(super) fn of_one(parts: Vec<Part>) -> Self {
        let only = parts.into_iter().reduce(|mut all, part| {
            all.add(part);
            all
        });
        Self { parts: only.into_iter().collect(), slope: 0.0 }
    }
}

/// The rows, from top to bottom, and whether parts were left out as dirt.
pub(super) fn rows(parts: Vec<Part>) -> (Vec<Row>, bool) {
    let highest = parts.iter().map(|part| part.frame.side()).max().unwrap_or(0) as f32;
    let (mut digits, small): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| part.frame.side() as f32 >= LEAST_HEIGHT * highest);
    join_stacked(&mut digits);
    let count = small.len();
    let kept = small.into_iter().filter_map(|part| add_to_nearest(&mut digits, part)).count();
    let mut rows = linked(&digits);
    rows.sort_by(|a, b| a.middle.total_cmp(&b.middle));
    let mut digits: Vec<Option<Part>> = digits.into_iter().map(Some).collect();
    let rows = rows.into_iter().map(|row| Row {
        parts: row.members.iter().filter_map(|&member| digits[member].take()).collect(),
        slope: row.slope,
    });
    (rows.collect(), kept < count)
}

/// Joins parts close above each other of which one is low, such as the bar of a 5 and the rest.
fn join_stacked(digits: &mut Vec<Part>) {
    let are_one = |a: &Frame, b: &Frame| {
        let high = a.height().max(b.height()) as f32;
        let [_, gap] = a.gaps(b);
        let [overlap, _] = a.overlaps(b);
        let is_above = overlap as f32 >= 0.3 * a.width().min(b.width()) as f32;
        is_above && gap as f32 <= STACKED * high && a.height().min(b.height()) as f32 <= LOW * high
    };
    let mut first = 0;
    while first < digits.len() {
        let second = (first + 1..digits.len()).find(|&second| are_one(&digits[first].frame, &digits[second].frame));
        match second {
            Some(second) => {
                let other = digits.remove(second);
                digits[first].add(other);
                first = 0;
            }
            None => first += 1,
        }
    }
}

/// Adds a small part to the digit it belongs to; none if there is no such digit.
fn add_to_nearest(digits: &mut [Part], small: Part) -> Option<()> {
    let distance = |digit: &Part| {
        let [x, y] = digit.frame.gaps(&small.frame);
        (x as f32).hypot(y as f32)
    };
    let nearest = digits.iter_mut().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let is_near = distance(nearest) <= NEAR * nearest.frame.side() as f32;
    let is_enough = small.pixels.len() as f32 >= LEAST_SHARE * nearest.pixels.len() as f32;
    (is_near && is_enough).then(|| nearest.add(small))
}

impl Part {
    /// Joins another part to this one.
    pub(super) fn add(&mut self, other: Part) {
        self.frame = self.frame.with(&other.frame);
        self.pixels.extend(other.pixels);
    }
}

struct Link {
    members: Vec<usize>,
    slope: f32,
    middle: f32,
}

/// Links each digit to its neighbour on the right.
fn linked(digits: &[Part]) -> Vec<Link> {
    let mut row_of: Vec<usize> = (0..digits.len()).collect();
    let frames: Vec<Frame> = digits.iter().map(|digit| digit.frame).collect();
    let mut order: Vec<usize> = (0..digits.len()).collect();
    order.sort_by(|&a, &b| frames[a].middle()[0].total_cmp(&frames[b].middle()[0]));
    for (place, &left) in order.iter().enumerate() {
        let right = order[place + 1..].iter().copied().filter(|&right| are_in_a_row(&frames[left], &frames[right]));
        let Some(right) =
            right.min_by(|&a, &b| distance(&frames[left], &frames[a]).total_cmp(&distance(&frames[left], &frames[b])))
        else {
            continue;
        };
        let (from, to) = (row_of[right], row_of[left]);
        row_of.iter_mut().filter(|row| **row == from).for_each(|row| *row = to);
    }
    let mut numbers: Vec<usize> = row_of.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let members = |number: usize| order.iter().copied().filter(|&digit| row_of[digit] == number).collect();
    numbers.into_iter().map(|number| link(members(number), &frames)).collect()
}

fn distance(a: &Frame, b: &Frame) -> f32 {
    let (a, b) = (a.middle(), b.middle());
    (a[0] - b[0]).hypot(2.0 * (a[1] - b[1]))
}

fn are_in_a_row(left: &Frame, right: &Frame) -> bool {
    let (low, high) = (left.side().min(right.side()) as f32, left.side().max(right.side()) as f32);
    let [gap, _] = left.gaps(right);
    let [_, overlap] = left.overlaps(right);
    let [dx, dy] = [0, 1].map(|axis| right.middle()[axis] - left.middle()[axis]);
    // Numbers of different heights share a row if they overlap; of like heights they may rise or fall.
    let is_level = overlap as f32 >= 0.4 * low || dy.abs() <= STEEPEST * dx + 0.15 * high;
    low >= LEAST_OF_ROW * high && gap as f32 <= NEXT * high && is_level && dy.abs() <= 0.8 * high
}

fn link(members: Vec<usize>, frames: &[Frame]) -> Link {
    let middles: Vec<[f32; 2]> = members.iter().map(|&member| frames[member].middle()).collect();
    let mean = |axis: usize| middles.iter().map(|middle| middle[axis]).sum::<f32>() / middles.len() as f32;
    let (x, y) = (mean(0), mean(1));
    let products: f32 = middles.iter().map(|middle| (middle[0] - x) * (middle[1] - y)).sum();
    let squares: f32 = middles.iter().map(|middle| (middle[0] - x) * (middle[0] - x)).sum();
    let slope = if squares > 0.0 { (products / squares).clamp(-STEEPEST, STEEPEST) } else { 0.0 };
    Link { members, slope, middle: y }
}

#[cfg(test)]
mod tests {
    use super::super::drawn::block;
    use super::super::map::Map;
    use super::*;

    /// The frames of each row, for digits that fill these, and whether some were dirt.
    fn read(frames: &[[usize; 4]]) -> (Vec<Vec<[usize; 4]>>, bool) {
        let ink = Map::filled(400, 300, 1.0);
        let (rows, has_dirt) = rows(frames.iter().map(|&frame| block(&ink, frame)).collect());
        let frame = |part: &Part| [part.frame.left, part.frame.top, part.frame.right, part.frame.bottom];
        (rows.iter().map(|row| row.parts.iter().map(frame).collect()).collect(), has_dirt)
    }

    #[test]
    fn digits_are_read_from_left_to_right_and_from_top_to_bottom() {
        let first = [[20, 20, 50, 70], [70, 24, 95, 76], [110, 18, 150, 66]];
        let second = [[30, 140, 60, 190], [80, 136, 110, 188]];
        let mixed = [second[1], first[2], first[0], second[0], first[1]];
        assert_eq!(read(&mixed), (vec![first.to_vec(), second.to_vec()], false));
    }

    #[test]
    fn a_row_may_slope() {
        for degrees in [-14.0f32, -7.0, 7.0, 14.0] {
            let slope = degrees.to_radians().tan();
            let ink = Map::filled(400, 300, 1.0);
            let digits = (0..5).map(|number| {
                let (left, top) = (20 + 60 * number, (120.0 + slope * 60.0 * number as f32) as usize);
                block(&ink, [left, top, left + 35, top + 55])
            });
            let (rows, _) = rows(digits.collect());
            assert_eq!(rows.len(), 1, "{degrees}");
            assert_eq!(rows[0].parts.len(), 5);
            assert!((rows[0].slope - slope).abs() < 0.02, "{} for {slope}", rows[0].slope);
        }
    }

    #[test]
    fn an_index_shares_the_row() {
        let digits = [[20, 50, 60, 110], [75, 90, 95, 122]];
        assert_eq!(read(&digits), (vec![digits.to_vec()], false));
    }

    #[test]
    fn parts_of_one_digit_are_joined() {
        // The bar of a 5 above its body.
        assert_eq!(read(&[[50, 40, 95, 48], [45, 52, 90, 110]]), (vec![vec![[45, 40, 95, 110]]], false));
        // A small piece beside it.
        assert_eq!(read(&[[45, 40, 90, 110], [94, 44, 108, 54]]), (vec![vec![[45, 40, 108, 110]]], false));
        // Two digits above each other are not joined.
        assert_eq!(read(&[[45, 40, 90, 110], [45, 115, 90, 185]]).0.len(), 2);
        let one = Row::of_one(
            [[10, 10, 20, 60], [200, 100, 240, 180]].map(|frame| block(&Map::filled(400, 300, 1.0), frame)).into(),
        );
        assert_eq!((one.parts.len(), one.parts[0].pixels.len(), one.slope), (1, 10 * 50 + 40 * 80, 0.0));
    }

    #[test]
    fn what_is_small_and_far_is_dirt() {
        let digit = [45, 40, 90, 110];
        assert_eq!(read(&[digit, [300, 200, 312, 210]]), (vec![vec![digit]], true));
        // A speck, though near.
        assert_eq!(read(&[digit, [92, 60, 95, 64]]), (vec![vec![digit]], true));
    }
}
