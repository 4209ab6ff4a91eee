//! The sheet of paper, where a picture shows more than that: a desk, a corner of it, a finger.
//!
//! The ground is looked at in cells. The sheet grows from the cells around the handwriting to neighbours that are like
//! the sheet nearby (region growing; Adams and Bischof, "Seeded region growing", 1994): light may fall off over the
//! sheet, but not from one cell to the next. What the sheet encloses is part of it, and so are shadows. The rest is
//! painted in the sheet's own colour, so that its edges and patterns are gone.

use super::map::{Map, highest, quantile};
use super::parts::Part;
use super::picture::Picture;
use super::select::Handwriting;

/// Cells along the picture's longer side, and the least pixels of a cell's side.
const CELLS: usize = 90;
const LEAST_CELL: usize = 6;
/// A cell shows the ground if this share of it is bare.
const BARE: f32 = 0.3;
/// The share of a cell's pixels that is darker than its colour, where ink is dark.
const BEHIND_LINES: f32 = 0.65;
/// A stroke's soft edge, as a share of its width.
const SOFT: f32 = 0.4;
/// A cell is like the sheet if no channel differs by more from the mean of the sheet within so many cells.
const LIKE: f32 = 0.09;
const NEARBY: usize = 5;
/// A shadow leaves at least this share of the light, and changes no channel more than the others by this factor.
const SHADOW: f32 = 0.35;
const SHADOW_TINT: f32 = 1.2;
/// A region with less than this share of the picture is no surroundings.
const LEAST_SURROUNDINGS: f32 = 0.004;

/// The colours of the ground, cell by cell.
struct Cells {
    side: usize,
    colors: Map<[f32; 3]>,
}

/// Where the sheet is, with the rest of the picture painted over; none if the picture shows the sheet alone.
pub(super) fn sheet(
    picture: &Picture,
    handwriting: &Handwriting,
    is_dark: bool,
    width: f32,
) -> Option<(Map<bool>, Picture)> {
    let Handwriting { parts, boxes, .. } = handwriting;
    let cells = Cells::of(picture, parts.iter().chain(boxes), is_dark, width);
    let amounts = cells.amounts(parts, is_dark, picture.width());
    let sheet = completed(&grown(&cells.colors, &amounts)?, &cells.colors);
    let outside = sheet.values.iter().filter(|is_sheet| !**is_sheet).count();
    if (outside as f32) < LEAST_SURROUNDINGS * sheet.values.len() as f32 {
        return None;
    }
    // A cell at the sheet's edge shows both.
    let inner = Map::from_fn(sheet.width, sheet.height, |x, y| {
        sheet.at(x, y) && beside(&sheet, x, y).all(|(x, y)| sheet.at(x, y))
    });
    let colors = spread(&cells.colors, &inner);
    let on_sheet = Map::from_fn(picture.width(), picture.height(), |x, y| inner.at(x / cells.side, y / cells.side));
    let channels = std::array::from_fn(|channel| {
        let color = colors.map(|color: [f32; 3]| color[channel]);
        Map::from_fn(picture.width(), picture.height(), |x, y| {
            if on_sheet.at(x, y) { picture.channels[channel].at(x, y) } else { between(&color, x, y, cells.side) }
        })
    });
    Some((on_sheet, Picture { channels, ..*picture }))
}

