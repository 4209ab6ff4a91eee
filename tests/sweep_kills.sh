#!/usr/bin/env bash
# 200 runs of a sweep by GNU parallel, whose processes are killed at random all the while: no run is lost, and none trained to
# its end twice. Not in the gate. Usage: tests/sweep_kills.sh PROGRAM [SECONDS BETWEEN KILLS]
set -euo pipefail
program=$(realpath "$1")
between=${2:-0.7}
folder=$(mktemp -d)
cd "$folder"
rates=$(seq -s, 0.001 0.001 0.020)
sweep=("$program" sweep --device cpu --dataset generated --generated-images 400 --validation 40 --epochs 8 --model "flatten, dense 10"
    --batch-size 20 --self-test off --lr "$rates" --seeds 10 --out lr)

# A share that is killed starts again.
parallel --jobs 4 --retries 200 --joblog log "${sweep[@]@Q}" --shard {}/8 '>>' out-{} '2>>' err-{} ::: {1..8} &
parallel=$!
kills=0
while kill -0 $parallel 2> /dev/null; do
    sleep "$between"
    victim=$(pgrep -f "^$program sweep" | shuf -n 1 || true)
    if [ -n "$victim" ] && kill -9 "$victim" 2> /dev/null; then kills=$((kills + 1)); fi
done
wait $parallel

runs=$(find lr -name report.json -path '*/seed-*' ! -path '*.partial*' | wc -l)
trained=$(cat err-* | grep -c '^saved ' || true)
twice=$(cat err-* | grep '^saved ' | sort | uniq -d | wc -l)
went_on=$(cat err-* | grep -c '^going on after step' || true)
echo "$kills kills: $runs runs, $trained trained to their end, $twice of them twice, $went_on gone on with"
[ "$runs" = 200 ] && [ "$twice" = 0 ]
"$program" sweep merge lr > table
# Once more and undisturbed: the same weights.
"${sweep[@]}" --out whole > /dev/null 2>&1
weights() { find "$1" -name run.json ! -path '*.partial*' | sort | xargs grep -h '"weights_sha256"' | sort; }
diff <(weights lr) <(weights whole) && echo "the weights are those of a sweep that nobody disturbed"
rm -rf "$folder"
