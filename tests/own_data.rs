//! Data of your own: each form that a set may have, and what is said of those that cannot be used.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use gpu_digits::data::{DataRecord, Dataset, Folders, ImageShape, MNIST_NAMES, Request, Share, from_idx_files, load};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

fn request(path: &Path) -> Request {
    Request::new(Folders { named: Some(path.to_owned()), cache: None })
}

fn open(path: &Path) -> Result<Dataset> {
    load(&request(path), &mut |_| ())
}

#[track_caller]
fn assert_refused(path: &Path, parts: &[&str]) {
    let error = format!("{:#}", open(path).unwrap_err());
    for part in parts.iter().chain(&["cannot use the data in "]) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

fn shape(height: usize, width: usize, channels: usize) -> ImageShape {
    ImageShape { height, width, channels }
}

/// An IDX file of a type, with the sizes of its axes.
fn idx(kind: u8, axes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let sizes = axes.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, kind, axes.len() as u8].into_iter().chain(sizes).chain(bytes.iter().copied()).collect()
}

/// Writes the four files of a set, with so many training and test images of some axes.
fn write_idx(folder: &Path, names: [&str; 4], axes: &[u32], labels: [&[u8]; 2]) {
    for (set, labels) in labels.into_iter().enumerate() {
        let count = labels.len() as u32;
        let length = count * axes.iter().product::<u32>();
        let pixels: Vec<u8> = (0..length).map(|pixel| (7 * pixel + set as u32) as u8).collect();
        fs::write(folder.join(names[2 * set]), idx(8, &[&[count], axes].concat(), &pixels)).unwrap();
        fs::write(folder.join(names[2 * set + 1]), idx(8, &[count], labels)).unwrap();
    }
}

/// The files of a folder in memory, the last first.
fn in_memory(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let file = |name: &str| (name.to_owned(), fs::read(folder.join(name)).unwrap());
    MNIST_NAMES.iter().rev().map(|name| file(name)).collect()
}

#[test]
fn idx_files_in_memory_are_the_set_of_the_same_files_in_a_folder() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), MNIST_NAMES, &[8, 6, 3], [&[0, 1, 2, 3], &[3, 0]]);
    let (from_folder, from_memory) = (open(folder.path()).unwrap(), from_idx_files(in_memory(folder.path())).unwrap());
    assert_eq!((from_memory.sha256, from_memory.name.as_str()), (from_folder.sha256, "IDX files in memory"));
    assert_eq!((from_memory.train, from_memory.test), (from_folder.train, from_folder.test));
    assert_eq!(from_memory.task, from_folder.task);
}

#[test]
fn idx_files_in_memory_that_are_no_set_are_refused() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), MNIST_NAMES, &[28, 28], [&[0, 1], &[1]]);
    let files = in_memory(folder.path());
    let error = |files: Vec<(String, Vec<u8>)>| format!("{:#}", from_idx_files(files).unwrap_err());
    assert!(error(files[1..].to_vec()).contains("t10k-labels"), "{}", error(files[1..].to_vec()));
    assert!(from_idx_files(vec![]).is_err());
    let twice = [files.clone(), files[..1].to_vec()].concat();
    assert!(from_idx_files(twice).is_err());
    let mut cut = files;
    cut[0].1.pop();
    assert!(from_idx_files(cut).is_err());
}

#[test]
fn a_record_to_give_away_has_no_absolute_path() {
    let folder = TempDir::new().unwrap();
    let digits = folder.path().join("my digits");
    fs::create_dir(&digits).unwrap();
    write_idx(&digits, MNIST_NAMES, &[8, 6, 3], [&[0, 1, 2, 3], &[3, 0]]);
    let record = DataRecord::from(&open(&digits).unwrap());
    assert!(record.name.contains(folder.path().to_str().unwrap()));
    let given = record.without_paths();
    assert_eq!(
        (given.name.as_str(), given.origin.as_str(), &given.folder),
        ("IDX files in my digits", "my digits", &None)
    );
    assert_eq!(given.sha256, record.sha256);
    let relative = DataRecord { origin: "../digits".to_owned(), ..given };
    assert_eq!(relative.without_paths().origin, "../digits");
}

