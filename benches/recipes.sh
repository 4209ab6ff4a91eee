#!/bin/sh
# The study of the recipes in docs/RESULTS.md: trains each with several seeds and prints mean, 95 % interval and standard deviation of
# the accuracy. Every run reads the test images once, at its end, and those of `small` and `accurate` once more by 5 views. Finished runs in the
# folder are not trained again.
#
#     benches/recipes.sh FOLDER [SEEDS]        MNIST comes from $GPU_DIGITS_DATA, the cache folder or a download
set -eu
folder=$1
seeds=${2:-5}
digits() { cargo run --release --quiet -- "$@"; }

# Of lines "accuracy 97.12 % of 10,000 images ...", one a run. Quantiles of the t distribution, as src/program/commands/sweep_table.rs has
# them.
summary() {
    awk '
    $1 == "accuracy" { values[n++] = $2; sum += $2 }
    END {
        split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179", quantiles, " ")
        printf "n %d, test %% %.2f", n, sum / n
        if (n == 1) { print ""; exit }
        for (i = 0; i < n; i++) squares += (values[i] - sum / n) ^ 2
        deviation = sqrt(squares / (n - 1))
        quantile = n - 1 in quantiles ? quantiles[n - 1] : 1.96 + 2.55 / (n - 1)
        printf " ± %.2f, sd %.3f\n", quantile * deviation / sqrt(n), deviation
    }'
}

# Scores of runs, by `eval` with some options. Not through a pipe, where a failure would go unnoticed.
scores() {
    runs=$1
    shift
    found=$(for run in $runs; do digits eval "$run" "$@"; done)
    echo "$found" | summary
}

for recipe in speedrun small accurate; do
    echo "## $recipe"
    digits sweep --recipe "$recipe" --seeds "$seeds" --out "$folder/$recipe"
done
for recipe in small accurate; do
    echo "## $recipe, each image read by 5 views"
    scores "$folder/$recipe/$recipe*/seed-*" --views 5
done

echo "## generated digits alone, on MNIST"
digits sweep --recipe generated --seeds "$seeds" --out "$folder/generated"
scores "$folder/generated/generated*/seed-*" --dataset mnist
