//! What is written, and where on the sheet.

use gpu_digits::random::Random;

use crate::geometry::{Frame, Point, Projection, point};
use crate::hands::{HANDS, Hand};
use crate::noise::{between, one_of, sign};
use crate::shot::{Digits, Glyph, Picture, Shot};
use crate::strokes::{Stroke, frame, project};

/// Digits that a bold pen nearly closes.
const CLOSED: [u8; 4] = [0, 6, 8, 9];
const ALL: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const NO_BARS: [u8; 9] = [0, 2, 3, 4, 5, 6, 7, 8, 9];
/// A pen is never thinner than this, in pixels: a camera would not see it.
const THINNEST_PIXELS: f32 = 1.6;

/// A digit before it has its place; heights are 1.
struct Draft {
    digit: u8,
    strokes: Vec<Stroke>,
}

impl Draft {
    fn project(&mut self, projection: Projection) {
        self.strokes = project(&self.strokes, &projection);
    }

    fn shift(&mut self, by: Point) {
        self.project(Projection::placed(1.0, 0.0, by));
    }
}

/// One digit, nearly upright.
pub(crate) fn one_digit(shot: &mut Shot) {
    let hand = pick_hand(shot);
    let draft = first_draft(shot, hand);
    let angle = shot.random.uniform(-0.1, 0.1);
    place(shot, vec![vec![draft]], angle);
}

/// One digit that leans far to one side.
pub(crate) fn one_slanted_digit(shot: &mut Shot) {
    let slant = one_of(&mut shot.random, &[-0.15, 0.4]) * shot.random.uniform(0.8, 1.2);
    let hand = pick_hand(shot).leaning(slant);
    let draft = first_draft(shot, hand);
    let angle = slant * shot.random.uniform(0.0, 0.25);
    place(shot, vec![vec![draft]], angle);
}

/// Two digits with room between them.
pub(crate) fn two_apart(shot: &mut Shot) {
    let line = line(shot, 1, (0.4, 1.4));
    place(shot, vec![line], 0.0);
}

/// A number of three to six digits.
pub(crate) fn number(shot: &mut Shot) {
    let line = number_line(shot);
    let angle = shot.random.uniform(-0.04, 0.04);
    place(shot, vec![line], angle);
}

/// A number that climbs or falls by 5 to 15 degrees.
pub(crate) fn sloping_number(shot: &mut Shot) {
    let line = number_line(shot);
    let degrees = sign(&mut shot.random) * shot.random.uniform(5.0, 15.0);
    place(shot, vec![line], degrees.to_radians());
}

/// One number below another one.
pub(crate) fn two_lines(shot: &mut Shot) {
    let hand = pick_hand(shot);
    let first = first_draft(shot, hand);
    let [upper, lower] = [0, 1].map(|_| 1 + shot.random.below(3) as usize);
    let upper = row(shot, hand, first, upper, (0.14, 0.35));
    let next = next_draft(shot, hand);
    let mut lower = row(shot, hand, next, lower, (0.14, 0.35));
    let to = point(shot.random.uniform(-0.3, 0.3), shot.random.uniform(1.35, 1.8));
    lower.iter_mut().for_each(|draft| draft.shift(to));
    place(shot, vec![upper, lower], 0.0);
}

/// A digit with a small one beside it, raised like an exponent or lowered like an index.
pub(crate) fn with_index(shot: &mut Shot) {
    shot.sizes = [0.25, 0.35, 0.45, 0.6];
    let mut line = line(shot, 1, (0.08, 0.2));
    let size = shot.random.uniform(0.42, 0.55);
    let top = one_of(&mut shot.random, &[-0.3 * size, 1.0 - 0.6 * size]);
    let left = frame(&line[1].strokes).left * (1.0 - size);
    line[1].project(Projection::placed(size, 0.0, point(left, top)));
    place(shot, vec![line], 0.0);
}

/// How far the box of a digit may reach into that of the one it touches, in heights: nested ones would be hard to read.
const MOST_NESTED: f32 = 0.12;

/// Two digits of one hand that touch, or overlap by a little.
pub(crate) fn touching(shot: &mut Shot) {
    shot.sizes = [0.18, 0.28, 0.4, 0.6];
    shot.digits = Digits::NoBars;
    let pair = loop {
        let mut pair = line(shot, 1, (0.1, 0.1));
        let gap = gap_between(&pair[0].strokes, &pair[1].strokes);
        let overlap = shot.random.uniform(0.005, 0.03);
        pair[1].shift(point(-gap - overlap, 0.0));
        if frame(&pair[0].strokes).right - frame(&pair[1].strokes).left < MOST_NESTED {
            break pair;
        }
    };
    place(shot, vec![pair], 0.0);
}

/// Three to six digits.
fn number_line(shot: &mut Shot) -> Vec<Draft> {
    let more = 2 + shot.random.below(4) as usize;
    line(shot, more, (0.12, 0.35))
}

/// One hand, with the pen that the scene asks for.
fn pick_hand(shot: &mut Shot) -> Hand {
    let hand = one_of(&mut shot.random, &HANDS);
    match shot.pen {
        Some(widths) => hand.with_pen(between(&mut shot.random, widths)),
        None => hand,
    }
}

/// The digits that the scene writes.
fn choices(digits: Digits) -> &'static [u8] {
    match digits {
        Digits::Any => &ALL,
        Digits::Closed => &CLOSED,
        Digits::NoBars => &NO_BARS,
    }
}

