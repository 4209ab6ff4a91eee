//! Files from strangers: whatever is changed in a file, it is read or refused, without a panic and without memory that its size does
//! not justify. `fuzz/` does the same for hours.

use std::fs;
use std::sync::{Mutex, PoisonError};

use gpu_digits::Model;
use gpu_digits::augment::Augment;
use gpu_digits::checkpoint::Checkpoint;
use gpu_digits::data::{DataChoice, Dataset, Folders, Request, load};
use gpu_digits::random::Random;
use gpu_digits::tensor::HostTensor;
use gpu_digits::train::TrainState;
use gpu_digits::weights::{self, Origin};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Held by the test that measures memory, which is that of all threads.
static TURN: Mutex<()> = Mutex::new(());

const TRIES: usize = 3_000;

/// Bytes that a parser may take besides a multiple of its input's.
const BESIDES: usize = 1 << 20;

/// Some bytes changed in a few ways: other bits, numbers at their limits, parts left out or repeated, an end too early.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let place = random.below(bytes.len().max(1) as u32) as usize;
        let length = (random.below(20) as usize).min(bytes.len() - place);
        match random.below(7) {
            0 => bytes[place..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            1 => bytes.truncate(place),
            2 => drop(bytes.drain(place..place + length)),
            3 => {
                let part = bytes[place..place + length].to_vec();
                bytes.splice(place..place, part);
            }
            4 => {
                let digits = ["0", "1", "4294967295", "18446744073709551615", "-1", "1e400", "\"", "{", "null"];
                bytes.splice(place..place + length.min(2), digits[random.below(9) as usize].bytes());
            }
            _ => {
                let limits = [0, 1, u64::from(u32::MAX), u64::MAX, i64::MAX as u64, 1 << 31, 1 << 40];
                let limit = limits[random.below(7) as usize];
                let limit = if random.below(2) == 1 { limit.to_be_bytes() } else { limit.to_le_bytes() };
                bytes[place..].iter_mut().zip(limit).for_each(|(byte, limit)| *byte = limit);
            }
        }
    }
    bytes
}

/// Reads many changed copies, none of which may panic or take more than so many times its bytes of memory. Returns how many were
/// read, so that a test sees that not all are refused.
fn read_changed(bytes: &[u8], times: usize, seed: u64, mut read: impl FnMut(&[u8]) -> bool) -> usize {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut random = Random::new(seed, 0);
    let mut count = 0;
    assert!(read(bytes), "the file as it is was refused");
    for _ in 0..TRIES {
        let changed = changed(bytes, &mut random);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        count += usize::from(read(&changed));
        let taken = MEMORY.peak_usage().saturating_sub(before);
        assert!(taken <= times * changed.len() + BESIDES, "{} bytes took {taken} bytes of memory", changed.len());
    }
    assert!(count < TRIES, "every change was accepted");
    count
}

fn model() -> Model {
    "conv 2x3, norm, relu, pool 2, dropout 0.1, flatten, dense 10".parse().expect("a model")
}

#[test]
fn a_changed_model_file_is_read_or_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let model = model();
    weights::save(&path, &model, &model.initial_parameters(0), Origin { seed: 0, data: None }).expect("it is saved");
    let bytes = fs::read(&path).expect("it is there");
    let read = |bytes: &[u8]| match weights::read(bytes) {
        Ok(saved) => {
            let shapes = saved.model.parameters().into_iter().map(|(_, shape)| shape);
            assert!(shapes.eq(saved.parameters.iter().map(|tensor| tensor.shape.clone())));
            true
        }
        Err(_) => false,
    };
    read_changed(&bytes, 8, 1, read);
    // The header, which is a small part of the file, alone.
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
    let (header, data) = bytes.split_at(header);
    read_changed(header, 1_000, 2, |header| read(&[header, data].concat()));
}

#[test]
fn a_changed_checkpoint_is_refused_unless_it_says_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("checkpoint.safetensors");
    let state = TrainState {
        history: vec![0.5; 40],
        tensors: [("parameters".to_owned(), HostTensor::from_f32([50], &[1.5; 50]))].into(),
    };
    let checkpoint = Checkpoint { state, notes: [("facts".to_owned(), b"{}".to_vec())].into() };
    checkpoint.save(&path).expect("it is saved");
    let bytes = fs::read(&path).expect("it is there");
    read_changed(&bytes, 100, 3, |bytes| match Checkpoint::from_bytes(bytes) {
        Ok(read) => {
            // Only a change that means nothing, such as of a space in the header, goes unnoticed.
            assert_eq!(read, checkpoint);
            true
        }
        Err(_) => false,
    });
}