#[test]
fn idx_files_of_any_images_are_read_and_normalised_by_their_own_pixels() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), MNIST_NAMES, &[8, 6, 3], [&[0, 1, 2, 3], &[3, 0]]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!((dataset.task.image(), dataset.task.classes()), (shape(8, 6, 3), 4));
    assert_eq!((dataset.train.labels.as_slice(), dataset.test.labels.as_slice()), (&[0, 1, 2, 3][..], &[3, 0][..]));
    assert!(dataset.name.starts_with("IDX files in ") && !dataset.held_out);
    let [mean, deviation] = dataset.task.pixels();
    let pixels: Vec<f64> = dataset.train.images.iter().map(|&byte| f64::from(byte) / 255.0).collect();
    let wanted = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let square = pixels.iter().map(|pixel| (pixel - wanted).powi(2)).sum::<f64>() / pixels.len() as f64;
    assert!((mean - wanted).abs() < 1e-4 && (deviation - square.sqrt()).abs() < 1e-4);
}

#[test]
fn grey_images_of_28x28_without_names_are_digits() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), MNIST_NAMES, &[28, 28], [&[0, 1], &[1]]);
    assert!(open(folder.path()).unwrap().task.is_of_digits());
    fs::write(folder.path().join("classes.txt"), "on\n\noff\n").unwrap();
    let task = open(folder.path()).unwrap().task;
    assert_eq!((task.class_names().unwrap(), task.is_of_digits()), (&["on".to_owned(), "off".to_owned()][..], false));
    fs::write(folder.path().join("classes.txt"), "on\n").unwrap();
    assert_refused(folder.path(), &["there cannot be 1 classes"]);
}

#[test]
fn sets_of_more_than_256_classes_have_labels_of_two_bytes() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), MNIST_NAMES, &[4, 4], [&[0, 1], &[1]]);
    fs::write(folder.path().join(MNIST_NAMES[1]), idx(0x0B, &[2], &[3, 231, 0, 0])).unwrap();
    let dataset = open(folder.path()).unwrap();
    assert_eq!((dataset.train.labels.as_slice(), dataset.task.classes()), (&[999, 0][..], 1_000));
}

#[test]
fn images_of_two_shapes_are_refused() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), MNIST_NAMES, &[4, 4], [&[0, 1], &[1]]);
    fs::write(folder.path().join(MNIST_NAMES[2]), idx(8, &[1, 4, 5], &[0; 20])).unwrap();
    assert_refused(folder.path(), &["its training images are 4x4x1, but its test images 4x5x1"]);
}

fn emnist_names(split: &str) -> [String; 4] {
    ["train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1"]
        .map(|name| format!("emnist-{split}-{name}-ubyte"))
}

fn write_emnist(folder: &Path, split: &str, labels: [&[u8]; 2]) {
    write_idx(folder, emnist_names(split).each_ref().map(String::as_str), &[28, 28], labels);
}

#[test]
fn emnist_is_put_upright_and_its_classes_are_characters() {
    let folder = TempDir::new().unwrap();
    write_emnist(folder.path(), "balanced", [&[0, 46, 36], &[10]]);
    let dataset = open(folder.path()).unwrap();
    // In the file the byte 3 of the first image is in row 0 and column 3.
    assert_eq!(dataset.train.images[3 * 28], 21);
    let names: Vec<_> = [0, 46, 36, 10].map(|class| dataset.task.class_name(class)).into();
    assert_eq!((names.concat().as_str(), dataset.task.classes()), ("0taA", 47));
}

