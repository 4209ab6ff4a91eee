"""Kills training runs at random and goes on with them: each must end with the weights and files of a run that was left alone.

    python3 tests/kills.py target/release/gpu-digits [RUNS] [SEED]

Every third run is killed after a random time. The others are killed at a system call that changes files, chosen at random (with
strace, for Linux), most often one that writes a checkpoint. Each run is killed one to three times.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = "openat,write,rename,fsync,unlink,ftruncate,mkdir,flock"
TRAIN = (
    "train --device cpu --dataset generated --generated-images 300 --validation 40 --batch-size 20 --epochs 8 "
    "--checkpoint-every 1 --average 0.9 --log-steps 3"
).split() + ["--model", "conv 4x3, norm, relu, pool 2, dropout 0.2, flatten, dense 10"]
FILES = ["model.safetensors", "best.safetensors", "predictions.csv"]


def metrics(folder):
    """The lines of metrics, without times."""
    times = {"seconds", "elapsed_seconds", "images_per_second"}
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in times} for row in rows]


def calls_of_a_run(program, home):
    """The system calls of a whole run: name, which of that name it is, and whether it writes a checkpoint."""
    log = home / "calls"
    command = ["strace", "-f", "-y", "-o", log, "-e", f"trace={CALLS}", program, *TRAIN, "--out", home / "traced"]
    subprocess.run(command, check=True, capture_output=True)
    counts, calls = {}, []
    lines = log.read_text().splitlines()
    # strace counts the calls of each thread. The first one writes all files of a run.
    first = lines[0].split()[0]
    for line in lines:
        found = re.match(rf"{first} +(\w+)\(", line)
        if found:
            name = found[1]
            counts[name] = counts.get(name, 0) + 1
            calls.append((name, counts[name], "checkpoint-" in line))
    return calls


def main():
    program = Path(sys.argv[1]).resolve()
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    home = Path(tempfile.mkdtemp())
    start = time.time()
    subprocess.run([program, *TRAIN, "--out", home / "whole"], check=True, capture_output=True)
    seconds = time.time() - start
    wanted = [(home / "whole" / file).read_bytes() for file in FILES], metrics(home / "whole")
    calls = calls_of_a_run(program, home)
    of_checkpoints = [call for call in calls if call[2]]
    print(f"a run takes {seconds:.2f} s and {len(calls)} system calls on files, {len(of_checkpoints)} of them on checkpoints")
    kills, within_checkpoints, anew = 0, 0, 0
    for number in range(runs):
        folder = home / f"run-{number}"
        for left in reversed(range(chance.randint(1, 3) + 1)):
            words = ["train", "--resume", folder] if (folder / "run.json").exists() else [*TRAIN, "--out", folder]
            command = [program, *words]
            if left == 0:
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0 and "is finished" not in done.stderr:
                    sys.exit(f"run {number}: {done.stderr}")
                anew += "going on after step 0 " in done.stderr
            elif number % 3 == 0:
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(chance.uniform(0, seconds))
                kills += process.poll() is None
                process.kill()
                process.wait()
            else:
                call, nth, _ = chance.choice(of_checkpoints if chance.random() < 0.9 else calls)
                inject = f"inject={call}:signal=KILL:when={nth}"
                strace = ["strace", "-f", "-y", "-o", home / "log", "-e", f"trace={CALLS}", "-e", inject]
                subprocess.run([*strace, *command], capture_output=True)
                lines = [line for line in (home / "log").read_text().splitlines() if "+++" not in line or "SIGKILL" in line]
                killed = any("killed by SIGKILL" in line for line in lines)
                last = [line for line in lines if re.search(r"\w+\(", line)][-1]
                kills += killed
                within_checkpoints += killed and "checkpoint-" in last
        found = [(folder / file).read_bytes() for file in FILES], metrics(folder)
        if found != wanted:
            sys.exit(f"run {number} is another than the one that was left alone: {folder}")
        if not (folder / "report.html").exists():
            sys.exit(f"run {number} has no report: {folder}")
        if list(folder.glob("*.partial")):
            sys.exit(f"run {number} has left files half written: {folder}")
        shutil.rmtree(folder)
        if (number + 1) % 50 == 0:
            print(f"{number + 1} runs, killed {kills} times, {within_checkpoints} of them at a call on a checkpoint; {anew} began anew")
    shutil.rmtree(home)
    print("all have the weights, predictions and metrics of the run that was left alone")


main()
