//! Strokes: where the ink is, how wide its strokes are, and whether they are darker or lighter than their ground.
//!
//! A stroke has two edges that face each other at a short distance. From each edge a ray goes to both of its sides
//! until it meets an edge that faces it (the rays of Epshtein, Ofek and Wexler, "Detecting text in natural scenes with
//! stroke width transform", 2010). On the side of the ink it meets the other edge of the stroke; on the other side it
//! meets a neighbouring stroke further away, or nothing. So each edge says on which of its sides the ink is, whatever
//! the light.

use super::contrast::Contrast;
use super::map::{Map, highest, quantile};

/// Edges are looked for in a picture that is smoothed further, by a Gaussian of this share of the longer side: the
/// texture of chalk and of paper is finer than any stroke that can be read.
const SMOOTHING: f32 = 1.0 / 400.0;
/// The least difference of brightness of the two sides of an edge; white minus black is √3, one for each channel.
const LEAST_STEP: f32 = 0.03;
/// An edge is at least this share as steep as most are, where each counts by its steepness to the power of 1.5.
const STEEP: f32 = 0.3;
/// If a smaller share of these face another one, edges of a height of this share of what is usual are tried.
const FACED: f32 = 0.5;
const HIGH: f32 = 0.6;
/// A slope goes on while it is this share as steep as at the edge, for so many pixels.
const SLOPE: f32 = 0.25;
const LONGEST_SLOPE: usize = 40;
/// The longest ray, as a share of the picture's longer side.
const LONGEST: f32 = 0.3;
/// The cosine between the directions of two edges that face each other is less than this.
const FACING: f32 = -0.6;

/// If the votes for dark and for light ink differ less from a half than this, the picture's border decides.
const UNDECIDED: f32 = 0.2;
const LIKE_BORDER: f32 = 0.12;
/// The sharpest edges are the first, from the sharpest on, of which this share of all is alike: at most so many times
/// as soft as one another.
const MANY: f32 = 0.02;
const ALIKE: f32 = 1.4;
/// Crossings are dropped if their edges are softer than those by this factor, and by so many pixels besides.
const SOFTER: (f32, f32) = (3.0, 2.0);
/// Those that are wider than the sharpest by this factor have less: only a shadow is both wider and softer.
const WIDER: f32 = 3.0;
const SOFTER_IF_WIDER: (f32, f32) = (1.5, 1.0);

/// A place where the brightness changes the most.
#[derive(Clone, Copy)]
struct Edge {
    at: [f32; 2],
    /// The direction in which it gets brighter, of length 1.
    brighter: [f32; 2],
    /// The change of brightness from a pixel to the next.
    steepness: f32,
}

/// A ray across a stroke.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    /// Its middle.
    pub(super) at: [f32; 2],
    /// Its direction, of length 1.
    pub(super) across: [f32; 2],
    /// Its length: the width of the stroke.
    pub(super) width: f32,
}

/// The strokes of a picture.
pub(super) struct Strokes {
    /// Whether the ink is darker than its ground.
    pub(super) is_dark: bool,
    /// The share of the edges, each by the nearness of the one that it faces, that says so.
    pub(super) agreement: f32,
    pub(super) crossings: Vec<Crossing>,
}

impl Strokes {
    pub(super) fn of(contrast: &Contrast) -> Self {
        let sigma = (SMOOTHING * contrast.brightness.side() as f32).max(0.5);
        let brightness = contrast.brightness.blurred(sigma);
        let both = sigma.hypot(contrast.sigma);
        let least =
            (LEAST_STEP / (both * std::f32::consts::TAU.sqrt())).max(contrast.grain_gradient * contrast.sigma / both);
        let edges = edges(&brightness, least);
        let mut faced = Faced::of(steep(&edges), contrast);
        // Where the picture is soft as a whole, steep edges are only those of something pasted, and face nothing.
        if faced.share() < FACED {
            let others = Faced::of(high(&edges, &brightness), contrast);
            faced = if others.share() > faced.share() { others } else { faced };
        }
        let Faced { nearer, crossings, .. } = faced;
        let typical = quantile(&mut nearer.iter().map(|(_, _, width)| *width).collect::<Vec<f32>>(), 0.5);
        // Of edges that are twice as steep one counts for four: creases are many, and fainter than ink.
        let votes = |is_dark: bool| {
            let these = nearer.iter().filter(|(dark, _, _)| *dark == is_dark);
            these.map(|(_, steepness, width)| steepness * steepness / (width + typical)).sum::<f32>()
        };
        let share = votes(true) / (votes(true) + votes(false)).max(f32::MIN_POSITIVE);
        let mut is_dark = share >= 0.5;
        if (share - 0.5).abs() < UNDECIDED {
            is_dark = is_dark_by_border(&contrast.brightness, &crossings).unwrap_or(is_dark);
        }
        let agreement = if is_dark { share } else { 1.0 - share };
        let [dark, bright] = crossings;
        Self { is_dark, agreement, crossings: sharp(if is_dark { dark } else { bright }) }
    }
}