#[test]
fn the_letters_of_emnist_are_counted_from_0() {
    let folder = TempDir::new().unwrap();
    write_emnist(folder.path(), "letters", [&[1, 26], &[2]]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!((dataset.train.labels.as_slice(), dataset.task.classes()), (&[0, 25][..], 26));
    assert_eq!((dataset.task.class_name(0), dataset.task.class_name(25)), ("A".into(), "Z".into()));
}

#[test]
fn a_mapping_beside_the_files_of_emnist_names_the_classes() {
    let folder = TempDir::new().unwrap();
    write_emnist(folder.path(), "bymerge", [&[0, 1], &[1]]);
    fs::write(folder.path().join("emnist-bymerge-mapping.txt"), "0 48\n1 97\n").unwrap();
    assert_eq!(open(folder.path()).unwrap().task.class_names().unwrap(), ["0", "a"]);
    fs::write(folder.path().join("emnist-bymerge-mapping.txt"), "0 48\nnonsense\n").unwrap();
    assert_refused(folder.path(), &["emnist-bymerge-mapping.txt: a line is no number"]);
}

#[test]
fn of_several_sets_in_a_folder_one_is_named() {
    let folder = TempDir::new().unwrap();
    for split in ["balanced", "digits"] {
        write_emnist(folder.path(), split, [&[0, 1], &[1]]);
    }
    assert_refused(folder.path(), &["it holds 2 sets; name one: --data ", "emnist-balanced, or ", "emnist-digits"]);
    let path = folder.path().join("emnist-digits");
    let dataset = open(&path).unwrap();
    assert_eq!((dataset.task.classes(), dataset.task.class_names()), (10, None));
    let again = DataRecord::from(&dataset).load(&Request::new(Folders::default()), &mut |_| ()).unwrap();
    assert_eq!(again.sha256, dataset.sha256);
    assert_refused(&folder.path().join("emnist-letters"), &["there is no such file or folder"]);
}

/// A record of CIFAR: labels, and planes of which each is one byte throughout.
fn cifar(labels: &[u8], planes: [u8; 3]) -> Vec<u8> {
    labels.iter().copied().chain(planes.into_iter().flat_map(|byte| [byte; 1_024])).collect()
}

#[test]
fn the_batches_of_cifar_10_are_one_set() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, records: &[Vec<u8>]| fs::write(folder.path().join(name), records.concat()).unwrap();
    write("data_batch_1.bin", &[cifar(&[6], [1, 2, 3]), cifar(&[9], [4, 5, 6])]);
    write("data_batch_2.bin", &[cifar(&[0], [7, 8, 9])]);
    write("test_batch.bin", &[cifar(&[3], [9, 9, 9])]);
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    fs::write(folder.path().join("batches.meta.txt"), names).unwrap();
    let dataset = open(folder.path()).unwrap();
    assert_eq!(dataset.train.labels, [6, 9, 0]);
    assert_eq!(dataset.train.images[3_072..3_078], [4, 5, 6, 4, 5, 6], "channels last");
    assert_eq!((dataset.task.class_name(6), dataset.task.image()), ("frog".into(), shape(32, 32, 3)));
    write("data_batch_2.bin", &[cifar(&[10], [0; 3])]);
    assert_refused(folder.path(), &["data_batch_2.bin: record 0 has the label 10"]);
    write("data_batch_2.bin", &[vec![0; 100]]);
    assert_refused(folder.path(), &["data_batch_2.bin has 100 bytes, which is no number of records of 3073"]);
}

#[test]
fn the_fine_labels_of_cifar_100_are_taken() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("train.bin"), [cifar(&[19, 99], [1; 3]), cifar(&[0, 4], [2; 3])].concat()).unwrap();
    fs::write(folder.path().join("test.bin"), cifar(&[1, 7], [3; 3])).unwrap();
    let dataset = open(folder.path()).unwrap();
    assert_eq!((dataset.train.labels.as_slice(), dataset.task.classes()), (&[99, 4][..], 100));
}

/// A line for each image of 2x2 pixels.
fn lines(labels: &[usize]) -> String {
    labels.iter().enumerate().map(|(image, label)| format!("{label},{image},1,2,255\n")).collect()
}

