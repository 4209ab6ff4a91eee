#!/usr/bin/env bash
# `optuna tell --skip-if-finished` says that it has told a value that it has thrown away.
#
# Expected: with --skip-if-finished, telling a finished trial changes nothing and says so, or says nothing.
# What happens: it first says that the trial is skipped, with the value that it has, and in the next line "Told trial 0 with
#   values [...]", with the value that was thrown away. The exit code is 0, and the study keeps the first value.
# Why it matters: whoever tells again after a crash, as this option is for, reads in the log a value that is not in the
#   study; a script that looks for the line "Told trial" takes a skipped value for a told one.
# Seen on: PyPI optuna 5.0.0, 2026-11-30.
# Needs: Python 3.11 with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check optuna==5.0.0
export PYTHONWARNINGS=ignore
study=(--storage sqlite:///s.db --study-name digits)
optuna() { venv/bin/optuna "$@"; }
optuna create-study "${study[@]}" --direction maximize >/dev/null 2>&1
space='{"lr": {"name": "FloatDistribution", "attributes": {"low": 0.001, "high": 0.1, "log": true, "step": null}}}'
optuna ask "${study[@]}" --search-space "$space" >/dev/null 2>&1
optuna tell "${study[@]}" --trial-number 0 --values 0.97 >first 2>&1
optuna tell "${study[@]}" --trial-number 0 --values 0.25 --skip-if-finished >second 2>&1
echo "exit code $?"
grep -o 'Skipped telling .*\|Told trial .*' second
kept=$(optuna best-trial "${study[@]}" --format json 2>/dev/null | grep -o '"value": [0-9.]*')
echo "the study has $kept"
grep -q 'Skipped telling trial 0 with values \[0.25\]' second && grep -q 'Told trial 0 with values \[0.25\]' second &&
    [ "$kept" = '"value": 0.97' ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: "Told" is said of a value that the study does not have'
