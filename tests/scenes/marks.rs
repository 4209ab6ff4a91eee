//! What else is drawn beside a digit: frames, boxes, margins and dirt.

use crate::geometry::{Frame, Point, point};
use crate::noise::{one_of, sign};
use crate::shot::{Colour, Shot};
use crate::strokes::{Dot, Stroke, line};

const DARK: Colour = [0.15, 0.15, 0.17];

/// The frame of a form, of which the picture's border cuts off a part: dark lines along 1, 2 or all 4 sides.
pub(crate) fn cut_frame(shot: &mut Shot) {
    let (width, height) = (shot.width as f32, shot.height as f32);
    let thick = shot.side() * shot.random.uniform(0.01, 0.03);
    let tilt = shot.side() * 0.008;
    let mut inwards = || shot.random.uniform(-0.3, 0.4) * thick + shot.random.uniform(0.0, tilt);
    let corners = [
        point(inwards(), inwards()),
        point(width - inwards(), inwards()),
        point(width - inwards(), height - inwards()),
        point(inwards(), height - inwards()),
    ];
    let first = shot.random.below(4) as usize;
    let count = one_of(&mut shot.random, &[1, 2, 4]);
    let lines: Vec<Stroke> = (first..first + count)
        .map(|side| {
            // Lines go on beyond the picture.
            let (from, to) = (corners[side % 4], corners[(side + 1) % 4]);
            line(to.mix(from, 1.2), from.mix(to, 1.2), thick)
        })
        .collect();
    shot.draw(&lines, DARK);
}

/// A box around what is written, drawn by hand, which does not touch it.
pub(crate) fn drawn_box(shot: &mut Shot) {
    let written = shot.written();
    let tall = written.height();
    let thick = (tall * shot.random.uniform(0.015, 0.03)).max(1.6);
    let mut gap = || tall * shot.random.uniform(0.12, 0.3) + thick;
    let around = Frame {
        left: written.left - gap(),
        top: written.top - gap(),
        right: written.right + gap(),
        bottom: written.bottom + gap(),
    };
    let inside = shot.frame().grown(-thick / 2.0 - 1.0);
    let shake = tall * 0.015;
    let corners = around.corners().map(|corner| {
        let shaken = corner.plus(point(shot.random.uniform(-shake, shake), shot.random.uniform(-shake, shake)));
        point(shaken.x.clamp(inside.left, inside.right), shaken.y.clamp(inside.top, inside.bottom))
    });
    let lines: Vec<Stroke> = (0..4).map(|side| line(corners[side], corners[(side + 1) % 4], thick)).collect();
    shot.draw(&lines, DARK);
}

/// The line of a margin, from the top of the picture to its foot, on the side of the digit with more room.
pub(crate) fn margin_line(shot: &mut Shot) {
    let colour = one_of(&mut shot.random, &[[0.85, 0.3, 0.3], [0.3, 0.4, 0.8]]);
    let (written, width, height) = (shot.written(), shot.width as f32, shot.height as f32);
    let share = shot.random.uniform(0.3, 0.8);
    let x = if written.left > width - written.right {
        written.left * share
    } else {
        width - (width - written.right) * share
    };
    let thick = (height * shot.random.uniform(0.002, 0.006)).max(1.5);
    let tilt = height * shot.random.uniform(-0.01, 0.01);
    shot.draw(&[line(point(x - tilt, -5.0), point(x + tilt, height + 5.0), thick)], colour);
}

/// One black dot, away from the digit.
pub(crate) fn dot_of_dirt(shot: &mut Shot) {
    let radius = (shot.digit_height() * shot.random.uniform(0.02, 0.045)).max(1.5);
    let away = shot.written().grown(shot.digit_height() * 0.08 + radius);
    let inside = shot.frame().grown(-2.0 * radius);
    let free = (0..200).map(|_| anywhere(shot, inside)).find(|at| !away.contains(*at));
    if let Some(at) = free {
        let longer = point(sign(&mut shot.random) * radius * 0.4, radius * 0.3);
        let dirt = vec![Dot { at, radius }, Dot { at: at.plus(longer), radius: radius * 0.8 }];
        shot.draw(&[dirt], [0.05, 0.05, 0.05]);
    }
}

/// A random point of a box.
pub(crate) fn anywhere(shot: &mut Shot, inside: Frame) -> Point {
    point(shot.random.uniform(inside.left, inside.right), shot.random.uniform(inside.top, inside.bottom))
}
