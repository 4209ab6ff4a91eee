//! gpu-digits
pub mod cpu;
pub mod device;
pub mod executor;
pub mod gpu;
pub mod model;
pub mod op;
pub mod ops;
pub mod plan;
pub mod random;
pub mod schedule;
pub mod tensor;
pub mod verify;
