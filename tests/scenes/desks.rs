//! A sheet on a desk, as a phone sees it: the desk around it, and fingers that hold it.

use crate::geometry::{Frame, Point, point};
use crate::noise::{Hills, between, one_of, smooth_step};
use crate::shot::{Colour, Sheet, Shot, mix};

const WOODS: [(Colour, Colour); 3] = [
    ([0.62, 0.44, 0.27], [0.45, 0.29, 0.16]),
    ([0.8, 0.66, 0.47], [0.68, 0.52, 0.34]),
    ([0.36, 0.22, 0.14], [0.22, 0.12, 0.08]),
];
const PLAIN_DESKS: [Colour; 5] =
    [[0.25, 0.26, 0.28], [0.12, 0.12, 0.13], [0.5, 0.52, 0.5], [0.72, 0.7, 0.68], [0.2, 0.3, 0.42]];
const SKINS: [Colour; 5] =
    [[0.93, 0.76, 0.66], [0.86, 0.65, 0.52], [0.72, 0.5, 0.37], [0.52, 0.34, 0.24], [0.36, 0.23, 0.17]];

/// What a desk looks like.
#[derive(Clone, Copy)]
struct Desk {
    colours: (Colour, Colour),
    /// Veins of wood, or a texture of small specks.
    wooden: bool,
    hills: Hills,
    /// The length of a hill in pixels.
    size: f32,
}

impl Desk {
    fn of(shot: &mut Shot) -> Self {
        let (hills, wooden) = (Hills::new(&mut shot.random), shot.random.below(2) == 0);
        let colour = one_of(&mut shot.random, &PLAIN_DESKS);
        let speck = shot.random.uniform(0.8, 1.0);
        let colours = if wooden { one_of(&mut shot.random, &WOODS) } else { (colour, colour.map(|part| part * speck)) };
        Self { colours, wooden, hills, size: shot.side() / 6.0 }
    }

    fn at(&self, at: Point) -> Colour {
        let place = at.times(1.0 / self.size);
        let share = if self.wooden {
            let veins = self.hills.rough(point(place.x * 0.35, place.y * 2.5));
            let fine = self.hills.rough(point(place.x * 1.2, place.y * 22.0));
            0.65 * (0.5 + 0.5 * (veins * 24.0).sin()) + 0.35 * fine
        } else {
            self.hills.rough(place.times(14.0))
        };
        mix(self.colours.0, self.colours.1, share)
    }
}

/// Lays the paper that is there onto a desk, turned and seen at an angle.
pub(crate) fn sheet_on_desk(shot: &mut Shot) {
    let desk = Desk::of(shot);
    let (width, height) = (shot.width as f32, shot.height as f32);
    let random = &mut shot.random;
    let size = random.uniform(0.68, 0.92);
    let angle = random.uniform(-0.28, 0.28);
    // A turned sheet needs more room than an upright one.
    let turned = 1.0 / (angle.abs().cos() + angle.abs().sin());
    let half = point(width, height).times(size * turned / 2.0);
    let middle = point(width, height)
        .times(0.5)
        .plus(point(between(random, (-0.04, 0.04)) * width, between(random, (-0.04, 0.04)) * height));
    let lean = 0.035 * width.min(height);
    let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)].map(|(x, y)| {
        let (sin, cos) = angle.sin_cos();
        let corner = point(x * half.x, y * half.y);
        let shaken = point(random.uniform(-lean, lean), random.uniform(-lean, lean));
        middle.plus(point(corner.x * cos - corner.y * sin, corner.x * sin + corner.y * cos)).plus(shaken)
    });
    let sheet = Sheet::seen_at(corners, half.x * 2.0, half.y * 2.0);
    let thrown = point(random.uniform(-1.0, 1.0), random.uniform(0.2, 1.0)).times(0.012 * width.min(height));
    let soft = 0.01 * width.min(height);
    let outside = |at: Point| {
        let on = sheet.back.apply(at);
        (-on.x).max(-on.y).max(on.x - sheet.width).max(on.y - sheet.height)
    };
    shot.paint(|at, paper| {
        let on_desk = desk.at(at);
        let shade = 0.45 * (1.0 - smooth_step(-soft, soft, outside(at.minus(thrown))));
        mix(on_desk.map(|part| part * (1.0 - shade)), paper, (0.5 - outside(at)).clamp(0.0, 1.0))
    });
    shot.sheet = sheet;
    shot.sizes = [0.16, 0.26, 0.4, 0.65];
}

