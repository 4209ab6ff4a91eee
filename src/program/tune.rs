//! The tuner finds the fastest variant of each op on an adapter, and saves its choices in a file. Beside them lie the
//! trials that tell whether a software adapter or the CPU trains a model faster.
//!
//! A candidate is verified before it is timed; a wrong one is never chosen. A file is valid for an adapter, its
//! driver's version and this crate's version; other files are ignored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bench::{Effort, Subject};
use crate::files::write_atomically;
use crate::gpu::{AdapterInfo, Gpu};
use crate::json;
use crate::op::Variant;
use crate::ops::Case;
use crate::program::files::Lock;
use crate::trial::Trial;

/// The version of the file's format.
const SCHEMA: u32 = 1;

/// A candidate gets no more samples if its first one takes this many times as long as the fastest.
const HOPELESS: f64 = 1.5;

/// How much faster than the op's first variant another one must be, so that noise does not decide.
const MARGIN: f64 = 0.03;

/// The choices for one adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    schema: u32,
    /// The version and the commit of this crate, whose shaders were timed.
    version: String,
    /// The adapter's identity, its name, and its driver with its version.
    adapter: String,
    /// The choices by the op's label.
    pub choices: BTreeMap<String, TunedVariant>,
    /// Trials of whole steps by the model and its settings.
    #[serde(default)]
    pub trials: BTreeMap<String, Trial>,
}

/// The variants of an op at its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedVariant {
    /// The fastest.
    pub variant: String,
    /// The variants that the adapter can run, with their times, in the order of the op.
    pub tried: Vec<Tried>,
}

/// A tried variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name.
    pub variant: String,
    /// Median seconds of a dispatch; none if the variant is wrong.
    pub seconds: Option<f64>,
    /// Why the variant is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

impl Tuning {
    /// No choices yet.
    pub fn new(info: &AdapterInfo) -> Self {
        let version = concat!(env!("CARGO_PKG_VERSION"), " ", env!("GPU_DIGITS_COMMIT")).to_owned();
        Self { schema: SCHEMA, version, adapter: identity(info), choices: BTreeMap::new(), trials: BTreeMap::new() }
    }

    /// Loads the choices for an adapter from a file. Without a usable file there are none; the reason is given if it is
    /// damaged or belongs to another adapter or version.
    pub fn load(file: &Path, info: &AdapterInfo) -> (Self, Option<String>) {
        let empty = Self::new(info);
        let Ok(text) = fs::read_to_string(file) else { return (empty, None) };
        let ignored =
            |why: String| Some(format!("{} is ignored: {why}; `gpu-digits tune` replaces it", file.display()));
        match json::parse::<Self>(&text) {
            Ok(found) if (found.schema, &found.version, &found.adapter) == (SCHEMA, &empty.version, &empty.adapter) => {
                (found, None)
            }
            Ok(found) => {
                let why = format!("it is for {} and version {}", found.adapter, found.version);
                (empty, ignored(why))
            }
            Err(error) => (empty, ignored(error.to_string())),
        }
    }

    /// Adds a choice to a file, and returns all choices of the file. Trials with other choices no longer count.
    ///
    /// # Errors
    /// If the folder cannot be made or written to.
    pub fn keep(file: &Path, info: &AdapterInfo, label: String, choice: TunedVariant) -> Result<Self> {
        Self::change(file, info, |tuning| {
            tuning.choices.insert(label, choice);
            tuning.trials.clear();
        })
    }

    /// Adds a trial to a file.
    ///
    /// # Errors
    /// If the folder cannot be made or written to.
    pub fn keep_trial(file: &Path, info: &AdapterInfo, label: String, trial: Trial) -> Result<()> {
        Self::change(file, info, |tuning| tuning.trials.extend([(label, trial)])).map(drop)
    }

