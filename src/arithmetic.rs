//! How a device computes where WGSL leaves it free, measured.
//!
//! WGSL allows a device to flush subnormal numbers, to fuse a product and a sum, to lose a NaN, and to be wrong by some
//! units in the last place; drivers use that, and some go beyond it. Each question is an expression of numbers from a
//! buffer. No kernel depends on the answers; they explain why two devices differ.

mod questions;

use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::gpu::{Gpu, run_variant};
use crate::op::{MAX_ITERATIONS, Op, Operand, Variant};
use crate::ops::Case;
use crate::random::Random;
use crate::tensor::DType::{F32, U32};
use crate::tensor::HostTensor;
use questions::{LOOP, QUESTIONS, Question, iterations_to};

/// Points at which an error is measured.
const POINTS: usize = 4096;

/// How a device computes an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What is asked.
    pub question: String,
    /// The expression, in WGSL.
    pub expression: String,
    /// The answer. Errors are in units of the last place of the exact result.
    pub answer: String,
}

/// How the CPU executor computes.
pub fn of_cpu() -> Vec<Answer> {
    QUESTIONS.iter().map(|question| question.answered_by(&Asked { question }.on_cpu())).collect()
}

/// How a GPU computes: the answers to the same questions, in the same order.
///
/// A type or an expression that a driver does not take is an answer too.
///
/// # Errors
/// If the device fails.
pub async fn of_gpu(gpu: &Gpu) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        let asked = Asked { question };
        let words = match gpu.why_not(&asked, &asked.variant()) {
            None => Some(asked.on_gpu(gpu).await),
            Some(_) => None,
        };
        answers.push(match words {
            Some(Ok(words)) => question.answered_by(&words),
            Some(Err(error)) if gpu.failure().is_some() => {
                return Err(error.context(format!("cannot compute `{}`", question.expression)));
            }
            Some(Err(_)) => question.answer("refused".to_owned()),
            None => question.answer("not there".to_owned()),
        });
    }
    Ok(answers)
}

/// The questions as ops of which nothing is demanded: each has one shader, and a reference in Rust.
pub fn questions() -> Vec<Case> {
    QUESTIONS.iter().map(|question| Arc::new(Asked { question }) as Case).collect()
}

/// What is wrong with the loops of a GPU, if it ends those of an invocation before [`MAX_ITERATIONS`] iterations.
///
/// # Errors
/// If the device fails, or the shader does not compile.
pub async fn loop_fault(gpu: &Gpu) -> Result<Option<String>> {
    let words = Asked { question: &LOOP }.on_gpu(gpu).await?;
    Ok(match iterations_to(words[0]) {
        Some(count) if count >= MAX_ITERATIONS => None,
        Some(count) => Some(format!("it ends all loops of an invocation after {count} iterations")),
        None => Some("a loop gives a wrong result".to_owned()),
    })
}

impl Question {
    fn answered_by(&self, words: &[u32]) -> Answer {
        self.answer(self.reading.read(&self.points(), words))
    }

    fn answer(&self, answer: String) -> Answer {
        Answer { question: self.name.to_owned(), expression: self.expression.to_owned(), answer }
    }
}

/// A question as an op, of which nothing is demanded.
#[derive(Clone, Copy, Debug)]
struct Asked {
    question: &'static Question,
}

impl Asked {
    fn variant(&self) -> Variant {
        let variant = Variant::linear(self.question.shader, self.question.points().len(), 0);
        Variant { needs: self.question.needs, ..variant }
    }

    fn inputs(&self) -> Vec<HostTensor> {
        self.test_inputs(&mut Random::new(0, 0))
    }

    fn on_cpu(&self) -> Vec<u32> {
        let mut tensors = self.inputs();
        self.reference(&mut tensors);
        tensors[1].words().to_vec()
    }

    async fn on_gpu(&self, gpu: &Gpu) -> Result<Vec<u32>> {
        let tensors = run_variant(gpu, self, &self.variant(), &self.inputs()).await?;
        Ok(tensors[1].words().to_vec())
    }
}

impl Op for Asked {
    fn name(&self) -> &'static str {
        "arithmetic"
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.question.points().len() as f64)]
    }

    fn operands(&self) -> Vec<Operand> {
        let length = self.question.points().len();
        vec![Operand::read("values", F32, [length, 3]), Operand::write("answers", U32, [length])]
    }

    fn variants(&self) -> Vec<Variant> {
        vec![self.variant()]
    }

    fn reference(&self, tensors: &mut [HostTensor]) {
        let [values, answers] = tensors else { unreachable!("two operands") };
        for (answer, &[a, b, c]) in answers.words_mut().iter_mut().zip(values.f32().as_chunks().0) {
            *answer = (self.question.on_cpu)(a, b, c);
        }
    }

    fn flops(&self) -> u64 {
        0
    }

    fn test_inputs(&self, _: &mut Random) -> Vec<HostTensor> {
        let points = self.question.points();
        let values = HostTensor::from_f32([points.len(), 3], points.as_flattened());
        vec![values, HostTensor::zeros(U32, [points.len()].into())]
    }

    fn tolerance(&self) -> f64 {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_computes_as_ieee_754_says() {
        let answers = of_cpu();
        for (name, wanted) in [
            ("subnormal results", "kept"),
            ("subnormal operands", "kept"),
            ("a product and a sum", "rounded twice"),
            ("a fused multiply-add", "fused"),
            ("a common factor", "as written"),
            ("Kahan's compensation", "kept"),
            ("equality of a NaN", "false"),
            ("a float as a half", "rounded"),
            ("halves: rounding", "to even"),
            ("halves: overflow", "inf"),
            ("the logarithm of 0", "-inf"),
            ("iterations of an invocation", "100000+"),
            ("error of 1 / a", "0.5"),
            ("error of the square root", "0.5"),
        ] {
            let found = answers.iter().find(|answer| answer.question == name);
            assert_eq!(found.map(|found| found.answer.as_str()), Some(wanted), "{name}");
        }
    }

    #[test]
    fn the_guide_to_drivers_has_a_row_for_each_question() {
        let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DRIVERS.md"));
        for Answer { question, expression, answer } in of_cpu() {
            // The errors of functions are those of the system's library.
            let answer = if question.starts_with("error of") { String::new() } else { format!(" {answer} |") };
            let row = format!("| {question} | `{expression}` |{answer}");
            assert!(guide.contains(&row), "docs/DRIVERS.md has no row that begins with {row}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = QUESTIONS.iter().map(|question| question.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QUESTIONS.len());
    }
}