/// One corner of the picture shows the desk beneath the sheet.
pub(crate) fn corner_of_desk(shot: &mut Shot) {
    let desk = Desk::of(shot);
    let free = (0..60).find_map(|attempt| {
        let corners = shot.frame().corners();
        let corner = one_of(&mut shot.random, &corners);
        let outwards = corner.minus(shot.frame().middle());
        let direction = Point::towards(outwards.y.atan2(outwards.x) + shot.random.uniform(-0.25, 0.25));
        // Later attempts cut off less.
        let depth = shot.side() * shot.random.uniform(0.12, 0.4) * (1.0 - attempt as f32 / 60.0);
        let limit = corner.dot(direction) - depth;
        let beyond = |frame: Frame| frame.grown(4.0).corners().iter().any(|at| at.dot(direction) > limit);
        let hidden = shot.truth.iter().flatten().any(|glyph| beyond(glyph.frame));
        (!hidden).then_some((direction, limit))
    });
    if let Some((direction, limit)) = free {
        let soft = 0.015 * shot.side();
        shot.paint(|at, paper| {
            let past = at.dot(direction) - limit;
            let shade = 1.0 - 0.4 * (1.0 - smooth_step(0.0, soft, past));
            mix(paper, desk.at(at).map(|part| part * shade), (0.5 + past).clamp(0.0, 1.0))
        });
    }
}

/// A finger that holds the sheet, from one side, beside the digits.
pub(crate) fn finger(shot: &mut Shot) {
    let skin = one_of(&mut shot.random, &SKINS);
    let (width, height) = (shot.width as f32, shot.height as f32);
    let free = (0..80).find_map(|attempt| {
        let random = &mut shot.random;
        let radius = width.min(height) * random.uniform(0.065, 0.11) * (1.0 - attempt as f32 / 160.0);
        let side = random.below(4);
        let along = random.uniform(0.1, 0.9);
        let edge = match side {
            0 => point(0.0, along * height),
            1 => point(along * width, 0.0),
            2 => point(width, along * height),
            _ => point(along * width, height),
        };
        let inwards = side as f32 * std::f32::consts::FRAC_PI_2 + random.uniform(-0.5, 0.5);
        let tip = edge.plus(Point::towards(inwards).times(radius * random.uniform(1.0, 3.5)));
        let root = edge.minus(Point::towards(inwards).times(radius * 4.0));
        let covers = |frame: Frame| {
            let near = frame.grown(radius * 1.4 + 3.0);
            (0..=20).any(|step| near.contains(root.mix(tip, step as f32 / 20.0)))
        };
        let hidden = shot.truth.iter().flatten().any(|glyph| covers(glyph.frame));
        (!hidden).then_some((root, tip, radius))
    });
    if let Some((root, tip, radius)) = free {
        paint_finger(shot, (root, tip), radius, skin);
    }
}

/// Paints a finger with its nail from its root to the middle of its tip.
fn paint_finger(shot: &mut Shot, (root, tip): (Point, Point), radius: f32, skin: Colour) {
    let length = tip.minus(root).length();
    let direction = tip.minus(root).times(1.0 / length);
    let nail = tip.plus(direction.times(radius * 0.2));
    let nail_colour = mix(skin, [1.0, 0.88, 0.86], 0.55);
    let wrinkles = Hills::new(&mut shot.random);
    shot.paint(|at, old| {
        let distance = at.nearest(root, tip).1 / radius;
        let shade = 0.35 * (1.0 - smooth_step(0.9, 1.35, distance));
        let ground = old.map(|part| part * (1.0 - shade));
        // Round: darker towards its edges.
        let round = 1.0 - 0.4 * distance * distance + 0.06 * (wrinkles.rough(at.times(6.0 / radius)) - 0.5);
        let here = at.minus(nail);
        let (down, across) = (here.dot(direction), here.x * direction.y - here.y * direction.x);
        let on_nail = ((down / 0.62).powi(2) + (across / 0.5).powi(2)).sqrt() / radius;
        let flesh = mix(skin, nail_colour, 1.0 - smooth_step(0.9, 1.0, on_nail));
        mix(ground, flesh.map(|part| part * round), (0.5 + (1.0 - distance) * radius).clamp(0.0, 1.0))
    });
}