impl Cells {
    /// `stroke` is the width of a stroke.
    fn of<'a>(picture: &Picture, on_paper: impl Iterator<Item = &'a Part>, is_dark: bool, stroke: f32) -> Self {
        let (width, height) = (picture.width(), picture.height());
        let mut ink = Map::filled(width, height, 0.0);
        on_paper.flat_map(|part| &part.pixels).for_each(|&pixel| ink.values[pixel] = 1.0);
        // The edge of a stroke may be soft.
        let is_ink = ink.extremes((SOFT * stroke).ceil() as usize + 2, f32::max);
        let side = (width.max(height) / CELLS).max(LEAST_CELL);
        let (columns, rows) = (width.div_ceil(side), height.div_ceil(side));
        let mut members = Map { width: columns, height: rows, values: vec![vec![]; columns * rows] };
        for (index, _) in is_ink.values.iter().enumerate().filter(|(_, is_ink)| **is_ink == 0.0) {
            members.values[index / width / side * columns + index % width / side].push(index);
        }
        // Lines on paper, of the same kind as ink, cover the smaller part of a cell.
        let share = if is_dark { BEHIND_LINES } else { 1.0 - BEHIND_LINES };
        let color = |cell: &Vec<usize>| {
            let channel = |channel: &Map<f32>| {
                quantile(&mut cell.iter().map(|&index| channel.values[index]).collect::<Vec<f32>>(), share)
            };
            picture.channels.each_ref().map(channel)
        };
        let colors = Map { width: columns, height: rows, values: members.values.iter().map(color).collect() };
        let least = BARE * (side * side) as f32 / 2.0;
        let is_bare = Map {
            width: columns,
            height: rows,
            values: members.values.iter().map(|cell| cell.len() as f32 >= least).collect(),
        };
        Self { side, colors: spread(&colors, &is_bare) }
    }
}

/// The cells beside one, four at most.
fn beside<T: Copy>(map: &Map<T>, x: usize, y: usize) -> impl Iterator<Item = (usize, usize)> + use<T> {
    let (width, height) = (map.width, map.height);
    [(-1, 0), (1, 0), (0, -1), (0, 1)]
        .into_iter()
        .filter_map(move |(dx, dy)| Some((x.checked_add_signed(dx)?, y.checked_add_signed(dy)?)))
        .filter(move |&(x, y)| x < width && y < height)
}

/// The colours of known cells, spread to the others: each takes the mean of its neighbours that have one.
fn spread(colors: &Map<[f32; 3]>, is_known: &Map<bool>) -> Map<[f32; 3]> {
    let (mut colors, mut is_known) = (colors.clone(), is_known.clone());
    loop {
        let mut reached = Vec::new();
        for y in 0..colors.height {
            for x in (0..colors.width).filter(|&x| !is_known.at(x, y)) {
                let mut known = beside(&colors, x, y).filter(|&(x, y)| is_known.at(x, y)).peekable();
                if known.peek().is_some() {
                    reached.push((y * colors.width + x, mean(known.map(|(x, y)| colors.at(x, y)))));
                }
            }
        }
        if reached.is_empty() {
            return colors;
        }
        for (cell, color) in reached {
            colors.values[cell] = color;
            is_known.values[cell] = true;
        }
    }
}

impl Cells {
    /// How much handwriting each cell has. Dark ink is on light paper, and light ink on a dark board: the pattern of a
    /// desk counts for less.
    fn amounts(&self, handwriting: &[Part], is_dark: bool, width: usize) -> Map<f32> {
        let mut amounts = self.colors.map(|_| 0.0);
        for part in handwriting {
            for pixel in &part.pixels {
                let (x, y) = (pixel % width / self.side, pixel / width / self.side);
                let grey = self.colors.at(x, y).iter().sum::<f32>() / 3.0;
                let fit = if is_dark { grey } else { 1.0 - grey };
                amounts.values[y * amounts.width + x] += part.strength * part.strength * fit * fit;
            }
        }
        amounts
    }
}

/// The cells that the sheet grows to; none if there is no handwriting.
fn grown(colors: &Map<[f32; 3]>, amounts: &Map<f32>) -> Option<Map<bool>> {
    if amounts.values.iter().sum::<f32>() <= 0.0 {
        return None;
    }
    let paper = [0, 1, 2].map(|channel| {
        let weighted = colors.values.iter().zip(&amounts.values).map(|(color, &amount)| (color[channel], amount));
        highest(weighted, 0.5).unwrap_or(0.0)
    });
    let mut sheet = colors.map(|_| false);
    let mut open = Vec::new();
    for cell in 0..colors.values.len() {
        if amounts.values[cell] > 0.0 && is_like(colors.values[cell], paper) {
            sheet.values[cell] = true;
            open.push(cell);
        }
    }
    while let Some(cell) = open.pop() {
        for (x, y) in beside(colors, cell % colors.width, cell / colors.width) {
            let next = y * colors.width + x;
            if !sheet.values[next] && is_like(colors.values[next], nearby(colors, &sheet, x, y)) {
                sheet.values[next] = true;
                open.push(next);
            }
        }
    }
    Some(sheet)
}

