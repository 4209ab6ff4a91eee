//! THE TABLE of questions: expressions in WGSL, the same in Rust, and what their results mean.

use std::f32::consts::PI;

use half::f16;

use super::POINTS;
use crate::gpu::POISON;
use crate::op::{Feature, Shader};
use crate::random::Random;

/// Iterations of the loop that is asked for; Debian 12's Mesa ends it after 65,535.
pub(super) const ITERATIONS: u64 = 100_000;

/// An expression whose result WGSL leaves to the device, or that devices compute in different ways all the same.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) name: &'static str,
    /// Of `a`, `b` and `c`, in WGSL.
    pub(super) expression: &'static str,
    pub(super) shader: Shader,
    pub(super) needs: Option<Feature>,
    /// The bits of the same expression in Rust.
    pub(super) on_cpu: fn(f32, f32, f32) -> u32,
    pub(super) reading: Reading,
}

/// What results mean.
#[derive(Debug)]
pub(super) enum Reading {
    /// The bits of a float at one point, and words for those that are expected.
    Float([f32; 3], &'static [(f32, &'static str)]),
    /// The bits of a half, the lower of two.
    Half([f32; 3], &'static [(f32, &'static str)]),
    /// The bits at one point, and words for those that are expected; others are shown as a signed integer.
    Integer([f32; 3], &'static [(u32, &'static str)]),
    /// How many iterations were run of a loop.
    Iterations,
    /// The worst error at many points: bounds of `a` and of `b`, and the exact result.
    Error([f32; 2], [f32; 2], fn(f64, f64) -> f64),
}

use Reading::{Error, Float, Half, Integer, Iterations};

impl Question {
    /// The values of `a`, `b` and `c` at which it is asked.
    pub(super) fn points(&self) -> Vec<[f32; 3]> {
        match self.reading {
            Float(point, _) | Half(point, _) | Integer(point, _) => vec![point],
            Iterations => vec![[ITERATIONS as f32, 0.0, 0.0]],
            Error([least_a, most_a], [least_b, most_b], _) => {
                let mut random = Random::new(0, 0);
                (0..POINTS).map(|_| [random.uniform(least_a, most_a), random.uniform(least_b, most_b), 0.0]).collect()
            }
        }
    }
}

impl Reading {
    /// The answer in words.
    pub(super) fn read(&self, points: &[[f32; 3]], words: &[u32]) -> String {
        let bits = words[0];
        match self {
            Float(_, meanings) => in_words(f32::from_bits(bits), meanings),
            Half(_, meanings) => in_words(f16::from_bits(bits as u16).to_f32(), meanings),
            Integer(_, meanings) => {
                let meaning = meanings.iter().find(|(wanted, _)| *wanted == bits);
                meaning.map_or_else(|| bits.cast_signed().to_string(), |(_, meaning)| (*meaning).to_owned())
            }
            Iterations => match iterations_to(bits) {
                Some(ITERATIONS) => format!("{ITERATIONS}+"),
                Some(count) => count.to_string(),
                None => "wrong".to_owned(),
            },
            Error(_, _, exact) => {
                let error = |(&[a, b, _], &bits): (&[f32; 3], &u32)| {
                    units_in_the_last_place(f32::from_bits(bits), exact(f64::from(a), f64::from(b)))
                };
                // A NaN is the worst of all.
                let worst = points
                    .iter()
                    .zip(words)
                    .map(error)
                    .fold(0.0, |worst: f64, error| if error > worst || error.is_nan() { error } else { worst });
                rounded(worst)
            }
        }
    }
}

/// The distance of two numbers, in units of the last place of the exact one.
fn units_in_the_last_place(value: f32, exact: f64) -> f64 {
    let exponent = exact.abs().log2().floor().max(-126.0) as i32;
    (f64::from(value) - exact).abs() / 2.0f64.powi(exponent - 23)
}

/// Two digits of an error; rounding alone gives up to 0.5.
fn rounded(error: f64) -> String {
    match error {
        error if !error.is_finite() => "not finite".to_owned(),
        error if error <= 0.5 => "0.5".to_owned(),
        error if error < 9.95 => format!("{error:.1}"),
        error if error < 1e4 => format!("{error:.0}"),
        error => format!("{error:.0e}"),
    }
}

