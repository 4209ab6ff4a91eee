//! Reports of runs: figures with tables, an HTML page, a comparison of runs, and TensorBoard files.
//!
//! [`RunReport`] holds everything that a page shows. `train` saves it as `report.json` beside the model, and `report`
//! redraws the page from that file alone.

mod comparison;
mod data;
mod gpus;
mod html;
mod in_words;
mod rates;
#[cfg(test)]
mod sample;
mod sections;
pub mod tensorboard;

pub use comparison::{compare, different_data};
pub use data::{REPORT_FILE, RunReport, kernel_shares};
pub use gpus::gpus;
pub use html::page;
pub use rates::rates;
pub use sections::figures;
