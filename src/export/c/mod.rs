//! A model as a C99 file of its own, which needs no library but `math.h` and allocates nothing.

mod bytes;
mod float;
mod memory;
mod text;

pub use bytes::c_int8;
pub use float::c;
