#!/bin/sh
# A sweep on HyperQueue: sh examples/clusters/sweep.hq.sh
# HyperQueue gives a task that a lost worker had to another one, up to the crash limit, which goes on with its runs.
set -e
hq submit --name gpu-digits-sweep --array 1-16 --cpus 4 --resource gpus/nvidia=1 --crash-limit 5 --wait -- \
    sh -c 'exec gpu-digits sweep --out lr --lr 0.001,0.003,0.01,0.03 --batch-size 64,128,256,512 --seeds 5 --shard "$HQ_TASK_ID/16"'
gpu-digits sweep merge lr