/// Edges and what faces them.
struct Faced {
    edges: usize,
    /// For each edge that faces another one: whether on its darker side, or nearer there than on the other, its
    /// steepness, and how far away.
    nearer: Vec<(bool, f32, f32)>,
    /// The rays on the darker sides and on the brighter ones, and how soft their edges are.
    crossings: [Vec<(Crossing, f32)>; 2],
}

impl Faced {
    fn of(edges: Vec<Edge>, contrast: &Contrast) -> Self {
        let mut places = contrast.brightness.map(|_| u32::MAX);
        for (number, edge) in edges.iter().enumerate() {
            let [x, y] = edge.at.map(|place| place as usize);
            places.values[y * places.width + x] = number as u32;
        }
        let longest = LONGEST * places.side() as f32;
        let mut faced = Self { edges: edges.len(), nearer: vec![], crossings: [vec![], vec![]] };
        for edge in &edges {
            let rays = [-1.0, 1.0].map(|side| ray(edge, side, longest, &edges, &places));
            let [dark, bright] = rays.map(|ray| ray.map_or(f32::INFINITY, |ray| ray.width));
            if dark.min(bright).is_finite() {
                faced.nearer.push((dark <= bright, edge.steepness, dark.min(bright)));
            }
            for (crossings, ray) in faced.crossings.iter_mut().zip(rays) {
                crossings.extend(ray.map(|ray| (ray, softness(edge, &ray, &contrast.brightness))));
            }
        }
        faced
    }

    /// The share of the edges that face another one.
    fn share(&self) -> f32 {
        self.nearer.len() as f32 / self.edges.max(1) as f32
    }
}

/// How many pixels the brightness takes from the ground to the middle of the stroke.
fn softness(edge: &Edge, crossing: &Crossing, brightness: &Map<f32>) -> f32 {
    let at = |step: f32| {
        let point = [0, 1].map(|axis| edge.at[axis] + step * edge.brighter[axis]);
        brightness.around(point).unwrap_or(0.0)
    };
    let steepest = (-2..=2).map(|step| at(step as f32 + 0.5) - at(step as f32 - 0.5)).fold(f32::MIN_POSITIVE, f32::max);
    2.0 * (at(0.0) - brightness.around(crossing.at).unwrap_or(0.0)).abs() / steepest
}

/// The crossings whose edges are not much softer than the sharpest ones: a shadow is softer than ink.
fn sharp(crossings: Vec<(Crossing, f32)>) -> Vec<Crossing> {
    let mut all: Vec<f32> = crossings.iter().map(|(_, softness)| *softness).collect();
    all.sort_by(f32::total_cmp);
    let others = all.iter().skip((MANY * all.len() as f32) as usize);
    let alike = all.iter().zip(others).find(|(first, last)| **last <= ALIKE * **first);
    let Some(sharpest) = alike.map(|(_, &last)| last).or(all.last().copied()) else { return vec![] };
    let sharpest_ones = crossings.iter().filter(|(_, softness)| *softness <= sharpest);
    let width = quantile(&mut sharpest_ones.map(|(crossing, _)| crossing.width).collect::<Vec<f32>>(), 0.5);
    let is_sharp = |(crossing, softness): &(Crossing, f32)| {
        let (factor, pixels) = if crossing.width > WIDER * width { SOFTER_IF_WIDER } else { SOFTER };
        *softness <= factor * sharpest + pixels
    };
    crossings.into_iter().filter(is_sharp).map(|(crossing, _)| crossing).collect()
}

/// Whether the picture's border is like the middles of light gaps and not like those of dark strokes, for it is ground;
/// none if it is like neither, as a desk.
fn is_dark_by_border(brightness: &Map<f32>, crossings: &[Vec<(Crossing, f32)>; 2]) -> Option<bool> {
    let [dark, bright] = crossings.each_ref().map(|crossings| {
        let mut middles: Vec<f32> =
            crossings.iter().filter_map(|(crossing, _)| brightness.around(crossing.at)).collect();
        quantile(&mut middles, 0.5)
    });
    let border = quantile(&mut brightness.border(), 0.5);
    let [from_dark, from_bright] = [dark, bright].map(|middle| (border - middle).abs());
    (from_dark.min(from_bright) <= LIKE_BORDER).then_some(from_bright <= from_dark)
}