/// The mean colour of the sheet around a cell.
fn nearby(colors: &Map<[f32; 3]>, sheet: &Map<bool>, x: usize, y: usize) -> [f32; 3] {
    let rows = y.saturating_sub(NEARBY)..(y + NEARBY + 1).min(colors.height);
    let columns = x.saturating_sub(NEARBY)..(x + NEARBY + 1).min(colors.width);
    let cells = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
    mean(cells.filter(|&(x, y)| sheet.at(x, y)).map(|(x, y)| colors.at(x, y)))
}

/// The mean of some colours; black if there are none.
fn mean(colors: impl Iterator<Item = [f32; 3]>) -> [f32; 3] {
    let (mut sum, mut count) = ([0.0; 3], 0.0f32);
    for color in colors {
        sum.iter_mut().zip(color).for_each(|(sum, channel)| *sum += channel);
        count += 1.0;
    }
    sum.map(|sum| sum / count.max(1.0))
}

fn is_like(a: [f32; 3], b: [f32; 3]) -> bool {
    a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= LIKE)
}

/// With what the sheet encloses, and with shadows.
fn completed(sheet: &Map<bool>, colors: &Map<[f32; 3]>) -> Map<bool> {
    let of_sheet = colors.values.iter().zip(&sheet.values).filter(|(_, is_sheet)| **is_sheet);
    let paper = mean(of_sheet.map(|(color, _)| *color));
    let (mut completed, mut is_seen) = (sheet.clone(), sheet.clone());
    let has_tint = colors.map(|color| is_shadow(paper, color));
    for start in 0..sheet.values.len() {
        if is_seen.values[start] {
            continue;
        }
        is_seen.values[start] = true;
        let is_tinted = has_tint.values[start];
        let (mut members, mut visited, mut is_at_border) = (vec![start], 0, false);
        while let Some(&cell) = members.get(visited) {
            visited += 1;
            let (x, y) = (cell % sheet.width, cell / sheet.width);
            is_at_border |= x == 0 || y == 0 || x + 1 == sheet.width || y + 1 == sheet.height;
            for (x, y) in beside(sheet, x, y) {
                let next = y * sheet.width + x;
                if !is_seen.values[next] && has_tint.values[next] == is_tinted {
                    is_seen.values[next] = true;
                    members.push(next);
                }
            }
        }
        if !is_at_border || is_tinted {
            members.iter().for_each(|&cell| completed.values[cell] = true);
        }
    }
    completed
}

/// Whether a colour is that of the paper in less light, or in a little more.
fn is_shadow(paper: [f32; 3], color: [f32; 3]) -> bool {
    let shares: Vec<f32> = color.iter().zip(&paper).map(|(color, paper)| (color + 0.02) / (paper + 0.02)).collect();
    let least = shares.iter().copied().fold(f32::INFINITY, f32::min);
    let most = shares.iter().copied().fold(0.0, f32::max);
    least >= SHADOW && most <= 1.0 / SHADOW && most <= SHADOW_TINT * least
}