/// The first digit of a picture; digits take turns, so that a few pictures have them all.
fn first_draft(shot: &mut Shot, hand: Hand) -> Draft {
    let choices = choices(shot.digits);
    let digit = choices[shot.turn as usize % choices.len()];
    Draft { digit, strokes: hand.write(digit, &mut shot.random) }
}

/// Any other digit.
fn next_draft(shot: &mut Shot, hand: Hand) -> Draft {
    let digit = one_of(&mut shot.random, choices(shot.digits));
    Draft { digit, strokes: hand.write(digit, &mut shot.random) }
}

/// The first line of a picture, by one hand: the picture's first digit and more.
fn line(shot: &mut Shot, more: usize, gaps: (f32, f32)) -> Vec<Draft> {
    let hand = pick_hand(shot);
    let first = first_draft(shot, hand);
    row(shot, hand, first, more, gaps)
}

/// Digits beside each other, with gaps in heights of a digit.
fn row(shot: &mut Shot, hand: Hand, first: Draft, more: usize, gaps: (f32, f32)) -> Vec<Draft> {
    let mut drafts = vec![first];
    for _ in 0..more {
        drafts.push(next_draft(shot, hand));
    }
    let random = &mut shot.random;
    let mut end = 0.0;
    for draft in &mut drafts {
        // Nobody writes in a perfect line.
        let size = random.uniform(0.92, 1.08);
        let to = point(0.0, 1.0 - size + random.uniform(-0.04, 0.04));
        draft.project(Projection::placed(size, random.uniform(-0.04, 0.04), to));
        let left = end + between(random, gaps);
        draft.shift(point(left - frame(&draft.strokes).left, 0.0));
        end = frame(&draft.strokes).right;
    }
    drafts
}

/// Dots of a stroke are nearer to each other than this, in heights of a digit.
const MOST_BETWEEN_DOTS: f32 = 0.06;

/// How far the right strokes may move to the left until they touch the left ones.
fn gap_between(left: &[Stroke], right: &[Stroke]) -> f32 {
    let mut gap = f32::INFINITY;
    for near in left.iter().flatten() {
        for far in right.iter().flatten() {
            let reach = near.radius + far.radius;
            let fall = (near.at.y - far.at.y).abs();
            // Between two dots of a stroke lies more of it.
            if fall < reach + MOST_BETWEEN_DOTS / 2.0 {
                gap = gap.min(far.at.x - near.at.x - (reach * reach - fall * fall).max(0.0).sqrt());
            }
        }
    }
    gap
}

/// The height of a digit in this picture, in units of the sheet. Sizes take turns, each with each digit.
pub(crate) fn wanted_height(shot: &mut Shot) -> f32 {
    let turn = (shot.turn + shot.turn / 20) as usize % shot.sizes.len();
    shot.sizes[turn] * shot.random.uniform(0.92, 1.0) * shot.sheet.height
}

/// Puts the lines somewhere on the sheet, and draws them.
fn place(shot: &mut Shot, mut lines: Vec<Vec<Draft>>, angle: f32) {
    let turn = Projection::placed(1.0, angle, point(0.0, 0.0));
    lines.iter_mut().flatten().for_each(|draft| draft.project(turn));
    let all = lines.iter().flatten().map(|draft| frame(&draft.strokes)).fold(Frame::NOTHING, Frame::join);
    let (width, height) = (shot.sheet.width, shot.sheet.height);
    let scale = wanted_height(shot).min(0.92 * width / all.width()).min(0.92 * height / all.height());
    let corner = somewhere(shot, all.width() * scale, all.height() * scale);
    let onto_sheet = Projection::placed(scale, 0.0, corner.minus(point(all.left, all.top).times(scale)));
    for line in lines {
        let line = line.into_iter().map(|mut draft| {
            draft.project(onto_sheet);
            write_down(shot, draft)
        });
        let line = line.collect();
        shot.truth.push(line);
    }
}

/// The upper left corner of a random place on the sheet for something of this size.
pub(crate) fn somewhere(shot: &mut Shot, width: f32, height: f32) -> Point {
    let (free_width, free_height) = (shot.sheet.width - width, shot.sheet.height - height);
    let margin = 0.03 * shot.sheet.width.min(shot.sheet.height);
    let mut within = |free: f32| shot.random.uniform(margin.min(free / 2.0), (free - margin).max(free / 2.0));
    point(within(free_width), within(free_height))
}

/// Draws a digit that lies on the sheet into the picture.
fn write_down(shot: &mut Shot, draft: Draft) -> Glyph {
    let mut strokes = project(&draft.strokes, &shot.sheet.view);
    for dot in strokes.iter_mut().flatten() {
        dot.radius = dot.radius.max(THINNEST_PIXELS / 2.0);
    }
    shot.ink.draw(&strokes);
    Glyph { digit: draft.digit, frame: frame(&strokes) }
}

/// Every digit of every hand, a line for each.
pub(crate) fn specimen() -> Picture {
    let (column, row) = (100.0, 110.0);
    let mut shot = Shot::blank(Random::new(1, 0), 0, 11 * column as usize, HANDS.len() * row as usize);
    for (line, hand) in HANDS.iter().enumerate() {
        for digit in ALL {
            let mut draft = Draft { digit, strokes: hand.write(digit, &mut shot.random) };
            let corner = point(column * (f32::from(digit) + 0.5), row * (line as f32 + 0.1));
            draft.project(Projection::placed(row * 0.8, 0.0, corner));
            write_down(&mut shot, draft);
        }
    }
    shot.paint_ink(|_, _, share| [1.0 - share; 3]);
    shot.finish()
}
