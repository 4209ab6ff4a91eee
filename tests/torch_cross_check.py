"""Compares ten steps of SGD in PyTorch with those that gpu-digits has run, from the same weights on the same images.

    cargo run --release -- train --data MNIST --device vulkan --optimizer sgd --momentum 0 --lr 0.05 \\
        --schedule constant --shuffle off --log-steps 1 --epochs 1 --validation 0 --init initial.safetensors --out run
    python3 tests/torch_cross_check.py MNIST initial.safetensors run

`initial.safetensors` may be the model of any earlier run. Needs torch, numpy and safetensors; no part of the test suite.
Exits with 1 where a loss differs by more than 1e-4 of itself.
"""

import gzip
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file, safe_open

STEPS = 10
TOLERANCE = 1e-4


def read_idx(folder: pathlib.Path, name: str, header_bytes: int) -> np.ndarray:
    packed = folder / f"{name}.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    return np.frombuffer(data, np.uint8, offset=header_bytes)


def network(text: str) -> torch.nn.Sequential:
    """The PyTorch model of a text form; shapes are found by PyTorch, names are ours."""
    layers = []
    for layer in text.split(", "):
        match layer.split():
            case ["conv", size, *same]:
                channels, kernel = map(int, size.split("x"))
                layers.append(torch.nn.LazyConv2d(channels, kernel, padding="same" if same else "valid"))
            case ["dense", outputs]:
                layers.append(torch.nn.LazyLinear(int(outputs)))
            case ["pool", size]:
                layers.append(torch.nn.MaxPool2d(int(size)))
            case ["relu"]:
                layers.append(torch.nn.ReLU())
            case ["flatten"]:
                layers.append(torch.nn.Flatten())
            case other:
                raise SystemExit(f"this script does not know the layer {other}")
    return torch.nn.Sequential(*layers)


def load(model: torch.nn.Sequential, weights: dict[str, torch.Tensor]) -> None:
    numbers = {"conv": 0, "dense": 0}
    for layer in model:
        kind = {torch.nn.Conv2d: "conv", torch.nn.Linear: "dense"}.get(type(layer))
        if kind:
            numbers[kind] += 1
            layer.weight.data = weights[f"{kind}{numbers[kind]}.weight"]
            layer.bias.data = weights[f"{kind}{numbers[kind]}.bias"]


def main() -> None:
    data, initial, run = map(pathlib.Path, sys.argv[1:4])
    settings = json.loads((run / "run.json").read_text())
    batch, rate = settings["settings"]["batch_size"], settings["settings"]["learning_rate"]
    pixels = torch.tensor(read_idx(data, "train-images-idx3-ubyte", 16)[: STEPS * batch * 784].copy())
    images = (pixels.float().reshape(-1, 1, 28, 28) / 255 - 0.1307) / 0.3081
    labels = torch.tensor(read_idx(data, "train-labels-idx1-ubyte", 8)[: STEPS * batch].astype(np.int64))

    with safe_open(initial, "pt") as file:
        model = network(file.metadata()["model"])
    model(images[:1])
    load(model, load_file(initial))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)

    ours = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    ours = [row["loss"] for row in ours if row["kind"] == "step"][:STEPS]
    worst = 0.0
    print(f"{settings['device']}, {settings['model']}, batch {batch}, SGD at {rate}")
    print("step   gpu-digits      PyTorch   difference")
    for step in range(STEPS):
        batch_images, batch_labels = (tensor[step * batch : (step + 1) * batch] for tensor in (images, labels))
        loss = torch.nn.functional.cross_entropy(model(batch_images), batch_labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        difference = abs(ours[step] - loss.item()) / loss.item()
        worst = max(worst, difference)
        print(f"{step + 1:4}   {ours[step]:.8f}   {loss.item():.8f}   {difference:.1e}")
    print(f"worst relative difference {worst:.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
