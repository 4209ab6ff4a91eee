"""Reads the event files of a run with TensorBoard's own reader and compares them with metrics.jsonl.

    pip install tensorboard
    gpu-digits train --epochs 2 --tensorboard --out /tmp/run
    python3 tests/tensorboard_check.py /tmp/run
"""

import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
events = EventAccumulator(str(run / "tensorboard"))
events.Reload()
rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
epochs = [row for row in rows if row["kind"] == "epoch"]
names = {
    "train/loss": "loss",
    "train/accuracy": "accuracy",
    "validation/loss": "validation_loss",
    "validation/accuracy": "validation_accuracy",
}
for tag, key in names.items():
    read = [(event.step, event.value) for event in events.Scalars(tag)]
    wanted = [(row["step"], row[key]) for row in epochs]
    assert len(read) == len(wanted), (tag, read, wanted)
    for (step, value), (wanted_step, wanted_value) in zip(read, wanted):
        assert step == wanted_step and abs(value - wanted_value) < 1e-6, (tag, step, value, wanted_value)
for norms in epochs[-1]["norms"]:
    value = events.Scalars("norm/" + norms["parameter"])[-1].value
    assert abs(value - norms["value"]) < 1e-5 * norms["value"] + 1e-9, norms
test = [row for row in rows if row["kind"] == "test"][0]
assert abs(events.Scalars("test/accuracy")[0].value - test["accuracy"]) < 1e-6
print(f"TensorBoard reads {len(events.Tags()['scalars'])} curves as they were written")
