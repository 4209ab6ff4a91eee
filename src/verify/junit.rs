//! Checks as the XML of JUnit, which systems for continuous integration show.

use anyhow::{Context as _, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Check, Outcome};
use crate::gpu::AdapterInfo;

/// The checks of some adapters: a suite for each, a case for each check.
///
/// # Errors
/// If the XML cannot be written.
pub fn junit(checked: &[(&AdapterInfo, &[Check])]) -> Result<String> {
    let mut report = Report::new("gpu-digits verify");
    for (adapter, checks) in checked {
        let mut suite = TestSuite::new(suite_name(adapter));
        for check in *checks {
            let status = match &check.outcome {
                Outcome::Passed { .. } => TestCaseStatus::success(),
                Outcome::Skipped { reason } => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(reason.as_str());
                    status
                }
                Outcome::Failed { reason } => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(reason.as_str());
                    status
                }
            };
            let mut case = TestCase::new(check.label.as_str(), status);
            case.set_classname(check.op);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string().context("cannot write the results as XML")
}

/// The suite's name, which differs between adapters of the same name.
fn suite_name(info: &AdapterInfo) -> String {
    format!("device {}: {info}", info.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    #[test]
    fn two_adapters_of_one_name_have_suites_of_two() {
        let [first, second] = [0, 1]
            .map(|index| AdapterInfo { index, ..AdapterInfo::example("GeForce RTX 4090", AdapterKind::Discrete) });
        assert_ne!(suite_name(&first), suite_name(&second));
    }
}