#[test]
fn csv_files_as_on_kaggle_give_a_test_set_of_their_own() {
    let folder = TempDir::new().unwrap();
    let header = "label,pixel0,pixel1,pixel2,pixel3\n";
    let labels: Vec<usize> = (0..40).map(|image| image % 4).collect();
    fs::write(folder.path().join("train.csv"), header.to_owned() + &lines(&labels)).unwrap();
    fs::write(folder.path().join("test.csv"), "pixel0,pixel1,pixel2,pixel3\n0,0,0,0\n").unwrap();
    fs::write(folder.path().join("sample_submission.csv"), "ImageId,Label\n1,0\n").unwrap();
    let mut said = String::new();
    let dataset = load(&request(folder.path()), &mut |line| said.push_str(line)).unwrap();
    assert!(said.contains("test.csv has no labels and is left out"), "{said}");
    assert_eq!((dataset.train.len(), dataset.test.len(), dataset.held_out), (34, 6, true));
    assert_eq!(dataset.task.image(), shape(2, 2, 1));
    fs::write(folder.path().join("test.csv"), header.to_owned() + &lines(&[3, 2])).unwrap();
    let dataset = open(folder.path()).unwrap();
    assert_eq!((dataset.train.len(), dataset.test.labels, dataset.held_out), (40, vec![3, 2], false));
}

#[test]
fn a_csv_file_needs_no_header_and_its_label_may_be_anywhere() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("digits.csv");
    fs::write(&file, lines(&[0, 1, 1, 0])).unwrap();
    assert_eq!(open(&file).unwrap().task.classes(), 2);
    fs::write(&file, "p0,p1,p2,p3,Class\n1.0,2,3,4, 1\n5,6,7,8,0\n").unwrap();
    let dataset = load(&Request { test: Some(Share::Images(1)), ..request(&file) }, &mut |_| ()).unwrap();
    let mut images = [dataset.train.images, dataset.test.images];
    images.sort();
    assert_eq!(images, [[1, 2, 3, 4], [5, 6, 7, 8]]);
}

#[test]
fn a_csv_file_that_cannot_be_read_names_line_and_column() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("digits.csv");
    for (text, part) in [
        ("label,a,b,c,d\n1,2,3,256,5\n", "line 2, column 4: found `256`, wanted a pixel from 0 to 255"),
        ("label,a,b,c,d\n1000,2,3,4,5\n", "line 2, column 1: found `1000`, wanted a label from 0 to 999"),
        ("1,2,3,4,5\n1,2,x,4,5\n", "line 2, column 3: found `x`"),
        ("1,2,3,4,5\n1,2\n", "is no table"),
        ("1,2,3\n1,2,3\n", "has 2 columns of pixels, which are no square image"),
        ("1\n", "has 0 columns of pixels"),
        ("label,a\n", "holds no image"),
        ("", "holds no image"),
        ("a,b,c,d\n1,2,3,4\n", "has no column of labels; name it `label`"),
    ] {
        fs::write(&file, text).unwrap();
        assert_refused(&file, &[part]);
    }
}

/// A file that the script beside it wrote with NumPy.
fn numpy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sets").join(name)
}

/// The bytes of an image of these files.
fn numpy_image(image: usize, length: usize) -> Vec<u8> {
    (0..length).map(|pixel| (image + 10 * pixel) as u8).collect()
}

#[test]
fn an_npz_file_as_keras_ships_it_is_read() {
    let dataset = open(&numpy("keras.npz")).unwrap();
    assert_eq!((dataset.task.image(), dataset.task.classes(), dataset.held_out), (shape(5, 4, 1), 3, false));
    assert_eq!(dataset.train.images[3 * 20..4 * 20], numpy_image(3, 20));
    assert_eq!((dataset.train.labels.len(), dataset.test.labels), (12, vec![0, 1, 2, 0, 1, 2]));
}

#[test]
fn an_npz_file_of_medmnist_trains_on_its_validation_images_too() {
    let mut said = String::new();
    let dataset = load(&request(&numpy("medmnist.npz")), &mut |line| said.push_str(line)).unwrap();
    assert!(said.contains("its 4 validation images are added to the training images"), "{said}");
    assert_eq!((dataset.train.len(), dataset.test.len(), dataset.task.image()), (12, 4, shape(4, 4, 3)));
    assert_eq!(dataset.train.images[11 * 48..], numpy_image(11, 48));
}

