//! Any bytes as a model of another program: read or refused, without a panic. `tests/exchange/foreign/` has files to begin with.

#![no_main]

use gpu_digits::import::{Options, read_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let model = Some("conv 4x3, relu, pool 2, flatten, dense 10".to_owned());
    for model in [None, model] {
        let options = Options { model, image: "8x11".parse().ok(), ..Options::default() };
        if let Ok(imported) = read_bytes(bytes, None, &options) {
            let shapes = imported.model.parameters().into_iter().map(|(_, shape)| shape);
            assert!(shapes.eq(imported.parameters.iter().map(|tensor| tensor.shape.clone())), "other shapes");
        }
    }
});
