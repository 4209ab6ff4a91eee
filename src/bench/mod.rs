//! Benchmarks: the speed of each kernel on an adapter, its distance from the adapter's peaks, and changes between
//! versions.

pub mod check;
mod compare;
mod disturbance;
mod kernels;
mod matching;
mod measure;
mod peaks;
pub mod report;
mod short_training;
mod statistics;
mod steps;

pub use compare::{Change, Comparison, Gate, compare, compare_rounds};
pub use kernels::{Candidate, measure_kernels, of_cases, of_plan};
pub use matching::Scope;
pub use measure::{Clock, Effort, Subject, Timing, measure};
pub use peaks::{Binding, Peaks};
pub use short_training::ShortTraining;
pub use steps::{Kind, Step, StepTiming, measure_steps};
