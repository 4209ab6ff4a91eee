//! Finds changes beyond the noise between two reports, or between programs measured alternately.
//!
//! All cases are judged together: a comparison of a program with itself reports no change with a probability of 95 %
//! (Student's quantiles with Bonferroni's correction).

use super::disturbance::{Disturbance, FALSE_ALARM};
use super::matching::{Matching, Pair, Scope, match_reports};
use super::report::Report;
use super::statistics::{mean_and_deviation, median, student_limit};

/// The change of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The adapter; empty where there is only one.
    pub adapter: String,
    /// Variant and sizes, the step, or all kernels.
    pub case: String,
    /// The kind of the case.
    pub scope: Scope,
    /// Seconds before and now; of all kernels their sum.
    pub seconds: [f64; 2],
    /// Seconds now over seconds before.
    pub ratio: f64,
    /// The uncertainty of the ratio's logarithm; none if it is unknown because there is a single sample.
    pub uncertainty: Option<f64>,
}

impl Change {
    /// Whether the ratio differs from 1 by more than its uncertainty. The scale is logarithmic, so that twice as slow
    /// and twice as fast are equally large changes.
    pub fn is_real(&self) -> bool {
        self.uncertainty.is_some_and(|uncertainty| self.ratio.ln().abs() > uncertainty)
    }

    /// Whether it is slower by more than this fraction, and by more than its noise.
    pub fn is_slower_by(&self, share: f64) -> bool {
        self.is_real() && self.ratio > 1.0 + share
    }

    /// The smallest slowdown, as a fraction, that exceeds the noise.
    pub fn noise(&self) -> Option<f64> {
        self.uncertainty.map(|uncertainty| uncertainty.exp() - 1.0)
    }

    /// The noise in per cent; of a few samples it may be larger than any number that tells something.
    pub fn noise_in_words(&self) -> String {
        match self.noise() {
            None => "–".to_owned(),
            Some(noise) if noise < 10.0 => format!("{:.0} %", 100.0 * noise),
            Some(_) => "over 1000 %".to_owned(),
        }
    }
}

/// A comparison of two programs or adapters.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The kernels and steps of both reports, the greatest change first.
    pub cases: Vec<Change>,
    /// All kernels of each adapter together, if there are several kernels.
    pub wholes: Vec<Change>,
    /// Cases of the first report only.
    pub missing: Vec<String>,
    /// Cases of the second report only.
    pub added: Vec<String>,
    /// Cases with an impossible time: zero, negative or not a number.
    pub unusable: Vec<String>,
    /// Differences other than the times.
    pub warnings: Vec<String>,
    /// Whether both were measured alternately.
    pub is_in_turn: bool,
}

/// The verdict on a comparison for a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing is slower by more than the threshold.
    Passed,
    /// Something is slower, or cannot be compared.
    Failed(Vec<String>),
    /// The measurements are too noisy for this threshold.
    TooNoisy(String),
}

impl Comparison {
    /// Judges a comparison by a threshold: each case, each step, and all kernels together, because many small losses
    /// add up.
    pub fn judge(&self, share: f64) -> Gate {
        // Print the threshold as given: 2.5 %, not 3 %.
        let percent = (1e4 * share).round() / 100.0;
        let mut failures = Vec::new();
        if !self.missing.is_empty() {
            let (count, verb) = count(&self.missing, "is", "are");
            failures.push(format!("{count} {verb} missing in the second result"));
        }
        if !self.unusable.is_empty() {
            let (count, verb) = count(&self.unusable, "has", "have");
            failures.push(format!("{count} {verb} an impossible time"));
        }
        let slower = self.cases.iter().filter(|change| change.is_slower_by(share)).count();
        if slower > 0 {
            let noun = if slower == 1 { "case is" } else { "cases are" };
            failures.push(format!("{slower} {noun} slower by more than {percent} %"));
        }
        for whole in self.wholes.iter().filter(|whole| whole.is_slower_by(share)) {
            failures.push(format!("{} are slower by {:.1} %", whole.case, 100.0 * (whole.ratio - 1.0)));
        }
        if !failures.is_empty() {
            return Gate::Failed(failures);
        }
        // A lone kernel is the whole.
        let is_step = |change: &&Change| matches!(change.scope, Scope::Step(_));
        let steps = self.cases.iter().filter(|change| self.wholes.is_empty() || is_step(change));
        // A case that is clearly faster is not slower, even if it is noisy.
        let may_be_slower = |change: &&Change| {
            let noise = noise_or_infinite(change);
            noise > share && change.ratio * (1.0 + noise) > 1.0 + share
        };
        let doubtful = self.wholes.iter().chain(steps).filter(may_be_slower);
        let noisiest = doubtful.max_by(|a, b| noise_or_infinite(a).total_cmp(&noise_or_infinite(b)));
        match noisiest.map(|change| (change, change.noise())) {
            Some((change, None)) => Gate::TooNoisy(format!(
                "{}: the noise of a single sample is unknown; measure with --samples 5 or more",
                change.case
            )),
            Some((change, Some(_))) => {
                let way_out = if self.is_in_turn {
                    "measure more --rounds"
                } else {
                    "measure both alternately with `gpu-digits bench compare --run OTHER-BINARY`"
                };
                Gate::TooNoisy(format!(
                    "a change of {percent} % cannot be told from noise in these results: {} may differ by {} without \
                     any change; {way_out}, or allow more",
                    change.case,
                    change.noise_in_words()
                ))
            }
            None => Gate::Passed,
        }
    }
}