#[test]
fn an_npz_file_may_have_planes_and_large_labels() {
    let request = Request { test: Some(Share::Images(3)), ..request(&numpy("planes.npz")) };
    let dataset = load(&request, &mut |_| ()).unwrap();
    assert_eq!((dataset.task.image(), dataset.task.classes()), (shape(4, 5, 3), 271));
    let first = if dataset.train.labels[0] == 0 { &dataset.train } else { &dataset.test };
    let planes = numpy_image(0, 60);
    assert_eq!(first.images[..6], [planes[0], planes[20], planes[40], planes[1], planes[21], planes[41]]);
}

#[test]
fn npz_files_that_cannot_be_used_say_why() {
    assert_refused(&numpy("floats.npz"), &["`x_train` is not of bytes (uint8)"]);
    assert_refused(
        &numpy("columns.npz"),
        &["`x_train`: it lies column by column; write it with numpy.ascontiguousarray"],
    );
    assert_refused(&numpy("negative.npz"), &["`y_train` holds a label that is not from 0 to 999"]);
    assert_refused(&numpy("other.npz"), &["holds the arrays weights.npy; name them x_train"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cut.npz");
    let whole = fs::read(numpy("keras.npz")).unwrap();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        assert_refused(&file, &["is no NPZ file, or is damaged"]);
    }
}

/// Writes pictures of one grey into a folder for each class.
fn write_greys(folder: &Path, classes: &[(&str, usize)], side: u32) {
    for (number, (class, count)) in classes.iter().enumerate() {
        fs::create_dir_all(folder.join(class)).unwrap();
        for image in 0..*count {
            let picture = GrayImage::from_pixel(side, side, Luma([(40 * number + image) as u8]));
            picture.save(folder.join(class).join(format!("{image:03}.png"))).unwrap();
        }
    }
}

#[test]
fn a_folder_of_pictures_is_split_in_proportion_and_always_alike() {
    let folder = TempDir::new().unwrap();
    write_greys(folder.path(), &[("cat", 20), ("dog", 40)], 6);
    let dataset = open(folder.path()).unwrap();
    let of = |labels: &[u16], class: u16| labels.iter().filter(|&&label| label == class).count();
    assert_eq!((dataset.train.len(), of(&dataset.test.labels, 0), of(&dataset.test.labels, 1)), (51, 3, 6));
    assert_eq!(dataset.task.class_names().unwrap(), ["cat", "dog"]);
    assert_eq!((dataset.task.image(), dataset.held_out), (shape(6, 6, 1), true));
    assert_eq!(open(folder.path()).unwrap().sha256, dataset.sha256);
    let half = load(&Request { test: Some(Share::Part(0.5)), ..request(folder.path()) }, &mut |_| ()).unwrap();
    assert_eq!((half.test.len(), of(&half.test.labels, 0)), (30, 10));
    let again = DataRecord::from(&half).load(&Request::new(Folders::default()), &mut |_| ()).unwrap();
    assert_eq!((again.sha256, again.task), (half.sha256, half.task));
    let all = load(&Request { test: Some(Share::Part(1.0)), ..request(folder.path()) }, &mut |_| ()).unwrap();
    assert_eq!((all.train.len(), all.test.len()), (0, 60));
    let none = load(&Request { test: Some(Share::Images(0)), ..request(folder.path()) }, &mut |_| ()).unwrap_err();
    assert!(format!("{none:#}").contains("--test 0 of 60 images is none"), "{none:#}");
    let many = load(&Request { test: Some(Share::Images(61)), ..request(folder.path()) }, &mut |_| ()).unwrap_err();
    assert!(format!("{many:#}").contains("--test 61 is more than the 60 images"), "{many:#}");
}

#[test]
fn folders_that_are_numbers_are_classes_in_their_order() {
    let folder = TempDir::new().unwrap();
    let names: Vec<String> = (0..11).map(|class| class.to_string()).collect();
    let classes: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 3)).collect();
    write_greys(folder.path(), &classes, 4);
    let dataset = open(folder.path()).unwrap();
    assert_eq!((dataset.task.class_names(), dataset.task.classes()), (None, 11));
    let last = dataset.train.labels.iter().position(|&label| label == 10).unwrap();
    assert!(dataset.train.images[16 * last] >= 400_usize as u8, "the folder 10 is the last class");
}

