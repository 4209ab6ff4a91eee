//! Finding, downloading and falling back, with small data sets and mirrors on this machine.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use gpu_digits::data::{DataChoice, Dataset, Folders, Request, Source, load};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Unpacked contents of the four files: three training and two test digits.
fn small_set(first_label: u8) -> [Vec<u8>; 4] {
    let images = |count: u8| {
        let header = [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
        header.into_iter().chain((0..usize::from(count) * 784).map(|index| (index * 31) as u8 ^ first_label)).collect()
    };
    let labels = |count: u8| [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain(first_label..first_label + count).collect();
    [images(3), labels(3), images(2), labels(2)]
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_set(folder: &Path, contents: &[Vec<u8>; 4]) {
    for (name, content) in NAMES.iter().zip(contents) {
        fs::write(folder.join(name), content).unwrap();
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Right,
    OtherSet,
    NoGzip,
    NotFound,
    BrokenOff,
    Silence,
}

/// A mirror that gives each request the same kind of answer; lives until the test program ends.
struct Mirror {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Mirror {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/mnist/", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                // A client that hangs up early is one of the cases.
                let _ = respond(stream.unwrap(), answer);
            }
        });
        Self { address, requests }
    }

    /// An address at which nobody answers: systems do not assign port 1 to the other mirrors, which request any port.
    fn dead() -> String {
        "http://127.0.0.1:1/".to_owned()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn respond(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let index = NAMES.iter().position(|name| request.starts_with(&format!("GET /mnist/{name}.gz "))).unwrap();
    let set = if matches!(answer, Answer::OtherSet) { small_set(5) } else { small_set(0) };
    let body = if matches!(answer, Answer::NoGzip) { b"<html>".to_vec() } else { gzip(&set[index]) };
    let status = if matches!(answer, Answer::NotFound) { "404 Not Found" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    match answer {
        Answer::BrokenOff => stream.write_all(&body[..body.len() / 2]),
        Answer::Silence => {
            stream.write_all(&body[..1])?;
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        _ => stream.write_all(&body),
    }
}

/// A request whose MNIST is the small set, with a cache folder of its own and no folder named.
struct Scene {
    folder: TempDir,
    request: Request,
    said: String,
}

impl Scene {
    fn new(choice: DataChoice, mirrors: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut request = Request::new(Folders { named: None, cache: Some(folder.path().join("cache").join("mnist")) });
        request.choice = choice;
        request.source = Source {
            mirrors: mirrors.iter().map(|&mirror| mirror.to_owned()).collect(),
            sha256: small_set(0).each_ref().map(|content| sha256(content)),
            patience: Duration::from_millis(500),
        };
        (request.generated_train, request.generated_test) = (20, 10);
        Self { folder, request, said: String::new() }
    }

    /// Creates a folder, names it to the request as `--data` does, and puts the files in.
    fn name_folder(&mut self, contents: &[Vec<u8>; 4]) -> PathBuf {
        let named = self.folder.path().join("named");
        fs::create_dir(&named).unwrap();
        write_set(&named, contents);
        self.request.folders.named = Some(named.clone());
        named
    }

    fn cache(&self) -> &Path {
        self.request.folders.cache.as_deref().unwrap()
    }

    fn names_in_cache(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.cache()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn load(&mut self) -> Result<Dataset> {
        self.said.clear();
        load(&self.request, &mut |line| {
            self.said.push_str(line);
            self.said.push('\n');
        })
    }

    #[track_caller]
    fn assert_loads_mnist(&mut self) {
        let dataset = self.load().unwrap();
        assert_eq!(dataset.name, "MNIST");
        assert_eq!(dataset.train.labels, [0, 1, 2]);
        assert_eq!(dataset.test.images, small_set(0)[2][16..]);
        assert_eq!(dataset.sha256, sha256(&small_set(0).concat()));
    }

    #[track_caller]
    fn assert_fails(&mut self, parts: &[&str]) {
        let message = format!("{:#}", self.load().unwrap_err());
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[track_caller]
    fn assert_said(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.said.contains(part), "{part:?} is not in {:?}", self.said);
        }
    }
}

#[test]
fn named_folder_is_loaded_without_network() {
    let mut scene = Scene::new(DataChoice::Auto, &[]);
    let named = scene.name_folder(&small_set(0));
    scene.assert_loads_mnist();
    assert_eq!(scene.load().unwrap().origin, named.display().to_string());
}

#[test]
fn packed_files_and_the_dotted_spelling_are_found() {
    let mut scene = Scene::new(DataChoice::Auto, &[]);
    let named = scene.name_folder(&small_set(0));
    fs::rename(named.join(NAMES[0]), named.join("train-images.idx3-ubyte")).unwrap();
    fs::remove_file(named.join(NAMES[1])).unwrap();
    fs::write(named.join("train-labels.idx1-ubyte.gz"), gzip(&small_set(0)[1])).unwrap();
    // What is packed tells the content, not the name.
    fs::rename(named.join(NAMES[2]), named.join(format!("{}.gz", NAMES[2]))).unwrap();
    fs::write(named.join(NAMES[3]), gzip(&small_set(0)[3])).unwrap();
    scene.assert_loads_mnist();
}

#[test]
fn another_set_in_a_named_folder_is_loaded_and_said_so() {
    for choice in [DataChoice::Auto, DataChoice::Mnist] {
        let mut scene = Scene::new(choice, &[]);
        let named = scene.name_folder(&small_set(5));
        let dataset = scene.load().unwrap();
        assert_eq!(dataset.train.labels, [5, 6, 7]);
        assert_eq!(dataset.name, format!("IDX files in {}", named.display()));
        scene.assert_said(&["a data set other than MNIST"]);
    }
}

#[test]
fn named_folder_that_lacks_a_file_is_an_error_although_mnist_is_to_be_had() {
    let mirror = Mirror::start(Answer::Right);
    let mut scene = Scene::new(DataChoice::Auto, &[&mirror.address]);
    let named = scene.name_folder(&small_set(0));
    fs::remove_file(named.join(NAMES[2])).unwrap();
    let spellings = ["t10k-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte,", "t10k-images.idx3-ubyte", "--data"];
    scene.assert_fails(&spellings);
    scene.assert_fails(&[&named.display().to_string()]);
    assert_eq!(mirror.requests(), 0);
}

#[test]
fn named_folder_that_is_not_there_is_an_error() {
    let mut scene = Scene::new(DataChoice::Auto, &[]);
    scene.request.folders.named = Some("no/such/folder".into());
    scene.assert_fails(&["cannot use the data in no/such/folder", "there is no such file or folder", "--data"]);
}

#[test]
fn named_folder_with_a_damaged_file_is_an_error() {
    let mut scene = Scene::new(DataChoice::Auto, &[]);
    let named = scene.name_folder(&small_set(0));
    fs::write(named.join(NAMES[0]), &small_set(0)[0][..100]).unwrap();
    scene.assert_fails(&[NAMES[0], "byte 100", "the end of the file"]);
}

#[test]
fn unequal_counts_of_images_and_labels_are_an_error() {
    let mut scene = Scene::new(DataChoice::Auto, &[]);
    let [train_images, _, test_images, test_labels] = small_set(0);
    scene.name_folder(&[train_images, test_labels.clone(), test_images, test_labels]);
    scene.assert_fails(&["train-images", "train-labels", "found 3 images and 2 labels"]);
}

#[test]
fn download_goes_into_the_cache_and_is_used_again() {
    let mirror = Mirror::start(Answer::Right);
    let mut scene = Scene::new(DataChoice::Mnist, &[&mirror.address]);
    scene.assert_loads_mnist();
    scene.assert_loads_mnist();
    assert_eq!(mirror.requests(), 4);
    let wanted = BTreeSet::from(NAMES.map(|name| format!("{name}.gz")));
    assert_eq!(scene.names_in_cache(), wanted, "no temporary file is left");
}

#[test]
fn only_what_the_cache_lacks_is_downloaded() {
    let mirror = Mirror::start(Answer::Right);
    let mut scene = Scene::new(DataChoice::Auto, &[&mirror.address]);
    fs::create_dir_all(scene.cache()).unwrap();
    fs::write(scene.cache().join(NAMES[1]), &small_set(0)[1]).unwrap();
    scene.assert_loads_mnist();
    assert_eq!(mirror.requests(), 3);
}

#[test]
fn damaged_files_of_the_cache_are_downloaded_again() {
    let mirror = Mirror::start(Answer::Right);
    let mut scene = Scene::new(DataChoice::Auto, &[&mirror.address]);
    fs::create_dir_all(scene.cache()).unwrap();
    write_set(scene.cache(), &small_set(5));
    fs::write(scene.cache().join(format!("{}.gz", NAMES[0])), &gzip(&small_set(0)[0])[..50]).unwrap();
    scene.assert_loads_mnist();
    scene.assert_said(&["damaged file in the cache", "damaged gzip data", "wanted"]);
    scene.assert_loads_mnist();
    assert!(!scene.said.contains("damaged"), "the good file is found first");
}

#[test]
fn next_mirror_is_tried_where_the_first_is_of_no_use() {
    let dead = Mirror::dead();
    let useless = [Answer::OtherSet, Answer::NoGzip, Answer::NotFound, Answer::BrokenOff, Answer::Silence];
    let useless = useless.map(|answer| Mirror::start(answer).address);
    for first in useless.iter().chain([&dead]) {
        let mirror = Mirror::start(Answer::Right);
        let mut scene = Scene::new(DataChoice::Mnist, &[first, &mirror.address]);
        scene.assert_loads_mnist();
        assert_eq!(mirror.requests(), 4);
    }
}

#[test]
fn mirror_that_failed_is_not_asked_for_every_file() {
    let (wrong, right) = (Mirror::start(Answer::NotFound), Mirror::start(Answer::Right));
    let mut scene = Scene::new(DataChoice::Mnist, &[&wrong.address, &right.address]);
    scene.assert_loads_mnist();
    assert_eq!((wrong.requests(), right.requests()), (1, 4));
}

#[test]
fn each_mirror_s_failure_is_in_the_error() {
    let cases = [
        (Answer::OtherSet, "SHA-256 of the unpacked content is"),
        (Answer::NoGzip, "SHA-256 of the unpacked content is"),
        (Answer::NotFound, "404"),
        (Answer::BrokenOff, "the connection ended after"),
        (Answer::Silence, "timeout"),
    ];
    for (answer, wanted) in cases {
        let (mirror, dead) = (Mirror::start(answer), Mirror::dead());
        let mut scene = Scene::new(DataChoice::Mnist, &[&mirror.address, &dead]);
        scene.assert_fails(&[&mirror.address, wanted, &dead, "refused", "--data", "connect to the internet"]);
        assert_eq!(scene.names_in_cache(), BTreeSet::new());
    }
}

#[test]
fn silent_mirrors_do_not_hold_up_the_fall_back() {
    let mirror = Mirror::start(Answer::Silence);
    let mut scene = Scene::new(DataChoice::Auto, &[&mirror.address]);
    let start = Instant::now();
    assert_eq!(scene.load().unwrap().name, "generated digits");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn auto_falls_back_to_generated_digits_and_says_why() {
    let dead = Mirror::dead();
    let mut scene = Scene::new(DataChoice::Auto, &[&dead]);
    let dataset = scene.load().unwrap();
    assert_eq!((dataset.train.len(), dataset.test.len()), (20, 10));
    assert_eq!((dataset.name.as_str(), dataset.origin.as_str()), ("generated digits", "seed 0"));
    let cache = scene.cache().display().to_string();
    scene.assert_said(&["WARNING", "GENERATED DIGITS", "Why", &dead, "refused", "To get MNIST", &cache, "--data"]);
}

#[test]
fn cache_folder_that_cannot_be_written_is_said_before_any_download() {
    let mirror = Mirror::start(Answer::Right);
    let mut scene = Scene::new(DataChoice::Mnist, &[&mirror.address]);
    // A file stands where the folder should be.
    fs::write(scene.folder.path().join("cache"), "").unwrap();
    scene.assert_fails(&["cannot write into the cache folder", &scene.cache().display().to_string()]);
    assert_eq!(mirror.requests(), 0);
}

#[test]
fn user_without_a_cache_folder_gets_an_error_that_tells_what_to_do() {
    let mut scene = Scene::new(DataChoice::Mnist, &[]);
    scene.request.folders.cache = None;
    scene.assert_fails(&["no cache folder", "--data"]);
}

#[test]
fn generated_digits_are_asked_for_at_once() {
    let mirror = Mirror::start(Answer::Right);
    let mut scene = Scene::new(DataChoice::Generated, &[&mirror.address]);
    let dataset = scene.load().unwrap();
    assert_eq!(dataset.name, "generated digits");
    assert_ne!(dataset.train.images[..784 * 10], dataset.test.images, "two streams");
    assert_eq!(dataset.sha256.len(), 64);
    assert_eq!(mirror.requests(), 0);
    assert_eq!(scene.said, "");
}

#[test]
fn no_generated_digits_at_all_is_an_error() {
    let mut scene = Scene::new(DataChoice::Generated, &[]);
    scene.request.generated_test = 0;
    scene.assert_fails(&["cannot generate 20 training and 0 test digits", "at least one"]);
}
