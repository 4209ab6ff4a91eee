//! The program in a home folder of its own, and what a run of it printed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use crate::common::check;

/// A folder that the program runs in, and that is its user's home.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-digits"));
        command
            .args(words)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("ALL_PROXY", "http://127.0.0.1:1");
        for variable in
            ["XDG_CACHE_HOME", "GPU_DIGITS_DATA", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "no_proxy"]
        {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Run {
        Run::new(words, self.command(words).output().expect("the program runs"))
    }

    /// Runs where no driver of any kind is found.
    pub(crate) fn run_without_drivers(&self, words: &[&str]) -> Run {
        let mut command = self.command(words);
        command.env("VK_DRIVER_FILES", "/nowhere").env("VK_ICD_FILENAMES", "/nowhere");
        command.env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nowhere");
        Run::new(words, command.output().expect("the program runs"))
    }

    /// Trains a small model for a moment on the CPU into the folder `run`, unless `more` says otherwise.
    pub(crate) fn train(&self, more: &[&str]) -> Run {
        self.run(&train_words(more))
    }

    pub(crate) fn json(&self, path: &str) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&fs::read_to_string(self.path(path))?)?)
    }
}

/// The words with which [`Home::train`] trains.
pub(crate) fn train_words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let defaults = [
        ["--device", "cpu"],
        ["--dataset", "generated"],
        ["--generated-images", "300"],
        ["--validation", "40"],
        ["--model", "flatten, dense 10"],
        ["--batch-size", "20"],
        ["--epochs", "2"],
        ["--out", "run"],
    ];
    let defaults = defaults.into_iter().filter(|[option, _]| !more.contains(option)).flatten();
    ["train"].into_iter().chain(defaults).chain(more.iter().copied()).collect()
}

/// What a run of the program printed, and its exit code.
pub(crate) struct Run {
    pub(crate) words: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn new(words: &[&str], output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            words: words.join(" "),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    pub(crate) fn fail<T>(&self, what: impl std::fmt::Display) -> Result<T, Failed> {
        let Self { words, code, stdout, stderr } = self;
        Err(format!("gpu-digits {words}: {what}\nexit code {code:?}\nstdout:\n{stdout}\nstderr:\n{stderr}").into())
    }

    pub(crate) fn exits_with(&self, code: i32) -> Result<&Self, Failed> {
        if self.code == Some(code) { Ok(self) } else { self.fail(format!("should exit with {code}")) }
    }

    pub(crate) fn prints(&self, parts: &[&str]) -> Result<&Self, Failed> {
        match parts.iter().find(|part| !self.stdout.contains(*part)) {
            Some(part) => self.fail(format!("should print `{part}`")),
            None => Ok(self),
        }
    }

    pub(crate) fn says(&self, parts: &[&str]) -> Result<&Self, Failed> {
        match parts.iter().find(|part| !self.stderr.contains(*part)) {
            Some(part) => self.fail(format!("should say `{part}`")),
            None => Ok(self),
        }
    }

    /// An error of usage or environment: exit code 2, nothing on stdout, no panic.
    pub(crate) fn is_refused(&self, parts: &[&str]) -> Result<(), Failed> {
        self.exits_with(2)?.says(parts)?;
        if self.stdout.is_empty() && !self.stderr.contains("panicked") {
            Ok(())
        } else {
            self.fail("should only be refused")
        }
    }

    pub(crate) fn json(&self) -> Result<Value, Failed> {
        self.exits_with(0)?;
        serde_json::from_str(&self.stdout).or_else(|error| self.fail(error))
    }

    /// The word after `weights SHA-256`.
    pub(crate) fn hash(&self) -> Result<String, Failed> {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix("weights SHA-256 "));
        line.map_or_else(|| self.fail("should print the hash of the weights"), |hash| Ok(hash.to_owned()))
    }
}
