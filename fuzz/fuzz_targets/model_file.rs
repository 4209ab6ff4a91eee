//! Any bytes as a saved model and as a checkpoint: read or refused, without a panic.

#![no_main]

use gpu_digits::Model;
use gpu_digits::checkpoint::Checkpoint;
use gpu_digits::weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(saved) = weights::read(bytes) {
        let shapes = saved.model.parameters().into_iter().map(|(_, shape)| shape);
        assert!(shapes.eq(saved.parameters.iter().map(|tensor| tensor.shape.clone())), "other shapes than the model's");
    }
    let model: Model = "flatten, dense 10".parse().expect("a model");
    let _ = weights::read_parameters(bytes, &model);
    if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
        let _ = checkpoint.state.steps();
    }
});