/// The value of the cells at a pixel, interpolated between their middles.
fn between(cells: &Map<f32>, x: usize, y: usize, side: usize) -> f32 {
    let place = |pixel: usize, length: usize| {
        let place = ((pixel as f32 + 0.5) / side as f32 - 0.5).clamp(0.0, (length - 1) as f32);
        (place as usize, (place as usize + 1).min(length - 1), place.fract())
    };
    let ((left, right, x), (top, bottom, y)) = (place(x, cells.width), place(y, cells.height));
    let row = |row: usize| cells.at(left, row) * (1.0 - x) + cells.at(right, row) * x;
    row(top) * (1.0 - y) + row(bottom) * y
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{frame, is_in_seven, part, picture};
    use super::super::select::Removed;
    use super::*;

    const SIDES: [usize; 2] = [300, 240];
    const PAPER: [f32; 3] = [0.85, 0.84, 0.8];
    const DESK: [f32; 3] = [0.45, 0.3, 0.2];

    /// The sheet and the painted picture, for a 7 on ground of these colours.
    fn found(ground: impl Fn(usize, usize) -> [f32; 3]) -> Option<(Map<bool>, Picture)> {
        found_in_box(|_, _| false, ground)
    }

    /// The same, for a 7 in a box.
    fn found_in_box(
        is_box: impl Fn(usize, usize) -> bool,
        ground: impl Fn(usize, usize) -> [f32; 3],
    ) -> Option<(Map<bool>, Picture)> {
        let is_seven = |x, y| is_in_seven([120, 60], x, y);
        let is_ink = |x, y| is_seven(x, y) || is_box(x, y);
        let picture = picture(SIDES[0], SIDES[1], |x, y| ground(x, y).map(|v| if is_ink(x, y) { 0.2 * v } else { v }));
        let ink = Map::from_fn(SIDES[0], SIDES[1], |x, y| if is_ink(x, y) { 0.7 } else { 0.0 });
        let handwriting = Handwriting {
            parts: vec![part(&ink, is_seven)],
            boxes: vec![part(&ink, is_box)],
            threshold: 0.3,
            strength: 0.7,
            removed: [Removed::Box].into(),
            is_cut: false,
        };
        sheet(&picture, &handwriting, true, 10.0)
    }

    #[test]
    fn a_box_at_the_edge_of_the_picture_is_no_surroundings() {
        // Its lowest line is the last rows of the picture.
        let is_box = |x: usize, y: usize| {
            let is_inside = (94..206).contains(&x) && (44..236).contains(&y);
            (90..210).contains(&x) && y >= 40 && !is_inside
        };
        assert!(found_in_box(is_box, |_, _| PAPER).is_none());
    }

    fn is_on_paper(x: usize, y: usize) -> bool {
        frame([60, 30, 250, 250]).holds(&frame([x, y, x + 1, y + 1]))
    }

    /// That a colour is the paper's, in some light.
    #[track_caller]
    fn assert_painted(painted: &Picture, x: usize, y: usize) {
        let color = painted.channels.each_ref().map(|channel| channel.at(x, y));
        assert!(is_like(color, PAPER), "{color:?} at {x}, {y}");
    }

    #[test]
    fn the_desk_around_a_sheet_is_painted_over() {
        let (on_sheet, painted) = found(|x, y| if is_on_paper(x, y) { PAPER } else { DESK }).unwrap();
        for (x, y) in [(10, 10), (150, 5), (20, 200), (290, 120)] {
            assert!(!on_sheet.at(x, y), "the desk at {x}, {y}");
            assert_painted(&painted, x, y);
        }
        for (x, y) in [(80, 50), (150, 120), (230, 200), (100, 235)] {
            assert!(on_sheet.at(x, y), "the sheet at {x}, {y}");
        }
        // The ink is as it was.
        assert!(painted.channels[0].at(150, 65) < 0.3);
    }

    #[test]
    fn a_picture_of_the_sheet_alone_is_left_as_it_is() {
        assert!(found(|_, _| PAPER).is_none());
        let falling = |x: usize, y: usize| PAPER.map(|v| v * (1.0 - 0.3 * x as f32 / 300.0 - 0.2 * y as f32 / 240.0));
        assert!(found(falling).is_none());
    }

    #[test]
    fn a_shadow_is_part_of_the_sheet() {
        let lit = |x: usize| if x < 200 { PAPER } else { PAPER.map(|v| 0.6 * v) };
        assert!(found(|x, _| lit(x)).is_none());
        let (on_sheet, _) = found(|x, y| if is_on_paper(x, y) { lit(x) } else { DESK }).unwrap();
        assert!(on_sheet.at(230, 120), "the shadow");
        assert!(on_sheet.at(100, 120) && !on_sheet.at(20, 120));
    }

    #[test]
    fn what_the_sheet_encloses_is_part_of_it() {
        // A blot of colour, and a finger from the edge.
        let is_blot = |x: usize, y: usize| (x as f32 - 60.0).hypot(y as f32 - 60.0) < 25.0;
        let is_finger = |x: usize, y: usize| x > 230 && (100..160).contains(&y);
        let (on_sheet, _) = found(|x, y| if is_blot(x, y) || is_finger(x, y) { DESK } else { PAPER }).unwrap();
        assert!(on_sheet.at(60, 60), "the blot");
        assert!(!on_sheet.at(280, 130), "the finger");
    }
}
