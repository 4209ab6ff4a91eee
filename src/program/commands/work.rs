//! The cases and locksteps that the words of `verify` and `bench` name.

use std::cmp::Reverse;
use std::collections::HashSet;

use anyhow::{Result, bail, ensure};

use crate::layers::every_op;
use crate::names::did_you_mean;
use crate::ops::Case;
use crate::program::names;
use crate::verify::{Lockstep, Subject, cases};

/// The selected checks.
pub(super) struct Work {
    pub(super) ops: Vec<(&'static str, Vec<Case>)>,
    pub(super) locksteps: Vec<Lockstep>,
}

impl Work {
    /// Selects everything, or what the words name: ops, labels as a failure prints them, `lockstep`, or patterns of
    /// these. The sizes are those of the user's model if one is given, otherwise awkward sizes and those of the shipped
    /// models.
    pub(super) fn select(words: &[String], subject: Option<&Subject>) -> Result<Self> {
        // A label names a variant after a dot; a case is checked in all of its variants.
        let words: Vec<String> = words.iter().map(|word| without_variant(word)).collect();
        let mut used = HashSet::new();
        let mut wanted = |name: &str, label: &str| {
            let matching = words.iter().filter(|word| names::matches(word, name) || names::matches(word, label));
            let count = matching.map(|word| used.insert(word.clone())).count();
            words.is_empty() || count > 0
        };
        let mut ops = Vec::new();
        for entry in every_op() {
            let mut cases = subject.map_or_else(|| cases(entry.name), |subject| subject.cases(entry.name));
            cases.retain(|case| wanted(entry.name, &case.label()));
            if !cases.is_empty() {
                ops.push((entry.name, cases));
            }
        }
        let subjects = subject.map_or_else(|| Subject::shipped(), std::slice::from_ref);
        let mut locksteps = subjects.iter().map(Subject::locksteps).collect::<Result<Vec<_>>>()?.concat();
        locksteps.retain(|lockstep| wanted(lockstep.op, &lockstep.label));
        // Each kind is a line of the table.
        locksteps.sort_by_key(|lockstep| Reverse(lockstep.op));
        if let Some(word) = words.iter().find(|word| !used.contains(*word)) {
            let is_known = |op: &str| subject.is_none_or(|subject| !subject.cases(op).is_empty());
            let ops = every_op().map(|entry| entry.name).filter(|op| is_known(op));
            let known: Vec<&str> = ops.chain(["lockstep", "large_weights"]).collect();
            let meant = beginning_with(word, &known)
                .unwrap_or_else(|| did_you_mean(word.split(':').next().unwrap_or(word), known.iter().copied()));
            let of = if subject.is_some() { " of this model" } else { "" };
            bail!(
                "there is no op or case `{word}`{of}{meant}\nops are\n{}\n`*` stands for any letters",
                names::listed(&known)
            );
        }
        Ok(Self { ops, locksteps })
    }

    /// The cases of all ops.
    ///
    /// # Errors
    /// If the words select locksteps.
    pub(super) fn cases(self) -> Result<Vec<Case>> {
        ensure!(
            self.locksteps.is_empty(),
            "cannot time `{}`: it checks whole steps and is not a kernel; `gpu-digits verify` runs it",
            self.locksteps[0].op
        );
        Ok(self.ops.into_iter().flat_map(|(_, cases)| cases).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.ops.iter().map(|(_, cases)| cases.len()).sum::<usize>() + self.locksteps.len()
    }
}

/// The ops that begin with a word, such as `relu`, and the pattern that selects them.
fn beginning_with(word: &str, known: &[&str]) -> Option<String> {
    let found: Vec<&str> = known.iter().filter(|op| op.starts_with(&format!("{word}_"))).copied().collect();
    (!found.is_empty()).then(|| format!("; use '{word}*' for `{}`", found.join("`, `")))
}

fn without_variant(word: &str) -> String {
    match word.split_once(':') {
        Some((file, sizes)) => format!("{}:{sizes}", file.split('.').next().unwrap_or(file)),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn ops(selected: &[&str]) -> Vec<&'static str> {
        Work::select(&words(selected), None).unwrap().ops.into_iter().map(|(op, _)| op).collect()
    }

    fn error(selected: &str) -> String {
        Work::select(&words(&[selected]), None).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn ops_are_selected_by_name_label_and_pattern() {
        assert_eq!(ops(&["conv2d_backward*t"]), ["conv2d_backward_input", "conv2d_backward_weight"]);
        assert_eq!(ops(&["relu_forward.quad:length=64,negative_slope=0"]), ["relu_forward"]);
        assert_eq!(ops(&["sum_*:length=65,negative_slope=1", "sum_*"]).len(), 4);
        assert!(ops(&["lock*"]).is_empty());
        assert!(ops(&[]).len() == every_op().count());
    }

    #[test]
    fn a_misspelt_op_is_answered_with_the_nearest() {
        let error = error("conv2d_foward");
        assert!(error.starts_with("there is no op or case `conv2d_foward`; did you mean `conv2d_forward`?"), "{error}");
        let error = self::error("relu");
        assert!(
            error.contains("no op or case `relu`; use 'relu*' for `relu_forward`, `relu_backward`, `relu_forward_f16`"),
            "{error}"
        );
        assert!(self::error("zzz*").contains("ops are\n  batch_gather, "));
    }

    #[test]
    fn what_a_model_lacks_is_answered_with_the_ops_that_it_has() {
        let subject = Subject::new("flatten, dense 10").unwrap();
        let error = Work::select(&words(&["conv2d_forward"]), Some(&subject)).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.starts_with("there is no op or case `conv2d_forward` of this model\nops are\n"), "{error}");
        assert!(error.contains("dense_forward,") && !error.contains("max_pool"), "{error}");
    }

    #[test]
    fn a_users_model_is_checked_alone() {
        let subject = Subject::new("conv 6x3, relu, pool 2, flatten, dense 10").unwrap();
        let work = Work::select(&[], Some(&subject)).unwrap();
        assert!(work.ops.iter().any(|(op, _)| *op == "conv_relu_pool_forward"));
        assert!(!work.ops.iter().any(|(op, _)| *op == "matrix_chain"));
        assert_eq!(work.locksteps.len(), 5);
        assert_eq!(Work::select(&words(&["lockstep"]), Some(&subject)).unwrap().locksteps.len(), 3);
    }
}