#[test]
fn a_changed_file_of_images_or_labels_is_read_or_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28][..], &[7; 2 * 784]].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 3, 9];
    let names =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
    let write = |which: usize, bytes: &[u8]| fs::write(folder.path().join(names[which]), bytes).expect("it is written");
    let whole = |which: usize| if which.is_multiple_of(2) { &images[..] } else { &labels[..] };
    let read = || -> bool {
        let folders = Folders { named: Some(folder.path().to_owned()), cache: None };
        let request = Request { choice: DataChoice::Mnist, ..Request::new(folders) };
        load(&request, &mut |_| ()).is_ok_and(|dataset: Dataset| dataset.check().is_ok())
    };
    (0..4).for_each(|which| write(which, whole(which)));
    for which in 0..4 {
        read_changed(whole(which), 20, 4 + which as u64, |bytes| {
            write(which, bytes);
            read()
        });
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, whole(which)).expect("memory");
        // A byte of gzip stands for a thousand at most.
        read_changed(&packed.finish().expect("memory"), 3_000, 8 + which as u64, |bytes| {
            write(which, bytes);
            read()
        });
        write(which, whole(which));
    }
}

/// Many changed copies of a file of data, which has a name in a folder of its own.
#[cfg(feature = "formats")]
fn read_changed_data(name: &str, bytes: &[u8], is_the_file: bool, times: usize, seed: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
    let named = if is_the_file { path.clone() } else { folder.path().to_owned() };
    let request = Request::new(Folders { named: Some(named), cache: None });
    read_changed(bytes, times, seed, |bytes| {
        fs::write(&path, bytes).expect("it is written");
        load(&request, &mut |_| ()).is_ok_and(|dataset| {
            dataset.check().expect("what is read is whole");
            true
        })
    });
}

#[cfg(feature = "formats")]
#[test]
fn a_changed_npz_file_is_read_or_refused() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sets/keras.npz");
    read_changed_data("set.npz", &fs::read(file).expect("a file of the repository"), true, 1_000, 40);
}

#[cfg(feature = "formats")]
#[test]
fn a_changed_csv_file_is_read_or_refused() {
    let lines: String = (0..30).map(|image| format!("{},{image},2,3,255\n", image % 3)).collect();
    read_changed_data("set.csv", format!("label,a,b,c,d\n{lines}").as_bytes(), true, 100, 41);
}

#[cfg(feature = "formats")]
#[test]
fn a_changed_file_of_cifar_is_read_or_refused() {
    let records: Vec<u8> = (0..20).flat_map(|image| [vec![image % 10], vec![image; 3_072]].concat()).collect();
    read_changed_data("data_batch_1.bin", &records, false, 100, 42);
}

#[test]
fn changed_layers_are_a_model_with_the_same_text_or_an_error() {
    let text = "conv 12x5 same stride 2, norm, leaky 0.1, residual(conv 12x3 same, relu), avg 2, flatten, dropout 0.2, dense 10";
    let taken = read_changed(text.as_bytes(), 1_000, 20, |bytes| {
        let Ok(model) = String::from_utf8_lossy(bytes).parse::<Model>() else { return false };
        let again: Model = model.to_string().parse().expect("a model's text is a model");
        assert_eq!(again.to_string(), model.to_string());
        true
    });
    assert!(taken > TRIES / 100, "only {taken} were models");
}

#[test]
fn changed_changes_of_images_are_the_same_again_or_an_error() {
    let text = "rotate 10, zoom 0.15, stretch 0.28, shear 10, shift 1.5, pen 1, blur 1";
    read_changed(text.as_bytes(), 1_000, 21, |bytes| {
        let Ok(augment) = String::from_utf8_lossy(bytes).parse::<Augment>() else { return false };
        assert_eq!(augment.to_string().parse::<Augment>().expect("its text is one"), augment);
        true
    });
}

/// Many changed copies of a file of another program.
#[cfg(feature = "exchange")]
fn read_changed_import(file: &str, times: usize, seed: u64) {
    use gpu_digits::import::{self, Options};

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/foreign");
    let bytes = fs::read(folder.join(file)).expect("a file of the repository");
    let model = file.ends_with(".pt").then(|| "conv 4x3, relu, pool 2, flatten, dense 10".to_owned());
    let image = "8x11".parse().ok().filter(|_| model.is_some());
    let options = Options { model, image, ..Options::default() };
    read_changed(&bytes, times, seed, |bytes| match import::read_bytes(bytes, Some(&folder), &options) {
        Ok(imported) => {
            let shapes = imported.model.parameters().into_iter().map(|(_, shape)| shape);
            assert!(shapes.eq(imported.parameters.iter().map(|tensor| tensor.shape.clone())));
            true
        }
        Err(_) => false,
    });
}

#[cfg(feature = "exchange")]
#[test]
fn changed_files_of_pytorch_are_read_or_refused() {
    read_changed_import("torch_sequential.pt", 30, 30);
    read_changed_import("torch_checkpoint.pt", 30, 31);
}

#[cfg(feature = "exchange")]
#[test]
fn changed_files_of_onnx_are_read_or_refused() {
    read_changed_import("onnx_old_norm.onnx", 60, 32);
    read_changed_import("onnx_viewed.onnx", 60, 33);
}

#[cfg(feature = "exchange")]
#[test]
fn changed_files_of_keras_are_read_or_refused() {
    read_changed_import("keras_mlp.keras", 120, 34);
    read_changed_import("keras_mlp.h5", 120, 35);
}
