#!/bin/sh
# Optuna chooses the settings: pip install optuna; sh examples/clusters/optuna.sh
# Any number of these may run at once, on machines that see the folder and the file of the study.
set -e
storage=sqlite:///study.db
optuna create-study --storage $storage --study-name digits --direction maximize --skip-if-exists
space='{
  "lr": {"name": "FloatDistribution", "attributes": {"low": 0.001, "high": 0.1, "log": true, "step": null}},
  "batch_size": {"name": "IntDistribution", "attributes": {"low": 32, "high": 256, "log": true, "step": 1}},
  "optimizer": {"name": "CategoricalDistribution", "attributes": {"choices": ["adam", "adamw", "nesterov"]}}
}'
study="--storage $storage --study-name digits"
# --skip-if-finished: a process that is killed after it has told a value tells it again.
gpu-digits sweep --out optuna --epochs 3 --seeds 1 --trials 20 \
    --ask "optuna ask $study --sampler TPESampler --format json --search-space '$space'" \
    --tell "optuna tell $study --skip-if-finished --trial-number {number} --values {value}" "$@"