#[test]
fn pictures_of_several_sizes_and_colours_become_images_of_one_shape() {
    let folder = TempDir::new().unwrap();
    write_greys(folder.path(), &[("grey", 5)], 40);
    fs::create_dir(folder.path().join("red")).unwrap();
    let red = |name: &str| folder.path().join("red").join(name);
    RgbImage::from_pixel(200, 100, Rgb([250, 0, 0])).save(red("a.jpg")).unwrap();
    RgbImage::from_pixel(30, 30, Rgb([250, 0, 0])).save(red("b.bmp")).unwrap();
    let clear = RgbaImage::from_pixel(30, 30, Rgba([250, 0, 0, 0]));
    DynamicImage::from(clear).save(red("clear.png")).unwrap();
    fs::write(red("notes.txt"), "not a picture").unwrap();
    let mut said = String::new();
    let test = Some(Share::Part(1.0));
    let dataset = load(&Request { test, ..request(folder.path()) }, &mut |line| said.push_str(line)).unwrap();
    assert!(said.contains("the pictures have several sizes; each is scaled to 40x40"), "{said}");
    assert!(said.contains("1 files in these folders are no pictures"), "{said}");
    assert_eq!(dataset.task.image(), shape(40, 40, 3));
    let bytes = dataset.task.image().bytes();
    let first = |image: usize| &dataset.test.images[image * bytes..][..3];
    assert_eq!((first(0), first(6), first(7)), (&[0, 0, 0][..], &[250, 0, 0][..], &[255, 255, 255][..]));
    let image = Some("10x20x1".parse().unwrap());
    let dataset = load(&Request { test, image, ..request(folder.path()) }, &mut |_| ()).unwrap();
    assert_eq!((dataset.task.image(), dataset.test.images.len()), (shape(10, 20, 1), 8 * 200));
}

#[test]
fn folders_of_training_and_test_pictures_are_the_two_sets() {
    let folder = TempDir::new().unwrap();
    for (part, count) in [("train", 5), ("val", 2), ("test", 3)] {
        write_greys(&folder.path().join(part), &[("cat", count), ("dog", count)], 4);
    }
    let mut said = String::new();
    let dataset = load(&request(folder.path()), &mut |line| said.push_str(line)).unwrap();
    assert!(said.contains("val are added to the training images"), "{said}");
    assert_eq!((dataset.train.len(), dataset.test.len(), dataset.held_out), (14, 6, false));
    let share = load(&Request { test: Some(Share::Part(0.5)), ..request(folder.path()) }, &mut |_| ()).unwrap_err();
    assert!(format!("{share:#}").contains("it has a test set of its own"), "{share:#}");
    write_greys(&folder.path().join("test"), &[("eel", 1)], 4);
    assert_refused(folder.path(), &["its test pictures have a class `eel`, which the training pictures do not have"]);
}

#[test]
fn a_picture_that_cannot_be_read_is_named() {
    let folder = TempDir::new().unwrap();
    write_greys(folder.path(), &[("cat", 3), ("dog", 3)], 4);
    fs::write(folder.path().join("dog").join("broken.png"), b"\x89PNG\r\n\x1a\n....").unwrap();
    assert_refused(folder.path(), &["cannot use the picture ", "broken.png"]);
}

#[test]
fn what_is_no_data_says_what_there_is_to_give() {
    let folder = TempDir::new().unwrap();
    assert_refused(
        folder.path(),
        &["it holds no images that can be read; give a folder of pictures sorted into folders"],
    );
    fs::write(folder.path().join("file.txt"), "").unwrap();
    assert_refused(&folder.path().join("file.txt"), &["it is no file of images; give "]);
    write_greys(folder.path(), &[("cat", 3)], 4);
    assert_refused(folder.path(), &["there cannot be 1 classes"]);
}

#[test]
fn only_pictures_are_scaled() {
    let image = Some("8x8".parse().unwrap());
    let error = load(&Request { image, ..request(&numpy("keras.npz")) }, &mut |_| ()).unwrap_err();
    assert!(format!("{error:#}").contains("its images are 5x4x1, and only pictures can be scaled"), "{error:#}");
}