/// The pixels whose gradient is the largest along its direction (Canny, "A computational approach to edge detection",
/// 1986).
fn edges(brightness: &Map<f32>, least: f32) -> Vec<Edge> {
    let (width, height) = (brightness.width, brightness.height);
    let slope = |x: usize, y: usize| {
        if x == 0 || y == 0 || x + 1 >= width || y + 1 >= height {
            return [0.0; 2];
        }
        [brightness.at(x + 1, y) - brightness.at(x - 1, y), brightness.at(x, y + 1) - brightness.at(x, y - 1)]
            .map(|change| change / 2.0)
    };
    let slopes = Map::from_fn(width, height, slope);
    let steepness = slopes.map(|[x, y]| x.hypot(y));
    let mut edges = Vec::new();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let here = steepness.at(x, y);
            if here < least {
                continue;
            }
            let brighter = slopes.at(x, y).map(|slope| slope / here);
            let [before, after] = [-1.0, 1.0].map(|side| {
                let [dx, dy] = brighter.map(|part| (side * part).round() as isize);
                steepness.at(x.wrapping_add_signed(dx), y.wrapping_add_signed(dy))
            });
            if here >= before && here > after {
                edges.push(Edge { at: [x as f32, y as f32], brighter, steepness: here });
            }
        }
    }
    edges
}

/// The edges that are not much less steep than most: grain and texture are less steep.
fn steep(edges: &[Edge]) -> Vec<Edge> {
    at_least(STEEP, edges, |edge| edge.steepness)
}

/// The edges whose sides do not differ by much less than those of most, however far apart these are.
fn high(edges: &[Edge], brightness: &Map<f32>) -> Vec<Edge> {
    at_least(HIGH, edges, |edge| step(edge, brightness))
}

/// The edges with at least a share of what most measure, where each counts by its measure to the power of 1.5.
fn at_least(share: f32, edges: &[Edge], measure: impl Fn(&Edge) -> f32) -> Vec<Edge> {
    let measured: Vec<f32> = edges.iter().map(measure).collect();
    let most = highest(measured.iter().map(|&value| (value, value.powf(1.5))), 0.5).unwrap_or(0.0);
    edges.iter().zip(measured).filter(|(_, value)| *value >= share * most).map(|(edge, _)| *edge).collect()
}

/// The difference in brightness of the two sides of an edge: as far to each as the slope goes on.
fn step(edge: &Edge, brightness: &Map<f32>) -> f32 {
    let climb = |sign: f32| {
        let at = |length: usize| {
            let point = [0, 1].map(|axis| edge.at[axis] + sign * length as f32 * edge.brighter[axis]);
            brightness.around(point)
        };
        let climbs = (1..LONGEST_SLOPE).map_while(|length| Some(sign * (at(length)? - at(length - 1)?)));
        climbs.take_while(|climb| *climb >= SLOPE * edge.steepness).sum::<f32>()
    };
    climb(-1.0) + climb(1.0)
}