fn in_words(value: f32, meanings: &[(f32, &str)]) -> String {
    if let Some((_, meaning)) = meanings.iter().find(|(wanted, _)| wanted.to_bits() == value.to_bits()) {
        (*meaning).to_owned()
    } else if value != 0.0 && value.is_finite() && !(1e-3..1e6).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// The states of the random numbers of the loop: that before the first iteration, after it, and so on. They differ for
/// 2^32 - 1 iterations (xorshift; Marsaglia, 2003).
pub(super) fn states() -> impl Iterator<Item = u32> {
    let next = |&state: &u32| {
        let state = state ^ state << 13;
        let state = state ^ state >> 17;
        Some(state ^ state << 5)
    };
    std::iter::successors(Some(1), next)
}

/// Iterations after which the loop has this state.
pub(super) fn iterations_to(state: u32) -> Option<u64> {
    (0..=ITERATIONS).zip(states()).find(|(_, other)| *other == state).map(|(count, _)| count)
}

/// The bits of a result.
trait Bits {
    fn bits(self) -> u32;
}

impl Bits for f32 {
    fn bits(self) -> u32 {
        self.to_bits()
    }
}

impl Bits for u32 {
    fn bits(self) -> u32 {
        self
    }
}

impl Bits for i32 {
    fn bits(self) -> u32 {
        self.cast_unsigned()
    }
}

impl Bits for bool {
    fn bits(self) -> u32 {
        self.into()
    }
}

fn packed(low: f32, high: f32) -> u32 {
    u32::from(f16::from_f32(low).to_bits()) | u32::from(f16::from_f32(high).to_bits()) << 16
}

/// A shader with a name after the dot, that answers with the value of a function's body, after some directives.
macro_rules! answering {
    ($name:literal, $directives:literal, $body:expr) => {
        Shader {
            name: concat!("arithmetic.", $name),
            parts: &["shared/linear", "arithmetic"],
            ..Shader::of_crate(concat!(
                $directives,
                "// shaders/shared/linear.wgsl\n",
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/shared/linear.wgsl")),
                "// shaders/arithmetic.wgsl\n",
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/arithmetic.wgsl")),
                "fn answer(a: f32, b: f32, c: f32) -> u32 {\n",
                $body,
                "\n}\n"
            ))
        }
    };
}

/// A question: its name, its expression in WGSL and in Rust, and what its results mean.
macro_rules! question {
    ($name:literal, $expression:literal, $on_cpu:expr, $reading:expr) => {
        Question {
            name: $name,
            expression: $expression,
            shader: answering!($expression, "", concat!("return bitcast<u32>(", $expression, ");")),
            needs: None,
            on_cpu: |a, b, c| Bits::bits(($on_cpu as fn(f32, f32, f32) -> _)(a, b, c)),
            reading: $reading,
        }
    };
}

const NAN: [f32; 3] = [f32::NAN, 1.0, 0.0];

/// 2^-n.
const fn half_to(n: u32) -> f32 {
    let mut value = 1.0;
    let mut left = n;
    while left > 0 {
        value *= 0.5;
        left -= 1;
    }
    value
}

const TRUTH: &[(u32, &str)] = &[(0, "false"), (1, "true")];

/// 1 + 2^-12 as a half, and as it is.
const ROUNDED: &[(f32, &str)] = &[(1.0, "rounded"), (1.0 + half_to(12), "not rounded")];

/// Bounds of a number that an expression does not use.
const UNUSED: [f32; 2] = [0.0, 1.0];

/// A loop whose iterations are told from its result.
pub(super) const LOOP: Question = Question {
    name: "iterations of an invocation",
    expression: "for (var i = 0u; i < u32(a); i++) { … }",
    shader: answering!(
        "loop",
        "",
        "var state = 1u;
for (var i = 0u; i < u32(a); i++) {
    state ^= state << 13u;
    state ^= state >> 17u;
    state ^= state << 5u;
}
return state;"
    ),
    needs: None,
    on_cpu: |a, _, _| states().nth(a as usize).unwrap_or_default(),
    reading: Iterations,
};

/// The questions, those about errors last.
pub(super) const QUESTIONS: &[Question] = &[
    question!("subnormal results", "a * b", |a, b, _| a * b, {
        Float([half_to(126), 0.5, 0.0], &[(half_to(127), "kept"), (0.0, "flushed")])
    }),
    question!("subnormal operands", "a * b", |a, b, _| a * b, {
        Float([half_to(140), 1_048_576.0, 0.0], &[(half_to(120), "kept"), (0.0, "flushed")])
    }),
    // The square of 1 + 2^-12 is 1 + 2^-11 + 2^-24, whose last term is lost when it is rounded.
    question!("a product and a sum", "a * b + c", |a, b, c| a * b + c, {
        let a = 1.0 + half_to(12);
        Float([a, a, -1.0 - half_to(11)], &[(half_to(24), "fused"), (0.0, "rounded twice")])
    }),
    question!("a fused multiply-add", "fma(a, b, c)", |a, b, c| a.mul_add(b, c), {
        let a = 1.0 + half_to(12);
        Float([a, a, -1.0 - half_to(11)], &[(half_to(24), "fused"), (0.0, "rounded twice")])
    }),
    // 1 + 2^-24 is rounded to 1, and 1.5 + 1.5 · 2^-24 is not rounded to 1.5.
    question!("a common factor", "a * b + a * c", |a, b, c| a * b + a * c, {
        Float([1.5, 1.0, half_to(24)], &[(1.5 + half_to(23), "as written"), (1.5, "taken out")])
    }),
    question!("Kahan's compensation", "((a + b) - a) - b", |a, b, _| ((a + b) - a) - b, {
        Float([1.0, half_to(25), 0.0], &[(-half_to(25), "kept"), (0.0, "dropped")])
    }),
    question!("a NaN before a number in max", "max(a, 0.0)", |a, _, _| a.max(0.0), Float(NAN, &[])),
    question!("a NaN behind a number in max", "max(0.0, a)", |a, _, _| 0.0f32.max(a), Float(NAN, &[])),
    question!("a NaN before a number in min", "min(a, 0.0)", |a, _, _| a.min(0.0), Float(NAN, &[])),
    question!("a NaN behind a number in min", "min(0.0, a)", |a, _, _| 0.0f32.min(a), Float(NAN, &[])),
    question!("equality of a NaN", "u32(a == a)", |a, _, _| a == std::hint::black_box(a), Integer(NAN, TRUTH)),
    question!("inequality of a NaN", "u32(a != a)", |a, _, _| a != std::hint::black_box(a), Integer(NAN, TRUTH)),
    question!("whether a NaN is less", "u32(a < b)", |a, b, _| a < b, Integer(NAN, TRUTH)),
    question!(
        "whether a NaN is not less",
        "u32(!(a < b))",
        |a, b, _| a.partial_cmp(&b).is_none_or(|order| order.is_ge()),
        { Integer(NAN, TRUTH) }
    ),
    question!("the logarithm of 0", "log(a)", |a, _, _| a.ln(), Float([0.0; 3], &[])),
    question!("the exponential of 100", "exp(a)", |a, _, _| a.exp(), Float([100.0, 0.0, 0.0], &[])),
    question!("the reciprocal of 0", "1.0 / a", |a, _, _| 1.0 / a, Float([0.0; 3], &[])),
    question!("the square root of -1", "sqrt(a)", |a, _, _| a.sqrt(), Float([-1.0, 0.0, 0.0], &[])),
    // Both lie in the middle between two halves; the even one is the lower for the first, and the higher for the second.
    question!("halves: rounding", "pack2x16float(vec2(a, b))", |a, b, _| packed(a, b), {
        let point = [1.0 + half_to(11), 1.0 + 3.0 * half_to(11), 0.0];
        Integer(point, &[(0x3c02_3c00, "to even"), (0x3c01_3c00, "towards 0"), (0x3c02_3c01, "up")])
    }),
    question!("halves: overflow", "pack2x16float(vec2(a, b))", |a, b, _| packed(a, b), Half([70_000.0, 0.0, 0.0], &[])),
    question!("halves: subnormal results", "pack2x16float(vec2(a, b))", |a, b, _| packed(a, b), {
        Half([half_to(24), 0.0, 0.0], &[(half_to(24), "kept"), (0.0, "flushed")])
    }),
    question!(
        "a float packed as a half",
        "unpack2x16float(pack2x16float(vec2(a, 0.0))).x",
        |a, _, _| f16::from_f32(a).to_f32(),
        { Float([1.0 + half_to(12), 0.0, 0.0], ROUNDED) }
    ),
    Question {
        name: "a float as a half",
        expression: "f32(f16(a))",
        shader: answering!("f32(f16(a))", "enable f16;\n", "return bitcast<u32>(f32(f16(a)));"),
        needs: Some(Feature::F16),
        on_cpu: |a, _, _| f16::from_f32(a).to_f32().to_bits(),
        reading: Float([1.0 + half_to(12), 0.0, 0.0], ROUNDED),
    },
    question!("an integer divided by 0", "i32(a) / i32(b)", |a, _, _| a as i32, Integer([7.0, 0.0, 0.0], &[])),
    question!("an integer's remainder by 0", "i32(a) % i32(b)", |_, _, _| 0i32, Integer([7.0, 0.0, 0.0], &[])),
    question!("an unsigned one divided by 0", "u32(a) / u32(b)", |a, _, _| a as u32, Integer([7.0, 0.0, 0.0], &[])),
    question!("3e9 as a signed integer", "i32(a)", |a, _, _| a as i32, Integer([3e9, 0.0, 0.0], &[])),
    question!("-1 as an unsigned integer", "u32(a)", |a, _, _| a as u32, Integer([-1.0, 0.0, 0.0], &[])),
    question!("a NaN as a signed integer", "i32(a)", |a, _, _| a as i32, Integer(NAN, &[])),
    // The buffer ends with guards.
    question!("a read beyond a buffer", "values[u32(a)]", |_, _, _| 0.0f32, {
        Float([1e6, 0.0, 0.0], &[(f32::from_bits(POISON), "the last")])
    }),
    LOOP,
    question!("error of a / b", "a / b", |a, b, _| a / b, Error([0.5, 2.0], [0.5, 2.0], |a, b| a / b)),
    question!("error of a division by 3", "a / 3.0", |a, _, _| a / 3.0, Error([0.5, 2.0], UNUSED, |a, _| a / 3.0)),
    question!("error of 1 / a", "1.0 / a", |a, _, _| 1.0 / a, Error([0.5, 2.0], UNUSED, |a, _| 1.0 / a)),
    question!("error of the square root", "sqrt(a)", |a, _, _| a.sqrt(), Error([0.5, 2.0], UNUSED, |a, _| a.sqrt())),
    question!("error of its reciprocal", "inverseSqrt(a)", |a, _, _| 1.0 / a.sqrt(), {
        Error([0.5, 2.0], UNUSED, |a, _| 1.0 / a.sqrt())
    }),
    question!("error of exp", "exp(a)", |a, _, _| a.exp(), Error([-50.0, 50.0], UNUSED, |a, _| a.exp())),
    question!("error of log", "log(a)", |a, _, _| a.ln(), Error([2.0, 1000.0], UNUSED, |a, _| a.ln())),
    question!("error of log near 1", "log(a)", |a, _, _| a.ln(), Error([0.999, 1.001], UNUSED, |a, _| a.ln())),
    question!("error of tanh", "tanh(a)", |a, _, _| a.tanh(), Error([0.1, 3.0], UNUSED, |a, _| a.tanh())),
    question!("error of tanh near 0", "tanh(a)", |a, _, _| a.tanh(), Error([0.0, 0.001], UNUSED, |a, _| a.tanh())),
    question!("error of pow", "pow(a, b)", |a, b, _| a.powf(b), Error([0.5, 2.0], [0.0, 10.0], f64::powf)),
    question!("error of sin", "sin(a)", |a, _, _| a.sin(), Error([-PI, PI], UNUSED, |a, _| a.sin())),
    question!("error of cos", "cos(a)", |a, _, _| a.cos(), Error([-PI, PI], UNUSED, |a, _| a.cos())),
];
