"""Trains a saved model with SGD in PyTorch, as tests/pytorch.rs has trained it, and prints the largest difference of a parameter.

    python3 pytorch.py FOLDER

FOLDER has before.safetensors and after.safetensors, whose metadata name the layers, images.bin and labels.bin with the batches'
bytes, and settings.json.
"""
import json, pathlib, sys
import torch
import torch.nn as nn
from safetensors import safe_open
from torch_model import network

folder = pathlib.Path(sys.argv[1])
settings = json.loads((folder / "settings.json").read_text())


def read(name):
    with safe_open(folder / name, "pt") as file:
        return {key: file.get_tensor(key).double() for key in file.keys()}, file.metadata()


before, metadata = read("before.safetensors")
after, _ = read("after.safetensors")
shape = settings["shape"]
model = network(metadata["model"], shape).double()
missing, unexpected = model.load_state_dict(before, strict=False)
assert not unexpected and all("num_batches_tracked" in name for name in missing), (missing, unexpected)

batch = settings["batch"]
images = torch.frombuffer(bytearray((folder / "images.bin").read_bytes()), dtype=torch.uint8)
images = images.reshape(-1, shape[1], shape[2], shape[0]).permute(0, 3, 1, 2).double()
images = (images / 255 - 0.5) / 0.5
labels = torch.frombuffer(bytearray((folder / "labels.bin").read_bytes()), dtype=torch.uint16).long()
optimizer = torch.optim.SGD(model.parameters(), settings["rate"], settings["momentum"], weight_decay=settings["weight_decay"])
loss = nn.CrossEntropyLoss(label_smoothing=settings["label_smoothing"])
for start in range(0, len(labels), batch):
    optimizer.zero_grad()
    loss(model(images[start:start + batch]), labels[start:start + batch]).backward()
    if settings["clip_norm"]:
        nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
    optimizer.step()
trained = model.state_dict()
moved = max((after[name] - before[name]).abs().max().item() for name in after)
assert moved > 1e-3, f"training has moved no parameter by more than {moved}"
print(max((trained[name] - after[name]).abs().max().item() for name in after))