/// From an edge to one side, until an edge that faces it.
fn ray(from: &Edge, side: f32, longest: f32, edges: &[Edge], places: &Map<u32>) -> Option<Crossing> {
    let along = from.brighter.map(|part| side * part);
    let mut length = 1.5;
    while length <= longest {
        let at = [from.at[0] + along[0] * length, from.at[1] + along[1] * length];
        let number = places.around(at)?;
        // An edge one pixel wide can be passed at a corner; look beside the ray, too.
        let beside = [[at[0] + 1.0, at[1]], [at[0], at[1] + 1.0]].map(|at| places.around(at).unwrap_or(u32::MAX));
        for number in [number, beside[0], beside[1]] {
            let Some(edge) = edges.get(number as usize) else { continue };
            let cosine = edge.brighter[0] * from.brighter[0] + edge.brighter[1] * from.brighter[1];
            if cosine < FACING {
                let middle = [0, 1].map(|axis| from.at[axis] + along[axis] * length / 2.0);
                return Some(Crossing { at: middle, across: along, width: length });
            }
        }
        length += 1.0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::drawn::{grey, is_in_bar};
    use super::*;

    /// A bar that slopes, in light.
    fn strokes(ground: f32, ink: f32, thickness: f32, light: impl Fn(usize, usize) -> f32) -> Strokes {
        let is_ink = |x, y| is_in_bar([[60.0, 40.0], [160.0, 110.0]], thickness, x, y);
        let picture = grey(240, 160, |x, y| light(x, y) * if is_ink(x, y) { ink } else { ground });
        Strokes::of(&Contrast::of(&picture))
    }

    const EVEN: fn(usize, usize) -> f32 = |_, _| 1.0;
    const FALLING: fn(usize, usize) -> f32 = |x, y| 1.0 - 0.6 * (x as f32 / 240.0) - 0.2 * (y as f32 / 160.0);

    #[test]
    fn ink_is_known_as_dark_or_light_whatever_the_light() {
        for (ground, ink) in [(0.9, 0.3), (0.9, 0.7), (0.2, 0.9), (0.2, 0.4)] {
            for light in [EVEN, FALLING] {
                let Strokes { is_dark, agreement, .. } = strokes(ground, ink, 9.0, light);
                assert_eq!(is_dark, ink < ground, "{ink} on {ground}, {}", light(239, 159));
                assert!(agreement > 0.8, "{ink} on {ground}: {agreement}");
            }
        }
    }

    #[test]
    fn a_few_strong_strokes_outvote_many_faint_ones() {
        // Light creases. The border is like the dark gap between two of them.
        let crease = |x: usize, y: usize| {
            let is_crease = (20..140).contains(&y) && [24, 192, 216].iter().any(|left| (*left..left + 8).contains(&x));
            if is_crease { 1.0 } else { 0.73 }
        };
        let Strokes { is_dark, agreement, .. } = strokes(0.9, 0.0, 9.0, crease);
        assert!(is_dark && agreement > 0.65, "{is_dark}, {agreement}");
    }

    #[test]
    fn crossings_are_as_wide_as_the_stroke_and_run_across_it() {
        for thickness in [4.0, 9.0, 20.0] {
            let crossings = strokes(0.9, 0.2, thickness, EVEN).crossings;
            assert!(crossings.len() > 100, "{}", crossings.len());
            let width = quantile(&mut crossings.iter().map(|crossing| crossing.width).collect::<Vec<f32>>(), 0.5);
            assert!((width - thickness).abs() < 2.0, "{width} for {thickness}");
            // The bar's direction is (100, 70).
            let is_across = |crossing: &&Crossing| (crossing.across[0] * 0.82 + crossing.across[1] * 0.57).abs() < 0.2;
            let across = crossings.iter().filter(is_across).count();
            assert!(10 * across >= 9 * (crossings.len() - 2 * thickness as usize), "{across} of {}", crossings.len());
            let is_inside = |at: [f32; 2]| {
                is_in_bar([[60.0, 40.0], [160.0, 110.0]], thickness + 2.0, at[0] as usize, at[1] as usize)
            };
            assert!(crossings.iter().all(|crossing| is_inside(crossing.at)), "{thickness}");
        }
    }

    #[test]
    fn blank_paper_has_no_strokes() {
        for light in [EVEN, FALLING] {
            let found = strokes(0.9, 0.9, 9.0, light).crossings;
            assert!(found.is_empty(), "{} crossings", found.len());
        }
    }

    #[test]
    fn a_soft_stroke_is_found_where_only_its_ends_are_sharp() {
        // As in a small picture that was enlarged and pasted: soft to both sides, and cut above and below.
        let picture = grey(240, 160, |x, y| {
            let depth = ((30.0 - (x as f32 - 120.0).abs()) / 20.0).clamp(0.0, 1.0);
            if (30..130).contains(&y) { 0.9 - 0.8 * depth } else { 0.9 }
        });
        let Strokes { is_dark, crossings, .. } = Strokes::of(&Contrast::of(&picture));
        let across = crossings.iter().filter(|crossing| crossing.across[0].abs() > 0.9).count();
        let width = quantile(&mut crossings.iter().map(|crossing| crossing.width).collect::<Vec<f32>>(), 0.5);
        assert!(is_dark && across > 100 && (width - 40.0).abs() < 8.0, "{across} crossings, {width} wide");
    }

    #[test]
    fn soft_shadows_are_no_strokes() {
        // Dark, with edges of half shadow: one less steep than a pen's, one less sharp than a pencil's.
        // The last is wide, and only a little softer than the ink.
        for (ink, half, depth, wide) in [(0.3, 20.0, 0.5, 20.0), (0.6, 14.0, 0.7, 20.0), (0.3, 5.0, 0.6, 50.0)] {
            let shadow =
                |x: usize, _| 1.0 - depth * (1.0 - ((x as f32 - 205.0).abs() - wide / 2.0) / half).clamp(0.0, 1.0);
            let Strokes { is_dark, crossings, .. } = strokes(0.9, ink, 8.0, shadow);
            assert!(is_dark);
            let in_shadow = crossings.iter().filter(|crossing| crossing.at[0] > 170.0).count();
            assert!(in_shadow == 0 && crossings.len() > 100, "{in_shadow} of {} for {ink}", crossings.len());
        }
    }
}