    /// Reads, changes and writes a file under a lock, so that several processes can do so at once.
    fn change(file: &Path, info: &AdapterInfo, change: impl FnOnce(&mut Self)) -> Result<Self> {
        let folder = file.parent().context("a tuning file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let _lock = Lock::wait(&folder.with_extension("lock"))?;
        let (mut tuning, _) = Self::load(file, info);
        change(&mut tuning);
        write_atomically(file, format!("{}\n", serde_json::to_string_pretty(&tuning)?).as_bytes())?;
        Ok(tuning)
    }

    /// The GPU with these choices applied.
    pub fn apply(&self, gpu: Gpu) -> Gpu {
        gpu.preferring(self.choices.iter().map(|(label, choice)| (label.clone(), choice.variant.clone())).collect())
    }
}

/// The key of the choices: the card, distinct from others of the same name, and its driver.
fn identity(info: &AdapterInfo) -> String {
    format!("{} {} {} {}", info.id, info.name, info.driver, info.driver_version).trim().to_owned()
}

/// The file for an adapter in the user's cache folder; none if the user has no such folder.
pub fn file(info: &AdapterInfo) -> Option<PathBuf> {
    let user = etcetera::choose_base_strategy().ok()?;
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
    let name: String = identity(info).chars().map(plain).collect();
    let folder = etcetera::BaseStrategy::cache_dir(&user).join("gpu-digits").join("tuned");
    Some(folder.join(format!("{name}.json")))
}

/// Finds the fastest correct variant of a case; none if there is no choice.
///
/// # Errors
/// If the device fails during timing.
pub async fn choose(gpu: &Gpu, case: &Case, effort: Effort) -> Result<Option<TunedVariant>> {
    let variants = gpu.runnable(case.as_ref());
    if variants.len() < 2 {
        return Ok(None);
    }
    let mut subjects = Vec::new();
    for variant in &variants {
        subjects.push(match Subject::new(gpu, case, variant, effort).await {
            Ok(mut subject) => {
                subject.sample().await?;
                Ok(subject)
            }
            Err(wrong) => Err(format!("{wrong:#}")),
        });
    }
    let median = |subject: &Subject| subject.timing().median_seconds;
    let fastest = subjects.iter().flatten().map(median).fold(f64::INFINITY, f64::min);
    for _ in 1..effort.samples {
        for subject in subjects.iter_mut().flatten().filter(|subject| median(subject) <= HOPELESS * fastest) {
            subject.sample().await?;
        }
    }
    let candidate = |(variant, subject): (&Variant, &Result<Subject, String>)| Tried {
        variant: variant.name().to_owned(),
        seconds: subject.as_ref().ok().map(median),
        wrong: subject.as_ref().err().cloned(),
    };
    Ok(decide(variants.iter().zip(&subjects).map(candidate).collect()))
}

/// The fastest of some candidates, or the first listed one if another is only slightly faster.
fn decide(candidates: Vec<Tried>) -> Option<TunedVariant> {
    let mut right = candidates.iter().filter_map(|candidate| Some((candidate, candidate.seconds?)));
    let first = right.next()?;
    let (best, _) = right.fold(first, |best, next| if next.1 < best.1 * (1.0 - MARGIN) { next } else { best });
    Some(TunedVariant { variant: best.variant.clone(), tried: candidates })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    fn candidate(variant: &str, seconds: Option<f64>) -> Tried {
        let wrong = seconds.is_none().then(|| "it computes something else".to_owned());
        Tried { variant: variant.to_owned(), seconds, wrong }
    }

    fn chosen(candidates: &[Tried]) -> Option<String> {
        decide(candidates.to_vec()).map(|choice| choice.variant)
    }

    #[test]
    fn what_was_found_comes_back_to_the_bit() {
        let times = crate::json::tests::HARD.into_iter().filter(|seconds| seconds.is_finite());
        let tried = times.map(|seconds| candidate("plain", Some(seconds))).collect();
        crate::json::tests::comes_back(&TunedVariant { variant: "plain".to_owned(), tried });
    }

    #[test]
    fn choices_that_are_kept_at_once_are_all_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tuned").join("card.json");
        let info = AdapterInfo::example("card", AdapterKind::Discrete);
        let keep = |name: String| {
            let choice = decide(vec![candidate("plain", Some(1.0))]).expect("a choice");
            Tuning::keep(&file, &info, name, choice).expect("kept")
        };
        let keep = &keep;
        std::thread::scope(|scope| {
            for process in 0..8 {
                scope.spawn(move || (0..10).for_each(|number| drop(keep(format!("{process} {number}")))));
            }
        });
        assert_eq!(Tuning::load(&file, &info).0.choices.len(), 80);
    }

    #[test]
    fn a_trial_is_kept_until_other_kernels_are_chosen() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tuned").join("card.json");
        let info = AdapterInfo::example("card", AdapterKind::Software);
        let trial = Trial { adapter: 0.1 + 0.2, cpu: 1e-300 };
        Tuning::keep_trial(&file, &info, "convnet".to_owned(), trial).expect("kept");
        assert_eq!(Tuning::load(&file, &info).0.trials.get("convnet"), Some(&trial));
        let newer = AdapterInfo { driver_version: "2".to_owned(), ..info.clone() };
        assert!(Tuning::load(&file, &newer).0.trials.is_empty());
        let choice = decide(vec![candidate("plain", Some(1.0))]).expect("a choice");
        Tuning::keep(&file, &info, "relu".to_owned(), choice).expect("kept");
        assert!(Tuning::load(&file, &info).0.trials.is_empty());
    }

    #[test]
    fn cards_of_one_name_have_files_of_their_own() {
        let first = AdapterInfo::example("card", AdapterKind::Discrete);
        let second = AdapterInfo { id: format!("{}#2", first.id), index: 1, ..first.clone() };
        assert_ne!(file(&first), file(&second));
        // A card's number is not an identity: it changes if another card is added.
        assert_eq!(file(&first), file(&AdapterInfo { index: 5, shares_name: true, ..first.clone() }));
    }

    #[test]
    fn the_fastest_right_variant_is_chosen() {
        let quick = candidate("quick", Some(1.0));
        let slow = candidate("slow", Some(2.0));
        let wrong = candidate("wrong", None);
        assert_eq!(chosen(&[slow.clone(), quick.clone()]).as_deref(), Some("quick"));
        assert_eq!(chosen(&[wrong.clone(), slow.clone(), quick]).as_deref(), Some("quick"));
        // A slightly faster variant does not replace the default.
        assert_eq!(chosen(&[slow, candidate("same", Some(1.99))]).as_deref(), Some("slow"));
        assert_eq!(chosen(&[wrong]), None);
    }
}
