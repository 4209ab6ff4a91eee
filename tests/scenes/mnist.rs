//! MNIST's own test digits, enlarged, from the folder that the environment names.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

use crate::geometry::{Frame, Point, point};
use crate::layouts::{somewhere, wanted_height};
use crate::shot::{Glyph, Shot};

/// The environment variable with the folder of MNIST's files, packed or not.
const FOLDER: &str = "MNIST_DIR";
const SIDE: usize = 28;
/// Bytes before the first image and before the first label.
const HEADERS: (usize, usize) = (16, 8);

struct Test {
    images: Vec<u8>,
    labels: Vec<u8>,
}

static TEST: LazyLock<Option<Test>> = LazyLock::new(|| {
    let folder = std::env::var_os(FOLDER)?;
    let read = |name: &str| content(Path::new(&folder), name);
    let test = Test {
        images: read("t10k-images-idx3-ubyte").split_off(HEADERS.0),
        labels: read("t10k-labels-idx1-ubyte").split_off(HEADERS.1),
    };
    assert_eq!(test.images.len(), test.labels.len() * SIDE * SIDE, "{FOLDER} holds other files than MNIST's");
    Some(test)
});

/// Whether MNIST's digits are there; scenes that need them are left out without them.
pub(crate) fn is_there() -> bool {
    TEST.is_some()
}

/// The content of a file, which may be packed.
fn content(folder: &Path, name: &str) -> Vec<u8> {
    if let Ok(bytes) = fs::read(folder.join(name)) {
        return bytes;
    }
    let path = folder.join(format!("{name}.gz"));
    let packed = fs::read(&path).unwrap_or_else(|error| panic!("{FOLDER}: {}: {error}", path.display()));
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
}

/// One digit of MNIST, enlarged.
pub(crate) fn one_mnist_digit(shot: &mut Shot) {
    let test = TEST.as_ref().expect("the scene is left out without MNIST");
    let number = shot.random.below(test.labels.len() as u32) as usize;
    let image = &test.images[number * SIDE * SIDE..][..SIDE * SIDE];
    let share = |x: i32, y: i32| {
        let inside = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
        if inside { f32::from(image[y as usize * SIDE + x as usize]) / 255.0 } else { 0.0 }
    };
    let inked = (0..SIDE * SIDE).filter(|index| image[*index] > 80).map(|index| {
        let (left, top) = ((index % SIDE) as f32, (index / SIDE) as f32);
        Frame { left, top, right: left + 1.0, bottom: top + 1.0 }
    });
    let around = inked.fold(Frame::NOTHING, Frame::join);
    let scale = (wanted_height(shot) / around.height()).min(0.92 * shot.width as f32 / around.width());
    let corner = somewhere(shot, around.width() * scale, around.height() * scale);
    let frame = Frame {
        left: corner.x,
        top: corner.y,
        right: corner.x + around.width() * scale,
        bottom: corner.y + around.height() * scale,
    };
    let smooth = |at: Point| {
        // Between the middles of four pixels.
        let at = at.minus(corner).times(1.0 / scale).plus(point(around.left - 0.5, around.top - 0.5));
        let (x, y) = (at.x.floor(), at.y.floor());
        let mix = |first: f32, second: f32, share: f32| first + (second - first) * share;
        let line = |y: i32| mix(share(x as i32, y), share(x as i32 + 1, y), at.x - x);
        mix(line(y as i32), line(y as i32 + 1), at.y - y)
    };
    shot.ink.raise(frame.grown(2.0 * scale), smooth);
    shot.truth.push(vec![Glyph { digit: test.labels[number], frame }]);
}