fn noise_or_infinite(change: &Change) -> f64 {
    change.noise().unwrap_or(f64::INFINITY)
}

/// The number of cases, and the matching form of the verb.
fn count<'a>(cases: &[String], one: &'a str, many: &'a str) -> (String, &'a str) {
    if cases.len() == 1 { ("1 case".to_owned(), one) } else { (format!("{} cases", cases.len()), many) }
}

/// Compares two reports, measured one after the other.
///
/// What disturbed the machine in one of them and not in the other shows in three ways: in the spread of the samples, in
/// the peaks, and in how far the ratios of the cases lie apart.
pub fn compare(before: &Report, now: &Report) -> Comparison {
    let matching = match_reports(before, now);
    let adapters = adapters(&matching.pairs);
    let mut comparison = Comparison::of(&matching);
    if matching.is_one_measurement() {
        comparison.warnings.push("all times are the same: both results are one measurement".to_owned());
    }
    // Of one measurement all is known.
    let or_known = |uncertainty: Option<f64>| if matching.is_one_measurement() { Some(0.0) } else { uncertainty };
    let tests = Tests::of(&matching.pairs, adapters.len());
    for adapter in adapters {
        let pairs: Vec<&Pair> = matching.pairs.iter().filter(|pair| pair.adapter == adapter).collect();
        let disturbance = Disturbance::of(&pairs);
        for pair in &pairs {
            let uncertainty = disturbance.uncertainty(pair, pair.scope, tests.of_scope(pair.scope));
            comparison.cases.push(change(pair, pair.log_ratio(), or_known(uncertainty)));
        }
        let kernels: Vec<&Pair> = pairs.iter().copied().filter(|pair| pair.scope == Scope::Kernel).collect();
        if kernels.len() > 1 {
            let logs: Vec<f64> = kernels.iter().map(|pair| pair.log_ratio()).collect();
            // A disturbance of the machine affects all of its kernels, so their mean is no more certain than each of
            // them.
            let each: Option<Vec<f64>> =
                kernels.iter().map(|pair| disturbance.uncertainty(pair, Scope::AllKernels, tests.wholes)).collect();
            let uncertainty = or_known(each.map(|each| median(&each)));
            comparison.wholes.push(all_kernels(&kernels, mean_and_deviation(&logs).0, uncertainty));
        }
    }
    comparison.sort();
    comparison
}

