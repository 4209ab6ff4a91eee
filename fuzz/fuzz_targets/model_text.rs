//! Any text as the layers of a model: a model whose text gives the same model, or an error, without a panic.

#![no_main]

use gpu_digits::Model;
use gpu_digits::augment::Augment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(model) = text.parse::<Model>() {
        let again: Model = model.to_string().parse().expect("a model's text is a model");
        assert_eq!(again.to_string(), model.to_string());
        assert_eq!(again.parameter_count(), model.parameter_count());
    }
    if let Ok(augment) = text.parse::<Augment>() {
        let _ = augment.check();
        assert_eq!(augment.to_string().parse::<Augment>().expect("its text is one"), augment);
    }
});
