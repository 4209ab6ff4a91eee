//! Trains convolutional networks on MNIST with hand-written WGSL compute shaders on any GPU, and verifies every kernel
//! against the CPU.
//!
//! An [op](op::Op) is a small value that knows its sizes, its operands, its shaders, its CPU reference and its
//! tolerance; [one table](ops::TABLE) lists them all. A [model](model::Model) is lowered to a [plan](plan::Plan): the
//! list of ops, applied to named tensors, that makes up a training step. A plan runs on a [GPU](gpu::GpuExecutor) or,
//! with the references, on the [CPU](cpu::CpuExecutor). Training, [verification](verify) and the tests are loops over
//! that list or that table. `ARCHITECTURE.md` explains the design.
//!
//! Functions that wait for a device are `async`. The outermost edge of a program decides how to wait, for example with
//! `pollster`. On native platforms such a future blocks its thread when wgpu polls the device; a download also blocks.
//!
//! ```
//! use gpu_digits::data::{self, DataChoice, Folders, Request};
//! use gpu_digits::device::DeviceChoice;
//! use gpu_digits::executor::Unobserved;
//! use gpu_digits::{Device, Model, TrainConfig, Trainer};
//!
//! # fn main() -> anyhow::Result<()> {
//! pollster::block_on(async {
//!     let model: Model = "conv 8x5, relu, pool 4, flatten, dense 10".parse()?;
//!     // Generated digits need neither files nor a network; `Request::new` alone requests MNIST.
//!     let folders = Folders::from_environment(None);
//!     let request = Request { choice: DataChoice::Generated, generated_train: 1_000, ..Request::new(folders) };
//!     let dataset = data::load(&request, &mut |line| eprintln!("{line}"))?;
//!
//!     let device = Device::open(&DeviceChoice::Auto).await?;
//!     let config = TrainConfig { epochs: 2, batch: 32, validation: 0, ..TrainConfig::DEFAULT };
//!     let parameters = model.initial_parameters(config.seed);
//!     let mut trainer = Trainer::new(&device, &model, &parameters, &dataset, config).await?;
//!     for _ in 0..config.epochs {
//!         let epoch = trainer.epoch(&mut Unobserved).await?;
//!         println!("loss {:.3}", epoch.score.loss);
//!     }
//!     let test = trainer.evaluate(trainer.splits().test.clone()).await?;
//!     println!("{:.1} % of {} test images on {device}", 100.0 * test.accuracy, test.images);
//!     # assert!(test.accuracy > 0.8);
//!     Ok(())
//! })
//! # }
//! ```

// These macros panic if the reader has closed the pipe; those of `terminal` do not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod arithmetic;
pub mod augment;
pub mod bench;
pub mod checkpoint;
pub mod cpu;
pub mod data;
pub mod date;
#[cfg(feature = "pictures")]
mod decode;
pub mod device;
pub mod executor;
#[cfg(feature = "exchange")]
pub mod export;
#[cfg(feature = "figures")]
#[cfg_attr(not(feature = "program"), allow(dead_code, reason = "some of it serves the program alone"))]
pub mod figures;
mod files;
mod finite;
pub mod gpu;
mod host;
#[cfg(feature = "exchange")]
pub mod import;
pub mod inference;
mod json;
pub mod layers;
pub mod metrics;
pub mod model;
mod names;
#[cfg(feature = "figures")]
#[cfg_attr(not(feature = "program"), allow(dead_code, reason = "some of it serves the program alone"))]
mod numbers;
#[cfg(feature = "exchange")]
pub mod onnx;
pub mod op;
pub mod ops;
#[cfg(feature = "photos")]
pub mod photo;
#[cfg(feature = "figures")]
#[cfg_attr(not(feature = "program"), allow(dead_code, reason = "some of it serves the program alone"))]
pub mod picture;
pub mod plan;
pub mod random;
pub mod ranks;
mod resident;
pub mod schedule;
mod shader;
mod sizes;
pub mod tensor;
pub mod trace;
pub mod train;
#[cfg(feature = "translate")]
pub mod translate;
pub mod trial;
mod variant;
pub mod verify;
pub mod weights;
mod words;

/// The program. It uses the library, never the other way round, and is no part of its interface.
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod program;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit from which it is built; `unknown` where there is no Git.
pub const COMMIT: &str = env!("GPU_DIGITS_COMMIT");

pub use data::Dataset;
pub use device::Device;
pub use inference::Predictor;
pub use layers::Layer;
pub use model::Model;
pub use op::Op;
pub use train::{TrainConfig, Trainer};
