//! Any bytes as the file of a picture, through all stages: it is read or refused, without a panic.
//!
//! With `cargo install cargo-fuzz`, a compiler of C++, and a folder of small pictures to begin with:
//!
//! ```sh
//! cargo fuzz run photo --sanitizer none fuzz/corpus/photo PICTURES -- -max_total_time=600 -timeout=60
//! ```
//!
//! Without a sanitizer it needs no nightly Rust, and loses nothing: the library has no `unsafe`. Pictures in the
//! formats PGM, PPM and BMP get furthest, since a changed byte of theirs is a changed pixel.

#![no_main]

use gpu_digits::data::IMAGE_BYTES;
use gpu_digits::photo::{self, Options, Stages};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Larger pictures only take longer.
const MOST_PIXELS: u64 = 200 * 200;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(picture) = photo::decode(bytes) else { return Corpus::Keep };
    let [width, height] = [picture.width(), picture.height()];
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Corpus::Reject;
    }
    for one in [false, true] {
        let mut stages = Stages::kept();
        let Ok(found) = photo::find_in_stages(&picture, &Options { one }, &mut stages) else { continue };
        let candidates = found.pixels().len() / IMAGE_BYTES;
        let reading = found.read(&vec![vec![0.1; 10]; candidates]);
        let digits = reading.digits().count();
        assert!(if one { digits == 1 } else { digits > 0 }, "{digits} digits of {candidates} candidates");
        for digit in reading.digits() {
            let [left, top, right, bottom] = digit.frame;
            let is_inside = |low: f32, high: f32, side: u32| low >= 0.0 && low < high && high <= side as f32 + 0.01;
            assert!(is_inside(left, right, width) && is_inside(top, bottom, height), "{:?}", digit.frame);
        }
    }
    Corpus::Keep
});
