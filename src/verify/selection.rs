//! The cases and locksteps that the words of `verify` and `bench` name.

use std::cmp::Reverse;
use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};

use super::{Lockstep, Subject, cases};
use crate::layers::every_op;
use crate::names::{did_you_mean, listed, matches};
use crate::op::{Operand, Sizes};
use crate::ops::Case;

/// The selected checks.
pub struct Selection {
    /// The cases of each op.
    pub ops: Vec<(&'static str, Vec<Case>)>,
    /// Whole steps.
    pub locksteps: Vec<Lockstep>,
}

/// The most bytes of an operand of a case at sizes of a user's.
const MOST_BYTES: f64 = (1u64 << 30) as f64;

impl Selection {
    /// Selects everything, or what the words name: ops, labels as a failure prints them, `lockstep`, or patterns of
    /// these. The sizes are those of the user's model if one is given, otherwise awkward sizes and those of the shipped
    /// models. A label may have other sizes.
    ///
    /// # Errors
    /// If a word names nothing; the error says what comes near, or which sizes the op has.
    pub fn select(words: &[String], subject: Option<&Subject>) -> Result<Self> {
        // A label names a variant after a dot; a case is checked in all of its variants.
        let words: Vec<String> = words.iter().map(|word| without_variant(word)).collect();
        let mut used = HashSet::new();
        let mut wanted = |name: &str, label: &str| {
            let matching = words.iter().filter(|word| matches(word, name) || matches(word, label));
            let count = matching.map(|word| used.insert(word.clone())).count();
            words.is_empty() || count > 0
        };
        let known = |op: &str| subject.map_or_else(|| cases(op), |subject| subject.cases(op));
        let mut ops = Vec::new();
        for entry in every_op() {
            let mut cases = known(entry.name);
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
        for word in words.iter().filter(|word| !used.contains(*word)) {
            let entry =
                word.split_once(':').and_then(|(op, sizes)| Some((every_op().find(|of| of.name == op)?.name, sizes)));
            if let Some((op, sizes)) = entry {
                let case = resized(word, sizes, &known(op))?;
                match ops.iter_mut().find(|(of, _)| *of == op) {
                    Some((_, cases)) => cases.push(case),
                    None => ops.push((op, vec![case])),
                }
                continue;
            }
            let is_known = |op: &str| subject.is_none_or(|subject| !subject.cases(op).is_empty());
            let ops = every_op().map(|entry| entry.name).filter(|op| is_known(op));
            let known: Vec<&str> = ops.chain(["lockstep", "large_weights"]).collect();
            let meant = beginning_with(word, &known)
                .unwrap_or_else(|| did_you_mean(word.split(':').next().unwrap_or(word), known.iter().copied()));
            let of = if subject.is_some() { " of this model" } else { "" };
            bail!(
                "there is no op or case `{word}`{of}{meant}\nops are\n{}\n`*` stands for any letters",
                listed(&known)
            );
        }
        Ok(Self { ops, locksteps })
    }

    /// The cases of all ops.
    ///
    /// # Errors
    /// If the words select locksteps.
    pub fn cases(self) -> Result<Vec<Case>> {
        ensure!(
            self.locksteps.is_empty(),
            "cannot time `{}`: it checks whole steps and is not a kernel; `gpu-digits verify` runs it",
            self.locksteps[0].op
        );
        Ok(self.ops.into_iter().flat_map(|(_, cases)| cases).collect())
    }

    /// How many cases and locksteps there are.
    pub fn len(&self) -> usize {
        self.ops.iter().map(|(_, cases)| cases.len()).sum::<usize>() + self.locksteps.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A case at the sizes of a label, made of one of the known cases: numbers that are not sizes are those of one of them.
fn resized(label: &str, sizes: &str, known: &[Case]) -> Result<Case> {
    let sizes: Sizes = sizes.parse().with_context(|| format!("cannot read the sizes of `{label}`"))?;
    let found = known.iter().filter_map(|case| case.with_sizes(&sizes)).find(|case| case.label() == label);
    let Some(case) = found else {
        let example = known.first().map(|case| format!("; a case of it is `{}`", case.label())).unwrap_or_default();
        bail!(
            "`{label}` has no case: its sizes do not fit together, or other numbers than sizes are those of no case{example}"
        );
    };
    let bytes = |operand: Operand| operand.shape.extents().iter().map(|&extent| extent as f64).product::<f64>() * 4.0;
    let most = case.operands().into_iter().map(bytes).fold(0.0, f64::max);
    ensure!(most <= MOST_BYTES, "`{label}` needs {:.0} GB for one of its tensors; 1 GB is the most", most / 1e9);
    Ok(case)
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
        Selection::select(&words(selected), None).unwrap().ops.into_iter().map(|(op, _)| op).collect()
    }

    fn error(selected: &str) -> String {
        Selection::select(&words(&[selected]), None).err().map_or_else(String::new, |error| error.to_string())
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
    fn a_label_may_have_sizes_of_ones_own() {
        let label = "dense_forward:batch=23,inputs=41,outputs=9,negative_slope=0";
        let selection = Selection::select(&words(&[label, "relu_forward"]), None).unwrap();
        let own = selection.ops.iter().find(|(op, _)| *op == "dense_forward").unwrap();
        assert_eq!((selection.ops.len(), own.1.len(), own.1[0].label()), (2, 1, label.to_owned()));
        // A variant is named as in a failure.
        assert_eq!(ops(&["relu_forward.quad:length=12345,negative_slope=1"]), ["relu_forward"]);
    }

    #[test]
    fn sizes_that_no_op_has_are_refused() {
        let fits =
            "conv2d_forward:batch=1,in_channels=1,in_height=6,in_width=6,out_channels=1,kernel=5,padding=0,stride=1";
        assert_eq!(ops(&[&format!("{fits},negative_slope=0")]), ["conv2d_forward"]);
        let error = self::error(&format!("{},negative_slope=0", fits.replace("kernel=5", "kernel=7")));
        assert!(error.contains("has no case") && error.contains("a case of it is `conv2d_forward:batch="), "{error}");
        // There is no such slope.
        assert!(self::error(&format!("{fits},negative_slope=0.77")).contains("has no case"));
        assert!(self::error("relu_forward:length").starts_with("cannot read the sizes of `relu_forward:length`"));
        assert!(self::error("relu_forward:length=4000000000,negative_slope=0").contains("needs 16 GB"));
        assert!(self::error("adam_step:parameters=7").contains("has no case"));
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
        let error = Selection::select(&words(&["conv2d_forward"]), Some(&subject)).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.starts_with("there is no op or case `conv2d_forward` of this model\nops are\n"), "{error}");
        assert!(error.contains("dense_forward,") && !error.contains("max_pool"), "{error}");
    }

    #[test]
    fn a_users_model_is_checked_alone() {
        let subject = Subject::new("conv 6x3, relu, pool 2, flatten, dense 10").unwrap();
        let selection = Selection::select(&[], Some(&subject)).unwrap();
        assert!(selection.ops.iter().any(|(op, _)| *op == "conv_relu_pool_forward"));
        assert!(!selection.ops.iter().any(|(op, _)| *op == "matrix_chain"));
        assert_eq!(selection.locksteps.len(), 5);
        assert_eq!(Selection::select(&words(&["lockstep"]), Some(&subject)).unwrap().locksteps.len(), 3);
    }
}