/// Compares two programs by rounds. Each round measures both, one right after the other.
///
/// The ratios of the rounds are judged, not the times, so that a slowdown of the machine that is longer than a round
/// cancels out.
pub fn compare_rounds(rounds: &[(Report, Report)]) -> Comparison {
    let matchings: Vec<Matching> = rounds.iter().map(|(before, now)| match_reports(before, now)).collect();
    let Some(first) = matchings.first() else { return Comparison::of(&Matching::default()) };
    let mut comparison = Comparison { is_in_turn: true, ..Comparison::of(first) };
    // A case counts if every round has it.
    let of_rounds = |pair: &Pair| -> Option<Vec<&Pair>> {
        let same = |other: &&Pair| other.adapter == pair.adapter && other.case == pair.case;
        matchings.iter().map(|matching| matching.pairs.iter().find(same)).collect()
    };
    let cases: Vec<Vec<&Pair>> = first.pairs.iter().filter_map(of_rounds).collect();
    for later in &matchings[1..] {
        let lost = |known: &mut Vec<String>, of_round: &[String]| {
            let new: Vec<String> = of_round.iter().filter(|case| !known.contains(case)).cloned().collect();
            known.extend(new);
        };
        lost(&mut comparison.missing, &later.missing);
        lost(&mut comparison.missing, &later.added);
        lost(&mut comparison.unusable, &later.unusable);
    }
    let adapters = adapters(&first.pairs);
    let tests = Tests::of(&first.pairs, adapters.len());
    for case in &cases {
        let logs: Vec<f64> = case.iter().map(|pair| pair.log_ratio()).collect();
        comparison.cases.push(of_paired_logs(case, &logs, tests.of_scope(case[0].scope)));
    }
    for adapter in adapters {
        let of_adapter = |case: &&Vec<&Pair>| case[0].adapter == adapter && case[0].scope == Scope::Kernel;
        let kernels: Vec<&Vec<&Pair>> = cases.iter().filter(of_adapter).collect();
        if kernels.len() > 1 {
            let mean_of_round = |round: usize| {
                mean_and_deviation(&kernels.iter().map(|case| case[round].log_ratio()).collect::<Vec<_>>()).0
            };
            let logs: Vec<f64> = (0..rounds.len()).map(mean_of_round).collect();
            let whole = of_paired_logs(kernels[0], &logs, tests.wholes);
            let firsts: Vec<&Pair> = kernels.iter().map(|case| case[0]).collect();
            comparison.wholes.push(all_kernels(&firsts, whole.ratio.ln(), whole.uncertainty));
        }
    }
    comparison.sort();
    comparison
}

impl Comparison {
    fn of(matching: &Matching) -> Self {
        let Matching { missing, added, unusable, warnings, .. } = matching.clone();
        Self { cases: vec![], wholes: vec![], missing, added, unusable, warnings, is_in_turn: false }
    }

    /// How many cases have noise of their own that hides a change of this share, so that only larger changes are found.
    pub fn hidden_by_noise(&self, share: f64) -> usize {
        self.cases.iter().filter(|change| noise_or_infinite(change) > share).count()
    }

    fn sort(&mut self) {
        self.cases.sort_by(|a, b| b.ratio.ln().abs().total_cmp(&a.ratio.ln().abs()));
    }
}

/// The number of simultaneous tests. Kernels share one half of the probability of a false alarm, steps and means the
/// other half.
struct Tests {
    kernels: usize,
    wholes: usize,
}

impl Tests {
    fn of(pairs: &[Pair], adapters: usize) -> Self {
        let kernels = pairs.iter().filter(|pair| pair.scope == Scope::Kernel).count();
        Self { kernels, wholes: pairs.len() - kernels + adapters }
    }

    fn of_scope(&self, scope: Scope) -> usize {
        if scope == Scope::Kernel { self.kernels } else { self.wholes }
    }
}

fn adapters(pairs: &[Pair]) -> Vec<String> {
    let mut adapters: Vec<String> = Vec::new();
    for pair in pairs {
        if !adapters.contains(&pair.adapter) {
            adapters.push(pair.adapter.clone());
        }
    }
    adapters
}

/// The change of a case, from the logarithms of its ratios in several rounds.
fn of_paired_logs(rounds: &[&Pair], logs: &[f64], tests: usize) -> Change {
    let (mean, deviation) = mean_and_deviation(logs);
    let uncertainty = deviation.map(|deviation| {
        let limit = student_limit(logs.len() - 1, tests, FALSE_ALARM / 2.0);
        limit * deviation / (logs.len() as f64).sqrt()
    });
    let middle = |seconds: fn(&Pair) -> f64| median(&rounds.iter().map(|pair| seconds(pair)).collect::<Vec<_>>());
    let seconds = [middle(|pair| pair.before.seconds), middle(|pair| pair.now.seconds)];
    Change { seconds, ..change(rounds[0], mean, uncertainty) }
}

fn change(pair: &Pair, log_ratio: f64, uncertainty: Option<f64>) -> Change {
    Change {
        adapter: pair.adapter.clone(),
        case: pair.case.clone(),
        scope: pair.scope,
        seconds: pair.seconds(),
        ratio: log_ratio.exp(),
        uncertainty,
    }
}

fn all_kernels(kernels: &[&Pair], log_ratio: f64, uncertainty: Option<f64>) -> Change {
    let sum = |index: usize| kernels.iter().map(|pair| pair.seconds()[index]).sum();
    let case = format!("all {} kernels (geometric mean)", kernels.len());
    let seconds = [sum(0), sum(1)];
    Change { case, scope: Scope::AllKernels, seconds, ..change(kernels[0], log_ratio, uncertainty) }
}

#[cfg(test)]
mod tests;
